"""Draws dialogs about mitigations under way: a letter does it, Cancel has the focus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text

from cockpit.model.plan import Progress
from panels.kit.layer import HintedLayer
from panels.kit.marks import ink
from panels.kit.theme import Appearance


class RunningDialog(HintedLayer):
    """Asks about what runs: `running` is what it is about; `HINT` says what `y` does.

    Subclasses bind the keys and give the words.
    """

    ASKS = True
    HINT: ClassVar[str]

    def __init__(self, title: str, running: Sequence[Progress], appearance: Appearance | None) -> None:
        super().__init__(title, appearance)
        self.running = tuple(running)

    def opened(self) -> None:
        super().opened()
        self._tell_key()

    def seen_changed(self) -> None:
        super().seen_changed()
        self._tell_key()

    def _tell_key(self) -> None:
        hint = Text()
        hint.append("y", style=ink(self.appearance, "key"))
        hint.append(f" {self.HINT}" if self.seen.ready else " in a moment")
        self.say_hint(hint)

    def show_running(self, running: Sequence[Progress]) -> None:
        """Show newer states of the same mitigations."""
        self.running = tuple(running)
        self.refresh_words()
