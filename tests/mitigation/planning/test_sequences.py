"""Several steps in a row: each confirmed on its own, stopping at the first that fails, gone on with
by whoever comes next.
"""

from __future__ import annotations

from argparse import Namespace
from concurrent.futures import Future
from typing import Any

import pytest
from msgspec.structs import replace

from cockpit.cli import build_parser
from cockpit.commands.run import REFUSED, UNPROVEN
from cockpit.commands.run import carry as carry_headless
from cockpit.drill.kubernetes import Behaviour
from cockpit.mitigation.executor import Executor
from cockpit.mitigation.planning.sequence import parts_of
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import Part, Phase, Plan, Progress, Proof, SequenceState, Verdict
from cockpit.model.runbook import Param, Runbook, Step
from cockpit.model.signal import Level
from tests.support.kube_rig import Rig, carry, ended, guard, plan, runbooks, status, step, yes
from tests.support.waiting import wait_for

STOP = step("scale", "m0-quant", id="stop-quant", title="Stop the engine", replicas=0)
ASK = Step(id="restored", title="Restored?", kind="manual", question="Is it restored?", args={"answer": "yes-no"})
START = step(
    "scale",
    "m0-quant",
    id="start-quant",
    title="Start the engine",
    replicas="{n}",
    params=(Param(name="n", type="int", default=2),),
)
CHECK = Step(id="look", title="Look", kind="check", signals=("commit-rate",))
WHOLE = Step(id="restore", title="Restore", kind="sequence", steps=("stop-quant", "restored", "start-quant", "look"))
RUNBOOK = Runbook(
    id="backup-restore",
    number=14,
    title="Restore",
    mitigations=(STOP, ASK, START, CHECK, WHOLE),
    validation=runbooks().runbooks[0].validation,
)


@pytest.fixture(autouse=True)
def with_the_runbook(rig: Rig) -> None:
    rig.runbooks = replace(runbooks(), runbooks=(*runbooks().runbooks, RUNBOOK))


def states(state: SequenceState) -> list[str]:
    return [item.state for item in state.items]


def part(rig: Rig, index: int, run: str = "", **parameters: str) -> Plan:
    return rig.executors[-1].plan_part(RUNBOOK, WHOLE, index, parameters, run).result(20)


def done(rig: Rig, made: Plan) -> Progress:
    carry(rig.executors[-1], made)
    return ended(rig.executors[-1], made)


def now(rig: Rig, run: str = "") -> SequenceState:
    return rig.executors[-1].sequence(RUNBOOK, WHOLE, run)


def answer(rig: Rig, run: str, choice: str) -> None:
    where = Part(run, RUNBOOK.id, WHOLE.id, 1, 4)
    rig.executors[-1].note(RUNBOOK.id, ASK.id, "at 12:04", choice=choice, part=where)


def test_it_goes_through_part_by_part_to_its_end(rig: Rig) -> None:
    rig.executor()
    assert states(now(rig)) == ["next", "waiting", "waiting", "waiting"]
    made = part(rig, 0)
    assert made.part is not None
    run = made.part.run
    first = done(rig, made)
    assert (first.phase, first.proof) == (Phase.DONE, Proof.NONE)
    assert "part 1 of 4: the signals prove the last one" in first.words
    answer(rig, run, "yes")
    assert states(now(rig)) == ["done", "done", "next", "waiting"]
    assert done(rig, part(rig, 2, run, n="3")).phase is Phase.DONE
    assert rig.obj("m0-quant")["spec"]["replicas"] == 3
    assert done(rig, part(rig, 3, run)).proof is Proof.PASS
    assert states(now(rig, run)) == ["done"] * 4
    assert now(rig, run).next is None
    assert now(rig).run == ""  # the next time it begins anew
    notes = [line.title for line in rig.executors[-1].journal_lines if "Restore: part" in line.title]
    assert not notes  # they belong to their step, not to the list

    def noted(words: str) -> bool:
        return any(words in r["words"] for r in rig.journal.records() if r["kind"] == "note")

    assert wait_for(lambda: noted("part 1 of 4 (Stop the engine) done"))
    assert wait_for(lambda: noted("part 4 of 4 (Look) done: that was the last"))


def test_a_part_that_is_so_already_is_done(rig: Rig) -> None:
    rig.kubectl("PATCH", "m0-quant", {"spec": {"replicas": 0}}, sub="/scale")
    rig.executor()
    made = part(rig, 0)
    assert made.nothing_to_do
    assert states(now(rig)) == ["done", "next", "waiting", "waiting"]


def test_one_part_comes_after_the_other(rig: Rig) -> None:
    rig.executor()
    with pytest.raises(PlanProblem, match="part 1 of 4 comes first: Stop the engine"):
        part(rig, 2, n="2")


