"""Decides whether a key may confirm: only what was on the screen can have been read.

A terminal answers in order, so its answer to a question sent behind a frame says that the frame was
drawn. One pure function, `judge`, decides from frames, answers, keys and the time; everything else
only collects these. All times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

READING_S = 0.4  # nobody reads faster
ANSWER_WITHIN_S = 3.0  # without an answer by then, the terminal is taken for one that gives none
SLOW_ANSWER_S = 10.0  # the same for one that has answered before: then it is the line that is slow
DRAWN_WITHIN_S = 2.0  # by then a frame is on the screen of a terminal that tells nothing
QUIET_S = 1.5  # without any key, asked for in place of the answer
RELAYED_S = 1.0  # asked for in place of the answer where something between answers for the terminal
GAP_S = 0.3  # without a key before one that confirms by itself
TYPED_GAP_S = 0.01  # the same where a name was typed before it: only a paste is faster
REPEAT_S = 0.8  # a held key begins to repeat after less than this
TYPED_REPEAT_S = 0.3  # the same where a name must be typed first: nobody holds what he has not typed
ALONE_S = 0.2  # without a key behind it: a held key repeats, and a paste goes on, sooner


class Frame(msgspec.Struct, frozen=True):
    """Holds one drawing of what is asked, and the question that went out behind it.

    `at`: when its last byte was written. The terminal is to answer with `row` and `column`.
    """

    number: int
    at: float
    row: int
    column: int


class Answer(msgspec.Struct, frozen=True):
    """Holds a terminal's word on where its cursor is."""

    at: float
    row: int
    column: int


class Stroke(msgspec.Struct, frozen=True):
    """Holds what was typed at once: a key, or a paste.

    `alone`: nothing else came with it, and no unfinished sequence was open before it.
    """

    at: float
    text: str
    alone: bool


class TerminalLine(msgspec.Struct, frozen=True):
    """Says what is known of the terminal.

    `relay`: what answers in its place ("tmux"); "" for none. `answers`: whether it has answered so
    far; None while that is not known.
    """

    relay: str = ""
    answers: bool | None = None


class Seen(msgspec.Struct, frozen=True):
    """Says when what was confirmed was shown, acknowledged by the terminal, and confirmed.

    Unix seconds. `acknowledged` is None where no answer proves it; `how` says what was asked for.
    """

    shown: float
    acknowledged: float | None
    confirmed: float
    how: str

    def later(self, by_s: float) -> Seen:
        """Return the same, moved to another clock."""
        acknowledged = None if self.acknowledged is None else self.acknowledged + by_s
        return Seen(self.shown + by_s, acknowledged, self.confirmed + by_s, self.how)


class Decision(StrEnum):
    TAKEN = "taken"
    WAIT = "wait"  # ask again at `until`
    REFUSED = "refused"


class Verdict(msgspec.Struct, frozen=True):
    decision: Decision
    why: str = ""  # it was refused, in words that follow "y was not taken: "
    until: float = 0.0
    seen: Seen | None = None


def judge(
    frames: Sequence[Frame],
    answers: Sequence[Answer],
    strokes: Sequence[Stroke],
    struck: Stroke,
    now: float,
    *,
    needed: int,
    line: TerminalLine,
    typed: bool = False,
) -> Verdict:
    """Decide whether `struck` confirms what frame number `needed` shows.

    `strokes` are all that came, oldest first, `struck` among them. `typed`: something was to be
    typed before, so that keys come close behind each other.
    """
    frame = next((frame for frame in frames if frame.number == needed), None)
    if frame is None or struck.at < frame.at:
        return _refused("it was struck before this was on the screen")
    if not struck.alone:
        return _refused("it came together with other input, as a paste does")
    before = [stroke for stroke in strokes if stroke.at <= struck.at and stroke is not struck]
    behind = [stroke for stroke in strokes if stroke.at > struck.at]
    drawn = _drawn(frame, frames, answers, before, behind, struck, now, line, typed)
    if drawn.decision is Decision.REFUSED:
        return drawn
    repeat_s, gap_s = (TYPED_REPEAT_S, TYPED_GAP_S) if typed else (REPEAT_S, GAP_S)
    if any(struck.at - stroke.at < repeat_s for stroke in before if stroke.text == struck.text):
        return _refused("it was held down, or struck twice")
    if any(struck.at - stroke.at < gap_s for stroke in before):
        return _refused("it came close behind another key")
    if behind and behind[0].at - struck.at < ALONE_S:
        return _refused("other keys came close behind it, as with a held key or a paste")
    if drawn.decision is Decision.TAKEN and now < struck.at + ALONE_S:
        return Verdict(Decision.WAIT, until=struck.at + ALONE_S)
    return drawn


