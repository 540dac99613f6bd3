"""Asks before leaving while a mitigation is under way or an incident is open.

It says what goes on, and what nobody would watch any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model.incident import Incident
from cockpit.model.plan import Phase, Progress
from panels.dialogs.running import RunningDialog
from panels.keys import hint
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

    def __init__(
        self, running: Sequence[Progress], incident: Incident | None = None, *, appearance: Appearance | None = None
    ) -> None:
        super().__init__("Leave?", running, appearance)
        self.incident = incident

    def words(self) -> Sequence[Para]:
        return [*self._of_incident(), *(self._of_mitigations() if self.running else ())]

    def _of_incident(self) -> Sequence[Para]:
        if self.incident is None:
            return []
        key = hint(self.appearance.keys, "incident")
        name = f"incident #{self.incident.number} {self.incident.severity} is open"
        stays = "It stays open, and nothing reminds anybody of its updates. "
        return [
            para((f"{SIGN['warn']} {name}", "warn"), f"  {self.incident.title}"),
            para(
                stays,
                ("m0-cockpit incident close", "accent"),
                " closes it, or ",
                (key, "key"),
                " here.",
            ),
            para(),
        ]

    def _of_mitigations(self) -> Sequence[Para]:
        stop = hint(self.appearance.keys, "stop-running")
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
            [
                para(
                    "The program or statement that runs is waited for: ",
                    (stop, "key"),
                    " stops it.",
                )
            ]
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
