"""A reading is what a source last knew; `believed` is the one gate to its data.

What is stale, faulty or missing is never OK (rule 2 of docs/architecture.md). So nobody reads a
reading's data, times or faults directly: they are private to `Reading`, and `believed` gives either
`Known` data, or `Unknown` with the reason. What an `Unknown` last was may be drawn dimmed, never
judged: `last_known` gives it, to the few modules that a test lists.
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
    """Holds data that can be believed now: read without a fault, whole, and young enough.

    `age_s` counts from when the newest sample under the data was true, `asked_s` from when the
    source last confirmed it.
    """

    data: T
    age_s: float
    asked_s: float = 0.0

    reason = ""
    remedy = ""
    live, off, starting, stale, down, denied = True, False, False, False, False, False


class Unknown(Generic[T]):
    """Says why nothing can be said now; `age_s` is the age of what was known last."""

    __slots__ = ("__last", "__state", "age_s", "asked_s", "reason", "remedy")

    def __init__(
        self,
        reason: str,
        state: SourceState = SourceState.STARTING,
        age_s: float | None = None,
        last: T | None = None,
        remedy: str = "",
        asked_s: float | None = None,
    ) -> None:
        self.reason = reason
        self.remedy = remedy
        self.age_s = age_s
        self.asked_s = asked_s if asked_s is not None else age_s
        self.__state = state
        self.__last = last

    live = False

    @property
    def off(self) -> bool:
        return self.__state.off

    @property
    def starting(self) -> bool:
        return self.__state.starting

    @property
    def stale(self) -> bool:
        return self.__state.stale

    @property
    def down(self) -> bool:
        return self.__state.down

    @property
    def denied(self) -> bool:
        return self.__state.denied

    def of(self, kind: type[Any]) -> Unknown[T]:
        """Return this without what it last was, when that is of another kind."""
        if self.__last is None or isinstance(self.__last, kind):
            return self
        return Unknown(self.reason, self.__state, self.age_s, None, self.remedy, self.asked_s)

    @staticmethod
    def last_of_unknown(found: Unknown[K]) -> K | None:
        """For `last_known` alone."""
        return found.__last

    @staticmethod
    def state_of_unknown(found: Unknown[Any]) -> SourceState:
        """For `light_of` alone."""
        return found.__state

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unknown) and self.__all() == other.__all()

    def __hash__(self) -> int:
        return hash((self.reason, self.__state, self.age_s))

    def __repr__(self) -> str:
        return f"Unknown{self.__all()!r}"

    def __all(self) -> tuple[Any, ...]:
        return (self.reason, self.__state, self.age_s, self.__last, self.remedy, self.asked_s)


#: How far ahead of the moment asked about a reading may be: threads take their clocks one after
#: the other.
AHEAD_S = 5.0


class Reading(Generic[T]):
    """Holds one immutable observation of a topic.

    A failed reading keeps the last good data and its times.

    All times are monotonic seconds. `observed_at`: when the data was last known to be true (for a
    watch the last event, bookmark or probe; for samples with times of their own, the newest one's).
    `asked_at`: when the source last confirmed it, the same where it is not given. Past `max_age_s`
    since then, or `max_sample_s` since `observed_at`, nothing is believed. `server_time` is the
    source's own clock at `asked_at`, in unix seconds, where it tells (HTTP Date). `partial`: the
    first list is still arriving, and what is not in the data may exist all the same.
    """

    __slots__ = (
        "__asked_at",
        "__data",
        "__fault",
        "__observed_at",
        "__partial",
        "__server_time",
        "max_age_s",
        "max_sample_s",
        "took_s",
        "topic",
    )

    def __init__(
        self,
        topic: str,
        data: T | None = None,
        observed_at: float | None = None,
        took_s: float = 0.0,
        fault: Fault | None = None,
        max_age_s: float = 15.0,
        server_time: float | None = None,
        partial: bool = False,
        asked_at: float | None = None,
        max_sample_s: float | None = None,
    ) -> None:
        self.topic = topic
        self.took_s = took_s
        self.max_age_s = max_age_s
        self.max_sample_s = max_sample_s if max_sample_s is not None else max_age_s
        self.__data = data
        self.__observed_at = observed_at
        self.__asked_at = asked_at if asked_at is not None else observed_at
        self.__fault = fault
        self.__server_time = server_time
        self.__partial = partial

    def believed(self, mono: float) -> Known[T] | Unknown[T]:
        """Return the data when it can be believed at `mono`, else why not."""
        data, fault = self.__data, self.__fault
        age, asked = _since(self.__observed_at, mono), _since(self.__asked_at, mono)
        if fault is not None:
            return Unknown(fault.reason or fault.state.value, fault.state, age, data, fault.remedy, asked)
        if age is None or asked is None:
            return Unknown(NOTHING_READ, last=data)
        if self.__partial:
            return Unknown("the first list is still arriving", SourceState.STARTING, age, data, "", asked)
        if min(age, asked) < -AHEAD_S:
            return Unknown("read after the moment it is asked about", SourceState.STALE, None, data)
        age, asked = max(0.0, age), max(0.0, asked)
        if asked > self.max_age_s:
            return Unknown(f"last read {spell(asked)} ago", SourceState.STALE, age, data, "", asked)
        if age > self.max_sample_s:
            return Unknown(f"last sample {spell(age)} ago", SourceState.STALE, age, data, "", asked)
        return Unknown("no data", age_s=age) if data is None else Known(data, age, asked)

    @property
    def arriving(self) -> bool:
        """Return whether the first list is not complete."""
        return self.__partial

    def server_clock(self, mono: float) -> tuple[float, float] | None:
        """Return the source's own clock at `mono` (unix seconds), and how long ago it told it."""
        if self.__server_time is None or self.__asked_at is None:
            return None
        ago = mono - self.__asked_at
        return self.__server_time + ago, ago

    def same_data(self, other: Reading[T]) -> bool:
        """Return whether both hold the very same object: nothing was replaced in between."""
        return self.__data is other.__data

    def same_news(self, other: Reading[T]) -> bool:
        """Return whether both failed alike, or neither did."""
        return self.__fault == other.__fault

    def after(self, before: Reading[T] | None) -> Reading[T]:
        """Return this reading; without data, a failed one keeps those of `before`."""
        if before is None or self.__fault is None or self.__data is not None:
            return self
        return Reading(
            self.topic,
            before.__data,
            before.__observed_at,
            self.took_s,
            self.__fault,
            self.max_age_s,
            self.__server_time if self.__server_time is not None else before.__server_time,
            before.__partial,
            before.__asked_at,
            self.max_sample_s,
        )

    def __repr__(self) -> str:
        return f"Reading({self.topic!r}, {self.__data!r}, observed_at={self.__observed_at}, fault={self.__fault!r})"


def _since(at: float | None, mono: float) -> float | None:
    return None if at is None else mono - at


def spell(seconds: float) -> str:
    """Say a span: 45 s, 2:10, 1:02:10."""
    whole = int(seconds + 0.5)
    if whole < 100:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


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
    if isinstance(found, Unknown):
        return found.of(kind)
    return found if isinstance(found.data, kind) else Unknown("no data", age_s=found.age_s)


def last_known(found: Known[T] | Unknown[T]) -> T | None:
    """Return the newest value, known or not: to be drawn dimmed, or kept, never judged."""
    return found.data if isinstance(found, Known) else Unknown.last_of_unknown(found)


def if_known(found: Known[T] | Unknown[T]) -> T | None:
    """Return what is believed; None where nothing can be."""
    return found.data if isinstance(found, Known) else None


def light_of(found: Known[Any] | Unknown[Any]) -> SourceState:
    """Return the state by its name, for a light, a record or a finding that shows it."""
    return SourceState.LIVE if isinstance(found, Known) else Unknown.state_of_unknown(found)


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
