"""Keeps container logs: the running instance and the previous one, bounded, with followers."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice

from cockpit.drill.clock import rfc3339_nano

_LINES = 5000

LogLine = tuple[float, str]  # simulated unix seconds, text without newline


class ContainerLog:
    """Holds the log of one instance of a container.

    `total` counts the lines ever written, so that followers know where they are.
    """

    __slots__ = ("ended", "lines", "total", "wakers")

    def __init__(self) -> None:
        self.lines: deque[LogLine] = deque(maxlen=_LINES)
        self.total = 0
        self.ended = False
        self.wakers: set[asyncio.Event] = set()

    def write(self, at: float, text: str) -> None:
        for line in text.splitlines() or [""]:
            self.lines.append((at, line))
            self.total += 1
        self.wake()

    def wake(self) -> None:
        for waker in self.wakers:
            waker.set()

    def end(self) -> None:
        self.ended = True
        self.wake()

    def after(self, position: int) -> tuple[list[LogLine], int]:
        """Return lines from `position` on, as far as they are held, and the next position."""
        new = min(self.total - position, len(self.lines))
        return list(islice(self.lines, len(self.lines) - new, None)), self.total

    def select(self, tail: int | None, since: float | None) -> tuple[list[LogLine], int]:
        """Return what a request without follow gets: the last `tail` lines since a moment."""
        lines = [line for line in self.lines if since is None or line[0] >= since]
        if tail is not None:
            lines = lines[len(lines) - tail :] if 0 < tail < len(lines) else lines if tail else []
        return lines, self.total


class Logs:
    """Holds logs by (pod uid, container)."""

    def __init__(self) -> None:
        self._current: dict[tuple[str, str], ContainerLog] = {}
        self._previous: dict[tuple[str, str], ContainerLog] = {}

    def start(self, uid: str, container: str) -> ContainerLog:
        """Start a new instance's log.

        The one before becomes the previous, the one before that is gone (as on a kubelet).
        """
        old = self._current.get((uid, container))
        if old is not None:
            old.end()
            self._previous[(uid, container)] = old
        log = self._current[(uid, container)] = ContainerLog()
        return log

    def current(self, uid: str, container: str) -> ContainerLog | None:
        return self._current.get((uid, container))

    def previous(self, uid: str, container: str) -> ContainerLog | None:
        return self._previous.get((uid, container))

    def end(self, uid: str) -> None:
        """Release the followers: the pod's containers stopped."""
        for (owner, _), log in self._current.items():
            if owner == uid:
                log.end()

    def drop(self, uid: str) -> None:
        """Forget the pod's logs."""
        self.end(uid)
        for logs in (self._current, self._previous):
            for key in [key for key in logs if key[0] == uid]:
                del logs[key]


def render(lines: list[LogLine], timestamps: bool) -> bytes:
    if timestamps:
        return "".join(f"{rfc3339_nano(at)} {text}\n" for at, text in lines).encode("utf-8", "surrogateescape")
    return "".join(f"{text}\n" for _, text in lines).encode("utf-8", "surrogateescape")
