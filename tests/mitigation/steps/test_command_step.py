"""A command step: its words, its target, what it is bound to, and what became of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from msgspec.structs import replace

from cockpit.drill.kubernetes.serving import write_kubeconfig
from cockpit.journal.entries import entries_of
from cockpit.journal.journal import Journal, JournalProblem
from cockpit.mitigation.context import Backends, NetworkCli
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import CommandRun, Phase, Plan, Progress, Proof, Verdict
from cockpit.model.runbook import Param, Runbook, Runbooks, Step
from cockpit.model.signal import Level
from tests.support.kube_rig import Rig, carry, ended, guard, plan, runbooks, status, yes
from tests.support.paths import ROOT

#: A network of one file: `market pause|unpause|get --market-id ID --cluster C` on the file that
#: M0_WORLD names.
CLI = """
import json, os, sys, time
world = os.environ["M0_WORLD"]
verb, market = sys.argv[2], sys.argv[sys.argv.index("--market-id") + 1]
paused = json.load(open(world)) if os.path.exists(world) else []
with open(world + ".calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
if verb == "pause" and os.environ.get("M0_HANG"):
    print("sending UpdateMarket", flush=True)
    time.sleep(600)
if verb == "pause" and market not in paused:
    paused.append(market)
if verb == "unpause" and market in paused:
    paused.remove(market)
if verb != "get":  # several read it at once
    json.dump(paused, open(world, "w"))
if os.environ.get("M0_LATE_FAILURE"):
    raise SystemExit(4)
print(json.dumps({"market_id": market, "paused": market in paused}))
"""
WORDS = ("--market-id", "{market}", "--cluster", "{cluster}")
MARKET = (Param(name="market", pattern="[A-Z0-9_]+"),)
LOOSE = (Param(name="market"),)


def market(verb: str, *, params: tuple[Param, ...] = MARKET, **args: str) -> Step:
    return Step(
        id=verb,
        title=f"{verb} a market",
        kind="command",
        argv=("m0-cli", "market", verb, *WORDS),
        params=params,
        args=args,
        dangerous=verb == "pause",
    )


PAUSE = replace(
    market("pause", kind="market", reads="get", expect='"paused": *true', becomes="paused", undo="unpause"),
    holds=True,  # as in runbooks.toml
)
UNPAUSE = market(
    "unpause",
    reads="get",
    expect='"paused": *false',
    becomes="active",
    undo="pause",
    enables="lets a paused market publish",
)
BLIND = market("pause")
GET = replace(market("get"), observes=True)
RUNBOOK = Runbook(id="pause-markets", number=12, title="Pausing", mitigations=(PAUSE, UNPAUSE, GET))


def loaded() -> Runbooks:
    return replace(runbooks(), runbooks=(*runbooks().runbooks, RUNBOOK))


@pytest.fixture
def network(rig: Rig, tmp_path: Path) -> Path:
    """The file with the paused markets; the rig's cockpits call its command line."""
    world = tmp_path / "world.json"
    use(rig, world)
    return world


def use(rig: Rig, world: Path, timeout_s: float = 20.0, **env: str) -> None:
    argv = (sys.executable, "-c", CLI)
    rig.backends = Backends(
        network_cli=NetworkCli(argv, "devnet", timeout_s, {"M0_WORLD": str(world), "M0_TOKEN": "hunter2secret", **env})
    )
    rig.runbooks = loaded()


def calls(world: Path) -> list[list[str]]:
    path = Path(f"{world}.calls")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def paused(world: Path) -> list[str]:
    return list(json.loads(world.read_text())) if world.exists() else []


def carried(rig: Rig, made: Plan) -> Progress:
    carry(rig.executors[-1], made)
    return ended(rig.executors[-1], made)


def test_a_market_is_paused_read_back_and_unpaused_by_its_undo(rig: Rig, network: Path) -> None:
    made = plan(rig.executor(), PAUSE, RUNBOOK, market="NBA_LAL_BOS")
    assert isinstance(made.request, CommandRun)
    assert made.request.argv[3:] == ("market", "pause", "--market-id", "NBA_LAL_BOS", "--cluster", "devnet")
    assert (made.target.kind, made.typed) == ("Market", "NBA_LAL_BOS")
    assert [(c.field, c.before, c.after) for c in made.changes] == [("NBA_LAL_BOS", "not paused", "paused")]
    final = carried(rig, made)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.PASS), final.words
    assert "exit 0" in final.words
    assert final.words.endswith("read back: done; no verdict on the incident")
    assert paused(network) == ["NBA_LAL_BOS"]
    rig.executors[0].close(5)
    undo = rig.executor().plan_undo(1).result(20)
    assert undo.kubectl.endswith("market unpause --market-id NBA_LAL_BOS --cluster devnet")
    assert undo.dangerous
    assert carried(rig, undo).proof is Proof.PASS
    assert paused(network) == []
    assert "undone by 2" in rig.executors[-1].journal_lines[-1].outcome


