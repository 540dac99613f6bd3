"""Names why a transaction failed, and whose runbook that is.

Anchor's custom codes from 6000 on, and Solana's own TransactionErrors (docs/oracle-program.md).

Order and runbooks: docs/oracle-program.md. Shapes: what RPC nodes answer in `err`
(`"BlockhashNotFound"`, `{"InstructionError": [1, {"Custom": 6018}]}`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cockpit.text import safe

FIRST_CODE = 6000
PROGRAM_ERRORS = (
    "Unauthorized",
    "AlreadyInitialized",
    "MarketAlreadyExists",
    "MarketNotActive",
    "EpochNotOpen",
    "EpochAlreadyOpen",
    "InvalidMarketId",
    "InvalidOutcomeId",
    "InvalidProbabilityScale",
    "CommitNotFound",
    "CommitAlreadyRevealed",
    "RevealMismatch",
    "RevealTooEarly",
    "ReplayViolation",
    "SignerSetNotActive",
    "InvalidThreshold",
    "BundleHashMismatch",
    "InvalidInstructionsSysvar",
    "SignatureVerificationFailed",
    "Paused",
    "InvalidParameter",
)

INVALID_SIGNATURES, REVEAL_FAILS, REPLAY_PROTECTION = 2, 4, 5
RUNBOOKS: Mapping[str, int] = {
    "SignatureVerificationFailed": INVALID_SIGNATURES,
    "BundleHashMismatch": INVALID_SIGNATURES,
    "RevealMismatch": REVEAL_FAILS,
    "RevealTooEarly": REVEAL_FAILS,
    "BlockhashNotFound": REVEAL_FAILS,
    "ReplayViolation": REPLAY_PROTECTION,
}
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class TransactionFailure:
    """Describes why a transaction failed; `name` is cleaned.

    `instruction_index`: of the top-level instruction, where the error names one.
    """

    name: str
    code: int | None = None
    runbook: int | None = None
    instruction_index: int | None = None


def failure_of(err: object, *, ours: bool | None) -> TransactionFailure | None:
    """Read what `err` of a transaction says; None when it did not fail.

    `ours`: whether the oracle program gave the error; None: that is not known. A custom code means
    something only for the program that gave it: of any other it belongs to no runbook. Never
    raises, whatever the shape.
    """
    if err is None:
        return None
    if isinstance(err, str):
        return _named(err)
    if isinstance(err, dict) and len(err) == 1:
        ((kind, what),) = err.items()
        if kind == "InstructionError" and isinstance(what, list) and len(what) == 2:
            return _of_instruction(what[0], what[1], ours)
        return _named(kind)
    return TransactionFailure("unknown error")


def _named(name: object, index: int | None = None) -> TransactionFailure:
    words = safe(name, _LONGEST) or "unknown error"
    return TransactionFailure(words, None, RUNBOOKS.get(words) if words == "BlockhashNotFound" else None, index)


def _of_instruction(index: object, what: object, ours: bool | None) -> TransactionFailure:
    at = index if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < 256 else None
    if isinstance(what, dict) and len(what) == 1:
        ((kind, code),) = what.items()
        if kind == "Custom" and isinstance(code, int) and not isinstance(code, bool) and 0 <= code < 2**32:
            return _custom(code, at, ours)
        return _named(kind, at)
    return _named(what, at) if isinstance(what, str) else TransactionFailure("unknown error", instruction_index=at)


def _custom(code: int, index: int | None, ours: bool | None) -> TransactionFailure:
    if not ours:
        whose = "another program" if ours is False else "a program not known"
        return TransactionFailure(f"custom {code} of {whose}", code, None, index)
    known = FIRST_CODE <= code < FIRST_CODE + len(PROGRAM_ERRORS)
    name = PROGRAM_ERRORS[code - FIRST_CODE] if known else f"custom {code}"
    return TransactionFailure(name, code, RUNBOOKS.get(name), index)
