"""Writes a transaction's log lines, frame by frame, as a node does."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from hashlib import sha256

from cockpit.drill.solana.program import keys
from cockpit.drill.solana.program.layouts import error

UNITS_LIMIT = 200_000


def native(program: str) -> list[str]:
    """Log a built-in program that says nothing more."""
    return [f"Program {program} invoke [1]", f"Program {program} success"]


def create_account() -> list[str]:
    """Log the system program's frame inside an instruction that makes an account."""
    return [f"Program {keys.SYSTEM} invoke [2]", f"Program {keys.SYSTEM} success"]


def event(data: bytes) -> str:
    return f"Program data: {base64.b64encode(data).decode()}"


def anchor_error(name: str) -> str:
    code, message = error(name)
    return f"Program log: AnchorError occurred. Error Code: {name}. Error Number: {code}. Error Message: {message}."


def program(program_id: str, instruction: str, body: Sequence[str], units: int, failure: str = "") -> list[str]:
    """Log one instruction of an Anchor program.

    `failure`: the name of its error; `body` is what it logged until then.
    """
    lines = [f"Program {program_id} invoke [1]"]
    if instruction:
        lines.append(f"Program log: Instruction: {instruction}")
    lines += body
    if failure:
        lines.append(anchor_error(failure))
    lines.append(f"Program {program_id} consumed {units} of {UNITS_LIMIT} compute units")
    if failure:
        lines.append(f"Program {program_id} failed: custom program error: {error(failure)[0]:#x}")
    else:
        lines.append(f"Program {program_id} success")
    return lines


def units(instruction: str, salt: bytes) -> int:
    """Return the compute units that an instruction takes: alike, never quite the same."""
    base = {"CommitPrediction": 21_000, "RevealPrediction": 58_000, "RotateSignerSet": 24_000}.get(instruction, 9_000)
    return base + int.from_bytes(sha256(instruction.encode() + salt).digest()[:2], "little") % 3_000