def test_what_only_observes_has_nothing_to_prove(rig: Rig, network: Path) -> None:
    """P11: a look at a market was watched for 900 s and ended UNKNOWN."""
    final = carried(rig, plan(rig.executor(), GET, RUNBOOK, market="NBA_LAL_BOS"))
    assert (final.phase, final.proof) == (Phase.DONE, Proof.NONE), final.words
    assert final.words.endswith("it changes nothing: nothing to prove")


def test_what_is_so_already_is_not_done_again(rig: Rig, network: Path) -> None:
    network.write_text('["NBA_LAL_BOS"]')
    made = plan(rig.executor(), PAUSE, RUNBOOK, market="NBA_LAL_BOS")
    assert made.nothing_to_do
    with pytest.raises(PlanProblem, match="nothing would change"):
        rig.executors[0].carry_out(made, yes(made)).result(10)
    assert all(call[1] == "get" for call in calls(network))


def test_a_state_that_changed_since_is_stale(rig: Rig, network: Path) -> None:
    made = plan(rig.executor(), PAUSE, RUNBOOK, market="NBA_LAL_BOS")
    network.write_text('["NBA_LAL_BOS"]')
    progress = carry(rig.executors[0], made)
    assert progress.phase is Phase.STALE
    assert all(call[1] == "get" for call in calls(network))
    assert rig.journal.records() == ()


HOSTILE = ["X; touch /tmp/pwned", "$(touch /tmp/pwned)", "`id`", "a b|c>d", "''\"", "*", "X\\nY"]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_market_id_with_shell_characters_is_one_word(rig: Rig, network: Path, value: str) -> None:
    made = plan(rig.executor(), market("pause", params=LOOSE), market=value)
    carried(rig, made)
    assert calls(network) == [["market", "pause", "--market-id", value, "--cluster", "devnet"]]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_pattern_refuses_it_before(rig: Rig, network: Path, value: str) -> None:
    with pytest.raises(PlanProblem, match="something like"):
        plan(rig.executor(), PAUSE, RUNBOOK, market=value)


def test_a_value_that_would_be_an_option_is_refused_unless_allowed(rig: Rig, network: Path) -> None:
    with pytest.raises(PlanProblem, match="begins with - and would be taken for an option"):
        plan(rig.executor(), market("pause", params=LOOSE), market="--all")
    allowed = (Param(name="market", leading_dash=True),)
    assert "--all" in plan(rig.executors[0], market("pause", params=allowed), market="--all").kubectl
    with pytest.raises(PlanProblem, match="no control characters"):
        plan(rig.executors[0], market("pause", params=LOOSE), market="a\0b")
    with pytest.raises(PlanProblem, match="has no parameter markte"):
        plan(rig.executors[0], PAUSE, RUNBOOK, markte="X")
    with pytest.raises(PlanProblem, match=r"\{other\} is not a parameter"):
        plan(rig.executors[0], replace(BLIND, argv=("m0-cli", "{other}")), market="X")


