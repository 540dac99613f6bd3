"""Describes signals: a number with a verdict.

Unknown is a verdict of its own and never passes for OK (rule 2 of docs/architecture.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

#: The unit of what is so, or is not: 1 or 0.
YES_NO = "yes-no"
#: The kind of a signal, where what the cursor is on has a kind.
SIGNAL = "Signal"
#: The kind of an alert of Prometheus' own rules that names no signal.
ALERT = "Alert"


def noun_of(number: float, unit: str) -> str:
    """Return the unit as it stands behind a number: 1 pod, 2 pods; ms and s stay as they are."""
    return unit[:-1] if number == 1 and len(unit) > 2 and unit.isalpha() and unit.endswith("s") else unit


class Level(StrEnum):
    OK = "ok"
    RECOVERING = "recovering"  # what is new is well; the window still holds what was bad
    WARN = "warn"
    CRIT = "crit"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """Return how much it wants attention: CRIT 4, WARN 3, UNKNOWN 2, RECOVERING 1, OK 0."""
        return _RANK[self]

    @property
    def bad(self) -> bool:
        """Tell whether it holds now: WARN or CRIT."""
        return self in (Level.WARN, Level.CRIT)


_RANK = {Level.OK: 0, Level.RECOVERING: 1, Level.UNKNOWN: 2, Level.WARN: 3, Level.CRIT: 4}


def worst(levels: list[Level]) -> Level:
    """Return the level that wants attention most; UNKNOWN for an empty list."""
    return max(levels, key=lambda level: level.rank, default=Level.UNKNOWN)


def near(value: float, normal: float, warn: float | None, direction: str, tolerance: float) -> bool:
    """Tell whether a value is back at normal: as good as that, or not far from it.

    Far is measured by normal itself, or by the way from there to `warn` where that is longer: of a
    rate that is usually 0 no ratio can be taken.
    """
    if value >= normal if direction == "below" else value <= normal:
        return True
    return abs(value - normal) <= tolerance * max(abs(normal), abs(warn - normal) if warn is not None else 0.0)


class Recovery(msgspec.Struct, frozen=True):
    """Says how a signal recovers: for how long what is new is well, and when its window clears.

    `value`: over the newest `span_s` seconds alone.
    """

    value: float
    span_s: float
    quiet_s: float
    clears_s: float


class SignalStatus(msgspec.Struct, frozen=True):
    """Describes one signal now.

    `since` is monotonic seconds of the last change of `level`; `pending` is a worse level that
    holds but not yet for the signal's `for`. `spark` is oldest first, None where the source gave
    nothing or NaN. `sampled_at` is monotonic seconds too: when the newest sample under the value
    was true, however late it was asked for; `age_s` counts from it.
    """

    name: str
    title: str
    level: Level
    value: float | None
    unit: str
    reason: str = ""  # why unknown, or which threshold was passed: always words
    age_s: float | None = None
    sampled_at: float | None = None
    bound_s: float | None = None  # how old its samples may be: `max-age`, or three scrapes
    since: float | None = None
    pending: Level | None = None
    spark: tuple[float | None, ...] = ()
    worst_labels: Mapping[str, str] | None = None  # of the sample that decided, e.g. {"connector": "sports"}
    where: str = ""  # all that it is bad of, in words: "all 4 connectors"
    baseline: float | None = None
    baseline_from: str = ""  # of when it is: "of 11-23 17:00 to 11-30 17:00 UTC"; "kept, of …"
    warn: float | None = None  # the thresholds in force, baseline applied
    crit: float | None = None
    direction: str = "above"
    off: bool = False  # not configured, or taken out in the runbooks: unknown, but nobody expects to know
    starting: bool = False  # nothing of it was read yet
    recovering: Recovery | None = None  # there is one exactly when the level is RECOVERING

    @property
    def newest(self) -> float | None:
        """Return the value of now: while it recovers, without what its window still holds."""
        return self.value if self.recovering is None else self.recovering.value

    @property
    def state(self) -> str:
        """Return the word of `--json`: the level, or "off"."""
        return "off" if self.off else self.level.value


class StageStatus(msgspec.Struct, frozen=True):
    """Describes one stage of the pipeline strip.

    `stops_here` marks the one where it stops (CRIT), else where to look first (WARN, UNKNOWN).
    """

    name: str
    level: Level
    headline: SignalStatus | None
    signals: tuple[SignalStatus, ...] = ()
    stops_here: bool = False

    @property
    def decider(self) -> SignalStatus | None:
        """Return the signal that the level is of: the headline, where it is as bad as any."""
        head = self.headline
        if head is not None and head.level is self.level and not head.off:
            return head
        return next((one for one in self.signals if one.level is self.level), head)
