"""The cockpit gives none of its own secrets away, whatever a service answers (H5)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from cockpit.clock import SystemClock
from cockpit.config import load_settings, own_secrets
from cockpit.redaction.own import remember
from cockpit.settings import secrets_in
from cockpit.sources.probes.settings import OutputProbe, ProbesSettings
from cockpit.sources.probes.source import ProbesSource
from cockpit.sources.prometheus.address import address_of
from cockpit.sources.prometheus.settings import PrometheusSettings
from cockpit.text import HIDDEN, clean, redact, safe

KEY, HEADER = "k9Xw2LmQ7pRt4vBz", "open-Sesame-42"


@asynccontextmanager
async def echoing() -> AsyncIterator[str]:
    """A service that answers with what it was asked: address, headers, all of it."""

    async def echo(request: web.Request) -> web.Response:
        said = f"no such thing: {request.path_qs} {dict(request.headers)}"
        return web.Response(status=500, text=said, reason="bad key " + request.query.get("key", ""))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_probe_that_names_its_own_key_shows_none() -> None:
    """H5: keys in probe URLs and headers came back in answers onto the screen and into reports."""
    async with echoing() as url:
        settings = ProbesSettings(
            services={"m0-api-gateway": f"{url}/{KEY}"},
            signers={"agent-1": f"{url}/report?key={KEY}"},
            output=OutputProbe(url=f"{url}/{{market}}?key={KEY}", markets=("politics",), headers={"X-Key": HEADER}),
        )
        seen = []
        async for reading in ProbesSource(settings, SystemClock()).readings():
            seen.append(repr(reading))
            if len(seen) >= 6:
                break
    assert any("500" in each or "bad key" in each for each in seen)
    assert not [each for each in seen if KEY in each or HEADER in each]


def test_every_secret_of_the_configuration_is_known(tmp_path: Path) -> None:
    """H5: headers, tokens, passwords, keys in addresses, secrets in files of their own."""
    (tmp_path / "bearer").write_text("file-Bearer-77\n")
    config = tmp_path / "config.toml"
    config.write_text(
        f"""
[prometheus]
url = "https://m0:Prom-Pass-1@prometheus.example.com/p"
bearer-file = "{tmp_path / "bearer"}"
headers = {{ X-Scope = "scope-Secret-5" }}
direct = {{ m0-quant = "https://quant.example.com/metrics?token=direct-Token-6" }}
[probes]
services = {{ m0-api-gateway = "https://gw.example.com/{KEY}" }}
[probes.output]
url = "https://gw.example.com/v1/{{market}}?key=out-Key-8x"
headers = {{ Authorization = "Bearer {HEADER}" }}
[webhook]
url = "https://hooks.example.com/services/T1/{KEY[::-1]}"
headers = {{ X-Hook = "hook-Secret-9" }}
"""
    )
    found = set(own_secrets(load_settings(config=str(config), env={})))
    for secret in (
        "Prom-Pass-1",
        "scope-Secret-5",
        "direct-Token-6",
        KEY,
        "out-Key-8x",
        f"Bearer {HEADER}",
        "hook-Secret-9",
    ):
        assert secret in found, secret
    remember(found)
    for gate in (redact, safe, clean):
        for secret in (
            "Prom-Pass-1",
            "scope-Secret-5",
            "direct-Token-6",
            KEY,
            "out-Key-8x",
            "hook-Secret-9",
            KEY[::-1],
        ):
            assert secret not in gate(f"refused: {secret}, try again"), (gate, secret)


@pytest.mark.parametrize("word", ["postgres", "politics", "m0", "12345", "secret"])
def test_a_plain_word_is_not_hidden_everywhere(word: str) -> None:
    """A password that is a word of the network must not blind the screen."""
    remember([word])
    assert redact(f"pod m0-{word}-0 is ready") == f"pod m0-{word}-0 is ready"


def test_a_word_in_the_path_of_an_address_is_not_hidden_everywhere() -> None:
    address_of(PrometheusSettings(url="http://127.0.0.1:9090/m0-signer-agent-0", bearer="bearer-Secret-1"))
    remember(secrets_in(PrometheusSettings(direct={"m0-ingestor": "http://127.0.0.1:1/m0-ingestor/metrics"})))
    assert clean("m0-ingestor 4/4 m0-signer-agent-0") == "m0-ingestor 4/4 m0-signer-agent-0"
    assert clean("bearer-Secret-1") == HIDDEN


def test_its_encoded_spelling_is_hidden_too() -> None:
    remember(["p@ss/Word 9"])
    assert redact("asked /x?y=p%40ss%2FWord%209 there") == f"asked /x?y={HIDDEN} there"
