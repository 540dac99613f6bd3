"""Holds the base of all full-size overlays.

The app's keys work in it; it covers everything, so the app need not show the panels behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Static

from cockpit.model.situation import Situation
from panels.kit.marks import ink
from panels.kit.overlay import Overlay
from panels.kit.theme import Appearance
from panels.messages import CloseLayer


@dataclass(frozen=True, slots=True)
class Asked:
    """Holds a view as it was asked for; `args` are as runbooks write them.

    Each file that a row of `cockpit.model.views` names has a function `view` that makes it.
    """

    name: str
    args: Mapping[str, str]
    situation: Situation | None
    appearance: Appearance

    @property
    def page(self) -> str:
        return self.args.get("show", "")


class Bar(Static):
    """Shows one row of words; updated only when they differ, as every refresh repaints."""

    DEFAULT_CSS = "Bar { height: 1; width: 1fr; background: $panel; }"

    def __init__(self, appearance: Appearance, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__("", id=id, markup=False)
        self.appearance = appearance
        self._said: list[tuple[str, str]] = []

    def say(self, *spans: tuple[str, str]) -> None:
        """Show spans of (text, role)."""
        if list(spans) != self._said:
            self._said = list(spans)
            text = Text(no_wrap=True, overflow="ellipsis", end="")
            for words, role in spans:
                text.append(self.appearance.glyphs(words), style=ink(self.appearance, role))
            self.update(text, layout=False)

    def keys(self, *pairs: tuple[str, str]) -> None:
        """Say what works here: (key, words) pairs."""
        self.say((" ", "dim"), *(span for key, words in pairs for span in ((key, "key"), (f" {words}  ", "dim"))))


class View(Overlay):
    """Escape posts CloseLayer; the app removes the topmost overlay.

    The app hands the topmost view each new situation: `show(situation)`.
    """

    DEFAULT_CSS = "View { layout: vertical; width: 100%; height: 100%; background: $background; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Back", show=False)]

    def __init__(self, appearance: Appearance | None = None) -> None:
        super().__init__()
        self.appearance = appearance or Appearance()

    def show(self, situation: Situation) -> None:
        """Draw this situation; a view that shows nothing of it need not."""

    def action_close(self) -> None:
        self.post_message(CloseLayer())


class RowsView(View):
    """Shows rows, which have the focus, between bars: what it is above, the keys below.

    `STATE`: with a second bar above the rows, for the state of what they show.
    """

    KEYS: ClassVar[tuple[tuple[str, str], ...]] = (("↑↓ pgup pgdn", "scroll"), ("esc", "back"))
    STATE: ClassVar[bool] = True

    def __init__(self, rows: Widget, appearance: Appearance) -> None:
        super().__init__(appearance)
        self.body = rows

    def compose(self) -> ComposeResult:
        yield Bar(self.appearance, id="top")
        if self.STATE:
            yield Bar(self.appearance, id="state")
        yield self.body
        yield Bar(self.appearance, id="keys")

    def opened(self) -> None:
        super().opened()
        self.query_one("#keys", Bar).keys(*self.KEYS)

    def take_focus(self) -> None:
        self.seize(self.body)
