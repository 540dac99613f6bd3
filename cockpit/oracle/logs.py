"""Reads a transaction's log lines frame by frame, to tell the program's own from others'.

The runtime writes `Program ID invoke [depth]` … `Program ID success` | `failed: …` around every
call; what programs print themselves always begins with `Program log: ` or `Program data: `, so
neither can open or close a frame. Reference: Solana's program logging (stable_log).

A validator keeps 10 kB of a transaction's lines. The first line that does not fit is replaced by
`Log truncated`, and every later one that still fits is kept (Agave's LogCollector): reading goes on
there. The room left only shrinks, so a line of n characters proves that every earlier line of at
most n was kept; a frame is believed after the cut only where that covers the lines that open and
close frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate, islice

INSTRUCTIONS = frozenset(
    {
        "InitProtocol",
        "CreateMarket",
        "UpdateMarket",
        "OpenEpoch",
        "CommitPrediction",
        "RevealPrediction",
        "FinalizeEpoch",
        "RotateSignerSet",
        "SetPaused",
        "UpgradeAdmin",
    }
)
_LOG, _DATA, _PROGRAM = "Program log: ", "Program data: ", "Program "
_INSTRUCTION = "Program log: Instruction: "
_TRUNCATED = "Log truncated"
MOST_LINES = 10_000
#: No line that opens or closes a frame (but a `failed:`) is longer: 44 characters of an address.
_LONGEST_MARK = len("Program  invoke [99]") + 44


@dataclass(slots=True)
class Frame:
    """Describes one call of the program.

    `instruction` is "" when its first line does not name one; `data` are base64, as printed.
    """

    depth: int
    instruction: str = ""
    data: list[str] = field(default_factory=list)
    failed: bool = False
    own_parent: bool = False  # called by itself, as Anchor does to emit an event by CPI
    _fresh: bool = True  # nothing was printed yet: Anchor names the instruction before anything else


@dataclass(slots=True)
class ProgramLogs:
    """Holds what the logs say of the program.

    `failed_program`: the program whose frame failed first, where the error comes from ("" when that
    is not known). `truncated`: lines are missing; what is here was read for certain all the same.
    """

    frames: list[Frame] = field(default_factory=list)
    truncated: bool = False
    broken: bool = False  # frames do not nest as the runtime nests them: not to be trusted
    failed_program: str = ""
    unended: bool = False  # no line at all, or a frame that nothing closes: who gave them left lines out


def read_logs(lines: Iterable[str], program_id: str) -> ProgramLogs:
    """Return the program's own frames, in the order of their calls.

    Never raises, whatever the lines.
    """
    kept = list(islice(lines, MOST_LINES + 1))
    reader = _Reader(program_id)
    reader.found.truncated = len(kept) > MOST_LINES
    del kept[MOST_LINES:]
    cut = kept.index(_TRUNCATED) if _TRUNCATED in kept else len(kept)
    for line in kept[:cut]:
        if reader.found.broken:
            return reader.found
        reader.read(line)
    if cut < len(kept):
        reader.found.truncated = True
        for line, longest in zip(kept[cut + 1 :], _longest_from(kept[cut + 1 :]), strict=True):
            if longest < _LONGEST_MARK:
                reader.lose_track()  # a frame may have opened or closed unseen
            reader.read(line)
    reader.found.unended = not kept or reader.is_open
    return reader.found


def _longest_from(lines: list[str]) -> list[int]:
    """Return for each line the length in bytes of the longest from it on."""
    longest = list(accumulate((len(line.encode("utf-8", "replace")) for line in reversed(lines)), max))
    return longest[::-1]


class _Reader:
    """Follows the stack of calls; strict before the logs are cut, tolerant after."""

    def __init__(self, program_id: str) -> None:
        self.found = ProgramLogs()
        self._program_id = program_id
        self._stack: list[tuple[str, Frame | None]] = []
        self._own: Frame | None = None  # the innermost frame, when it is the program's
        self._lost = False

    @property
    def is_open(self) -> bool:
        """Return whether a call has not ended."""
        return bool(self._stack)

    def lose_track(self) -> None:
        """Believe no more lines to be of any frame; what failed can still be told."""
        self._lost, self._own = True, None

    def read(self, line: str) -> None:
        """Take the next line."""
        if line.startswith(_LOG):
            if self._own is not None and self._own._fresh:
                self._own._fresh = False
                if line.startswith(_INSTRUCTION):
                    self._own.instruction = line[len(_INSTRUCTION) :]
        elif line.startswith(_DATA):
            if self._own is not None:
                self._own._fresh = False
                self._own.data.append(line[len(_DATA) :])
        elif line.startswith(_PROGRAM):
            words = line.split(" ", 3)
            if len(words) < 3:
                return
            program, verb = words[1], words[2]
            if verb == "invoke" and len(words) == 4:
                self._opens(program, words[3])
            elif (verb == "success" and len(words) == 3) or verb == "failed:":
                self._closes(program, failed=verb == "failed:")

    def _opens(self, program: str, depth: str) -> None:
        if self.found.truncated and (match := re.fullmatch(r"\[([1-9][0-9]?)\]", depth)):
            if int(match[1]) > len(self._stack) + 1:
                self.lose_track()  # its caller's own line is missing
            del self._stack[int(match[1]) - 1 :]  # their closing lines are missing
            self._own = None if self._lost or not self._stack else self._stack[-1][1]
        elif depth != f"[{len(self._stack) + 1}]":
            self.found.broken = True
            return
        parent, self._own = self._own, None
        if program == self._program_id and not self._lost:
            self._own = Frame(len(self._stack) + 1, own_parent=parent is not None)
            self.found.frames.append(self._own)
        self._stack.append((program, self._own))

    def _closes(self, program: str, *, failed: bool) -> None:
        open_frames = [each for each, _ in self._stack]
        if program not in open_frames[-1:]:
            if not self.found.truncated:
                self.found.broken = True
                return
            if program not in open_frames:
                self.lose_track()  # its opening line is missing
                return
            # Only a `failed:` can be longer than this line, so what is still open inside failed
            # first: a success would have been kept.
        if failed and not self.found.failed_program and not self._lost:
            self.found.failed_program = open_frames[-1]
        while self._stack:
            name, frame = self._stack.pop()
            if frame is not None and failed:
                frame.failed = True
            if name == program:
                break
        self._own = None if self._lost or not self._stack else self._stack[-1][1]
