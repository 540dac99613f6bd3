"""A scripted chain and the nodes that tell of it, over real HTTP and WebSocket: each node may lag,
lose, refuse and misbehave.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from cockpit.sources.solana.addresses import protocol_address, signer_set_address
from cockpit.sources.solana.settings import RpcEndpoint
from tests.support.chain_encoder import (
    PROGRAM_ID,
    b58,
    commit_logs,
    failed_logs,
    key,
    market,
    protocol,
    reveal_logs,
    signature,
    signer_set,
)

GENESIS = b58(key("the cluster"))
Answer = Callable[[web.Request], Any]


@dataclass
class Tx:
    signature: str
    slot: int
    err: Any
    logs: list[str]


@dataclass
class Chain:
    """Confirmed transactions in order; `head` is the confirmed slot."""

    head: int = 10_000
    transactions: list[Tx] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    accounts: dict[str, bytes] = field(default_factory=dict)
    made: int = 0

    def __post_init__(self) -> None:
        program = key_of(PROGRAM_ID)
        self.accounts[str(protocol_address(program))] = protocol()
        self.accounts[str(signer_set_address(program, 100))] = signer_set(100, [key(n) for n in range(7)], 5)
        self.accounts[b58(key("NBA"))] = market("NBA_LAL_BOS")

    @property
    def next_signature(self) -> str:
        """The signature of the transaction that `add` makes next."""
        return signature(("tx", self.made + 1))

    async def slots(self, number: int = 1) -> None:
        for _ in range(number):
            self.head += 1
            for node in self.nodes:
                await node.tell_slot()

    async def add(self, logs: list[str], err: Any = None, *, slot: int | None = None) -> Tx:
        """One confirmed transaction, told to every node."""
        tx = Tx(self.next_signature, slot or self.head, err, logs)
        self.made += 1
        self.transactions.append(tx)
        for node in self.nodes:
            await node.tell(tx)
        return tx

    async def commit(self, epoch: object, *, market: str = "NBA") -> Tx:
        return await self.add(commit_logs(market, epoch, self.head + 10))

    async def reveal(self, epoch: object, *, market: str = "NBA") -> Tx:
        return await self.add(reveal_logs(market, epoch, self.made))

    async def fail(self, code: int = 6018) -> Tx:
        return await self.add(failed_logs(code), {"InstructionError": [1, {"Custom": code}]})


def key_of(text: str) -> bytes:
    from cockpit.oracle.base58 import pubkey

    return pubkey(text) or b""


@dataclass(eq=False)
class Node:
    """One RPC node.

    Change its fields to make it misbehave.
    """

    name: str
    chain: Chain
    lag: int = 0
    health: str | None = None  # an error's message
    genesis: str = GENESIS
    page: int = 1000
    batches: bool = True
    answer: Callable[[str], web.StreamResponse | None] = lambda method: None  # instead of the truth
    result: dict[str, Any] = field(default_factory=dict)  # method → what it answers, however wrong
    error: dict[str, Any] = field(default_factory=dict)  # method → error object
    hidden: set[str] = field(default_factory=set)  # signatures it does not list
    unreadable: set[str] = field(default_factory=set)  # listed, but not given
    keeps_from: int = 0  # older slots were pruned
    lists_late: int = 0  # its index is so many slots behind its own confirmed slot
    deaf: bool = False  # transactions are not told to its subscribers
    frozen: bool = False  # nothing at all is
    no_sockets: bool = False
    rest_s: int | None = None  # WebSockets get 429 with this Retry-After
    handshakes: int = 0
    accounts: dict[str, bytes] = field(default_factory=dict)  # where it differs
    asked: list[str] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    subscriptions: dict[web.WebSocketResponse, dict[str, int]] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        self.chain.nodes.append(self)

    @property
    def endpoint(self) -> RpcEndpoint:
        url = f"http://127.0.0.1:{self.port}/v2/SECRETKEY0123456789"
        return RpcEndpoint(name=self.name, url=url, ws_url=url.replace("http", "ws"))

    # -- HTTP

    async def http(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if isinstance(body, list):
            self.asked.append(f"batch of {len(body)}")
            if not self.batches:
                return web.json_response(
                    self.failure(None, {"code": -32600, "message": "batches are not allowed"}), status=400
                )
            return web.json_response([self.one(each) for each in body])
        self.asked.append(body["method"])
        special = self.answer(body["method"])
        if special is not None:
            return special
        return web.json_response(self.one(body))

    @staticmethod
    def failure(number: Any, error: Any) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "error": error, "id": number}

    def one(self, body: dict[str, Any]) -> dict[str, Any]:
        method, params = body["method"], body.get("params") or []
        if method in self.error:
            return self.failure(body["id"], self.error[method])
        if method in self.result:
            return {"jsonrpc": "2.0", "result": self.result[method], "id": body["id"]}
        if method == "getHealth" and self.health is not None:
            return self.failure(body["id"], {"code": -32005, "message": self.health})
        return {"jsonrpc": "2.0", "result": getattr(self, method)(*params), "id": body["id"]}

    @property
    def head(self) -> int:
        return self.chain.head - self.lag

    def getHealth(self) -> str:
        return "ok"

    def getSlot(self, options: Any = None) -> int:
        return self.head

    def getLatestBlockhash(self, options: Any = None) -> Any:
        return {
            "context": {"slot": self.head},
            "value": {"blockhash": b58(key(self.head)), "lastValidBlockHeight": self.head + 150},
        }

    def getGenesisHash(self) -> str:
        return self.genesis

    def getVersion(self) -> Any:
        return {"solana-core": "2.1.0", "feature-set": 1}

    def getRecentPrioritizationFees(self, accounts: Any = None) -> Any:
        return [{"slot": self.head, "prioritizationFee": fee} for fee in (100, 300, 900)]

    def getSignaturesForAddress(self, address: str, options: dict[str, Any]) -> Any:
        assert address == PROGRAM_ID and options["commitment"] == "confirmed"
        found, started = [], "before" not in options
        order = enumerate(self.chain.transactions)
        newest_first = [tx for _, tx in sorted(order, key=lambda each: (each[1].slot, each[0]), reverse=True)]
        for tx in newest_first:
            if tx.signature == options.get("until"):
                break
            if (
                started
                and self.keeps_from <= tx.slot <= self.head - self.lists_late
                and tx.signature not in self.hidden
            ):
                found.append({"signature": tx.signature, "slot": tx.slot, "err": tx.err, "memo": None, "blockTime": 1})
            started = started or tx.signature == options["before"]
        return found[: min(self.page, options.get("limit", 1000))]

    def getTransaction(self, wanted: str, options: dict[str, Any]) -> Any:
        for tx in self.chain.transactions:
            if tx.signature == wanted and wanted not in self.unreadable:
                return {
                    "slot": tx.slot,
                    "blockTime": 1,
                    "meta": {"err": tx.err, "fee": 5000, "logMessages": tx.logs},
                    "transaction": ["", "base64"],
                }
        return None

    def held(self, address: str) -> Any:
        data = self.accounts.get(address, self.chain.accounts.get(address))
        if data is None:
            return None
        return {
            "data": [base64.b64encode(data).decode(), "base64"],
            "owner": PROGRAM_ID,
            "lamports": 1,
            "executable": False,
            "rentEpoch": 0,
        }

    def getMultipleAccounts(self, addresses: list[str], options: Any) -> Any:
        return {"context": {"slot": self.head}, "value": [self.held(each) for each in addresses]}

    def getProgramAccounts(self, program: str, options: Any) -> Any:
        wanted = options["filters"][0]["memcmp"]["bytes"]
        found = [a for a, data in self.chain.accounts.items() if b58(data[:8]) == wanted]
        return {
            "context": {"slot": self.head},
            "value": [{"pubkey": each, "account": self.held(each)} for each in found],
        }

    # -- WebSocket

    async def socket(self, request: web.Request) -> web.StreamResponse:
        self.handshakes += 1
        if self.rest_s is not None:
            return web.Response(status=429, headers={"Retry-After": str(self.rest_s)})
        if self.no_sockets:
            return web.Response(status=405)
        ws = web.WebSocketResponse(autoping=True)
        await ws.prepare(request)
        self.sockets.append(ws)
        async for message in ws:
            if message.type is not WSMsgType.TEXT:
                continue
            body = json.loads(message.data)
            kind = body["method"]
            if kind == "logsSubscribe":
                assert body["params"][0] == {"mentions": [PROGRAM_ID]}
                kind = body["params"][1]["commitment"]
            self.subscriptions.setdefault(ws, {})[kind] = 1000 + body["id"]
            await ws.send_str(json.dumps({"jsonrpc": "2.0", "result": 1000 + body["id"], "id": body["id"]}))
        self.sockets.remove(ws)
        return ws

    async def send(self, kind: str, method: str, result: Any) -> None:
        for ws in list(self.sockets):
            number = self.subscriptions.get(ws, {}).get(kind)
            if number is not None and not ws.closed and not self.frozen:
                frame = {"jsonrpc": "2.0", "method": method, "params": {"result": result, "subscription": number}}
                with suppress(ConnectionError):  # the source has just gone away
                    await ws.send_str(json.dumps(frame))

    async def raw(self, text: str | bytes) -> None:
        for ws in list(self.sockets):
            await (ws.send_str(text) if isinstance(text, str) else ws.send_bytes(text))

    async def tell_slot(self) -> None:
        await self.send(
            "slotSubscribe", "slotNotification", {"parent": self.head - 1, "root": self.head - 32, "slot": self.head}
        )

    async def tell(self, tx: Tx, *, commitment: str = "confirmed") -> None:
        if not self.deaf:
            value = {"signature": tx.signature, "err": tx.err, "logs": tx.logs}
            await self.send(commitment, "logsNotification", {"context": {"slot": tx.slot}, "value": value})

    async def cut(self) -> None:
        """Every WebSocket dies without a word."""
        for ws in list(self.sockets):
            self.subscriptions.pop(ws, None)
            if ws._req is not None and ws._req.transport is not None:
                ws._req.transport.abort()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        app = web.Application(client_max_size=2**24)
        app.router.add_post("/v2/SECRETKEY0123456789", self.http)
        app.router.add_get("/v2/SECRETKEY0123456789", self.socket)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield
        finally:
            await runner.cleanup()
