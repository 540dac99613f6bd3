"""The drill's throw-away certificate stands up to a strict verifier, and to nobody else's name."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest

from cockpit.drill.clock import SimClock, parse_rfc3339, rfc3339
from cockpit.drill.kubernetes import KubernetesWorld, serve, write_kubeconfig


async def test_a_strict_client_trusts_it_for_loopback_only(tmp_path: Path) -> None:
    world = KubernetesWorld(SimClock(1_795_000_000.0), 7)
    async with serve(world) as served:
        strict = ssl.create_default_context(cadata=served.authority)
        strict.verify_flags |= ssl.VERIFY_X509_STRICT
        async with httpx.AsyncClient(verify=strict) as client:
            assert (await client.get(f"{served.url}/version")).json()["minor"] == "36"
            assert (await client.get(f"https://localhost:{served.port}/healthz")).text == "ok"
        async with httpx.AsyncClient() as stranger:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await stranger.get(f"{served.url}/version")
        path = write_kubeconfig(tmp_path / "kubeconfig", served)
        assert path.stat().st_mode & 0o777 == 0o600


def test_times_are_read_with_any_fraction() -> None:
    assert parse_rfc3339("2026-11-23T14:15:37.123456789Z") == pytest.approx(
        parse_rfc3339("2026-11-23T14:15:37Z") + 0.123456
    )
    assert rfc3339(parse_rfc3339("2026-11-23T16:15:37+02:00")) == "2026-11-23T14:15:37Z"
    with pytest.raises(ValueError, match="no time zone"):
        parse_rfc3339("2026-11-23T14:15:37")


def test_the_clock_does_not_go_back() -> None:
    clock = SimClock(100.0)
    clock.advance(2.5)
    assert (clock.now(), clock.wall(), clock.mono()) == (102.5, 102.5, 2.5)
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
