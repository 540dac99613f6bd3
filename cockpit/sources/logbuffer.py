"""The lines a log view holds: bounded, paused without loss up to the bound, filtered, and honest about what it dropped."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from cockpit.sources.loglines import LogLine


@dataclass(frozen=True, slots=True)
class LogView:
    """What to show: lines oldest first; how many were dropped for the bound, how many wait behind a pause."""

    lines: tuple[LogLine, ...]
    dropped: int
    held: int
    filtered: int  # lines kept but hidden by the filter
    problem: str  # why the filter is not applied, "" when it is


class LogBuffer:
    """Not for several threads. `revision` changes whenever `view` would."""

    def __init__(self, capacity: int = 20_000):
        self._capacity = max(1, capacity)
        self._lines: deque[LogLine] = deque()
        self._held: deque[LogLine] = deque()
        self._pattern: re.Pattern[str] | None = None
        self._invert = False
        self._problem = ""
        self.paused = False
        self.dropped = 0
        self.revision = 0

    def add(self, lines: Iterable[LogLine]) -> None:
        """New lines. While paused they wait; the oldest of all are dropped, and counted, past the capacity."""
        (self._held if self.paused else self._lines).extend(lines)
        excess = len(self._lines) + len(self._held) - self._capacity
        for _ in range(excess):
            # a paused screen keeps what the operator is reading as long as there is anything else to drop
            (self._held if self.paused and self._held else self._lines).popleft()
            self.dropped += 1
        self.revision += 1

    def pause(self) -> None:
        self.paused = True
        self.revision += 1

    def resume(self) -> None:
        """Show what waited."""
        self.paused = False
        self._lines.extend(self._held)
        self._held.clear()
        self.revision += 1

    def clear(self) -> None:
        self._lines.clear()
        self._held.clear()
        self.dropped = 0
        self.revision += 1

    def filter(self, pattern: str, invert: bool = False) -> str:
        """Show only lines that match (or, inverted, do not); "" shows all. Returns what is wrong with the pattern, or "".

        Letters match either case unless the pattern has a capital (as in ripgrep's smart case). A bad pattern changes nothing.
        """
        try:
            flags = re.IGNORECASE if pattern == pattern.lower() else 0
            compiled = re.compile(pattern, flags) if pattern else None
        except (re.error, RecursionError, OverflowError) as error:
            self._problem = f"bad regular expression: {error}"
        else:
            self._pattern, self._invert, self._problem = compiled, invert, ""
        self.revision += 1
        return self._problem

    def shows(self, line: LogLine) -> bool:
        """Whether the filter lets the line through; text and pod name are searched."""
        if self._pattern is None:
            return True
        found = self._pattern.search(line.text) is not None or self._pattern.search(line.pod) is not None
        return found != self._invert

    def view(self, last: int | None = None) -> LogView:
        """The lines that the filter lets through, the `last` so many of them."""
        lines = [line for line in self._lines if self.shows(line)]
        hidden = len(self._lines) - len(lines)
        shown = lines if last is None else lines[-last:]
        return LogView(tuple(shown), self.dropped, len(self._held), hidden, self._problem)

    def next_error(self, after: int) -> int | None:
        """Index in `view().lines` of the next error after `after`, going round; None when there is none."""
        lines = self.view().lines
        for step in range(1, len(lines) + 1):
            index = (after + step) % len(lines)
            if lines[index].error:
                return index
        return None
