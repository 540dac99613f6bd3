"""Finds when a signal left its normal band, in Prometheus' history, however long ago that was.

Two questions at a time at most, coarse ones first, and only of what is bad.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cockpit.assessment.baseline import Points, amount, judge, merged
from cockpit.errors import CockpitError
from cockpit.model.observed.changes import Onset
from cockpit.model.observed.metrics import History, QueryResult
from cockpit.model.runbook import SignalDef, listed
from cockpit.model.signal import SignalStatus
from cockpit.model.situation import Situation

#: (span, step) in seconds: the next where all of it is bad.
SPANS = ((3600.0, 15.0), (21600.0, 60.0), (86400.0, 300.0), (604800.0, 1800.0))
FINE_S = 5.0  # a scrape: nothing is known more exactly
AT_ONCE = 2
#: So long a bad time may be well in between, and is one all the same.
JOINED_S = 120.0
#: So much before it was bad it may have begun to leave its normal band.
LEAVING_S = 600.0
#: So much of what it usually is lies in its band; so far beyond it is left, of the way to WARN.
BAND, BEYOND = 0.98, 0.2
_ENOUGH = 12  # points, to tell what is normal
_EVERY_S = 1.0
_AGAIN_S = 15.0  # after a failure
_FORGET_S = 60.0

#: (PromQL, from, to, step) → every series. Raises CockpitError when it cannot be asked.
Ranges = Callable[[str, float, float, float], Awaitable[tuple[History, ...]]]


class Prometheus(Protocol):
    """Asks on the caller's own loop; raises CockpitError when it cannot be asked."""

    async def ranges(self, promql: str, start: float, end: float, step: float) -> tuple[History, ...]: ...

    async def at_once(self, queries: Sequence[str]) -> tuple[float, tuple[QueryResult, ...]]:
        """Return Prometheus' own time, and the answers."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Says from where on a signal is bad, and on which side."""

    direction: str
    warn: float | None
    crit: float | None

    def bad(self, value: float) -> bool:
        return judge(value, self.direction, self.warn, self.crit).bad

    @property
    def nearest(self) -> float | None:
        return self.warn if self.warn is not None else self.crit


def began(points: Points, limits: Limits) -> int | None:
    """Return the index of the first point outside the normal band, of the bad time that lasts.

    None: it is not bad at the end, or was bad all along.
    """
    first = _first_bad(points, limits)
    if first is None or first == 0:
        return first
    edge = band_edge([value for at, value in points[:first] if at < points[first][0] - 60.0], limits)
    if edge is None:
        return first
    earliest = points[first][0] - LEAVING_S
    above = limits.direction == "above"
    while first > 0 and points[first - 1][0] >= earliest:
        value = points[first - 1][1]
        if value <= edge if above else value >= edge:
            break
        first -= 1
    return first


def _first_bad(points: Points, limits: Limits) -> int | None:
    first = None
    for index in range(len(points) - 1, -1, -1):
        at, value = points[index]
        if limits.bad(value):
            first = index
        elif first is None:
            if points[-1][0] - at > JOINED_S:
                return None
        elif points[first][0] - at > JOINED_S:
            break
    return first


