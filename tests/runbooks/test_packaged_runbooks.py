"""The shipped runbooks.toml: whole, right, and quick to load."""

from __future__ import annotations

import collections
import subprocess
import sys
import tomllib
from typing import Any

import pytest

from cockpit.model.runbook import Runbooks
from cockpit.runbooks.schema import check, describe, load, packaged_text
from cockpit.sources.prometheus.queries import query_specs

#: The entries of the operational runbooks, each part with its last number.
PARTS = """
q.service:8 q.toggle:8 1.symptom:3 1.triage:4 1.validation:3 2.symptom:3 2.immediate:2 2.cause:4
2.mitigation:3 2.validation:2 3.symptom:3 3.triage:3 3.mitigation:4 3.validation:2 4.symptom:2 4.cause:4
4.mitigation:4 4.validation:2 5.symptom:3 5.cause:3 5.mitigation:3 5.validation:2 6.symptom:3 6.triage:4
6.mitigation:4 6.validation:2 7.symptom:3 7.triage:3 7.mitigation:3 7.validation:2 8.symptom:3 8.triage:3
8.mitigation:4 8.validation:2 9.symptom:2 9.triage:3 9.mitigation:4 9.validation:2 10.symptom:3 10.triage:3
10.mitigation:4 10.validation:2 11.when:3 11.step:4 12.when:3 12.step:3 13.when:3 13.step:3 14.verify:3
14.restore:4 15.weekly:5 15.monthly:3 16.deploy:5 16.incident:5
"""
LETTERED = {"1.mitigation.A", "1.mitigation.B", "1.mitigation.C1", "1.mitigation.C2", "2.severity"}
NEEDED_SIGNALS = [
    "output-age",
    "publish-success",
    "commit-rate",
    "reveal-rate",
    "signer-p95",
    "signer-misses",
    "rpc-errors",
    "rpc-confirm",
    "guardrail-blocks",
    "invalid-signatures",
    "invalid-bundles",
    "replay-violations",
    "watermark-lag",
    "coverage",
    "eventlog-backlog",
    "connector-errors",
    "rate-limited",
    "ingest-saturation",
    "api-5xx",
    "api-latency",
    "submitter-ready",
    "signer-ready",
    "ingestor-ready",
    "pods-unready",
    "epoch-progress",
]
IDS = [
    "publishing-stops",
    "invalid-signatures",
    "signer-threshold",
    "reveal-fails",
    "replay-protection",
    "watermark-lag",
    "divergence",
    "model-drift",
    "api-errors",
    "postgres-saturation",
    "rollback-release",
    "pause-markets",
    "emergency-disable",
    "backup-restore",
    "routine-maintenance",
    "checklists",
]


@pytest.fixture(scope="module")
def runbooks() -> Runbooks:
    return load()


def _items(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value[key] for key in ("item", "severity-item") if key in value]
        return own + [item for each in value.values() for item in _items(each)]
    return [item for each in value for item in _items(each)] if isinstance(value, list) else []


def test_the_packaged_file_has_no_problem() -> None:
    runbooks, problems = check(packaged_text(), "runbooks.toml")
    assert [str(problem) for problem in problems] == []
    assert runbooks is not None


def test_every_one_of_the_183_items_is_there_once() -> None:
    items = _items(tomllib.loads(packaged_text()))
    counted = collections.Counter(items)
    assert [item for item, times in counted.items() if times > 1] == []
    parts = [part.rpartition(":") for part in PARTS.split()]
    wanted = {f"{name}.{number}" for name, _, last in parts for number in range(1, int(last) + 1)} | LETTERED
    assert set(items) == wanted
    assert len(items) == 183


def test_the_sixteen_runbooks_are_in_the_documents_order(runbooks: Runbooks) -> None:
    assert [runbook.id for runbook in runbooks.runbooks] == IDS
    assert [runbook.number for runbook in runbooks.runbooks] == list(range(1, 17))


def test_every_signal_that_panels_rely_on_is_defined_and_asked_for(runbooks: Runbooks) -> None:
    assert set(NEEDED_SIGNALS) <= set(runbooks.signals)
    specs = query_specs(runbooks)
    assert specs["signals/commit-rate"][1] == 3600.0
    assert specs["queries/lag-by-connector"] == (
        "max by (connector) (m0_watermark_lag_ms) / 1000",
        900.0,
        30.0,
    )
    assert "signals/submitter-ready" not in specs


def test_stages_follow_the_pipeline(runbooks: Runbooks) -> None:
    assert [stage.name for stage in runbooks.stages] == [
        "ingest",
        "aggregate",
        "quant",
        "sign",
        "commit",
        "reveal",
        "serve",
    ]


def test_steps_are_found_by_id_and_by_item(runbooks: Runbooks) -> None:
    assert runbooks.step("13", "13.step.1")[1].replicas == 0
    assert runbooks.step("emergency-disable", "stop-publishing")[1].dangerous
    assert runbooks.step("6", "scale-ingestors")[1].params[0].default == 8
    assert runbooks.step("1", "1.mitigation.A")[1].env == {"SOLANA_RPC_URL": "{url}"}


def test_what_can_undo_safety_is_dangerous_and_stays_as_debt(runbooks: Runbooks) -> None:
    relax = runbooks.step("1", "relax-guardrail")[1]
    assert relax.dangerous and relax.relaxes
    for runbook in runbooks.runbooks:
        for step in runbook.mitigations:
            if step.kind == "scale" and step.service == "m0-submitter" and step.replicas == 0:
                assert step.dangerous, step.id
            if step.kind in ("set-image", "undo-rollout", "sql"):
                assert step.dangerous, step.id


def test_every_runbook_can_be_described_in_plain_text(runbooks: Runbooks) -> None:
    for runbook in runbooks.runbooks:
        text = describe(runbook)
        assert text.startswith(f"{runbook.number} {runbook.title}")
        assert all(step.id in text for step in runbook.mitigations)


def test_loading_brings_in_neither_promql_nor_the_syntax_tree() -> None:
    code = (
        "import sys; from cockpit.runbooks.schema import load; load();"
        "print([m for m in ('promql_parser', 'tree_sitter', 'httpx', 'textual') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_paused_market_is_read_back_and_can_be_unpaused_from_every_runbook_that_pauses_one(
    runbooks: Runbooks,
) -> None:
    for number, pause, unpause in (
        ("7", "pause-markets", "unpause-market"),
        ("8", "pause-markets", "unpause-market"),
        ("12", "pause", "unpause"),
    ):
        step, back = runbooks.step(number, pause)[1], runbooks.step(number, unpause)[1]
        assert (step.args["becomes"], step.args["undo"]) == ("paused", unpause)
        assert (back.args["becomes"], back.args["undo"], "publish" in back.args["enables"]) == ("active", pause, True)
        assert runbooks.step(number, step.args["reads"])[1].argv[:3] == ("m0-cli", "market", "get")
