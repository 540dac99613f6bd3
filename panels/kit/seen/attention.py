"""Collects what `judge` decides by: frames, the terminal's answers, and all that is typed.

The writer's thread, the input thread and the screen's thread meet here.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary

from textual.events import Key

from cockpit.model.seen import (
    ANSWER_WITHIN_S,
    Answer,
    Frame,
    Seen,
    Stroke,
    TerminalLine,
    Verdict,
    counts_from,
    judge,
)

KEPT = 64  # of each: more than a dialog sees in the seconds that count

#: Writes a text to the terminal and calls back, from any thread, when it has left; False: it cannot
#: be written now.
Ask = Callable[[str, Callable[[], None]], bool]


class Attention:
    """Keeps what one terminal was shown, said and typed.

    `relay` names what answers in the terminal's place; "" for none.
    """

    def __init__(self, relay: str = "", mono: Callable[[], float] = time.monotonic) -> None:
        self._relay = relay
        self._mono = mono
        self._lock = threading.Lock()
        self._frames: deque[Frame] = deque(maxlen=KEPT)
        self._answers: deque[Answer] = deque(maxlen=KEPT)
        self._strokes: deque[Stroke] = deque(maxlen=KEPT)
        self._number = 0
        self._place = int.from_bytes(os.urandom(2), "big")  # so that no answer fits by chance
        self._first_asked: float | None = None
        self._has_answered = False
        self._struck: WeakKeyDictionary[Key, Stroke] = WeakKeyDictionary()
        self.ask: Ask | None = None  # set by the driver; without one nobody types at a terminal
        self.handled: tuple[str, Stroke] | None = None  # the key that is being handled now

    @property
    def watches(self) -> bool:
        """Tell whether there is a terminal whose keys must be judged."""
        return self.ask is not None

    # --- from the driver's threads

    def typed(self, text: str, alone: bool, at: float) -> Stroke:
        stroke = Stroke(at, text, alone)
        with self._lock:
            self._strokes.append(stroke)
        return stroke

    def remember(self, event: Key, stroke: Stroke) -> None:
        """Keep what an event was made of, until the screen has handled it."""
        self._struck[event] = stroke

    def answered(self, row: int, column: int, at: float) -> None:
        with self._lock:
            self._answers.append(Answer(at, row, column))
            if any((frame.row, frame.column) == (row, column) for frame in self._frames):
                self._has_answered = True

    # --- from the screen's thread

    def ask_terminal(self, width: int, height: int) -> int | None:
        """Ask the terminal, behind all that was drawn so far; return the frame's number.

        None: it cannot be written now. The cursor is put where only this question has it, and back.
        """
        if self.ask is None:
            return None
        self._number += 1
        number, place = self._number, self._place + self._number
        row, column = 2 + place % max(1, height - 1), 1 + (place * 7) % max(1, width)

        def written() -> None:
            now = self._mono()
            with self._lock:
                self._frames.append(Frame(number, now, row, column))
                if self._first_asked is None:
                    self._first_asked = now

        question = f"\x1b7\x1b[{row};{column}H\x1b[6n\x1b8"
        return number if self.ask(question, written) else None

    def handling(self, event: Key) -> None:
        """Note that what follows is brought about by this key."""
        stroke = self._struck.get(event)
        self.handled = None if stroke is None else (event.key, stroke)

    def judge(self, struck: Stroke, needed: int, *, typed: bool) -> Verdict:
        with self._lock:
            frames, answers, strokes = tuple(self._frames), tuple(self._answers), tuple(self._strokes)
        now = self._mono()
        return judge(frames, answers, strokes, struck, now, needed=needed, line=self._line(now), typed=typed)

    def counts(self, needed: int) -> bool:
        """Tell whether a single key is taken from now on."""
        with self._lock:
            frames, answers, strokes = tuple(self._frames), tuple(self._answers), tuple(self._strokes)
        now = self._mono()
        since = counts_from(frames, answers, strokes, now, needed=needed, line=self._line(now))
        return since is not None and now >= since

    def left_s(self, until: float) -> float:
        return max(0.01, until - self._mono())

    def on_the_wall(self, seen: Seen) -> Seen:
        """Return the same in unix seconds."""
        return seen.later(time.time() - self._mono())

    def _line(self, now: float) -> TerminalLine:
        answers: bool | None = True if self._has_answered else None
        if answers is None and self._first_asked is not None and now - self._first_asked > ANSWER_WITHIN_S:
            answers = False
        return TerminalLine(self._relay, answers)
