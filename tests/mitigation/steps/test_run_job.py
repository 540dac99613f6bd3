"""A Job from a CronJob or a template: made once, watched with its log, deleted by its inverse while
it runs.
"""

from __future__ import annotations

import json

import pytest

from cockpit.drill.kubernetes import Behaviour
from cockpit.drill.kubernetes.objects.resources import CRONJOBS, JOBS
from cockpit.drill.kubernetes.objects.store import Stored
from cockpit.mitigation.cluster import jobs
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import DryRunState, Phase, Proof, Verdict
from cockpit.model.runbook import Param, Step
from tests.support.kube_rig import NAMESPACE, Rig, carry, ended, guard, plan
from tests.support.waiting import wait_for

RECONCILE = Step(id="reconcile", title="Reconcile", kind="run-job", args={"cronjob": "m0-reconciler"})
SPEC = {
    "backoffLimit": 0,
    "template": {
        "spec": {"containers": [{"name": "job", "image": "m0/x@sha256:" + "9" * 64, "args": ["--market={market}"]}]}
    },
}


def behave(rig: Rig, name: str, behaviour: Behaviour) -> None:
    usual = rig.world.behaviour
    rig.world.behaviour = lambda service, image, env: (
        behaviour if service.startswith(f"job/{name}") else usual(service, image, env)
    )


def posts(rig: Rig, method: str = "POST") -> list[dict[str, object]]:
    return [s.body for s in rig.seen if s.method == method and "/jobs" in s.path and "dryRun" not in s.params]


def test_it_is_made_as_kubectl_makes_it_and_watched_to_its_end(rig: Rig) -> None:
    behave(rig, "m0-reconciler", Behaviour(crash_after_s=3.0, exit_code=0, log=("aligned with the chain",)))
    made = plan(rig.executor(), RECONCILE)
    name = made.target.name
    assert name.startswith("m0-reconciler-manual-")
    assert made.kubectl == f"kubectl --context drill -n m0-prod create job {name} --from=cronjob/m0-reconciler"
    assert made.dry_run.state is DryRunState.OK
    assert any("m0-reconciler --once" in line for line in made.blast)
    carry(rig.executors[0], made)
    final = ended(rig.executors[0], made)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.PASS), final.words
    assert "the job is complete: 1 of 1" in final.words
    assert final.output[-1] == "aligned with the chain"
    (body,) = posts(rig)
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["annotations"]["cronjob.kubernetes.io/instantiate"] == "manual"
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("CronJob", "m0-reconciler", True)


def test_one_that_fails_is_a_failure_with_its_last_words(rig: Rig) -> None:
    behave(
        rig,
        "m0-reconciler",
        Behaviour(crash_after_s=1.0, exit_code=2, log=("FATAL no database password=hunter2secret",)),
    )
    made = plan(rig.executor(), RECONCILE)
    carry(rig.executors[0], made)
    final = ended(rig.executors[0], made)
    assert (final.phase, final.proof) == (Phase.FAILED, Proof.FAIL)
    assert "BackoffLimitExceeded" in final.words
    assert "FATAL no database" in final.words
    assert "hunter2secret" not in f"{final}{rig.journal_path.read_text()}"


def test_its_undo_deletes_it_while_it_runs_and_not_afterwards(rig: Rig) -> None:
    behave(rig, "m0-reconciler", Behaviour(crash_after_s=1e9))
    made = plan(rig.executor(), RECONCILE)
    number = carry(rig.executors[0], made).journal
    assert number is not None
    wait_for(lambda: "1 active" in rig.executors[0].progress[0].words)
    undo = rig.executors[0].plan_undo(number).result(20)
    assert undo.kubectl.endswith(f"delete job {made.target.name}")
    assert rig.do(lambda: rig.world.job(made.target.name)) is not None, "S5: asking for a dry run deletes nothing"
    carry(rig.executors[0], undo)
    assert ended(rig.executors[0], undo).phase is Phase.DONE
    assert rig.do(lambda: rig.world.job(made.target.name)) is None
    (options,) = posts(rig, "DELETE")
    assert options["preconditions"] == {"uid": undo.target.uid}
    with pytest.raises(PlanProblem, match="undone already"):
        rig.executors[0].plan_undo(number).result(20)


