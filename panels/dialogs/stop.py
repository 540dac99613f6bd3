"""Asks whether to end a program or statement that runs.

Lightly, because it may have had its effect already, in part or whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model.plan import Progress, SqlRun
from panels.dialogs.running import RunningDialog
from panels.kit.marks import SIGN
from panels.kit.prose import Para, para
from panels.kit.theme import Appearance
from panels.messages import StopRunning


class StopDialog(RunningDialog):
    """Asks whether to end what runs: `y` ends it; Enter and Escape let it run.

    Posts StopRunning for each that is shown, or CloseLayer.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "stop", "Stop it", show=False)]
    WIDTH = 92
    CLOSE = "Let it run"
    HINT = "stop it"

    def __init__(self, running: Sequence[Progress], *, appearance: Appearance | None = None) -> None:
        super().__init__("Stop it?", running, appearance)

    def words(self) -> Sequence[Para]:
        lines: list[Para] = []
        for progress in self.running:
            plan = progress.plan
            lines += [
                para(
                    (f"{SIGN['next']} ", "accent"), (plan.title, "bold"), f" on {plan.target.name}   {progress.words}"
                ),
                para((plan.kubectl, "dim"), label="  "),
            ]
        if any(isinstance(progress.plan.request, SqlRun) for progress in self.running):
            how = "The database is asked to cancel the statement."
        else:
            how = "It and every program that it started get SIGTERM, and SIGKILL five seconds later."
        return [
            *lines,
            para(),
            para(how),
            para(
                (f"{SIGN['warn']} It may have had its effect already, in part or whole.", "warn"),
                " What is known of that afterwards is said here and journalled: stopped by the operator.",
            ),
        ]

    def action_stop(self) -> None:
        self.seen.struck("y", lambda seen: self._stop())

    def _stop(self) -> None:
        for progress in self.running:
            self.post_message(StopRunning(progress.plan.id))
        self.action_close()
