"""Solana RPC endpoints: how often a request fails, how long a transaction takes to be confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from urllib.parse import urlsplit

from cockpit.drill.names import RPC_URLS

CALLS_PER_TX = 4  # latest blockhash, send, two looks at the signature's status
UNREACHABLE = "unreachable"


@dataclass(slots=True)
class Endpoint:
    """`failing` is the probability that one request fails; scenarios move it and the latency."""

    name: str
    url: str
    failing: float = 0.002
    confirm_ms: float = 430.0
    sigma: float = 0.44  # p95 near 900 ms

    def request_fails(self, rng: Random) -> bool:
        return rng.random() < self.failing

    def confirmation_ms(self, rng: Random) -> float:
        return rng.lognormvariate(0.0, self.sigma) * self.confirm_ms


class Network:
    """The endpoints by name, and whichever the submitter's URL points to. A URL nobody serves fails every request."""

    def __init__(self) -> None:
        self.endpoints: Mapping[str, Endpoint] = {name: Endpoint(name, url) for name, url in RPC_URLS.items()}
        self._strangers: dict[str, Endpoint] = {}

    def at(self, url: str) -> Endpoint:
        """The endpoint that the URL's host names (paths are keys: any works)."""
        host = urlsplit(url).hostname or UNREACHABLE
        for endpoint in self.endpoints.values():
            if urlsplit(endpoint.url).hostname == host:
                return endpoint
        if host not in self._strangers:
            self._strangers[host] = Endpoint(host, url, failing=1.0, confirm_ms=10_000.0)
        return self._strangers[host]
