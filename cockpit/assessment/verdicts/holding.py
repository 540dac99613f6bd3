"""Decides when a level counts: a worse one once it has held, and none that is over already."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from cockpit.assessment.verdicts.recovering import Fresh, Quiet, recovery
from cockpit.assessment.verdicts.recovering import words as recovery_words
from cockpit.model.runbook import SignalDef
from cockpit.model.signal import Level, SignalStatus

#: Nothing is told to and fro more than once in so long.
FLICKER_S = 5.0
#: … and what did is not trusted for so long.
FLAPPING_S = 60.0


@dataclass(frozen=True, slots=True)
class Raw:
    """Holds a value as it was read, before its level had to hold."""

    level: Level
    value: float | None
    reason: str
    age_s: float | None = None
    labels: Mapping[str, str] | None = None
    where: str = ""  # all that it is bad of
    baseline: float | None = None
    warn: float | None = None
    crit: float | None = None
    off: bool = False
    baseline_from: str = ""
    starting: bool = False
    bound_s: float | None = None
    fresh: Fresh | None = None  # what is new of it


@dataclass(slots=True)
class Held:
    """Remembers for how long one signal has been at its level, or worse."""

    level: Level | None = None
    since: float = 0.0
    since_warn: float | None = None  # monotonic: a level of at least WARN has been read since then
    since_crit: float | None = None
    quiet: Quiet = field(default_factory=Quiet)  # since when what is new has been well
    onset: float | None = None  # monotonic, as are these: when it became bad before our eyes
    worsened: float = -math.inf  # when a worse level was last told
    improved: float = -math.inf  # when it last became better
    relapsed: float = -math.inf  # when it last became worse again soon after that
    better: float | None = None  # since when it has been better than what is told
    status: SignalStatus | None = None

    def settle(
        self, name: str, signal: SignalDef, raw: Raw, spark: tuple[float | None, ...], mono: float
    ) -> SignalStatus:
        """Let a worse level count only after `for` seconds; unknown and better ones at once.

        What was bad at the first look, or after a time of unknown, may have held for long: it
        counts at once too.
        """
        status = self._settle(name, signal, raw, spark, mono)
        if self._flaps(status, mono):
            assert self.status is not None
            age = mono - self.status.sampled_at if self.status.sampled_at is not None else None
            return msgspec.structs.replace(self.status, age_s=age)
        if status.level is not self.level:
            self.level, self.since = status.level, mono
        self.status = msgspec.structs.replace(status, since=self.since)
        return self.status

    def _flaps(self, status: SignalStatus, mono: float) -> bool:
        """Tell whether what it is now must not be told yet: it was better before, and for a moment.

        Worse is told at once, and then for some seconds at least. Better is told at once too,
        unless it was worse again within seconds the last time: then it must stay better for so
        long.
        """
        before = self.level
        if before is None or _order(status.level) == _order(before):
            self.better = None
            return False
        if _order(status.level) > _order(before):
            if mono - self.improved < FLICKER_S:
                self.relapsed = mono
            self.better, self.worsened = None, mono
            return False
        self.better = mono if self.better is None else self.better
        if mono - self.worsened < FLICKER_S and not (self.status is not None and self.status.starting):
            return True
        if mono - self.relapsed < FLAPPING_S and mono - self.better < FLICKER_S:
            return True
        self.improved, self.better = mono, None
        return False

    def _settle(
        self, name: str, signal: SignalDef, raw: Raw, spark: tuple[float | None, ...], mono: float
    ) -> SignalStatus:
        first = self.level in (None, Level.UNKNOWN)
        start = mono - signal.hold if first else mono
        bad = raw.level.bad
        if not bad:
            self.onset = None
        elif self.since_warn is None and not first:
            self.onset = mono
        self.since_warn = (self.since_warn if self.since_warn is not None else start) if bad else None
        crit = raw.level is Level.CRIT
        self.since_crit = (self.since_crit if self.since_crit is not None else start) if crit else None
        level = raw.level
        if bad:
            level = Level.OK
            if self.since_warn is not None and mono - self.since_warn >= signal.hold:
                level = Level.WARN
            if self.since_crit is not None and mono - self.since_crit >= signal.hold:
                level = Level.CRIT
        found = None
        if raw.fresh is None:
            self.quiet.end()
        else:
            quiet_s = self.quiet.take(signal, raw.fresh, raw.level, raw.value, mono)
            lasted_s = None if self.onset is None else mono - self.onset - quiet_s
            found = recovery(signal, raw.value, raw.fresh, quiet_s, lasted_s) if level.bad else None
        if found is not None:
            level = Level.RECOVERING
        pending, reason = None, raw.reason
        if found is not None:
            reason = recovery_words(signal, found)
        elif bad and level is not raw.level:
            pending = raw.level
            began = self.since_crit if crit else self.since_warn
            held = mono - began if began is not None else 0.0
            reason = f"{raw.reason}; for {held:.0f} of {signal.hold:g} s"
        return SignalStatus(
            name=name,
            title=signal.title,
            level=level,
            value=raw.value,
            unit=signal.unit,
            reason=reason,
            age_s=raw.age_s,
            sampled_at=mono - raw.age_s if raw.age_s is not None else None,
            pending=pending,
            spark=spark,
            worst_labels=raw.labels,
            where=raw.where,
            baseline=raw.baseline,
            baseline_from=raw.baseline_from,
            warn=raw.warn,
            crit=raw.crit,
            direction=signal.direction,
            off=raw.off,
            starting=raw.starting,
            bound_s=raw.bound_s if raw.bound_s is not None else signal.max_age,
            recovering=found,
        )


def _order(level: Level) -> int:
    """Return how bad it is to be told late: unknown is told before all."""
    return 5 if level is Level.UNKNOWN else level.rank
