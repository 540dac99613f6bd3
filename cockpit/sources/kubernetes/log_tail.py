"""Holds one log view's lines between the sources' loop that reads them and the screen.

A service is followed through rollouts: pods that come later are read too.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from cockpit.errors import CockpitError
from cockpit.kubeapi.network import words
from cockpit.model.reading import Fault

if TYPE_CHECKING:
    from cockpit.kubeapi.client import KubeClient
    from cockpit.sources.kubernetes.logs import LogLine, LogRequest

#: Lines that may wait for the screen; past it the oldest go, counted.
WAITING = 20_000
#: The same in characters, for lines may be of 64 kB.
WAITING_CHARACTERS = 12_000_000
#: How often a followed service is asked for new pods, seconds.
POLL_EVERY_S = 1.0

PodsNow = Callable[[], tuple[tuple[str, str | None], ...]]


class LogTail:
    """Reads on the sources' loop (`run`); `take`, `state` and `stop` are for any thread."""

    def __init__(self, request: LogRequest, pods_now: PodsNow | None = None) -> None:
        self.request = request
        self.dropped = 0
        self.state = "connecting"
        self.pods_now = pods_now
        self._waiting: deque[LogLine | Fault] = deque()
        self._characters = 0  # of the lines that wait
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True

    def take(self, most: int) -> list[LogLine | Fault]:
        """Hand over at most `most` lines, oldest first; they are gone from here."""
        lines: list[LogLine | Fault] = []
        while self._waiting and len(lines) < most:
            lines.append(self._pop())
        return lines

    def _pop(self) -> LogLine | Fault:
        line = self._waiting.popleft()
        self._characters -= _length(line)
        return line

    def _add(self, line: LogLine | Fault) -> None:
        self._waiting.append(line)
        self._characters += _length(line)
        while len(self._waiting) > WAITING or self._characters > WAITING_CHARACTERS:
            self._pop()
            self.dropped += 1

    async def run(self, client: Callable[[], Awaitable[KubeClient]]) -> None:
        """Read until stopped, or until every log ended."""
        tasks: list[asyncio.Task[None]] = []
        try:
            reader = await client()
            known = set(self.request.pods)
            if known:
                tasks.append(asyncio.create_task(self._read(reader, self.request)))
            while not self._stopped:
                follows = self.request.follow and not self.request.previous
                if follows and self.pods_now is not None:
                    fresh = tuple(pod for pod in self.pods_now() if pod not in known)
                    if fresh:
                        known.update(fresh)
                        tasks.append(asyncio.create_task(self._read(reader, replace(self.request, pods=fresh))))
                running = sum(not task.done() for task in tasks)
                self.state = self._words(len(known), running, follows)
                await asyncio.sleep(POLL_EVERY_S if follows else 0.2)
        except Exception as error:  # no kubeconfig, no cluster: said in the view
            self.state = error.line() if isinstance(error, CockpitError) else words(error)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _words(self, pods: int, running: int, follows: bool) -> str:
        if not pods:
            return "no pod yet"
        noun = f"{pods} pod{'s' if pods > 1 else ''}"
        if running:
            return noun if follows else f"reading {noun}"
        return f"{noun}: all ended"

    async def _read(self, client: KubeClient, request: LogRequest) -> None:
        from cockpit.sources.kubernetes.logs import read_logs

        async for line in read_logs(client, request):
            self._add(line)


def _length(line: LogLine | Fault) -> int:
    return len(line.reason) if isinstance(line, Fault) else len(line.text)
