"""Writes and reads borsh, the byte order of Anchor's accounts, events and arguments.

Little-endian, u32 lengths, one byte an option.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


class Malformed(Exception):
    """Reports bytes that end too early or say something impossible."""


def u8(number: int) -> bytes:
    return struct.pack("<B", number)


def u16(number: int) -> bytes:
    return struct.pack("<H", number)


def u64(number: int) -> bytes:
    return struct.pack("<Q", number)


def boolean(flag: bool) -> bytes:
    return b"\x01" if flag else b"\x00"


def blob(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def text(words: str) -> bytes:
    return blob(words.encode())


def vector(items: Iterable[bytes]) -> bytes:
    parts = list(items)
    return struct.pack("<I", len(parts)) + b"".join(parts)


def option(item: bytes | None) -> bytes:
    return b"\x00" if item is None else b"\x01" + item


class Reader:
    """Takes values off the front.

    Every method raises Malformed when there are too few bytes.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, length: int) -> bytes:
        if len(self._data) - self._at < length:
            raise Malformed(f"{length} bytes wanted, {len(self._data) - self._at} left")
        self._at += length
        return self._data[self._at - length : self._at]

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "little")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def boolean(self) -> bool:
        value = self.u8()
        if value > 1:
            raise Malformed(f"{value} is no bool")
        return value == 1

    def blob(self) -> bytes:
        return self.take(self.u32())

    def vector(self, item: Callable[[], T]) -> list[T]:
        return [item() for _ in range(self.u32())]

    def option(self, item: Callable[[], T]) -> T | None:
        return item() if self.boolean() else None
