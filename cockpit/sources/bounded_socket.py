"""A WebSocket that ends itself when what talks there is no node: floods of pings, answers unread.

The library answers each ping at once, into a buffer without bound when nobody reads the answers;
and control frames pass by the queue whose bound holds data back.
"""

from __future__ import annotations

from websockets.asyncio.client import ClientConnection
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

MOST_CONTROL = 100  # pings and pongs within a second: a node sends one in some seconds
MOST_UNREAD_BYTES = 256 * 1024
_SLICE = 8 * 1024  # bytes that are taken apart at once
_CONTROL = (Opcode.PING, Opcode.PONG)


class BoundedConnection(ClientConnection):
    """Counts control frames; `flooded` says in words why it ended, "" otherwise."""

    flooded = ""
    _since = 0.0
    _control = 0

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), _SLICE):
            if self.flooded:
                return
            super().data_received(data[at : at + _SLICE])

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode in _CONTROL:
            self._count()
        super().process_event(event)

    def _count(self) -> None:
        now = self.loop.time()
        if now - self._since > 1.0:
            self._since, self._control = now, 0
        self._control += 1
        if self._control > MOST_CONTROL:
            self.flooded = f"sends more than {MOST_CONTROL} pings a second"
        elif self.transport.get_write_buffer_size() > MOST_UNREAD_BYTES:
            self.flooded = "sends pings and does not read what answers them"
        if self.flooded:
            self.transport.abort()
