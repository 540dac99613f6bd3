"""Keeps the values that no Prometheus keeps: the chain's, PostgreSQL's, the cluster's, since start.

Bounded: two hours finely, two days coarsely, 16 bytes a point.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field

from cockpit.model.signal import Level
from cockpit.model.situation import Situation

#: (seconds between two points, points)
_TIERS = ((10.0, 720), (120.0, 1440))
#: A point stands for so many spacings: a value that is read late is no gap.
_REACH = 1.6


@dataclass(slots=True)
class _Ring:
    """Keeps points with some seconds between them; the oldest go first, a tenth at a time."""

    every_s: float
    most: int
    times: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def note(self, at: float, value: float) -> None:
        if self.times and 0.0 <= at - self.times[-1] < self.every_s:
            return
        if self.times and at < self.times[-1]:  # the clock was put back: what it said before cannot be ordered
            del self.times[:], self.values[:]
        if len(self.times) >= self.most:
            cut = max(1, self.most // 10)
            del self.times[:cut], self.values[:cut]
        self.times.append(at)
        self.values.append(value)

    def at(self, when: float, reach_s: float) -> float | None:
        place = bisect_right(self.times, when) - 1
        return self.values[place] if place >= 0 and when - self.times[place] < reach_s else None


class OwnHistory:
    """Keeps the signals that are values of a source; those of a query Prometheus keeps itself."""

    def __init__(self) -> None:
        self.since: float | None = None  # unix seconds of the first situation
        self._rings: dict[str, tuple[_Ring, ...]] = {}
        self._noted = -math.inf

    def note(self, situation: Situation) -> None:
        """Keep what the signals are now; cheap when it is too early."""
        if 0.0 <= situation.wall - self._noted < _TIERS[0][0] / 2:
            return
        self._noted = situation.wall
        if self.since is None:
            self.since = situation.wall
        for name, signal in situation.runbooks.signals.items():
            status = situation.signals.get(name)
            if signal.value is None or status is None or status.off:
                continue
            known = status.level is not Level.UNKNOWN and status.value is not None
            number = status.value if known and status.value is not None else math.nan
            if name not in self._rings:
                self._rings[name] = tuple(_Ring(every, most) for every, most in _TIERS)
            for ring in self._rings[name]:
                ring.note(situation.wall, number)

    def points(self, name: str, start: float, end: float, step: float) -> tuple[tuple[float, float], ...]:
        """Return a point each step, as Prometheus would: the newest value a little before it.

        Where nothing was read there is none; where it was unknown it is NaN.
        """
        fine, coarse = self._rings.get(name) or (_Ring(*_TIERS[0]), _Ring(*_TIERS[1]))
        found = []
        for place in range(math.floor((end - start) / step), -1, -1):
            when = end - place * step
            value = fine.at(when, max(step, fine.every_s * _REACH))
            if value is None and fine.times and when < fine.times[0]:
                value = coarse.at(when, max(step, coarse.every_s * _REACH))
            if value is not None:
                found.append((when, value))
        return tuple(found)
