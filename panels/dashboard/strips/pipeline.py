"""Shows seven stages in the order data flows, each with its state, number and recent past."""

from __future__ import annotations

from cockpit.model.signal import Level, StageStatus
from cockpit.model.situation import Situation
from panels.kit.line_widget import LineWidget
from panels.kit.spans import Line, Span, pad, width_of
from panels.kit.sparks import of_signal
from panels.kit.theme import MARK, STOP, WORD
from panels.kit.words import value

WIDE = 120
VERDICT = 28  # columns of "◀ it stops at: aggregate" at the right of the wide strip


class PipelineStrip(LineWidget):
    @staticmethod
    def height_for(width: int) -> int:
        return 3 if width >= WIDE else 2

    def picture(self, width: int, height: int) -> list[Line]:
        situation = self.situation
        if situation is None or not situation.stages:
            return [((" no pipeline stages are defined" if situation else "", "dim"),)]
        return self._wide(situation, width) if height >= 3 else self._narrow(situation, width)

    def _wide(self, situation: Situation, width: int) -> list[Line]:
        stages = situation.stages
        cell = max(12, (width - (VERDICT if width >= 150 else 22)) // len(stages))
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
        numbers += _verdict(situation, "◀ it stops at: " if width >= 150 else "◀ stops: ")
        return [tuple(names), tuple(numbers), tuple(sparks)]

    def _narrow(self, situation: Situation, width: int) -> list[Line]:
        stages = situation.stages
        cell = max(6, width // len(stages))
        names: list[Span] = []
        numbers: list[Span] = []
        for stage in stages:
            role = STOP[stage.level] if stage.stops_here else "bold"
            mark = f"{MARK[stage.level]}"
            name = pad(stage.name, min(width_of(stage.name), cell - 2))
            names += [(mark, stage.level.value), (name, role), (" " * (cell - 1 - width_of(name)), "text")]
            word = "OK" if stage.level is Level.OK else "?" if stage.level is Level.UNKNOWN else WORD[stage.level]
            number = _number(stage).replace("/min", "/m")
            text = "UNKNOWN" if stage.level is Level.UNKNOWN and number == "?" else f"{word} {number}"
            split = 0 if text == "UNKNOWN" else len(word)
            text = pad(text, cell - 1)
            numbers += [(text[:split], stage.level.value), (text[split:], _role(stage)), (" ", "text")]
        return [tuple(names), tuple(numbers)]


def _name(stage: StageStatus) -> Span:
    if stage.stops_here:
        return f" {stage.name} ", STOP[stage.level]
    return stage.name, "bold"


def _number(stage: StageStatus) -> str:
    return "?" if stage.headline is None else value(stage.headline.value, stage.headline.unit)


def _role(stage: StageStatus, calm: str = "text") -> str:
    """Return the number's role: it is coloured only when it is what makes the stage bad."""
    own = stage.headline.level if stage.headline is not None else Level.UNKNOWN
    return calm if own is Level.OK else own.value


def _past(stage: StageStatus, cell: int) -> list[Span]:
    """Draw the headline's sparkline, or the signal that decides the stage in its stead."""
    room = cell - 3
    headline = stage.headline
    if headline is None or headline.level is not stage.level:
        other = next((s for s in stage.signals if s.level is stage.level and s is not headline), None)
        if other is not None:
            return [
                (pad(f"{other.name} {value(other.value, other.unit)}", room), stage.level.value),
                (" " * (cell - room), "text"),
            ]
    if headline is None:
        return [(" " * cell, "text")]
    return [
        (of_signal(headline, room), f"spark-{stage.level.value}"),
        (" " * (cell - room), "text"),
    ]


def _verdict(situation: Situation, words: str) -> list[Span]:
    stage = next((s for s in situation.stages if s.stops_here), None)
    if stage is not None and stage.level is Level.UNKNOWN:
        return [("? unknown: ", "unknown"), (stage.name, "unknown")]
    if stage is not None:
        return [(words, "bold"), (stage.name, stage.level.value)]
    if all(s.level is Level.OK for s in situation.stages):
        return [("● ", "ok"), ("flowing", "text")]
    return [("? cannot tell", "unknown")]
