"""A program that runs can be ended by the operator, with all that it started; and nothing is
claimed of what it did so far.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cockpit.drill.kubernetes.serving import write_kubeconfig
from cockpit.journal.entries import entries_of
from cockpit.mitigation.context import Backends, NetworkCli
from cockpit.mitigation.executor import Executor
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.observed.chain import MarketState
from cockpit.model.plan import Phase, Plan, Progress, Proof
from cockpit.model.reading import Reading
from cockpit.model.runbook import Runbook
from tests.mitigation.steps.test_command_each import MARKETS, network_of
from tests.mitigation.steps.test_command_each import PAUSE as PAUSE_EACH
from tests.mitigation.steps.test_command_step import BLIND, PAUSE, RUNBOOK, calls, loaded, paused
from tests.support.kube_rig import OTHER_URL, Rig, ended, plan, step, yes
from tests.support.waiting import wait_for

#: Pauses at once where M0_WHEN is "done", then hangs with a child of its own, deaf to SIGTERM where
#: M0_DEAF is set.
HANGING = """
import json, os, signal, subprocess, sys, time
world, verb = os.environ["M0_WORLD"], sys.argv[2]
paused = json.load(open(world)) if os.path.exists(world) else []
if verb == "get":
    print(json.dumps({"paused": sys.argv[4] in paused}))
    raise SystemExit
if os.environ.get("M0_WHEN") == "done":
    json.dump([*paused, sys.argv[4]], open(world, "w"))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(world + ".pids", "w").write(f"{os.getpid()} {child.pid}")
print("sending UpdateMarket", flush=True)
time.sleep(600)
"""


def hanging(rig: Rig, world: Path, when: str = "") -> None:
    env = {"M0_WORLD": str(world), "M0_WHEN": when}
    rig.backends = Backends(network_cli=NetworkCli((sys.executable, "-c", HANGING), "devnet", 60.0, env))
    rig.runbooks = loaded()


def of(executor: Executor, made: Plan) -> Progress | None:
    return next((p for p in executor.progress if p.plan.id == made.id), None)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def stopped(rig: Rig, made: Plan, world: Path) -> Progress:
    """Carried out, and stopped while it hangs.

    What it left behind is looked for.
    """
    executor = rig.executors[-1]
    future = executor.carry_out(made, yes(made))
    wait_for(lambda: (p := of(executor, made)) is not None and p.stoppable and "sending UpdateMarket" in p.output)
    pids = [int(pid) for pid in Path(f"{world}.pids").read_text().split()]
    assert all(map(alive, pids))
    executor.stop_running(made.id)
    found = future.result(30)
    assert not any(map(alive, pids)), "its process group is still there"
    return found


@pytest.mark.parametrize(
    ("which", "when", "result", "words"),
    [
        ("reads", "", "uncertain", "read back: not done so far; what it had sent may still take effect"),
        ("reads", "done", "sent", "done all the same (stopped by the operator"),
        ("blind", "", "uncertain", "it may have had its effect"),
    ],
)
def test_it_is_ended_with_all_that_it_started(
    rig: Rig, tmp_path: Path, which: str, when: str, result: str, words: str
) -> None:
    world = tmp_path / "world.json"
    hanging(rig, world, when)
    runbook: Runbook | None
    one, runbook = (PAUSE, RUNBOOK) if which == "reads" else (BLIND, None)
    made = plan(rig.executor(), one, runbook, market="X1")
    stopped(rig, made, world)
    final = ended(rig.executors[0], made)
    outcome = entries_of(rig.journal.records())[1].outcome
    assert outcome is not None
    assert outcome["result"] == result
    assert "stopped by the operator" in outcome["words"] and words in outcome["words"]
    assert not final.stoppable
    if result == "uncertain":
        assert final.phase is Phase.UNCERTAIN
        assert "not known whether it was applied: stopped by the operator" in final.words
    assert any("ops1 asked to stop it" in r["words"] for r in rig.journal.records() if r["kind"] == "note")
    assert rig.journal.verify() == []


def test_one_that_was_stopped_is_judged_anew_at_the_next_start(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had sent took effect after all, while nobody looked."""
    world = tmp_path / "world.json"
    hanging(rig, world)
    stopped(rig, plan(rig.executor(), PAUSE, RUNBOOK, market="X1"), world)
    ended(rig.executors[0], rig.executors[0].progress[0].plan)
    world.write_text('["X1"]')
    lives = rig.journal.records()[0]["process"]  # this very process: a start later is another one
    monkeypatch.setattr("cockpit.journal.entries.alive", lambda intent: intent["process"] != lives)
    (found,) = rig.executor().judge_unfinished().result(20)
    assert (found.judgement, "read back: done" in found.explanation) == ("applied", True)


