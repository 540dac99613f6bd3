"""Steps that are no patch, by keys alone in a real terminal: a command that is typed for, and a
sequence part by part.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit.journal.journal import Journal

pytestmark = pytest.mark.real

RUNBOOK = """
[[runbook]]
id = "pause-markets"
number = 12
title = "Pausing markets"

[[runbook.mitigations]]
id = "pause"
title = "Pause one market now"
kind = "command"
argv = ["m0-cli", "market", "pause", "--market-id", "{market}", "--cluster", "{cluster}"]
args = { target = "{market}", kind = "market", reads = "state", expect = '"paused": *true', becomes = "paused" }
params = [{ name = "market", title = "market", choices-from = "markets", pattern = "[A-Z0-9_]+" }]
dangerous = true

[[runbook.mitigations]]
id = "state"
title = "Is it paused?"
kind = "command"
argv = ["m0-cli", "market", "get", "--market-id", "{market}", "--cluster", "{cluster}"]
params = [{ name = "market", title = "market", choices-from = "markets", pattern = "[A-Z0-9_]+" }]

[[runbook.mitigations]]
id = "stop-all"
title = "Stop the engine by parts"
kind = "sequence"
steps = ["asked", "stop-quant"]

[[runbook.mitigations]]
id = "asked"
title = "Asked first?"
kind = "manual"
question = "Does the incident commander agree?"
args = { answer = "yes-no" }

[[runbook.mitigations]]
id = "stop-quant"
title = "Stop the engine"
kind = "scale"
service = "m0-quant"
replicas = 0
"""


def test_a_command_and_a_sequence_by_keys(terminal: Callable[..., Any], tmp_path: Path) -> None:
    runbooks = tmp_path / "books.toml"
    runbooks.write_text(RUNBOOK)
    pane = terminal(160, 48)
    pane.run("drill", "calm", env={"M0_COCKPIT_RUNBOOKS": str(runbooks)})
    pane.wait(r"m0-quant +2/2")
    pane.wait(r"set 100 +threshold 5 of 7 +chain ✓")  # the chain and the metrics are read
    pane.wait(r"NBA_LAL_BOS +[\d.]+s")

    def choose(words: str) -> None:
        pane.keys(":")
        pane.wait("a step, runbook")
        pane.keys(words)
        pane.wait(rf"{words}\s*\n.*{words}|{words}.*12")
        pane.keys("Enter")

    choose("Pause one market now")
    pane.wait(r"▸ [A-Z0-9_]+ +active")
    pane.keys("Tab", "NBA_LAL_BOS", "Enter")
    shown = pane.wait(r"type NBA_LAL_BOS to go on")
    assert "not paused" in shown
    assert "market pause" in shown
    pane.keys("Enter")
    pane.wait(r"type NBA_LAL_BOS", absent=True)
    choose("Pause one market now")
    pane.wait(r"▸ [A-Z0-9_]+ +active")
    pane.keys("Tab", "NBA_LAL_BOS", "Enter")
    pane.wait(r"type NBA_LAL_BOS to go on")
    pane.keys("NBA_LAL_BOS")
    pane.wait(r"ctrl\+y does it")
    pane.keys("C-y")
    shown = pane.wait(r"DONE .*read back: done")
    pane.keys("Escape")
    pane.wait(r"DONE ", absent=True)

    choose("Stop the engine by parts")
    pane.wait(r"begins with part 1 of 2")
    pane.keys("n")
    pane.wait("Does the incident commander agree")
    pane.keys("yes, ops2", "Enter")
    pane.wait(r"goes on with part 2 of 2")
    pane.keys("n")
    pane.wait(r"part 2 of 2[\s\S]*y do it|type m0-quant")
    pane.keys("m0-quant" if "type m0-quant" in pane.screen() else "y")
    if "type m0-quant" in pane.screen():
        pane.wait(r"ctrl\+y does it")
        pane.keys("C-y")
    pane.wait(r"stopped: no pod is left")

    journal = Journal.open(next(pane.state.rglob("journal.jsonl")))
    try:
        assert journal.verify() == []
        records = journal.records()
    finally:
        journal.close()
    assert [r["step"] for r in records if r["kind"] == "intent"] == ["pause", "stop-quant"]
    (answer,) = [r for r in records if r.get("answer")]
    assert (answer["answer"], answer["words"]) == ("yes", "runbook pause-markets, asked: yes: ops2")
