"""Draws one situation headless, and keeps what was drawn beside what it was drawn from.

A frame is plain data, so that one may be kept in a file.
"""

from __future__ import annotations

import math
from typing import Any

from msgspec import Struct

from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation
from panels.dashboard.dashboard import kinds
from panels.dashboard.frame.panel import LinesPanel
from panels.dashboard.frame.table import TablePanel
from panels.dashboard.signals import SignalsPanel
from panels.dashboard.strips.matchline import match_line
from panels.dashboard.strips.pipeline import PipelineStrip
from panels.dashboard.strips.topstrip import TopStrip
from panels.kit.spans import Line, plain
from panels.kit.words import value
from panels.screens.runbook.page import page

WIDE, NARROW = 160, 80
ALL_ROWS = 90  # a panel so high shows all that it has


class SignalSeen(Struct, frozen=True):
    """Holds one signal of a frame."""

    level: str
    shown: str = ""  # its number, as every panel writes it
    reason: str = ""
    pending: str = ""
    off: bool = False
    recovering: bool = False
    newest_level: str = ""  # how bad what is new is by its own thresholds
    clears_s: float = 0.0


class PanelSeen(Struct, frozen=True):
    """Holds one panel: its title line, its lines, and the roles that they are drawn in."""

    title: str
    lines: tuple[str, ...]
    roles: frozenset[str]


class SymptomSeen(Struct, frozen=True):
    signal: str
    at: str
    held: bool | None


class MatchSeen(Struct, frozen=True):
    number: int
    holds: bool
    held: int
    total: int
    symptoms: tuple[SymptomSeen, ...]


class StageSeen(Struct, frozen=True):
    name: str
    signals: tuple[str, ...]


class Frame(Struct, frozen=True):
    """Holds one second of a screen."""

    at: float
    top: tuple[str, ...]
    wide: tuple[str, ...]
    narrow: tuple[str, ...]
    match: str
    page: tuple[str, ...]
    panels: dict[str, PanelSeen]
    signals: dict[str, SignalSeen]
    stages: tuple[StageSeen, ...]
    matches: tuple[MatchSeen, ...]

    def level(self, name: str) -> str:
        return self.signals[name].level if name in self.signals else "unknown"


class Camera:
    """Keeps the panels between frames, as a screen does."""

    def __init__(self) -> None:
        self._panels: dict[str, LinesPanel] = {name: kind() for name, kind in kinds().items()}
        self._wide, self._narrow, self._top = PipelineStrip(), PipelineStrip(), TopStrip()

    def take(self, situation: Situation, at: float) -> Frame:
        best = situation.matches[0] if situation.matches else None
        for strip in (self._wide, self._narrow, self._top):
            strip.situation = situation
        return Frame(
            at=at,
            top=_text(self._top.picture(NARROW, 2)),
            wide=_text(self._wide.picture(WIDE, 3)),
            narrow=_text(self._narrow.picture(NARROW, 2)),
            match=plain(match_line(situation, WIDE)),
            page=tuple("".join(t for t, _ in (*line.label, *line.spans)) for line in page(best, situation))
            if best is not None
            else (),
            panels={name: self._panel(panel, situation) for name, panel in self._panels.items()},
            signals={name: _signal(status) for name, status in situation.signals.items()},
            stages=tuple(StageSeen(s.name, tuple(one.name for one in s.signals)) for s in situation.stages),
            matches=tuple(
                MatchSeen(
                    m.runbook.number,
                    getattr(m, "holds", m.score > 0) and not m.held_back,
                    m.held,
                    m.total,
                    tuple(
                        SymptomSeen(getattr(s, "by", "") or s.symptom.signal, s.symptom.at, s.held) for s in m.symptoms
                    ),
                )
                for m in situation.matches
                if m.score > 0 or m is best
            ),
        )

    def _panel(self, panel: LinesPanel, situation: Situation) -> PanelSeen:
        panel.situation = situation
        if isinstance(panel, TablePanel):
            panel._order(situation)
        width = NARROW if isinstance(panel, SignalsPanel) else 60
        lines = list(panel.picture(width, ALL_ROWS))
        roles = {role for line in lines[1:] for text, role in line if text.strip()}
        return PanelSeen(plain(lines[0]), tuple(t for t in _text(lines[1:-1]) if t.strip(" │")), frozenset(roles))


def _text(lines: Any) -> tuple[str, ...]:
    made: list[Line] = list(lines)
    return tuple(plain(line).rstrip() for line in made)


def _signal(status: SignalStatus) -> SignalSeen:
    newest = getattr(status, "newest", status.value)
    recovery = getattr(status, "recovering", None)
    return SignalSeen(
        level=status.level.value,
        shown=value(newest, status.unit),
        reason=status.reason,
        pending=status.pending.value if status.pending is not None else "",
        off=status.off,
        recovering=recovery is not None,
        newest_level=_judged(status, newest),
        clears_s=recovery.clears_s if recovery is not None else 0.0,
    )


def _judged(status: SignalStatus, number: float | None) -> str:
    if number is None or not math.isfinite(number):
        return Level.UNKNOWN.value
    for level, limit in ((Level.CRIT, status.crit), (Level.WARN, status.warn)):
        if limit is not None and (number >= limit if status.direction == "above" else number <= limit):
            return level.value
    return Level.OK.value
