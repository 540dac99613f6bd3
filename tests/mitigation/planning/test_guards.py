"""Every guard: when it passes, what stops it, and why."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from cockpit.clock import ManualClock
from cockpit.drill.kubernetes import Behaviour
from cockpit.drill.kubernetes.objects.resources import DEPLOYMENTS
from cockpit.kubeapi.access_review import Review
from cockpit.mitigation.cluster.guard_facts import Facts
from cockpit.mitigation.cluster.lease import Held
from cockpit.mitigation.cluster.objects import Subject
from cockpit.mitigation.planning import guards
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.patch import PatchContext, PatchStep
from cockpit.mitigation.steps.registry import KINDS
from cockpit.model.observed.cluster import Autoscaler
from cockpit.model.plan import DryRun, DryRunState, GuardResult, Verdict
from cockpit.model.runbook import Service
from cockpit.model.signal import Level
from tests.support.kube_rig import DIGEST, OTHER_URL, Rig, carry, guard, plan, runbooks, situation, status, step, yes

CLOCK = ManualClock()
FACTS = Facts(
    review=Review(True, "", "patch deployments"),
    autoscalers=[],
    autoscalers_reason="",
    lease=Held(),
    identity="ops1@bastion",
    pods_left=0,
    pods_reason="",
)


def deployment(*, count: int = 1, strategy: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "m0-submitter", "uid": "u1", "resourceVersion": "7", "generation": 3, **metadata},
        "spec": {
            "replicas": count,
            "strategy": strategy or {"type": "Recreate"},
            "selector": {"matchLabels": {"app": "x"}},
            "template": {
                "metadata": {},
                "spec": {
                    "containers": [
                        {
                            "name": "m0-submitter",
                            "image": "a:v1",
                            "env": [
                                {"name": "M0_PUBLISH_ENABLED", "value": "false"},
                                {"name": "M0_GUARDRAIL_POLICY_LEVEL", "value": "STRICT"},
                            ],
                        }
                    ]
                },
            },
        },
    }


def given(
    kind: str = "scale", arguments: dict[str, Any] | None = None, obj: dict[str, Any] | None = None, **more: Any
) -> guards.GuardInput:
    loaded = runbooks()
    service = more.pop("service", Service(singleton=True, publishes=True))
    subject = Subject(
        context="drill",
        namespace="m0-prod",
        kind="Deployment",
        name="m0-submitter",
        obj=obj or deployment(),
        service=service,
    )
    patching = KINDS[kind]
    assert isinstance(patching, PatchStep)
    around = PatchContext(loaded, "salt", "2026-11-23T12:00:00Z")
    draft = patching.draft_patch(subject, arguments or {"replicas": 0}, around)
    draft = replace(draft, dry_run=more.pop("dry_run", draft.dry_run))
    signals = (status("rpc-errors"), status("invalid-signatures"))
    made = guards.GuardInput(
        draft=draft,
        facts=FACTS,
        situation=situation(CLOCK, *signals),
        runbooks=loaded,
        signals=("rpc-errors",),
        read_only=False,
        undo=False,
        mono=CLOCK.mono(),
    )
    return replace(made, **more)


def env(**values: str) -> dict[str, Any]:
    return {"container": "m0-submitter", "env": {k: {"value": v} for k, v in values.items()}}


def verdict_of(result: GuardResult | None) -> tuple[Verdict, str]:
    assert result is not None
    return result.verdict, result.reason


def test_read_only_blocks() -> None:
    assert verdict_of(guards.read_only(given(read_only=True)))[0] is Verdict.BLOCK
    assert guards.read_only(given()) is None


@pytest.mark.parametrize(
    ("review", "verdict"),
    [
        (Review(True, "", "patch deployments/scale"), Verdict.PASS),
        (Review(False, "", "patch deployments/scale"), Verdict.BLOCK),
        (Review(None, "webhook timed out", "patch deployments/scale"), Verdict.UNKNOWN),
    ],
)
def test_permission_is_allowed_denied_or_unknown(review: Review, verdict: Verdict) -> None:
    got, reason = verdict_of(guards.permission(given(facts=replace(FACTS, review=review))))
    assert got is verdict
    assert "patch deployments/scale" in reason


def test_freshness_names_what_is_unknown() -> None:
    assert verdict_of(guards.fresh(given())) == (Verdict.PASS, "2 s old")
    dark = situation(CLOCK, status("rpc-errors", Level.UNKNOWN, None, reason="Prometheus is down"))
    verdict, reason = verdict_of(guards.fresh(given(situation=dark)))
    assert verdict is Verdict.CONFIRM
    assert "rpc-errors (Prometheus is down)" in reason
    assert verdict_of(guards.fresh(given(situation=None)))[0] is Verdict.CONFIRM
    assert verdict_of(guards.fresh(given(signals=("nothing-like-it",))))[0] is Verdict.CONFIRM
    assert verdict_of(guards.fresh(given(mono=CLOCK.mono() + 60)))[0] is Verdict.CONFIRM
    assert verdict_of(guards.fresh(given(signals=())))[0] is Verdict.NOTE


def test_signals_of_a_source_that_nobody_configured_count_for_nothing_unless_there_are_no_others() -> None:
    off = status("pg-pitr", Level.UNKNOWN, None, reason="Postgres is not configured", off=True)
    half = situation(CLOCK, status("rpc-errors"), off)
    assert verdict_of(guards.fresh(given(situation=half, signals=("rpc-errors", "pg-pitr"))))[0] is Verdict.PASS
    verdict, reason = verdict_of(guards.fresh(given(situation=half, signals=("pg-pitr",))))
    assert verdict is Verdict.CONFIRM and "not configured" in reason


SURGING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}


@pytest.mark.parametrize(
    ("made", "verdict", "words"),
    [
        (given("scale", {"replicas": 2}), Verdict.BLOCK, "never have more than one"),
        (given("scale", {"replicas": 0}), Verdict.PASS, "0 replicas"),
        (given("scale", {"replicas": 1}, deployment(count=0)), Verdict.PASS, "1 replica"),
        (
            given("scale", {"replicas": 1}, deployment(count=0), facts=replace(FACTS, pods_left=1)),
            Verdict.BLOCK,
            "still there, terminating",
        ),
        (
            given(
                "scale", {"replicas": 1}, deployment(count=0), facts=replace(FACTS, pods_left=None, pods_reason="403")
            ),
            Verdict.UNKNOWN,
            "403",
        ),
        (given("set-env", env(A="1")), Verdict.PASS, "Recreate"),
        (given("set-env", env(A="1"), deployment(strategy=SURGING)), Verdict.BLOCK, "would run 2 m0-submitter at once"),
        (given("restart", {}, deployment(strategy=SURGING)), Verdict.BLOCK, "set strategy Recreate"),
        (given("set-env", env(A="1"), deployment(count=0, strategy=SURGING)), Verdict.PASS, ""),
        (
            given(
                "set-env",
                env(A="1"),
                deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}),
            ),
            Verdict.PASS,
            "",
        ),
        (given("set-env", env(A="1"), deployment(count=2)), Verdict.BLOCK, "stays at 2"),
    ],
)
def test_the_singleton_stays_single(made: guards.GuardInput, verdict: Verdict, words: str) -> None:
    got, reason = verdict_of(guards.singleton(made))
    assert got is verdict, reason
    assert words in reason


def test_services_without_a_single_leader_are_not_asked() -> None:
    assert guards.singleton(given("scale", {"replicas": 9}, service=Service())) is None


@pytest.mark.parametrize(
    "image", ["m0/x:v1", "m0/x", "m0/x@sha256:abc", "m0/x@sha256:" + "G" * 64, "m0/x@sha256:" + "a" * 65]
)
def test_images_without_a_digest_are_blocked(image: str) -> None:
    made = given("set-image", {"container": "m0-submitter", "image": image})
    assert verdict_of(guards.digest(made))[0] is Verdict.BLOCK
    assert verdict_of(guards.digest(replace(made, undo=True)))[0] is Verdict.CONFIRM


def test_an_image_by_digest_passes() -> None:
    assert (
        verdict_of(guards.digest(given("set-image", {"container": "m0-submitter", "image": DIGEST})))[0] is Verdict.PASS
    )


@pytest.mark.parametrize(
    ("kind", "arguments", "obj"),
    [
        ("set-env", env(M0_GUARDRAIL_POLICY_LEVEL="NORMAL"), None),
        ("set-env", env(M0_GUARDRAIL_POLICY_LEVEL="FAST"), None),
        ("set-env", env(M0_PUBLISH_ENABLED="true"), None),
        ("scale", {"replicas": 1}, deployment(count=0)),
    ],
)
def test_relaxing_asks_for_safe_signals(kind: str, arguments: dict[str, Any], obj: dict[str, Any] | None) -> None:
    made = given(kind, arguments, obj)
    assert verdict_of(guards.direction(made))[0] is Verdict.NOTE
    held = situation(CLOCK, status("invalid-signatures", Level.CRIT))
    verdict, reason = verdict_of(guards.direction(replace(made, situation=held)))
    assert verdict is Verdict.CONFIRM
    assert "invalid-signatures is crit" in reason
    dark = situation(CLOCK, status("invalid-signatures", Level.UNKNOWN, None))
    assert "is unknown" in verdict_of(guards.direction(replace(made, situation=dark)))[1]
    assert verdict_of(guards.direction(replace(made, situation=None)))[0] is Verdict.CONFIRM
    assert made.draft.dangers


def test_tightening_is_not_questioned() -> None:
    for made in (
        given("set-env", env(M0_PUBLISH_ENABLED="false")),
        given("scale", {"replicas": 0}),
        given("set-env", env(A="1")),
    ):
        assert guards.direction(made) is None


def test_an_autoscaler_undoes_a_scale() -> None:
    scaler = Autoscaler(
        namespace="m0-prod",
        name="ingest",
        target_kind="Deployment",
        target_name="m0-submitter",
        min_replicas=2,
        max_replicas=10,
        desired=4,
    )
    facts = replace(FACTS, autoscalers=[scaler])
    verdict, reason = verdict_of(guards.autoscaler(given("scale", {"replicas": 1}, facts=facts)))
    assert verdict is Verdict.CONFIRM
    assert "HPA ingest (2 to 10) will undo it" in reason
    assert verdict_of(guards.autoscaler(given("scale", {"replicas": 0}, facts=facts)))[0] is Verdict.NOTE
    assert verdict_of(guards.autoscaler(given("set-env", env(A="1"), facts=facts)))[0] is Verdict.NOTE
    unknown = replace(FACTS, autoscalers=None, autoscalers_reason="403")
    assert verdict_of(guards.autoscaler(given("scale", {"replicas": 1}, facts=unknown)))[0] is Verdict.UNKNOWN
    assert verdict_of(guards.autoscaler(given()))[0] is Verdict.PASS


@pytest.mark.parametrize(
    ("metadata", "verdict"),
    [
        ({"labels": {"argocd.argoproj.io/instance": "m0"}}, Verdict.CONFIRM),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "m0:apps/Deployment"}}, Verdict.CONFIRM),
        ({"labels": {"kustomize.toolkit.fluxcd.io/name": "m0"}}, Verdict.CONFIRM),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "m0"}}, Verdict.CONFIRM),
        ({"labels": {"app.kubernetes.io/managed-by": "argocd"}}, Verdict.CONFIRM),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm"}}, Verdict.NOTE),
    ],
)
def test_gitops_reverts(metadata: dict[str, Any], verdict: Verdict) -> None:
    assert verdict_of(guards.gitops(given(obj=deployment(**metadata))))[0] is verdict
    assert guards.gitops(given()) is None


def test_a_paused_deployment_is_said() -> None:
    obj = copy.deepcopy(deployment())
    obj["spec"]["paused"] = True
    assert verdict_of(guards.pausing(given("set-env", env(A="1"), obj)))[0] is Verdict.CONFIRM
    assert guards.pausing(given("scale", {"replicas": 0}, obj)) is None


@pytest.mark.parametrize(
    ("dry_run", "verdict"),
    [
        (DryRun(DryRunState.FAILED, "422 Invalid"), Verdict.BLOCK),
        (DryRun(DryRunState.UNKNOWN, "timeout"), Verdict.UNKNOWN),
        (DryRun(DryRunState.OK, "a webhook changed it"), Verdict.CONFIRM),
        (DryRun(DryRunState.REFUSED, "no dry run"), None),
        (DryRun(DryRunState.OK), None),
    ],
)
def test_the_dry_run_is_believed(dry_run: DryRun, verdict: Verdict | None) -> None:
    result = guards.dry_run(given(dry_run=dry_run))
    assert (result.verdict if result else None) is verdict


def test_the_lease_cannot_be_read() -> None:
    assert verdict_of(guards.lease(given(facts=replace(FACTS, lease=Held(problem="403")))))[0] is Verdict.UNKNOWN
    expired = Held("ops2@bastion", "x", 1.0, expired=True)
    assert verdict_of(guards.lease(given(facts=replace(FACTS, lease=expired))))[0] is Verdict.PASS


def test_a_tampered_journal_is_said_before_an_undo() -> None:
    assert verdict_of(guards.journal(given(undo=True, journal_problems=("line 3: edited",))))[0] is Verdict.CONFIRM
    assert guards.journal(given(journal_problems=("line 3: edited",))) is None


# against the cluster


def test_a_viewer_may_read_but_not_act(rig: Rig) -> None:
    rig.token = "viewer"
    made = plan(rig.executor(), step("scale", "m0-ingestor", replicas=6))
    assert guard(made, "permission").verdict is Verdict.BLOCK
    with pytest.raises(PlanProblem, match="blocked by permission"):
        carry(rig.executors[0], made)
    assert not rig.writes()


def test_the_review_names_the_exact_right(rig: Rig) -> None:
    plan(rig.executor(), step("scale", "m0-ingestor", replicas=6))
    (review,) = [s.body["spec"]["resourceAttributes"] for s in rig.seen if s.path.endswith("selfsubjectaccessreviews")]
    assert review == {
        "namespace": "m0-prod",
        "verb": "patch",
        "group": "apps",
        "resource": "deployments",
        "subresource": "scale",
        "name": "m0-ingestor",
    }


def test_read_only_sends_no_write_at_all(rig: Rig) -> None:
    rig.read_only = True
    made = plan(rig.executor(), step("scale", "m0-ingestor", replicas=6))
    assert [g.guard for g in made.blocked] == ["read-only"]
    with pytest.raises(PlanProblem, match="read-only"):
        carry(rig.executors[0], made)
    assert {s.method for s in rig.seen if not s.path.endswith("reviews")} == {"GET"}


def test_a_dry_run_that_the_server_refuses_is_said(rig: Rig) -> None:
    executor = rig.executor()
    rig.do(lambda: setattr(rig.world.chaos, "no_dry_run", True))
    made = plan(executor, step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": OTHER_URL}))
    assert made.dry_run.state is DryRunState.REFUSED, made.dry_run
    assert not made.blocked


def test_an_autoscaler_in_the_cluster_is_found(rig: Rig) -> None:
    rig.do(lambda: rig.world.autoscaler("ingest", target="m0-ingestor", minimum=2, maximum=10))
    made = plan(rig.executor(), step("scale", "m0-ingestor", replicas=6))
    assert guard(made, "autoscaler").verdict is Verdict.CONFIRM
    assert made.typed == "m0-ingestor"


def test_scaling_up_waits_for_the_last_pod(rig: Rig) -> None:
    def leave_a_pod() -> None:
        stored = rig.world.store.get(DEPLOYMENTS, "m0-prod", "m0-submitter")
        assert stored is not None
        obj = copy.deepcopy(stored.obj)
        obj["spec"]["replicas"] = 0
        rig.world.store.replace(DEPLOYMENTS, stored, obj)

    rig.do(
        lambda: setattr(
            rig.world,
            "behaviour",
            lambda *_: Behaviour(stop_s=600),
        )
    )
    rig.do(leave_a_pod)
    made = plan(rig.executor(), step("scale", "m0-submitter", replicas=1))
    assert guard(made, "singleton").verdict is Verdict.BLOCK
    assert made.dangerous


def test_dangerous_steps_want_the_name(rig: Rig) -> None:
    executor = rig.executor()
    for dangerous in (
        step("scale", "m0-submitter", replicas=0),
        step("set-env", "m0-quant", env={"M0_GUARDRAIL_POLICY_LEVEL": "NORMAL"}),
        step("set-env", "m0-submitter", env={"M0_PUBLISH_ENABLED": "false"}),
        step("set-env", "m0-quant", env={"M0_MARKET_PAUSE_EPL": "true"}),
        step("set-image", "m0-quant", image=DIGEST),
        step("scale", "m0-ingestor", replicas=6, dangerous=True),
    ):
        made = plan(executor, dangerous)
        assert made.dangerous, dangerous
        assert made.danger_reasons
        assert made.typed == dangerous.service
    ordinary = plan(executor, step("scale", "m0-ingestor", replicas=6))
    assert ordinary.typed is None
    assert yes(ordinary).typed is None