def band_edge(normal: Sequence[float], limits: Limits) -> float | None:
    """Return where the band ends on the bad side; None where too little is known."""
    limit = limits.nearest
    if len(normal) < _ENOUGH or limit is None:
        return None
    ordered = sorted(normal)
    middle = ordered[len(ordered) // 2]
    if limits.direction == "above":
        last = ordered[min(len(ordered) - 1, int(BAND * len(ordered)))]
        return min(limit, last + BEYOND * max(0.0, limit - middle))
    last = ordered[int((1.0 - BAND) * len(ordered))]
    return max(limit, last - BEYOND * max(0.0, middle - limit))


async def dated(name: str, signal: SignalDef, status: SignalStatus, ranges: Ranges, now: float) -> Onset | None:
    """Return when the signal left its band, by Prometheus' clock; None: it is not bad there."""
    assert signal.promql is not None
    limits = Limits(signal.direction, status.warn, status.crit)
    points: Points = []
    for span, step in SPANS:
        points = merged(await ranges(signal.promql, now - span, now, step), signal.direction)
        index = began(points, limits)
        if index is None:
            return None
        fresh = points[index][0] > now - span + 3 * step
        if index > 0 or fresh:
            return await _refined(name, signal, limits, ranges, points, index, step)
    first = points[0][0] if points else now
    return Onset(first, SPANS[-1][1], name, signal.title, "bad as far back as Prometheus tells", at_latest=True)


async def _refined(
    name: str, signal: SignalDef, limits: Limits, ranges: Ranges, points: Points, index: int, step: float
) -> Onset:
    """Go closer, until no scrape lies between what was well and what was not."""
    assert signal.promql is not None
    edge = band_edge([value for at, value in points[:index] if at < points[index][0] - 60.0], limits)
    limit = edge if edge is not None else limits.nearest
    at, value, within = points[index][0], points[index][1], step
    while step > FINE_S and limit is not None:
        finer = max(FINE_S, step / 24)
        closer = merged(await ranges(signal.promql, at - 2 * step, at + step, finer), signal.direction)
        left = [(t, v) for t, v in closer if (v > limit if signal.direction == "above" else v < limit)]
        well = [t for t, v in closer if (t, v) not in left and t < at]
        found = next(((t, v) for t, v in left if not well or t > well[-1]), None)
        if found is not None:
            at, value = found
        step = within = finer
    return Onset(at, within, name, signal.title, f"{amount(value)} {signal.unit}".rstrip())


class OnsetReader:
    """Dates what is bad; `found` is replaced whole. What cannot be asked is asked again later."""

    def __init__(self, prometheus: Callable[[], Prometheus], mono: Callable[[], float]) -> None:
        self.found: Mapping[str, Onset] = {}
        self.trouble = ""
        self._prometheus, self._mono = prometheus, mono
        self._well_since: dict[str, float] = {}
        self._tried: dict[str, float] = {}
        self._asking: asyncio.Task[None] | None = None
        self._asked_at = float("-inf")

    @property
    def known(self) -> tuple[Mapping[str, Onset], str]:
        """Return what is dated, and why the rest is not."""
        return self.found, self.trouble

    def follow(self, situation: Situation) -> None:
        """Go on dating beside the caller, once a second at most."""
        if (self._asking is None or self._asking.done()) and self._mono() - self._asked_at >= _EVERY_S:
            self._forget(situation)
            self._asked_at = self._mono()
            if self._due(situation):
                self._asking = asyncio.create_task(self.date_new(situation))

    def _due(self, situation: Situation) -> list[str]:
        return [name for name in self._wanted(situation) if self._mono() - self._tried.get(name, -1e9) >= _AGAIN_S]

    async def date_new(self, situation: Situation) -> None:
        """Date what is bad and not dated yet."""
        due = self._due(situation)
        gate = asyncio.Semaphore(AT_ONCE)
        try:
            prometheus = self._prometheus()
            now, _ = await prometheus.at_once(("vector(1)",))
        except Exception as error:  # whatever keeps it from being asked: said, and tried again
            self.trouble = CockpitError.of(error).line()
            self._tried |= dict.fromkeys(due, self._mono())
            return
        off = situation.cluster_now - now

        async def one(name: str) -> None:
            async with gate:
                self._tried[name] = self._mono()
                try:
                    signal, status = situation.runbooks.signals[name], situation.signals[name]
                    found = await dated(name, signal, status, prometheus.ranges, now)
                except Exception as error:
                    self.trouble = CockpitError.of(error).line()
                    return
                self.trouble = ""
                if found is not None:
                    self.found = {**self.found, name: _moved(found, off)}

        await asyncio.gather(*(one(name) for name in due))

    def _wanted(self, situation: Situation) -> list[str]:
        """Return the bad signals that Prometheus keeps, those of the leading runbooks first."""
        defined = situation.runbooks.signals
        bad = [
            name
            for name, status in situation.signals.items()
            if status.level.bad and name in defined and defined[name].promql and name not in self.found
        ]
        first = [n for m in listed(situation.matches) for s in m.symptoms for n in s.symptom.witnesses]
        return sorted(bad, key=lambda name: first.index(name) if name in first else len(first))

    def _forget(self, situation: Situation) -> None:
        mono = self._mono()
        for name in list(self.found):
            status = situation.signals.get(name)
            if status is not None and (status.level.bad or status.recovering is not None or status.value is None):
                self._well_since.pop(name, None)
            elif mono - self._well_since.setdefault(name, mono) > _FORGET_S:
                self.found = {each: onset for each, onset in self.found.items() if each != name}
                self._well_since.pop(name, None)


def _moved(onset: Onset, by_s: float) -> Onset:
    """Tell it on the cluster's clock, where that is more than a moment off."""
    if abs(by_s) < 2.0:
        return onset
    return Onset(onset.at + by_s, onset.within_s, onset.signal, onset.title, onset.why, onset.at_latest)
