"""Keeps what the validation signals were before a step: what held then, it cannot have mended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cockpit.assessment.baseline import SPARK_CELLS, judge
from cockpit.model.held import judged_by
from cockpit.model.runbook import Runbooks, Validation
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation

#: Of the time before the step: what was read in it gives the range that "rises" and "falls" must
#: leave, and in how much of it a signal must have been bad to count as bad.
RANGE_S, BAD_S = 120.0, 30.0
_SPARK_S = 900.0  # a sparkline shows no more


@dataclass(frozen=True, slots=True)
class Was:
    """Holds what one signal was before the step: its value, the range of the last two minutes."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Baseline:
    """Holds the signals' values before the step was sent.

    `held`: by the line's `key`, whether it held then; a line that is not there was not known.
    """

    values: Mapping[str, float | None]
    was: Mapping[str, Was] = field(default_factory=dict)
    held: Mapping[str, bool] = field(default_factory=dict)

    @staticmethod
    def of(
        situation: Situation | None, lines: Sequence[Validation], mono: float, runbooks: Runbooks | None = None
    ) -> Baseline:
        situation = judged_by(situation, mono)
        if situation is None:
            return Baseline({})
        known = {
            line.signal: situation.signals[line.signal]
            for line in lines
            if line.signal in situation.signals and situation.signals[line.signal].level is not Level.UNKNOWN
        }
        held: dict[str, bool] = {}
        for line in lines:
            if line.signal in known:
                needed = situation.signals.get(line.only_with) if line.only_with else None
                if line.only_with and (needed is None or needed.level is not Level.OK):
                    continue  # there was nothing to judge by
                held[key_of(line)] = _held(line, known[line.signal], _cell_s(runbooks, line.signal))
        return Baseline(
            values={name: status.value for name, status in known.items()},
            was={
                name: was
                for name, status in known.items()
                if (was := _range(status, _cell_s(runbooks, name))) is not None
            },
            held=held,
        )

    def record(self) -> dict[str, Any]:
        """Return what the journal keeps of it beside the values."""
        return {
            "held": dict(self.held),
            "ranges": {name: [was.value, was.low, was.high] for name, was in self.was.items()},
        }

    @staticmethod
    def from_record(values: Mapping[str, Any], more: Mapping[str, Any]) -> Baseline:
        return Baseline(
            values={str(name): value for name, value in values.items()},
            was={str(name): Was(*map(float, three)) for name, three in (more.get("ranges") or {}).items()},
            held={str(name): bool(held) for name, held in (more.get("held") or {}).items()},
        )


def key_of(line: Validation) -> str:
    return f"{line.signal} {line.expect}"


def well(status: SignalStatus) -> bool:
    """Tell whether a signal is ok now; one that is bad but not for long enough yet is not."""
    return status.level is Level.OK and status.pending is None


def _held(line: Validation, status: SignalStatus, cell_s: float) -> bool:
    """Tell whether the line held before the step; what came and went then counts as held."""
    if line.expect == "rises" and status.baseline:
        return status.value is not None and status.value >= line.share * status.baseline
    if well(status) or status.level is Level.RECOVERING:  # it was over before the step
        return True
    recent = [value for value in status.spark[-max(1, math.ceil(BAD_S / cell_s)) :] if value is not None]
    return any(judge(value, status.direction, status.warn, status.crit) is Level.OK for value in recent)


def _range(status: SignalStatus, cell_s: float) -> Was | None:
    if status.value is None or not math.isfinite(status.value):
        return None
    cells = [v for v in status.spark[-max(1, math.ceil(RANGE_S / cell_s)) :] if v is not None and math.isfinite(v)]
    return Was(status.value, min(status.value, *cells, status.value), max(status.value, *cells, status.value))


def _cell_s(runbooks: Runbooks | None, name: str) -> float:
    signal = runbooks.signals.get(name) if runbooks is not None else None
    return (min(signal.history, _SPARK_S) if signal is not None else _SPARK_S) / SPARK_CELLS
