"""Holds what lies over the panels in the same screen.

Not a ModalScreen: behind one, every change repaints everything (2 → 19 kB/s measured), while a
layer lets the panels go on at no extra cost.
"""

from __future__ import annotations

from textual import events
from textual.await_remove import AwaitRemove
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from panels.kit.repaint import forget_drawing

LAYER = "dialog"


class Overlay(Widget):
    """Keeps the focus inside while it is topmost, and gives it back when it goes."""

    DEFAULT_CSS = "Overlay { layer: dialog; position: absolute; }"

    _outside: Widget | None = None
    _leaving = False
    _parts: tuple[Widget, ...] = ()  # once it is being removed, all that it was made of

    def on_mount(self) -> None:
        """Call `opened`, which subclasses extend: textual calls every class's own `on_mount`."""
        self.opened()

    def opened(self) -> None:
        """Trap the focus and take it, once, when mounted.

        Subclasses extend it.
        """
        parent = self.parent
        if isinstance(parent, Widget):
            layers = parent.styles.layers or ("default",)
            if LAYER not in layers:
                parent.styles.layers = " ".join((*layers, LAYER))
        self.trap_focus()
        self._outside = self.screen.focused
        self.watch(self.screen, "focused", self._keep_focus, init=False)
        self.take_focus()

    def drawn_anew(self) -> None:
        """Hear that it was drawn anew, as a whole; a dialog that asks for a key extends it."""

    def remove(self) -> AwaitRemove:
        """Remove it, and from now on neither take the focus nor count as topmost.

        A dying widget would swallow the keys.
        """
        self._leaving = True
        self._parts = tuple(self.walk_children(Widget, with_self=True))
        return super().remove()

    def on_unmount(self) -> None:
        for part in self._parts:
            forget_drawing(part)
        self._parts = ()
        before = self._outside
        if before is not None and before.is_attached and before.focusable:
            before.focus(scroll_visible=False)
            return
        below = topmost(self.screen, but=self)  # what had the focus went first (a form that led to a confirmation)
        if below is not None:
            below.call_later(below._take_back)
        elif self.screen.focused is None or not self.screen.focused.is_attached:
            self.screen.focus_next()

    def take_focus(self) -> None:
        """Give the focus to what is safe."""
        raise NotImplementedError

    def seize(self, widget: Widget) -> None:
        """Focus now: `Widget.focus` waits its turn, and keys typed ahead would get in before it."""
        self.screen.set_focus(widget, scroll_visible=False)

    def _keep_focus(self, focused: Widget | None) -> None:
        """Keep a click on a panel behind from taking the keys away."""
        if (
            self.is_attached
            and not self._leaving
            and topmost(self.screen) is self
            and (focused is None or self not in focused.ancestors_with_self)
        ):
            self.call_later(self._take_back)

    def _take_back(self) -> None:
        focused = self.screen.focused if self.is_attached else None
        if (
            self.is_attached
            and not self._leaving
            and topmost(self.screen) is self
            and (focused is None or self not in focused.ancestors_with_self)
        ):
            self.take_focus()


class PlainInput(Input):
    """Takes printable characters only.

    Textual would send a pasted escape sequence to the terminal.
    """

    def _on_paste(self, event: events.Paste) -> None:
        """Runs before textual's own, which inserts the first line."""
        lines = event.text.splitlines()
        event.text = "".join(char for char in (lines[0] if lines else "") if char.isprintable())


def topmost(screen: Screen[object], but: Overlay | None = None) -> Overlay | None:
    """Return the overlay that has the keys: the one opened last."""
    overlays = [c for c in screen.children if isinstance(c, Overlay) and c is not but and not c._leaving]
    return overlays[-1] if overlays else None
