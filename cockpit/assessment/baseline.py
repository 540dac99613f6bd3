"""Draws a signal's sparkline, and judges a number by its thresholds."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

from cockpit.model.observed.metrics import History
from cockpit.model.signal import YES_NO, Level, noun_of

Points = list[tuple[float, float]]

#: Cells of a sparkline.
SPARK_CELLS = 60


def merged(history: Sequence[History], direction: str) -> Points:
    """Make one line of all labels' series: at each moment the worst.

    NaN and infinities are left out.
    """
    finite = math.isfinite
    if len(history) == 1:
        return [point for point in history[0].points if finite(point[1])]
    # sorted by time and then by value, the last of a moment stays: the worst
    every = [point for series in history for point in series.points if finite(point[1])]
    return sorted(dict(sorted(every, reverse=direction != "above")).items())


def spark(points: Points, now: float | None, span_s: float) -> tuple[float | None, ...]:
    """Return the last `span_s` seconds in at most `SPARK_CELLS` cells, oldest first.

    None stands where nothing was read.
    """
    if not points:
        return ()
    end = now if now is not None else points[-1][0]
    cells: list[float | None] = [None] * SPARK_CELLS
    width = span_s / SPARK_CELLS
    for at, value in points:
        cell = SPARK_CELLS - 1 - int((end - at) / width) if at <= end else SPARK_CELLS - 1
        if cell >= 0:
            cells[cell] = value
    known = [index for index, value in enumerate(cells) if value is not None]
    return tuple(_filled(cells[known[0] :], width, points)) if known else ()


def _filled(cells: list[float | None], width: float, points: Points) -> list[float | None]:
    """Repeat the last value in cells narrower than the step: a coarse step is no gap."""
    times = [at for at, _ in points]
    steps = sorted(map(operator.sub, times[1:], times))
    step = steps[len(steps) // 2] if steps else width
    reach = math.ceil(step / width)
    out: list[float | None] = []
    last, since = None, 0
    for value in cells:
        if value is not None:
            last, since = value, 0
        else:
            since += 1
        out.append(last if value is not None or since < reach else None)
    return out


def judge(value: float, direction: str, warn: float | None, crit: float | None) -> Level:
    """Return the level of a finite value.

    Above: value >= threshold; below: value <= threshold.
    """
    for threshold, level in ((crit, Level.CRIT), (warn, Level.WARN)):
        if threshold is not None and (value >= threshold if direction == "above" else value <= threshold):
            return level
    return Level.OK


def with_unit(value: float, unit: str) -> str:
    """Return "38 %", "1 pod", "118/min", or "yes" and "no" of what is so or not."""
    if unit == YES_NO:
        return "yes" if value else "no"
    if not unit or unit.startswith("/"):
        return f"{amount(value)}{unit}"
    return f"{amount(value)} {noun_of(value, unit)}"


def amount(value: float) -> str:
    """Return a number as an operator says it: 74, 1.2, 0.034, 58,000."""
    size = abs(value)
    if size >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.3g}"
