"""Takes what a terminal sends apart: single keys, pastes, its answers, and the rest.

A sequence may come in pieces, seconds apart; its tail is never taken for keys. What a terminal
answers to a question never reaches a widget (ECMA-48, xterm's control sequences).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from itertools import groupby

ESC = "\x1b"
ESCAPE_S = 0.1  # after this, a single ESC is the key
OPEN_S = 10.0  # after this, what was begun and not finished is given up
TOGETHER_S = 0.1  # within this, the pieces of a key are one key
LONGEST = 4096  # characters of an answer; more is none
LONGEST_PASTE = 65_536
UNTYPED = 48  # so many characters that come at once were pasted, by a terminal that does not say so
MOST_AT_ONCE, MOST_A_SECOND = 200, 120  # keys and moves of the mouse; a held key repeats 60 times a second

_CURSOR = re.compile(r"\x1b\[(\d{1,5});(\d{1,5})R")
_MOUSE = re.compile(r"\x1b\[(?:<[-\d;]+[mM]|[\d;]+M|M.*|[IO])", re.S)
#: What introduces a string that ends with ST (or BEL): DCS, OSC, PM, APC, SOS.
_STRINGS = "P]^_X"
_PASTE, _PASTED = "\x1b[200~", "\x1b[201~"


class Kind(Enum):
    KEY = "key"  # one character, or the whole sequence of a key
    PASTE = "paste"
    CURSOR = "cursor"  # an answer to "where is the cursor?"
    REPORT = "report"  # something else that the screen takes: the mouse, the focus, a mode
    LOST = "lost"  # nothing that anybody takes


@dataclass(frozen=True, slots=True)
class Piece:
    """Holds one of them.

    `alone`: nothing else came with it, the mouse and the focus apart, and it came in one piece.
    """

    kind: Kind
    text: str
    at: float
    alone: bool = True
    row: int = 0
    column: int = 0

    @property
    def passing(self) -> bool:
        """Tell whether no key was struck for it: the mouse moved, or the focus."""
        return self.kind is Kind.REPORT and _MOUSE.fullmatch(self.text) is not None


class Keystrokes:
    """Reads one terminal's input; `known` tells whether a whole sequence is one that is taken."""

    def __init__(self, known: Callable[[str], bool] = lambda sequence: False) -> None:
        self._known = known
        self._sequence = ""  # begun and not finished, its ESC included
        self._begun_at = 0.0
        self._last_at = 0.0
        self._paste: list[str] | None = None
        self._pasted = 0
        self._escaped_at: float | None = None  # an ESC was taken for the key: its tail may come late
        self._found: list[Piece] = []
        self._left = {Kind.KEY: float(MOST_AT_ONCE), Kind.REPORT: float(MOST_AT_ONCE)}
        self._left_at = 0.0

    @property
    def open(self) -> bool:
        """Tell whether something was begun that is not finished."""
        return bool(self._sequence) or self._paste is not None

    def feed(self, text: str, at: float) -> list[Piece]:
        """Return what is complete after `text`, which was read at once."""
        begun_before = self._sequence != "" and at - self._begun_at > TOGETHER_S
        self._last_at = at
        for char in text:
            self._take(char, at)
        found, self._found = self._found, []
        counted = sum(not piece.passing for piece in found)
        whole = counted == 1 and not self._sequence and self._paste is None and not begun_before
        return self._bounded(found if whole else [_with_others(piece) for piece in _joined(found)], at)

    def _bounded(self, found: list[Piece], at: float) -> list[Piece]:
        """Lose what nobody types: each key takes time, and a flood would hold up the next."""
        more = max(0.0, at - self._left_at) * MOST_A_SECOND
        self._left = {kind: min(MOST_AT_ONCE, left + more) for kind, left in self._left.items()}
        self._left_at = at
        kept = []
        for piece in found:
            if piece.kind is Kind.KEY or piece.passing:
                if self._left[piece.kind] >= 1.0:
                    self._left[piece.kind] -= 1.0
                elif piece.passing:  # a mouse that is moved is no key that was struck
                    continue
                else:
                    piece = replace(piece, kind=Kind.LOST)
            kept.append(piece)
        return kept

    def tick(self, at: float) -> list[Piece]:
        """Return what is complete because nothing followed for a while."""
        waited = at - self._last_at
        if self._paste is not None and waited > OPEN_S / 5:  # its end was lost: what follows are keys again
            self._end_paste(at)
        elif self._sequence == ESC and waited >= ESCAPE_S:
            self._sequence, self._escaped_at = "", at
            self._emit(Kind.KEY, ESC, at)
        elif self._sequence and waited >= ESCAPE_S and self._known(self._sequence):  # rxvt ends some with "$"
            self._finish(at)
        elif self._sequence and waited > OPEN_S:
            self._give_up(at)
        found, self._found = self._found, []
        return found

    def _emit(self, kind: Kind, text: str, at: float, row: int = 0, column: int = 0) -> None:
        self._found.append(Piece(kind, text, at, kind is not Kind.PASTE, row, column))

    def _take(self, char: str, at: float) -> None:
        if self._paste is not None:
            self._take_pasted(char, at)
            return
        if "\x80" <= char <= "\x9f" and self._sequence[1:2] not in tuple(_STRINGS):  # ESC and a letter in one
            self._take(ESC, at)
            char = chr(ord(char) - 0x40)
        if not self._sequence:
            self._begin(char, at)
        else:
            self._go_on(char, at)

    def _begin(self, char: str, at: float) -> None:
        late = self._escaped_at is not None and at - self._escaped_at <= OPEN_S
        self._escaped_at = None
        if char == ESC:
            self._sequence, self._begun_at = ESC, at
        elif late and char in "[O" + _STRINGS:
            self._sequence, self._begun_at = ESC + char, at - OPEN_S  # in pieces, whatever follows
        else:
            self._emit(Kind.KEY, char, at)

    def _go_on(self, char: str, at: float) -> None:
        introducer = self._sequence[1:2]
        if not introducer:
            self._introduce(char, at)
        elif introducer in _STRINGS:
            self._in_string(char, at)
        elif char == ESC:
            self._give_up(at)
            self._begin(char, at)
        elif introducer == "[":
            self._in_control(char, at)
        else:  # SS3: one more
            self._sequence += char
            self._finish(at)

    def _introduce(self, char: str, at: float) -> None:
        if char == ESC:  # twice: the first was the key
            self._emit(Kind.KEY, ESC, at)
            self._begun_at = at
        elif char in "[O" + _STRINGS:
            self._sequence += char
        else:
            self._sequence = ""
            self._emit(Kind.KEY, ESC + char, at)

    def _in_control(self, char: str, at: float) -> None:
        """Go on in a CSI: parameters, intermediates, one final character."""
        if char < " " or char > "~" or len(self._sequence) > LONGEST:
            self._give_up(at)
            self._begin(char, at)
            return
        self._sequence += char
        if self._sequence.startswith("\x1b[M"):  # the oldest kind of mouse: three more, whatever they are
            complete = len(self._sequence) == 6
        elif self._sequence.startswith("\x1b[["):  # F1 to F5 of the Linux console
            complete = len(self._sequence) == 4
        else:
            complete = "@" <= char <= "~"
        if self._sequence == _PASTE:
            self._sequence, self._paste, self._pasted = "", [], 0
        elif complete:
            self._finish(at)

    def _in_string(self, char: str, at: float) -> None:
        self._sequence += char
        if char == "\x07" or self._sequence.endswith("\x1b\\") or char == "\x9c" or len(self._sequence) > LONGEST:
            self._give_up(at)

    def _finish(self, at: float) -> None:
        sequence, self._sequence = self._sequence, ""
        cursor = _CURSOR.fullmatch(sequence)
        if cursor is not None and int(cursor[1]) > 1:  # in row 1 it is F3 with shift, alt or ctrl
            self._emit(Kind.CURSOR, sequence, at, int(cursor[1]), int(cursor[2]))
        elif sequence == _PASTED or not self._known(sequence):
            self._emit(Kind.LOST, sequence, at)
        elif _MOUSE.fullmatch(sequence) or sequence.endswith("$y") or sequence.startswith("\x1b[48;"):
            self._emit(Kind.REPORT, sequence, at)
        else:
            self._emit(Kind.KEY, sequence, at)

    def _give_up(self, at: float) -> None:
        sequence, self._sequence = self._sequence, ""
        self._emit(Kind.LOST, sequence, at)

    def _take_pasted(self, char: str, at: float) -> None:
        assert self._paste is not None
        self._paste.append(char)
        self._pasted += 1
        if char == "~" and "".join(self._paste[-len(_PASTED) :]) == _PASTED:
            del self._paste[-len(_PASTED) :]
            self._end_paste(at)
        elif len(self._paste) > LONGEST_PASTE + len(_PASTED):
            del self._paste[LONGEST_PASTE : -len(_PASTED)]

    def _end_paste(self, at: float) -> None:
        text = "".join(self._paste or ())[:LONGEST_PASTE].replace("\x00", "")
        self._paste = None
        self._emit(Kind.PASTE, text, at)


def _with_others(piece: Piece) -> Piece:
    return replace(piece, alone=False)


def _joined(found: list[Piece]) -> list[Piece]:
    """Make a paste of many characters in a row that came at once."""
    if len(found) < UNTYPED:
        return found
    joined: list[Piece] = []
    for typed, run in groupby(found, lambda piece: piece.kind is Kind.KEY and piece.text.isprintable()):
        row = list(run)
        if typed and len(row) >= UNTYPED:
            row = [Piece(Kind.PASTE, "".join(piece.text for piece in row), row[0].at, False)]
        joined += row
    return joined
