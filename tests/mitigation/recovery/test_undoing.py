"""Every step can be taken back, after a restart too, and never over someone else's change."""

from __future__ import annotations

import json

import msgspec
import pytest

from cockpit.mitigation.planning.comes_back import endpoint_back, symptoms_back
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.observed.chain import EndpointStatus
from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.plan import Phase, Plan, Proof, Request, Verdict
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Step
from tests.support.kube_rig import DIGEST, OTHER_URL, SECRET_URL, Rig, carry, ended, guard, plan, step

SWITCH = step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": OTHER_URL})


def env(rig: Rig, name: str = "m0-submitter") -> dict[str, object]:
    (container,) = rig.obj(name)["spec"]["template"]["spec"]["containers"]
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in container.get("env") or []}


def do(rig: Rig, made: object) -> None:
    carry(rig.executors[-1], made)  # type: ignore[arg-type]
    final = ended(rig.executors[-1], made)  # type: ignore[arg-type]
    assert final.phase is Phase.DONE, final.words


def test_a_scale_is_taken_back(rig: Rig) -> None:
    do(rig, plan(rig.executor(), step("scale", "m0-ingestor", replicas=6)))
    undo = rig.executors[0].plan_undo(1).result(20)
    assert undo.undoes == 1
    assert [(c.before, c.after) for c in undo.changes] == [("6", "4")]
    do(rig, undo)
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == 4
    first = rig.executors[0].journal_lines[-1]
    assert "undone by 2" in first.outcome
    assert not first.undoable
    with pytest.raises(PlanProblem, match="undone already"):
        rig.executors[0].plan_undo(1).result(20)


def test_an_undo_has_no_verdict_the_fields_are_back(rig: Rig) -> None:
    """U3: no verdict where nothing was to be proved."""
    do(rig, plan(rig.executor(), SWITCH))
    undo = rig.executors[0].plan_undo(1).result(20)
    carry(rig.executors[0], undo)
    final = ended(rig.executors[0], undo)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.NONE)
    assert "the fields are back" in final.words
    assert env(rig)["SOLANA_RPC_URL"] == SECRET_URL


def test_a_secret_value_comes_back_after_a_restart_from_the_replicaset(rig: Rig) -> None:
    do(rig, plan(rig.executor(), SWITCH))
    rig.executors[0].close(5)
    undo = rig.executor().plan_undo(1).result(20)
    assert isinstance(undo.request, Request) and SECRET_URL in undo.request.body
    do(rig, undo)
    assert env(rig)["SOLANA_RPC_URL"] == SECRET_URL
    assert list(env(rig)) == ["M0_PUBLISH_ENABLED", "SOLANA_RPC_URL", "M0_PUBLISH_CONCURRENCY"]


def test_a_secret_value_that_no_replicaset_holds_is_said(rig: Rig) -> None:
    do(rig, plan(rig.executor(), SWITCH))
    rig.executors[0].close(5)
    rig.do(lambda: rig.world.chaos.forbidden.add("list replicasets"))
    with pytest.raises(PlanProblem, match="ReplicaSets cannot be read"):
        rig.executor().plan_undo(1).result(20)


