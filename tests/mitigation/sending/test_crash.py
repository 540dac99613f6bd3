"""The journal comes first: what cannot be written is not sent, and what a crash left open is judged
by the cluster.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from cockpit.drill.kubernetes.serving import write_kubeconfig
from cockpit.journal.entries import entries_of
from cockpit.journal.journal import Journal, JournalProblem
from cockpit.model.plan import Phase
from tests.support.kube_rig import OTHER_URL, Rig, carry, ended, guard, plan, step, yes
from tests.support.paths import ROOT
from tests.support.waiting import wait_for

SCALE = step("scale", "m0-ingestor", replicas=6)

CRASHING = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[3])
    from tests.support.kube_rig import OPERATOR, NAMESPACE, runbooks, step, yes
    from cockpit.clock import SystemClock
    from cockpit.journal.journal import Journal
    from cockpit.kubeapi.access import load_access
    from cockpit.mitigation.executor import Executor

    class Dying(Journal):
        def append(self, record):
            if record["kind"] == sys.argv[4]:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().append(record)

    journal = Dying.open(Path(sys.argv[2]))
    executor = Executor(lambda: load_access(sys.argv[1]), runbooks(), journal, lambda: None, SystemClock(),
                        namespace=NAMESPACE, read_only=False, operator=OPERATOR)
    executor.start()
    if sys.argv[5] == "before":
        import cockpit.mitigation.sending.send
        def die(*_):
            os.kill(os.getpid(), signal.SIGKILL)
        real = Journal.append
        def append(self, record):
            number = real(self, record)
            if record["kind"] == "intent":
                die()
            return number
        Dying.append = append
    made = executor.plan(None, step("scale", "m0-ingestor", replicas=6), {}).result(30)
    executor.carry_out(made, yes(made)).result(30)
    import time
    time.sleep(30)  # the rollout is watched meanwhile
"""


def crash(rig: Rig, when: str, kind: str = "outcome") -> None:
    """A cockpit that dies by kill -9: before the request leaves, or where it would write a record
    of that kind.
    """
    kubeconfig = write_kubeconfig(rig.directory / "crash", rig.served)
    script = textwrap.dedent(CRASHING)
    done = subprocess.run(
        [sys.executable, "-c", script, str(kubeconfig), str(rig.journal_path), str(ROOT), kind, when],
        timeout=60,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(("when", "judgement"), [("before", "not applied"), ("after", "applied")])
def test_a_kill_between_intent_and_outcome_is_judged_by_the_cluster(rig: Rig, when: str, judgement: str) -> None:
    crash(rig, when)
    executor = rig.executor()
    (found,) = executor.judge_unfinished().result(20)
    assert found.number == 1
    assert found.judgement == judgement, found
    assert [(c.before, c.after) for c in found.changes] == [("4", "6")]
    assert executor.judge_unfinished().result(20) == ()
    assert rig.journal.verify() == []
    assert executor.journal_lines[0].outcome == f"unfinished: {judgement}"
    assert executor.journal_lines[0].undoable == (judgement == "applied")


@pytest.mark.parametrize(
    ("kind", "sent", "judgement"),
    [("intent", 0, None), ("outcome", 1, "applied"), ("rollout", 1, "applied"), ("proof", 1, "applied")],
)
def test_a_kill_where_any_record_would_be_written(rig: Rig, kind: str, sent: int, judgement: str | None) -> None:
    """From the yes to the proof: what was journalled is judged, what was not was not sent, and
    nothing is sent again.
    """
    crash(rig, "after", kind)
    executor = rig.executor()
    found = executor.judge_unfinished().result(20)
    assert [one.judgement for one in found] == ([judgement] if judgement else [])
    assert rig.journal.verify() == []
    assert len(rig.writes()) == sent
    assert executor.judge_unfinished().result(20) == ()
    made = plan(executor, step("scale", "m0-ingestor", replicas=7))
    assert (
        "left by a cockpit of this host that is dead" in guard(made, "lease").reason
    )  # said, and taken over without a word typed
    assert made.typed is None
    carry(executor, made)
    assert ended(executor, made).phase is Phase.DONE
    tries = rig.writes()[sent:]  # a status that changed meanwhile is a conflict, and asks for one more
    assert 1 <= len(tries) <= 2 and {t.body["spec"]["replicas"] for t in tries} == {7}
    assert rig.journal.verify() == []


def test_a_kill_and_then_another_hand_is_changed_since(rig: Rig) -> None:
    crash(rig, "after")
    rig.kubectl("PATCH", "m0-ingestor", {"spec": {"replicas": 3}}, sub="/scale")
    (found,) = rig.executor().judge_unfinished().result(20)
    assert found.judgement == "changed since"


def test_what_cannot_be_read_stays_open(rig: Rig) -> None:
    crash(rig, "after")
    rig.do(lambda: rig.world.chaos.forbidden.add("get deployments"))
    (found,) = rig.executor().judge_unfinished().result(20)
    assert found.judgement == "unknown"
    rig.do(rig.world.chaos.forbidden.clear)
    (found,) = rig.executors[0].judge_unfinished().result(20)
    assert found.judgement == "applied"


def test_an_applied_step_of_a_dead_cockpit_can_be_undone(rig: Rig) -> None:
    crash(rig, "after")
    executor = rig.executor()
    executor.judge_unfinished().result(20)
    undo = executor.plan_undo(1).result(20)
    carry(executor, undo)
    assert ended(executor, undo).phase is Phase.DONE
    assert rig.obj("m0-ingestor")["spec"]["replicas"] == 4


def test_another_cockpits_work_is_not_called_unfinished(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    rig.before_patch("m0-ingestor", rig.world.chaos.freeze)
    future = rig.executors[0].carry_out(made, yes(made))
    wait_for(lambda: rig.journal.records())
    assert rig.journal.unfinished() == ()
    rig.do(rig.world.chaos.thaw)
    assert future.result(20).journal == 1


def test_a_full_disk_sends_nothing(rig: Rig) -> None:
    def write(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal.open(rig.journal_path, write=write)
    made = plan(rig.executor(journal=journal), step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": OTHER_URL}))
    with pytest.raises(JournalProblem, match="No space left"):
        carry(rig.executors[0], made)
    assert not rig.writes()
    (progress,) = rig.executors[0].progress
    assert progress.phase is Phase.FAILED
    assert "nothing was sent" in progress.words


def test_a_disk_that_fills_after_the_intent_does_not_hide_the_outcome(rig: Rig) -> None:
    left = [1]

    def write(fd: int, data: bytes) -> int:
        if left[0] <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        return os.write(fd, data)

    journal = Journal.open(rig.journal_path, write=write)
    made = plan(rig.executor(journal=journal), SCALE)
    progress = carry(rig.executors[0], made)
    assert "NOT JOURNALLED" in progress.words
    assert len(rig.writes()) == 1
    assert entries_of(journal.records())[1].outcome is None


def test_the_intent_is_on_disk_before_the_request_leaves(rig: Rig) -> None:
    made = plan(rig.executor(), SCALE)
    on_disk: list[str] = []
    rig.before_patch("m0-ingestor", lambda: on_disk.append(rig.journal_path.read_text()))
    carry(rig.executors[0], made)
    (line,) = on_disk[0].splitlines()
    record = json.loads(line)
    assert record["kind"] == "intent"
    assert record["digest"] == made.digest
    assert record["resource_version"] == rig.writes()[0].body["metadata"]["resourceVersion"]
