"""Shows a round of routine maintenance or a checklist.

What was measured, is asked, is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model.maintenance import Finding, Question, Round, RoundLine
from cockpit.model.views import BY_NAME
from panels.kit.lines_view import LinesView
from panels.kit.marks import SIGN
from panels.kit.prose import Para, para
from panels.kit.theme import Appearance
from panels.kit.words import age
from panels.messages import KeepRound, MakeRound, PlanStep
from panels.screens.pages import PagesView
from panels.screens.view import Asked, Bar

_STATE: Mapping[str, tuple[str, str]] = {
    "ok": (SIGN["ok"], "ok"),
    "attention": (SIGN["warn"], "warn"),
    "unknown": (SIGN["unknown"], "unknown"),
    "ask": (SIGN["dot"], "accent"),
    "answered": (SIGN["ok"], "ok"),
}
_WORD: Mapping[str, str] = {
    "ok": "ok",
    "attention": "ATTENTION",
    "unknown": "UNKNOWN",
    "ask": "asked",
    "answered": "answered",
}


class MaintenanceView(PagesView):
    """Posts MakeRound when it wants a round, KeepRound, and PlanStep for a question.

    The app hands it the round: `tell`.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "again", "Look again", show=False),
        Binding("w", "keep", "Write the report", show=False),
    ]
    TITLES = BY_NAME["maintenance"].pages
    BRAND = "MAINTENANCE"
    KEYS = (("←→", "page"), ("enter", "answer"), ("r", "look again"), ("w", "write the report"), ("esc", "back"))

    def __init__(self, name: str = "", *, appearance: Appearance | None = None) -> None:
        appearance = appearance or Appearance()
        self.rows = LinesView(appearance, cursor=True, id="page")
        super().__init__(name, self.rows, appearance)
        self.round: Round | None = None
        self.problem = ""

    def opened(self) -> None:
        super().opened()
        self._ask()

    def tell(self, name: str, made: Round | None, problem: str = "") -> None:
        """Show the round that was asked for, or why there is none.

        One of another page comes too late.

        One of another page comes too late.
        """
        if name != self.page:
            return
        self.round, self.problem = made, problem  # a failed look says why, rather than pass for fresh
        if self.is_attached:
            self._draw()

    def _ask(self) -> None:
        """Ask for a new round; until then the old one stays, unless it is of another page."""
        self.problem = ""
        if self.round is not None and self.round.name != self.page:
            self.round = None
        self._draw(again=True)
        self.post_message(MakeRound(self.page))

    def _draw(self, *, again: bool = False) -> None:
        self.tell_title()
        state = self.query_one("#state", Bar)
        made = self.round
        if made is None:
            words = self.problem or "looking: a month of history takes a moment"
            state.say(
                (f" {SIGN['unknown'] if self.problem else SIGN['dot']} {words}", "unknown" if self.problem else "dim")
            )
            self.rows.show_lines(())
            return
        counts = [
            (made.count("attention"), "want attention", "warn"),
            (made.count("unknown"), "not known", "unknown"),
            (made.count("ask"), "asked", "accent"),
            (made.count("ok", "answered"), "in order", "ok"),
        ]
        counted = [(f" {count} {words} ", role) for count, words, role in counts if count]
        state.say(*counted, (f"  {made.place}", "dim"), *((("   looking again", "accent"),) if again else ()))
        self.rows.show_lines(page(made))

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        event.stop()
        kind, _, name = event.key.partition(":")
        runbook, _, step = name.partition(":")
        if kind == "ask":
            self.post_message(PlanStep(runbook, step))

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        event.stop()

    def turned(self) -> None:
        self._ask()

    def action_again(self) -> None:
        self._ask()

    def action_keep(self) -> None:
        if self.round is not None:
            self.post_message(KeepRound(self.round))


def page(made: Round) -> list[Para]:
    """Return the page's lines, in the round's order.

    Keys: `line:ITEM`, `ask:RUNBOOK:STEP`.
    """
    lines = [para((made.title, "title"))]
    lines += [para((note, "unknown")) for note in made.notes]
    for line in made.lines:
        lines += [para(), _head(line), *(_finding(finding) for finding in line.findings)]
        if line.question is not None:
            lines += _question(line.question, made.wall)
    return lines


def _head(line: RoundLine) -> Para:
    sign, role = _STATE[line.state]
    return para(
        (line.text, "bold"),
        (f"   {_WORD[line.state]}", role),
        (f"   {line.item}", "dim"),
        label=(f"{sign} ", role),
        key=f"line:{line.item}",
    )


def _finding(finding: Finding) -> Para:
    sign, role = _STATE[finding.state]
    return para((finding.words, "text" if finding.state == "ok" else role), label=(f"  {sign} ", role))


def _question(asked: Question, wall: float) -> list[Para]:
    sign, role = _STATE["answered" if asked.fresh else "ask"]
    key = f"ask:{asked.runbook}:{asked.step}"
    lines = [para((asked.text, "text" if asked.fresh else role), label=(f"  {sign} ", role), key=key)]
    if asked.answered is None:
        return [*lines, para(("nobody has answered; enter does", "dim"), label="    ")]
    answer = f"{asked.answer}  ({asked.who or 'somebody'}, {age(wall - asked.answered)} ago)"
    stale = "" if asked.fresh else "too old for this round: "
    return [*lines, para((f"{stale}{answer}", "dim" if asked.fresh else "text"), label="    ")]


def view(asked: Asked) -> MaintenanceView:
    return MaintenanceView(asked.page, appearance=asked.appearance)