def test_an_added_variable_is_removed_again(rig: Rig) -> None:
    do(rig, plan(rig.executor(), step("set-env", "m0-ingestor", env={"M0_POLL_INTERVAL_MS": "3000"})))
    assert env(rig, "m0-ingestor") == {"M0_POLL_INTERVAL_MS": "3000"}
    rig.executors[0].close(5)
    undo = rig.executor().plan_undo(1).result(20)
    (change,) = undo.changes
    assert (change.before, change.after) == ("3000", None)
    assert undo.kubectl.endswith("M0_POLL_INTERVAL_MS-")
    assert isinstance(undo.request, Request)
    (container,) = json.loads(undo.request.body)["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [{"name": "M0_POLL_INTERVAL_MS", "$patch": "delete"}]
    do(rig, undo)
    assert env(rig, "m0-ingestor") == {}


def test_a_reference_is_put_back(rig: Rig) -> None:
    do(rig, plan(rig.executor(), step("set-env", "m0-quant", env={"M0_POSTGRES_URL": "postgres://u:hunter2@db/x"})))
    rig.executors[0].close(5)
    do(rig, rig.executor().plan_undo(1).result(20))
    assert env(rig, "m0-quant")["M0_POSTGRES_URL"] == {"secretKeyRef": {"name": "postgres", "key": "url"}}


def test_an_image_goes_back_to_its_tag_only_when_typed(rig: Rig) -> None:
    do(rig, plan(rig.executor(), step("set-image", "m0-quant", image=DIGEST)))
    undo = rig.executors[0].plan_undo(1).result(20)
    assert guard(undo, "digest").verdict is Verdict.CONFIRM
    assert undo.typed == "m0-quant"


def test_another_mans_change_is_not_undone(rig: Rig) -> None:
    do(rig, plan(rig.executor(), step("scale", "m0-ingestor", replicas=6)))
    rig.kubectl("PATCH", "m0-ingestor", {"spec": {"replicas": 9}})
    with pytest.raises(PlanProblem, match="no longer as step 1 left it: replicas changed since"):
        rig.executors[0].plan_undo(1).result(20)


def test_another_mans_change_elsewhere_does_not_hinder(rig: Rig) -> None:
    do(rig, plan(rig.executor(), SWITCH))
    body = {
        "spec": {
            "template": {"spec": {"containers": [{"name": "m0-submitter", "env": [{"name": "OTHER", "value": "1"}]}]}}
        }
    }
    rig.kubectl("PATCH", "m0-submitter", body, kind="strategic-merge-patch")
    rig.settle()
    do(rig, rig.executors[0].plan_undo(1).result(20))
    assert env(rig)["SOLANA_RPC_URL"] == SECRET_URL
    assert env(rig)["OTHER"] == "1"


def test_a_restart_cannot_be_taken_back(rig: Rig) -> None:
    made = plan(rig.executor(), step("restart", "m0-signer-agent"))
    assert made.inverse is None
    do(rig, made)
    with pytest.raises(PlanProblem, match="no inverse"):
        rig.executors[0].plan_undo(1).result(20)


def test_what_is_not_there_cannot_be_undone(rig: Rig) -> None:
    with pytest.raises(PlanProblem, match="no step 7"):
        rig.executor().plan_undo(7).result(20)


def test_debt_stays_until_put_back(rig: Rig) -> None:
    relax = step("set-env", "m0-quant", env={"M0_GUARDRAIL_POLICY_LEVEL": "NORMAL"}, relaxes=True)
    do(rig, plan(rig.executor(), relax))
    do(rig, plan(rig.executors[0], step("set-env", "m0-submitter", env={"M0_PUBLISH_CONCURRENCY": "2"})))
    assert [d.number for d in rig.executors[0].debts] == [1, 2]
    assert "STRICT → NORMAL" in rig.executors[0].debts[0].words
    rig.executors[0].close(5)
    again = rig.executor()
    assert [d.number for d in again.debts] == [1, 2]
    assert again.journal_lines[-1].debt
    do(rig, again.plan_undo(1).result(20))
    assert [d.number for d in again.debts] == [2]
    do(rig, plan(again, step("set-env", "m0-submitter", env={"M0_PUBLISH_CONCURRENCY": "4"})))
    assert again.debts == ()


def test_no_secret_reaches_the_journal_or_the_plan(rig: Rig) -> None:
    do(rig, plan(rig.executor(), SWITCH))
    do(
        rig,
        plan(
            rig.executors[0],
            step(
                "set-env",
                "m0-quant",
                env={"M0_POSTGRES_URL": "postgres://u:hunter2@db/x", "X_API_TOKEN": "s3cr3ts3cr3t"},
            ),
        ),
    )
    undo = rig.executors[0].plan_undo(1).result(20)
    do(rig, undo)
    written = rig.journal_path.read_text() + rig.journal_path.with_name("journal.jsonl.head").read_text()
    announced = json.dumps([s.body for s in rig.seen if s.path.endswith(("/events", "/leases"))])
    for secret in ("KEYLIKE", "OTHERKEY", "hunter2", "s3cr3t"):
        assert secret not in written
        assert secret not in announced
        for progress in rig.executors[0].progress:
            shown = progress.plan
            assert (
                secret
                not in f"{shown.changes}{shown.kubectl}{shown.inverse}{shown.blast}{shown.relevant}{progress.words}"
            )
    assert rig.journal.verify() == []


MODEL = step("set-env", "m0-quant", env={"M0_MODEL_VERSION": "7"}, dangerous=True)
FEWER = step("set-env", "m0-quant", env={"M0_EXPECTED_SOURCES": "2"}, dangerous=True, relaxes=True)


def undo_of(rig: Rig, number: int) -> Plan:
    return rig.executors[-1].plan_undo(number).result(20)


@pytest.mark.parametrize(
    ("done", "before", "typed"),
    [
        (MODEL, {}, "m0-quant"),
        (FEWER, {}, None),
        (
            step("set-env", "m0-quant", env={"M0_GUARDRAIL_POLICY_LEVEL": "NORMAL"}, dangerous=True, relaxes=True),
            {},
            None,
        ),
        (
            step("set-env", "m0-quant", env={"M0_GUARDRAIL_POLICY_LEVEL": "STRICT"}),
            {"M0_GUARDRAIL_POLICY_LEVEL": "FAST"},
            "m0-quant",
        ),
        (step("set-env", "m0-quant", env={"M0_MARKET_PAUSE_NBA": "true"}, dangerous=True), {}, "m0-quant"),
        (step("set-env", "m0-submitter", env={"M0_PUBLISH_ENABLED": "false"}), {}, "m0-submitter"),
        (step("set-env", "m0-ingestor", env={"M0_POLL_INTERVAL_MS": "3000"}), {}, None),
        (step("scale", "m0-submitter", replicas=0), {}, "m0-submitter"),
        (step("scale", "m0-ingestor", replicas=6), {}, None),
    ],
    ids=[
        "an older model",
        "fewer sources",
        "relaxed",
        "strict",
        "paused",
        "not published",
        "slower",
        "stopped",
        "more",
    ],
)
def test_an_undo_is_as_dangerous_as_the_way_it_goes(
    rig: Rig, done: Step, before: dict[str, str], typed: str | None
) -> None:
    rig.executor()
    if before:
        do(rig, plan(rig.executors[0], step("set-env", done.service or "", env=before)))
    do(rig, plan(rig.executors[0], done))
    assert undo_of(rig, 2 if before else 1).typed == typed


def test_what_is_done_again_by_undoing_an_undo_is_as_dangerous_and_owed_as_the_first_time(rig: Rig) -> None:
    do(rig, plan(rig.executor(), FEWER))
    do(rig, undo_of(rig, 1))
    assert not rig.executors[0].debts
    again = undo_of(rig, 2)
    assert again.typed == "m0-quant" and again.danger_reasons == ("does a dangerous step again",)
    do(rig, again)
    assert [d.number for d in rig.executors[0].debts] == [3]
    assert undo_of(rig, 3).typed is None


def endpoint(rig: Rig, errors: float | None, fault: Fault | None = None) -> Reading[EndpointStatus]:
    seen = EndpointStatus("rpc-a", "rpc-a.example", health="ok", slot=9, behind=0, error_ratio=errors)
    return Reading("solana/endpoint/rpc-a", seen, rig.clock.mono(), fault=fault)


def test_undoing_a_proven_cure_says_what_comes_back_and_wants_the_name(rig: Rig) -> None:
    """U6: `u` offered to undo the proven cure, all guards green."""
    first = rig.runbooks.runbooks[0]
    made = plan(rig.executor(), first.mitigations[0], first)
    carry(rig.executors[0], made)
    assert ended(rig.executors[0], made).proof is Proof.PASS
    rig.solana["endpoint/rpc-a"] = endpoint(rig, 0.43)
    undo = rig.executors[0].plan_undo(1).result(20)
    back = guard(undo, "comes back")
    assert back.verdict is Verdict.CONFIRM
    assert back.reason.startswith("rpc-a comes back: 0 slots behind, 43 % errors here; what it was proven to cure")
    assert "commits rise (1/min now, 0/min before it)" in back.reason
    assert undo.typed == "m0-submitter"


def test_undoing_what_proved_nothing_wants_no_name(rig: Rig) -> None:
    """U6: it is as dangerous as what it brings back."""
    do(rig, plan(rig.executor(), step("scale", "m0-ingestor", replicas=6)))
    undo = rig.executors[0].plan_undo(1).result(20)
    assert undo.typed is None
    assert not [one for one in undo.guards if one.guard == "comes back"]


@pytest.mark.parametrize(
    ("errors", "share", "fault", "verdict"),
    [
        (0.0, 0.0, None, Verdict.NOTE),
        (0.43, None, None, Verdict.CONFIRM),
        (0.0, 0.43, None, Verdict.CONFIRM),  # the submitter's own requests tell it, ours do not
        (0.0, None, Fault(SourceState.DOWN, "connection refused"), Verdict.CONFIRM),
    ],
)
def test_an_endpoint_comes_back_as_it_is_now(
    rig: Rig, errors: float, share: float | None, fault: Fault | None, verdict: Verdict
) -> None:
    """U6: the figure of now, not of when it was left."""
    rig.solana["endpoint/rpc-a"] = endpoint(rig, errors, fault)
    answer = QueryResult((Sample({"endpoint": "rpc-a"}, share or 0.0),), (), (), 1.0)
    asked = {"rpc-error-ratio": Reading("q", answer, rig.clock.mono())} if share is not None else {}
    seen = msgspec.structs.replace(rig.situation(), queries=asked)
    back = endpoint_back(SECRET_URL, seen)
    assert back is not None and (back.name, back.verdict) == ("rpc-a", verdict)
    assert ("43 % errors" in back.words) is ((errors or share or 0.0) > 0.4)
    assert endpoint_back(OTHER_URL, seen) is None and endpoint_back("4", seen) is None


def test_what_a_failed_proof_says_of_an_undo_is_nothing(rig: Rig) -> None:
    gauges = [{"text": "commits rise", "signal": "commit-rate", "baseline": "nan"}]
    for proof in ("fail", "unknown", "none"):
        assert symptoms_back({"proof": proof, "gauges": gauges}, rig.situation(), rig.runbooks) == ""
    assert symptoms_back(None, None, rig.runbooks) == ""
    said = symptoms_back({"proof": "pass", "gauges": gauges}, None, rig.runbooks)
    assert said == "what it was proven to cure may come back: commits rise (not known now)"
