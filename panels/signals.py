"""Every signal, what wants a look first: crit, warn, unknown with their reasons, then what is well."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation
from panels.facts import Trouble, state
from panels.pieces import Column, Line, Piece
from panels.table import TablePanel
from panels.theme import WORD
from panels.words import age, bare


class SignalsPanel(TablePanel):
    number = 8
    key = "signals"
    title_text = "Signals"
    short = "Sig"
    empty = "no signals are defined"
    columns = (
        Column("state", 9),
        Column("signal", 17, grow=2, most=22),
        Column("value", 7, ">", grow=1, most=13),
        Column("why", 13, grow=4, drop=1),
        Column("for", 4, ">", drop=2),
    )
    wide_columns = (columns[0], Column("signal", 20, grow=2, most=42), *columns[2:])

    def keys(self, situation: Situation) -> Sequence[Hashable]:
        wanted = self.filter.lower()
        names = [
            s for s in situation.signals.values() if wanted in f"{s.name} {s.title} {s.reason} {WORD[s.level]}".lower()
        ]
        names.sort(key=lambda s: (-s.level.rank, s.pending is None))
        return [s.name for s in names]

    def cells(self, key: Hashable, situation: Situation) -> Sequence[Piece]:
        signal = situation.signals.get(str(key))
        if signal is None:
            return ("", "dim"), (str(key), "dim"), ("", "dim"), ("no longer defined", "dim"), ("", "dim")
        calm = signal.level is Level.OK
        role = signal.level.value
        since = age(situation.mono - signal.since) if signal.since is not None and not calm else ""
        number = "?" if signal.level is Level.UNKNOWN and signal.value is None else bare(signal.value, signal.unit)
        return (
            state(signal.level),
            (signal.title if self._roomy and signal.title else signal.name, "text" if calm else "bold"),
            (number, "text" if calm else role),
            (_why(signal), "warn" if signal.pending else "dim" if calm else "text"),
            (since, "dim"),
        )

    @property
    def _roomy(self) -> bool:
        return self.size.width >= 76

    def columns_for(self, width: int) -> tuple[Column, ...]:
        return self.wide_columns if self._roomy else self.columns

    def level(self, situation: Situation) -> Level:
        return max((s.level for s in situation.signals.values()), key=lambda level: level.rank, default=Level.UNKNOWN)

    def trouble(self, situation: Situation) -> list[Trouble]:
        return []  # each signal tells its own

    def age_s(self, situation: Situation) -> float | None:
        return max((s.age_s for s in situation.signals.values() if s.age_s is not None), default=None)

    def aside(self, situation: Situation) -> Line:
        pieces: list[Piece] = []
        for level in (Level.CRIT, Level.WARN, Level.UNKNOWN, Level.OK):
            number = sum(s.level is level for s in situation.signals.values())
            if number:
                pieces.append(
                    (f"{' ' if pieces else ''}{number} {WORD[level]}", "dim" if level is Level.OK else level.value)
                )
        return tuple(pieces)


def _why(signal: SignalStatus) -> str:
    where = ""
    if signal.worst_labels and signal.level is not Level.OK:
        where = " ".join(str(v) for v in signal.worst_labels.values())
        where = f"{where}: " if where and where not in signal.reason else ""
    if signal.pending is not None:
        return f"{where}{WORD[signal.pending]} pending {signal.reason}".rstrip()
    return f"{where}{signal.reason}" if signal.level is not Level.OK else ""
