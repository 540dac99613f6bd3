"""What only looks: no yes is asked, nothing is sent, and the answer is in the journal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from solders.keypair import Keypair

from cockpit.incident import actions
from cockpit.incident.checklist import checklist
from cockpit.incident.report.markdown import report
from cockpit.incident.report.timeline import timeline
from cockpit.journal.entries import entries_of
from cockpit.journal.incidents import open_incident
from cockpit.journal.journal import Journal
from cockpit.mitigation.context import Backends
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.observed.chain import MarketState, SignerSetState
from cockpit.model.plan import LocalCheck, Phase, Plan, Progress, Proof
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Step
from cockpit.model.signal import Level
from cockpit.oracle.bundle import content_hash, signed_message
from cockpit.runbooks.schema import load
from tests.support.kube_rig import OPERATOR, Rig, carry, ended, plan, status, yes
from tests.support.waiting import wait_for

KEYS = [Keypair.from_seed(bytes([n]) * 32) for n in range(1, 4)]
CHECK = Step(id="look", title="Look", kind="check", signals=("rpc-errors", "commit-rate"))


def bundle(path: Path, signers: int = 2, **changes: object) -> Path:
    payload = b'{"m":"NBA","p":0.5}'
    digest = content_hash(payload)
    message = signed_message(digest, 100, 7, 42)
    table = {
        "payload": {"m": "NBA", "p": 0.5},
        "bundle_content_hash": digest.hex(),
        "signer_set_id": 100,
        "publish_epoch_id": 7,
        "sequence": 42,
        "market": "NBA",
        "signatures": [{"pubkey": str(k.pubkey()), "signature": str(k.sign_message(message))} for k in KEYS[:signers]],
    }
    path.write_text(json.dumps({**table, **changes}))
    return path


def verify(path: Path, **args: str) -> Step:
    return Step(id="verify", title="Verify", kind="verify-signatures", args={"bundle": str(path), **args})


def on_chain(rig: Rig, sequence: int = 42, market: str = "NBA", epoch: int = 7, fault: Fault | None = None) -> None:
    state = SignerSetState(
        address="addr",
        signer_set_id=100,
        threshold=2,
        pubkeys=tuple(str(k.pubkey()) for k in KEYS),
        active=True,
        created_at_slot=1,
        slot=2,
    )
    markets = {
        "m": MarketState(
            address="m", market_id=market, domain="Sports", active=True, current_epoch_id=epoch, last_sequence=sequence
        )
    }
    rig.solana = {
        "signer-set": Reading("solana/signer-set", state, rig.clock.mono(), max_age_s=600.0, fault=fault),
        "markets": Reading("solana/markets", markets, rig.clock.mono(), max_age_s=600.0),
    }


@pytest.fixture(autouse=True)
def well(rig: Rig) -> None:
    """Commits are well from the start."""
    rig.signals["commit-rate"] = status("commit-rate", Level.OK, 2.0)


def check(rig: Rig, step: Step) -> tuple[Plan, Progress]:
    made = plan(rig.executor(), step)
    assert isinstance(made.request, LocalCheck)
    assert made.harmless
    assert made.typed is None
    carry(rig.executors[-1], made)
    return made, ended(rig.executors[-1], made)


def test_a_check_says_what_holds_and_journals_it(rig: Rig) -> None:
    _, final = check(rig, CHECK)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.PASS)
    rig.signals["commit-rate"] = status("commit-rate", Level.CRIT, 3.0, reason="3 /min: crit down to 40")
    _, final = check(rig, CHECK)
    assert final.proof is Proof.FAIL
    assert "commit-rate crit (3 /min: crit down to 40)" in final.words
    del rig.signals["commit-rate"]
    _, final = check(rig, CHECK)
    assert final.proof is Proof.UNKNOWN  # what is not known is not ok
    proofs = [e.proof["proof"] for e in entries_of(rig.journal.records()).values() if e.proof is not None]
    assert proofs == ["pass", "fail", "unknown"]


def test_the_record_never_says_that_a_check_was_sent(rig: Rig) -> None:
    """In the journal panel, the timeline, the report and the checklist."""
    rig.signals["commit-rate"] = status("commit-rate", Level.CRIT, 3.0, reason="3 /min: crit down to 40")
    record = Journal.open(rig.journal_path)
    actions.open_(record, OPERATOR, title="t", severity="SEV1")
    check(rig, CHECK)
    entry = entries_of(record.records())[1]
    assert entry.words == "looked: rpc-errors ok; commit-rate crit (3 /min: crit down to 40); answer fail"
    incident = open_incident(record.records())
    assert incident is not None
    words = [e.words for e in timeline(incident, record.records(), ()) if e.kind == "mitigation"]
    assert words == ["Look on look", "Look: answer FAIL: rpc-errors ok; commit-rate crit (3 /min: crit down to 40)"]
    runbooks = load()
    lines = checklist(incident, record.records(), rig.situation(), runbooks)
    assert {line.text: line.state for line in lines}["mitigation executed"] == "open"
    text = report(incident, record.records(), (), runbooks, lines, now=rig.clock.wall())
    assert "Harm" not in text and "ended as" not in text and "Answer: **FAIL**" in text


def test_it_asks_the_cluster_for_nothing_and_takes_no_lease(rig: Rig) -> None:
    check(rig, CHECK)
    assert not [s for s in rig.seen if s.method != "GET"]
    assert not [s for s in rig.seen if "leases" in s.path]


def test_it_works_read_only(rig: Rig) -> None:
    rig.read_only = True
    assert check(rig, CHECK)[1].proof is Proof.PASS


def test_a_good_bundle_by_the_set_on_the_chain(rig: Rig, tmp_path: Path) -> None:
    on_chain(rig)
    _, final = check(rig, verify(bundle(tmp_path / "b.json")))
    assert (final.phase, final.proof) == (Phase.DONE, Proof.PASS), final.words
    assert "valid: 2 signatures of signer set 100" in final.words
    outcome = entries_of(rig.journal.records())[1].outcome
    assert outcome is not None
    assert any("threshold" in line for line in outcome["output"])


def test_a_bad_one_fails_and_one_that_cannot_be_judged_is_unknown(rig: Rig, tmp_path: Path) -> None:
    on_chain(rig)
    assert check(rig, verify(bundle(tmp_path / "b.json", signers=1)))[1].proof is Proof.FAIL
    on_chain(rig, fault=Fault(SourceState.DOWN, "no endpoint answers"))
    _, final = check(rig, verify(bundle(tmp_path / "b.json")))
    assert final.proof is Proof.UNKNOWN
    assert "no endpoint answers" in final.words
    rig.solana = {}
    assert check(rig, verify(bundle(tmp_path / "b.json")))[1].proof is Proof.UNKNOWN


def test_epoch_and_sequence_are_compared_with_the_market_on_the_chain(rig: Rig, tmp_path: Path) -> None:
    on_chain(rig, sequence=50)
    _, final = check(rig, verify(bundle(tmp_path / "b.json")))
    assert final.proof is Proof.FAIL and "wrong sequence: 42 is below 50" in final.words
    on_chain(rig, market="OTHER")
    _, final = check(rig, verify(bundle(tmp_path / "b.json")))
    assert final.proof is Proof.UNKNOWN and "epoch and sequence not compared" in final.words
    on_chain(rig, market="OTHER")
    assert check(rig, verify(bundle(tmp_path / "b.json", market=None)))[1].proof is Proof.PASS  # it names none


@pytest.mark.parametrize(("epoch", "proof"), [(7, Proof.PASS), (6, Proof.FAIL)])
def test_a_bundle_newer_than_the_last_reading_of_its_market_waits_for_the_next(
    rig: Rig, tmp_path: Path, epoch: int, proof: Proof
) -> None:
    on_chain(rig, epoch=6, sequence=41)
    executor = rig.executor()
    made = plan(executor, verify(bundle(tmp_path / "b.json")))
    sent = executor.carry_out(made, yes(made))
    wait_for(lambda: executor.progress and "waiting for the next look" in executor.progress[0].words)
    assert not sent.done()
    on_chain(rig, epoch=epoch)
    sent.result(20)
    final = ended(executor, made)
    assert final.proof is proof, final.words
    assert proof is Proof.PASS or "wrong epoch: the bundle says 7, market NBA is in 6" in final.words


def test_a_signer_set_from_a_file(rig: Rig, tmp_path: Path) -> None:
    keys = tmp_path / "set.json"
    keys.write_text(json.dumps({"signer_set_id": 100, "threshold": 2, "pubkeys": [str(k.pubkey()) for k in KEYS]}))
    step = verify(bundle(tmp_path / "b.json"), **{"signer-set": str(keys)})
    assert check(rig, step)[1].proof is Proof.PASS


def test_a_file_that_changed_since_is_another(rig: Rig, tmp_path: Path) -> None:
    on_chain(rig)
    made = plan(rig.executor(), verify(bundle(tmp_path / "b.json")))
    bundle(tmp_path / "b.json", sequence=43)
    progress = carry(rig.executors[0], made)
    assert (progress.phase, "another one than was shown" in progress.words) == (Phase.STALE, True)


def test_what_is_no_bundle_says_where(rig: Rig, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    with pytest.raises(PlanProblem, match="cannot be read: No such file"):
        plan(rig.executor(), verify(path))
    path.write_text('{"payload": {}, "signatures": 3}')
    progress = carry(rig.executors[0], plan(rig.executors[0], verify(path)))
    assert (progress.phase, "signatures: expected a list" in progress.words) == (Phase.FAILED, True)


@dataclass
class Captured:
    path: Path
    missing: tuple[tuple[str, str], ...] = ()
    words: str = "evidence-1.tar: 9 parts"


def test_evidence_is_what_the_collector_gives(rig: Rig, tmp_path: Path) -> None:
    step = Step(id="capture", title="Capture evidence", kind="evidence")
    with pytest.raises(PlanProblem, match="nothing here can capture evidence"):
        plan(rig.executor(), step)
    asked: list[str] = []

    async def collect(reason: str) -> Captured:
        asked.append(reason)
        return Captured(tmp_path / "e.tar", (("logs", "denied"),) if len(asked) == 2 else ())

    rig.backends = Backends(evidence=collect)
    _, final = check(rig, step)
    assert (final.proof, final.words) == (Proof.NONE, "evidence-1.tar: 9 parts")
    assert check(rig, step)[1].proof is Proof.NONE  # a part is missing, and said; there was nothing to prove
    assert asked == ["Capture evidence"] * 2

    async def fail(reason: str) -> Captured:
        raise OSError("No space left on device")

    rig.backends = Backends(evidence=fail)
    made = plan(rig.executor(), step)
    progress = carry(rig.executors[-1], made)
    assert (progress.phase, "No space left" in progress.words) == (Phase.FAILED, True)
