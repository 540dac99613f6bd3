"""What 0.1.0 wrote, and what was written for it, opens, verifies and can be taken back.

`tests/fixtures/0.1.0` holds a journal that its executor and incident room wrote against the drill's
API, what `journal show` and `incident show 1 --json` said of it, and a configuration and a runbooks
file that use every table, name and kind of that version.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit import cli
from cockpit.config import load_settings
from cockpit.journal.journal import Journal
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import Phase, Plan, Proof, Request
from cockpit.runbooks import schema
from cockpit.sources.probes.settings import PROBES
from cockpit.sources.prometheus.settings import PROMETHEUS
from cockpit.sources.registry import configured
from cockpit.sources.solana.settings import RPC_ENDPOINTS
from panels import keys
from tests.support.kube_rig import DIGEST, NAMESPACE, OTHER_URL, SECRET_URL, Rig, carry, ended, step
from tests.support.kube_rig import plan as plan_step
from tests.support.kube_rig import rig as make_rig

FIXTURES = Path(__file__).parent / "fixtures" / "0.1.0"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a state directory with the journal of 0.1.0, found by the commands too."""
    directory = tmp_path / "state"
    directory.mkdir()
    for name in ("journal.jsonl", "journal.jsonl.head"):
        shutil.copy(FIXTURES / name, directory)
    monkeypatch.setenv("M0_COCKPIT_STATE_DIR", str(directory))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    return directory


def test_its_journal_is_intact_and_shown_as_before(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["journal", "verify"]) == 0
    assert "38 records" in capsys.readouterr().out
    assert cli.main(["journal", "show"]) == 0
    assert capsys.readouterr().out == (FIXTURES / "journal-show.txt").read_text("utf-8")


def test_its_incidents_are_reported_as_before(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["incident", "show", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((FIXTURES / "incident-show-1.json").read_text("utf-8"))
    assert cli.main(["incident", "list"]) == 0
    assert "Stale candles" in capsys.readouterr().out


def test_its_journal_is_gone_on_with(state: Path) -> None:
    journal = Journal.open(state / "journal.jsonl")
    try:
        journal.append({"kind": "note", "words": "a later version writes on"})
        assert journal.verify() == [] and len(journal.records()) == 39
    finally:
        journal.close()


def test_its_configuration_loads_whole() -> None:
    raw = tomllib.loads((FIXTURES / "config.toml").read_text("utf-8"))
    settings = load_settings(config=str(FIXTURES / "config.toml"), env={})
    assert configured(settings) == {"kubernetes", "prometheus", "solana", "postgres", "probes"}
    assert settings.of(PROMETHEUS).direct == raw["prometheus"]["direct"]
    assert settings.of(RPC_ENDPOINTS)[0].ws_url == raw["rpc-endpoints"][0]["ws_url"]
    assert settings.network_cli is not None and settings.network_cli.argv == tuple(raw["network-cli"]["argv"])
    assert settings.of(PROBES).output.as_of == "/as_of" and settings.webhook.format == "slack"
    assert settings.maintenance.canary_markets == ("NBA_LAL_BOS",) and settings.links.dashboard is not None


def test_every_key_that_it_could_name_has_the_name_still() -> None:
    named = tomllib.loads((FIXTURES / "config.toml").read_text("utf-8"))["keys"]
    assert load_settings(config=str(FIXTURES / "config.toml"), env={}).keys == named
    assert set(named) <= {binding.id for binding in keys.APP}


def test_its_own_runbooks_are_accepted() -> None:
    runbooks, problems = schema.check((FIXTURES / "runbooks.toml").read_text("utf-8"), "runbooks.toml")
    assert problems == [] and runbooks is not None
    kinds = {one.kind for one in runbooks.runbook("own-runbook").mitigations}
    assert {"scale", "set-env", "undo-rollout", "set-config", "run-job", "command", "sql", "sequence"} <= kinds


# --- undo -----------------------------------------------------------------------------------------


@pytest.fixture
def rig(tmp_path: Path, state: Path) -> Iterator[Rig]:
    """Serve the cluster of the journal as before its steps; its objects have the same UIDs."""
    with make_rig(tmp_path) as made:
        for record in Journal.open(made.journal_path).records():
            target = record.get("target", {})
            if target.get("kind") == "Deployment":
                assert made.obj(target["name"])["metadata"]["uid"] == target["uid"], "the rig's world begins otherwise"
        yield made


def redone(rig: Rig, *steps: Any) -> None:
    """Bring the cluster to where the steps of the journal left it, by a cockpit beside."""
    beside = rig.executor(journal=Journal.open(rig.directory / "beside" / "journal.jsonl"))
    for one in steps:
        made = plan_step(beside, one)
        carry(beside, made)
        assert ended(beside, made).phase is Phase.DONE


def undone(rig: Rig, number: int) -> Plan:
    executor = rig.executor()
    made = executor.plan_undo(number).result(20)
    carry(executor, made)
    final = ended(executor, made)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.NONE), final.words
    assert rig.journal.verify() == []
    (entry,) = [line for line in executor.journal_lines if line.number == number]
    assert "undone by 8" in entry.outcome
    return made


def test_its_scale_is_taken_back(rig: Rig) -> None:
    redone(rig, step("scale", "m0-ingestor", replicas=6))
    made = undone(rig, 3)
    assert isinstance(made.request, Request) and made.request.path.endswith("/deployments/m0-ingestor/scale")
    assert [(c.before, c.after) for c in made.changes] == [("6", "4")]
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == 4


def test_its_hidden_value_comes_back_from_the_replicaset(rig: Rig) -> None:
    redone(rig, step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": OTHER_URL}))
    made = undone(rig, 1)
    (container,) = rig.obj("m0-submitter")["spec"]["template"]["spec"]["containers"]
    assert {"name": "SOLANA_RPC_URL", "value": SECRET_URL} in container["env"]
    assert SECRET_URL not in json.dumps([repr(change) for change in made.changes])


def test_its_undo_is_taken_back_for_a_dangerous_step(rig: Rig) -> None:
    made = rig.executor().plan_undo(5).result(20)
    assert made.dangerous and made.typed and [(c.before, c.after) for c in made.changes] == [("true", "false")]


def test_its_image_and_its_configuration_are_taken_back(rig: Rig) -> None:
    arguments = {"configmap": "m0-engine-config", "key": "M0_EXPECTED_SOURCES", "value": "3"}
    redone(rig, step("set-image", "m0-quant", image=DIGEST), step("set-config", "", args=arguments))
    executor = rig.executor()
    image = executor.plan_undo(7).result(20)
    assert [(c.field, c.after) for c in image.changes] == [("image", "ghcr.io/m0club/m0-quant:v1")]
    config = executor.plan_undo(6).result(20)
    assert [(c.before, c.after) for c in config.changes] == [("3", "4")]
    assert isinstance(config.request, Request) and NAMESPACE in config.request.path


def test_what_it_could_not_take_back_still_cannot_be(rig: Rig) -> None:
    executor = rig.executor()
    for number, words in ((2, "undone already, by step 5"), (4, "has no inverse"), (8, "has no step 8")):
        with pytest.raises(PlanProblem, match=words):
            executor.plan_undo(number).result(20)
