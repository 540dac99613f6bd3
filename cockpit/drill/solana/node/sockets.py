"""Serves Solana's WebSocket, on the port after the HTTP port.

Subscribe, be notified, unsubscribe.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from cockpit.drill.solana.node import subscriptions
from cockpit.drill.solana.node.endpoint import INVALID_PARAMS, INVALID_REQUEST, NO_METHOD, PARSE, Node, Params, RpcError
from cockpit.drill.solana.node.subscriptions import Subscription

TICK_S = 0.05  # real seconds between two polls for what has come
BACKLOG = 50_000  # frames that a slow reader may be behind; then the node gives it up, as real ones do

_decoder = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


class Socket:
    """Serves one connection.

    Once `mute` it stays so: as if the other side's packets went nowhere.
    """

    def __init__(self, node: Node, request: web.BaseRequest) -> None:
        self.node = node
        self.mute = node.chaos.half_open
        self.subscriptions: dict[int, Subscription] = {}
        self._request = request
        self._ws = web.WebSocketResponse(autoping=False, max_msg_size=1024 * 1024, compress=False)
        self._frames: asyncio.Queue[str | bytes] = asyncio.Queue()
        self._closing: asyncio.Task[Any] | None = None

    async def serve(self) -> web.StreamResponse:
        await self._ws.prepare(self._request)
        self.node.chaos.opened(self)
        writer = asyncio.create_task(self._write())
        try:
            async for message in self._ws:
                if message.type is WSMsgType.PING and not self.silent:
                    await self._ws.pong(message.data)
                elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY) and not self.silent:
                    self._read(message.data)
        finally:
            self.node.chaos.closed(self)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await writer
        return self._ws

    @property
    def silent(self) -> bool:
        self.mute = self.mute or self.node.chaos.half_open
        return self.mute

    def put(self, frame: str | bytes) -> None:
        if self.silent:
            return
        if self._frames.qsize() >= BACKLOG:
            self.finish(WSCloseCode.TRY_AGAIN_LATER)
            return
        self._frames.put_nowait(frame)

    def finish(self, code: int) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._ws.close(code=code))

    def cut(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    def poll(self) -> None:
        """Put what has come since into the queue."""
        chaos = self.node.chaos
        for sub in list(self.subscriptions.values()):
            for result in sub.poll(self.node, sub):
                if chaos.lossy and self.node.rng.random() < chaos.lossy:
                    continue
                body = {
                    "jsonrpc": "2.0",
                    "method": sub.method,
                    "params": {"result": result, "subscription": sub.number},
                }
                frame = _encoder.encode(body).decode()
                self.put(frame)
                if chaos.doubled:
                    self.put(frame)
            if sub.done:
                del self.subscriptions[sub.number]

    async def _write(self) -> None:
        while True:
            frame = await self._frames.get()
            with contextlib.suppress(ConnectionError, RuntimeError):
                if isinstance(frame, str):
                    await self._ws.send_str(frame)
                else:
                    await self._ws.send_bytes(frame)

    def _read(self, data: str | bytes) -> None:
        try:
            calls = _decoder.decode(data)
        except msgspec.DecodeError:
            self._answer(None, error=RpcError(PARSE, "Parse error"))
            return
        for call in calls if isinstance(calls, list) else [calls]:
            if not isinstance(call, dict) or not isinstance(call.get("method"), str):
                self._answer(None, error=RpcError(INVALID_REQUEST, "Invalid request"))
            else:
                self._call(call)

    def _call(self, call: dict[str, Any]) -> None:
        number, method = call.get("id"), call["method"]
        self.node.requests[method] += 1
        try:
            result = self._do(method, call.get("params"))
        except RpcError as error:
            if "id" in call:
                self._answer(number, error=error)
            return
        if "id" in call:
            self._answer(number, result)

    def _do(self, method: str, params: Any) -> Any:
        taken = Params(self.node, params)
        for kind in subscriptions.KINDS:
            if method == f"{kind}Subscribe":
                self.node.subscribed += 1
                made = subscriptions.make(self.node, method, taken, self.node.subscribed)
                self.subscriptions[made.number] = made
                return made.number
            if method == f"{kind}Unsubscribe":
                if self.subscriptions.pop(taken.number(0), None) is None:
                    raise RpcError(INVALID_PARAMS, "Invalid subscription id.")
                return True
        raise RpcError(NO_METHOD, "Method not found")

    def _answer(self, number: Any, result: Any = None, error: RpcError | None = None) -> None:
        outcome = {"result": result} if error is None else {"error": error.json()}
        self.put(_encoder.encode({"jsonrpc": "2.0", **outcome, "id": number}).decode())


async def handle(node: Node, request: web.BaseRequest, sockets: set[Socket]) -> web.StreamResponse:
    """Accept an upgrade; refuse as often as requests fail."""
    if node.chaos.ws_refused or node.rng.random() < node.endpoint.failing:
        return web.Response(status=503, text="Service Unavailable\n")
    if not web.WebSocketResponse().can_prepare(request):
        return web.Response(status=403, text="Connection header did not include 'upgrade'\n")
    socket = Socket(node, request)
    sockets.add(socket)
    try:
        return await socket.serve()
    finally:
        sockets.discard(socket)


async def pump(sockets: set[Socket]) -> None:
    """Poll for news for as long as the server runs."""
    while True:
        await asyncio.sleep(TICK_S)
        for socket in list(sockets):
            if socket.subscriptions:
                socket.poll()
