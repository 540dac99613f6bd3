"""Encodes and decodes base58 of any length (Bitcoin's alphabet); solders does keys only.

It stays apart from `cockpit.oracle.base58` on purpose: what the drill encodes is checked by code
that shares nothing with it.
"""

from __future__ import annotations

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES = {char: value for value, char in enumerate(ALPHABET)}


def encode(data: bytes) -> str:
    zeros = len(data) - len(data.lstrip(b"\0"))
    number = int.from_bytes(data, "big")
    chars: list[str] = []
    while number:
        number, rest = divmod(number, 58)
        chars.append(ALPHABET[rest])
    return ALPHABET[0] * zeros + "".join(reversed(chars))


def decode(text: str) -> bytes:
    """Decode base58.

    Raises ValueError for a character that is not of the alphabet.
    """
    number = 0
    for char in text:
        if char not in _VALUES:
            raise ValueError(f"not base58: {char!r}")
        number = number * 58 + _VALUES[char]
    zeros = len(text) - len(text.lstrip(ALPHABET[0]))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")
