"""Shows the one-line filter at the bottom.

It works as one types; Enter keeps it, Escape takes it back.
"""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input, Static

from panels.kit.marks import ink
from panels.kit.overlay import Overlay, PlainInput
from panels.kit.theme import Appearance
from panels.messages import FilterChanged


class FilterInput(PlainInput):
    DEFAULT_CSS = "FilterInput { width: 1fr; background: $panel; }"


class FilterBar(Overlay):
    """Takes a filter in the layer of dialogs, docked over the footer.

    Posts FilterChanged at each key; `tell` shows what is wrong.
    """

    DEFAULT_CSS = """
    FilterBar { dock: bottom; height: 1; width: 1fr; layout: horizontal; background: $panel; }
    FilterBar Static { width: auto; height: 1; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", show=False)]

    def __init__(self, text: str = "", *, prompt: str = "/", appearance: Appearance | None = None) -> None:
        super().__init__()
        self.appearance = appearance or Appearance()
        self.prompt = prompt
        self.before = text

    @property
    def is_modal(self) -> bool:
        """Return True, as letters are text here, never keys of the app."""
        return True

    def compose(self) -> ComposeResult:
        yield Static(Text(f"{self.prompt} ", style=ink(self.appearance, "key")), markup=False)
        yield FilterInput(self.before, compact=True, select_on_focus=False)
        yield Static("", id="wrong", markup=False)

    def take_focus(self) -> None:
        self.seize(self.query_one(FilterInput))

    def tell(self, words: str) -> None:
        """Say what is wrong with the text, or how much matches."""
        self.query_one("#wrong", Static).update(Text(f" {words}", style=ink(self.appearance, "warn")))

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.value != self.before or event.input.has_focus:
            self.post_message(FilterChanged(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(FilterChanged(event.value, done=True))

    def action_cancel(self) -> None:
        self.post_message(FilterChanged(self.before, cancelled=True))
