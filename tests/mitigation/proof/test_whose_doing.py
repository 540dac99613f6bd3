"""What a proof has seen must be this step's doing: on the drill's API server, with the journal."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from cockpit.drill.kubernetes import Behaviour
from cockpit.journal.entries import PUT_BACK, entries_of
from cockpit.journal.journal import Journal
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import Phase, Proof, Verdict
from cockpit.model.runbook import Validation
from cockpit.model.signal import Level
from tests.support.kube_rig import SECRET_URL, Rig, carry, ended, guard, plan, status, step
from tests.support.waiting import wait_for


def bad(rig: Rig, *, hold: float = 0.0) -> None:
    rig.signals["commit-rate"] = status("commit-rate", Level.CRIT, 3.0, reason="3 /min")
    runbook = rig.runbooks.runbooks[0]
    line = Validation(text="commits", signal="commit-rate", expect="ok", hold=hold, within=60.0)
    more = (
        step("restart", "m0-signer-agent", id="restart-signers"),
        step("set-env", "m0-quant", id="degrade", env={"M0_RISK_SCORE_FLOOR": "0.5"}, holds=True),
    )
    runbook = replace(runbook, validation=(line,), mitigations=(*runbook.mitigations, *more))
    rig.runbooks = replace(rig.runbooks, runbooks=(runbook,))


def good(rig: Rig) -> None:
    rig.signals["commit-rate"] = status("commit-rate", Level.OK, 118.0)


def put_back(rig: Rig) -> None:
    """A colleague sets the variable as it was."""
    container = {"name": "m0-submitter", "env": [{"name": "SOLANA_RPC_URL", "value": SECRET_URL}]}
    body = {"spec": {"template": {"spec": {"containers": [container]}}}}
    rig.kubectl("PATCH", "m0-submitter", body, kind="strategic-merge-patch")


def begun(rig: Rig, name: str) -> Any:
    """The step is sent and rolled out; its proof is watched."""
    runbook, one = rig.runbooks.step("1", name)
    made = plan(rig.executors[-1], one, runbook)
    carry(rig.executors[-1], made)
    wait_for(lambda: any(p.plan.id == made.id and p.phase is Phase.VERIFYING for p in rig.executors[-1].progress))
    return made


def test_two_steps_whose_windows_overlap_share_what_moved_and_say_so(rig: Rig) -> None:
    """U3: the first did nothing, the second cured; neither is proven, in line and journal."""
    bad(rig)
    rig.executor()
    first = begun(rig, "restart-signers")
    second = begun(rig, "switch-rpc")
    good(rig)
    for made, other in ((first, "#2"), (second, "#1")):
        final = ended(rig.executors[0], made)
        assert (final.phase, final.proof) == (Phase.DONE, Proof.UNKNOWN)
        assert f"shared with {other}" in final.gauges[0].reason
    proofs = [r for r in rig.journal.records() if r["kind"] == "proof"]
    assert all("shared with" in record["gauges"][0]["reason"] for record in proofs) and len(proofs) == 2


def test_a_step_sent_after_the_signals_had_moved_takes_nothing_from_the_one_before(rig: Rig) -> None:
    """U3: each is proved by what moved after it; what held before proves nothing."""
    bad(rig, hold=3.0)
    rig.executor()
    first = begun(rig, "switch-rpc")
    good(rig)
    wait_for(lambda: any(p.plan.id == first.id and p.gauges[0].held_s > 0 for p in rig.executors[0].progress))
    runbook, one = rig.runbooks.step("1", "restart-signers")
    second = plan(rig.executors[0], one, runbook)
    carry(rig.executors[0], second)
    assert ended(rig.executors[0], first).proof is Proof.PASS
    late = ended(rig.executors[0], second)
    assert late.proof is Proof.UNKNOWN and "held before the step" in late.gauges[0].reason


def test_a_step_alone_is_proven(rig: Rig) -> None:
    """A proof that never passes is no proof."""
    bad(rig)
    rig.executor()
    made = begun(rig, "switch-rpc")
    good(rig)
    assert ended(rig.executors[0], made).proof is Proof.PASS


def test_on_a_calm_day_a_restart_proves_nothing(rig: Rig) -> None:
    """B26: everything held before."""
    bad(rig)
    good(rig)
    rig.executor()
    runbook, one = rig.runbooks.step("1", "restart-signers")
    made = plan(rig.executors[0], one, runbook)
    carry(rig.executors[0], made)
    final = ended(rig.executors[0], made)
    assert final.proof is Proof.UNKNOWN and "held before the step: proves nothing" in final.words


def test_a_holding_step_is_done_and_has_no_verdict(rig: Rig) -> None:
    """B16: it stops harm and cures nothing, so nothing is waited for."""
    bad(rig)
    rig.executor()
    runbook, one = rig.runbooks.step("1", "degrade")
    made = plan(rig.executors[0], one, runbook)
    carry(rig.executors[0], made)
    final = ended(rig.executors[0], made)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.NONE)
    assert "cures nothing" in final.words


def test_what_was_put_back_meanwhile_is_not_proven(rig: Rig) -> None:
    """P9's kind: the object must be as the step left it when its proof is given."""
    bad(rig)
    rig.executor()
    made = begun(rig, "switch-rpc")
    put_back(rig)
    good(rig)
    final = ended(rig.executors[0], made)
    assert final.proof is Proof.UNKNOWN and "no longer stands" in final.words


