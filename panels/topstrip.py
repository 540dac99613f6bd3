"""The top strip: which cluster, may it be changed, how far the sources can be believed, and the time."""

from __future__ import annotations

from cockpit.model.reading import SourceState
from cockpit.model.signal import Level
from cockpit.model.situation import Situation, SourceLight
from panels.lines import LineWidget
from panels.pieces import BLANK, Line, Piece, cut, line_width, spread
from panels.theme import MARK, SOURCE_LEVEL, STOP
from panels.words import age, clock

NARROW = 120  # below this many columns the strip takes two lines


class TopStrip(LineWidget):
    @staticmethod
    def height_for(width: int) -> int:
        return 1 if width >= NARROW else 2

    def picture(self, width: int, height: int) -> list[Line]:
        situation = self.situation
        if situation is None:
            return [((" M0CLUB ", "brand"), ("  connecting …", "dim"))]
        time: Line = ((clock(situation.wall), "bold"), ("Z ", "dim"))
        lights = source_lights(situation)
        if height == 1:
            identity = self._identity(situation, 60)
            return [
                spread((*identity, ("   ", "text"), ("no incident", "faint")), (*lights, ("   ", "text"), *time), width)
            ]
        stop: Line = BLANK
        stage = next((s for s in situation.stages if s.stops_here), None)
        if stage is not None:
            words = "? unknown from " if stage.level is Level.UNKNOWN else "◀ it stops at "
            stop = ((words, "bold"), (f" {stage.name} ", STOP[stage.level]), (" ", "text"))
        room = width - line_width(stop)
        return [
            spread(self._identity(situation, width - 42), time, width),
            spread((("  ", "text"), *source_lights(situation, room)), stop, width),
        ]

    def _identity(self, situation: Situation, room: int) -> Line:
        place = f"{situation.context}/{','.join(situation.namespaces)}"
        pieces: list[Piece] = [
            (" M0CLUB ", "brand"),
            ("  ", "text"),
            (cut(place, max(8, room)), "bold"),
            ("  ", "text"),
        ]
        if situation.production:
            pieces += [(" PRODUCTION ", "alarm"), (" ", "text")]
        pieces.append((" READ-ONLY ", "calm") if situation.read_only else (" READ-WRITE ", "bold"))
        return tuple(pieces)


def source_lights(situation: Situation, room: int = 200) -> Line:
    """ "k8s ● LIVE 0s": name, sign, state in words when it is not live, age; words give way when the room is short."""
    for words in (True, False):
        pieces: list[Piece] = []
        for light in situation.sources:
            if pieces:
                pieces.append(("   ", "text"))
            pieces += _light(light, words)
        if line_width(tuple(pieces)) <= room - 4:
            break
    return tuple(pieces)


def _light(light: SourceLight, words: bool) -> list[Piece]:
    level = SOURCE_LEVEL[light.state]
    mark, role = ("○", "dim") if light.state is SourceState.OFF else (MARK[level], level.value)
    text = f"{mark} {light.state.value.upper()}" if words or light.state is not SourceState.LIVE else mark
    pieces: list[Piece] = [(f"{light.name} ", "dim"), (text, role)]
    if light.age_s is not None and light.state is not SourceState.OFF:
        pieces.append((f" {age(light.age_s)}", "dim" if light.state is SourceState.LIVE else role))
    return pieces
