"""Asks before leaving while a mitigation is under way.

It says what goes on, and what nobody would watch any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model.plan import Phase, Progress
from panels.dialogs.running import RunningDialog
from panels.kit.marks import SIGN
from panels.kit.prose import Para, para
from panels.kit.theme import Appearance
from panels.messages import AskStop, QuitAnswer


class QuitDialog(RunningDialog):
    """Asks whether to leave: `y` leaves; Enter and Escape stay.

    Posts QuitAnswer.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "leave", "Leave", show=False),
        Binding("ctrl+x", "stop", "Stop what runs", show=False),
    ]
    WIDTH = 84
    CLOSE = "Stay"
    HINT = "leave"

    def __init__(self, running: Sequence[Progress], *, appearance: Appearance | None = None) -> None:
        super().__init__("Leave?", running, appearance)

    def words(self) -> Sequence[Para]:
        count = len(self.running)
        lines = [para((f"{SIGN['warn']} {count} mitigation{'s are' if count > 1 else ' is'} under way", "warn"))]
        for progress in self.running:
            lines.append(
                para(
                    (progress.plan.title, "bold"),
                    f" on {progress.plan.target.name}  ",
                    (progress.phase.value, "accent"),
                    f"  {progress.words}",
                    label="  ",
                )
            )
        sending = any(progress.phase is Phase.SENDING for progress in self.running)
        first = (
            "What is being sent is finished and journalled before the process ends. "
            if sending
            else "What was sent stays sent. "
        )
        waits = [p for p in self.running if p.stoppable]
        asked = (
            [para("The program or statement that runs is waited for: ", ("ctrl+x", "key"), " stops it.")]
            if waits
            else []
        )
        return [
            *lines,
            para(),
            *asked,
            para(first, "Rollout and proof are not watched any more; the journal keeps the undo."),
            para(),
        ]

    def action_leave(self) -> None:
        self.seen.struck("y", lambda seen: self.post_message(QuitAnswer(True)))

    def action_stop(self) -> None:
        if any(progress.stoppable for progress in self.running):
            self.post_message(AskStop())

    def action_close(self) -> None:
        self.post_message(QuitAnswer(False))
