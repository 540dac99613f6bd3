"""Lists and watches every kind in every namespace over one client, and publishes readings."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable, Collection, Sequence

from cockpit.clock import Clock
from cockpit.kubeapi.access import Access, AccessProblem
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Denied, KubeError, NotFound, Unreachable
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.sources.kubernetes.kinds import CONFIGMAPS, KINDS, PODS, Kind
from cockpit.sources.kubernetes.topic import Topic
from cockpit.sources.timing import Timings

_PODS_FIRST_S = 2.0
_MISSING = 'namespace "{}" does not exist'


class KubernetesSource:
    """Publishes `kubernetes/<plural>/<namespace>`.

    Each a dict of `cockpit.model.observed.cluster` values.

    `access` is called in a thread and may raise AccessProblem: that is shown on every topic and
    tried again. `configmaps` names those to watch; it too is called in a thread, after the first
    pods, which go before everything else.
    """

    def __init__(
        self,
        access: Callable[[], Access],
        namespaces: Sequence[str],
        configmaps: Callable[[], Collection[str]],
        clock: Clock,
        *,
        timings: Timings | None = None,
        rng: random.Random | None = None,
    ):
        self._access = access
        self._clock = clock
        self._timings = timings or Timings()
        self._rng = rng or random.Random()
        self._wake = asyncio.Event()
        self._client: KubeClient | None = None
        self._namespace_faults: dict[str, Fault] = {}
        self._unverified: set[str] = set()
        self._answering = True
        self._configmaps = configmaps
        self._namespaces = tuple(dict.fromkeys(namespaces))
        self.topics = [self._topic(kind, namespace) for namespace in self._namespaces for kind in KINDS]

    def _topic(self, kind: Kind, namespace: str, names: Collection[str] | None = None) -> Topic:
        return Topic(
            kind=kind,
            namespace=namespace,
            clock=self._clock,
            timings=self._timings,
            rng=self._rng,
            changed=self._wake.set,
            names=names,
        )

    @property
    def garbage(self) -> int:
        """Count lines and objects that made no sense, over all topics."""
        return sum(topic.garbage for topic in self.topics)

    async def readings(self) -> AsyncGenerator[Reading[object], None]:
        """Yield readings for ever.

        A slow reader gets fewer, newer readings: nothing queues up.
        """
        work = asyncio.create_task(self._run(), name="kubernetes source")
        try:
            while True:
                for topic in self.topics:
                    if self._due(topic):
                        topic.dirty = False
                        topic.published_at = self._clock.mono()
                        yield self._reading(topic)
                if work.done():
                    work.result()  # a bug: let it be seen rather than go quiet
                await self._wait()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def _reading(self, topic: Topic) -> Reading[object]:
        override = self._namespace_faults.get(topic.namespace)
        empty = topic.kind is PODS and topic.fault is None and topic.synced and not topic.items
        if override is None and empty and topic.namespace in self._unverified:
            override = Fault(
                SourceState.DENIED,
                f'no pods in "{topic.namespace}"; whether it exists cannot be told: get namespaces is forbidden',
                "check the namespace's name (-n), or ask for a role that allows: get namespaces",
            )
        return topic.reading(self._client.server_time() if self._client else None, override)

    def _due(self, topic: Topic) -> bool:
        if topic.published_at is None:
            return topic.dirty
        since = self._clock.mono() - topic.published_at
        if topic.dirty:
            return since >= self._timings.publish_s
        return since >= self._timings.refresh_s

    async def _wait(self) -> None:
        """Wait until something changed, but not past the next time that a topic is due."""
        now = self._clock.mono()
        delay = self._timings.refresh_s
        for topic in self.topics:
            if topic.published_at is not None:
                apart = self._timings.publish_s if topic.dirty else self._timings.refresh_s
                delay = min(delay, topic.published_at + apart - now)
        if any(topic.dirty for topic in self.topics):
            await asyncio.sleep(max(0.0, delay))  # already known: nothing to be woken for
            return
        self._wake.clear()
        try:
            async with asyncio.timeout(max(0.0, delay)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _run(self) -> None:
        access = await self._enter()
        connect_s = self._timings.probe_timeout_s
        async with KubeClient(access, connect_s=connect_s, clock=self._clock, read_only=True) as client:
            self._client = client
            async with asyncio.TaskGroup() as group:
                pods = [topic for topic in self.topics if topic.kind is PODS]
                for topic in pods:
                    group.create_task(topic.run(client), name=topic.name)
                await self._first(pods)
                names = await asyncio.to_thread(self._configmaps)
                if names:
                    self.topics += [self._topic(CONFIGMAPS, namespace, names) for namespace in self._namespaces]
                for topic in self.topics:
                    if topic not in pods:
                        group.create_task(topic.run(client), name=topic.name)
                for namespace in self._namespaces:
                    group.create_task(self._verify(client, namespace))
                group.create_task(self._probe(client))

    async def _first(self, pods: Sequence[Topic]) -> None:
        """Wait until the server has given all the pods, but not long.

        Everything else waits for them, the watches' import too.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PODS_FIRST_S):
                for topic in pods:
                    await topic.heard.wait()

    async def _enter(self) -> Access:
        attempt = 0
        while True:
            try:
                return await asyncio.to_thread(self._access)
            except AccessProblem as problem:
                for topic in self.topics:
                    topic.fail(Fault(SourceState.DOWN, problem.reason, problem.remedy))
            attempt += 1
            await asyncio.sleep(min(5.0, self._timings.backoff(attempt, self._rng)))

    async def _verify(self, client: KubeClient, namespace: str) -> None:
        """Ask for a namespace by name: one that is not there lists as empty."""
        while True:
            fault = None
            try:
                await client.get(f"/api/v1/namespaces/{namespace}")
                self._unverified.discard(namespace)
            except NotFound:
                fault = Fault(SourceState.DOWN, _MISSING.format(namespace), "give another with -n, or create it")
                self._unverified.discard(namespace)
            except Denied:
                self._unverified.add(namespace)
            except KubeError:  # the topics and the probe tell of it
                fault = self._namespace_faults.get(namespace)
            if fault != self._namespace_faults.get(namespace):
                if fault is None:
                    self._namespace_faults.pop(namespace, None)
                else:
                    self._namespace_faults[namespace] = fault
                for topic in self.topics:
                    topic.dirty = topic.dirty or topic.namespace == namespace
                self._wake.set()
            await asyncio.sleep(self._timings.namespace_s * (1.0 if fault else 4.0))

    async def _probe(self, client: KubeClient) -> None:
        """Ask the server something cheap beside the watches.

        Its silence is theirs, its answer confirms them.

        Any answer counts, a refusal too; only no answer at all is a failure.
        """
        while True:
            try:
                async with client.batches("/version", read_timeout_s=self._timings.probe_timeout_s) as lines:
                    async for _ in lines:
                        pass
            except Unreachable as error:
                self._answering = False
                for topic in self.topics:
                    topic.interrupt(error.fault())
            except KubeError:
                self._confirm()
            else:
                self._confirm()
            await asyncio.sleep(self._timings.probe_s)

    def _confirm(self) -> None:
        for topic in self.topics:
            if topic.connected:
                topic.confirm()
            elif not self._answering:
                topic.hurry()
        self._answering = True
