"""Says since when a bad signal is bad: by its history, else by when it was first seen so."""

from __future__ import annotations

from cockpit.assessment.baseline import Points, judge
from cockpit.assessment.verdicts.holding import Held, Raw
from cockpit.model.runbook import SignalDef
from cockpit.sources.values import Onset

_TIMES = ("s", "ms", "slots", "min", "h")


def onset_of(signal: SignalDef, held: Held, points: Points, raw: Raw, mono: float, now: float) -> Onset:
    """Return the beginning of the bad time that lasts.

    `points` are (unix seconds, value), oldest first. Where all of them are bad it began with them
    at the latest; so it did where nothing is kept, and it was bad at the first look.
    """
    seen = held.since_warn if held.onset is None else held.onset
    first, at_latest = now - (mono - seen) if seen is not None else now, held.onset is None
    for at, value in reversed(points):
        if not judge(value, signal.direction, raw.warn, raw.crit).bad:
            if at < first or at_latest:
                first = min(first, next((t for t, _ in points if t > at), first))
                at_latest = False
            break
        first = min(first, at)
    return Onset(signal.title, first, at_latest, slow=signal.unit in _TIMES, invalid=signal.dangerous)