def test_a_step_cut_off_and_put_back_by_a_colleague_was_applied(rig: Rig) -> None:
    """P9: a record never contradicts itself: "applied; put back since"."""
    bad(rig)
    rig.executor()
    begun(rig, "switch-rpc")
    rig.executors[0].close(5, cut_off=True)
    put_back(rig)
    records = [dict(r) for r in rig.journal.records()]
    entry = entries_of(records)[1]
    assert entry.outcome is not None and entry.outcome["result"] == "sent" and entry.proof is None
    old = [*records, {"kind": "judged", "of": 1, "judgement": "not applied", "words": "", "at": 0.0}]
    assert entries_of(old)[1].applied is True
    assert PUT_BACK in entries_of(old)[1].words


def test_after_a_restart_of_the_cockpit_it_was_applied_and_put_back_since(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P9: the next cockpit says it, in journal, line and undo, and so does the one after it."""
    bad(rig)
    rig.executor()
    begun(rig, "switch-rpc")
    rig.executors[0].close(5, cut_off=True)
    put_back(rig)
    monkeypatch.setattr("cockpit.journal.entries.alive", lambda intent: False)  # its process is gone
    judged: list[str] = []
    for _ in range(2):
        later = rig.executor(journal=Journal.open(rig.journal_path))
        judged += [one.judgement for one in later.judge_unfinished().result(20)]
        records = [dict(record) for record in rig.journal.records()]
        entry = entries_of(records)[1]
        assert entry.applied is True and PUT_BACK in entry.words and "not applied" not in entry.words
        assert [line.outcome for line in later.journal_lines if line.number == 1] == [entry.words]
        with pytest.raises(PlanProblem, match=r"no longer as step 1 left it: .* as before it already"):
            later.plan_undo(1).result(20)
        later.close(5.0)
    assert judged == [PUT_BACK], "once: it is journalled then"


def test_an_undo_that_only_ends_a_stuck_pod_is_not_blocked_for_running_two(rig: Rig) -> None:
    """P10: judged by what would start: the old pod runs on, and the stuck one ends."""
    rig.do(lambda: rig.touch("m0-submitter", lambda obj: obj["spec"].update(strategy={"type": "RollingUpdate"})))
    rig.settle()
    image = "m0/submitter@sha256:" + "9" * 64
    rig.do(lambda: setattr(rig.world, "behaviour", lambda service, found, env: Behaviour(ready=found != image)))
    body = {"spec": {"template": {"spec": {"containers": [{"name": "m0-submitter", "image": image}]}}}}
    rig.kubectl("PATCH", "m0-submitter", body, kind="strategic-merge-patch")
    wait_for(lambda: rig.do(lambda: len(rig.world.pods("m0-submitter"))) == 2)
    made = plan(rig.executor(), step("undo-rollout", "m0-submitter"))
    found = guard(made, "singleton")
    assert found.verdict is Verdict.NOTE and "no pod starts" in found.reason
    assert not made.blocked
    other = plan(rig.executors[0], step("restart", "m0-submitter"))
    assert guard(other, "singleton").verdict is Verdict.BLOCK  # that one would start a second
