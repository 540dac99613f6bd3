"""Stands between the cockpit and an API server, writes exchanges down, and can lose an answer."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "host", "content-length"}


@dataclass
class Exchange:
    """One request and its answer; of a watch `body` grows line by line."""

    method: str
    path: str
    query: dict[str, str]
    content_type: str
    sent: bytes
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False  # the answer was passed on to its end

    @property
    def whole(self) -> bool:
        """Return whether its answer is all there; a watch has none to wait for."""
        return self.ended or (self.watched and self.status == 200)

    @property
    def watched(self) -> bool:
        return self.query.get("watch") in ("1", "true")


@dataclass
class Proxy:
    """Passes everything on; `kubeconfig` leads through it."""

    kubeconfig: Path
    exchanges: list[Exchange] = field(default_factory=list)
    #: Asked for each answer that was had: true cuts the connection in its place.
    lose: Callable[[Exchange], bool] = lambda exchange: False
    #: Asked for each request: a status is answered in its place, nothing passed on.
    refuse: Callable[[Exchange], web.Response | None] = lambda exchange: None

    def writes(self) -> list[Exchange]:
        return [each for each in self.exchanges if each.method not in ("GET", "HEAD")]


@contextmanager
def between(kubeconfig: Path, home: Path, context: str = "") -> Iterator[Proxy]:
    """Serve on loopback in front of the server that the kubeconfig's context names."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = context or config["current-context"]
    chosen = next(c["context"] for c in config["contexts"] if c["name"] == context)
    cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == chosen["cluster"])
    user = next(u["user"] for u in config["users"] if u["name"] == chosen["user"])
    inline = cluster.get("certificate-authority-data")
    tls = ssl.create_default_context(
        cafile=cluster.get("certificate-authority"), cadata=base64.b64decode(inline).decode() if inline else None
    )
    home.mkdir(parents=True, exist_ok=True)
    proxy = Proxy(home / "kubeconfig")
    loop, up, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    ports: list[int] = []

    async def serve() -> None:
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as upstream:

            async def handle(request: web.Request) -> web.StreamResponse:
                try:
                    return await _pass(proxy, upstream, cluster["server"], request)
                except ConnectionError:  # whoever asked has gone
                    return web.Response()

            app = web.Application(client_max_size=64 * 1024 * 1024)
            app.router.add_route("*", "/{rest:.*}", handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2, handler_cancellation=True)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            ports.append(runner.addresses[0][1])
            up.set()
            await stop.wait()
            await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert up.wait(10), "the proxy does not start"
    server = {"server": f"http://127.0.0.1:{ports[0]}"}
    through = {
        **config,
        "clusters": [{"name": chosen["cluster"], "cluster": server}],
        "users": [{"name": chosen["user"], "user": user}],
        "contexts": [{"name": context, "context": chosen}],
        "current-context": context,
    }
    proxy.kubeconfig.write_text(json.dumps(through))
    proxy.kubeconfig.chmod(0o600)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


async def _pass(proxy: Proxy, upstream: aiohttp.ClientSession, server: str, request: web.Request) -> web.StreamResponse:
    exchange = Exchange(
        method=request.method,
        path=request.path,
        query=dict(request.query),
        content_type=request.headers.get("Content-Type", ""),
        sent=await request.read(),
    )
    proxy.exchanges.append(exchange)
    refused = proxy.refuse(exchange)
    if refused is not None:
        exchange.status, exchange.ended = refused.status, True
        return refused
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
    async with upstream.request(
        exchange.method,
        f"{server}{request.raw_path}",
        data=exchange.sent or None,
        headers=headers,
        allow_redirects=False,
    ) as answer:
        exchange.status, exchange.headers = answer.status, dict(answer.headers)
        if proxy.lose(exchange):
            exchange.body = await answer.read()
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        response = web.StreamResponse(status=answer.status)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP:
                response.headers.add(name, value)
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            exchange.body += chunk
            await response.write(chunk)
        exchange.ended = True
        await response.write_eof()
        return response
