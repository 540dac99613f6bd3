"""Makes the pipeline strip: each stage's state, and the one where it stops.

A stage *stops* what flows. Where a flow has stopped (commits, reveals far below what is usual), the
cause is the nearest stage at or before it that is CRIT for a reason of its own. Where all flows, it
is the first CRIT stage, that of a dangerous signal before others. A mere WARN stops nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from cockpit.model.runbook import Runbooks, SignalDef
from cockpit.model.signal import Level, SignalStatus, StageStatus, worst

#: Units of what flows: a headline in them that is too low has stopped.
FLOWS = ("/min", "/s")
#: So long the mark stays where it is, while that is true.
RESTS_S = 5.0


def stages(runbooks: Runbooks, signals: Mapping[str, SignalStatus]) -> tuple[StageStatus, ...]:
    """Return the stages in their order; one of them is marked at most.

    If none is CRIT it is the first WARN, else the first UNKNOWN: that is where to look, not where
    it stops.
    """
    made: list[StageStatus] = []
    for stage in runbooks.stages:
        names = dict.fromkeys((stage.headline, *stage.signals))
        own = tuple(signals[name] for name in names if name in signals and not signals[name].off)
        made.append(StageStatus(stage.name, worst([s.level for s in own]), signals.get(stage.headline), own))
    index = _stops(runbooks.signals, made)
    if index is None:
        index = next((at for want in _SEEN for at, stage in enumerate(made) if stage.level is want), None)
    if index is not None:
        made[index] = replace(made[index], stops_here=True)
    return tuple(made)


_SEEN = (Level.WARN, Level.UNKNOWN)


def _stops(defined: Mapping[str, SignalDef], made: Sequence[StageStatus]) -> int | None:
    crit = [at for at, stage in enumerate(made) if stage.level is Level.CRIT]
    stopped = next((at for at in crit if _flow_stopped(made[at])), None)
    if stopped is not None:
        causes = [at for at in crit if at <= stopped and _by_itself(made[at])]
        return causes[-1] if causes else stopped
    unsafe = [at for at in crit if any(s.level is Level.CRIT and _dangerous(defined, s) for s in made[at].signals)]
    return next(iter(unsafe or crit), None)


def _flow_stopped(stage: StageStatus) -> bool:
    head = stage.headline
    return head is not None and head.level is Level.CRIT and head.direction == "below" and head.unit in FLOWS


def _by_itself(stage: StageStatus) -> bool:
    """Tell whether it is CRIT for another reason than that nothing flows."""
    if not _flow_stopped(stage):
        return True
    return any(signal.level is Level.CRIT and signal is not stage.headline for signal in stage.signals)


def _dangerous(defined: Mapping[str, SignalDef], signal: SignalStatus) -> bool:
    return signal.name in defined and defined[signal.name].dangerous


class Marked:
    """Remembers which stage was marked: it stays so for a moment, while it is still as bad."""

    def __init__(self) -> None:
        self._name = ""
        self._since = -math.inf  # monotonic

    def settle(self, made: tuple[StageStatus, ...], mono: float) -> tuple[StageStatus, ...]:
        """Keep the mark where it was for some seconds at least, unless it has become untrue."""
        now = next((stage for stage in made if stage.stops_here), None)
        before = next((stage for stage in made if stage.name == self._name), None)
        if now is None or before is None or now.name == self._name:
            self._since = mono if now is None or now.name != self._name else self._since
            self._name = now.name if now is not None else ""
            return made
        if before.level is now.level and mono - self._since < RESTS_S:
            return tuple(replace(stage, stops_here=stage is before) for stage in made)
        self._name, self._since = now.name, mono
        return made