def test_it_stops_at_a_no_and_at_a_check_that_is_not_ok(rig: Rig) -> None:
    rig.executor()
    made = part(rig, 0)
    assert made.part is not None
    run = made.part.run
    done(rig, made)
    answer(rig, run, "no")
    assert states(now(rig)) == ["done", "stopped", "waiting", "waiting"]
    with pytest.raises(PlanProblem, match="part 2 of 4 comes first"):
        part(rig, 2, run)
    answer(rig, run, "yes")
    done(rig, part(rig, 2, run))
    rig.signals["commit-rate"] = status("commit-rate", Level.UNKNOWN, None, reason="stale")
    assert done(rig, part(rig, 3, run)).proof is Proof.UNKNOWN
    assert states(now(rig)) == ["done", "done", "done", "stopped"]  # unknown is no yes
    rig.signals["commit-rate"] = status("commit-rate")
    done(rig, part(rig, 3, run))
    assert now(rig, run).next is None


def test_another_cockpit_goes_on_where_one_stopped(rig: Rig) -> None:
    rig.executor()
    made = part(rig, 0)
    assert made.part is not None
    done(rig, made)
    rig.executors[0].close(5)
    rig.executor()
    state = now(rig)
    assert (state.run, states(state)) == (made.part.run, ["done", "next", "waiting", "waiting"])


def test_a_part_that_fails_stops_it_and_is_tried_again(rig: Rig) -> None:
    rig.executor()
    made = part(rig, 0)
    assert made.part is not None
    rig.kubectl("PATCH", "m0-quant", {"spec": {"replicas": 5}}, sub="/scale")
    assert carry(rig.executors[0], made).phase is Phase.STALE
    assert states(now(rig)) == ["next", "waiting", "waiting", "waiting"]
    rig.do(lambda: rig.world.chaos.forbidden.add("patch deployments/scale"))
    refused = part(rig, 0)
    assert guard(refused, "permission").verdict is Verdict.BLOCK
    rig.do(rig.world.chaos.forbidden.clear)
    again = part(rig, 0)
    assert done(rig, again).phase is Phase.DONE
    assert states(now(rig))[0] == "done"


def test_an_undone_part_is_not_done(rig: Rig) -> None:
    executor = rig.executor()
    made = part(rig, 0)
    number = done(rig, made).journal
    assert number is not None
    undo = executor.plan_undo(number).result(20)
    done(rig, undo)
    assert states(now(rig))[0] == "stopped"


def test_circles_and_missing_steps_are_refused() -> None:
    a = Step(id="a", title="a", kind="sequence", steps=("b",))
    b = Step(id="b", title="b", kind="sequence", steps=("a",))
    with pytest.raises(PlanProblem, match="comes back to itself"):
        parts_of(Runbook(id="x", number=1, title="x", mitigations=(a, b)), a)
    with pytest.raises(PlanProblem, match="no step b"):
        parts_of(Runbook(id="x", number=1, title="x", mitigations=(a,)), a)
    nested = Step(id="n", title="n", kind="sequence", steps=("restore", "look"))
    runbook = replace(RUNBOOK, mitigations=(*RUNBOOK.mitigations, nested))
    assert [s.id for s in parts_of(runbook, nested)] == ["stop-quant", "restored", "start-quant", "look", "look"]


# a singleton that would surge to two

CHANGE = step(
    "set-env",
    "m0-submitter",
    id="set",
    title="Change it",
    env={"M0_PUBLISH_CONCURRENCY": "{n}"},
    params=(Param(name="n", type="int"),),
)
AGAIN = step("restart", "m0-submitter", id="again", title="Restart it")
SUBMITTER = Runbook(id="submitter", number=20, title="Submitter", mitigations=(CHANGE, AGAIN))