def test_its_undo_looks_again_and_claims_nothing(rig: Rig, tmp_path: Path) -> None:
    world = tmp_path / "world.json"
    hanging(rig, world)
    executor = rig.executor()
    stopped(rig, plan(executor, PAUSE, RUNBOOK, market="X1"), world)
    with pytest.raises(PlanProblem, match="read back: not done so far"):
        executor.plan_undo(1).result(20)
    world.write_text('["X1"]')  # what it had sent took effect after all
    undo = executor.plan_undo(1).result(20)
    assert (undo.undoes, undo.changes[0].after) == (1, "active")
    blind = plan(executor, BLIND, market="X2")
    stopped(rig, blind, world)
    with pytest.raises(PlanProblem, match="not known whether step 2 was applied"):
        executor.plan_undo(2).result(20)


def test_of_several_those_that_were_not_begun_are_named(rig: Rig, tmp_path: Path) -> None:
    world = tmp_path / "world.json"
    network_of(rig, world, M0_HANG="1")
    accounts = {
        name: MarketState(
            address=name, market_id=name, domain="Sports", active=True, current_epoch_id=7, last_sequence=42
        )
        for name in MARKETS
    }
    rig.solana = {"markets": Reading("solana/markets", accounts, rig.clock.mono())}
    executor = rig.executor()
    made = plan(executor, PAUSE_EACH, rig.runbooks.runbook("canaries"), canaries="A1")
    future = executor.carry_out(made, yes(made))
    wait_for(lambda: any(call[1] == "pause" for call in calls(world)))
    executor.stop_running(made.id)
    future.result(30)
    final = ended(executor, made)
    outcome = entries_of(rig.journal.records())[1].outcome
    assert outcome is not None
    assert outcome["words"].startswith("stopped by the operator: 0 of 3 done; not begun: C3, D4")
    assert final.proof is Proof.FAIL
    assert "not done: B2, C3, D4" in final.words
    assert [call for call in calls(world) if call[1] == "pause"] == [
        c for c in calls(world) if c[1] == "pause" and "B2" in c
    ]
    assert paused(world) == []


def test_ctrl_c_without_a_screen_ends_it_and_says_what_is_known(rig: Rig, tmp_path: Path) -> None:
    world, script = tmp_path / "world.json", tmp_path / "hanging.py"
    script.write_text(HANGING)
    argv = json.dumps([sys.executable, str(script), "market", "pause", "--market-id", "{market}"])
    (tmp_path / "books.toml").write_text(
        '[[runbook]]\nid = "mine"\nnumber = 99\ntitle = "Mine"\n[[runbook.mitigations]]\nid = "pause"\ntitle = "Pause"\n'
        f'kind = "command"\nargv = {argv}\nparams = [{{ name = "market" }}]\n'
    )
    kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", rig.served)
    config = tmp_path / "config.toml"
    config.write_text(
        f'kubeconfig = "{kubeconfig}"\nnamespace = "m0-prod"\nrunbooks = "{tmp_path}/books.toml"\n'
        f'[network-cli]\nargv = ["m0"]\nenv = {{ M0_WORLD = "{world}" }}\n'
    )
    command = [
        sys.executable,
        "-m",
        "cockpit.cli",
        "--config",
        str(config),
        "run",
        "99",
        "pause",
        "--param",
        "market=X1",
    ]
    process = subprocess.Popen(
        [*command, "--confirm", "X1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "M0_COCKPIT_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)},
    )
    try:
        wait_for(lambda: Path(f"{world}.pids").exists() and len(Path(f"{world}.pids").read_text().split()) == 2, 40)
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=40)
    finally:
        process.kill()
    assert process.returncode == 3, printed
    assert "not known whether it was applied: stopped by the operator" in printed
    assert not any(map(alive, map(int, Path(f"{world}.pids").read_text().split())))


def test_what_does_not_run_cannot_be_stopped(rig: Rig) -> None:
    executor = rig.executor()
    executor.stop_running("nobody")
    made = plan(executor, step("set-env", "m0-submitter", env={"SOLANA_RPC_URL": OTHER_URL}))
    rig.before_patch("m0-submitter", rig.world.chaos.freeze)
    future = executor.carry_out(made, yes(made))
    wait_for(lambda: rig.journal.records())
    progress = of(executor, made)
    assert progress is not None and not progress.stoppable  # one request: there is nothing to end half-way
    executor.stop_running(made.id)
    rig.do(rig.world.chaos.thaw)
    assert future.result(20).phase is Phase.SENT