def test_a_program_that_is_not_there_is_said_when_it_is_planned(rig: Rig) -> None:
    rig.backends = Backends(network_cli=NetworkCli(("m0-cli-nowhere",)))
    with pytest.raises(PlanProblem, match="there is no program m0-cli-nowhere here") as problem:
        plan(rig.executor(), BLIND, market="X")
    assert "[network-cli] argv" in problem.value.remedy


def test_its_variables_are_named_and_their_values_nowhere(rig: Rig, network: Path) -> None:
    made = plan(rig.executor(), PAUSE, RUNBOOK, market="X1")
    assert isinstance(made.request, CommandRun)
    assert "M0_TOKEN" in made.request.environment
    final = carried(rig, made)
    assert "hunter2secret" not in f"{made}{final}{rig.journal_path.read_text()}"


def test_a_secret_parameter_is_shown_nowhere(rig: Rig, network: Path) -> None:
    secret = replace(BLIND, params=(*LOOSE, Param(name="key", secret=True)), argv=(*BLIND.argv, "--key={key}"))
    made = plan(rig.executor(), secret, market="X1", key="opensesame1")
    assert "opensesame1" not in f"{made.kubectl}{made.blast}{made.target}{made.changes}"
    final = carried(rig, made)
    assert "opensesame1" not in f"{final.words}{final.output}{rig.journal_path.read_text()}"
    assert "--key=opensesame1" in calls(network)[0]


def test_the_confirmation_is_for_these_words_only(rig: Rig, network: Path) -> None:
    one = plan(rig.executor(), BLIND, market="X1")
    other = plan(rig.executors[0], BLIND, market="X2")
    with pytest.raises(PlanProblem, match="for another plan"):
        rig.executors[0].carry_out(one, yes(one, digest=other.digest)).result(10)
    with pytest.raises(PlanProblem, match="X1 was not typed"):
        rig.executors[0].carry_out(one, yes(one, typed="X2")).result(10)
    assert calls(network) == []


def test_one_that_hangs_is_ended_and_its_state_decides(rig: Rig, network: Path) -> None:
    use(rig, network, timeout_s=0.6, M0_HANG="1")
    progress = carry(rig.executor(), plan(rig.executors[0], PAUSE, RUNBOOK, market="X1"))
    assert progress.phase is Phase.FAILED
    assert "its time was up" in progress.words
    assert "read back: not done" in progress.words
    progress = carry(rig.executors[0], plan(rig.executors[0], BLIND, market="X1"))
    assert progress.phase is Phase.UNCERTAIN
    assert progress.output == ("sending UpdateMarket",)


def test_an_exit_status_is_the_outcome_unless_it_can_be_read_back(rig: Rig, network: Path) -> None:
    use(rig, network, M0_LATE_FAILURE="1")
    progress = carry(rig.executor(), plan(rig.executors[0], BLIND, market="X1"))
    assert (progress.phase, "exit 4" in progress.words) == (Phase.FAILED, True)
    outcome = entries_of(rig.journal.records())[1].outcome
    assert outcome is not None
    assert outcome["result"] == "rejected"


def test_unpausing_asks_about_dangerous_signals(rig: Rig, network: Path) -> None:
    network.write_text('["X1"]')
    rig.signals["invalid-signatures"] = status("invalid-signatures", Level.CRIT, 3.0)
    made = plan(rig.executor(), UNPAUSE, RUNBOOK, market="X1")
    found = guard(made, "direction")
    assert found.verdict is Verdict.CONFIRM
    assert "lets a paused market publish (X1), while invalid-signatures is crit" in found.reason
    assert made.dangerous


