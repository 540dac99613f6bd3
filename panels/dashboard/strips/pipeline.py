"""Shows seven stages in the order data flows, each with its state, number and recent past."""

from __future__ import annotations

from textual import events

from cockpit.model.signal import Level, StageStatus
from cockpit.model.situation import Situation
from cockpit.model.views import STAGES
from panels.kit.line_widget import LineWidget
from panels.kit.marks import countdown
from panels.kit.spans import Line, Span, cut, pad, width_of
from panels.kit.sparks import of_signal
from panels.kit.theme import MARK, STOP, WORD
from panels.kit.words import value
from panels.messages import OpenView

WIDE = 120
VERDICT = 28  # columns of "◀ it stops at: aggregate" at the right of the wide strip


class PipelineStrip(LineWidget):
    @staticmethod
    def height_for(width: int) -> int:
        return 3 if width >= WIDE else 2

    def on_click(self, event: events.Click) -> None:
        """Go to the panel that tells more about the stage."""
        stages = self.situation.stages if self.situation is not None else ()
        if stages:
            wide = self.size.height >= 3
            cell = _wide_cell(self.size.width, len(stages)) if wide else _narrow_cell(self.size.width, len(stages))
            place = max(0, event.x - (1 if wide else 0)) // cell
            stage = stages[place] if place < len(stages) else next((s for s in stages if s.stops_here), None)
            if stage is not None and stage.name in STAGES:
                self.post_message(OpenView(STAGES[stage.name]))

    def picture(self, width: int, height: int) -> list[Line]:
        situation = self.situation
        if situation is None or not situation.stages:
            return [((" no pipeline stages are defined" if situation else "", "dim"),)]
        return self._wide(situation, width) if height >= 3 else self._narrow(situation, width)

    def _wide(self, situation: Situation, width: int) -> list[Line]:
        stages = situation.stages
        cell = _wide_cell(width, len(stages))
        names: list[Span] = [(" ", "text")]
        numbers: list[Span] = [(" ", "text")]
        sparks: list[Span] = [(" ", "text")]
        for place, stage in enumerate(stages):
            name, role = _name(stage)
            names.append((name, role))
            rest = cell - width_of(name)
            last = place == len(stages) - 1
            names.append((" " * rest if last or rest < 4 else " " + "─" * (rest - 3) + "▸ ", "faint"))
            word = f"{MARK[stage.level]} {WORD[stage.level]}"
            numbers += [
                (f"{word} ", stage.level.value),
                (pad(_number(stage), cell - width_of(word) - 2), _role(stage)),
                (" ", "text"),
            ]
            sparks += _past(stage, cell)
        names.append((" ", "text"))
        numbers += verdict(situation, "◀ it stops at: " if width >= 150 else "◀ stops: ")
        return [tuple(names), tuple(numbers), tuple(sparks)]

    def _narrow(self, situation: Situation, width: int) -> list[Line]:
        stages = situation.stages
        cell = _narrow_cell(width, len(stages))
        names: list[Span] = []
        numbers: list[Span] = []
        for stage in stages:
            role = STOP[stage.level] if stage.stops_here else "bold"
            mark = f"{MARK[stage.level]}"
            name = pad(stage.name, min(width_of(stage.name), cell - 2))
            names += [(mark, stage.level.value), (name, role), (" " * (cell - 1 - width_of(name)), "text")]
            word = "OK" if stage.level is Level.OK else "?" if stage.level is Level.UNKNOWN else WORD[stage.level]
            number = _number(stage).replace("/min", "/m")
            alone = stage.level is Level.RECOVERING or (stage.level is Level.UNKNOWN and number == "?")
            text = WORD[stage.level] if alone else f"{word} {number}"
            split = 0 if alone else len(word)
            text = pad(text, cell - 1)
            numbers += [(text[:split], stage.level.value), (text[split:], _role(stage)), (" ", "text")]
        return [tuple(names), tuple(numbers)]


def _wide_cell(width: int, count: int) -> int:
    return max(12, (width - (VERDICT if width >= 150 else 22)) // count)


def _narrow_cell(width: int, count: int) -> int:
    return max(6, width // count)


def _name(stage: StageStatus) -> Span:
    if stage.stops_here:
        return f" {stage.name} ", STOP[stage.level]
    return stage.name, "bold"


def _number(stage: StageStatus) -> str:
    """Return the number that the stage's state is of: no other stands beside it."""
    decider = stage.decider
    return "?" if decider is None else value(decider.newest, decider.unit)


def _role(stage: StageStatus) -> str:
    return "text" if stage.level is Level.OK else stage.level.value


def _past(stage: StageStatus, cell: int) -> list[Span]:
    """Draw the sparkline of what decides the stage; another than the headline is named first."""
    room = cell - 3
    decider = stage.decider
    if decider is None:
        return [(" " * cell, "text")]
    role = f"spark-{stage.level.value}"
    if decider is stage.headline:
        return [(of_signal(decider, room), role), (" " * (cell - room), "text")]
    name = cut(decider.name, room)
    left = max(0, room - width_of(name) - 1)
    drawn = of_signal(decider, left) if left >= 4 else " " * left
    return [(f"{name} ", stage.level.value), (drawn, role), (" " * (cell - width_of(name) - 1 - left), "text")]


def verdict(situation: Situation, stops: str = "◀ it stops at: ") -> list[Span]:
    """Say where it stops, else where to look first, else what recovers."""
    stage = next((s for s in situation.stages if s.stops_here), None)
    if stage is not None:
        words = {Level.CRIT: (stops, "bold"), Level.WARN: (f"{MARK[Level.WARN]} watch: ", "warn")}.get(
            stage.level, ("? unknown: ", "unknown")
        )
        return [words, (stage.name, stage.level.value)]
    if any(s.level is Level.RECOVERING for s in situation.stages):
        clears = max((s.recovering.clears_s for s in situation.signals.values() if s.recovering is not None), default=0)
        return [(f"{MARK[Level.RECOVERING]} recovering ", "recovering"), (countdown(clears), "recovering")]
    if situation.stages and all(s.level is Level.OK for s in situation.stages):
        return [("● ", "ok"), ("flowing", "text")]
    return [("? cannot tell", "unknown")]
