"""The test side's encoder of events, accounts and logs: written from the layouts in words, not from
the decoder.
"""

from __future__ import annotations

import base64
import struct
from hashlib import sha256

PROGRAM = "M0cPrgrm1111111111111111111111111111111111"
OTHER = "ComputeBudget111111111111111111111111111111"
ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def b58(raw: bytes) -> str:
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = ALPHABET[rest] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


PROGRAM_ID = b58(sha256(b"the oracle program").digest())


def key(seed: object) -> bytes:
    return sha256(repr(seed).encode()).digest()


def signature(seed: object) -> str:
    return b58(b"\x11" + sha256(repr(seed).encode()).digest() + sha256(repr(("2", seed)).encode()).digest()[1:])


def event(name: str, *parts: object) -> str:
    """Borsh of bytes as they are, bool as one byte, str with its length, (size, number)
    little-endian.
    """
    return base64.b64encode(sha256(f"event:{name}".encode()).digest()[:8] + borsh(*parts)).decode()


def borsh(*parts: object) -> bytes:
    out = b""
    for part in parts:
        if isinstance(part, bool):
            out += bytes([part])
        elif isinstance(part, bytes):
            out += part
        elif isinstance(part, str):
            out += struct.pack("<I", len(part.encode())) + part.encode()
        elif isinstance(part, list):
            out += struct.pack("<I", len(part)) + b"".join(borsh(each) for each in part)
        elif isinstance(part, tuple):
            size, number = part
            out += number.to_bytes(size, "little")
        else:
            raise TypeError(part)
    return out


def committed(market: object, epoch: object, reveal_after: int, who: object = "me") -> str:
    return event("PredictionCommitted", key(market), key(epoch), key(who), key(("hash", epoch)), (8, reveal_after))


def revealed(market: object, epoch: object, sequence: int) -> str:
    return event("PredictionRevealed", key(market), key(epoch), key("me"), key(("bundle", epoch)), (8, sequence))


def account(name: str, *parts: object) -> bytes:
    return sha256(f"account:{name}".encode()).digest()[:8] + borsh(*parts)


def protocol(*, paused: bool = False) -> bytes:
    return account("ProtocolConfig", True, key("authority"), paused, (8, 3), (8, 101), (8, 10), (1, 255))


def signer_set(number: int, keys: list[bytes], threshold: int, *, active: bool = True) -> bytes:
    return account("SignerSet", (8, number), (2, threshold), keys, active, (8, 77), (1, 254))


def market(market_id: str, *, domain: int = 0, active: bool = True) -> bytes:
    return account("Market", market_id, (1, domain), active, ["YES", "NO"], (8, 88_001), (8, 48_211), (1, 253))


def call(instruction: str, *data: str, program: str = PROGRAM_ID, end: str = "success", depth: int = 1) -> list[str]:
    lines = [f"Program {program} invoke [{depth}]", f"Program log: Instruction: {instruction}"]
    lines += [f"Program data: {each}" for each in data]
    return [*lines, f"Program {program} consumed 12345 of 200000 compute units", f"Program {program} {end}"]


def commit_logs(market: object, epoch: object, reveal_after: int, who: object = "me") -> list[str]:
    budget = [f"Program {OTHER} invoke [1]", f"Program {OTHER} success"]
    return [*budget, *call("CommitPrediction", committed(market, epoch, reveal_after, who))]


def reveal_logs(market: object, epoch: object, sequence: int) -> list[str]:
    return call("RevealPrediction", revealed(market, epoch, sequence))


def failed_logs(code: int, instruction: str = "RevealPrediction") -> list[str]:
    return call(instruction, end=f"failed: custom program error: {code:#x}")
