"""Serves every Solana endpoint of a drill over one ledger.

Each has an HTTP port, and the port after it for WebSockets.

Alone, without a world:

    async with SolanaServers.alone() as servers:
        servers.url("rpc-a"), servers.nodes["rpc-a"].chaos.throttled, servers.oracle.commit(...)
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from cockpit.drill.door import Door
from cockpit.drill.names import MARKETS, RPC_URLS
from cockpit.drill.solana.node import rpc, sockets
from cockpit.drill.solana.node.endpoint import Node
from cockpit.drill.solana.node.network import Endpoint, stream_url
from cockpit.drill.solana.program.keys import Keys
from cockpit.drill.solana.program.oracle import Oracle

HOST = "127.0.0.1"
TRIES = 64


@dataclass(frozen=True)
class PortPair:
    """Holds two listening sockets on neighbouring ports."""

    http: socket.socket
    ws: socket.socket

    @property
    def port(self) -> int:
        return int(self.http.getsockname()[1])

    def close(self) -> None:
        self.http.close()
        self.ws.close()


def bind_pair() -> PortPair:
    """Bind two neighbouring ports.

    Raises OSError when none are free.
    """
    for _ in range(TRIES):
        first = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        first.bind((HOST, 0))
        second = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            second.bind((HOST, first.getsockname()[1] + 1))
        except (OSError, OverflowError):
            first.close()
            second.close()
            continue
        first.listen(256)
        second.listen(256)
        return PortPair(first, second)
    raise OSError("no two neighbouring ports are free on the loopback address")


def bind_pairs(names: Iterable[str]) -> dict[str, PortPair]:
    return {name: bind_pair() for name in names}


def urls_of(pairs: Mapping[str, PortPair]) -> dict[str, str]:
    """Return HTTP addresses, with a path that looks like a provider's key."""
    return {name: f"http://{HOST}:{pair.port}{_path(name)}" for name, pair in pairs.items()}


def _path(name: str) -> str:
    known = RPC_URLS.get(name)
    return "/" if known is None else "/" + known.split("/", 3)[3]


class SolanaServers:
    """Serves all endpoints, as an async context manager.

    `endpoints` are the world's; `pairs` the ports that were bound for them (they are closed at the
    end, also when it never started).
    """

    def __init__(self, oracle: Oracle, endpoints: Mapping[str, Endpoint], pairs: Mapping[str, PortPair]) -> None:
        self.oracle = oracle
        self.nodes: dict[str, Node] = {name: Node(oracle, endpoint) for name, endpoint in endpoints.items()}
        self._pairs = pairs
        self._door = Door()
        self._stack = contextlib.AsyncExitStack()

    @classmethod
    def alone(
        cls,
        *,
        seed: int = 7,
        names: Iterable[str] = tuple(RPC_URLS),
        now: Callable[[], float] = time.time,
        markets: Mapping[str, str] = MARKETS,
    ) -> SolanaServers:
        """Serve healthy endpoints that answer at once, over a ledger of their own."""
        pairs = bind_pairs(names)
        endpoints = {name: Endpoint(name, url, failing=0.0, confirm_ms=0.0) for name, url in urls_of(pairs).items()}
        return cls(Oracle(Keys(seed), now, markets), endpoints, pairs)

    def url(self, name: str = "rpc-a") -> str:
        return self.nodes[name].endpoint.url

    def ws_url(self, name: str = "rpc-a") -> str:
        return stream_url(self.url(name))

    async def __aenter__(self) -> SolanaServers:
        try:
            for name, node in self.nodes.items():
                await self._serve(node, self._pairs[name])
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for node in self.nodes.values():
            node.chaos.thaw()
        await self._stack.aclose()
        for pair in self._pairs.values():
            pair.close()

    async def _serve(self, node: Node, pair: PortPair) -> None:
        open_sockets: set[sockets.Socket] = set()
        await self._listen(partial(rpc.handle, node), pair.http)
        await self._listen(partial(sockets.handle, node, sockets=open_sockets), pair.ws)
        pump = asyncio.create_task(sockets.pump(open_sockets), name=f"solana-{node.name}")

        async def stop() -> None:
            pump.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pump
            node.chaos.cut_sockets()

        self._stack.push_async_callback(stop)

    async def _listen(self, handler: Callable[..., Awaitable[web.StreamResponse]], sock: socket.socket) -> None:
        runner = web.ServerRunner(web.Server(self._door.guarded(handler), access_log=None), shutdown_timeout=0.2)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.SockSite(runner, sock).start()
