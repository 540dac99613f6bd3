"""A confirmed plan is sent once or not at all, and what happened is never guessed."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future
from typing import Any

import pytest

from cockpit.clock import ManualClock
from cockpit.drill.kubernetes import Behaviour
from cockpit.drill.kubernetes.objects.resources import LEASES
from cockpit.journal.entries import entries_of
from cockpit.journal.operator import Operator
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import Phase, Progress, Verdict
from tests.support.kube_rig import (
    NAMESPACE,
    OPERATOR,
    OTHER_URL,
    SECRET_URL,
    Rig,
    carry,
    ended,
    guard,
    plan,
    step,
    yes,
)
from tests.support.waiting import wait_for

SWITCH = step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": OTHER_URL})
SCALE = step("scale", "m0-ingestor", replicas=6)


def outcome(rig: Rig, number: int = 1) -> str:
    found = entries_of(rig.journal.records())[number].outcome
    assert found is not None
    return str(found["result"])


def test_a_target_that_changed_since_is_not_touched(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    rig.kubectl("PATCH", "m0-ingestor", {"spec": {"replicas": 5}}, sub="/scale")
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.STALE
    assert "replicas changed since the plan was made" in progress.words
    assert progress.journal is None
    assert [w.body["spec"]["replicas"] for w in rig.writes()] == [5]


def test_a_changed_variable_is_named_without_its_value(rig: Rig) -> None:
    made = plan(rig.executor(), SWITCH)
    body = {
        "spec": {
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "m0-submitter",
                            "env": [{"name": "SOLANA_RPC_URL", "value": "https://x.example/SECRETSECRET12345"}],
                        }
                    ]
                }
            }
        }
    }
    rig.kubectl("PATCH", "m0-submitter", body, kind="strategic-merge-patch")
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.STALE
    assert "SOLANA_RPC_URL changed" in progress.words
    assert "SECRETSECRET" not in progress.words


def test_a_namesake_made_anew_is_another_object(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    rig.do(lambda: rig.touch("m0-ingestor", lambda o: o["metadata"].update(uid="another")))
    assert "made anew" in carry(rig.executors[0], made).words


def test_an_irrelevant_change_only_moves_the_precondition(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    rig.do(lambda: rig.touch("m0-ingestor"))
    assert carry(rig.executors[0], made).phase is not Phase.STALE
    (sent,) = rig.writes()
    assert sent.body["metadata"]["resourceVersion"] != made.resource_version


def test_a_conflict_over_nothing_is_sent_once_more(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    rig.before_patch("m0-ingestor", lambda: rig.touch("m0-ingestor"))
    progress = carry(rig.executors[0], made)
    assert progress.phase is not Phase.STALE, progress.words
    assert len(rig.writes()) == 2
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == 6
    assert outcome(rig) == "sent"


def test_a_second_conflict_gives_up(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    rig.before_patch("m0-ingestor", lambda: rig.touch("m0-ingestor"), times=5)
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.STALE
    assert "faster than it can be patched" in progress.words
    assert len(rig.writes()) == 2
    assert outcome(rig) == "stale"


def test_a_conflict_with_another_change_is_stale(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    rig.before_patch("m0-ingestor", lambda: rig.touch("m0-ingestor", lambda o: o["spec"].update(replicas=3)))
    assert carry(rig.executors[0], made).phase is Phase.STALE
    assert len(rig.writes()) == 1
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == 3


def test_a_conflict_with_a_new_generation_is_stale_even_if_our_fields_are_the_same(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    change = lambda o: o["spec"].update(minReadySeconds=1)  # noqa: E731
    rig.before_patch("m0-ingestor", lambda: rig.touch("m0-ingestor", change))
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.STALE
    assert "generation" in progress.words


def test_a_lost_answer_is_read_not_resent_applied(rig: Rig) -> None:
    made = plan(rig.executor(), SWITCH)
    rig.lose_the_answer("m0-submitter")
    progress = carry(rig.executors[0], made)
    assert progress.phase not in (Phase.FAILED, Phase.UNCERTAIN, Phase.STALE), progress.words
    assert len(rig.writes()) == 1
    assert outcome(rig) == "sent"
    record = entries_of(rig.journal.records())[1].outcome
    assert record is not None
    assert "applied" in record["words"]


def test_a_lost_request_is_read_not_resent_not_applied(rig: Rig) -> None:
    made = plan(rig.executor(), SWITCH)
    rig.cut_the_request("m0-submitter")
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.FAILED
    assert "not applied" in progress.words
    assert len(rig.writes()) == 1
    assert outcome(rig) == "not sent"
    assert SECRET_URL in json.dumps(rig.obj("m0-submitter"))


def test_a_500_is_not_believed_either_way(rig: Rig) -> None:
    made = plan(rig.executor(), SWITCH)
    rig.before_patch("m0-submitter", lambda: setattr(rig.world.chaos, "server_errors", 1))
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.FAILED
    assert "not applied" in progress.words


def test_a_proxys_page_is_no_answer(rig: Rig) -> None:
    made = plan(rig.executor(), SWITCH)
    rig.before_patch("m0-submitter", lambda: setattr(rig.world.chaos, "nonsense", 1))
    assert "not applied" in carry(rig.executors[0], made).words


def test_what_cannot_be_known_is_uncertain(rig: Rig) -> None:
    """The connection dies with the request, and the object cannot be read any more."""
    made = plan(rig.executor(), SWITCH)

    def die() -> None:
        rig.world.chaos.cut_writes = 1
        rig.world.chaos.forbidden.add("get deployments")

    rig.before_patch("m0-submitter", die)
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.UNCERTAIN
    assert outcome(rig) == "uncertain"
    rig.do(lambda: rig.world.chaos.forbidden.clear())


def test_the_servers_refusal_is_journalled(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    rig.before_patch("m0-ingestor", lambda: rig.world.chaos.forbidden.add("deployments/scale"))
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.FAILED
    assert "rejected by the server" in progress.words
    assert outcome(rig) == "rejected"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"digest": "0" * 64}, "another plan"),
        ({"plan_id": "other"}, "another plan"),
        ({"typed": "m0-other"}, "was not typed"),
        ({"typed": None}, "was not typed"),
    ],
)
def test_a_confirmation_that_does_not_fit_sends_nothing(rig: Rig, change: dict[str, Any], words: str) -> None:
    made = plan(rig.executor(), step("scale", "m0-submitter", replicas=0))
    assert made.typed == "m0-submitter"
    with pytest.raises(PlanProblem, match=words):
        rig.executors[0].carry_out(made, yes(made, **change)).result(10)
    assert not rig.writes()
    assert rig.journal.records() == ()


def test_a_plan_expires(rig: Rig) -> None:
    clock = ManualClock()
    made = plan(rig.executor(clock=clock), SCALE)
    clock.advance(121)
    with pytest.raises(PlanProblem, match="older than 120 s"):
        rig.executors[0].carry_out(made, yes(made, clock)).result(10)
    assert not rig.writes()


def test_a_plan_is_carried_out_once(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    carry(rig.executors[0], made)
    with pytest.raises(PlanProblem, match="not known any more"):
        carry(rig.executors[0], made)
    assert len(rig.writes()) == 1


def test_the_future_cannot_be_cancelled(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    future: Future[Progress] = rig.executors[0].carry_out(made, yes(made))
    assert not future.cancel()
    assert future.result(20).journal == 1


def test_close_waits_for_what_is_on_its_way(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    reached = threading.Event()

    def freeze() -> None:
        rig.world.chaos.freeze()
        reached.set()

    rig.before_patch("m0-ingestor", freeze)
    rig.executors[0].carry_out(made, yes(made))
    assert reached.wait(10)
    assert rig.executors[0].close(0.05) is False
    rig.do(rig.world.chaos.thaw)
    assert rig.executors[0].close(10)
    assert outcome(rig) == "sent"


def test_stop_watching_only_stops_the_watching(rig: Rig) -> None:
    rig.do(
        lambda: setattr(
            rig.world,
            "behaviour",
            lambda *_: Behaviour(ready=False),
        )
    )
    made = plan(rig.executor(), SWITCH)
    carry(rig.executors[0], made)
    rig.executors[0].stop_watching(made.id)
    progress = ended(rig.executors[0], made)
    assert "no longer watched" in progress.words
    assert rig.executors[0].journal_lines[0].undoable


@pytest.mark.parametrize("cut_off", [False, True], ids=["left", "cut off"])
def test_what_a_hang_up_cuts_off_is_left_for_the_next_start(rig: Rig, cut_off: bool) -> None:
    rig.do(lambda: setattr(rig.world, "behaviour", lambda *_: Behaviour(ready=False)))
    executor = rig.executor()
    made = plan(executor, SWITCH)
    carry(executor, made)
    assert executor.close(10, cut_off=cut_off)
    kinds = [record["kind"] for record in rig.journal.records()]
    assert outcome(rig) == "sent"
    assert ("proof" in kinds) is not cut_off  # without one it is judged, once its process has ended


def test_the_lease_tells_others_who_acts_and_is_given_back(rig: Rig) -> None:
    first, other = (
        rig.executor(),
        rig.executor(Operator(name="ops2", os_user="ops2", ssh_user="", ssh_from="", kube_user="", host="bastion")),
    )
    rig.do(
        lambda: setattr(
            rig.world,
            "behaviour",
            lambda *_: Behaviour(ready=False),
        )
    )
    made = plan(first, SWITCH)
    carry(first, made)
    seen = guard(plan(other, SCALE), "lease")
    assert seen.verdict is Verdict.CONFIRM
    assert "ops1@bastion" in seen.reason
    assert "set-env on deployment m0-submitter" in seen.reason
    assert guard(plan(first, SCALE), "lease").verdict is Verdict.NOTE
    first.stop_watching(made.id)
    wait_for(lambda: guard(plan(other, SCALE), "lease").verdict is Verdict.PASS)


def test_a_lease_taken_after_the_plan_stops_the_sending(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    lease = {
        "metadata": {
            "name": "m0-cockpit",
            "namespace": NAMESPACE,
            "annotations": {"m0-cockpit/doing": "scale on deployment m0-quant"},
        },
        "spec": {
            "holderIdentity": "ops2@bastion#1",
            "leaseDurationSeconds": 600,
            "acquireTime": "2099-01-01T00:00:00.000000Z",
            "renewTime": "2099-01-01T00:00:00.000000Z",
        },
    }
    rig.do(lambda: rig.world.store.create(LEASES, lease))
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.STALE
    assert "ops2@bastion" in progress.words
    again = plan(rig.executors[0], SCALE)
    assert guard(again, "lease").verdict is Verdict.CONFIRM
    assert again.typed == "m0-ingestor"
    assert carry(rig.executors[0], again).phase not in (Phase.STALE, Phase.FAILED)
    record = rig.journal.records()[0]
    assert [o["guard"] for o in record["overrides"]] == ["lease"]
    assert record["operator"]["name"] == OPERATOR.name
