"""Runs the sources' thread: readings go onto the board, the board becomes the newest `Situation`.

A thread and event loop of its own, so that a slow or stalled screen never delays what is known. The
screen polls `situation`; nothing is called across threads but that one attribute.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cockpit.assessment.board import Board
from cockpit.assessment.charts.own_history import OwnHistory
from cockpit.clock import Clock
from cockpit.config import is_production
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.settings import Settings
from cockpit.sources.inventory import MANY
from cockpit.sources.prometheus.settings import PROMETHEUS
from cockpit.sources.registry import configured, sources
from cockpit.sources.spec import Feed, Source, SourceContext
from cockpit.sources.timing import PollSchedule
from cockpit.text import safe

if TYPE_CHECKING:
    from cockpit.assessment.assessor import Assessor
    from cockpit.assessment.changes.onsets import OnsetReader
    from cockpit.assessment.usual.kept import KeptBaselines
    from cockpit.kubeapi.access import Access
    from cockpit.kubeapi.client import KubeClient
    from cockpit.model.observed.metrics import QueryResult
    from cockpit.sources.prometheus.source import PrometheusSource

#: Seconds between two situations while there is news (see `_publish`): what the screen can show, no
#: more.
ASSESS_EVERY_S = 0.25
#: The same with more than `MANY` pods, of which something always changes.
ASSESS_MANY_EVERY_S = 0.5
FIRST_ASSESS_EVERY_S = 0.02
#: Ages grow while nothing changes: a new situation at least this often.
ASSESS_AT_LEAST_S = 1.0
#: The source that the engine itself stands on: it is read first, where the kubeconfig says.
CLUSTER = "kubernetes"
#: How long everything else waits for the first pods at start.
PODS_FIRST_S = 2.0
#: A picture of what is not known yet would hold up the first pods, unless they take longer than so.
EMPTY_AFTER_S = 0.25
FIRST_PAINT_S = 0.1  # what the screen needs to paint them


@dataclass(frozen=True, slots=True)
class Place:
    """Says where the cockpit looks and acts, once the kubeconfig is read."""

    context: str
    namespace: str
    namespaces: tuple[str, ...]
    production: bool


def place_of(settings: Settings, access: Access | None) -> Place:
    """Follow flags, then the kubeconfig's own namespace, then `default` (as kubectl does)."""
    context = access.context if access is not None else settings.context or "no cluster"
    namespace = settings.namespace or (access.namespace if access is not None else None) or "default"
    namespaces = settings.namespaces or (namespace,)
    return Place(context, namespace, namespaces, is_production(settings, context, namespace))


def _no_listener(urgent: bool) -> None:
    """Do nothing, as the default for `on_situation`: no screen is attached."""


async def _until(event: asyncio.Event, at_most_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most_s):
            await event.wait()