@pytest.fixture
def surging(rig: Rig) -> Rig:
    rig.runbooks = replace(runbooks(), runbooks=(SUBMITTER,))
    rig.kubectl("PATCH", "m0-submitter", {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": None}}})
    rig.settle()
    return rig


def test_a_singleton_that_would_surge_is_offered_in_stages_and_never_runs_twice(surging: Rig) -> None:
    rig = surging
    slow = Behaviour(startup_s=0.5, stop_s=4.0)
    rig.world.behaviour = lambda _service, _image, _env: slow
    executor = rig.executor()
    made = executor.plan(SUBMITTER, CHANGE, {"n": "2"}).result(20)
    assert guard(made, "singleton").verdict is Verdict.BLOCK
    assert "would run 2 m0-submitter at once" in guard(made, "singleton").reason
    assert made.staged == "scale m0-submitter to 0, wait until no pod is left, change it, scale to 1"
    with pytest.raises(PlanProblem, match="blocked by singleton"):
        executor.carry_out(made, yes(made)).result(10)
    most = [0]
    rig.do(lambda: rig.world.store.listeners.append(lambda *_: most.append(len(rig.world.running("m0-submitter")))))
    run = ""
    for index, parameters in enumerate(({}, {"n": "2"}, {})):
        one = executor.plan_part(SUBMITTER, CHANGE, index, parameters, run).result(20)
        assert not one.blocked, one.blocked
        assert one.part is not None
        run = one.part.run
        final = done(rig, one)
        assert final.phase is Phase.DONE, final.words
        if index == 0:
            assert "no pod is left" in final.words
            assert one.dangerous  # it stops publishing
    assert executor.sequence(SUBMITTER, CHANGE, run).next is None
    assert max(most) == 1
    env = rig.obj("m0-submitter")["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "M0_PUBLISH_CONCURRENCY", "value": "2"} in env


class Headless:
    """What `m0-cockpit run` asks of a session, on the rig."""

    def __init__(self, executor: Executor) -> None:
        self.mitigations = executor

    @property
    def progress(self) -> tuple[Progress, ...]:
        return self.mitigations.progress


def test_without_a_screen_it_is_offered_in_stages_and_goes_on_where_it_was_stopped(
    surging: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    session = Headless(surging.executor())
    asked = {"yes": False, "confirm": "m0-submitter", "json": False, "no_wait": False, "dry_run": False}

    def run(**more: Any) -> int:
        args = Namespace(**{**asked, "in_stages": False, **more})
        return carry_headless(session, args, SUBMITTER, CHANGE, {"n": "2"})

    assert run() == REFUSED
    assert (
        "(--in-stages does it so: scale m0-submitter to 0, wait until no pod is left, change it, scale to 1"
        in capsys.readouterr().out
    )
    so_far = len(surging.writes())
    assert run(in_stages=True, dry_run=True) == 0 and len(surging.writes()) == so_far
    assert run(in_stages=True, no_wait=True) == UNPROVEN  # stopped after the first stage
    assert surging.obj("m0-submitter")["spec"]["replicas"] == 0
    assert run(in_stages=True) in (0, UNPROVEN)
    assert session.mitigations.sequence(SUBMITTER, CHANGE).run == ""  # it is done: the next one begins anew
    obj = surging.obj("m0-submitter")
    assert obj["spec"]["replicas"] == 1
    assert {"name": "M0_PUBLISH_CONCURRENCY", "value": "2"} in obj["spec"]["template"]["spec"]["containers"][0]["env"]


def test_without_a_screen_no_undo_is_offered_of_what_was_rejected(
    rig: Rig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    more = step("scale", "m0-ingestor", id="more", replicas=6)
    runbook = Runbook(id="more", number=21, title="More", mitigations=(more,))
    rig.runbooks = replace(runbooks(), runbooks=(runbook,))
    args = Namespace(yes=True, confirm=None, json=False, no_wait=True, dry_run=False, in_stages=False)
    session = Headless(rig.executor())
    planned = session.mitigations.plan

    def refused_later(*asked: Any) -> Future[Plan]:
        made = planned(*asked)
        made.result(20)
        rig.before_patch("m0-ingestor", lambda: rig.world.chaos.forbidden.add("patch deployments/scale"))
        return made

    monkeypatch.setattr(session.mitigations, "plan", refused_later)
    carry_headless(session, args, runbook, more, {})
    assert capsys.readouterr().out.endswith("journal 1\n")
    rig.do(lambda: rig.world.chaos.forbidden.clear())
    monkeypatch.setattr(session.mitigations, "plan", planned)
    carry_headless(session, args, runbook, more, {})
    assert capsys.readouterr().out.endswith("journal 2; undo: m0-cockpit journal undo 2\n")


@pytest.mark.parametrize(
    ("words", "kind", "sent"),
    [
        (["--yes", "--confirm", "m0-ingestor"], "ordinary", True),
        (["--confirm", "m0-ingestor", "--yes"], "ordinary", True),
        (["--yes", "--confirm=m0-submitter,m0-ingestor"], "dangerous", True),
        (["--yes", "--confirm", "m0-submitter"], "dangerous", True),
        (["--yes", "--confirm", "m0-quant"], "dangerous", False),
        (["--yes", "--confirm", ""], "dangerous", False),
    ],
)
def test_yes_and_a_name_together_confirm_what_each_confirms(rig: Rig, words: list[str], kind: str, sent: bool) -> None:
    """S9: it was refused as a wrong command line."""
    one = {
        "ordinary": step("scale", "m0-ingestor", id="more", replicas=6),
        "dangerous": step("scale", "m0-submitter", id="stop", replicas=0),
    }[kind]
    runbook = Runbook(id="more", number=21, title="More", mitigations=(one,))
    rig.runbooks = replace(runbooks(), runbooks=(runbook,))
    args = build_parser("run").parse_args(["run", "21", one.id, *words, "--no-wait"])
    code = carry_headless(Headless(rig.executor()), args, runbook, one, {})
    assert (code != REFUSED) is sent and bool(rig.writes()) is sent


def test_a_restart_in_stages_is_a_stop_and_a_start(surging: Rig) -> None:
    made = surging.executor().plan(SUBMITTER, AGAIN, {}).result(20)
    assert made.staged == "scale m0-submitter to 0, wait until no pod is left, scale to 1"
    assert [s.kind for s in parts_of(SUBMITTER, AGAIN)] == ["scale", "scale"]


def test_recreate_needs_no_stages(rig: Rig) -> None:
    assert plan(rig.executor(), CHANGE, n="2").staged == ""
