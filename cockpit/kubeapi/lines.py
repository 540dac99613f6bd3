"""Splits a stream's bytes into lines, with a bound on their length."""

from __future__ import annotations


class LineSplitter:
    """Splits chunks at newlines.

    A line over `limit` bytes is cut there: its first part is given once, the rest dropped.

    `cut` counts the lines that were cut.
    """

    def __init__(self, limit: int):
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._dropping = False
        self.cut = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines completed by `chunk`, without their newlines."""
        *whole, rest = chunk.split(b"\n")
        lines = []
        for part in whole:
            if self._dropping:
                self._dropping = False
                continue
            if self._parts:
                self._parts.append(part)
                part = b"".join(self._parts)
                self._parts, self._size = [], 0
            if len(part) > self._limit:
                part = part[: self._limit]
                self.cut += 1
            lines.append(part)
        if rest and not self._dropping:
            self._parts.append(rest)
            self._size += len(rest)
            if self._size > self._limit:
                lines.append(b"".join(self._parts)[: self._limit])
                self._parts, self._size, self._dropping = [], 0, True
                self.cut += 1
        return lines

    def rest(self) -> bytes:
        """Return what the stream ended with, short of a newline."""
        rest, self._parts, self._size = b"".join(self._parts), [], 0
        return rest