class Engine:
    """Starts the sources and keeps `situation` new.

    `mitigations` gives what the executor knows, to be drawn with it.
    """

    def __init__(
        self,
        settings: Settings,
        runbooks: Callable[[], Runbooks],
        clock: Clock,
        mitigations: Callable[[], Mapping[str, Any]] = dict,
        *,
        assess_every_s: float = ASSESS_EVERY_S,
        rng: random.Random | None = None,
    ) -> None:
        self.settings = settings
        self._runbooks = runbooks
        self.on_situation: Callable[[bool], None] = _no_listener  # called in the sources' thread; True: show it at once
        self.board = Board()
        self.own_history = OwnHistory()
        self.situation: Situation | None = None
        self.place: Place | None = None
        self.located = threading.Event()
        self.identified = threading.Event()  # the kubeconfig was read: `place` is what it says
        self.first_situation = threading.Event()  # the cluster has answered, well or badly: now the rest may start
        self._arriving: set[str] = set()  # topics of pods whose first list is not complete
        self._access: Access | None = None
        self._access_lock = threading.Lock()
        self._read = asyncio.Event()  # `access` has succeeded
        self._clock = clock
        self._mitigations = mitigations
        self.assess_every_s = assess_every_s
        self._polls = PollSchedule(None if rng is None else rng.random())
        self._context = SourceContext(
            settings=settings,
            clock=clock,
            polls=self._polls,
            board=self.board,
            runbooks=runbooks,
            cluster=lambda: self.situation.cluster if self.situation is not None else None,
            access=self.access,
            namespaces=self._namespaces,
            rng=rng or random.Random(),
            unwell=lambda: self.situation.unwell if self.situation is not None else frozenset(),
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="sources", daemon=True)
        self._stop: asyncio.Event | None = None
        self._client: KubeClient | None = None
        self.kept: KeptBaselines | None = None  # what is usual

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float = 1.5) -> None:
        """Stop every source.

        Readings are worth nothing after the end, so this never waits long.
        """
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stop.set)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def access(self) -> Access:
        """Return the cluster's address and credentials, read once.

        Blocking; raises AccessProblem.
        """
        from cockpit.kubeapi.access import load_access

        with self._access_lock:
            if self._access is None:
                self._access = load_access(self.settings.kubeconfig, self.settings.context)
                if self._loop is not None:
                    with contextlib.suppress(RuntimeError):  # the loop has ended
                        self._loop.call_soon_threadsafe(self._read.set)
            return self._access

    @property
    def known_access(self) -> Access | None:
        """Return what `access` has read, without reading anything."""
        return self._access

    def submit(self, work: Callable[[], Any]) -> None:
        """Run a coroutine function on the sources' loop (log streams): fire and forget."""
        loop = self._loop
        if loop is not None and loop.is_running():
            asyncio.run_coroutine_threadsafe(work(), loop)

    async def client(self) -> KubeClient:
        """Return a client for calls made on the sources' loop (logs), made at the first use."""
        from cockpit.kubeapi.client import KubeClient

        if self._client is None:
            self._client = KubeClient(await asyncio.to_thread(self.access), clock=self._clock, read_only=True)
        return self._client

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self.run())

    async def run(self) -> None:
        """Read and assess in the caller's loop until it is closed; `start` does it in a thread."""
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._looked = asyncio.Event()
        self._asking = asyncio.Event()
        self._answered = asyncio.Event()
        self._urgent = asyncio.Event()
        tasks = [asyncio.create_task(self._locate_and_watch()), asyncio.create_task(self._keep_assessing())]
        for feed in self._feeds():
            tasks.append(asyncio.create_task(self._after_pods(feed.topic, feed.make)))
        await self._stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.kept is not None and self.kept.due(closing=True):
            await asyncio.to_thread(self.kept.save)
        if self._client is not None:
            with contextlib.suppress(Exception):
                await self._client.aclose()

    def _feeds(self) -> list[Feed]:
        """List what is configured to be read beside the cluster, which comes first."""
        feeds = []
        for name, source in sources().items():
            main = Feed(name, source.configured, source.make)
            feeds += [feed for feed in (main, *source.also) if feed.wanted(self.settings)]
        return [feed for feed in feeds if feed.topic != CLUSTER]

    async def _after_pods(self, name: str, make: Callable[[SourceContext], Source]) -> None:
        """Feed a source once the first pods are there: importing a client would hold them up."""
        await _until(self._looked, PODS_FIRST_S)
        await asyncio.sleep(FIRST_PAINT_S)
        await self._feed(name, make)

    async def _locate_and_watch(self) -> None:
        """Read the kubeconfig in a thread (its import alone takes 0.3 s), then watch."""
        access: Access | None = None
        with contextlib.suppress(Exception):  # the source itself reports why, and tries again
            access = await asyncio.to_thread(self.access)
        self.place = place_of(self.settings, access)
        if access is not None:
            self.identified.set()
        self.located.set()
        watching = asyncio.create_task(self._feed(CLUSTER, self._watch_cluster))
        try:
            if access is None:  # the source says why it cannot be read, and tries again: a login, a file that comes
                await self._read.wait()
                watching = self._relocate(watching)
            await watching
        finally:
            watching.cancel()

    def _relocate(self, watching: asyncio.Task[None]) -> asyncio.Task[None]:
        """Adopt what the kubeconfig says now that it is readable; drop what was guessed."""
        guessed = self.place
        self.place = place_of(self.settings, self._access)
        self.identified.set()
        if guessed is not None and guessed.namespaces == self.place.namespaces:
            return watching
        watching.cancel()
        for topic in self.board.under("kubernetes/"):
            self.board.drop(topic)
        return asyncio.create_task(self._feed(CLUSTER, self._watch_cluster))

    def _watch_cluster(self, context: SourceContext) -> Source:
        self._asking.set()
        return sources()[CLUSTER].make(context)

    def _namespaces(self) -> tuple[str, ...]:
        assert self.place is not None
        return self.place.namespaces

    async def past(self, promql: str, start: float, end: float) -> tuple[tuple[float, float], ...]:
        """Return what Prometheus keeps of a time gone by, in unix seconds.

        On any loop. Raises PromFault, also without one.
        """
        found = await self.prometheus().ranges(promql, start, end, max(15.0, (end - start) / 240))
        return tuple(point for history in found for point in history.points)

    async def measure(self, queries: Sequence[str]) -> tuple[float, tuple[QueryResult, ...]]:
        """Ask Prometheus several queries at one time of its own.

        On any loop. Raises PromFault.
        """
        return await self.prometheus().at_once(queries)

    def prometheus(self) -> PrometheusSource:
        """Make a source for questions of the caller's own; raises PromFault without Prometheus."""
        from cockpit.sources.prometheus.source import PrometheusSource
        from cockpit.sources.prometheus.wire import PromFault

        if self.settings.of(PROMETHEUS).url is None:
            raise PromFault(SourceState.OFF, "no Prometheus is configured", "start with --prometheus URL")
        source = sources()["prometheus"].make(self._context)
        assert isinstance(source, PrometheusSource)
        return source

    async def _feed(self, name: str, make: Callable[[SourceContext], Source]) -> None:
        """Put a source's readings onto the board, for ever.

        A source that breaks is a fault on the board, and is started again.
        """
        while True:
            try:
                source = make(self._context)
                async for reading in source.readings():
                    self._publish(reading)
                reason = "the source ended"
            except Exception as error:  # a bug in one source must not blind the others
                reason = f"{type(error).__name__}: {safe(error, 200)}"
            fault = Fault(SourceState.DOWN, reason, "it is started again; --debug logs more")
            self._publish(Reading(f"{name}/source", fault=fault))
            await asyncio.sleep(5)
            self.board.drop(f"{name}/source")

    def _publish(self, reading: Reading[Any]) -> None:
        """Put a reading on the board and wake the assessor if it is news.

        News is a changed object, a first reading, or a fault that came or went: numbers that are
        only newer, and ages, wait for the next second.
        """
        before = self.board.get(reading.topic)
        if (
            before is None
            or not before.same_news(reading)
            or (reading.topic.startswith("kubernetes/") and not before.same_data(reading))
        ):
            self._changed.set()
        self.board.put(reading)
        if reading.topic.startswith(("kubernetes/pods/", "kubernetes/source")):
            self._answered.set()
            if reading.arriving:
                self._arriving.add(reading.topic)
            elif reading.topic in self._arriving:  # a long list is complete: that is worth a frame out of turn
                self._arriving.discard(reading.topic)
                self._urgent.set()

    async def _keep_assessing(self) -> None:
        """Assess for ever: whatever goes wrong in one assessment, the next one is made.

        (Two threads that import one module at the start, a bug.)
        """
        while True:
            try:
                await self._assess_forever()
            except Exception as error:
                self._publish(
                    Reading(
                        "kubernetes/look", fault=Fault(SourceState.DOWN, f"{type(error).__name__}: {safe(error, 200)}")
                    )
                )
                await asyncio.sleep(FIRST_ASSESS_EVERY_S * 10)
                self.board.drop("kubernetes/look")

    def _load_assessor(self) -> tuple[type[Assessor], OnsetReader, Runbooks]:
        from cockpit.assessment.assessor import Assessor
        from cockpit.assessment.changes.onsets import OnsetReader

        return Assessor, OnsetReader(self.prometheus, self._clock.mono), self._runbooks()

    async def _assess_forever(self) -> None:
        assessor: Assessor | None = None
        await _until(self._asking, PODS_FIRST_S)  # what judges the answer is loaded while the question is on its way
        make, dating, runbooks = await asyncio.to_thread(self._load_assessor)
        saving: asyncio.Task[None] | None = None
        await _until(self._answered, EMPTY_AFTER_S)
        while True:
            if assessor is None or (self.place is not None and assessor.context != self.place.context):
                assessor = await asyncio.to_thread(self._assessor, make, runbooks)
            looked = self._looked.is_set()
            self._changed.clear()
            self.situation = assessor.assess(self.board, **self._mitigations(), dated=dating.known)
            dating.follow(self.situation)
            self.own_history.note(self.situation)
            if self.kept is not None and self.kept.due() and (saving is None or saving.done()):
                saving = asyncio.create_task(asyncio.to_thread(self.kept.save))
            self._polls.relaxed = self.situation.calm
            self.on_situation(self._urgent.is_set() or not looked)
            self._urgent.clear()
            if self._answered.is_set() and not looked and not self._arriving:
                self._looked.set()
                asyncio.get_running_loop().call_later(FIRST_PAINT_S, self.first_situation.set)
            # never more often than the screen can show; the first pods go through at once
            apart = ASSESS_MANY_EVERY_S if len(self.situation.cluster.pods) > MANY else self.assess_every_s
            await _until(self._urgent, apart if looked or self._arriving else FIRST_ASSESS_EVERY_S)
            if not any(p.running for p in self.situation.progress):
                await _until(self._changed, ASSESS_AT_LEAST_S - apart)

    def _assessor(self, make: type[Assessor], runbooks: Runbooks) -> Assessor:
        from cockpit.assessment.usual.kept import KeptBaselines, world_of

        place, settings = self.place or place_of(self.settings, None), self.settings
        world, shared = world_of(place.context, settings.of(PROMETHEUS).url), settings.state_dir_shared
        self.kept = KeptBaselines(settings.state_dir, self._clock, listed=shared, world=world)
        self.kept.load()
        return make(
            runbooks,
            self._clock,
            context=place.context,
            namespaces=place.namespaces,
            production=place.production,
            read_only=self.settings.read_only,
            configured=configured(self.settings),
            kept=self.kept,
        )
