"""Writes to the terminal: a stalled or vanished link drops frames, never data or actions.

Textual's writer blocks its event loop once 30 writes are queued (findings: one heartbeat in 10 s on
a hung link). This writer never blocks: while too much is waiting it drops frames, and `recovered`
says when to repaint whole. The private hook (`_writer_thread`) is why textual is pinned exactly;
tests/panels/test_driver.py covers it.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections import deque
from typing import IO, Any

from rich.cells import cell_len
from textual.drivers import linux_driver
from textual.drivers._writer_thread import WriterThread

#: A full repaint of a large screen is some 60 kB; several of those waiting means that the link does
#: not keep up.
MAX_WAITING = 256_000
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
            try:
                self._file.write(batch)
                self._file.flush()
            except (OSError, ValueError):  # the terminal is gone: nobody reads any more
                self.broken = True
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


class CockpitDriver(linux_driver.LinuxDriver):
    """Drives the terminal by the writer above, and tests whether it has hung up.

    It draws on standard output: textual's own takes standard error, and `2>log` would leave an
    empty screen.
    """

    _repaint_owed = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._file = sys.__stdout__
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

    def hung_up(self) -> bool:
        """Say whether the terminal is gone: stdin at its end, or hung up.

        Textual would spin on it for ever.
        """
        if isinstance(self._writer_thread, DroppingWriter) and self._writer_thread.broken:
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
