"""A scripted HTTP server on loopback: the client under test talks real HTTP to it, and the test
decides every answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.paths import ROOT

FIXTURES = ROOT / "tests" / "fixtures" / "kube-apiserver"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def recording(name: str) -> dict[str, Any]:
    """The recorded exchange whose file starts with `name` ("22" or "22-forbidden-403-list")."""
    found: dict[str, Any] = json.loads(next(FIXTURES.glob(f"{name}-*.json")).read_text())
    return found


def status(code: int, reason: str, message: str = "", **more: Any) -> web.Response:
    """A Kubernetes Status answer."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "message": message or reason,
        "code": code,
        **more,
    }
    return web.json_response(body, status=code)


def pod(name: str, version: int = 1, namespace: str = "m0-prod", **fields: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": namespace, "uid": f"uid-{name}", "resourceVersion": str(version)}
    container = {
        "name": "main",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2026-11-23T12:41:26Z"}},
    }
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": meta,
        "spec": {"containers": [{"name": "main", "image": "img"}]},
        "status": {"phase": "Running", "containerStatuses": [container]},
        **fields,
    }


def a_list(*items: dict[str, Any], version: int | str = 10, more: str = "") -> dict[str, Any]:
    meta = {"resourceVersion": str(version)} | ({"continue": more} if more else {})
    return {"kind": "List", "apiVersion": "v1", "metadata": meta, "items": list(items)}


def line(kind: str, value: Any) -> bytes:
    return json.dumps({"type": kind, "object": value}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return line("BOOKMARK", {"kind": "Pod", "metadata": {"resourceVersion": str(version)}})


class ApiDouble:
    """`on(suffix, handler)` answers GETs whose path ends so.

    Unset lists are empty; unset watches stay quiet.
    """

    def __init__(self) -> None:
        self.handlers: dict[str, Handler] = {}
        self.requests: list[web.Request] = []
        self.url = ""
        self.stopped = asyncio.Event()
        self.tokens: set[str] | None = None  # accepted bearer tokens; None accepts all

    def on(self, suffix: str, handler: Handler) -> None:
        self.handlers[suffix] = handler

    def asked(self, suffix: str, watch: bool | None = None) -> list[web.Request]:
        return [
            r for r in self.requests if r.path.endswith(suffix) and (watch is None or ("watch" in r.query) == watch)
        ]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        if self.tokens is not None:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            if token not in self.tokens:
                return status(401, "Unauthorized")
        for suffix, handler in self.handlers.items():
            if request.path.endswith(suffix):
                return await handler(request)
        if request.path == "/version":
            return web.json_response({"major": "1", "minor": "36"})
        if "watch" in request.query:
            return await self.quiet(request)
        if request.path.startswith("/api/v1/namespaces/") and request.path.count("/") == 4:
            return web.json_response({"kind": "Namespace", "metadata": {"name": request.path.rsplit("/")[-1]}})
        return web.json_response(a_list())

    async def quiet(self, request: web.Request, *lines: bytes, end: bool = False) -> web.StreamResponse:
        """Answer with a watch that sends `lines`, then is silent (or ends at once)."""
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        for one in lines:
            await response.write(one)
        if not end:
            await self.stopped.wait()
        return response

    async def frozen(self, request: web.Request) -> web.StreamResponse:
        """TCP alive, no answer."""
        await self.stopped.wait()
        return web.Response(status=503)


@asynccontextmanager
async def serving(api: ApiDouble, ssl_context: Any = None) -> AsyncIterator[ApiDouble]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", api.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl_context)
    await site.start()
    port = runner.addresses[0][1]
    api.url = f"{'https' if ssl_context else 'http'}://127.0.0.1:{port}"
    try:
        yield api
    finally:
        api.stopped.set()
        await runner.cleanup()


def kubeconfig(
    path: Path, server: str, *, user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None
) -> Path:
    """A kubeconfig with one context "c" (namespace m0-prod)."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "k", "cluster": {"server": server, **(cluster or {})}}],
        "users": [{"name": "u", "user": user if user is not None else {"token": "good"}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "m0-prod"}}],
    }
    path.write_text(json.dumps(config))
    return path
