"""The matrix' loop keeps a time of its own, and carries connections without the kernel."""

from __future__ import annotations

import asyncio
import sys
import time

import aiohttp
import httpx
import pytest
from aiohttp import web

from bench.matrix.loop import simulate


def test_an_hour_passes_at_once_and_timers_come_in_their_order() -> None:
    heard: list[float] = []

    async def wait(seconds: float) -> None:
        await asyncio.sleep(seconds)
        heard.append(seconds)

    async def main() -> float:
        await asyncio.gather(wait(3600), wait(1), wait(60))
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert simulate(main()) == pytest.approx(3600, abs=0.001)
    assert heard == [1, 60, 3600] and time.monotonic() - began < 60


def test_a_wait_that_compares_times_does_not_turn_in_a_circle() -> None:
    async def main() -> int:
        loop, turns = asyncio.get_running_loop(), 0
        end = loop.time() + 0.1 + 0.2
        while loop.time() < end and turns < 100:
            turns += 1
            await asyncio.sleep(end - loop.time())
        return turns

    assert simulate(main()) == 1


def test_waiting_for_what_can_never_come_is_an_error() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing ever will be"):
        simulate(main())


async def served() -> tuple[web.AppRunner, str]:
    async def hello(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for part in range(3):
            await answer.write(b"%d" % part * 300_000)
            await asyncio.sleep(10)
        return answer

    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    return runner, f"http://{host}:{port}/"


def test_both_http_clients_are_answered_and_a_slow_answer_costs_simulated_time_alone() -> None:
    async def main() -> tuple[int, int, float]:
        runner, url = await served()
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            one = len(await answer.read())
        async with httpx.AsyncClient(timeout=None) as client:
            two = len((await client.get(url)).content)
        took = loop.time() - began
        await runner.cleanup()
        return one, two, took

    one, two, took = simulate(main())
    assert one == two == 900_000 and took == pytest.approx(60, abs=0.1)


def test_time_stands_still_for_a_child_process_that_asks_a_server_here() -> None:
    async def main() -> tuple[bytes, float]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readline())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        asks = f"import socket; s = socket.create_connection(('127.0.0.1', {port})); s.sendall(b'hello\\n'); print(s.recv(9))"
        loop = asyncio.get_running_loop()
        began = loop.time()
        ticking = asyncio.create_task(asyncio.sleep(3600))
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", asks, stdout=asyncio.subprocess.PIPE)
        said, _ = await child.communicate()
        took = loop.time() - began
        ticking.cancel()
        server.close()
        return said, took

    said, took = simulate(main())
    assert said == b"b'hello\\n'\n" and took < 1.0