def counts_from(
    frames: Sequence[Frame],
    answers: Sequence[Answer],
    strokes: Sequence[Stroke],
    now: float,
    *,
    needed: int,
    line: TerminalLine,
) -> float | None:
    """Return from when on a single key is taken, if none comes before; None: not known yet."""
    frame = next((frame for frame in frames if frame.number == needed), None)
    if frame is None:
        return None
    if line.relay:
        return frame.at + RELAYED_S
    answer = _answer_to(frame, frames, answers)
    if answer is not None:
        return answer.at + READING_S
    if line.answers is not False and now < frame.at + _patience(line):
        return None
    return max([_silent_from(frame, line), *(stroke.at + QUIET_S for stroke in strokes)])


def _drawn(
    frame: Frame,
    frames: Sequence[Frame],
    answers: Sequence[Answer],
    before: Sequence[Stroke],
    behind: Sequence[Stroke],
    struck: Stroke,
    now: float,
    line: TerminalLine,
    typed: bool,
) -> Verdict:
    """Decide whether the frame was drawn, and could be read, when the key was struck."""
    if line.relay:
        if struck.at < frame.at + RELAYED_S:
            return _refused("it was struck before this could be read")
        how = f"behind {line.relay}, which answers for the terminal: {RELAYED_S:g} s after it was drawn"
        return Verdict(Decision.TAKEN, seen=Seen(frame.at, None, struck.at, how))
    answer = _answer_to(frame, frames, answers)
    if answer is not None:
        if struck.at < answer.at:
            return _refused("it was struck before the terminal had drawn this")
        if struck.at < answer.at + READING_S:
            return _refused("it was struck before this could be read")
        return Verdict(Decision.TAKEN, seen=Seen(frame.at, answer.at, struck.at, "the terminal said that it was drawn"))
    if struck.at < _silent_from(frame, line):
        return _refused("it was struck before the terminal had drawn this")
    if line.answers is not False and now < frame.at + _patience(line):
        return Verdict(Decision.WAIT, until=frame.at + _patience(line))
    since = [stroke.at for stroke in before if stroke.at >= frame.at]
    how = f"the terminal does not say what it has drawn: {QUIET_S:g} s without a key"
    taken = Verdict(Decision.TAKEN, seen=Seen(frame.at, None, struck.at, how))
    if struck.at - max([frame.at, *since]) >= QUIET_S:
        return taken
    if typed:  # the pause may lie before the typing, or behind it
        if any(b - a >= QUIET_S for a, b in zip([frame.at, *since], since, strict=False)):
            return taken
        if not behind or behind[0].at - struck.at >= QUIET_S:
            if now >= struck.at + QUIET_S:
                return taken
            return Verdict(Decision.WAIT, until=struck.at + QUIET_S)
    return _refused(
        f"this terminal does not say what it has drawn, so {QUIET_S:g} s without a key are asked for before it"
    )


def _answer_to(frame: Frame, frames: Sequence[Frame], answers: Sequence[Answer]) -> Answer | None:
    """Return the first answer to its question, or to a later one: a terminal draws in order."""
    marks = {(other.row, other.column) for other in frames if other.number >= frame.number}
    return next((answer for answer in answers if (answer.row, answer.column) in marks), None)


def _patience(line: TerminalLine) -> float:
    return SLOW_ANSWER_S if line.answers else ANSWER_WITHIN_S


def _silent_from(frame: Frame, line: TerminalLine) -> float:
    """Return when the frame is taken for drawn on a terminal that gives no answer."""
    return frame.at + (SLOW_ANSWER_S if line.answers else DRAWN_WITHIN_S)


def _refused(why: str) -> Verdict:
    return Verdict(Decision.REFUSED, why)
