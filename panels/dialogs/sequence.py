"""Shows a sequence: its steps, how far it has come, and the one key that opens the next.

Nothing is sent from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from cockpit.model.plan import SequenceState
from panels.kit.layer import HintedLayer
from panels.kit.marks import ink, sign
from panels.kit.prose import Para, para
from panels.kit.theme import Appearance
from panels.messages import PlanPart

_MARKS = {
    "done": ("ok", "ok", "DONE"),
    "stopped": ("crit", "crit", "STOPPED"),
    "next": ("next", "accent", "NEXT"),
    "waiting": ("dash", "dim", ""),
}


class SequenceDialog(HintedLayer):
    """Shows a `SequenceState`; `n` posts PlanPart for the part that comes next.

    Each is confirmed on its own.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("n", "next", "Next", show=False)]
    WIDTH = 92

    def __init__(self, state: SequenceState, *, appearance: Appearance | None = None) -> None:
        super().__init__(state.title, appearance)
        self.state = state

    def opened(self) -> None:
        super().opened()
        text = Text()
        if self.state.next is not None:
            text.append("n", style=ink(self.appearance, "key"))
            verb = "goes on with" if self.state.begun else "begins with"
            text.append(f" {verb} part {self.state.next + 1} of {len(self.state.items)} (nothing is sent yet)")
        self.say_hint(text)

    def words(self) -> Sequence[Para]:
        state = self.state
        head = "Every part is confirmed on its own; it stops at the first that fails or is not proven."
        if state.next is None:
            head = "Every part is done."
        elif state.begun:
            head = _standing(state, state.next)
        lines = [para(head), para()]
        for index, item in enumerate(state.items):
            mark, role, word = _MARKS[item.state]
            number = f"  journal {item.journal}" if item.journal is not None else ""
            lines.append(
                para(
                    (f"{sign(mark)} ", role),
                    (f"{index + 1} {item.title}", "bold"),
                    (f"  {word}", role),
                    (number, "dim"),
                )
            )
            if item.words:
                lines.append(para((item.words, "dim"), label="    "))
        return [*lines, para()]

    def action_next(self) -> None:
        if self.state.next is not None:
            self.post_message(PlanPart(self.state.runbook, self.state.sequence, self.state.next, self.state.run))


def _standing(state: SequenceState, at: int) -> str:
    """Say how far it has come, and why it does not go on by itself."""
    before = "" if at == 0 else "Part 1 is done. " if at == 1 else f"Parts 1 to {at} are done. "
    after = len(state.items) - at - 1
    if state.items[at].state == "stopped":
        rest = "" if not after else " What comes after it was not begun."
        return f"{before}Part {at + 1} was begun and stopped: {state.items[at].words or 'nobody said why'}.{rest}"
    if state.items[at].journal is not None:
        return f"{before}Part {at + 1} is under way."
    return f"{before}Part {at + 1} is not begun yet: it waits for your n."
