"""Shows which runbook matches, how surely, and the key that opens it; notices stand below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from textual import events

from cockpit.model.runbook import Match, listed
from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from panels.keys import hint
from panels.kit.line_widget import LineWidget
from panels.kit.spans import Line, Span, cut, fit, line_width, plain, spread, width_of
from panels.kit.theme import MARK
from panels.kit.words import age, clock
from panels.messages import AskKillSwitch, OpenRunbook, OpenRunbooks, OpenView

KILL_SWITCH = " kill switch"
NO_KEYS: Final[Mapping[str, str]] = {}


class MatchLine(LineWidget):
    @staticmethod
    def height_for(situation: Situation | None) -> int:
        return 1 + rows_below(situation) if situation is not None else 1

    def on_click(self, event: events.Click) -> None:
        """Open the runbook that is clicked on, or ask for the kill switch, as their keys do."""
        if self.situation is None:
            return
        if event.y == 1 and since_line(self.situation, self.size.width):
            self.post_message(OpenView("changes"))
        if event.y:
            return
        held = _leading(self.situation)
        words = plain(match_line(self.situation, self.size.width, self.appearance.keys))
        switch = words.rfind(hint(self.appearance.keys, "kill-switch") + KILL_SWITCH)
        if switch >= 0 and event.x >= width_of(words[:switch]):
            self.post_message(AskKillSwitch())
        else:
            self.post_message(OpenRunbook(held[0].runbook.id) if held else OpenRunbooks())

    def picture(self, width: int, height: int) -> list[Line]:
        situation = self.situation
        if situation is None:
            return []
        lines = [match_line(situation, width, self.appearance.keys)]
        if since := since_line(situation, width, self.appearance.keys):
            lines.append(since)
        below = [fit(((" ◐ ", "warn"), (notice, "text")), width) for notice in notices(situation)]
        return [*lines, *below][:height]


def _leading(situation: Situation) -> list[Match]:
    """Return the runbooks that the line names: that hold, whose cause is seen, the incident's.

    One that is held back stands behind: it tells of what was done here.
    """
    some = [match for match in listed(situation.matches) if match.holds or match.pinned or match.suspected]
    return [match for match in some if match.pinned or not match.held_back]


def rows_below(situation: Situation) -> int:
    """Count the rows under the match: since when and what explains it, then two notices at most."""
    return (1 if situation.changes.onset is not None and _leading(situation) else 0) + min(2, len(notices(situation)))


def since_line(situation: Situation, width: int, keymap: Mapping[str, str] = NO_KEYS) -> Line:
    """Say since when it is so, and the change that explains it best; empty without a match."""
    now = situation.changes
    if now.onset is None or not _leading(situation):
        return ()
    latest = " at the latest" if now.onset.at_latest else ""
    lasted = max(0.0, situation.cluster_now - now.onset.at)
    ago = f"{lasted:.0f} s" if lasted < 100 else f"{lasted / 60:.0f} min" if lasted < 6000 else age(lasted)
    head: list[Span] = [(" since ", "dim"), (f"{clock(now.onset.at)[:5]}{latest}, {ago}  ", "bold")]
    best = now.best
    if best is None:
        found: Line = (("no change that is seen explains it", "text"),)
    else:
        before = best.before_onset_s
        near = "" if before is None or best.change.at_latest else f"{age(abs(before))} before: "
        found = ((near, "dim"), (f"{best.change.name} {best.change.words}", "warn"))
        found = (*found, (f"  {best.change.by}" if best.change.by else "", "dim"))
    opens: Line = ((hint(keymap, "changes"), "key"), (" what changed ", "dim"))
    return spread(fit((*head, *found), width - line_width(opens) - 1), opens, width)


def notices(situation: Situation) -> tuple[str, ...]:
    """Return what stands below: first that publishing is stopped, by whom, or is paused in part."""
    own = situation.publishing
    part = f"{len(own.paused)} of {own.markets or '?'} markets paused: {', '.join(own.paused)}" if own.paused else ""
    return tuple(filter(None, (own.words, part, *situation.notices)))


def match_line(situation: Situation, width: int, keymap: Mapping[str, str] = NO_KEYS) -> Line:
    held = _leading(situation)
    if (
        not held
        and not any(m.score > 0 for m in situation.matches)
        and (mending := _recovering(situation, width, keymap))
    ):
        return mending
    opens: Line = (
        (hint(keymap, "runbooks"), "key"),
        (" opens  ", "dim"),
        (hint(keymap, "kill-switch"), "key"),
        (f"{KILL_SWITCH} ", "dim"),
    )
    room = width - line_width(opens) - 1
    danger: Line = ((" PUBLISHING UNSAFE ", "alarm"),) if situation.publishing.danger else ()
    if not held:
        all_signals = situation.signals.values()
        none = (*danger, *_without_runbook(situation))
        return spread(fit(none, room), opens, width) if any(s.level is Level.CRIT for s in all_signals) else none
    best = held[0]
    label = " PINNED " if best.pinned and not best.holds else " MATCH "
    left: list[Span] = [
        *(danger or ((label, "alarm" if best.runbook.severity in ("SEV0", "SEV1") else "halt"),)),
        (f" {best.runbook.number} ", "key"),
        (f"{best.runbook.title}  ", "bold"),
        (best.words, "text"),
    ]
    if line_width(tuple(left)) > room:  # how many symptoms hold is worth more than the end of a title
        counted = best.words.replace(" symptoms", "")
        longest = room - width_of(counted) - line_width(tuple(left[:2])) - 2
        left[2:] = [(f"{cut(best.runbook.title, longest)}  ", "bold"), (counted, "text")]
    others = _others(held[1:], room - line_width(tuple(left)))
    return spread(fit((*left, *others), room), opens, width)


def _others(held: list[Match], room: int) -> Line:
    """Name the others that hold: by title where there is room, else by number; none is left out."""
    for most in (True, False):
        spans: list[Span] = []
        for place, other in enumerate(held):
            words = other.words.replace(" symptoms", "")
            title = f"{other.runbook.title}  {words}" if most and place == 0 else ""
            spans += [
                (" · also " if place == 0 else ", ", "dim"),
                (f"{other.runbook.number}{' ' if title else ''}", "key"),
                (title, "dim"),
            ]
        if line_width(tuple(spans)) <= room:
            return tuple(spans)
    return tuple(spans)


def _without_runbook(situation: Situation) -> Line:
    """Say that nothing fits, and what is worst; or that it cannot be told."""
    back = next((match for match in situation.matches if match.held_back and match.holds), None)
    if back is not None:
        return (
            (" held back ", "warn"),
            (f" {back.runbook.number} ", "key"),
            (f"{back.runbook.title}  ", "bold"),
            (back.words, "dim"),
        )
    worst = max(situation.signals.values(), key=lambda s: (s.level is Level.CRIT, not s.off), default=None)
    if worst is not None and worst.level is Level.CRIT:
        near = next((m for m in situation.matches if m.score > 0), None)
        nearest = f"  nearest {near.runbook.number}, {near.held} of {near.total}" if near is not None else ""
        return ((" no runbook fits  ", "bold"), (f"worst: {worst.title}: {worst.reason}", "crit"), (nearest, "dim"))
    unknown = [s for m in situation.matches for s in m.symptoms if s.held is None]
    if unknown:
        plural = "" if len(unknown) == 1 else "s"
        return (
            (" ? ", "unknown"),
            ("cannot tell: ", "unknown"),
            (f"{len(unknown)} symptom{plural} unknown", "text"),
        )
    return ((" no runbook matches", "dim"),)


def _recovering(situation: Situation, width: int, keymap: Mapping[str, str]) -> Line:
    """Say which runbook's symptoms recover, and how, when none holds; empty when none does."""
    for match in situation.matches:
        if not match.recovers:
            continue
        for name in (name for status in match.symptoms for name in status.symptom.witnesses):
            signal = situation.signals.get(name)
            if signal is not None and signal.recovering is not None:
                opens: Line = ((hint(keymap, "runbooks"), "key"), (" opens ", "dim"))
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
