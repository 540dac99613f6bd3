"""Bounds what comes over the line: the bytes of a body and of a line, the wait that is asked for.

Compression is not asked for, and not unpacked where it comes all the same: a few kilobytes may
unpack to gigabytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from email.utils import parsedate_to_datetime

from cockpit.errors import CockpitError
from cockpit.text import safe

MB = 1024 * 1024
#: Of a Retry-After: it may ask for a day, and the server be well again in a minute: asked then.
LONGEST_WAIT_S = 60.0
SHORTEST_WAIT_S = 0.1


class BodyProblem(CockpitError):
    """The body is longer than it may be, or packed."""

    usual_remedy = "is that address the right one? no such answer was asked for"

    def __init__(self, reason: str, remedy: str = "", *, too_long: bool = False) -> None:
        super().__init__(reason, remedy)
        self.too_long = too_long


async def whole(parts: AsyncIterable[bytes], headers: Mapping[str, str], most: int) -> bytes:
    """Return the body, `most` bytes at most.

    Raises BodyProblem, and what reading raises. `parts` are as they came over the line.
    """
    coding = (headers.get("content-encoding") or "identity").strip().lower()
    if coding not in ("", "identity"):
        raise BodyProblem(f"the answer is packed ({safe(coding, 20)}), which was not asked for: not unpacked")
    body = bytearray()
    length = (headers.get("content-length") or "").strip()
    if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > most):
        raise BodyProblem(f"the answer has more than {_size(most)}: not read", too_long=True)
    async for part in parts:
        body += part
        if len(body) > most:
            raise BodyProblem(f"the answer has more than {_size(most)}: not read", too_long=True)
    return bytes(body)


def _size(most: int) -> str:
    return f"{most // MB} MB" if most >= MB else f"{most // 1024} kB"


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


def retry_after_s(value: str | None, now: float) -> float | None:
    """Return seconds from `now` (unix) on, as Retry-After asks; nonsense is none.

    Seconds, or a date (RFC 9110, 10.2.3).
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT_S) if seconds == seconds else None
