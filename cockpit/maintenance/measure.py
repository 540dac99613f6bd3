"""Reduces days of Prometheus history to a few numbers: the runbooks' queries over a round's time.

A rate over two minutes, read every forty, misses most of what happened: windows are widened to the
distance between two points, so that every event is in exactly one of them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from cockpit.model.observed.metrics import History
from cockpit.model.runbook import SignalDef

#: (PromQL, from, to, distance between points in seconds) → every series. Raises any Exception with
#: a message.
Ranges = Callable[[str, float, float, float], Awaitable[Sequence[History]]]

POINTS = 336  # of each series: of a week, one in half an hour
LEAST_STEP_S = 60.0
_WINDOW = re.compile(r"\[(\d+)([smh])\]")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
WEEK_S = 7 * 86400.0
#: A trend wants half of the time covered, and so many points.
_TREND_POINTS, _TREND_SHARE = 24, 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """Holds a round's time, on Prometheus' clock."""

    start: float
    end: float

    @property
    def step(self) -> float:
        """Return the step in whole seconds.

        With a fraction, however it is written, the last point may come to lie after the
        end, and is lost.
        """
        return max(LEAST_STEP_S, (self.end - self.start) // POINTS)

    @property
    def first(self) -> float:
        """Return the first point, chosen so that the last is the end itself.

        The end may be the only point of which anything is kept.
        """
        return self.end - ((self.end - self.start) // self.step - 1) * self.step


@dataclass(frozen=True, slots=True)
class Stats:
    """Holds the numbers of one series.

    `covered`: 0..1 of the time has points. `over`: 0..1 of the points out of bounds; None
    without bounds.
    """

    labels: Mapping[str, str]
    median: float
    p95: float
    most: float
    mean: float
    newest: float
    covered: float
    over: float | None = None
    trend: float | None = None  # a week, by least squares; None when there is too little to tell
    level: float | None = None  # where the trend's line has come to at the end
    total: float = 0.0  # of a rate per minute: how many in all


def widened(promql: str, step_s: float) -> str:
    """Return the query with every window at least `step_s` long."""

    def wide(match: re.Match[str]) -> str:
        own = int(match[1]) * _SECONDS[match[2]]
        return match[0] if own >= step_s else f"[{step_s:.0f}s]"

    return _WINDOW.sub(wide, promql)


async def measured(ranges: Ranges, promql: str, span: Span, signal: SignalDef | None = None) -> tuple[Stats, ...]:
    """Return the numbers of every series that has a point, the worst first by `signal`'s direction.

    Raises what `ranges` raises.
    """
    step = span.step
    found = await ranges(widened(promql, step), span.first, span.end, step)
    below = signal is not None and signal.direction == "below"
    stats = [one for history in found if (one := summary(history, span, signal)) is not None]
    return tuple(sorted(stats, key=lambda one: one.most, reverse=not below))


def summary(history: History, span: Span, signal: SignalDef | None = None) -> Stats | None:
    """Summarise a series; None when no point is a number.

    Where low is bad, `most` and `p95` are the lowest and the 5th percentile.
    """
    points = [(at, value) for at, value in history.points if value == value and abs(value) != float("inf")]
    if not points:
        return None
    below = signal is not None and signal.direction == "below"
    ordered = sorted((value for _, value in points), reverse=below)
    bound = (
        signal.warn if signal is not None and signal.warn is not None else signal.crit if signal is not None else None
    )
    over: float | None = None
    if signal is not None and bound is not None and signal.baseline is None:
        over = sum(value <= bound if below else value >= bound for value in ordered) / len(ordered)
    step = span.step
    expected = max(1.0, (span.end - span.start) / step)
    covered = min(1.0, len(points) / expected)
    values = [value for _, value in points]
    slope, level = _trend(points) if len(points) >= _TREND_POINTS and covered >= _TREND_SHARE else (None, None)
    return Stats(
        labels=history.labels,
        median=_rank(ordered, 0.5),
        p95=_rank(ordered, 0.95),
        most=ordered[-1],
        mean=sum(values) / len(values),
        newest=values[-1],
        covered=covered,
        over=over,
        trend=slope,
        level=level,
        total=sum(values) * step / 60.0,
    )


def _rank(ordered: Sequence[float], share: float) -> float:
    """Return the value at a nearest rank."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _trend(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the slope a week, and the line's value at the last point."""
    mean_t = sum(at for at, _ in points) / len(points)
    mean_v = sum(value for _, value in points) / len(points)
    spread = sum((at - mean_t) ** 2 for at, _ in points)
    slope = sum((at - mean_t) * (value - mean_v) for at, value in points) / spread if spread else 0.0
    return WEEK_S * slope, mean_v + slope * (points[-1][0] - mean_t)
