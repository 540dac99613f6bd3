"""Going back to a pinned revision, and back again to the one that was current."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cockpit.mitigation.cluster.patches import JSON_PATCH
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import DryRunState, Phase, Verdict
from cockpit.model.runbook import Param
from tests.support.kube_rig import DIGEST, NAMESPACE, Rig, carry, ended, guard, plan, step

UNDO = step("undo-rollout", "m0-quant")
OTHER = "ghcr.io/m0club/m0-quant@sha256:" + "cd" * 32


def image(rig: Rig) -> str:
    return str(rig.obj("m0-quant")["spec"]["template"]["spec"]["containers"][0]["image"])


def revisions(rig: Rig) -> list[tuple[str, str]]:
    from cockpit.drill.kubernetes.objects.resources import REPLICASETS

    def revisions() -> list[tuple[str, str]]:
        found = rig.world.store.select(REPLICASETS, NAMESPACE)
        return [
            (s.obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"], s.key[1])
            for s in found
            if s.obj["metadata"]["ownerReferences"][0]["name"] == "m0-quant"
        ]

    return sorted(rig.do(revisions))


def release(rig: Rig, *images: str) -> None:
    executor = rig.executor()
    for one in images:
        made = plan(executor, step("set-image", "m0-quant", image=one))
        carry(executor, made)
        assert ended(executor, made).phase is Phase.DONE


def test_it_goes_to_the_revision_before_and_tests_the_version_first(rig: Rig) -> None:
    release(rig, DIGEST, OTHER)
    made = plan(rig.executors[0], UNDO)
    assert [(c.field, c.before, c.after) for c in made.changes] == [("image", OTHER, DIGEST)]
    assert made.dangerous
    assert made.kubectl.endswith("rollout undo deploy/m0-quant --to-revision=2")
    assert any(line.startswith("back to revision 2") for line in made.blast)
    carry(rig.executors[0], made)
    assert ended(rig.executors[0], made).phase is Phase.DONE
    assert image(rig) == DIGEST
    sent = rig.writes()[-1]
    assert sent.content_type == JSON_PATCH
    first, second, note = sent.body
    assert (first["op"], first["path"]) == ("test", "/metadata/resourceVersion")
    assert (second["op"], second["path"]) == ("replace", "/spec/template")
    assert "pod-template-hash" not in json.dumps(second)
    assert note["path"] == "/metadata/annotations/kubernetes.io~1change-cause"


@pytest.mark.parametrize(("times", "planned"), [(1, True), (99, False)])
def test_an_object_that_changes_between_the_reading_and_the_dry_run_is_read_again(
    rig: Rig, times: int, planned: bool
) -> None:
    """S2: a JSON patch's failed `test` is a 422, which was "the server would reject it"."""
    release(rig, DIGEST, OTHER)
    asked: list[str] = []

    def hook(method: str, path: str) -> None:
        if method == "PATCH" and path.endswith("/deployments/m0-quant") and len(asked) < times:
            asked.append(path)
            rig.touch("m0-quant")

    rig.do(lambda: setattr(rig.world.chaos, "before", hook))
    if planned:
        made = plan(rig.executors[0], UNDO)
        assert not made.blocked and made.dry_run.state is DryRunState.OK and len(asked) == 1
    else:
        with pytest.raises(PlanProblem, match="changes faster than it can be read"):
            plan(rig.executors[0], UNDO)


def test_its_undo_goes_to_the_revision_that_was_current_not_to_a_number(rig: Rig) -> None:
    release(rig, DIGEST, OTHER)
    made = plan(rig.executors[0], UNDO)
    carry(rig.executors[0], made)
    number = ended(rig.executors[0], made).journal
    assert number is not None
    rig.executors[0].close(5)
    back = rig.executor().plan_undo(number).result(20)
    assert [(c.before, c.after) for c in back.changes] == [(DIGEST, OTHER)]
    carry(rig.executors[-1], back)
    assert ended(rig.executors[-1], back).phase is Phase.DONE
    assert image(rig) == OTHER


def test_a_second_time_it_says_that_it_would_go_to_what_was_left_behind(rig: Rig) -> None:
    release(rig, DIGEST, OTHER)  # revisions 2 and 3
    made = plan(rig.executors[0], UNDO)
    assert guard(made, "revision") is None
    carry(rig.executors[0], made)
    assert ended(rig.executors[0], made).phase is Phase.DONE
    again = plan(rig.executors[0], UNDO)  # from 4, that was 2
    assert [c.after for c in again.changes] == [OTHER]
    said = guard(again, "revision")
    assert said.verdict is Verdict.CONFIRM and said.reason.startswith("revision 3 (m0-quant@cdcd")
    assert "was left behind when it was gone back to revision 4" in said.reason
    named = plan(rig.executors[0], step("undo-rollout", "m0-quant", args={"revision": "3"}))
    assert guard(named, "revision") is None


