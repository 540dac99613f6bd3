"""Describes signals: a number with a verdict.

Unknown is a verdict of its own and never passes for OK (rule 2 of docs/architecture.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Level(StrEnum):
    OK = "ok"
    WARN = "warn"
    CRIT = "crit"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """Return how much it wants attention: CRIT 3, WARN 2, UNKNOWN 1, OK 0."""
        return _RANK[self]


_RANK = {Level.OK: 0, Level.UNKNOWN: 1, Level.WARN: 2, Level.CRIT: 3}


def worst(levels: list[Level]) -> Level:
    """Return the level that wants attention most; UNKNOWN for an empty list."""
    return max(levels, key=lambda level: level.rank, default=Level.UNKNOWN)


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
    baseline: float | None = None
    baseline_from: str = ""  # of when it is: "of 11-23 17:00 to 11-30 17:00 UTC"; "kept, of …"
    warn: float | None = None  # the thresholds in force, baseline applied
    crit: float | None = None
    direction: str = "above"
    off: bool = False  # not configured, or taken out in the runbooks: unknown, but nobody expects to know
    starting: bool = False  # nothing of it was read yet


class StageStatus(msgspec.Struct, frozen=True):
    """Describes one stage of the pipeline strip.

    `stops_here` marks the first stage in pipeline order that is not OK.
    """

    name: str
    level: Level
    headline: SignalStatus | None
    signals: tuple[SignalStatus, ...] = ()
    stops_here: bool = False
