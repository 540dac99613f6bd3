"""Reading a lively stream in fewer, larger gulps."""

from __future__ import annotations

import asyncio


class Breath:
    """Lets a lively watch pile up in the socket for a moment, so that one read brings many events.

    A read costs several times what an event does. Once what had piled up is drained (the next read had to wait) and more
    than a hundred reads a second come, the reader rests for 20 ms; a quiet watch is never delayed.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._since = self._ready = self._loop.time()
        self._count = 0
        self._lively = self._drained = False

    def arrived(self, lines: int) -> None:
        now = self._loop.time()
        self._drained = now - self._ready > 0.0005
        self._count += lines
        if now - self._since > 0.5:
            self._lively = self._count > 50
            self._since, self._count = now, 0

    async def taken(self) -> None:
        if self._lively and self._drained:
            await asyncio.sleep(0.02)
        self._ready = self._loop.time()
