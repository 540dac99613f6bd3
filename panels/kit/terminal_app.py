"""Does what a full-screen program owes its terminal, whatever it shows.

It ends when the terminal does, leaves it as it was, goes easy on one that cannot keep up, and never
lets a key that was typed ahead do something else than it was typed for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial

from textual import events, on
from textual._callback import invoke
from textual.app import App
from textual.command import CommandPalette
from textual.geometry import Offset
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from cockpit.text import safe, typed
from panels.kit.driver import CockpitDriver
from panels.kit.mouse.drag import Draggable
from panels.kit.overlay import Overlay
from panels.kit.seen.attention import Attention
from panels.kit.theme import THEME, Appearance
from panels.messages import TextMarked

#: Keys typed ahead wait for what the key before them opened; no longer than this, should a widget
#: vanish meanwhile.
SETTLE_AT_MOST_S = 0.3
LAID_OUT_AT_MOST_S = 2.0  # a slow machine takes its time for the first layer; keys typed ahead wait for it
ROUNDS = 4
CHECK_TERMINAL_S = 1.0
MOUSE_LEFT = "the mouse is the terminal's: mark text its own way; the same key takes it back"
MOUSE_BACK = "the mouse is the cockpit's again"
ENDS_WITHIN_S = 5.0  # after a bug; longer than closing what is open takes


class TerminalApp(App[int]):
    """Runs until `end(code)`; `last_words` are printed after the terminal is restored."""

    ALLOW_SELECT = False  # it knows nothing of widgets that draw lines: `Draggable` marks their text

    def __init__(
        self, appearance: Appearance, *, debug_errors: bool = False, relay: str = "", mouse: bool = True
    ) -> None:
        """Make it for a terminal; `relay` names what answers in its place (tmux), "" for none."""
        self.attention = Attention(relay)
        few = appearance.colours in ("none", "standard")
        super().__init__(driver_class=CockpitDriver, ansi_color=few)
        self.appearance = appearance
        self.last_words: list[str] = []
        self._debug_errors = debug_errors
        self._failed = False
        self._ended = threading.Event()  # the app has returned
        self._typed: deque[events.Key] = deque()
        self._settling: Timer | None = None
        self._turn = 0
        self._held = False
        self._opening = 0  # layers that are being mounted and laid out
        self.touched = False  # the operator has struck a key or a button of the mouse
        self.marked = ""  # the text that the mouse has marked
        self.has_mouse = mouse
        self._pressed_at: Offset | None = None
        self.register_theme(THEME)
        # with few colours textual's own parts take the terminal's: a theme in RGB would emit greys,
        # even under NO_COLOR
        self.theme = BUILTIN_THEMES["ansi-dark"].name if few else THEME.name

    def run_to_end(self) -> int:
        """Run it; return the exit code once the terminal is as it was."""
        try:
            self.run(mouse=self.has_mouse)
        finally:
            self._ended.set()
        return self.return_code or 0

    @property
    def base(self) -> Screen[object]:
        """Return the screen with the panels and layers, also while the palette lies over it."""
        return self.screen_stack[0]

    # --- the end ----------------------------------------------------------------------------------

    def listen(self) -> None:
        """End at a signal, with the terminal restored and everything closed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, partial(self.end, 128 + number))
        self.set_interval(CHECK_TERMINAL_S, self.in_turn(self._watch_terminal))
        self.app_resume_signal.subscribe(self, self._back)  # ctrl+z, fg: the terminal has forgotten the picture

    def _back(self, _: object) -> None:
        self._draw_anew()

    def _draw_anew(self) -> None:
        """Paint all again; what an open dialog asks counts as unseen until it was."""
        self.screen.refresh(layout=True)
        if self.screen_stack:
            for layer in self.base.children:
                if isinstance(layer, Overlay):
                    layer.drawn_anew()

    def end(self, code: int) -> None:
        self.exit(code, return_code=code)

    @property
    def ending(self) -> bool:
        """Tell whether the end was asked for.

        Its screens are about to close, and take nothing more.

        Its screens are about to close, and take nothing more.
        """
        return self._exit

    def _watch_terminal(self) -> None:
        driver = self._driver
        if isinstance(driver, CockpitDriver):
            if driver.hung_up():
                self.end(128 + signal.SIGHUP)
            elif driver.recovered():
                self._draw_anew()

    def panic(self, *renderables: object) -> None:
        """End as at any error: what textual would print may hold anything (rule 4)."""
        self._fatal_error()

    def _fatal_error(self) -> None:
        """End as textual does, without locals: a traceback must not show secrets (rule 4)."""
        error = self._exception
        if self._failed:
            return
        self._failed = True
        words = f"{type(error).__name__}: {safe(error)}" if error is not None else "unknown error"
        self.last_words.append(
            f"m0-cockpit: a bug stopped the screen: {words} (run again with --debug for the traceback)"
        )
        if self._debug_errors and error is not None:
            self.last_words += [safe(line) for line in "".join(traceback.format_exception(error)).splitlines()]
        if isinstance(self._driver, CockpitDriver):
            self._driver.end_input()
            threading.Thread(target=self._make_sure, args=(self._driver,), name="last-resort", daemon=True).start()
        self._close_messages_no_wait()

    def _make_sure(self, driver: CockpitDriver) -> None:
        """End the process if a bug has taken the orderly end with it.

        A screen that died half open may wait for itself for ever. What is journalled is finished
        first.
        """
        if self._ended.wait(ENDS_WITHIN_S):
            return
        self.finish()
        driver.restore()
        for line in self.last_words:
            print(line, file=sys.__stderr__, flush=True)
        os._exit(1)

    def finish(self) -> None:
        """Finish what must not be cut; called in a thread when the screen itself cannot end."""

    # --- the mouse --------------------------------------------------------------------------------

    def _mouse_event(self, event: events.MouseEvent) -> None:
        """Keep a drag from counting as a click on what it began on."""
        if isinstance(event, events.MouseDown):
            self.touched = True
            self._unmark()
            self._pressed_at = event.screen_offset
        elif isinstance(event, events.MouseUp) and event.screen_offset != self._pressed_at:
            self._mouse_down_widget = None

    def _unmark(self) -> None:
        if self.marked:
            self.marked = ""
            for widget in self.base.query(Draggable):
                widget.unmark()

    @on(TextMarked)
    def _text_marked(self, event: TextMarked) -> None:
        self.marked = event.text
        self.copy_line(event.text, "what is marked")

    # --- keys typed ahead -------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Handle one key at a time.

        On a slow link `r`, `n`, Enter come in one piece: each waits until all that the one before
        brought about (messages from widget to widget, a dialog that opens) has happened.
        """
        if isinstance(event, events.MouseEvent):
            self._mouse_event(event)
        if isinstance(event, events.Paste):
            event.text = typed(event.text)  # for every field there is, the palette's too
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        first, *rest = self._apart(event)
        if self._settling is not None or self._held:
            self._typed += (first, *rest)
        else:
            self._typed += rest
            await self._press(first)

    def _apart(self, event: events.Key) -> tuple[events.Key, ...]:
        """Take alt and a key apart: Escape and a key that come in one piece look like it.

        Not in a line that is typed at, whose habits (alt+b) must not close it.
        """
        meta, plus, key = event.key.partition("+")
        if meta != "alt" or not plus or not key or isinstance(self.screen.focused, Input):
            return (event,)
        char = event.character  # made here, neither was struck by itself: none of the two confirms anything
        return (events.Key("escape", "\x1b"), events.Key(char if char and char.isalnum() else key, char))

    def hold_keys(self) -> None:
        """Hold keys until `release_keys`: what they are meant for is not there yet."""
        self._held = True

    def release_keys(self) -> None:
        self._held = False
        if self._typed and self._settling is None:
            self.call_later(self._press, self._typed.popleft())

    async def _press(self, event: events.Key) -> None:
        if self.ending:
            return
        self.touched = True
        if event.key != "ctrl+c":
            self._unmark()
        self._turn += 1
        self.attention.handling(event)
        self._give_time(self._turn)
        await super().on_event(event)
        self._settle(self._turn, ROUNDS, deque())

    def _give_time(self, turn: int) -> None:
        self._settling = self.set_timer(SETTLE_AT_MOST_S, self.in_turn(partial(self._overdue, turn)))

    async def _overdue(self, turn: int) -> None:
        if turn == self._turn and self._settling is not None and self._opening:
            self._give_time(turn)
        else:
            await self._settled(turn)

    def _settle(self, turn: int, rounds: int, path: deque[MessagePump]) -> None:
        """Pass through the queues of the focused widget and its parents, behind the key's messages.

        A message causes others (chosen → plan this → open a dialog), hence several rounds.
        """
        while path:
            if path.popleft().call_later(self._settle, turn, rounds, path):
                return
        if rounds:
            start = self.screen.focused or self.screen
            path.extend(node for node in start.ancestors_with_self if node is not self)
            self.call_later(self._settle, turn, rounds - 1, path)
        else:
            self.call_later(self._settled, turn)

    async def _settled(self, turn: int) -> None:
        if turn != self._turn or self._settling is None:
            return
        self._settling.stop()
        self._settling = None
        if self._typed and not self._held:
            await self._press(self._typed.popleft())

    async def laid_out(self, widget: Widget) -> None:
        """Wait until the widget has its size, but not for ever.

        The terminal may stall, the widget go.

        The terminal may stall, the widget go.
        """
        ready = asyncio.Event()
        widget.call_after_refresh(ready.set)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAID_OUT_AT_MOST_S):
                await ready.wait()

    # --- layers over the base ---------------------------------------------------------------------

    def layers(self) -> list[Widget]:
        """Return what lies over the panels, lowest first."""
        return [w for w in self.base.children if isinstance(w, Overlay)] if self.screen_stack else []

    async def open_layer(self, layer: Widget) -> None:
        """Mount it and give it the focus before the next key is read.

        What is typed ahead is meant for it.

        What is typed ahead is meant for it.
        """
        if self.ending:  # a closed screen takes no widget, and the error would change the exit code
            return
        self._opening += 1
        try:
            await self.base.mount(layer)
            await self.laid_out(layer)
        finally:
            self._opening -= 1

    async def close_layers(self, kind: type[Widget]) -> None:
        """Remove every layer of a kind."""
        for layer in self.base.query(kind):
            await layer.remove()

    # --- timers -----------------------------------------------------------------------------------

    def in_turn(self, do: Callable[[], object]) -> Callable[[], None]:
        """Wrap a timer's work so that it runs in turn, never two waiting.

        Textual runs timers beside the queue of messages, where they meet widgets half opened or
        half removed.

        Textual runs timers beside the queue of messages, where they meet widgets half opened or
        half removed.

        In turn, never two waiting.
        """
        waiting = False

        async def run() -> None:
            nonlocal waiting
            waiting = False
            await invoke(do)

        def tick() -> None:
            nonlocal waiting
            if not waiting:
                waiting = self.call_later(run)

        return tick

    # --- small things -----------------------------------------------------------------------------

    @property
    def in_palette(self) -> bool:
        return isinstance(self.screen, CommandPalette)

    def notify_line(self, words: str, severity: str = "warning") -> None:
        """Show a passing line.

        Never markup: the words may come from outside.
        """
        self.notify(safe(words), markup=False, severity="error" if severity == "error" else "warning", timeout=6)

    def action_mouse(self) -> None:
        """Leave the mouse to the terminal, or take it back."""
        self.notify_line(MOUSE_BACK if self.take_mouse(not self.has_mouse) else MOUSE_LEFT)

    async def action_copy_or_help(self) -> None:
        """Copy again what the mouse has marked; without that, show the help."""
        if self.marked:
            self.copy_line(self.marked, "what is marked")
        else:
            await self.run_action("help")

    def take_mouse(self, wanted: bool) -> bool:
        """Ask the terminal to report the mouse, or to keep it for its own marking of text."""
        driver = self._driver
        if isinstance(driver, CockpitDriver):
            driver.take_mouse(wanted)
            self.has_mouse = wanted
        return self.has_mouse

    def copy_line(self, text: str, what: str) -> None:
        self.copy_to_clipboard(text)
        self.notify(f"{safe(what)} copied (if the terminal allows OSC 52)", markup=False, timeout=3)


__all__ = ["TerminalApp"]
