"""A reading is what a source last knew; `believed` is the one gate to its data.

What is stale, faulty or missing is never OK (rule 2 of docs/architecture.md). So nobody reads a
reading's data or state directly: `believed` gives either `Known` data, or `Unknown` with the reason
and the last value, which may be shown dimmed and is never judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Generic, TypeVar, overload

import msgspec

T = TypeVar("T")
K = TypeVar("K")


class SourceState(StrEnum):
    """Says how far a source can be believed, best first; only `LIVE` counts as known."""

    LIVE = "live"
    STARTING = "starting"  # nothing read yet, nothing failed yet
    OFF = "off"  # not configured: a state, not an error
    STALE = "stale"  # data older than it may be, without a reported fault
    DENIED = "denied"  # 403: the reason names verb and resource
    UNAUTHORISED = "unauthorised"  # 401: the remedy says what to do
    DOWN = "down"  # unreachable, or it answers with nonsense

    @property
    def live(self) -> bool:
        return self is SourceState.LIVE

    @property
    def off(self) -> bool:
        return self is SourceState.OFF

    @property
    def starting(self) -> bool:
        return self is SourceState.STARTING

    @property
    def stale(self) -> bool:
        return self is SourceState.STALE

    @property
    def down(self) -> bool:
        return self is SourceState.DOWN

    @property
    def denied(self) -> bool:
        return self is SourceState.DENIED


class Fault(msgspec.Struct, frozen=True):
    """Says why the last attempt failed.

    `reason` and `remedy` are cleaned, redacted, one line each.
    """

    state: SourceState
    reason: str
    remedy: str = ""


class Known(msgspec.Struct, Generic[T], frozen=True):
    """Holds data that can be believed now: read without a fault, whole, and young enough."""

    data: T
    age_s: float

    state = SourceState.LIVE
    reason = ""
    remedy = ""

    @property
    def last(self) -> T:
        return self.data


class Unknown(msgspec.Struct, Generic[T], frozen=True):
    """Says why nothing can be said now.

    `last` is the newest value, to be shown dimmed and never judged; `age_s` its age in seconds.
    """

    reason: str
    state: SourceState = SourceState.STARTING
    age_s: float | None = None
    last: T | None = None
    remedy: str = ""


class Reading(msgspec.Struct, Generic[T], frozen=True):
    """Holds one immutable observation of a topic.

    A failed reading keeps the last good data and its `observed_at`.

    `observed_at` is in monotonic seconds: when `last_data` was last known to be true (for a watch:
    the last event, bookmark or probe, not the last change). `server_time` is the source's own clock
    then, in unix seconds, where it tells (HTTP Date).
    """

    topic: str
    last_data: T | None = None
    observed_at: float | None = None
    took_s: float = 0.0
    fault: Fault | None = None
    max_age_s: float = 15.0
    server_time: float | None = None
    partial: bool = False  # the first list is still arriving: what is not in `last_data` may exist all the same

    def age_s(self, mono: float) -> float | None:
        """Return the seconds since the data was last known to be true; None if never read."""
        return None if self.observed_at is None else max(0.0, mono - self.observed_at)

    def believed(self, mono: float) -> Known[T] | Unknown[T]:
        """Return the data when it can be believed at `mono`, else why not."""
        age = self.age_s(mono)
        if self.fault is not None:
            fault = self.fault
            return Unknown(fault.reason or fault.state.value, fault.state, age, self.last_data, fault.remedy)
        if age is None:
            return Unknown(NOTHING_READ, last=self.last_data)
        if self.partial:
            return Unknown("the first list is still arriving", SourceState.STARTING, age, self.last_data)
        if age > self.max_age_s:
            return Unknown(f"last read {age:.0f} s ago", SourceState.STALE, age, self.last_data)
        return Unknown("no data", age_s=age) if self.last_data is None else Known(self.last_data, age)

    def same_data(self, other: Reading[T]) -> bool:
        """Return whether both hold the very same object: nothing was replaced in between."""
        return self.last_data is other.last_data

    def after(self, before: Reading[T] | None) -> Reading[T]:
        """Return this reading; without data, a failed one keeps those of `before`."""
        if before is None or self.fault is None or self.last_data is not None:
            return self
        return msgspec.structs.replace(
            self,
            last_data=before.last_data,
            observed_at=before.observed_at,
            server_time=self.server_time or before.server_time,
            partial=before.partial,
        )


NOTHING_READ = "nothing read yet"


@overload
def believed(reading: Reading[T] | None, mono: float) -> Known[T] | Unknown[T]: ...
@overload
def believed(reading: Reading[Any] | None, mono: float, kind: type[K]) -> Known[K] | Unknown[K]: ...


def believed(reading: Reading[Any] | None, mono: float, kind: type[Any] = object) -> Known[Any] | Unknown[Any]:
    """Believe a reading that may not be there, or only data of one `kind`."""
    if reading is None:
        return Unknown(NOTHING_READ)
    found = reading.believed(mono)
    if found.last is None or isinstance(found.last, kind):
        return found
    return Unknown(found.reason or "no data", found.state if found.reason else SourceState.STARTING, found.age_s)


def kind_unknown(kinds: Mapping[str, Reading[Any]], kind: str, mono: float, missing: str = NOTHING_READ) -> str:
    """Say why objects of this kind ("pods") cannot all be believed; "" when they can.

    `kinds`: readings by "KIND/NAMESPACE".
    """
    own = {topic: reading for topic, reading in kinds.items() if topic.partition("/")[0] == kind}
    for topic, reading in own.items():
        found = reading.believed(mono)
        if isinstance(found, Unknown):
            return f"{topic.replace('/', ' in ')}: {found.reason}"
    return "" if own else missing
