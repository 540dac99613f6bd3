"""Shows which runbook matches, how surely, and the key that opens it; notices stand below."""

from __future__ import annotations

from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from panels.kit.line_widget import LineWidget
from panels.kit.spans import Line, Span, cut, fit, line_width, spread, width_of
from panels.kit.theme import MARK


class MatchLine(LineWidget):
    @staticmethod
    def height_for(situation: Situation | None) -> int:
        return 1 + min(2, len(situation.notices)) if situation is not None else 1

    def picture(self, width: int, height: int) -> list[Line]:
        situation = self.situation
        if situation is None:
            return []
        lines = [match_line(situation, width)]
        notices = [fit(((" ◐ ", "warn"), (notice, "text")), width) for notice in situation.notices]
        return [*lines, *notices][:height]


def match_line(situation: Situation, width: int) -> Line:
    held = [m for m in situation.matches if m.score > 0]  # symptoms that hold on a calm day too speak for none
    if not held and (mending := _recovering(situation, width)):
        return mending
    if not held:
        unknown = [s for m in situation.matches for s in m.symptoms if s.held is None]
        if unknown:
            plural = "" if len(unknown) == 1 else "s"
            return (
                (" ? ", "unknown"),
                ("cannot tell: ", "unknown"),
                (f"{len(unknown)} symptom{plural} unknown", "text"),
            )
        return ((" no runbook matches", "dim"),)
    best = held[0]
    left: list[Span] = [
        (" MATCH ", "alarm" if best.runbook.severity in ("SEV0", "SEV1") else "halt"),
        (f" {best.runbook.number} ", "key"),
        (f"{best.runbook.title}  ", "bold"),
        (best.words, "text"),
    ]
    opens: Line = (("r", "key"), (" opens  ", "dim"), ("K", "key"), (" kill switch ", "dim"))
    room = width - line_width(opens) - 1
    if line_width(tuple(left)) > room:  # how many symptoms hold is worth more than the end of a title
        counted = best.words.replace(" symptoms", "")
        longest = room - width_of(counted) - line_width(tuple(left[:2])) - 2
        left[2:] = [(f"{cut(best.runbook.title, longest)}  ", "bold"), (counted, "text")]
    for other in held[1:2]:
        words = other.words.replace(" symptoms", "")
        following: Line = (
            (" · next ", "dim"),
            (f"{other.runbook.number} ", "key"),
            (f"{other.runbook.title}  {words}", "dim"),
        )
        if line_width((*left, *following)) + line_width(opens) + 2 <= width:
            left += following
    return spread(fit(tuple(left), room), opens, width)


def _recovering(situation: Situation, width: int) -> Line:
    """Say which runbook's symptoms recover, and how, when none holds; empty when none does."""
    for match in situation.matches:
        for status in match.symptoms:
            signal = situation.signals.get(status.symptom.signal)
            if signal is not None and signal.recovering is not None:
                opens: Line = (("r", "key"), (" opens ", "dim"))
                room = width - line_width(opens) - 1
                left: Line = (
                    (f" {MARK[Level.RECOVERING]} recovering ", "recovering"),
                    (f"{match.runbook.number} ", "key"),
                    (f"{match.runbook.title}  ", "bold"),
                    (signal.reason, "text"),
                )
                if line_width(left) > room:
                    left = (*left[:2], left[3])
                return spread(fit(left, room), opens, width)
    return ()
