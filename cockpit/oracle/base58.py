"""Writes and reads base58 as Solana does for keys, hashes and signatures.

In Python, for the hot path and for text that a native package would not survive; leading zero bytes
are leading 1s.
"""

from __future__ import annotations

from functools import lru_cache

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)  # two digits at a time: half the divisions
PUBKEY_BYTES = 32
_LONGEST = 128  # no key, hash or signature is longer


@lru_cache(maxsize=8192)
def encode(raw: bytes) -> str:
    """Encode up to a few dozen bytes."""
    number = int.from_bytes(raw, "big")
    parts: list[str] = []
    while number:
        number, rest = divmod(number, 3364)
        parts.append(_PAIRS[rest])
    digits = "".join(reversed(parts)).lstrip("1")
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + digits


def decode(text: str) -> bytes | None:
    """Decode a text; None when it is no base58 (or longer than anything on Solana)."""
    if not text or len(text) > _LONGEST:
        return None
    number = 0
    for char in text:
        value = _VALUES.get(char)
        if value is None:
            return None
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def pubkey(text: str) -> bytes | None:
    """Decode the 32 bytes of a public key; None when the text is none."""
    raw = decode(text)
    return raw if raw is not None and len(raw) == PUBKEY_BYTES else None
