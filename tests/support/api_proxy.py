"""Writes down what passes to an API server and back; a test may answer, change or lose it."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

#: Of one hop alone: what aiohttp makes anew on each side.
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length"}
_BIGGEST = 64 * 1024**2


@dataclass
class Answer:
    """One answer; of a watch or a followed log `body` grows chunk by chunk."""

    status: int = 0
    body: bytes = b""
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)

    @staticmethod
    def refusal(status: int, reason: str, **headers: str) -> Answer:
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Answer(status, json.dumps(body).encode(), CIMultiDict({"content-type": "application/json", **named}))


@dataclass
class Exchange:
    """One request as it came, and its answer as far as it was passed on."""

    method: str
    path: str
    query: dict[str, str]
    headers: CIMultiDict[str]
    body: bytes
    answer: Answer = field(default_factory=Answer)
    ended: bool = False  # the answer was passed on to its end

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def dry(self) -> bool:
        return self.query.get("dryRun") == "All"

    @property
    def streamed(self) -> bool:
        return self.watched or "follow" in self.query

    @property
    def watched(self) -> bool:
        return self.query.get("watch") in ("1", "true")

    @property
    def whole(self) -> bool:
        """Return whether its answer is all there; a watch has none to wait for."""
        return self.ended or (self.watched and self.status == 200)


@dataclass
class ApiProxy:
    """Passes everything on, unless a test says otherwise.

    `before` may answer in the server's place, `on_body` change what is asked, `after` the answer
    (never that of a stream); where `lose` is true of an answer that was had, the connection is cut.
    """

    url: str = ""
    kubeconfig: Path = Path()  # leads through it, where one was made
    exchanges: list[Exchange] = field(default_factory=list)
    before: Callable[[Exchange], Answer | None] = lambda exchange: None
    on_body: Callable[[Exchange], bytes] = lambda exchange: exchange.body
    after: Callable[[Exchange, Answer], Answer] = lambda exchange, answer: answer
    lose: Callable[[Exchange], bool] = lambda exchange: False

    def writes(self) -> list[Exchange]:
        """Return what was asked to be changed, dry runs and reviews left out."""
        asked = [each for each in self.exchanges if each.method not in ("GET", "HEAD")]
        return [each for each in asked if not each.dry and "reviews" not in each.path]


@contextmanager
def proxied(target: str, tls: ssl.SSLContext | bool = False) -> Iterator[ApiProxy]:
    """Serve on loopback in front of the server at `target`, in a thread of its own."""
    proxy, loop = ApiProxy(), asyncio.new_event_loop()
    up, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        ) as upstream:

            async def handle(request: web.Request) -> web.StreamResponse:
                try:
                    return await _pass(proxy, upstream, target, request)
                except ConnectionError:  # whoever asked has gone
                    return web.Response()

            app = web.Application(client_max_size=_BIGGEST)
            app.router.add_route("*", "/{rest:.*}", handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            up.set()
            await stop.wait()
            await runner.cleanup()
            left = asyncio.all_tasks() - {asyncio.current_task()}  # streams that nobody ends
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert up.wait(10), "the proxy does not start"
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


async def _pass(
    proxy: ApiProxy, upstream: aiohttp.ClientSession, target: str, request: web.Request
) -> web.StreamResponse:
    exchange = Exchange(
        request.method, request.path, dict(request.query), _kept(request.headers.items()), await request.read()
    )
    proxy.exchanges.append(exchange)
    refused = proxy.before(exchange)
    if refused is not None:
        return _answered(exchange, refused)
    async with upstream.request(
        exchange.method,
        f"{target}{request.raw_path}",
        data=proxy.on_body(exchange) or None,
        headers=exchange.headers,
        allow_redirects=False,
    ) as found:
        exchange.answer = Answer(found.status, headers=_kept(found.headers.items()))
        if proxy.lose(exchange):
            exchange.answer.body = await found.read()
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if not exchange.streamed:
            exchange.answer.body = await found.read()
            return _answered(exchange, proxy.after(exchange, exchange.answer))
        response = web.StreamResponse(status=found.status, headers=exchange.answer.headers)
        await response.prepare(request)
        async for chunk in found.content.iter_any():
            exchange.answer.body += chunk
            await response.write(chunk)
        exchange.ended = True
        await response.write_eof()
        return response


def _kept(headers: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers if name.lower() not in _HOP)


def _answered(exchange: Exchange, answer: Answer) -> web.Response:
    exchange.answer, exchange.ended = answer, True
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
