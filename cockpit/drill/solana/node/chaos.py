"""Holds the switches for what goes wrong between a client and a real RPC provider.

Counters are used up by one request each; flags and shares hold until they are put back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cockpit.drill.chaos import Chaos

#: Devnet's: a provider that answers for another cluster.
DEVNET = "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG"
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx \x1b[31m</body></html>"


@dataclass
class NodeChaos(Chaos):
    #: None: a 429 without it.
    retry_after_s: int | None = 2
    #: Slots that this node is behind, on top of what the world says of it.
    lag: int = 0
    #: getHealth: None as the lag says; "behind N" as −32005 with numSlotsBehind; "unknown" without
    #: a number; "bare" as −32005 without any data (some providers; strict clients break on it).
    health: str | None = None
    #: Methods that answer with an error of their own: method → (code, message, data); data None
    #: leaves it out.
    errors: dict[str, tuple[int, str, Any]] = field(default_factory=dict)
    #: The next N answers: 200 and a proxy's HTML · cut in the middle · `gigantic_bytes` long · of a
    #: type nobody expects.
    malformed: int = 0
    truncated: int = 0
    gigantic: int = 0
    gigantic_bytes: int = 32 * 2**20
    mistyped: int = 0
    #: The next N requests are carried out, but the connection is cut instead of an answer.
    lost_answers: int = 0
    #: The next N sendTransaction answer with the signature, but the transaction goes nowhere.
    lost_sends: int = 0
    #: Batches: refused with an error object (403 and no JSON when `batch_refused_plainly`), or
    #: limited to so many calls.
    batch_refused: bool = False
    batch_refused_plainly: bool = False
    batch_limit: int | None = None
    #: getGenesisHash of another cluster.
    genesis: str | None = None
    #: Confirmed and finalised slots stand still where they were when this was set: the node follows
    #: a fork that loses.
    forked: bool = False
    #: WebSockets: accepted but mute from then on (and for ever: what was mute stays so) · upgrades
    #: refused with 503 · every notification sent twice · this share of notifications never sent.
    half_open: bool = False
    ws_refused: bool = False
    doubled: bool = False
    lossy: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._sockets: set[Any] = set()
        self._mistypes = 0

    def mute(self) -> None:
        """Half-open every WebSocket, those open now and each new one until `unmute`.

        They never send again.
        """
        self.half_open = True
        for socket in self._sockets:
            socket.mute = True

    def unmute(self) -> None:
        """Let new WebSockets send again; muted ones stay dead."""
        self.half_open = False

    def close_sockets(self, code: int = 1011) -> int:
        """Close every WebSocket; return how many."""
        sockets = list(self._sockets)
        for socket in sockets:
            socket.finish(code)
        return len(sockets)

    def cut_sockets(self) -> int:
        """End every WebSocket's connection without a close frame."""
        sockets = list(self._sockets)
        for socket in sockets:
            socket.cut()
        return len(sockets)

    def say(self, frame: str | bytes) -> int:
        """Send this frame to every WebSocket, whatever it is."""
        for socket in self._sockets:
            socket.put(frame)
        return len(self._sockets)

    # used by the servers

    def opened(self, socket: Any) -> None:
        self._sockets.add(socket)

    def closed(self, socket: Any) -> None:
        self._sockets.discard(socket)

    def surprise(self) -> Any:
        """Return a result of a type that no method has."""
        kinds: tuple[Any, ...] = ("not what you asked for", [[]], {"value": {"slot": "many"}}, -1.5, True, None)
        self._mistypes += 1
        return kinds[self._mistypes % len(kinds)]