def test_what_has_ended_stays_done(rig: Rig) -> None:
    made = plan(rig.executor(), RECONCILE)
    carry(rig.executors[0], made)
    number = ended(rig.executors[0], made).journal
    assert number is not None
    with pytest.raises(PlanProblem, match="has ended"):
        rig.executors[0].plan_undo(number).result(20)


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_answer_is_read_never_made_twice(rig: Rig, lost: bool) -> None:
    made = plan(rig.executor(), RECONCILE)
    chaos = rig.world.chaos
    rig.do(lambda: setattr(chaos, "lost_answers" if lost else "cut_writes", 0))

    def hook(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/jobs"):
            setattr(chaos, "lost_answers" if lost else "cut_writes", 1)

    rig.do(lambda: setattr(chaos, "before", hook))
    progress = carry(rig.executors[0], made)
    assert (progress.phase is Phase.FAILED) is not lost, progress.words
    assert len(posts(rig)) == 1


def test_a_cronjob_that_changed_or_went_since_is_stale(rig: Rig) -> None:
    executor = rig.executor()
    made = plan(executor, RECONCILE)

    def change() -> None:
        stored = rig.world.store.get(CRONJOBS, NAMESPACE, "m0-reconciler")
        assert stored is not None
        obj = stored.copy()
        obj["spec"]["jobTemplate"]["spec"]["backoffLimit"] = 0
        rig.world.store.replace(CRONJOBS, stored, obj)

    rig.do(change)
    assert carry(executor, made).phase is Phase.STALE
    made = plan(executor, RECONCILE)

    def vanish() -> None:
        stored = rig.world.store.get(CRONJOBS, NAMESPACE, "m0-reconciler")
        assert stored is not None
        rig.world.store.remove(CRONJOBS, stored)

    rig.do(vanish)
    assert carry(executor, made).phase is Phase.STALE
    assert not posts(rig)


def test_a_template_is_filled_after_it_is_parsed(rig: Rig) -> None:
    """A parameter is text in the template, whatever it holds: it never becomes a field."""
    hostile = '"}], "hostNetwork": true, "x": [{"'
    made = plan(
        rig.executor(),
        Step(
            id="fit",
            title="Fit",
            kind="run-job",
            args={"template": json.dumps(SPEC), "name": "fit"},
            params=(Param(name="market"),),
        ),
        market=hostile,
    )
    body = json.loads(made.request.body)  # type: ignore[union-attr]
    (container,) = body["spec"]["template"]["spec"]["containers"]
    assert container["args"] == [f"--market={hostile}"]
    assert "hostNetwork" not in body["spec"]["template"]["spec"]
    carry(rig.executors[0], made)
    assert ended(rig.executors[0], made).phase is Phase.DONE


def test_one_that_its_schedule_has_running_is_said(rig: Rig) -> None:
    def active() -> None:
        stored = rig.world.store.get(CRONJOBS, NAMESPACE, "m0-reconciler")
        assert stored is not None
        rig.world.store.replace(CRONJOBS, stored, {**stored.obj, "status": {"active": [{"name": "m0-reconciler-29"}]}})

    rig.do(active)
    found = guard(plan(rig.executor(), RECONCILE), "concurrency")
    assert found.verdict is Verdict.CONFIRM
    assert "m0-reconciler-29" in found.reason


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"cronjob": "nope"}, "no cronjob nope"),
        ({"template": "{"}, "no spec of a Job"),
        ({"template": '{"template": {"spec": {"containers": []}}}'}, "no spec of a Job"),
        ({"template": json.dumps(SPEC), "name": "../x"}, "not the beginning of a Job's name"),
    ],
)
def test_what_cannot_be_made_is_said_before(rig: Rig, args: dict[str, str], words: str) -> None:
    step = Step(id="j", title="j", kind="run-job", args=args, params=(Param(name="market", default="A"),))
    with pytest.raises(PlanProblem, match=words):
        plan(rig.executor(), step)


def test_a_right_that_is_missing_blocks(rig: Rig) -> None:
    from cockpit.drill.kubernetes import Rule, User

    rig.world.users["ops"] = User("ops", (Rule(("get", "list", "watch"), ("*",), ("*",)),))
    rig.token = "ops"
    made = plan(rig.executor(), RECONCILE)
    assert guard(made, "permission").verdict is Verdict.BLOCK
    assert "create jobs" in guard(made, "permission").reason


def test_one_that_begins_between_the_plan_and_the_send_stops_it(rig: Rig) -> None:
    """S2: the schedule fired, or a colleague made one by hand, while the dialog was open."""
    behave(rig, "m0-reconciler", Behaviour(crash_after_s=1e9))
    first, second = plan(rig.executor(), RECONCILE), plan(rig.executors[0], RECONCILE)
    assert not [g for g in second.guards if g.guard == "concurrency"]
    carry(rig.executors[0], first)
    progress = carry(rig.executors[0], second)
    assert progress.phase is Phase.STALE, progress.words
    assert first.target.name in progress.words and "side by side" in progress.words
    assert len(posts(rig)) == 1
    shown = guard(plan(rig.executors[0], RECONCILE), "concurrency")
    assert shown.verdict is Verdict.CONFIRM and first.target.name in shown.reason


def stored(rig: Rig, job: str) -> Stored:
    found = rig.world.store.get(JOBS, NAMESPACE, job)
    assert found is not None
    return found


def fit(**spec: object) -> Step:
    return Step(
        id="fit",
        title="Fit",
        kind="run-job",
        args={"template": json.dumps({**SPEC, **spec}), "name": "fit"},
        params=(Param(name="market", default="A"),),
    )


def test_one_that_is_suspended_is_said_before_and_while_it_waits(rig: Rig) -> None:
    """P6: "1 pod" was promised, and "running: 0 active" said for an hour."""
    made = plan(rig.executor(), fit(suspend=True))
    assert guard(made, "suspended").verdict is Verdict.CONFIRM
    now = jobs.snapshot({"metadata": {}, "spec": {"suspend": True}, "status": {}}, [])
    assert now.words.startswith("suspended: no pod runs until it is resumed") and not (now.done or now.failed)


@pytest.mark.parametrize(("spec", "proof"), [({"ttlSecondsAfterFinished": 0}, Proof.UNKNOWN), ({}, Proof.FAIL)])
def test_one_that_was_tidied_away_between_two_looks_is_unknown(rig: Rig, spec: dict[str, object], proof: Proof) -> None:
    """P5: a job that may have ended well, and whose time to live was over, was a failure."""
    behave(rig, "fit", Behaviour(crash_after_s=1e9))
    made = plan(rig.executor(), fit(**spec))
    carry(rig.executors[0], made)
    wait_for(lambda: "1 active" in rig.executors[0].progress[0].words)
    rig.do(lambda: rig.world.store.remove(JOBS, stored(rig, made.target.name)))
    final = ended(rig.executors[0], made)
    assert final.proof is proof and "is gone" in final.words, final.words
