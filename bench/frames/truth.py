"""Tells from the world itself, each second, whether a scenario's symptoms are so.

The same expressions as the signals', over the newest seconds of counters that are read each second
from the world's own registry: no scrape, no window, no question in between.
"""

from __future__ import annotations

import math

from cockpit.assessment.baseline import judge
from cockpit.drill.prometheus.promql import evaluate
from cockpit.drill.prometheus.series import STALE, Labels, SeriesStore
from cockpit.drill.scenarios.scenario import Scenario
from cockpit.drill.world import World
from cockpit.model.runbook import Runbooks
from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from cockpit.sources.prometheus.windows import narrowed

SPAN_S = 8.0
SURE_S = 8.0  # what comes and goes more quickly is chance


class Truth:
    """Remembers, by signal, when it was bad in the world and when on the screen."""

    def __init__(self, world: World, runbooks: Runbooks, scenario: Scenario) -> None:
        self._world, self._runbooks, self._store = world, runbooks, SeriesStore()
        wanted = {
            symptom.signal
            for number in scenario.runbooks
            for symptom in runbooks.runbook(str(number)).symptoms
            if symptom.at != "ok"
        }
        self.signals = {name: s for name, s in runbooks.signals.items() if name in wanted and s.promql is not None}
        self._there: set[Labels] = set()
        self.world: dict[str, list[tuple[float, bool]]] = {name: [] for name in self.signals}
        self.screen: dict[str, list[tuple[float, bool]]] = {name: [] for name in self.signals}

    def see(self, at: float, situation: Situation) -> None:
        world = self._world
        for stage in (world.ingest, world.quant, world.publish, world.serve):
            stage.gauges()
        now = world.clock.now()
        self._sample(now)
        for name, signal in self.signals.items():
            status = situation.signals[name]
            self.screen[name].append((at, status.level.bad))
            assert signal.promql is not None
            rows = evaluate(self._store, narrowed(signal.promql, SPAN_S) or signal.promql, [now])
            assert isinstance(rows, list)
            found = [column[-1] for _, column in rows]
            values = [float(one) for one in found if one is not None and math.isfinite(one)]
            if values:
                worst = (max if signal.direction == "above" else min)(values)
                level = judge(worst, signal.direction, status.warn, status.crit)
                self.world[name].append((at, level is not Level.OK))

    def _sample(self, now: float) -> None:
        seen: set[Labels] = set()
        for labels, number in self._world.metrics.current(self._world.jobs_up()):
            self._store.series(labels).append(now, number)
            seen.add(labels)
        for labels in self._there - seen:
            self._store.series(labels).append(now, STALE)
        self._there = seen

    def lags(self, caused_at: float, cured_at: float) -> dict[str, tuple[float | None, float | None]]:
        """Return, by signal, how long after the world the screen told of the cause, and the cure.

        Beyond the signal's own `for`. None: the world never was so, surely.
        """
        found = {}
        for name, signal in self.signals.items():
            world, screen = self.world[name], self.screen[name]
            began = _from(world, True, caused_at)
            shown = _from(screen, True, began, sure_s=0.0) if began is not None else None
            cause = None if began is None or began > cured_at else (math.inf if shown is None else shown) - began
            cause = cause - signal.hold if cause is not None else None
            ended = _last(world, True) if cause is not None else None
            over = _last(screen, True) if ended is not None else None
            cure = None if ended is None or over is None or ended >= world[-1][0] - 60 else over - ended
            found[name] = (cause, cure)
        return found


def _from(series: list[tuple[float, bool]], wanted: bool, since: float, sure_s: float = SURE_S) -> float | None:
    """Return when it was first so, and stayed so for long enough to be no chance."""
    start: float | None = None
    for at, so in series:
        if at < since:
            continue
        if so is not wanted:
            start = None
        elif start is None:
            start = at
        if start is not None and at - start >= sure_s:
            return start
    return None


def _last(series: list[tuple[float, bool]], wanted: bool) -> float | None:
    """Return when it was last so for surely."""
    start, last = None, None
    for at, so in series:
        start = (start if start is not None else at) if so is wanted else None
        if start is not None and at - start >= SURE_S:
            last = at
    return last
