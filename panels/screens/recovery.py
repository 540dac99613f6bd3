"""Shows named signals over time, and since the last step: whether it recovers (11.step.4)."""

from __future__ import annotations

from cockpit.model.plan import JournalLine
from cockpit.model.reading import NOTHING_READ
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation
from cockpit.text import split_words
from panels.kit.spans import BLANK, Line, cut_middle, width_of
from panels.kit.sparks import of_signal
from panels.kit.theme import MARK
from panels.kit.words import duration, value
from panels.screens.named import NamedRows, NamedView
from panels.screens.view import Asked

_SPARK = 28  # cells


class RecoveryRows(NamedRows):
    """Shows two rows a signal: its value and past; since when it is as it is, and why."""

    def lines(self, situation: Situation, width: int) -> list[Line]:
        names = self.names or _unnamed(situation)
        rows = [line for name in names for line in _rows(situation, name, width)]
        return [*_head(situation, names), BLANK, *rows]


def _unnamed(situation: Situation) -> tuple[str, ...]:
    """Return what is unwell where none are named, and each stage's headline."""
    heads = (stage.headline.name for stage in situation.stages if stage.headline is not None)
    return tuple(dict.fromkeys([*sorted(situation.unwell), *heads]))


def _head(situation: Situation, names: tuple[str, ...]) -> list[Line]:
    """Count what is well, and name the step that is being recovered from."""
    known = [found for name in names if (found := situation.signals.get(name)) is not None and not found.off]
    well = sum(one.level is Level.OK for one in known)
    unknown = sum(one.level is Level.UNKNOWN for one in known)
    level = Level.OK if well == len(known) and known else Level.UNKNOWN if well + unknown == len(known) else Level.WARN
    words = f"{well} of {len(known)} well" + (f", {unknown} unknown" if unknown else "")
    step = last_step(situation)
    since = "no step was sent yet"
    if step is not None:
        since = f"since #{step.number} {step.title}, {duration(max(0.0, situation.wall - step.wall))} ago"
    return [((f" {MARK[level]} {words}", level.value), (f"   {since}", "text"))]


def last_step(situation: Situation) -> JournalLine | None:
    """Return the newest step that changed something and was not taken back."""
    return next((line for line in situation.journal if line.changes and not line.undone), None)


def _rows(situation: Situation, name: str, width: int) -> list[Line]:
    signal = situation.signals.get(name)
    if signal is None:
        return [((f" ? {name}", "unknown"), ("   no signal of that name", "text"))]
    now = "?" if signal.value is None else value(signal.value, signal.unit)
    drawn = of_signal(signal, _SPARK)
    role = signal.level.value
    room = max(8, width - width_of(now) - width_of(drawn) - 8)
    title = cut_middle(signal.title, room)
    gap = " " * max(1, room - width_of(title) + 1)
    first: Line = ((f" {MARK[signal.level]} ", role), (f"{title}{gap}", "bold"), (now, role), (f"  {drawn}", "accent"))
    return [
        first,
        ((f"     {_state_words(situation, signal)}", "unknown" if signal.level is Level.UNKNOWN else "dim"),),
    ]


def _state_words(situation: Situation, signal: SignalStatus) -> str:
    """Say since when it is so, whether that is after the step, and what it recovers from."""
    if signal.off or signal.level is Level.UNKNOWN:
        return f"{'off' if signal.off else 'unknown'}: {signal.reason or NOTHING_READ}"
    lasted = None if signal.since is None else max(0.0, situation.mono - signal.since)
    words = [f"{signal.level.value.upper()}" + ("" if lasted is None else f" for {duration(lasted)}")]
    step = last_step(situation)
    if step is not None and lasted is not None:
        words.append("since the step" if situation.wall - lasted >= step.wall else "as before the step")
    if signal.recovering is not None:
        quiet, clears = duration(signal.recovering.quiet_s), duration(signal.recovering.clears_s)
        words.append(f"nothing new for {quiet}, clears in {clears}")
    elif signal.reason:
        words.append(signal.reason)
    return ", ".join(words)


class RecoveryView(NamedView):
    """Shows the named signals; posts CloseLayer."""

    TITLE = ("RECOVERY", "signals over time")
    ROWS = RecoveryRows


def view(asked: Asked) -> RecoveryView:
    return RecoveryView(tuple(split_words(asked.args.get("signals", ""))), asked.situation, appearance=asked.appearance)
