"""Evidence before the first change of a SEV0, taken by itself from a whole drill: what runbook 2
asks for is in it.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cockpit.config import load_settings
from cockpit.drill.server import DrillThread
from cockpit.session import Session
from cockpit.sources.solana.settings import SOLANA
from tests.support.readings import data_of, kept
from tests.support.waiting import wait_for


# a search of 14 s by the clock, in one process with its world: not beside other tests
@pytest.mark.long
def test_the_chains_parts_are_in_it_and_the_kill_switch_did_not_wait(tmp_path: Path) -> None:
    with DrillThread("wrong-signer-set", speed=2.0, history_s=600.0) as drill:
        found = load_settings(config=drill.config, env={})
        quick = msgspec.structs.replace(found.of(SOLANA), interval=0.5)
        session = Session(replace(found, state_dir=tmp_path / "state").having(SOLANA, quick))
        session.start()
        try:
            wait_for(session.ready.is_set)
            assert session.trouble is None
            wanted = {"program", "markets", "protocol", "signer-set"}
            wait_for(
                lambda: (s := session.situation) and wanted <= {t for t, r in s.solana.items() if kept(r) is not None}
            )
            wait_for(lambda: (s := session.situation) and data_of(s.solana["program"]).recent_failed)
            session.incident.do("open", {"title": "bad signatures", "severity": "SEV0"})
            runbook, step = session.runbooks.step("13", "13.step.1")
            plan = session.mitigations.plan(runbook, step, {}).result(20)
            session.mitigations.confirm(plan, plan.typed).result(20)
            assert session.journal is not None
            records = session.journal.records
            evidence = wait_for(lambda: next((r for r in records() if r["kind"] == "evidence"), None))
        finally:
            session.close(10.0)
    order = [r["kind"] for r in records()]
    assert order.index("intent") < order.index("evidence")  # beside the sending, never before it
    assert evidence["reason"].startswith("before the first change")
    parts: dict[str, Any] = {}
    with tarfile.open(tmp_path / "state" / "evidence" / evidence["file"]) as tar:
        for member in tar.getmembers():
            content = tar.extractfile(member)
            assert content is not None
            parts[member.name] = content.read()
    failed = json.loads(parts["failed-transactions.json"])
    assert failed["recent"][0]["name"] == "SignatureVerificationFailed"
    assert set(failed["signatures"]) >= {one["signature"] for one in failed["recent"]}
    signers = json.loads(parts["signer-set.json"])
    assert (signers["signer_set_id"], len(signers["pubkeys"])) == (100, 7)
    accounts = json.loads(parts["chain-accounts.json"])
    assert len(accounts["markets"]["data"]) == 8 and accounts["protocol"]["data"]["authority"]
    assert json.loads(parts["commits.json"])["waiting_for_reveal"][0]["commit_hash"]
    assert b"# trace ids" in parts["logs/m0-submitter.log"] and b"# trace ids" in parts["logs/m0-signer-agent.log"]
    bundle = json.loads(parts["bundle.json"])  # revealed before this cockpit started: looked up on the chain
    assert len(bundle["bundle_content_hash"]) == 64, bundle
