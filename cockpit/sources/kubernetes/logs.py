"""Merges several pods' logs in time order, and follows them without doubling a line.

Reference: GET /api/v1/namespaces/NS/pods/NAME/log (tailLines, sinceSeconds, sinceTime, previous,
follow, timestamps).
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Denied, Invalid, KubeError, NotFound, Unauthorised, Unreachable, describe
from cockpit.model.reading import Fault
from cockpit.redaction.forms import KeyLines
from cockpit.sources.kubernetes.log_lines import MAX_LINE, LogLine, parse
from cockpit.sources.timing import Timings
from cockpit.text import safe

__all__ = ["LogLine", "LogRequest", "read_logs"]

_SILENCE_S = 3600.0  # a quiet container is normal; a dead peer is noticed by TCP keepalive
_WINDOW_S = 0.3  # how long a line may wait for earlier ones from other pods
_QUEUE = 10_000


@dataclass(frozen=True)
class LogRequest:
    """Says what to read.

    `pods`: (name, container or None for the only or default one).
    """

    namespace: str
    pods: tuple[tuple[str, str | None], ...]
    follow: bool
    previous: bool = False
    since_s: int | None = None
    tail: int = 200


@dataclass(slots=True)
class _Ended:
    index: int


async def read_logs(
    client: KubeClient, request: LogRequest, *, timings: Timings | None = None, rng: random.Random | None = None
) -> AsyncGenerator[LogLine | Fault, None]:
    """Yield lines oldest first.

    A pod that fails gives a Fault in the stream and the others go on.

    Without `follow` the end of all logs ends it and the order is exact; with it, lines of several
    pods are held for a fraction of a second to be put in order, and an interrupted log resumes
    where it was.
    """
    queue: asyncio.Queue[tuple[int, LogLine] | Fault | _Ended] = asyncio.Queue(_QUEUE)
    tail = max(1, request.tail)
    tasks = [
        asyncio.create_task(
            _Tail(
                client=client,
                request=request,
                pod=pod,
                container=container,
                tail=tail,
                index=index,
                queue=queue,
                timings=timings or Timings(),
                rng=rng or random.Random(),
            ).run()
        )
        for index, (pod, container) in enumerate(request.pods)
    ]
    try:
        merge = _Merge(len(tasks), window=request.follow and len(tasks) > 1)
        while tasks:
            try:
                async with asyncio.timeout(merge.patience()):
                    item = await queue.get()
            except TimeoutError:
                item = None
            if isinstance(item, Fault):
                yield item
            elif item is not None:
                merge.put(item)
            for line in merge.ready():
                yield line
            if merge.finished:
                return
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Merge:
    """Puts lines of several pods in time order.

    Each pod's own lines come in order, so a line may go as soon as every other pod that is still
    running has shown a later one; when following, it goes anyway once nothing has arrived for a
    moment.
    """

    def __init__(self, pods: int, window: bool):
        self._heap: list[tuple[float, int, float, LogLine]] = []  # time, order of arrival, arrival, line
        self._newest: list[float] = [float("-inf")] * pods
        self._open = set(range(pods))
        self._window = window
        self._count = 0

    @property
    def finished(self) -> bool:
        return not self._open and not self._heap

    def patience(self) -> float | None:
        """Return how long to wait for the next line before the first held one goes."""
        if not self._heap or not self._window:
            return None
        return max(0.0, self._heap[0][2] + _WINDOW_S - asyncio.get_running_loop().time())

    def put(self, item: tuple[int, LogLine] | _Ended) -> None:
        if isinstance(item, _Ended):
            self._open.discard(item.index)
            return
        index, line = item
        self._newest[index] = max(self._newest[index], line.at if line.at is not None else float("-inf"))
        self._count += 1
        heapq.heappush(self._heap, (self._newest[index], self._count, asyncio.get_running_loop().time(), line))

    def ready(self) -> list[LogLine]:
        """Return the lines whose turn has come."""
        lines = []
        horizon = min((self._newest[i] for i in self._open), default=float("inf"))
        late = asyncio.get_running_loop().time() - _WINDOW_S if self._window else float("-inf")
        while self._heap:
            at, _, arrived, line = self._heap[0]
            if at > horizon and arrived > late and len(self._heap) <= _QUEUE:
                break
            lines.append(line)
            heapq.heappop(self._heap)
        return lines


class _Tail:
    """Puts one container's log into the queue line by line."""

    def __init__(
        self,
        client: KubeClient,
        request: LogRequest,
        pod: str,
        container: str | None,
        tail: int,
        index: int,
        queue: asyncio.Queue[tuple[int, LogLine] | Fault | _Ended],
        timings: Timings,
        rng: random.Random,
    ):
        self._client = client
        self._request = request
        self._pod = pod
        self._container = container
        self._tail = tail
        self._index = index
        self._queue = queue
        self._timings = timings
        self._rng = rng
        self._path = f"/api/v1/namespaces/{request.namespace}/pods/{pod}/log"
        self._stamp = ""  # of the last line, as the server wrote it
        self._second: Counter[bytes] = Counter()  # lines already given that bear a time not before sinceTime
        self._said: Fault | None = None

    async def run(self) -> None:
        attempt = 0
        try:
            while True:
                before = self._stamp
                try:
                    await self._read()
                    if not self._request.follow or self._request.previous or await self._over():
                        return
                    attempt = 0 if self._stamp != before else attempt + 1
                except (Denied, NotFound, Unauthorised) as error:
                    await self._say(error)
                    return
                except Invalid as error:  # "is waiting to start", or no such container
                    await self._say(error)
                    waiting = any(
                        word in error.reason for word in ("waiting to start", "ContainerCreating", "PodInitializing")
                    )
                    if not waiting or not self._request.follow or self._request.previous:
                        return
                    attempt = min(attempt + 1, 3)
                except KubeError as error:
                    quiet = isinstance(error, Unreachable) and error.timed_out and self._stamp != before
                    if not quiet:
                        await self._say(error)
                    if not self._request.follow:
                        return
                    attempt += 1
                await asyncio.sleep(self._timings.backoff(attempt, self._rng))
        finally:
            await self._queue.put(_Ended(self._index))

    async def _say(self, error: KubeError) -> None:
        reason, remedy = error.reason.removeprefix(f"{describe('GET', self._path)}: "), error.remedy
        if isinstance(error, NotFound):
            reason, remedy = f"pod {self._pod} is gone", "choose another pod; `previous` cannot bring it back"
        fault = Fault(
            error.fault().state, safe(f"{self._pod}: {reason}" if self._pod not in reason else reason), remedy
        )
        if fault != self._said:  # once, not at each attempt
            self._said = fault
            await self._queue.put(fault)

    async def _over(self) -> bool:
        """Return True when the container will log no more: its pod is gone or finished for good."""
        try:
            pod = await self._client.get(f"/api/v1/namespaces/{self._request.namespace}/pods/{self._pod}")
        except NotFound:
            return True
        except KubeError:
            return False
        status = pod.get("status") if isinstance(pod, dict) else None
        return isinstance(status, dict) and status.get("phase") in ("Succeeded", "Failed")

    async def _read(self) -> None:
        request = self._request
        params = {"timestamps": "true"}
        if self._container:
            params["container"] = self._container
        if request.previous:
            params["previous"] = "true"
        elif request.follow:
            params["follow"] = "true"
        if self._stamp:
            params["sinceTime"] = self._stamp  # whole seconds count: lines of that second come again
        else:
            params["tailLines"] = str(self._tail)
            if request.since_s is not None:
                params["sinceSeconds"] = str(max(1, request.since_s))
        resumed = self._stamp[:19]
        again = self._second.copy()
        timeout = _SILENCE_S if request.follow else 30.0
        keys = KeyLines()
        async with self._client.stream(self._path, params, read_timeout_s=timeout, max_line=MAX_LINE) as lines:
            async for raw in lines:
                line, stamp = parse(raw, self._pod, self._container or "", keys)
                if resumed and stamp[:19] <= resumed and again[raw] > 0:
                    again[raw] -= 1
                    continue
                if stamp[:19] != self._stamp[:19]:
                    self._second.clear()
                self._second[raw] += 1
                self._stamp = stamp or self._stamp
                self._said = None
                await self._queue.put((self._index, line))
