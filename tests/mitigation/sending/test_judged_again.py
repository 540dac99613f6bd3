"""What became worse between the plan and the send stops it, and nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cockpit.model.plan import Phase, Verdict
from cockpit.model.signal import Level
from tests.support.kube_rig import OTHER_URL, Rig, carry, guard, plan, status, step

SCALE = step("scale", "m0-ingestor", replicas=6)
SWITCH = step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": OTHER_URL})
START = step("scale", "m0-submitter", replicas=1)
STOP = step("scale", "m0-submitter", replicas=0)


def an_autoscaler(rig: Rig) -> None:
    rig.do(lambda: rig.world.autoscaler("m0-ingestor", target="m0-ingestor", minimum=2, maximum=8))


def a_mark_of_argo(rig: Rig) -> None:
    def mark(obj: dict[str, Any]) -> None:
        obj["metadata"].setdefault("labels", {})["argocd.argoproj.io/instance"] = "m0"
        obj["metadata"]["generation"] -= 1  # it is no change of the spec

    rig.do(lambda: rig.touch("m0-ingestor", mark))


def no_right_any_more(rig: Rig) -> None:
    rig.do(lambda: rig.world.chaos.forbidden.add("patch deployments/scale"))


def a_bad_signal(rig: Rig) -> None:
    rig.signals["invalid-signatures"] = status("invalid-signatures", Level.CRIT, 3.0)


def unknown_signals(rig: Rig) -> None:
    for name in rig.signals:
        rig.signals[name] = status(name, Level.UNKNOWN, None, reason="no answer")


@pytest.mark.parametrize("change", [an_autoscaler, a_mark_of_argo, no_right_any_more])
def test_a_guard_that_became_worse_stops_the_send(rig: Rig, change: Callable[[Rig], None]) -> None:
    """S2: an HPA, an Argo CD mark that came in between went by without a word."""
    executor = rig.executor()
    made = plan(executor, SCALE)
    change(rig)
    progress = carry(executor, made)
    assert progress.phase is Phase.STALE, progress.words
    assert "plan again" in progress.words and progress.journal is None
    assert rig.writes() == []
    again = plan(executor, SCALE)
    assert again.overrides or again.blocked


def test_publishing_is_not_enabled_while_signatures_have_turned_bad(rig: Rig) -> None:
    """S2: `invalid-bundles` had turned CRIT on the panel behind the dialog."""
    executor = rig.executor()
    carry(executor, plan(executor, STOP))
    rig.settle()
    made = plan(executor, START)
    found = guard(made, "direction")
    assert found.verdict is Verdict.NOTE
    assert executor.worse_now(made) == ""
    a_bad_signal(rig)
    assert "invalid-signatures is crit" in executor.worse_now(made)  # the open dialog says so at once
    before = len(rig.writes())
    progress = carry(executor, made)
    assert progress.phase is Phase.STALE and "invalid-signatures is crit" in progress.words
    assert len(rig.writes()) == before


def test_what_was_overridden_as_unknown_and_is_bad_now_stops_it_too(rig: Rig) -> None:
    """S2: the verdict is the same, what it stands on is worse."""
    executor = rig.executor()
    carry(executor, plan(executor, STOP))
    rig.settle()
    rig.signals["invalid-signatures"] = status("invalid-signatures", Level.UNKNOWN, None, reason="no answer")
    made = plan(executor, START)
    assert guard(made, "direction").verdict is Verdict.CONFIRM
    a_bad_signal(rig)
    assert carry(executor, made).phase is Phase.STALE


@pytest.mark.parametrize("where", ["initContainers", "containers"])
def test_a_container_that_others_put_in_is_not_started_unseen(rig: Rig, where: str) -> None:
    """S2: an init container that came in between went by without a word."""
    executor = rig.executor()
    made = plan(executor, SWITCH)

    def add(obj: dict[str, Any]) -> None:
        obj["spec"]["template"]["spec"].setdefault(where, []).append({"name": "miner", "image": "x/y:1"})

    rig.do(lambda: rig.touch("m0-submitter", add))
    assert "miner" in executor.judge_again(made).result(10) or where == "containers"
    progress = carry(executor, made)
    assert progress.phase is Phase.STALE, progress.words
    assert rig.writes() == []


def test_what_comes_in_with_a_conflict_is_judged_as_well(rig: Rig) -> None:
    """S2: the mark arrives between the last look and the PATCH, which meets a 409."""
    executor = rig.executor()
    made = plan(executor, SCALE)

    def mark(obj: dict[str, Any]) -> None:
        obj["metadata"].setdefault("labels", {})["argocd.argoproj.io/instance"] = "m0"
        obj["metadata"]["generation"] -= 1

    rig.before_patch("m0-ingestor", lambda: rig.touch("m0-ingestor", mark))
    progress = carry(executor, made)
    assert progress.phase is Phase.STALE and "Argo CD" in progress.words
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == 4


def test_what_is_better_or_the_same_is_sent(rig: Rig) -> None:
    unknown_signals(rig)
    executor = rig.executor()
    made = plan(executor, SCALE)
    assert executor.worse_now(made) == ""
    assert carry(executor, made).phase is not Phase.STALE


def test_the_kill_switch_does_not_wait_for_signals(rig: Rig) -> None:
    """S2: what only makes safer is not held up by doubts about why."""
    executor = rig.executor()
    made = plan(executor, STOP)
    unknown_signals(rig)
    assert executor.worse_now(made) == ""
    assert carry(executor, made).phase is not Phase.STALE
    assert rig.obj("m0-submitter")["spec"]["replicas"] == 0