def test_read_only_and_a_full_disk_run_nothing(rig: Rig, network: Path) -> None:
    def write(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    made = plan(rig.executor(journal=Journal.open(rig.journal_path, write=write)), BLIND, market="X1")
    with pytest.raises(JournalProblem, match="No space left"):
        carry(rig.executors[0], made)
    rig.read_only = True
    made = plan(rig.executor(), BLIND, market="X1")
    assert guard(made, "read-only").verdict is Verdict.BLOCK
    with pytest.raises(PlanProblem, match="read-only"):
        carry(rig.executors[-1], made)
    assert calls(network) == []


CRASHING = """
    import os, signal, sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[3])
    from tests.support.kube_rig import OPERATOR, NAMESPACE, yes
    from tests.mitigation.steps.test_command_step import BLIND, CLI, PAUSE, RUNBOOK, loaded
    from cockpit.clock import SystemClock
    from cockpit.journal.journal import Journal
    from cockpit.kubeapi.access import load_access
    from cockpit.mitigation.executor import Executor
    from cockpit.mitigation.context import Backends, NetworkCli

    class Dying(Journal):
        def append(self, record, *rest):
            if record["kind"] == "outcome" and sys.argv[5] == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            number = super().append(record, *rest)
            if record["kind"] == "intent" and sys.argv[5] == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            return number

    backends = Backends(network_cli=NetworkCli((sys.executable, "-c", CLI), "devnet", 20.0, {"M0_WORLD": sys.argv[4]}))
    executor = Executor(lambda: load_access(sys.argv[1]), loaded(), Dying.open(Path(sys.argv[2])), lambda: None, SystemClock(),
                        namespace=NAMESPACE, read_only=False, operator=OPERATOR, backends=backends)
    executor.start()
    step, runbook = (PAUSE, RUNBOOK) if sys.argv[6] == "reads" else (BLIND, None)
    made = executor.plan(runbook, step, {"market": "X1"}).result(30)
    executor.carry_out(made, yes(made)).result(30)
"""


@pytest.mark.parametrize(
    ("when", "which", "judgement", "words"),
    [
        ("before", "reads", "not applied", "read back: not done so far"),
        ("after", "reads", "applied", "read back: done"),
        ("before", "blind", "unknown", "it may have run"),
        ("after", "blind", "unknown", "it may have run"),
    ],
)
def test_a_kill_between_intent_and_outcome(
    rig: Rig, network: Path, when: str, which: str, judgement: str, words: str
) -> None:
    kubeconfig = write_kubeconfig(rig.directory / "crash", rig.served)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(CRASHING),
            str(kubeconfig),
            str(rig.journal_path),
            str(ROOT),
            str(network),
            when,
            which,
        ],
        timeout=60,
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    ran = [call for call in calls(network) if call[1] == "pause"]
    assert len(ran) == (1 if when == "after" else 0)
    executor = rig.executor()
    (found,) = executor.judge_unfinished().result(20)
    assert found.judgement == judgement
    assert words in found.explanation
    assert executor.judge_unfinished().result(20) == ()  # said once; looking again tells no more
    assert [call for call in calls(network) if call[1] == "pause"] == ran  # and never run again
    assert rig.journal.verify() == []


def test_what_cannot_be_read_back_now_stays_open(rig: Rig, network: Path) -> None:
    kubeconfig = write_kubeconfig(rig.directory / "crash", rig.served)
    subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(CRASHING),
            str(kubeconfig),
            str(rig.journal_path),
            str(ROOT),
            str(network),
            "after",
            "reads",
        ],
        timeout=60,
        check=False,
        capture_output=True,
    )
    rig.backends = Backends(network_cli=NetworkCli((sys.executable, "-c", "raise SystemExit(7)")))
    (found,) = rig.executor().judge_unfinished().result(20)
    assert (found.judgement, "cannot be read back now" in found.explanation) == ("unknown", True)
    use(rig, network)
    (found,) = rig.executor().judge_unfinished().result(20)
    assert found.judgement == "applied"
