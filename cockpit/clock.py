"""Time comes in as a parameter, so that tests and drills own it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    def wall(self) -> float:
        """Return unix seconds."""

    def mono(self) -> float:
        """Return monotonic seconds: for ages, windows and expiry."""


#: Goes on while the machine sleeps: what was read before is old after it, and a plan has expired.
_AWAKE_OR_NOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class SystemClock:
    def wall(self) -> float:
        return time.time()

    def mono(self) -> float:
        return time.clock_gettime(_AWAKE_OR_NOT)


@dataclass(slots=True)
class ManualClock:
    """Tells a time that a test moves by hand."""

    now: float = 1_790_000_000.0
    since: float = 1000.0

    def wall(self) -> float:
        return self.now

    def mono(self) -> float:
        return self.since

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.since += seconds
