"""Shows the cluster, whether it may be changed, a light for each source, and the time."""

from __future__ import annotations

from cockpit.model.signal import Level
from cockpit.model.situation import Situation, SourceLight
from panels.dashboard.strips.open_incident import incident_line, reminder_line
from panels.dashboard.strips.pipeline import verdict
from panels.keys import hint
from panels.kit.line_widget import LineWidget
from panels.kit.spans import BLANK, Line, Span, cut, line_width, spread
from panels.kit.theme import MARK, SOURCE_LEVEL, STOP
from panels.kit.words import age, clock

ROOMY = 150
NARROW = 120  # below this many columns the strip takes two lines


class TopStrip(LineWidget):
    @staticmethod
    def height_for(width: int) -> int:
        return 1 if width >= NARROW else 2

    def picture(self, width: int, height: int) -> list[Line]:
        situation = self.situation
        if situation is None:
            return [((" M0CLUB ", "brand"), ("  connecting …", "dim"))]
        off = situation.clock_behind_s is not None
        zone: Span = ("Z? ", "crit") if off else ("Z ", "dim")
        time: Line = ((clock(situation.wall), "crit" if off else "bold"), zone)
        spare = situation.incident is not None  # the programme's own name is what can be spared then
        if height == 1:
            identity = (*self._identity(situation, 60)[2 if spare and width < ROOMY else 0 :], ("   ", "text"))
            wanted = line_width(incident_line(situation, width)) if situation.incident is not None else 12
            room = width - line_width(identity) - line_width(time) - 4
            lights = source_lights(situation, room - min(wanted, room // 2))
            incident = incident_line(situation, room - line_width(lights))
            return [spread((*identity, *incident), (*lights, ("   ", "text"), *time), width)]
        stop: Line = BLANK
        stage = next((s for s in situation.stages if s.stops_here), None)
        if stage is not None:
            words = {Level.UNKNOWN: "? unknown from ", Level.WARN: f"{MARK[Level.WARN]} watch "}.get(
                stage.level, "◀ it stops at "
            )
            stop = ((words, "bold"), (f" {stage.name} ", STOP[stage.level]), (" ", "text"))
        elif any(s.level is Level.RECOVERING for s in situation.stages):
            stop = (*verdict(situation), (" ", "text"))
        due = reminder_line(situation, hint(self.appearance.keys, "incident"))
        stop = due or stop  # the strip below marks the stage too; that others must be told stands nowhere else
        room = width - line_width(stop)
        identity = self._identity(situation, width - 42)
        if spare:
            identity = (*identity[2:], ("  ", "text"))
            identity = (*identity, *incident_line(situation, width - line_width(identity) - line_width(time) - 1))
        return [
            spread(identity, time, width),
            spread((("  ", "text"), *source_lights(situation, room)), stop, width),
        ]

    def _identity(self, situation: Situation, room: int) -> Line:
        place = f"{situation.context}/{','.join(situation.namespaces)}"
        spans: list[Span] = [
            (" M0CLUB ", "brand"),
            ("  ", "text"),
            (cut(place, max(8, room)), "bold"),
            ("  ", "text"),
        ]
        if situation.production:
            spans += [(" PRODUCTION ", "alarm"), (" ", "text")]
        spans.append((" READ-ONLY ", "calm") if situation.read_only else (" READ-WRITE ", "bold"))
        return tuple(spans)


def source_lights(situation: Situation, room: int = 200) -> Line:
    """Return "k8s ● LIVE 0s": name, sign, state in words when it is not live, age.

    When the room is short, words of what lives give way first, then the wide gaps, then sources
    that are not configured, then the ages of what lives.
    """
    lines: list[Line] = []
    for words, gap, idle, ages in (
        (True, 3, True, True),
        (False, 3, True, True),
        (False, 2, True, True),
        (False, 3, False, True),
        (False, 2, False, True),
        (False, 1, False, False),
    ):
        spans: list[Span] = []
        for light in situation.sources:
            if light.state.off and not idle:
                continue
            if spans:
                spans.append((" " * gap, "text"))
            spans += _light(light, words, ages)
        lines.append(tuple(spans))
        if line_width(lines[-1]) <= room - 4:
            break
    return lines[-1]


def _light(light: SourceLight, words: bool, ages: bool) -> list[Span]:
    level = SOURCE_LEVEL[light.state]
    live = light.state.live
    mark, role = ("○", "dim") if light.state.off else (MARK[level], level.value)
    text = f"{mark} {light.state.value.upper()}" if words or not live else mark
    spans: list[Span] = [(f"{light.name} ", "dim"), (text, role)]
    if light.age_s is not None and not light.state.off and (ages or not live):
        spans.append((f" {age(light.age_s)}", "dim" if live else role))
    return spans
