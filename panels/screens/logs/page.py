"""Holds the lines a log view can show: bounded, filtered, and honest about what it dropped.

No drawing, no widget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from rich.cells import cell_len

from cockpit.model.reading import Fault
from cockpit.patterns import Pattern, PatternRefused

CAPACITY = 20_000
#: The same in characters: a line may have 64 kB, and a filter must search all of them at once.
CHARACTERS = 12_000_000


class LogLineLike(Protocol):
    """Says what a line must have; the text is already safe.

    `at` is unix seconds.
    """

    @property
    def at(self) -> float | None: ...
    @property
    def pod(self) -> str: ...
    @property
    def container(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def trace(self) -> str | None: ...
    @property
    def error(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Said:
    """Holds a line of the cockpit's own between the pods' lines: why a stream ended."""

    text: str
    at: float | None = None
    pod: str = ""
    container: str = ""
    trace: str | None = None
    error: bool = True


class LogPage:
    """Holds lines by sequence number, which they keep for life.

    `shown` are those that pass the filter, oldest first.

    `capacity` lines are kept; while the operator holds the page still (`held`), twice as many,
    before the oldest go.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.lines: list[LogLineLike] = []
        self.first = 0  # sequence number of lines[0]
        self.shown: list[int] = []
        self.dropped = 0  # lines forgotten because the page was full
        self._characters = 0
        self.held = False
        self.query = ""
        self.inverse = False
        self.problem = ""  # why the filter is not in force
        self.pods: dict[str, int] = {}  # pod name → order of appearance
        self.containers: set[str] = set()
        self._pattern: Pattern | None = None

    def append(self, items: Iterable[LogLineLike | Fault]) -> tuple[int, int]:
        """Add lines.

        Return (how many of them are shown, how many shown ones were dropped from the front).
        """
        added = 0
        for item in items:
            entry: LogLineLike = (
                Said(f"{item.reason}" + (f" → {item.remedy}" if item.remedy else ""))
                if isinstance(item, Fault)
                else item
            )
            if entry.pod:
                self.pods.setdefault(entry.pod, len(self.pods))
                self.containers.add(entry.container)
            if self._passes(entry):
                self.shown.append(self.first + len(self.lines))
                added += 1
            self.lines.append(entry)
            self._characters += len(entry.text)
        return added, self._trim()

    def _trim(self) -> int:
        times = 2 if self.held else 1
        excess = max(0, len(self.lines) - times * self.capacity)
        characters = self._characters - sum(len(line.text) for line in self.lines[:excess])
        while characters > times * CHARACTERS:
            characters -= len(self.lines[excess].text)
            excess += 1
        if excess <= 0:
            return 0
        # in chunks: cutting a list's head costs its length
        excess = min(len(self.lines), excess + self.capacity // 20)
        self._characters -= sum(len(line.text) for line in self.lines[:excess])
        del self.lines[:excess]
        self.first += excess
        self.dropped += excess
        gone = next((index for index, number in enumerate(self.shown) if number >= self.first), len(self.shown))
        del self.shown[:gone]
        return gone

    def clear(self) -> None:
        """Drop all lines, as another stream begins; the filter stays."""
        self.first += len(self.lines)
        self.lines, self.shown, self.pods, self.containers = [], [], {}, set()
        self.dropped = self._characters = 0

    def line(self, number: int) -> LogLineLike:
        return self.lines[number - self.first]

    def _passes(self, entry: LogLineLike) -> bool:
        if self._pattern is None:
            return True
        return (self._pattern.found_in(entry.text) or self._pattern.found_in(entry.pod)) is not self.inverse

    def first_match(self, entry: LogLineLike) -> int:
        """Return where in the line's text the filter first matches, 0 when it does not."""
        return self._pattern.first(entry.text) if self._pattern is not None and not self.inverse else 0

    def set_filter(self, query: str, inverse: bool = False) -> str:
        """Show only what matches (or does not).

        A bad pattern changes nothing; the words returned say what is wrong.
        """
        try:
            pattern = Pattern(query, ignore_case=not any(c.isupper() for c in query)) if query else None
        except PatternRefused as error:
            self.problem = f"not a pattern: {error}"
            return self.problem
        self.query, self.inverse, self.problem, self._pattern = query, inverse, "", pattern
        self.shown = [self.first + index for index, entry in enumerate(self.lines) if self._passes(entry)]
        return ""

    def error_after(self, number: int, by: int) -> int | None:
        """Return the next (by=1) or previous (by=-1) shown line that tells of an error."""
        order = self.shown if by > 0 else reversed(self.shown)
        return next((n for n in order if (n - number) * by > 0 and self.line(n).error), None)


def rows_of(text: str, width: int, wrapped: bool) -> int:
    """Count the screen rows of a text of cells folded at `width`."""
    if not wrapped:
        return 1
    cells = len(text) if text.isascii() else cell_len(text)
    return max(1, -(-cells // max(1, width)))
