"""Two incidents by keys alone, in a real terminal: from symptom to proof, and back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from cockpit.incident.journal import Journal

pytestmark = pytest.mark.real

#: Simulated seconds a second: two-minute windows pass in 15 s; what the cockpit measures itself stays in real seconds.
SPEED = "8"


def journal_of(pane) -> list[dict]:  # type: ignore[no-untyped-def]
    journal = Journal.open(next(pane.state.rglob("journal.jsonl")))
    try:
        assert journal.verify() == []
        return list(journal.records())
    finally:
        journal.close()


def to_page(pane, title: str) -> None:  # type: ignore[no-untyped-def]
    """Open the runbooks; the best match is already open."""
    pane.keys("r")
    pane.wait(title)


def test_runbook_1_the_rpc_endpoint_fails(terminal: Callable[..., object]) -> None:
    """160×48. Symptoms → runbook 1 ranks first → switch to the healthy endpoint → proof passes → the change is undone."""
    pane = terminal(160, 48)
    pane.run("drill", "rpc-outage", "--speed", SPEED)
    pane.wait(r"MATCH\s+1 Publishing stops\s+3 of 3 symptoms")
    pane.wait(r"it stops at: commit")
    to_page(pane, r"▸ 3/3 +1 Publishing stops")
    pane.wait(r"likeliest +RPC endpoint fails or is slow")
    pane.keys("n")
    pane.wait(r"▸ ▶ A +Switch RPC endpoint")

    pane.keys("Enter")
    pane.wait(r"▸ http://127\.0\.0\.1:\d+/\*\*\*")
    pane.keys("Down", "Enter")
    shown = pane.wait(r"y do it")
    assert "PRODUCTION" in shown
    assert "KEYLIKE" not in shown, "the endpoint's key is on screen"
    pane.keys("Enter")
    pane.wait(r"y do it", absent=True)  # Enter cancels, never accepts
    assert [r for r in journal_of_or_none(pane) if r["kind"] == "intent"] == []

    pane.keys("Enter")
    pane.wait(r"▸ http://127\.0\.0\.1:\d+/\*\*\*")
    pane.keys("Down", "Enter")
    pane.wait(r"y do it")
    pane.keys("y")
    pane.wait(r"VERIFYING +rolled out: 1 of 1 pods", 60)
    pane.wait(r"DONE.*PASS|PASS.*DONE|✓ PASS", 120)
    pane.keys("Escape")
    pane.wait(r"DONE|PASS")
    pane.keys("Escape")
    pane.wait(r"no runbook matches|MATCH\s+(?!1 )", 60)

    pane.keys("u")
    pane.wait(r"y do it|type m0-submitter", 20)
    pane.keys("y")
    pane.wait(r"VERIFYING|ROLLING OUT|DONE", 60)
    records = journal_of(pane)
    intents = [r for r in records if r["kind"] == "intent"]
    assert len(intents) == 2
    assert "KEYLIKE" not in json.dumps(records)


def journal_of_or_none(pane) -> list[dict]:  # type: ignore[no-untyped-def]
    return journal_of(pane) if list(pane.state.rglob("journal.jsonl")) else []


def test_runbook_6_the_ingestors_are_saturated(terminal: Callable[..., object]) -> None:
    """80×24. Symptoms → runbook 6 ranks first → scale the ingestors → lag drains → proof passes."""
    pane = terminal(80, 24)
    pane.run("drill", "ingest-backlog", "--speed", SPEED)
    pane.wait(r"MATCH\s+6 Data ingestion lag.*3 of 3")
    pane.wait(r"it stops at +ingest")
    pane.keys("4")
    pane.wait(r"4 Watermark")
    to_page(pane, r"RUNBOOKS[\s\S]*6 Data ingestion lag")
    pane.keys("n")
    pane.wait(r"▸ ▶ 1 +Scale ingestor")
    pane.keys("Enter")
    pane.wait(r"\b8\b")
    pane.keys("Enter")
    pane.wait(r"y do it")
    pane.keys("y")
    pane.wait(r"VERIFYING|DONE", 60)
    pane.wait(r"✓ PASS|DONE", 150)
    records = journal_of(pane)
    assert [r["kind"] for r in records if r["kind"] in ("intent", "outcome")] == ["intent", "outcome"]


def test_headless_run_is_the_same_mitigation(need: Callable[[str], str], tmp_path) -> None:  # type: ignore[no-untyped-def]
    """`m0-cockpit run` plans, refuses without consent, dry-runs, carries out and is undone, on the drill."""
    world = subprocess.Popen(
        [sys.executable, "-m", "cockpit.cli", "drill", "--serve", "--scenario", "calm"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert world.stdout is not None
    try:
        where = json.loads(world.stdout.readline())

        def cockpit(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "cockpit.cli", "--config", where["config"], *arguments]
            return subprocess.run(
                command, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL, check=False
            )

        step = ("run", "6", "6.mitigation.1", "--param", "replicas=6")
        dry = cockpit(*step, "--dry-run", "--json")
        assert dry.returncode == 0, dry.stderr
        assert json.loads(dry.stdout)["dry_run"]["state"] == "ok"
        refused = cockpit(*step)
        assert refused.returncode == 2
        assert "nothing was sent" in refused.stdout
        done = cockpit(*step, "--yes", "--no-wait", "--json")
        assert json.loads(done.stdout)["journal"] == 1, done.stderr
        assert cockpit("journal", "verify").returncode == 0
        undone = cockpit("journal", "undo", "1", "--yes", "--json")
        told = json.loads(undone.stdout)
        assert told["changes"] == [{"field": "replicas", "before": "6", "after": "4"}]
        assert cockpit("run", "6", "nope").returncode == 70
        read_only = cockpit("--read-only", *step, "--yes")
        assert read_only.returncode == 2
    finally:
        world.terminate()
        world.wait(10)
