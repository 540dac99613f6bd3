"""The sources' thread: every source's readings onto the board, the board into the newest `Situation`.

A thread and event loop of its own, so that a slow or stalled screen never delays what is known. The screen polls
`situation`; nothing is called across threads but that one attribute.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cockpit.board import Board
from cockpit.clock import Clock
from cockpit.config import Settings, is_production, secret_of
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.text import safe

if TYPE_CHECKING:
    from cockpit.kubeapi.access import Access
    from cockpit.kubeapi.client import KubeClient
    from cockpit.situation import Assessor

#: Seconds between two situations while the board changes: what the screen can show, no more.
ASSESS_EVERY_S = 0.25
FIRST_ASSESS_EVERY_S = 0.02
#: Ages grow while nothing changes: a new situation at least this often.
ASSESS_AT_LEAST_S = 1.0
#: How long everything else waits for the first pods at start.
PODS_FIRST_S = 2.0
FIRST_PAINT_S = 0.1  # what the screen needs to paint them


class Source(Protocol):
    def readings(self) -> AsyncIterator[Reading[Any]]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where the cockpit looks and acts, once the kubeconfig is read."""

    context: str
    namespace: str
    namespaces: tuple[str, ...]
    production: bool


def place_of(settings: Settings, access: Access | None) -> Place:
    """Flags, then the kubeconfig's own namespace, then `default` (as kubectl does)."""
    context = access.context if access is not None else settings.context or "no cluster"
    namespace = settings.namespace or (access.namespace if access is not None else None) or "default"
    namespaces = settings.namespaces or (namespace,)
    return Place(context, namespace, namespaces, is_production(settings, context, namespace))


