"""Asks for a confirmation on a terminal without a screen: what was typed before is not an answer.

The same rules as on the screen (`cockpit.model.seen`): the terminal is asked behind the question,
and only an Enter that stands alone, after its answer and the time to read, takes what was typed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import sys
import termios
import time
import tty
from codecs import getincrementaldecoder
from collections import deque

from cockpit import terminal
from cockpit.model.keystrokes import Keystrokes, Kind, Piece
from cockpit.model.seen import (
    ANSWER_WITHIN_S,
    Answer,
    Decision,
    Frame,
    Seen,
    Stroke,
    TerminalLine,
    judge,
)

LONGEST = 300
KEPT = 2 * LONGEST  # strokes that are judged by
HEAR_WITHIN_S = 0.05


class Prompt:
    """Asks one question; `seen` says afterwards when it was shown, acknowledged and answered."""

    def __init__(self, question: str) -> None:
        self._question = question
        self._answers: list[Answer] = []
        self._strokes: deque[Stroke] = deque(maxlen=KEPT)
        self._frame: Frame | None = None
        self._typed = ""
        self._relay = terminal.relay()
        self.seen: Seen | None = None

    def ask(self) -> str:
        """Return what was typed and confirmed; "" at the end of the input.

        Raises KeyboardInterrupt.
        """
        into = sys.stdin.fileno()
        before = termios.tcgetattr(into)
        try:
            tty.setcbreak(into, termios.TCSAFLUSH)  # what was typed ahead is dropped
            return self._ask(into)
        finally:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(into, termios.TCSAFLUSH, before)
            self._write("\n")

    def _ask(self, into: int) -> str:
        self._show()
        pieces = Keystrokes()
        decode = getincrementaldecoder("utf-8")("replace").decode
        pending: Stroke | None = None
        while True:
            ready = select.select([into], [], [], HEAR_WITHIN_S)[0]
            data = os.read(into, 4096) if ready else b""
            now = time.monotonic()
            if ready and (not data or data == b"\x04"):
                return ""
            for piece in pieces.feed(decode(data), now) if data else pieces.tick(now):
                pending = self._take(piece) or pending
            if pending is None:
                continue
            taken = self._judged(pending, now)
            if taken is not None:
                pending = None
                if taken:
                    return self._typed.strip()

    def _show(self) -> None:
        size = shutil.get_terminal_size()
        row, column = 2 + secrets.randbelow(max(1, size.lines - 1)), 1 + secrets.randbelow(max(1, size.columns))
        asks = os.environ.get("TERM", "dumb") != "dumb"
        self._write(self._question + (f"\x1b7\x1b[{row};{column}H\x1b[6n\x1b8" if asks else ""))
        self._frame = Frame(1, time.monotonic(), row, column)

    def _take(self, piece: Piece) -> Stroke | None:
        """Take a piece of the input; return the stroke of an Enter."""
        if piece.kind is Kind.CURSOR:
            self._answers.append(Answer(piece.at, piece.row, piece.column))
            return None
        stroke = Stroke(piece.at, piece.text, piece.alone)
        self._strokes.append(stroke)
        if piece.kind is Kind.KEY and piece.text in ("\r", "\n"):
            return stroke
        if piece.kind is Kind.KEY and piece.text in ("\x7f", "\b"):
            if self._typed:
                self._typed = self._typed[:-1]
                self._write("\b \b")
        elif piece.kind in (Kind.KEY, Kind.PASTE) and piece.text.isprintable():
            self._typed = (self._typed + piece.text)[:LONGEST]
            self._write(piece.text)
        return None

    def _judged(self, enter: Stroke, now: float) -> bool | None:
        """Tell whether the Enter takes it; None: not yet known."""
        assert self._frame is not None
        silent = not self._answers and now - self._frame.at > ANSWER_WITHIN_S
        line = TerminalLine(self._relay, True if self._answers else False if silent else None)
        verdict = judge([self._frame], self._answers, tuple(self._strokes), enter, now, needed=1, line=line, typed=True)
        if verdict.decision is Decision.WAIT:
            return None
        if verdict.decision is Decision.TAKEN:
            assert verdict.seen is not None
            self.seen = verdict.seen.later(time.time() - time.monotonic())
            return True
        self._typed = ""
        self._write(f"\nEnter was not taken: {verdict.why}. Nothing was done; type it once more.\n{self._question}")
        return False

    @staticmethod
    def _write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
