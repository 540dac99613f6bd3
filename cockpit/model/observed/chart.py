"""Holds a chart: what one number was over some time, with its gaps, and what happened meanwhile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, Literal

import msgspec

#: The ranges that a chart can show: name → (seconds, seconds between two points).
#: Each gives some hundred points: what a terminal can show, and no load for Prometheus.
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "5 min": (300.0, 5.0),
    "15 min": (900.0, 5.0),
    "1 h": (3600.0, 15.0),
    "6 h": (21_600.0, 120.0),
    "24 h": (86_400.0, 300.0),
    "7 d": (604_800.0, 1800.0),
    "30 d": (2_592_000.0, 7200.0),
}
FIRST_RANGE: Final = "1 h"
#: Lines that are drawn at once: no more can be told apart.
MOST_TRACES: Final = 8
#: The axis goes on for so much of the range, and so many seconds, at a time: between, only what is
#: new is drawn.
_ROOM: Final = (0.1, 60.0)


class ChartOf(msgspec.Struct, frozen=True):
    """Names the number: a signal or a query of the runbooks, of one object or of all."""

    kind: Literal["signal", "query"]
    name: str
    label: str = ""  # only the series of which this label is `value`
    value: str = ""


class Mark(msgspec.Struct, frozen=True):
    """Says that something happened: a step of ours, an alert, a change. `at` is unix seconds."""

    at: float
    kind: Literal["step", "alert", "change"]
    text: str


class Trace(msgspec.Struct, frozen=True):
    """Holds one series: its labels in words, points (unix seconds, value) oldest first.

    A value may be NaN or infinite, and a point may be missing: both are gaps.
    """

    name: str
    points: tuple[tuple[float, float], ...]


class Chart(msgspec.Struct, frozen=True):
    """Holds what was answered, the worst series first.

    `start` and `end` are unix seconds of the clock that `behind_s` is told of: how far this
    machine's clock is behind it. `series`: how many there are, of which `traces` are the worst.
    """

    of: ChartOf
    range: str
    start: float
    end: float
    traces: tuple[Trace, ...] = ()
    series: int = 0
    origin: str = ""  # where it comes from: the query, or since when the cockpit keeps it
    notes: tuple[str, ...] = ()  # warnings of Prometheus, what was left out
    behind_s: float = 0.0

    @property
    def step_s(self) -> float:
        return RANGES[self.range][1]


class ChartNow(msgspec.Struct, frozen=True):
    """Says how far a chart is that was asked for.

    `asked_at`: monotonic seconds, while a question is under way. `answered_at`: of the last good
    answer. `fault`: why the last question had none; `chart` is then what was known before.
    `about` says in lines what the number is.
    """

    of: ChartOf
    range: str
    asked_at: float | None = None
    answered_at: float | None = None
    chart: Chart | None = None
    fault: str = ""
    remedy: str = ""
    about: tuple[str, ...] = ()


def axis(range_: str, end: float) -> tuple[float, float]:
    """Return the first and the last second of the axis.

    It moves by a tenth of the range, or a minute, at a time, so that most of a picture stays.
    """
    span, _ = RANGES[range_]
    room = max(span * _ROOM[0], _ROOM[1])
    last = math.floor(end / room + 1.0) * room
    return last - span - room, last