def test_a_pinned_revision_is_taken_and_one_that_is_gone_is_said(rig: Rig) -> None:
    release(rig, DIGEST, OTHER)
    pinned = step("undo-rollout", "m0-quant", args={"revision": "{revision}"}, params=(Param(name="revision"),))
    made = plan(rig.executors[0], pinned, revision="1")
    assert made.changes[0].after == "ghcr.io/m0club/m0-quant:v1"
    found = guard(made, "digest")
    assert (found.verdict, "no digest" in found.reason) == (Verdict.CONFIRM, True)  # it ran before: said, not refused
    with pytest.raises(PlanProblem, match="revision 9 of m0-quant is gone"):
        plan(rig.executors[0], pinned, revision="9")
    with pytest.raises(PlanProblem, match="expected a number"):
        plan(rig.executors[0], pinned, revision="1; rm")


def test_the_deployments_own_annotations_stay(rig: Rig) -> None:
    release(rig, DIGEST)
    rig.do(lambda: rig.touch("m0-quant"))
    made = plan(rig.executors[0], UNDO)
    carry(rig.executors[0], made)
    ended(rig.executors[0], made)
    assert "touched" in rig.obj("m0-quant")["metadata"]["annotations"]


def test_paused_or_without_a_past_it_is_refused(rig: Rig) -> None:
    with pytest.raises(PlanProblem, match="no older revision"):
        plan(rig.executor(), UNDO)
    rig.kubectl("PATCH", "m0-quant", {"spec": {"paused": True}})
    with pytest.raises(PlanProblem, match="paused"):
        plan(rig.executors[0], UNDO)


def test_a_conflict_over_status_alone_is_sent_once_more(rig: Rig) -> None:
    release(rig, DIGEST)
    made = plan(rig.executors[0], UNDO)
    before = len(rig.writes())
    rig.before_patch("m0-quant", lambda: rig.touch("m0-quant"))
    progress = carry(rig.executors[0], made)
    assert progress.phase is not Phase.STALE, progress.words
    assert len(rig.writes()) == before + 2


def test_a_conflict_with_another_template_is_stale(rig: Rig) -> None:
    release(rig, DIGEST)
    made = plan(rig.executors[0], UNDO)

    def other(obj: dict[str, Any]) -> None:
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = OTHER

    rig.before_patch("m0-quant", lambda: rig.touch("m0-quant", other))
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.STALE
    assert image(rig) == OTHER


def test_variables_that_differ_are_named_and_secrets_hidden(rig: Rig) -> None:
    executor = rig.executor()
    made = plan(
        executor,
        step("set-env", "m0-quant", env={"M0_API_TOKEN": "hunter2secret", "M0_GUARDRAIL_POLICY_LEVEL": "NORMAL"}),
    )
    carry(executor, made)
    ended(executor, made)
    back = plan(executor, UNDO)
    fields = {c.field: (c.before, c.after) for c in back.changes}
    assert fields["M0_GUARDRAIL_POLICY_LEVEL"] == ("NORMAL", "STRICT")
    assert fields["M0_API_TOKEN"][1] is None
    assert "hunter2secret" not in f"{back.changes}{back.kubectl}{back.blast}{back.inverse}{back.relevant}"
    carry(executor, back)
    ended(executor, back)
    assert "hunter2secret" not in rig.journal_path.read_text()


def test_secret_arguments_go_nowhere(rig: Rig) -> None:
    """H4: arguments `["--token","S"]` went into plan, Event, journal and evidence."""
    for secret in ("hunter2-old", "hunter2-new"):
        args = [
            "--port",
            "80",
            "--token",
            secret,
            f"--db-password={secret}",
            f"--basic-auth=ops:{secret}",
            "-c",
            f"serve --api-key {secret} --x",
        ]
        containers = [{"name": "m0-quant", "args": args, "workingDir": f"/srv/{secret[-3:]}"}]
        rig.kubectl(
            "PATCH",
            "m0-quant",
            {"spec": {"template": {"spec": {"containers": containers}}}},
            kind="strategic-merge-patch",
        )
        rig.settle()
    executor = rig.executor()
    back = plan(executor, UNDO)
    (args_changed,) = [c for c in back.changes if c.field.endswith("args")]
    assert "--port" in str(args_changed.before) and "***" in str(args_changed.before)
    assert not [s for s in ("hunter2-old", "hunter2-new") if s in f"{back.changes}{back.kubectl}{back.blast}"]
    carry(executor, back)
    assert ended(executor, back).phase is Phase.DONE
    assert "hunter2-" not in rig.journal_path.read_text()
    (event,) = [seen.body for seen in rig.seen if seen.method == "POST" and seen.path.endswith("/events")]
    assert "args changed" in event["message"] and "hunter2-" not in event["message"]
    assert "/srv/" not in event["message"]  # of other fields an Event names the path only
