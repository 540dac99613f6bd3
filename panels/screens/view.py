"""View: a full-size overlay.

The app's keys work in it; it covers everything, so the app need not show the panels behind.
"""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import Static

from panels.kit.marks import ink
from panels.kit.overlay import Overlay
from panels.kit.theme import Appearance
from panels.messages import CloseLayer


class Bar(Static):
    """One row of words; updated only when they differ, for a refresh repaints, changed or not."""

    DEFAULT_CSS = "Bar { height: 1; width: 1fr; background: $panel; }"

    def __init__(self, look: Appearance, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__("", id=id, markup=False)
        self.look = look
        self._said: list[tuple[str, str]] = []

    def say(self, *spans: tuple[str, str]) -> None:
        """Spans of (text, role)."""
        if list(spans) != self._said:
            self._said = list(spans)
            text = Text(no_wrap=True, overflow="ellipsis", end="")
            for words, role in spans:
                text.append(self.look.glyphs(words), style=ink(self.look, role))
            self.update(text, layout=False)

    def keys(self, *pairs: tuple[str, str]) -> None:
        """What works here: (key, words) pairs."""
        self.say((" ", "dim"), *(span for key, words in pairs for span in ((key, "key"), (f" {words}  ", "dim"))))


class View(Overlay):
    """Escape posts CloseLayer; the app removes the topmost overlay."""

    DEFAULT_CSS = "View { layout: vertical; width: 100%; height: 100%; background: $background; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Back", show=False)]

    def __init__(self, look: Appearance | None = None) -> None:
        super().__init__()
        self.look = look or Appearance()

    def action_close(self) -> None:
        self.post_message(CloseLayer())
