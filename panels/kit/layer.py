"""Shows a box of words over the panels, with a foot that is always visible.

It traps focus and keys while it is open: only its own keys work, the app's do not. The app mounts
one into the current screen and removes it on `CloseLayer` or `Cancelled`; layers only post
messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from panels.kit.lines_view import LinesView
from panels.kit.marks import ink, sign
from panels.kit.overlay import Overlay
from panels.kit.prose import Para, para
from panels.kit.seen.key_judge import KeyJudge
from panels.kit.theme import Appearance
from panels.messages import CloseLayer


class CancelButton(Widget, can_focus=True):
    """Closes the layer, as a button that is one row high.

    Enter or a click closes the layer: the only thing that Enter does in a dialog by default.
    """

    DEFAULT_CSS = "CancelButton { height: 1; width: auto; background: $surface; }"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "press", "Close", show=False)]

    class Pressed(Message):
        """Says that Enter or a click pressed it."""

    def __init__(self, words: str, appearance: Appearance) -> None:
        super().__init__()
        self.words = words
        self.appearance = appearance

    def render(self) -> Text:
        style = ink(self.appearance, "key") + Style(reverse=True) if self.has_focus else ink(self.appearance, "text")
        return Text(f"[ {self.words} ]", style=style, no_wrap=True)

    def rename(self, words: str) -> None:
        if words != self.words:
            self.words = words
            self.refresh(layout=True)

    def action_press(self) -> None:
        self.post_message(self.Pressed())

    def on_click(self) -> None:
        self.action_press()


class Layer(Overlay):
    """Shows a title, scrolling words, and a foot that is always visible.

    Subclasses give `words()` and may add widgets to the foot.
    """

    DEFAULT_CSS = """
    Layer { background: $surface; border: round $primary; padding: 0 1; layout: vertical; }
    Layer > LinesView { height: 1fr; }
    Layer > .foot { height: auto; width: 1fr; }
    Layer .buttons { height: 1; width: 1fr; align-horizontal: center; }
    Layer .hint { width: auto; height: 1; margin: 0 0 0 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close"),
        Binding("up", "scroll_words(-1)", "Up", show=False),
        Binding("down", "scroll_words(1)", "Down", show=False),
        Binding("pageup", "page_words(-1)", "Page up", show=False),
        Binding("pagedown", "page_words(1)", "Page down", show=False),
        Binding("tab", "app.focus_next", "Next", show=False),  # the screen's own are cut off, see `is_modal`
        Binding("shift+tab", "app.focus_previous", "Previous", show=False),
    ]
    WIDTH: ClassVar[int] = 100  # cells at most, borders included
    TALL: ClassVar[bool] = False  # as high as the screen allows, whatever the words need
    CLOSE: ClassVar[str] = "Close"
    ASKS: ClassVar[bool] = False  # a key here does something: it counts only once this could be read

    def __init__(self, title: str, appearance: Appearance | None = None, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.appearance = appearance or Appearance()
        self._title = title
        self.body = LinesView(self.appearance, can_focus=False)
        self._fitted: tuple[int, int, int] | None = None
        self.seen = KeyJudge(self, self.seen_changed)

    @property
    def is_modal(self) -> bool:
        """Cut the chain of bindings here.

        No key of the app or of the panels behind works meanwhile.
        """
        return True

    def compose(self) -> ComposeResult:
        yield self.body
        with Horizontal(classes="foot buttons"):
            yield CancelButton(self.CLOSE, self.appearance)

    def words(self) -> Sequence[Para]:
        """Return the lines shown now."""
        return ()

    @property
    def foot_height(self) -> int:
        return 1

    # -- life

    def opened(self) -> None:
        if self.appearance.ascii:
            self.styles.border = ("ascii", self.styles.border_top[1])
        self.retitle(self._title)
        self.refresh_words()
        self.screen.screen_layout_refresh_signal.subscribe(self, lambda _screen: self._fit())
        super().opened()
        self.drawn_anew()

    def drawn_anew(self) -> None:
        if self.ASKS:
            self.seen.drawn_anew()

    def seen_changed(self) -> None:
        """Show that keys count from now on, or why one did not."""
        self.refresh_words()

    def take_focus(self) -> None:
        """Give the focus to what is safe: the cancel button."""
        self.seize(self.query_one(CancelButton))

    def retitle(self, title: str) -> None:
        self._title = title
        self.border_title = Content(self.appearance.glyphs(title))

    def refresh_words(self) -> None:
        """Show `words()` again; only rows that changed are painted."""
        if self.is_attached:
            self.body.show_lines(self.noted(self.words()))
            self._fit()

    def noted(self, words: Sequence[Para]) -> tuple[Para, ...]:
        """Put above the words why the last key was not taken, if it was not."""
        note = [para((f"{sign('warn')} {self.seen.note}", "warn"))] if self.seen.note else []
        return (*note, *words)

    def _fit(self) -> None:
        """Centre the layer in the screen, as high as the words need.

        Never over the first row (context) or the last (keys).
        """
        if not self.is_attached:
            return
        room = self.screen.size
        if not room.width:
            return
        width = min(self.WIDTH, room.width - 2)
        most = max(6, room.height - 2)
        need = self.body.height_at(width - 4) + self.foot_height + 2
        if need > most:  # a scroll bar takes a column
            need = self.body.height_at(width - 5) + self.foot_height + 2
        height = most if self.TALL else min(need, most)
        wanted = (width, height, room.width * 10_000 + room.height)
        if wanted != self._fitted:
            if self._fitted is not None and self._fitted[2] != wanted[2]:  # the terminal has another size
                self.drawn_anew()
            self._fitted = wanted
            self.styles.width, self.styles.height = width, height
            self.styles.offset = ((room.width - width) // 2, max(1, (room.height - height) // 2))

    # -- keys

    def action_close(self) -> None:
        self.post_message(CloseLayer())

    def action_scroll_words(self, by: int) -> None:
        self.body.action_step(by)

    def action_page_words(self, by: int) -> None:
        self.body.action_page(by)

    def on_cancel_button_pressed(self, event: CancelButton.Pressed) -> None:
        event.stop()
        self.action_close()

    def on_click(self, event: events.Click) -> None:
        event.stop()

    def buttons(self) -> ComposeResult:
        """Yield the cancel button, and beside it the line that tells the keys (`say_hint`)."""
        yield CancelButton(self.CLOSE, self.appearance)
        yield Static("", classes="hint", markup=False)

    def say_hint(self, hint: Text) -> None:
        self.query_one(".hint", Static).update(hint)


class HintedLayer(Layer):
    """Tells the keys in its foot, beside the cancel button."""

    def compose(self) -> ComposeResult:
        yield self.body
        with Horizontal(classes="foot buttons"):
            yield from self.buttons()
