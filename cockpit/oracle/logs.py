"""Reads a transaction's log lines frame by frame, to tell the program's own from others'.

The runtime writes `Program ID invoke [depth]` … `Program ID success` | `failed: …` around every
call; what programs print themselves always begins with `Program log: ` or `Program data: `, so
neither can open or close a frame. Reference: Solana's program logging (stable_log).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

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

    `failed_program`: the program whose frame failed first, where the error comes from ("" when none
    is seen).
    """

    frames: list[Frame] = field(default_factory=list)
    truncated: bool = False
    broken: bool = False  # frames do not nest as the runtime nests them: not to be trusted
    failed_program: str = ""


def read_logs(lines: Iterable[str], program_id: str) -> ProgramLogs:
    """Return the program's own frames, in the order of their calls.

    Never raises, whatever the lines.
    """
    found = ProgramLogs()
    stack: list[tuple[str, Frame | None]] = []
    own: Frame | None = None  # the innermost frame, when it is the program's
    for number, line in enumerate(lines):
        if number >= MOST_LINES:
            found.truncated = True
            break
        if line.startswith(_LOG):
            if own is not None and own._fresh:
                own._fresh = False
                if line.startswith(_INSTRUCTION):
                    own.instruction = line[len(_INSTRUCTION) :]
        elif line.startswith(_DATA):
            if own is not None:
                own._fresh = False
                own.data.append(line[len(_DATA) :])
        elif line.startswith(_PROGRAM):
            words = line.split(" ", 3)
            if len(words) < 3:
                continue
            program, verb = words[1], words[2]
            if verb == "invoke" and len(words) == 4:
                if words[3] != f"[{len(stack) + 1}]":
                    found.broken = True
                    break
                parent = own
                own = None
                if program == program_id:
                    own = Frame(len(stack) + 1, own_parent=parent is not None)
                    found.frames.append(own)
                stack.append((program, own))
            elif (verb == "success" and len(words) == 3) or verb == "failed:":
                if not stack or stack[-1][0] != program:
                    found.broken = True
                    break
                _, frame = stack.pop()
                if verb == "failed:":
                    found.failed_program = found.failed_program or program
                    if frame is not None:
                        frame.failed = True
                own = stack[-1][1] if stack else None
        elif line == _TRUNCATED:
            found.truncated = True
            break
    return found
