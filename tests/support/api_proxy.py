"""A proxy in front of an API server: it keeps what passes, and a test may answer or change it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web


@dataclass
class Passed:
    """One request as it came, and the status of its answer."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int = 0

    @property
    def dry(self) -> bool:
        return self.query.get("dryRun") == "All"


@dataclass
class Answer:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def refusal(status: int, reason: str, **headers: str) -> Answer:
        body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": status}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return Answer(status, json.dumps(body).encode(), {"content-type": "application/json", **named})


@dataclass
class ApiProxy:
    """`before` may answer itself; `on_body` may change what is asked, `after` the answer."""

    url: str = ""
    seen: list[Passed] = field(default_factory=list)
    before: Callable[[Passed], Answer | None] = lambda passed: None
    on_body: Callable[[Passed], bytes] = lambda passed: passed.body
    after: Callable[[Passed, Answer], Answer] = lambda passed, answer: answer

    def writes(self) -> list[Passed]:
        """What was asked to be changed, dry runs and reviews left out."""
        return [p for p in self.seen if p.method != "GET" and not p.dry and "reviews" not in p.path]


@contextmanager
def proxied(target: str) -> Iterator[ApiProxy]:
    proxy, loop = ApiProxy(), asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def handle(request: web.Request) -> web.StreamResponse:
        kept = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")}
        passed = Passed(request.method, request.path, dict(request.query), kept, await request.read())
        proxy.seen.append(passed)
        answer = proxy.before(passed)
        if answer is None and "watch" in passed.query:
            return await stream(request, passed)
        if answer is None:
            async with session.request(
                passed.method, target + request.path_qs, data=proxy.on_body(passed), headers=passed.headers
            ) as found:
                headers = {"content-type": found.headers.get("content-type", "application/json")}
                answer = Answer(found.status, await found.read(), headers)
        answer = proxy.after(passed, answer)
        passed.status = answer.status
        response = web.Response(status=answer.status, body=answer.body)
        response.headers.update(answer.headers)
        return response

    async def stream(request: web.Request, passed: Passed) -> web.StreamResponse:
        async with session.get(target + request.path_qs, headers=passed.headers) as found:
            passed.status = found.status
            response = web.StreamResponse(status=found.status)
            await response.prepare(request)
            async for chunk in found.content.iter_any():
                await response.write(chunk)
            return response

    session: Any = None

    async def serve() -> None:
        nonlocal session
        session = aiohttp.ClientSession(
            auto_decompress=False, connector=aiohttp.TCPConnector(ssl=False), timeout=aiohttp.ClientTimeout(total=None)
        )
        app = web.Application(client_max_size=16 * 1024**2)
        app.router.add_route("*", "/{tail:.*}", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await stop.wait()
        await runner.cleanup()
        await session.close()
        left = asyncio.all_tasks() - {asyncio.current_task()}  # streams that nobody ends
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
