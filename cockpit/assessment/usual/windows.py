"""Finds what is normal for a signal, and of when that is: its thresholds may be multiples of it."""

from __future__ import annotations

import math
import operator
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from cockpit.assessment.baseline import Points

#: The newest minutes are left out of a baseline: they are what it judges.
RECENT_S = 300.0
#: Fewer points, or a shorter time, make no baseline.
FEWEST_POINTS = 10
SHORTEST_S = 300.0
#: What is known of a shorter time can say that something is bad, never that it is well: an outage
#: may fill all of it.
ENOUGH_S = 2700.0
#: … and of less than this share of a window that is itself shorter.
ENOUGH_SHARE = 0.8
#: Which part of the window's values is normal: that of a flow whose trouble is to be low lies high,
#: so that an incident may fill most of the window and does not become what is normal.
NORMAL_QUANTILE = 0.75


@dataclass(frozen=True, slots=True)
class Usual:
    """Says what is normal and of which time that is, in unix seconds of the server's clock."""

    value: float
    since: float
    until: float
    kept: bool = False  # read from disk, not from Prometheus

    @property
    def span_s(self) -> float:
        return self.until - self.since

    @property
    def words(self) -> str:
        """Return of when it is: "of 11-29 17:00 to 11-30 17:00 UTC"."""
        first, last = (datetime.fromtimestamp(at, UTC) for at in (self.since, self.until))
        day = "" if first.date() == last.date() else f"{last:%m-%d} "
        return f"{'kept, ' if self.kept else ''}of {first:%m-%d %H:%M} to {day}{last:%H:%M} UTC"

    def enough(self, window_s: float) -> bool:
        """Tell whether something may be called well against it."""
        return self.kept or self.span_s >= min(ENOUGH_S, ENOUGH_SHARE * (window_s - RECENT_S))


def median(points: Points, now: float | None, window_s: float) -> Usual | None:
    """Return the median over `window_s` seconds.

    The newest five minutes count only if there is little else.
    """
    chosen = _chosen(points, now if now is not None else points[-1][0], window_s) if points else []
    if not chosen:
        return None
    return Usual(statistics.median(value for _, value in chosen), chosen[0][0], chosen[-1][0])


def normal(points: Points, now: float, window_s: float, direction: str) -> Usual | None:
    """Return what is normal over a long window.

    Each value weighs as long as it stood; the newest five minutes are left out where more is known.
    """
    chosen = _chosen([one for one in points if math.isfinite(one[1])], now, window_s)
    if not chosen:
        return None
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
            return Usual(value, times[0], times[-1])
    return Usual(ranked[-1][0], times[0], times[-1])


def too_short(points: Points, now: float | None) -> str:
    """Say why these points make no baseline."""
    if not points:
        return "what is usual is not known: no history"
    return f"what is usual is not known: {((now or points[-1][0]) - points[0][0]) / 60:.0f} min of history"


def _chosen(points: Points, now: float, window_s: float) -> Points:
    """Return the points of a window without its newest minutes; none where they are too few."""
    window = [(at, value) for at, value in points if now - window_s <= at <= now]
    older = [(at, value) for at, value in window if at <= now - RECENT_S]
    chosen = older if len(older) >= FEWEST_POINTS else window
    if len(chosen) < FEWEST_POINTS or chosen[-1][0] - chosen[0][0] < min(SHORTEST_S, window_s / 2):
        return []
    return chosen
