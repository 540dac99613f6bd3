"""Asks the queries of signals that are bad over their newest seconds alone, as `newest/NAME`.

`increase(x[5m])` holds an incident for five minutes after its end. Over a scrape or two it tells
what is new; where nothing bad is, the signal recovers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from cockpit.clock import Clock
from cockpit.model.observed.metrics import Newest, QueryResult, Sample
from cockpit.model.reading import Reading
from cockpit.sources.prometheus.sample_times import SampleTimes
from cockpit.sources.prometheus.windows import narrowed, spans
from cockpit.sources.prometheus.wire import PromFault

PREFIX = "newest/"
SCRAPES = 2.5  # so many hold two samples at any moment
USUAL_SCRAPE_S = 15.0  # until it is known
MAX_AGE_S = 30.0
AT_ONCE = 8

Ask = Callable[[str], Awaitable[Sequence[Sample]]]


class NewestAnswers:
    """Asks in each round for the signals that `wanted` names; for all of them in the first."""

    def __init__(self, queries: Mapping[str, str], wanted: Callable[[], Collection[str]], clock: Clock) -> None:
        self._queries = queries
        self._wanted = wanted
        self._clock = clock
        self._asked = False

    async def ask(self, ask: Ask, times: SampleTimes, at: float | None) -> list[Reading[Any]]:
        """Return what was answered; who gave no answer now is silent, and grows old."""
        names = [name for name in (self._wanted() if self._asked else self._queries) if name in self._queries]
        self._asked = True
        gate = asyncio.Semaphore(AT_ONCE)
        found = await asyncio.gather(*(self._one(gate, ask, name, times, at) for name in names))
        return [reading for reading in found if reading is not None]

    async def _one(
        self, gate: asyncio.Semaphore, ask: Ask, name: str, times: SampleTimes, at: float | None
    ) -> Reading[Any] | None:
        promql = self._queries[name]
        window = spans(promql).longest_s
        span = SCRAPES * (times.scraped_s(promql) or USUAL_SCRAPE_S)
        query = narrowed(promql, span)
        if query is None or span > 0.75 * window:
            return None
        started = self._clock.mono()
        try:
            async with gate:
                samples = await ask(query)
        except PromFault:
            return None
        now = self._clock.mono()
        data = Newest(QueryResult(tuple(samples), evaluated_at=at), span, window)
        return Reading(PREFIX + name, data, now, took_s=now - started, max_age_s=MAX_AGE_S, server_time=at)
