"""One key of a ConfigMap: shown, sent with its version, taken back, and who must be restarted to
see it.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from cockpit.drill.kubernetes.objects.resources import CONFIGMAPS, DEPLOYMENTS
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import Phase, Verdict
from cockpit.model.runbook import Step
from tests.support.kube_rig import NAMESPACE, Rig, carry, ended, guard, plan, yes

NAME = "m0-engine-config"


def setting(key: str, value: str, configmap: str = NAME) -> Step:
    return Step(id="set", title="set", kind="set-config", args={"configmap": configmap, "key": key, "value": value})


def data(rig: Rig) -> dict[str, str]:
    return dict(rig.do(lambda: dict(rig.world.config(NAME))))


def use(rig: Rig, change: dict[str, Any], service: str = "m0-quant") -> None:
    """A workload takes the ConfigMap."""

    def work() -> None:
        stored = rig.world.store.get(DEPLOYMENTS, NAMESPACE, service)
        assert stored is not None
        obj = stored.copy()
        spec = obj["spec"]["template"]["spec"]
        spec["volumes"] = change.get("volumes", [])
        spec["containers"][0].update({k: v for k, v in change.items() if k != "volumes"})
        rig.world.store.replace(DEPLOYMENTS, stored, obj)

    rig.do(work)


def test_one_key_changes_and_is_put_back_after_a_restart_too(rig: Rig) -> None:
    made = plan(rig.executor(), setting("M0_EXPECTED_SOURCES", "3"))
    assert [(c.field, c.before, c.after) for c in made.changes] == [("M0_EXPECTED_SOURCES", "4", "3")]
    assert made.kubectl == (
        "kubectl --context drill -n m0-prod patch configmap m0-engine-config --type merge "
        '-p \'{"data":{"M0_EXPECTED_SOURCES":"3"}}\''
    )
    carry(rig.executors[0], made)
    assert ended(rig.executors[0], made).phase is Phase.DONE
    assert data(rig)["M0_EXPECTED_SOURCES"] == "3"
    (sent,) = [s for s in rig.seen if s.method == "PATCH" and "dryRun" not in s.params]
    assert sent.content_type == "application/merge-patch+json"
    assert set(sent.body) == {"metadata", "data"}
    assert sent.body["metadata"]["resourceVersion"]
    rig.executors[0].close(5)
    undo = rig.executor().plan_undo(1).result(20)
    carry(rig.executors[-1], undo)
    ended(rig.executors[-1], undo)
    assert data(rig)["M0_EXPECTED_SOURCES"] == "4"


def test_a_new_key_is_removed_again(rig: Rig) -> None:
    made = plan(rig.executor(), setting("NEW", "1"))
    assert made.changes[0].before is None
    carry(rig.executors[0], made)
    ended(rig.executors[0], made)
    undo = rig.executors[0].plan_undo(1).result(20)
    assert undo.changes[0].after is None
    carry(rig.executors[0], undo)
    ended(rig.executors[0], undo)
    assert "NEW" not in data(rig)


def test_several_lines_are_a_diff_and_come_back_whole(rig: Rig) -> None:
    before = data(rig)["engine.toml"]
    made = plan(rig.executor(), setting("engine.toml", "cadence_ms = 250\nworkers = 4\n"))
    assert "-cadence_ms = 500" in made.blast
    assert "+cadence_ms = 250" in made.blast
    carry(rig.executors[0], made)
    ended(rig.executors[0], made)
    rig.executors[0].close(5)
    undo = rig.executor().plan_undo(1).result(20)
    carry(rig.executors[-1], undo)
    ended(rig.executors[-1], undo)
    assert data(rig)["engine.toml"] == before


def test_one_that_vanished_since_is_stale_and_nothing_is_sent(rig: Rig) -> None:
    made = plan(rig.executor(), setting("M0_EXPECTED_SOURCES", "3"))

    def vanish() -> None:
        stored = rig.world.store.get(CONFIGMAPS, NAMESPACE, NAME)
        assert stored is not None
        rig.world.store.remove(CONFIGMAPS, stored)

    rig.do(vanish)
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.STALE
    assert "m0-engine-config is gone" in progress.words
    assert not [s for s in rig.seen if s.method == "PATCH" and "dryRun" not in s.params]
    assert rig.journal.records() == ()


def test_another_value_meanwhile_is_stale_another_key_is_not(rig: Rig) -> None:
    executor = rig.executor()
    made = plan(executor, setting("M0_EXPECTED_SOURCES", "3"))
    rig.do(lambda: rig.world.configmap(NAME, {**rig.world.config(NAME), "OTHER": "x"}))
    assert carry(executor, made).phase is not Phase.STALE
    ended(executor, made)
    made = plan(executor, setting("M0_EXPECTED_SOURCES", "2"))
    rig.do(lambda: rig.world.configmap(NAME, {**rig.world.config(NAME), "M0_EXPECTED_SOURCES": "9"}))
    assert carry(executor, made).phase is Phase.STALE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"envFrom": [{"configMapRef": {"name": NAME}}]},
            "m0-quant takes it as environment (envFrom): needs a restart",
        ),
        (
            {"env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": NAME, "key": "M0_EXPECTED_SOURCES"}}}]},
            "as environment (X): needs a restart",
        ),
        (
            {
                "volumes": [{"name": "c", "configMap": {"name": NAME}}],
                "volumeMounts": [{"name": "c", "mountPath": "/c"}],
            },
            "as a file: sees it within about a minute",
        ),
        (
            {
                "volumes": [{"name": "c", "projected": {"sources": [{"configMap": {"name": NAME}}]}}],
                "volumeMounts": [{"name": "c", "mountPath": "/c/x", "subPath": "x"}],
            },
            "as a file by subPath: needs a restart",
        ),
        (
            {"env": [{"name": "Y", "valueFrom": {"configMapKeyRef": {"name": NAME, "key": "OTHER"}}}]},
            "no workload of m0-prod takes",
        ),
    ],
)
def test_it_says_who_takes_it_and_whether_a_restart_is_needed(rig: Rig, change: dict[str, Any], words: str) -> None:
    use(rig, change)
    made = plan(rig.executor(), setting("M0_EXPECTED_SOURCES", "3"))
    assert any(words in line for line in made.blast), made.blast


def test_a_guardrail_in_a_configmap_is_a_guardrail(rig: Rig) -> None:
    rig.do(lambda: rig.world.configmap(NAME, {"M0_GUARDRAIL_POLICY_LEVEL": "STRICT"}))
    made = plan(rig.executor(), setting("M0_GUARDRAIL_POLICY_LEVEL", "FAST"))
    assert made.dangerous
    assert made.relaxes
    assert guard(made, "direction") is not None
    assert made.typed == NAME
    with pytest.raises(PlanProblem, match="not a value of"):
        plan(rig.executors[0], setting("M0_GUARDRAIL_POLICY_LEVEL", "LOOSE"))


def test_a_secret_is_neither_shown_nor_kept(rig: Rig) -> None:
    made = plan(rig.executor(), setting("api_token", "hunter2secret"))
    assert "hunter2secret" not in f"{made.changes}{made.kubectl}{made.blast}{made.relevant}"
    carry(rig.executors[0], made)
    ended(rig.executors[0], made)
    assert "hunter2secret" not in rig.journal_path.read_text()


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (setting("a b", "1"), "not a key of a ConfigMap"),
        (setting("X", "1", "nothing-there"), "no configmap nothing-there"),
        (setting("X", "1" * 600_000), "larger than"),
        (Step(id="s", title="s", kind="set-config", args={"key": "X", "value": "1"}), "names no ConfigMap"),
    ],
)
def test_what_cannot_be_set_is_said_before(rig: Rig, made: Step, words: str) -> None:
    with pytest.raises(PlanProblem, match=words):
        plan(rig.executor(), made)


def test_no_right_to_patch_it_blocks(rig: Rig) -> None:
    from cockpit.drill.kubernetes import Rule, User

    rig.world.users["ops"] = User("ops", (Rule(("get", "list", "watch"), ("*",), ("*",)),))
    rig.token = "ops"
    made = plan(rig.executor(), setting("M0_EXPECTED_SOURCES", "3"))
    assert guard(made, "permission").verdict is Verdict.BLOCK
    with pytest.raises(PlanProblem, match="blocked by permission"):
        rig.executors[0].carry_out(made, yes(made)).result(20)
    assert json.dumps(data(rig))
