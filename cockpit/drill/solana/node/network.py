"""Simulates Solana RPC endpoints: failing requests, confirmation times, nodes that are behind.

The drill's Solana servers show the same: that share of requests fails, answers are slow, the slot
lags.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random
from urllib.parse import urlsplit

from cockpit.drill.names import RPC_URLS
from cockpit.drill.solana.node.chaos import NodeChaos

CALLS_PER_TX = 4  # latest blockhash, send, two polls of the signature's status
UNREACHABLE = "unreachable"
FEE_THAT_COUNTS = 5_000.0  # micro-lamports per compute unit: halves what crowding costs


@dataclass(slots=True)
class Endpoint:
    """Describes how one endpoint behaves; scenarios move its fields.

    `failing` is the probability that one request fails, `behind` its slots behind the others.
    `crowded` is how many times longer a large transaction (a reveal) waits there for its block
    without a priority fee.
    """

    name: str
    url: str
    failing: float = 0.002
    confirm_ms: float = 430.0
    sigma: float = 0.44  # p95 near 900 ms
    behind: int = 0  # slots
    crowded: float = 1.0
    chaos: NodeChaos = field(default_factory=NodeChaos)

    def request_fails(self, rng: Random) -> bool:
        return rng.random() < self.failing

    def confirmation_ms(self, rng: Random) -> float:
        return rng.lognormvariate(0.0, self.sigma) * self.confirm_ms

    def crowding(self, fee: float) -> float:
        """Return how many times longer a reveal takes that offers `fee` micro-lamports per unit."""
        return 1.0 + (self.crowded - 1.0) / (1.0 + max(0.0, fee) / FEE_THAT_COUNTS)


class Network:
    """Holds the endpoints by name, and whichever the submitter's URL points to.

    A URL nobody serves fails every request.
    """

    def __init__(self, urls: Mapping[str, str] = RPC_URLS) -> None:
        self.endpoints: Mapping[str, Endpoint] = {name: Endpoint(name, url) for name, url in urls.items()}
        self._strangers: dict[str, Endpoint] = {}

    def at(self, url: str) -> Endpoint:
        """Return the endpoint that the URL's host and port name (paths are keys: any works)."""
        place = _place(url)
        for endpoint in self.endpoints.values():
            if _place(endpoint.url) == place:
                return endpoint
        if place not in self._strangers:
            self._strangers[place] = Endpoint(place, url, failing=1.0, confirm_ms=10_000.0)
        return self._strangers[place]


@lru_cache(256)
def _place(url: str) -> str:
    """Return the host, with the port where one is given."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return UNREACHABLE
    if host is None:
        return UNREACHABLE
    return host if port is None else f"{host}:{port}"


def stream_url(url: str) -> str:
    """Return the WebSocket's address, as Solana's validators and clients have it.

    That is the next port where one is given, else the same.
    """
    parts = urlsplit(url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    host = parts.hostname or UNREACHABLE
    return parts._replace(scheme=scheme, netloc=host if parts.port is None else f"{host}:{parts.port + 1}").geturl()
