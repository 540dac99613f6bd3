"""Follows the chart on the screen: asks for its range, then for what is new, until it is closed.

One question at a time, in the sources' thread; the screen takes `now`, which is replaced whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec

from cockpit.assessment.charts.bounded import Kept, grown, keep, not_numbers, traces
from cockpit.assessment.charts.own_history import OwnHistory
from cockpit.assessment.explain.signal import explain_signal
from cockpit.clock import Clock
from cockpit.errors import CockpitError
from cockpit.model.observed.chart import RANGES, Chart, ChartNow, ChartOf, axis
from cockpit.model.observed.metrics import History
from cockpit.model.reading import Known, believed
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.text import safe

#: Every series of a range, and Prometheus' warnings.
Answer = tuple[tuple[History, ...], tuple[str, ...]]
Ranged = Callable[[str, float, float, float], Awaitable[Answer]]

#: What is newest is asked for at least this far apart, at most that far.
_EVERY_S = (10.0, 60.0)
_FRESH_S = 15.0  # the first picture ends no longer ago than this
_AGAIN_S = 15.0  # after a question without an answer
#: The newest points are asked for once more: what a late scrape brings belongs to them.
_ANEW_S = 30.0
#: Clocks that differ by less show the same minute.
_BEHIND_S = 2.0


class ChartFollower:
    """Holds what is known of the one open chart in `now`.

    Every method may be called from any thread. `submit` runs a coroutine on the sources' loop;
    `heard` is called there after each answer.
    """

    def __init__(
        self,
        submit: Callable[[Callable[[], Coroutine[Any, Any, None]]], object],
        ranged: Ranged,
        situation: Callable[[], Situation | None],
        runbooks: Callable[[], Runbooks],
        own: OwnHistory,
        clock: Clock,
    ) -> None:
        self.heard: Callable[[], None] = lambda: None
        self._submit = submit
        self._ranged = ranged
        self._situation = situation
        self._runbooks = runbooks
        self._own = own
        self._clock = clock
        self._open: _Following | None = None

    @property
    def now(self) -> ChartNow | None:
        return self._open.now if self._open is not None else None

    def open(self, of: ChartOf, range_: str) -> None:
        """Ask for this chart; what is being asked for another is given up."""
        self.stop()
        self._open = following = _Following(self, of, range_)
        self._submit(following.run)

    def stop(self) -> None:
        if self._open is not None:
            self._open.stop()
            self._open = None


class _Following:
    """Asks for one chart until it is stopped."""

    def __init__(self, owner: ChartFollower, of: ChartOf, range_: str) -> None:
        self._owner = owner
        self.now = ChartNow(of, range_, asked_at=owner._clock.mono(), about=self._about(of))
        self._step = RANGES[range_][1]
        self._kept: Kept | None = None
        self._ended = -math.inf  # the last point that was asked for
        self._anchor = 0.0  # one of the points: at first the newest there can be, however far they are apart
        self._behind = 0.0
        self._stopped = False
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        self._stopped = True
        if self._loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._task.cancel)

    async def run(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        while not self._stopped:
            pause = min(max(_EVERY_S[0], self._step), _EVERY_S[1])
            try:
                await self._ask()
            except Exception as error:  # a bug is said as well: the page must not wait for ever
                known = CockpitError.of(error)
                self._say(asked_at=None, fault=known.reason, remedy=known.remedy)
                pause = _AGAIN_S
            await asyncio.sleep(pause)

    def _about(self, of: ChartOf) -> tuple[str, ...]:
        situation, runbooks = self._owner._situation(), self._owner._runbooks()
        if situation is None or of.kind != "signal" or of.name not in runbooks.signals:
            return ()
        return explain_signal(of.name, situation, runbooks)

    def _say(self, **changes: Any) -> None:
        self.now = msgspec.structs.replace(self.now, about=self._about(self.now.of), **changes)
        if not self._stopped:
            self._owner.heard()

    async def _ask(self) -> None:
        of, runbooks = self.now.of, self._owner._runbooks()
        row = (runbooks.signals if of.kind == "signal" else runbooks.queries).get(of.name)
        if row is None:
            raise CockpitError(f"there is no {of.kind} {of.name} in the runbooks", "see `m0-cockpit runbooks check`")
        direction = getattr(row, "direction", "above")
        if row.promql is None:
            self._answer(self._own_chart(of, direction))
            return
        self._behind = self._measured_behind()
        now = self._owner._clock.wall() + self._behind
        start, end = self._times(now)
        anew = max(start, self._ended - max(_ANEW_S, 2 * self._step))
        if self._kept is None:
            anew = start
        self._say(asked_at=self._owner._clock.mono())
        begin = end - math.floor((end - anew) / self._step) * self._step
        found, warnings = await self._owner._ranged(row.promql, begin, end, self._step)
        if of.label:
            found = tuple(one for one in found if one.labels.get(of.label) == of.value)
        if self._kept is None:
            self._kept = keep(found, self.now.range, direction)
        else:
            self._kept = grown(self._kept, found, self.now.range, (start, begin), direction)
        self._ended = end
        self._answer(self._chart(start, end, direction, f"Prometheus: {row.promql}", warnings))

    def _times(self, now: float) -> tuple[float, float]:
        """Return where the axis begins, and the newest of the points."""
        apart = min(self._step, _FRESH_S)
        if self._ended == -math.inf or now < self._ended - self._step:  # the first time, or a clock was put back
            self._anchor, self._kept = math.floor(now / apart) * apart, None
        end = self._anchor + math.floor((now - self._anchor) / self._step) * self._step
        return axis(self.now.range, now)[0], end

    def _measured_behind(self) -> float:
        """Return how far this machine's clock is behind Prometheus', by its newest answer."""
        situation = self._owner._situation()
        if situation is None:
            return self._behind
        for reading in situation.queries.values():
            found = believed(reading, situation.mono)
            if isinstance(found, Known) and found.data.evaluated_at is not None:
                behind = found.data.evaluated_at + found.asked_s - situation.wall
                return behind if abs(behind) > _BEHIND_S else 0.0
        return self._behind

    def _own_chart(self, of: ChartOf, direction: str) -> Chart:
        own, now = self._owner._own, self._owner._clock.wall()
        start, end = self._times(now)
        points = own.points(of.name, start, end, self._step)
        self._kept = keep([History({}, points)] if points else [], self.now.range, direction)
        self._ended = end
        since = "not yet" if own.since is None else _hour(own.since)
        return self._chart(start, end, direction, f"since {since}, when this cockpit began: nobody else keeps it", ())

    def _chart(self, start: float, end: float, direction: str, origin: str, warnings: tuple[str, ...]) -> Chart:
        assert self._kept is not None
        before = self.now.chart.traces if self.now.chart is not None else ()
        shown = traces(self._kept, direction, [one.name for one in before])
        count = self._kept.count
        notes = [f"{len(shown)} of {count:,} series, the worst first" if count > len(shown) else ""]
        notes += [not_numbers(shown), *self._kept.notes, *warnings]
        return Chart(
            of=self.now.of,
            range=self.now.range,
            start=start,
            end=end,
            traces=shown,
            series=count,
            origin=safe(origin, 400),
            notes=tuple(filter(None, notes)),
            behind_s=self._behind,
        )

    def _answer(self, chart: Chart) -> None:
        self._say(asked_at=None, answered_at=self._owner._clock.mono(), chart=chart, fault="", remedy="")


def _hour(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%H:%M")
