"""What reaches the API server is what kubectl's recordings show, but for the precondition and the
change-cause.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from cockpit.mitigation.cluster.patches import STRATEGIC
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import DryRunState, Phase, Proof, Request
from tests.support.kube_rig import DIGEST, NAMESPACE, OTHER_URL, SECRET_URL, Rig, carry, ended, plan, step, yes
from tests.support.paths import ROOT

RECORDINGS = ROOT / "tests" / "fixtures" / "kube-apiserver"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(RECORDINGS.glob(f"{name}-*.json")).read_text())["request"]
    return found


def test_set_env_is_sent_as_recorded(rig: Rig) -> None:
    rig.kubectl(
        "PATCH", "m0-submitter", [{"op": "remove", "path": "/spec/template/spec/containers/0/env"}], kind="json-patch"
    )
    rig.settle()
    made = plan(
        rig.executor(), step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": "https://backup-rpc.example.com"})
    )
    assert carry(rig.executors[0], made).phase in (Phase.SENT, Phase.ROLLING_OUT, Phase.VERIFYING, Phase.DONE)
    dry, *_, sent = (s for s in rig.seen if s.method == "PATCH" and s.params.get("fieldManager") == "m0-cockpit")
    for one, name in ((dry, "35"), (sent, "36")):
        request = recorded(name)
        path, _, query = request["path"].partition("?")
        assert one.path == path
        assert "&".join(sorted(f"{k}={v}" for k, v in one.params.items())) == query
        assert one.content_type == request["content_type"]
        assert {k: v for k, v in one.body.items() if k != "metadata"} == request["body"]
        assert set(one.body["metadata"]) == {"resourceVersion", "annotations"}
        assert set(one.body["metadata"]["annotations"]) == {"kubernetes.io/change-cause"}


def test_set_image_is_sent_as_recorded(rig: Rig) -> None:
    request = recorded("39")
    image = request["body"]["spec"]["template"]["spec"]["containers"][0]["image"]
    made = plan(rig.executor(), step("set-image", "m0-quant", image=image))
    assert made.dangerous
    assert made.typed == "m0-quant"
    carry(rig.executors[0], made)
    (sent,) = rig.writes()
    assert sent.path + "?fieldManager=m0-cockpit" == request["path"]
    assert {k: v for k, v in sent.body.items() if k != "metadata"} == request["body"]
    assert sent.content_type == request["content_type"]


def test_restart_is_sent_as_recorded(rig: Rig) -> None:
    request = recorded("40")
    carry(rig.executor(), plan(rig.executors[0], step("restart", "m0-signer-agent")))
    (sent,) = rig.writes()
    assert sent.path + "?fieldManager=m0-cockpit" == request["path"]
    (key,) = sent.body["spec"]["template"]["metadata"]["annotations"]
    shape = request["body"]["spec"]["template"]["metadata"]["annotations"]
    assert list(shape) == [key]
    shape[key] = sent.body["spec"]["template"]["metadata"]["annotations"][key]
    assert {k: v for k, v in sent.body.items() if k != "metadata"} == request["body"]


def test_scale_is_a_merge_patch_of_the_subresource(rig: Rig) -> None:
    before = rig.obj("m0-ingestor")["metadata"]["resourceVersion"]
    made = plan(rig.executor(), step("scale", "m0-ingestor", replicas=8))
    carry(rig.executors[0], made)
    (sent,) = rig.writes()
    assert (sent.path, sent.params, sent.content_type) == (
        f"{APPS}/m0-ingestor/scale",
        {},
        "application/merge-patch+json",
    )
    assert sent.body == {"metadata": {"resourceVersion": before}, "spec": {"replicas": 8}}
    assert made.kubectl == "kubectl --context drill -n m0-prod scale deploy/m0-ingestor --replicas=8"
    assert made.dry_run.state is DryRunState.OK
    assert made.dry_run.changed == ("spec.replicas",)
    assert ended(rig.executors[0], made).phase is Phase.DONE
    assert rig.obj("m0-ingestor")["status"]["availableReplicas"] == 8


def test_env_keeps_its_order_and_replaces_a_reference(rig: Rig) -> None:
    made = plan(
        rig.executor(), step("set-env", "m0-quant", env={"M0_POSTGRES_URL": "postgres://u:hunter2@db/x", "NEW": "1"})
    )
    assert isinstance(made.request, Request)
    (container,) = json.loads(made.request.body)["spec"]["template"]["spec"]["containers"]
    assert [e["name"] for e in container["$setElementOrder/env"]] == [
        "M0_GUARDRAIL_POLICY_LEVEL",
        "M0_POSTGRES_URL",
        "NEW",
    ]
    assert container["env"] == [
        {"name": "M0_POSTGRES_URL", "value": "postgres://u:hunter2@db/x", "valueFrom": None},
        {"name": "NEW", "value": "1"},
    ]
    assert made.request.content_type == STRATEGIC
    assert made.changes[0].before == "secret postgres/url"
    assert "hunter2" not in made.kubectl + str(made.changes) + str(made.inverse) + str(made.relevant)
    carry(rig.executors[0], made)
    env = rig.obj("m0-quant")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [e["name"] for e in env] == ["M0_GUARDRAIL_POLICY_LEVEL", "M0_POSTGRES_URL", "NEW"]
    assert "valueFrom" not in env[1]


def test_a_switch_of_rpc_goes_all_the_way_to_its_proof(rig: Rig) -> None:
    runbook = rig.runbooks.runbook("1")
    made = plan(rig.executor(), runbook.mitigations[0], runbook)
    assert made.typed is None
    assert "set env deploy/m0-submitter -c m0-submitter" in made.kubectl
    assert OTHER_URL not in made.kubectl
    assert any("Recreate" in line for line in made.blast)
    answered = carry(rig.executors[0], made)
    assert answered.answered_s is not None
    final = ended(rig.executors[0], made)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.PASS), final.words
    (line,) = rig.executors[0].journal_lines
    assert line.undoable
    assert "proof pass" in line.outcome
    obj = rig.obj("m0-submitter")
    assert (
        obj["metadata"]["annotations"]["kubernetes.io/change-cause"]
        == "m0-cockpit set-env m0-submitter: SOLANA_RPC_URL"
    )
    assert SECRET_URL not in json.dumps(obj["spec"])
    events = [s.body for s in rig.seen if s.method == "POST" and s.path.endswith("/events")]
    assert events
    assert events[0]["involvedObject"]["name"] == "m0-submitter"
    assert "KEYLIKE" not in json.dumps(events) + json.dumps([s.body for s in rig.seen if "leases" in s.path])


def test_nothing_is_sent_when_nothing_would_change(rig: Rig) -> None:
    for same in (
        step("scale", "m0-ingestor", replicas=4),
        step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": SECRET_URL}),
    ):
        made = plan(rig.executor(), same)
        assert made.nothing_to_do
        with pytest.raises(PlanProblem, match="nothing would change"):
            rig.executors[-1].carry_out(made, yes(made)).result(10)
    assert not [s for s in rig.seen if s.method == "PATCH"]
    assert rig.journal.records() == ()


def test_what_cannot_be_planned_is_said_before_anything_is_sent(rig: Rig) -> None:
    executor = rig.executor()
    for wrong, words in (
        (step("set-image", "m0-quant", container="nope", image=DIGEST), "no container nope"),
        (step("set-env", "m0-quant", container="nope", env={"A": "b"}), "no container nope"),
        (step("set-env", "m0-quant", env={"M0_GUARDRAIL_POLICY_LEVEL": "LOOSE"}), "not a value of"),
        (step("scale", "m0-nothing", replicas=1), "no deployment or statefulset m0-nothing"),
        (step("scale", "m0-quant", replicas="{n}"), "not a parameter"),
        (step("view", "m0-quant"), "not carried out here"),
    ):
        with pytest.raises(PlanProblem, match=words):
            plan(executor, wrong)
    rig.kubectl("PATCH", "m0-signer-agent", {"spec": {"paused": True}})
    with pytest.raises(PlanProblem, match="paused"):
        plan(executor, step("restart", "m0-signer-agent"))
    assert not [s for s in rig.seen if s.method == "PATCH" and s.params]
