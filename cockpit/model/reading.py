"""A reading: what a source last knew, how old that is, and what went wrong since."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class SourceState(StrEnum):
    """How far a source can be believed, best first.

    Only `LIVE` counts as known (rule 2: unknown is never OK).
    """

    LIVE = "live"
    STARTING = "starting"  # nothing read yet, nothing failed yet
    OFF = "off"  # not configured: a state, not an error
    STALE = "stale"  # data older than it may be, without a reported fault
    DENIED = "denied"  # 403: the reason names verb and resource
    UNAUTHORISED = "unauthorised"  # 401: the remedy says what to do
    DOWN = "down"  # unreachable, or it answers with nonsense


class Fault(msgspec.Struct, frozen=True):
    """Why the last attempt failed.

    `reason` and `remedy` are cleaned, redacted, one line each.
    """

    state: SourceState
    reason: str
    remedy: str = ""


class Reading(msgspec.Struct, Generic[T], frozen=True):
    """One immutable observation.

    A failed reading keeps the last good `data` and its `observed_at`.

    `observed_at` is in monotonic seconds: when `data` was last known to be true (for a watch: the
    last event, bookmark or probe, not the last change). `server_time` is the source's own clock
    then, in unix seconds, where it tells (HTTP Date).
    """

    topic: str
    data: T | None = None
    observed_at: float | None = None
    took_s: float = 0.0
    fault: Fault | None = None
    max_age_s: float = 15.0
    server_time: float | None = None
    partial: bool = False  # the first list is still arriving: what is not in `data` may exist all the same

    def age_s(self, mono: float) -> float | None:
        """Seconds since `data` was last known to be true; None when nothing was ever read."""
        return None if self.observed_at is None else max(0.0, mono - self.observed_at)

    def state(self, mono: float) -> SourceState:
        """LIVE only with data, no fault, and an age within `max_age_s`."""
        if self.fault is not None:
            return self.fault.state
        age = self.age_s(mono)
        if age is None or self.partial:
            return SourceState.STARTING
        return SourceState.STALE if age > self.max_age_s else SourceState.LIVE

    def reason(self, mono: float) -> str:
        """One line for the operator when the state is not LIVE, else an empty string."""
        if self.fault is not None:
            return self.fault.reason
        age = self.age_s(mono)
        if age is None:
            return "nothing read yet"
        if self.partial:
            return "the first list is still arriving"
        return f"last read {age:.0f} s ago" if age > self.max_age_s else ""
