"""A read-only cockpit sends GETs and access reviews, whatever is planned or struck."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from cockpit.config import load_settings
from cockpit.drill.server import DrillThread
from cockpit.errors import CockpitError
from cockpit.session import Session
from cockpit.settings import Settings
from panels import keys
from tests.support.api_proxy import ApiProxy, proxied
from tests.support.terminals.screen import screen

ALLOWED = {("POST", f"/apis/authorization.k8s.io/v1/selfsubject{kind}reviews") for kind in ("access", "rules")}


@pytest.fixture(scope="module")
def drill() -> Iterator[DrillThread]:
    with DrillThread("rpc-outage", history_s=600.0) as running:
        yield running


@pytest.fixture
def watched(drill: DrillThread, tmp_path: Path) -> Iterator[tuple[ApiProxy, Settings]]:
    """Settings of a read-only cockpit whose way to the API server is a proxy."""
    found = load_settings(config=drill.config, env={})
    config = json.loads(Path(str(found.kubeconfig)).read_text())
    with proxied(config["clusters"][0]["cluster"]["server"]) as proxy:
        config["clusters"][0]["cluster"] = {"server": proxy.url}
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        yield proxy, replace(found, kubeconfig=str(kubeconfig), state_dir=tmp_path / "state", read_only=True)


def others(proxy: ApiProxy) -> set[tuple[str, str]]:
    return {(p.method, p.path) for p in proxy.exchanges if p.method != "GET"} - ALLOWED


def test_no_step_of_the_runbooks_sends_anything(watched: tuple[ApiProxy, Settings]) -> None:
    """S5: `--read-only run 5 reconcile` sent `POST …/jobs?dryRun=All`."""
    proxy, settings = watched
    session, planned = Session(settings), 0
    session.start()
    try:
        assert session.ready.wait(30)
        for runbook in session.runbooks.runbooks:
            for step in runbook.mitigations:
                given = {p.name: str(p.default or (p.choices or ("4",))[0]) for p in step.params}
                with suppress(CockpitError, NotInTime):
                    session.mitigations.plan(runbook, step, given).result(20)
                    planned += 1
    finally:
        session.close()
    assert planned >= 10
    assert any(p.path.startswith("/apis/apps") for p in proxy.exchanges)
    assert others(proxy) == set()


async def test_no_key_sends_anything(watched: tuple[ApiProxy, Settings]) -> None:
    """S5: every key of the app, and what a dialog that it opens takes."""
    proxy, settings = watched
    async with screen(settings, (120, 40)) as cockpit:
        await cockpit.until(cockpit.app.session.ready.is_set)
        await cockpit.wait("m0-submitter")
        struck = [key for binding in keys.APP for key in binding.key.split(",")]
        for key in struck:
            if key in ("q", "ctrl+q", "ctrl+z", "ctrl+c"):
                continue
            cockpit.burst(key)
            await cockpit.settled()
            for then in ("enter", "y", "escape", "escape"):
                cockpit.burst(then)
                await cockpit.settled()
    assert others(proxy) == set()
