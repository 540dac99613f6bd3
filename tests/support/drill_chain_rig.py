"""The drill's Solana in a test: servers alone, over a clock that the test moves."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import httpx

from cockpit.drill.names import MARKETS
from cockpit.drill.solana.node.servers import SolanaServers
from cockpit.drill.solana.program.keys import Keys
from cockpit.drill.solana.program.ledger import SLOT_S
from cockpit.drill.solana.program.oracle import Oracle
from tests.support.waiting import HANG_S

START = 1_790_000_000.0
FIRST = 48_211_000
MARKET = "NBA_LAL_BOS"


class Hand:
    """A clock that a test moves."""

    def __init__(self, at: float = START) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def slots(self, count: float) -> None:
        self.at += count * SLOT_S


def oracle(clock: Hand | None = None, seed: int = 7, **options: Any) -> Oracle:
    return Oracle(Keys(seed), clock or Hand(), MARKETS, first_sequence=FIRST, **options)


class Rig:
    """Servers, a client of each kind, and the clock."""

    def __init__(
        self, servers: SolanaServers, clock: Hand, client: httpx.AsyncClient, session: aiohttp.ClientSession
    ) -> None:
        self.servers = servers
        self.clock = clock
        self.oracle = servers.oracle
        self.client = client
        self.session = session
        self._ids = itertools.count(1)
        self._sequence = FIRST

    async def post(self, body: Any, name: str = "rpc-a") -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.post(
            self.servers.url(name), content=content, headers={"Content-Type": "application/json"}
        )

    async def ask(self, method: str, *params: Any, name: str = "rpc-a") -> Any:
        """The response object."""
        answer = await self.post(
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}, name
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, method: str, *params: Any, name: str = "rpc-a") -> Any:
        """The result; an error fails the test."""
        answer = await self.ask(method, *params, name=name)
        assert "error" not in answer, answer
        return answer["result"]

    async def error(self, method: str, *params: Any, name: str = "rpc-a") -> Any:
        answer = await self.ask(method, *params, name=name)
        assert "result" not in answer, answer
        return answer["error"]

    def publish(self, count: int = 1, market: str = MARKET, error: str = "") -> None:
        """Commits with their reveals, three slots apart."""
        for _ in range(count):
            self._sequence += 1
            landed = self.oracle.commit(market, self._sequence, self.clock(), self.clock())
            self.clock.slots(3)
            self.oracle.reveal(landed, self.clock(), error)

    async def socket(self, name: str = "rpc-a") -> Socket:
        return Socket(await self.session.ws_connect(self.servers.ws_url(name)))


class Socket:
    """A WebSocket that is talked to as clients do."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.notes: list[Any] = []  # notifications, in order
        self._ids = itertools.count(1)

    async def call(self, method: str, *params: Any) -> Any:
        number = next(self._ids)
        await self.ws.send_json({"jsonrpc": "2.0", "id": number, "method": method, "params": list(params)})
        while True:
            body = await self.receive()
            if body.get("id") == number:
                return body
            self.notes.append(body)

    async def subscribe(self, method: str, *params: Any) -> int:
        body = await self.call(method, *params)
        assert "error" not in body, body
        return int(body["result"])

    async def note(self, of: int | None = None) -> Any:
        """The next notification's params (of one subscription)."""
        while True:
            for place, body in enumerate(self.notes):
                if of is None or body["params"]["subscription"] == of:
                    return self.notes.pop(place)["params"]
            self.notes.append(await self.receive())

    async def receive(self) -> Any:
        message = await asyncio.wait_for(self.ws.receive(), HANG_S)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return json.loads(message.data)


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(HANG_S):
        while not holds():  # noqa: ASYNC110 - a condition of the servers, which tell nobody
            await asyncio.sleep(0.01)
