"""Asks a question that only a person can answer; the answer goes to the journal.

With `args.answer = "yes-no"` it begins with yes or no.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from cockpit.model.runbook import Step
from panels.dialogs.field import ParamInput
from panels.kit.layer import Layer
from panels.kit.marks import ink
from panels.kit.prose import Para, para
from panels.kit.theme import Appearance
from panels.messages import Cancelled, ManualAnswer, PlanPart


class ManualDialog(Layer):
    """Shows `step.question`; Enter records what was typed, and sends nothing to the cluster."""

    WIDTH = 84
    CLOSE = "Cancel"

    def __init__(
        self, runbook_id: str, step: Step, *, part: PlanPart | None = None, appearance: Appearance | None = None
    ) -> None:
        super().__init__(step.title, appearance)
        self.runbook_id = runbook_id
        self.step = step
        self.part = part

    def compose(self) -> ComposeResult:
        yield self.body
        with Vertical(classes="foot"):
            yield ParamInput(id="answer", compact=True, max_length=500)
            with Horizontal(classes="buttons"):
                yield from self.buttons()

    @property
    def foot_height(self) -> int:
        return 2

    def words(self) -> Sequence[Para]:
        note = [para((self.step.note, "dim"))] if self.step.note else []
        how = [para(("Begin with yes or no; then what you like.", "dim"))] if self._yes_no else []
        return [para(self.step.question or self.step.title), *note, *how, para()]

    def opened(self) -> None:
        super().opened()
        hint = Text()
        hint.append("enter", style=ink(self.appearance, "key"))
        hint.append(" records the answer in the journal")
        self.say_hint(hint)

    @property
    def _yes_no(self) -> bool:
        """Return whether the question wants yes or no."""
        return self.step.args.get("answer") == "yes-no"

    def take_focus(self) -> None:
        self.seize(self.query_one("#answer"))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        choice = ""
        if self._yes_no:
            first, _, text = text.replace(",", " ", 1).partition(" ")
            choice = {"y": "yes", "yes": "yes", "n": "no", "no": "no"}.get(first.lower(), "")
            if not choice:
                return
        if text.strip() or choice:
            self.post_message(ManualAnswer(self.runbook_id, self.step.id, text.strip(), choice, self.part))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()

    def action_close(self) -> None:
        self.post_message(Cancelled())
