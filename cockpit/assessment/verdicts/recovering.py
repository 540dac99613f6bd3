"""Tells a signal that recovers from one that is bad: by what is new, not by what its window holds.

`Reveals rejected, 5 min` stays high for five minutes after the last one. What was asked over the
newest seconds alone, or counted exactly, tells how long nothing bad has come.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cockpit.assessment.baseline import judge, with_unit
from cockpit.assessment.board import Board
from cockpit.model.observed.metrics import Newest
from cockpit.model.reading import Unknown, believed, spell
from cockpit.model.runbook import SignalDef
from cockpit.model.signal import Level, Recovery
from cockpit.sources.values import Value

#: A shorter silence says nothing.
LEAST_S = 10.0
#: So many events would have come in a silence that is no chance.
EVENTS = 4.0
#: … but no longer than this part of the window is waited for them.
MOST_OF_WINDOW = 0.6
#: A single look at what is new may be chance.
LOOKS = 2


@dataclass(frozen=True, slots=True)
class Fresh:
    """Holds what is new of a signal.

    `read`: of which reading; None: it is counted exactly, and nothing came for `span_s`.
    """

    level: Level
    value: float
    span_s: float
    window_s: float
    read: object = None


@dataclass(slots=True)
class Quiet:
    """Remembers since when what is new of one signal has been well."""

    since: float | None = None  # monotonic
    span_s: float = 0.0  # before that moment, too
    read: object = None
    bad_looks: int = 0

    def take(self, signal: SignalDef, fresh: Fresh, level: Level, value: float | None, mono: float) -> float:
        """Return for how long it has been well; 0: it is not.

        `level`, `value`: of its window. What is counted and as bad again ends the silence at once.
        A share of a few may be bad by chance: it must be so twice, and no better than the window.
        """
        if fresh.read is None:
            return fresh.span_s
        if fresh.level is Level.OK:
            self.bad_looks = 0
            if self.since is None:
                self.since, self.span_s = mono, fresh.span_s
        elif fresh.read is not self.read:
            self.bad_looks += 1
            again = fresh.level.rank >= level.rank or self.bad_looks >= LOOKS
            if again if counts(signal) else self.bad_looks >= LOOKS and not _better(signal, fresh.value, value):
                self.since = None
        self.read = fresh.read
        return mono - self.since + self.span_s if self.since is not None else 0.0

    def end(self) -> None:
        self.since, self.read, self.bad_looks = None, None, 0


def of_newest(
    name: str, signal: SignalDef, board: Board, mono: float, warn: float | None, crit: float | None
) -> Fresh | None:
    """Return what Prometheus says is new; None: it was not asked, or does not know."""
    found = believed(board.get(f"newest/{name}"), mono, Newest)
    if isinstance(found, Unknown):
        return None
    newest = found.data
    values = [sample.value for sample in newest.result.samples]
    if not values or not all(map(math.isfinite, values)):
        return None
    value = (max if signal.direction == "above" else min)(values)
    return Fresh(judge(value, signal.direction, warn, crit), value, newest.span_s, newest.window_s, newest)


def fresh_of_value(signal: SignalDef, value: Value) -> Fresh | None:
    """Return what is new of an exact count."""
    if value.quiet_s is None or value.window_s is None or value.number is None:
        return None
    if value.quiet_s >= value.window_s or value.quiet_s <= 0.0:
        return None
    return Fresh(Level.OK, 0.0, value.quiet_s, value.window_s)


def recovery(
    signal: SignalDef, value: float | None, fresh: Fresh, quiet_s: float, lasted_s: float | None = None
) -> Recovery | None:
    """Return how it recovers, once its silence is long enough to be no chance.

    `lasted_s`: for how long it was bad before; None where nobody saw it begin.
    """
    if quiet_s < max(LEAST_S, enough(signal, value, fresh.window_s, lasted_s)):
        return None
    return Recovery(fresh.value, fresh.span_s, quiet_s, max(0.0, fresh.window_s - quiet_s))


def enough(signal: SignalDef, value: float | None, window_s: float, lasted_s: float | None = None) -> float:
    """Return how long nothing must have come; what comes seldom says little by a short silence.

    What began within its window came more often than the window says, which holds the calm before.
    """
    if value is None or value <= 0.0 or signal.direction != "above" or window_s <= 0.0:
        return 0.0
    per_s = {"/min": value / 60.0, "": value / window_s}.get(signal.unit)
    if per_s and lasted_s is not None:
        per_s *= window_s / min(window_s, max(lasted_s, LEAST_S))
    return min(EVENTS / per_s, MOST_OF_WINDOW * window_s) if per_s else 0.0


def _better(signal: SignalDef, new: float, value: float | None) -> bool:
    return value is not None and (new < value if signal.direction == "above" else new > value)


def counts(signal: SignalDef) -> bool:
    """Tell whether it counts what should not be, so that none is well and one is news."""
    return signal.direction == "above" and signal.unit in ("/min", "")


def words(signal: SignalDef, found: Recovery) -> str:
    """Say "0 new for 75 s; the window clears in 3:45"."""
    for_s = spell(found.quiet_s)
    new = (
        f"0 new for {for_s}"
        if counts(signal) and found.value == 0.0
        else f"{with_unit(found.value, signal.unit)} now, better for {for_s}"
    )
    whole = math.ceil(found.clears_s)
    return f"{new}; the window clears in {whole // 60}:{whole % 60:02d}"


def silent(beside: Fresh | None) -> bool:
    """Tell whether silence may be that nothing is tried: its companion is not known to be well."""
    return beside is None or beside.level is not Level.OK
