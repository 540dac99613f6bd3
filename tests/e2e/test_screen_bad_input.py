"""Whatever is missing, wrong or forbidden: the screen says so in a line with a way on, and the rest
keeps working.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from cockpit.config import load_settings
from cockpit.drill.server import DrillThread
from cockpit.settings import Settings
from cockpit.sources.prometheus.settings import PROMETHEUS
from tests.support.terminals.full_disk import fill
from tests.support.terminals.screen import Screen, screen

#: The module's drill: its scenario, and how many seconds of history it begins with.
DRILL = ("calm", 600.0)


@pytest.fixture
def settings(drill: DrillThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    return replace(load_settings(config=drill.config, env={}), state_dir=tmp_path / "state")


def kubeconfig(drill: DrillThread, path: Path, *, server: str = "", token: str = "", authority: bytes = b"") -> str:
    import base64

    config = json.loads(Path(drill.kubeconfig).read_text())
    cluster = config["clusters"][0]["cluster"]
    if server:
        cluster["server"] = server
    if token:
        config["users"][0]["user"]["token"] = token
    if authority:
        cluster["certificate-authority-data"] = base64.b64encode(authority).decode()
    path.write_text(json.dumps(config))
    return str(path)


async def test_no_kubeconfig_leaves_prometheus_working_and_says_what_to_do(settings: Settings, tmp_path: Path) -> None:
    async with screen(replace(settings, kubeconfig=str(tmp_path / "none"), context=None)) as cockpit:
        await cockpit.wait(r"no kubeconfig at")
        await cockpit.wait(r"set KUBECONFIG or give")
        await cockpit.wait(r"commits/m +1\d\d")
        cockpit.burst("x")
        await cockpit.wait("choose a pod or a service")
        cockpit.burst("l", "u")
        await cockpit.wait(r"no kubeconfig at[\s\S]*Nothing was sent")


async def test_a_context_that_is_not_there_names_those_that_are(settings: Settings) -> None:
    async with screen(replace(settings, context="nope"), (80, 24)) as cockpit:
        await cockpit.wait(r'no context "nope" in')
        await cockpit.wait(r"there is: drill, drill-viewer")


async def test_an_unknown_namespace_beside_a_good_one(settings: Settings) -> None:
    """Several namespaces: the good one is shown, the other is said."""
    async with screen(replace(settings, namespaces=("m0-prod", "nope"))) as cockpit:
        await cockpit.wait(r'namespace "nope" does not exist')
        await cockpit.wait(r"give another with -n, or create it")
        await cockpit.wait(r"m0-submitter +1/1")
        assert "m0-prod,nope" in cockpit.text()


@pytest.mark.parametrize(
    ("change", "reason", "remedy"),
    [
        ({"server": "https://127.0.0.1:1"}, r"cannot reach 127\.0\.0\.1:1: Connection refused", "check network, VPN"),
        ({"token": "expired"}, r"UNAUTHORISED[\s\S]*credentials not accepted \(401\)", "log in again or renew"),
        ({"authority": trustme.CA().cert_pem.bytes()}, r"certificate of .* not trusted", "certificate-authority"),
        ({"authority": b"nonsense"}, r"bad CA certificate in the kubeconfig", "replace certificate-authority"),
    ],
    ids=["unreachable", "expired-token", "wrong-authority", "broken-authority"],
)
async def test_a_cluster_that_cannot_be_used(
    settings: Settings, drill: DrillThread, tmp_path: Path, change: dict[str, str], reason: str, remedy: str
) -> None:
    path = kubeconfig(drill, tmp_path / "kubeconfig", **change)  # type: ignore[arg-type]
    async with screen(replace(settings, kubeconfig=path)) as cockpit:
        await cockpit.wait(reason)
        await cockpit.wait(remedy)
        await cockpit.wait(r"commits/m +1\d\d")


async def test_an_unreachable_prometheus(settings: Settings) -> None:
    from msgspec.structs import replace as changed

    gone = changed(settings.of(PROMETHEUS), url="http://127.0.0.1:1")
    async with screen(settings.having(PROMETHEUS, gone)) as cockpit:
        await cockpit.wait(r"prom ▲ DOWN")
        await cockpit.wait(r"cannot reach Prometheus at 127\.0\.0\.1:1")
        await cockpit.wait(r"m0-submitter +1/1")
        await cockpit.wait(r"\? unknown from ingest|stops at: ingest|UNKNOWN")


async def test_a_query_that_prometheus_rejects_is_unknown_alone(settings: Settings, tmp_path: Path) -> None:
    """Good PromQL that fails on the data: two series on one side of a match."""
    mine = tmp_path / "runbooks.toml"
    mine.write_text("[signals.rpc-errors]\npromql = 'm0_watermark_lag_ms * on() m0_watermark_lag_ms'\n")
    async with screen(replace(settings, runbooks=mine)) as cockpit:
        await cockpit.wait(r"commits/m +1\d\d")
        await cockpit.wait(r"\? UNKNOWN +rpc-errors")
        await cockpit.wait(r"prom .*STALE|prom .*queries failed")


async def test_a_broken_runbooks_file_is_said_and_the_packaged_one_used(settings: Settings, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[signals.watermark-lag]\nwarn = "high"\nbogus = 1\n')
    async with screen(replace(settings, runbooks=mine), (120, 30)) as cockpit:
        await cockpit.wait(r"the packaged runbooks are in force: 2 errors in /")
        await cockpit.wait(r"m0-submitter +1/1")


async def test_a_kind_that_is_forbidden_is_said_and_the_others_go_on(settings: Settings, drill: DrillThread) -> None:
    drill.call(lambda d: d.world.kube.chaos.forbidden.add("horizontalpodautoscalers"))
    try:
        async with screen(settings) as cockpit:
            await cockpit.wait(r"k8s ▲ DENIED")
            await cockpit.wait(r"m0-submitter +1/1")
    finally:
        drill.call(lambda d: d.world.kube.chaos.forbidden.clear())


async def test_who_may_only_read_gets_a_plan_that_says_so(settings: Settings) -> None:
    async with screen(replace(settings, context="drill-viewer")) as cockpit:
        await cockpit.wait(r"m0-submitter +1/1")
        cockpit.write(":scale ingestor")
        await cockpit.wait("Scale ingestor workers")
        cockpit.burst("enter")
        await cockpit.wait(r"\b8\b[\s\S]*enter next")
        cockpit.burst("enter")
        await cockpit.wait(r"you may not patch deployments/scale")
        cockpit.burst("y")
        await cockpit.settled()
        assert "sending" not in cockpit.text()


async def strike_kill_switch(cockpit: Screen) -> None:
    """Ask for it, type the name, and confirm."""
    cockpit.burst("K")
    await cockpit.wait(r"type m0-submitter to go on")
    await cockpit.settled()
    cockpit.write("m0-submitter")
    await cockpit.wait(r"ctrl\+y does it")
    cockpit.burst("ctrl+y")


async def test_a_journal_that_cannot_be_written_is_said_and_nothing_can_be_sent(
    settings: Settings, tmp_path: Path
) -> None:
    """Why is said before where, which a narrow screen cuts off."""
    (tmp_path / "state").write_text("a file where a directory should be")
    async with screen(settings, (80, 24)) as cockpit:
        await cockpit.wait(r"m0-submitter +1/1")
        await cockpit.wait(r"nothing can be sent: the state directory is a plain file: /")
        await cockpit.until(cockpit.app.session.ready.is_set)
        await strike_kill_switch(cockpit)
        await cockpit.wait(r"the state directory is a plain file[\s\S]*Nothing was sent")


async def test_a_full_disk_is_said_and_nothing_is_sent(
    settings: Settings, drill: DrillThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words of the system reach the operator."""
    async with screen(settings, (80, 24)) as cockpit:
        await cockpit.wait(r"m0-submitter +1/1")
        await cockpit.until(cockpit.app.session.ready.is_set)
        fill(cockpit.app.session.journal, monkeypatch)
        await strike_kill_switch(cockpit)
        await cockpit.wait(r"No space left on")
        await cockpit.wait(r"Nothing was sent|nothing was sent")
        assert drill.call(lambda d: d.world.kube.replicas("m0-submitter")) == 1


async def test_too_small_says_so_and_comes_back(settings: Settings) -> None:
    async with screen(settings, (60, 15)) as cockpit:
        await cockpit.wait("needs 80×24, this is 60×15")
        await cockpit.pilot.resize_terminal(80, 24)
        await cockpit.wait(r"m0-submitter +1/1")
        for width in range(40, 200, 7):  # a storm: somebody drags the window's corner
            await cockpit.pilot.resize_terminal(width, width // 3)
        await cockpit.pilot.resize_terminal(160, 48)
        await cockpit.wait(r"9 Journal[\s\S]*runbooks")
        cockpit.burst("r")
        await cockpit.wait("RUNBOOKS")
