"""Lets only a key that was struck at what could be read confirm a dialog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.timer import Timer
from textual.widget import Widget

from cockpit.model.seen import Decision, Seen
from panels.kit.seen.attention import Attention

ASK_AGAIN_S = 0.1


class KeyJudge:
    """Judges the keys of one dialog; `changed` is called when `ready` or `note` has changed.

    `note`: why the last key was not taken, in words.
    """

    def __init__(self, dialog: Widget, changed: Callable[[], None]) -> None:
        self._dialog = dialog
        self._changed = changed
        self._number: int | None = None  # of the frame that shows it as it is now
        self._drawing = 0
        self._waiting: Timer | None = None
        self._polling: Timer | None = None
        self.ready = False
        self.note = ""

    @property
    def _attention(self) -> Attention | None:
        """Return the terminal's; None where the keys come from no terminal (a test's pilot)."""
        found: Any = getattr(self._dialog.app, "attention", None)
        return found if isinstance(found, Attention) and found.watches else None

    def drawn_anew(self) -> None:
        """Begin anew: what is asked has changed, or its place on the screen has.

        The terminal is asked behind the frame that shows it. A key that was struck before, at the
        frame before, is judged by that one; whoever takes it compares what it was struck at.
        """
        self._drawing += 1
        self._number, self.ready, self.note = None, self._attention is None, ""
        if self._polling is not None:
            self._polling.stop()
            self._polling = None
        if self._attention is not None:
            drawing = self._drawing
            # twice: the first refresh may only have laid it out
            self._dialog.call_after_refresh(self._dialog.call_after_refresh, self._ask, drawing)

    def struck(self, key: str, then: Callable[[Seen | None], object], *, typed: bool = False) -> None:
        """Judge the key that is being handled; call `then` if it is taken, perhaps later."""
        attention = self._attention
        if attention is None:
            then(None)
            return
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None
        handled, number = attention.handled, self._number
        if handled is None or handled[0] != key or number is None:
            self._refuse(key, "it was struck before this was on the screen")
            return
        stroke = handled[1]

        def decide() -> None:
            if not self._dialog.is_attached:
                return
            verdict = attention.judge(stroke, number, typed=typed)
            if verdict.decision is Decision.REFUSED:
                self._refuse(key, verdict.why)
            elif verdict.decision is Decision.WAIT:
                self._waiting = self._dialog.set_timer(attention.left_s(verdict.until), decide)
            else:
                assert verdict.seen is not None
                self._say("")
                then(attention.on_the_wall(verdict.seen))

        decide()

    def _ask(self, drawing: int) -> None:
        attention = self._attention
        if attention is None or drawing != self._drawing or not self._dialog.is_attached:
            return
        size = self._dialog.app.size
        self._number = attention.ask_terminal(size.width, size.height)
        if self._number is None:  # the line is full: what was drawn may have been dropped, and comes again
            self._polling = self._dialog.set_timer(ASK_AGAIN_S, lambda: self._ask(drawing))
        else:
            self._poll(drawing)

    def _poll(self, drawing: int) -> None:
        attention = self._attention
        if attention is None or self._number is None or drawing != self._drawing or not self._dialog.is_attached:
            return
        if attention.counts(self._number):
            self.ready = True
            self._changed()
        else:
            self._polling = self._dialog.set_timer(ASK_AGAIN_S, lambda: self._poll(drawing))

    def _refuse(self, key: str, why: str) -> None:
        self._say(f"{key} was not taken: {why}. Nothing was done; strike it once more, by itself.")

    def _say(self, note: str) -> None:
        if note != self.note:
            self.note = note
            self._changed()