class Engine:
    """Starts the sources and keeps `situation` new. `mitigations` gives what the executor knows, to be drawn with it."""

    def __init__(
        self,
        settings: Settings,
        runbooks: Runbooks,
        clock: Clock,
        mitigations: Callable[[], Mapping[str, Any]] = dict,
    ) -> None:
        self.settings = settings
        self.runbooks = runbooks
        self.board = Board()
        self.situation: Situation | None = None
        self.place: Place | None = None
        self.located = threading.Event()
        self.first_look = threading.Event()  # the cluster has answered, in good or bad: now the rest may start
        self._answered = False
        self._access: Access | None = None
        self._access_lock = threading.Lock()
        self._clock = clock
        self._mitigations = mitigations
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="sources", daemon=True)
        self._stop: asyncio.Event | None = None
        self._client: KubeClient | None = None

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout_s: float = 1.5) -> None:
        """Stop every source. Readings are worth nothing after the end, so this never waits long."""
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(stop.set)
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def access(self) -> Access:
        """The cluster's address and credentials, read once. Blocking; raises AccessProblem."""
        from cockpit.kubeapi.access import load_access

        with self._access_lock:
            if self._access is None:
                self._access = load_access(self.settings.kubeconfig, self.settings.context)
            return self._access

    def submit(self, work: Callable[[], Any]) -> None:
        """Run a coroutine function on the sources' loop (log streams): fire and forget."""
        loop = self._loop
        if loop is not None and loop.is_running():
            asyncio.run_coroutine_threadsafe(work(), loop)

    async def client(self) -> KubeClient:
        """A client for calls made on the sources' loop (logs), made at the first use."""
        from cockpit.kubeapi.client import KubeClient

        if self._client is None:
            self._client = KubeClient(await asyncio.to_thread(self.access))
        return self._client

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._looked = asyncio.Event()
        tasks = [asyncio.create_task(self._locate_and_watch()), asyncio.create_task(self._assess_forever())]
        if self.settings.prometheus.url is not None:
            tasks.append(asyncio.create_task(self._after_pods("prometheus", self._prometheus)))
        if self.settings.prometheus.direct:
            tasks.append(asyncio.create_task(self._after_pods("metrics", self._exposition)))
        await self._stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            with contextlib.suppress(Exception):
                await self._client.aclose()

    async def _after_pods(self, name: str, make: Callable[[], Source]) -> None:
        """The first pods come first: importing another client beside them would hold them up."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PODS_FIRST_S):
                await self._looked.wait()
                await asyncio.sleep(FIRST_PAINT_S)
        await self._feed(name, make)

    async def _locate_and_watch(self) -> None:
        """Read the kubeconfig in a thread (its import alone takes 0.3 s), then watch."""
        access: Access | None = None
        with contextlib.suppress(Exception):  # the source itself reports why, and tries again
            access = await asyncio.to_thread(self.access)
        self.place = place_of(self.settings, access)
        self.located.set()
        await self._feed("kubernetes", self._kubernetes)

    def _kubernetes(self) -> Source:
        from cockpit.sources.kubernetes import KubernetesSource

        assert self.place is not None
        configmaps = {t.configmap for t in self.runbooks.toggles.values() if t.configmap}
        return KubernetesSource(self.access, self.place.namespaces, configmaps, self._clock)

    def _prometheus(self) -> Source:
        from cockpit.runbooks.queries import query_specs
        from cockpit.sources.prometheus import PrometheusAddress, PrometheusSource, QuerySpec

        own = self.settings.prometheus
        assert own.url is not None
        password = secret_of(own.password, own.password_file, "the Prometheus password")
        address = PrometheusAddress(
            url=own.url,
            headers=own.headers,
            basic=(own.username, password or "") if own.username is not None else None,
            bearer=secret_of(own.bearer, own.bearer_file, "the Prometheus token"),
            ca_file=own.ca_file,
            insecure=own.insecure,
        )
        queries = {name: QuerySpec(*spec) for name, spec in query_specs(self.runbooks).items()}
        return PrometheusSource(address, queries, own.interval, self._clock)

    def _exposition(self) -> Source:
        from cockpit.sources.exposition import ExpositionSource

        own = self.settings.prometheus
        return ExpositionSource(own.direct, max(own.interval, 2.0), self._clock, self._without_prometheus)

    def _without_prometheus(self) -> bool:
        """Prometheus is not configured, or it was asked and nothing of it is live."""
        if self.settings.prometheus.url is None:
            return True
        states = {reading.state(self._clock.mono()) for reading in self.board.under("prometheus/").values()}
        return bool(states - {SourceState.STARTING}) and SourceState.LIVE not in states

    async def _feed(self, name: str, make: Callable[[], Source]) -> None:
        """Readings onto the board, for ever. A source that breaks is a fault on the board, and is started again."""
        while True:
            try:
                source = make()
                async for reading in source.readings():
                    self._put(reading)
                reason = "the source ended"
            except Exception as error:  # a bug in one source must not blind the others
                reason = f"{type(error).__name__}: {safe(error, 200)}"
            fault = Fault(SourceState.DOWN, reason, "it is started again; --debug logs more")
            self._put(Reading(f"{name}/source", fault=fault))
            await asyncio.sleep(5)
            self.board.drop(f"{name}/source")

    def _put(self, reading: Reading[Any]) -> None:
        self.board.put(reading)
        self._changed.set()
        self._answered |= reading.topic.startswith(("kubernetes/pods/", "kubernetes/source"))

    async def _assess_forever(self) -> None:
        from cockpit.situation import Assessor

        assessor: Assessor | None = None
        while True:
            if assessor is None or (self.place is not None and assessor.context != self.place.context):
                assessor = self._assessor(Assessor)
            looked = self._looked.is_set()
            self._changed.clear()
            self.situation = assessor.assess(self.board, **self._mitigations())
            if self._answered and not looked:
                self._looked.set()
                asyncio.get_running_loop().call_later(FIRST_PAINT_S, self.first_look.set)
            # never more often than the screen can show; the first pods go through at once
            await asyncio.sleep(ASSESS_EVERY_S if looked else FIRST_ASSESS_EVERY_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASSESS_AT_LEAST_S - ASSESS_EVERY_S):
                    await self._changed.wait()

    def _assessor(self, make: type[Assessor]) -> Assessor:
        place = self.place or place_of(self.settings, None)
        return make(
            self.runbooks,
            self._clock,
            context=place.context,
            namespaces=place.namespaces,
            production=place.production,
            read_only=self.settings.read_only,
            configured=self.settings.configured,
        )
