"""H12: the drill's servers answer the user who runs it, and no name or page from elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

import httpx
import pytest
from aiohttp import web

from cockpit.drill.door import Door
from cockpit.drill.server import DrillThread
from tests.support.api_double import ApiDouble, serving

NOBODY = 65534


@pytest.fixture(scope="module")
def drill() -> Iterator[DrillThread]:
    with DrillThread("calm", history_s=60.0, school=True) as running:
        yield running


def servers(running: DrillThread) -> Mapping[str, str]:
    """Every address of the drill, by what is behind it."""
    drill = running.drill
    return {
        "api server": f"{drill.kubernetes}/version",
        "prometheus": f"{drill.prometheus}/api/v1/query?query=1",
        "services": f"{drill.services}/m0-quant/metrics",
        "command line": f"{drill.admin}/market",
        "school": f"{drill.control}/status",
        **drill.rpc_urls,
        "websocket": str(drill.where()["solana_ws"]).replace("ws://", "http://"),
    }


@pytest.mark.parametrize(
    "headers",
    [{"Host": "rebound.example"}, {"Host": "127.0.0.1.example:80"}, {"Origin": "https://elsewhere.example"}],
    ids=str,
)
def test_names_and_pages_from_elsewhere_are_refused_by_every_server(
    drill: DrillThread, headers: Mapping[str, str]
) -> None:
    for name, url in servers(drill).items():
        answer = httpx.get(url, headers=headers, verify=False, trust_env=False)
        assert answer.status_code == 403 and "not this machine" in answer.text, name


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_is_refused_by_every_server(drill: DrillThread) -> None:
    code = (
        "import ssl, sys, urllib.error, urllib.request\n"
        "tls = ssl._create_unverified_context()\n"
        "open_ = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))\n"
        "for url in sys.argv[1:]:\n"
        "    try: print(open_.open(url, timeout=10).status)\n"
        "    except urllib.error.HTTPError as error: print(error.code, error.read().decode().strip())\n"
    )
    urls = [*servers(drill).values()]
    done = subprocess.run(
        ["/usr/bin/env", "python3", "-I", "-c", code, *urls],
        user=NOBODY,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
    )
    if "Permission denied" in done.stderr or done.returncode == 127:
        pytest.skip("no python that others may run")
    assert done.stdout.splitlines() == ["403 this drill is another user's"] * len(urls), done.stderr


async def test_a_stranger_is_refused_once_and_for_the_whole_connection() -> None:
    asked = []

    def stranger(transport: object) -> int:
        asked.append(transport)
        return 12345

    app = web.Application()

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="in")

    app.router.add_get("/", answer)
    runner = web.AppRunner(Door(stranger).guard(app))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runner.addresses[0][1]}", trust_env=False) as client:
            for _ in range(3):
                assert (await client.get("/")).status_code == 403
    finally:
        await runner.cleanup()
    assert len(asked) == 1


def test_tokens_of_the_api_server_are_of_this_drill_alone(drill: DrillThread) -> None:
    url = f"{drill.drill.kubernetes}/api/v1/namespaces/m0-prod/pods"

    def status(token: str) -> int:
        return httpx.get(url, headers={"Authorization": f"Bearer {token}"}, verify=False, trust_env=False).status_code

    assert (status("admin"), status("viewer")) == (401, 401)
    assert (status(drill.drill.tokens["admin"]), status(drill.drill.tokens["viewer"])) == (200, 200)
    assert len(set(drill.drill.tokens.values())) == 2 and min(map(len, drill.drill.tokens.values())) >= 24


async def test_the_kernel_tells_whose_a_connection_is() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells")
    from cockpit.drill.door import peer_uid

    owners = []

    async def answer(request: web.Request) -> web.StreamResponse:
        owners.append(peer_uid(request.transport))
        return web.Response(text="ok")

    async with serving(ApiDouble()) as api:
        api.on("", answer)
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(f"{api.url}/x")
    assert owners == [os.getuid()]
