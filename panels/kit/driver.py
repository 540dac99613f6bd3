"""Writes to the terminal and reads from it.

A stalled or vanished link drops frames, never data or actions.

Textual's writer blocks its event loop once 30 writes are queued (findings: one heartbeat in 10 s on
a hung link). This writer never blocks: while too much is waiting it drops frames, and `recovered`
says when to repaint whole. What comes in is taken apart by `Keystrokes` before textual makes keys
of it: the tail of a late answer is none. The private hooks (`_writer_thread`, the parser) are why
textual is pinned exactly; tests/panels/kit/test_driver.py covers them.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import threading
import time
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Callable, Iterable
from typing import IO, Any

from rich.cells import cell_len
from textual import _xterm_parser as xterm
from textual import constants, events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.drivers import linux_driver
from textual.drivers._writer_thread import WriterThread
from textual.keys import Keys
from textual.message import Message

from cockpit.model.keystrokes import ESC, Keystrokes, Kind, Piece
from panels.kit.seen.attention import Attention

#: A full repaint of a large screen is some 60 kB; several of those waiting means that the link does
#: not keep up.
MAX_WAITING = 256_000
READ_AT_ONCE = 4096
HEAR_END_WITHIN_S = 0.05  # how soon a thread that reads hears that it shall end, or that a lone ESC was the key
#: Ends a synchronised update whose end may have been dropped.
END_SYNC = "\x1b[?2026l"


#: Signs of textual's own widgets (borders, scroll bars, the palette); the panels' own come as ASCII
#: already.
_PLAIN = str.maketrans(
    {
        "─": "-",
        "━": "=",
        "│": "|",
        "┃": "|",
        "╭": "+",
        "╮": "+",
        "╰": "+",
        "╯": "+",
        "┌": "+",
        "┐": "+",
        "└": "+",
        "┘": "+",
        "▔": "-",
        "▁": "_",
        "▏": "|",
        "▕": "|",
        "▎": "|",
        "▊": "|",
        "▌": "|",
        "▐": "|",
        "█": "#",
        "▀": "-",
        "▄": "_",
        "▇": "#",
        "▆": "#",
        "▅": "#",
        "▃": "#",
        "▂": "_",
        "▉": "#",
        "▋": "|",
        "▍": "|",
        "•": "*",
        "…": "~",
        "–": "-",
        "—": "-",
        "▶": ">",
        "▼": "v",
        "🔎": "> ",
    }
)


def ascii_only(text: str) -> str:
    """Return the text in as many ASCII cells, for a terminal whose locale has no UTF-8."""
    if text.isascii():
        return text
    return "".join(c if c.isascii() else "?" * cell_len(c) for c in text.translate(_PLAIN))


class DroppingWriter(WriterThread):
    """Writes in a thread of its own; drops frames while more than `MAX_WAITING` characters wait."""

    ascii = False

    def __init__(self, file: IO[str]) -> None:
        super().__init__(file)
        self._waiting: deque[str] = deque()
        self._written: list[Callable[[], None]] = []  # called once what waits has left
        self._size = 0
        self._wake = threading.Condition()
        self._closing = False
        self.dropped = 0
        self.broken = False

    def write(self, text: str) -> None:
        if self.ascii:
            text = ascii_only(text)
        with self._wake:
            if self.broken or (self._size + len(text) > MAX_WAITING and self._size and not self._closing):
                self.dropped += 1
                return
            self._waiting.append(text)
            self._size += len(text)
            self._wake.notify()

    def ask(self, question: str, written: Callable[[], None]) -> bool:
        """Write a question behind what waits, and call `written` when it has left.

        False when there is no room for it.
        """
        with self._wake:
            if self.broken or self._closing or self._size + len(question) > MAX_WAITING:
                return False
            self._waiting.append(question)
            self._written.append(written)
            self._size += len(question)
            self._wake.notify()
            return True

    @property
    def behind(self) -> bool:
        """Return whether anything still waits for the terminal."""
        return self._size > 0

    def run(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and not self._closing:
                    self._wake.wait()
                if not self._waiting:
                    return
                batch = "".join(self._waiting)
                self._waiting.clear()
                written, self._written = self._written, []
            try:
                self._file.write(batch)
                self._file.flush()
            except (OSError, ValueError):  # the terminal is gone: nobody reads any more
                self.broken = True
            else:
                for call in written:
                    call()
            with self._wake:
                self._size -= len(batch)
                if self.broken:
                    self._waiting.clear()
                    self._size = 0
                    if self._closing:
                        return

    def stop(self) -> None:
        """Let what waits go out for at most a second: a hung link must not keep the process alive.

        A hung link must not keep the process alive.
        """
        with self._wake:
            self._closing = True
            self._wake.notify()
        self.join(timeout=1.0)


def taken(sequence: str) -> bool:
    """Tell whether textual makes a key or an event of a whole sequence."""
    if ANSI_SEQUENCES_KEYS.get(sequence) is not None or sequence in xterm.SPECIAL_SEQUENCES:
        return True
    if not constants.DISABLE_KITTY_KEY and xterm._re_extended_key.fullmatch(sequence):
        return True
    forms = (xterm._re_mouse_event, xterm._re_terminal_mode_response, xterm._re_in_band_window_resize)
    return any(form.fullmatch(sequence) for form in forms)


class CockpitDriver(linux_driver.LinuxDriver):
    """Drives the terminal by the writer above, reads its keys, and tests whether it has hung up.

    It draws on standard output: textual's own takes standard error, and `2>log` would leave an
    empty screen.
    """

    _repaint_owed = 0
    _gone = False  # the terminal gave an end or an error

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._file = sys.__stdout__
        self._parser = xterm.XTermParser(self._debug)
        found = getattr(self._app, "attention", None)
        self._attention: Attention | None = found if isinstance(found, Attention) else None
        self._over = threading.Event()  # nothing is read any more, whatever textual's own end waits for
        self._ascii = bool(getattr(getattr(self._app, "appearance", None), "ascii", False))
        reconfigure = getattr(self._file, "reconfigure", None)
        if reconfigure is not None:  # a locale that cannot encode a sign must not stop the screen
            reconfigure(encoding="ascii" if self._ascii else "utf-8", errors="replace")

    def start_application_mode(self) -> None:
        names = vars(linux_driver)
        stock, names["WriterThread"] = names["WriterThread"], DroppingWriter  # the one hook that textual offers
        try:
            DroppingWriter.ascii = self._ascii
            super().start_application_mode()  # type: ignore[no-untyped-call]
        finally:
            names["WriterThread"] = stock
        if self._attention is not None:
            self._attention.ask = self._ask
            width, height = self._get_terminal_size()
            self._attention.ask_terminal(width, height)  # whether it answers at all is good to know early

    def _ask(self, question: str, written: Callable[[], None]) -> bool:
        """Write a question; False while frames are missing that it would have to come behind."""
        writer = self._writer_thread
        if not isinstance(writer, DroppingWriter) or writer.dropped != self._repaint_owed:
            return False
        return writer.ask(question, written)

    # --- what comes in

    def end_input(self) -> None:
        """End the thread that reads, also where textual's own end does not come to it."""
        self._over.set()

    def _run_input_thread(self) -> None:
        """Read until the end; a fault of ours ends the screen like any other."""
        try:
            self.run_input_thread()
        except Exception as error:
            self._app.call_later(self._app._handle_exception, error)

    def run_input_thread(self) -> None:
        """Read keys and answers, and hand each on with the time at which it came."""
        pieces = Keystrokes(taken)
        decode = getincrementaldecoder("utf-8")("replace").decode
        while not (self.exit_event.is_set() or self._over.is_set()):
            try:
                ready = select.select([self.fileno], [], [], HEAR_END_WITHIN_S)[0]
                data = os.read(self.fileno, READ_AT_ONCE) if ready else b""
            except (OSError, ValueError):
                ready, data = [self.fileno], b""
            if ready and not data:  # at its end, or hung up: it would be ready for ever
                self._gone = True
                return
            at = time.monotonic()
            found = pieces.feed(decode(data), at) if data else pieces.tick(at)
            for piece in found:
                for message in self._messages(piece):
                    self.process_message(message)

    def _messages(self, piece: Piece) -> Iterable[Message]:
        """Make textual's events of a piece, and keep when a key was struck."""
        attention = self._attention
        if piece.kind is Kind.CURSOR:
            if attention is not None:
                attention.answered(piece.row, piece.column, piece.at)
            return
        if piece.kind is Kind.REPORT:
            yield from self._parser.feed(piece.text)
            return
        stroke = attention.typed(piece.text, piece.alone, piece.at) if attention is not None else None
        if piece.kind is Kind.PASTE:
            yield events.Paste(piece.text)
        elif piece.kind is Kind.KEY:
            for event in self._keys(piece.text):
                if attention is not None and stroke is not None:
                    attention.remember(event, stroke)
                yield event

    def _keys(self, text: str) -> Iterable[events.Key]:
        alt = len(text) == 2 and text[0] == ESC and text not in ANSI_SEQUENCES_KEYS
        if text == ESC:
            yield events.Key("escape", ESC)
            return
        for event in self._parser._sequence_to_key_events(text[1] if alt else text, alt=alt):
            if event.key != Keys.Ignore:
                yield event

    # --- the terminal itself

    def restore(self) -> None:
        """Leave the terminal as it was, when textual does not come to it."""
        with contextlib.suppress(Exception):
            if self.attrs_before is not None:
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
            os.write(1, b"\x1b[?2004l\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[?1004l")

    def _get_terminal_size(self) -> tuple[int, int]:
        """Take the terminal's own word before the environment's.

        An exported COLUMNS (readline does that) would outlive every resize.
        """
        try:
            size = os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ is not None else 1)
        except (ValueError, OSError):
            return super()._get_terminal_size()
        return (size.columns, size.lines) if size.columns and size.lines else super()._get_terminal_size()

    def recovered(self) -> bool:
        """Say once that frames were dropped and the terminal has caught up.

        The whole screen is to be painted again.
        """
        writer = self._writer_thread
        if not isinstance(writer, DroppingWriter) or writer.dropped == self._repaint_owed or writer.behind:
            return False
        self._repaint_owed = writer.dropped
        writer.write(END_SYNC)
        return True

    def take_mouse(self, wanted: bool) -> None:
        """Have the mouse reported, or leave it to the terminal, also after a suspension."""
        if wanted:
            self._mouse = True
            self._enable_mouse_support()
        else:
            self._disable_mouse_support()
            self._mouse = False

    def hung_up(self) -> bool:
        """Say whether the terminal is gone: stdin at its end, or hung up.

        Textual would spin on it for ever.
        """
        if self._gone or (isinstance(self._writer_thread, DroppingWriter) and self._writer_thread.broken):
            return True
        poll = select.poll()
        try:
            poll.register(self.fileno, select.POLLIN)
            events = poll.poll(0)
        except OSError:
            return True
        return any(mask & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, mask in events) or not os.isatty(
            self.fileno
        )
