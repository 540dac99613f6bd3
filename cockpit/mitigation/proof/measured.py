"""Asks Prometheus for what is new since a step, over a window that is as long as the line's hold.

A signal over five minutes still holds what was before the step. So its query is asked again with a
shorter window, and the raw samples under it beside: from when to when they reach, whether a counter
began anew between them, how old the newest is. What cannot be asked is left to the signal itself,
which must then wait for its window.
"""

from __future__ import annotations

import asyncio
import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from cockpit.assessment.baseline import judge
from cockpit.clock import Clock
from cockpit.mitigation.context import Measure
from cockpit.mitigation.proof.grounds import AHEAD_S, Evidence, unfit
from cockpit.model.observed.metrics import History, QueryResult
from cockpit.model.runbook import Runbooks, SignalDef, Validation
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation
from cockpit.sources.prometheus.windows import narrowed, spans

EVERY_S, PATIENCE_S = 5.0, 8.0
MARGIN_S = 15.0  # until it is known how often is scraped
LEAST_S = 30.0  # a shorter window holds too few samples to say anything
MOST_SAMPLES = 200_000
GAPS = 3.5  # scrapes: so long without a sample is a gap


class Measuring:
    """Measures the lines of one proof; `poll` at each turn, it asks when it is time to."""

    def __init__(self, measure: Measure, lines: Sequence[Validation], runbooks: Runbooks, clock: Clock) -> None:
        self._measure = measure
        self._runbooks = runbooks
        self._clock = clock
        self._lines = {index: line for index, line in enumerate(lines) if self._shortens(line)}
        self._asked: float | None = None
        self._first: tuple[float, float] | None = None  # the server's time and ours when the proof began
        self._last = (0.0, 0.0)
        self._margin: dict[int, float] = {}  # by line: the first and the last sample lie inside the window

    def _shortens(self, line: Validation) -> bool:
        signal = self._runbooks.signals.get(line.signal)
        if signal is None or signal.promql is None or line.expect == "falls":
            return False
        found = spans(signal.promql)
        return found.plain and found.longest_s > max(line.hold, LEAST_S)

    async def poll(self, situation: Situation | None) -> dict[int, Evidence]:
        """Return what was measured now, by the line's place; nothing while it is not time."""
        now = self._clock.mono()
        if not self._lines or situation is None or (self._asked is not None and now - self._asked < EVERY_S):
            return {}
        self._asked = now
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._ask(situation)
        except Exception:  # whatever keeps Prometheus from answering: the signals say it too
            return {}

    async def _ask(self, situation: Situation) -> dict[int, Evidence]:
        plans: dict[int, tuple[SignalDef, float, list[str]]] = {}
        if self._first is not None:
            since = (self._clock.mono() - self._first[1]) * self._pace()
            for index, line in self._lines.items():
                signal = self._runbooks.signals[line.signal]
                assert signal.promql is not None
                seconds = max(line.hold, LEAST_S) + self._margin.get(index, MARGIN_S)
                query = narrowed(signal.promql, seconds)
                if query is not None and since >= seconds:
                    raw = [f"{selector}[{round(seconds * 1000)}ms]" for selector in spans(signal.promql).selectors]
                    plans[index] = (signal, seconds, [query, *raw])
        at, answers = await self._measure([query for *_, queries in plans.values() for query in queries])
        mono = self._clock.mono()
        if self._first is None:
            self._first = (at, mono)
        self._last = (at, mono)
        found: dict[int, Evidence] = {}
        rest = list(answers)
        for index, (signal, seconds, queries) in plans.items():
            own, rest = rest[: len(queries)], rest[len(queries) :]
            status = situation.signals.get(self._lines[index].signal)
            if status is not None and status.level is not Level.UNKNOWN and len(own) == len(queries):
                scraped = scrape_step([result.history for result in own[1:]])
                self._margin[index] = max(MARGIN_S, 2.0 * scraped + 5.0)
                found[index] = self._evidence(signal, status, own, at, seconds, mono)
        return found

    def _pace(self) -> float:
        """Return seconds of the server in one of ours: a drill may run fast."""
        if self._first is None or self._last[1] - self._first[1] < EVERY_S:
            return 1.0
        return max(0.01, (self._last[0] - self._first[0]) / (self._last[1] - self._first[1]))

    def _evidence(
        self,
        signal: SignalDef,
        status: SignalStatus,
        own: Sequence[QueryResult],
        at: float,
        seconds: float,
        mono: float,
    ) -> Evidence:
        pace = self._pace()

        def ours(server: float) -> float:
            return mono - (at - server) / pace

        since, until, why = covered([result.history for result in own[1:]], at, at - seconds)
        values = [sample.value for sample in own[0].samples]
        if not values or not all(map(math.isfinite, values)):
            why = why or "nothing was measured since the step"
        if own[0].warnings:
            why = why or f"Prometheus warns, the result may be partial: {own[0].warnings[0]}"
        if why:
            return Evidence(status, ours(since), ours(until), why, exact=True)
        value = (max if signal.direction == "above" else min)(values)
        level = judge(value, signal.direction, status.warn, status.crit)
        reason = "" if level is Level.OK else f"{value:.4g} in the last {(until - since):.0f} s"
        assert self._first is not None
        why = unfit(ours(since), ours(until), self._first[1], mono, signal.max_age)
        made = replace(status, level=level, value=value, reason=reason, pending=None, recovering=None)
        return Evidence(made, ours(since), ours(until), why, gap_s=signal.max_age, exact=True)


def scrape_step(selectors: Sequence[Sequence[History]]) -> float:
    """Return how far apart samples are, at the selector that is scraped least; 0 when unknown."""
    medians = [
        statistics.median(steps)
        for found in selectors
        if (steps := [b[0] - a[0] for series in found for a, b in pairwise(series.points)])
    ]
    return max(medians, default=0.0)


def covered(selectors: Sequence[Sequence[History]], at: float, start: float) -> tuple[float, float, str]:
    """Return from when to when raw samples speak of a window, and why they do not.

    Each selector must have some; the window is what all of them cover without a gap, since the last
    time that a counter began anew.
    """
    since, until = start, at
    if sum(len(series.points) for found in selectors for series in found) > MOST_SAMPLES:
        return at, at, f"more than {MOST_SAMPLES:,} samples lie under it"
    known = 0
    for found in selectors:
        series = [one.points for one in found if one.points]
        if not series:
            continue
        known += 1
        newest = max(points[-1][0] for points in series)
        if newest > at + AHEAD_S:
            return since, newest, f"samples are dated {newest - at:.0f} s ahead: a clock is wrong"
        until = min(until, newest)
        steps = [b[0] - a[0] for points in series for a, b in pairwise(points)]
        step = statistics.median(steps) if steps else at - start
        since = max(since, min(points[0][0] for points in series))
        for points in series:
            if points[-1][0] < newest - GAPS * step:
                continue  # one that ended: the signal itself says whether that matters
            for (before, low), (after, high) in pairwise(points):
                if after - before > GAPS * step or high < low:
                    since = max(since, after)
    if not known:
        return at, at, "no sample lies under it"
    return since, until, ""
