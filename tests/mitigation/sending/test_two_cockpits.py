"""Two cockpits at once, as real processes on one cluster: who acts is told to the other, and no
journal is torn.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cockpit.drill.kubernetes.serving import write_kubeconfig
from cockpit.journal.entries import entries_of
from cockpit.journal.journal import Journal
from tests.support.kube_rig import Rig
from tests.support.kube_rig import rig as make_rig
from tests.support.waiting import wait_for

#: Its proof takes a minute: the signal that it looks at is bad, and stays so.
RUNBOOK = """
[signals.too-few]
title = "Ingestors, of a hundred"
value = "kubernetes.pods.m0-ingestor"
direction = "below"
crit = 100.0

[[runbook]]
id = "hold"
number = 99
title = "Hold the namespace"
validation = [{ text = "never well", signal = "too-few", expect = "ok", hold = 1.0, within = 60.0 }]

[[runbook.mitigations]]
id = "up"
title = "Scale"
kind = "scale"
service = "m0-ingestor"
replicas = "{n}"
params = [{ name = "n", type = "int" }]
"""
REFUSED, CHANGED = 2, 4


class Cockpits:
    def __init__(self, rig: Rig, directory: Path) -> None:
        self.rig, self.directory = rig, directory
        kubeconfig = write_kubeconfig(directory / "kubeconfig", rig.served)
        (directory / "books.toml").write_text(RUNBOOK)
        self.config = directory / "config.toml"
        self.config.write_text(
            f'kubeconfig = "{kubeconfig}"\nnamespace = "m0-prod"\nrunbooks = "{directory}/books.toml"\n'
        )

    def start(self, state: str, *arguments: str) -> subprocess.Popen[str]:
        env = {**os.environ, "M0_COCKPIT_STATE_DIR": str(self.directory / state), "HOME": str(self.directory)}
        command = [sys.executable, "-m", "cockpit.cli", "--config", str(self.config), "run", "99", "up", *arguments]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, state: str, *arguments: str) -> tuple[int, Any]:
        process = self.start(state, *arguments, "--json")
        out, err = process.communicate(timeout=60)
        assert out.strip(), err
        return process.returncode, json.loads(out)

    def records(self, state: str) -> tuple[dict[str, Any], ...]:
        journal = Journal.open(self.directory / state / "journal.jsonl")
        try:
            assert journal.verify() == []
            return journal.records()
        finally:
            journal.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """In real time: a lease is renewed by the cockpit's clock, and runs out by the cluster's."""
    with make_rig(tmp_path, speed=1.0) as made:
        yield made


@pytest.fixture
def cockpits(rig: Rig, tmp_path: Path) -> Cockpits:
    return Cockpits(rig, tmp_path)


def replicas(rig: Rig) -> int:
    return int(rig.obj("m0-ingestor")["spec"]["replicas"])


@pytest.mark.parametrize("other", ["one", "two"], ids=["one state directory", "two state directories"])
def test_the_second_reads_who_acts_and_goes_on_only_when_that_was_typed(
    cockpits: Cockpits, rig: Rig, other: str
) -> None:
    first = cockpits.start("one", "--param", "n=5", "--confirm", "m0-ingestor")
    try:
        wait_for(lambda: replicas(rig) == 5, 60)
        code, printed = cockpits.run(other, "--param", "n=6", "--yes")
        lease = next(g for g in printed["guards"] if g["guard"] == "lease")
        assert (code, lease["verdict"], replicas(rig)) == (REFUSED, "confirm", 5)
        assert lease["reason"].startswith("someone else is acting: ")
        assert "Scale on deployment m0-ingestor" in lease["reason"]
        assert first.poll() is None, "the first has ended: nobody acts any more"
        code, printed = cockpits.run(other, "--param", "n=6", "--confirm", "m0-ingestor", "--no-wait")
        assert replicas(rig) == 6, printed
    finally:
        first.terminate()
        first.communicate(timeout=60)
    entries = list(entries_of(cockpits.records(other)).values())
    assert "lease" in {o["guard"] for o in entries[-1].intent["overrides"]}
    assert len(entries) == (2 if other == "one" else 1)
    assert len(entries_of(cockpits.records("one"))) == (2 if other == "one" else 1)


def test_all_at_once_on_one_journal_send_what_they_journal_and_no_more(cockpits: Cockpits, rig: Rig) -> None:
    running = [
        cockpits.start("one", "--param", f"n={n}", "--confirm", "m0-ingestor", "--no-wait", "--json")
        for n in (5, 6, 7, 8)
    ]
    ended = [(process.communicate(timeout=120), process.returncode) for process in running]
    printed = [json.loads(out) for (out, _), _ in ended]
    records = cockpits.records("one")
    results = [e.outcome["result"] if e.outcome else None for e in entries_of(records).values()]
    assert set(results) <= {"sent", "stale"} and "sent" in results, results
    again = [r for r in records if r["kind"] == "note" and "sent again after a conflict" in r["words"]]
    assert len(rig.writes()) == len(results) + len(again)  # nothing left that the journal does not know
    for one in printed:  # whoever did not act says why: another did, or the target changed meanwhile
        assert one["phase"] in ("sent", "rolling out", "verifying", "done", "stale"), one
        if one["phase"] == "stale":
            assert "nothing was changed" in one["words"]
