"""Draws a signal's sparkline and finds the median that its thresholds may be multiples of."""

from __future__ import annotations

import math
import operator
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

from cockpit.model.observed.metrics import History
from cockpit.model.signal import Level

Points = list[tuple[float, float]]

#: The newest minutes are left out of a baseline: they are what it judges.
RECENT_S = 300.0
#: Fewer points, or a shorter time, make no baseline.
FEWEST_POINTS = 10
SHORTEST_S = 300.0
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


def median(points: Points, now: float | None, window_s: float) -> tuple[float | None, str]:
    """Return the baseline over `window_s` seconds, or None and why.

    The newest five minutes count only if there is little else.
    """
    if not points:
        return None, "no history for the baseline"
    end = now if now is not None else points[-1][0]
    window = [(at, value) for at, value in points if end - window_s <= at <= end]
    older = [(at, value) for at, value in window if at <= end - RECENT_S]
    chosen = older if len(older) >= FEWEST_POINTS else window
    if len(chosen) < FEWEST_POINTS or chosen[-1][0] - chosen[0][0] < min(SHORTEST_S, window_s / 2):
        span = window[-1][0] - window[0][0] if window else 0.0
        return None, f"not enough history for the baseline: {span / 60:.0f} of {window_s / 60:.0f} min"
    return statistics.median(value for _, value in chosen), ""


#: Which part of the window's values is normal: that of a flow whose trouble is to be low lies high,
#: so that an incident may fill most of the window and does not become what is normal.
NORMAL_QUANTILE = 0.75


def normal(points: Points, now: float, window_s: float, direction: str) -> tuple[float | None, str, str]:
    """Return what is normal over a long window, of when it is, or why it is not known.

    Each value weighs as long as it stood; the newest five minutes are left out where more is known.
    """
    window = [(at, value) for at, value in points if now - window_s <= at <= now and math.isfinite(value)]
    older = [(at, value) for at, value in window if at <= now - RECENT_S]
    chosen = older if len(older) >= FEWEST_POINTS else window
    if len(chosen) < FEWEST_POINTS or chosen[-1][0] - chosen[0][0] < min(SHORTEST_S, window_s / 2):
        span = window[-1][0] - window[0][0] if window else 0.0
        return None, "", f"not enough history for the baseline: {span / 60:.0f} min"
    times = [at for at, _ in chosen]
    longest = 3.0 * statistics.median(map(operator.sub, times[1:], times)) if len(times) > 2 else window_s
    stood = [max(0.0, after - at) for at, after in pairwise(times)]
    weights = [*(each if each <= max(longest, 1800.0) else longest for each in stood), 0.0]
    share = NORMAL_QUANTILE if direction == "below" else 1.0 - NORMAL_QUANTILE
    left = share * sum(weights)
    ranked = sorted(zip((value for _, value in chosen), weights, strict=True))
    for value, weight in ranked:
        left -= weight
        if left <= 0.0:
            return value, f"of {_clock(times[0])} to {_clock(times[-1])}", ""
    return ranked[-1][0], f"of {_clock(times[0])} to {_clock(times[-1])}", ""


def usual(
    long: Points, recent: Points, now: float | None, window_s: float, direction: str
) -> tuple[float | None, str, str]:
    """Return what is normal, of when it is, or why it is not known.

    Where the long window was not read (yet), the median of the history at hand stands for it.
    """
    if long and now is not None:
        found = normal(long, now, window_s, direction)
        if found[0] is not None:
            return found
    base, why = median(recent, now, window_s)
    return base, "of the last hour" if base is not None else "", why


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M UTC")


def judge(value: float, direction: str, warn: float | None, crit: float | None) -> Level:
    """Return the level of a finite value.

    Above: value >= threshold; below: value <= threshold.
    """
    for threshold, level in ((crit, Level.CRIT), (warn, Level.WARN)):
        if threshold is not None and (value >= threshold if direction == "above" else value <= threshold):
            return level
    return Level.OK


def amount(value: float) -> str:
    """Return a number as an operator says it: 74, 1.2, 0.034, 58,000."""
    size = abs(value)
    if size >= 100 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.3g}"
