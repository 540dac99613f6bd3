"""Pauses a busy stream briefly so that one read brings many lines."""

from __future__ import annotations

import asyncio

REST_S = 0.02
_BUSY = 50  # lines within half a second


class ReadBatcher:
    """Decides when the reader of a busy stream rests, so that lines pile up in its socket.

    A read costs several times what a line does. Once what had piled up is drained (the next read
    had to wait) and more than a hundred lines a second come, the reader rests for `REST_S`; a quiet
    stream is never delayed.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._since = self._ready = self._loop.time()
        self._count = 0
        self._busy = self._drained = False

    def on_lines(self, lines: int) -> None:
        now = self._loop.time()
        self._drained = now - self._ready > 0.0005
        self._count += lines
        if now - self._since > 0.5:
            self._busy = self._count > _BUSY
            self._since, self._count = now, 0

    async def pause(self, transport: asyncio.Transport | None) -> None:
        """Rest if it pays, once what arrived has been dealt with.

        Meanwhile nothing is read from `transport`.
        """
        if self._busy and self._drained and transport is not None:
            transport.pause_reading()
            try:
                await asyncio.sleep(REST_S)
            finally:
                transport.resume_reading()
        self._ready = self._loop.time()
