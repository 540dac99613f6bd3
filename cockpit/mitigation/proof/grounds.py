"""Decides what a proof may rest on.

On what was read after the step, whole: newer than it, over a window that lies behind it, with
nothing in that window unread, old or begun anew. Everything else is unknown, and says why.

`Hold` joins such readings to a stretch of time; only an unbroken one that is as long as the line
asks proves anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from cockpit.model.held import judged_by
from cockpit.model.runbook import Runbooks
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation
from cockpit.sources.prometheus.windows import window_of

#: Looks so far apart say nothing of the time between them, where the signal itself allows no more.
GAP_S = 15.0
#: Clocks of one machine and one server's answers differ by no more.
AHEAD_S = 2.0
STILL_PAST = "its window still holds what was before the step"


@dataclass(frozen=True, slots=True)
class Evidence:
    """Holds one reading of a signal.

    It speaks of the time from `since` to `until` (monotonic seconds). `why`: why nothing may rest
    on it, "" where something may. `exact`: it was asked for this proof alone. `gap_s`: how far the
    next one may be from it.
    """

    status: SignalStatus | None
    since: float
    until: float
    why: str = ""
    gap_s: float = GAP_S
    exact: bool = False


def evidence_of(situation: Situation | None, name: str, runbooks: Runbooks, started: float, mono: float) -> Evidence:
    """Evidence at a signal as the situation has it, for a proof that counts from `started` on."""
    situation = judged_by(situation, mono)
    if situation is None:
        return Evidence(None, mono, mono, "nothing new is known")
    status = situation.signals.get(name)
    definition = runbooks.signals.get(name)
    if status is None or definition is None:
        return Evidence(None, mono, mono, "no such signal")
    if status.level is Level.UNKNOWN:
        return Evidence(status, mono, mono, status.reason or "unknown")
    if status.age_s is None:
        return Evidence(status, mono, mono, "how old it is cannot be told")
    until = situation.mono - status.age_s
    since = until - window_of(definition)
    gap = max(GAP_S, status.bound_s or definition.max_age)
    return Evidence(status, since, until, unfit(since, until, started, mono, gap), gap)


def unfit(since: float, until: float, started: float, mono: float, gap_s: float = GAP_S) -> str:
    """Say why a reading of that time proves nothing; "" when something may rest on it."""
    if until > mono + AHEAD_S:
        return f"it is dated {until - mono:.0f} s ahead: a clock is wrong"
    if until <= started:
        return f"it is from {started - until:.0f} s before the step took effect"
    if mono - until > gap_s:
        return f"its newest sample is {mono - until:.0f} s old"
    if since < started:
        return f"for {started - since:.0f} s more {STILL_PAST}"
    return ""


@dataclass(slots=True)
class Hold:
    """Joins readings that hold to one stretch of time.

    `began` None: nothing holds now. `readings` counts those that brought something newer.
    """

    began: float | None = None
    last: float = 0.0
    readings: int = 0
    gap_s: float = GAP_S
    broken_at: float = float("-inf")

    def take(self, one: Evidence, held: bool) -> None:
        """Take one that may be relied on; one that does not hold ends the stretch."""
        if not held:
            self.end(one.until)
            return
        if self.began is not None and one.until <= self.last:
            return  # the same again
        if self.began is not None and one.since - self.last > max(self.gap_s, one.gap_s):
            self.end(self.last)
        if self.began is None:
            if one.until <= self.broken_at:
                return
            self.began, self.readings = max(one.since, self.broken_at), 0
        self.last, self.gap_s = one.until, one.gap_s
        self.readings += 1

    def take_exact(self, one: Evidence, held: bool) -> None:
        """Take one that speaks of a whole window by itself, made for this proof alone."""
        if held:
            self.began, self.last, self.readings = one.since, one.until, 2

    def end(self, at: float) -> None:
        """End the stretch: at that time it did not hold, or was not known to."""
        self.began, self.readings = None, 0
        self.broken_at = max(self.broken_at, at)

    def lasted(self) -> float:
        return 0.0 if self.began is None else self.last - self.began

    def whole(self, hold_s: float) -> bool:
        """Tell whether the stretch is as long as asked, and was looked at more than once."""
        return self.began is not None and self.lasted() >= hold_s and (self.readings > 1 or hold_s == 0.0)
