"""One command for each market but some: what is listed, what is left alone, what one failure does,
what the undo takes back.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from cockpit.mitigation.problem import PlanProblem
from cockpit.model.observed.chain import MarketState
from cockpit.model.plan import CommandRun, Phase, Proof, Verdict
from cockpit.model.reading import Reading
from cockpit.model.runbook import Param, Runbook, Step
from cockpit.model.signal import Level
from tests.mitigation.steps.test_command_step import CLI, WORDS, calls, carried, market, paused, use
from tests.support.kube_rig import Rig, guard, plan, runbooks, status

MARKETS = ("A1", "B2", "C3", "D4")
GET = market("get")
BUT = (Param(name="canaries"),)


def each(name: str, verb: str, *, params: tuple[Param, ...] = (), **args: str) -> Step:
    state = "true" if verb == "pause" else "false"
    own = {"each": "market", "reads": "get", "expect": f'"paused": *{state}', "becomes": f"{verb}d", **args}
    argv = ("m0-cli", "market", verb, *WORDS)
    return Step(id=name, title=name, kind="command-each", argv=argv, params=params, args=own, dangerous=True)


PAUSE = each("pause-rest", "pause", params=BUT, but="{canaries}", undo="unpause-rest")
UNPAUSE = each("unpause-rest", "unpause", target="markets", undo="pause-again", enables="lets paused markets publish")
AGAIN = each("pause-again", "pause", target="markets", undo="unpause-rest")
RUNBOOK = Runbook(id="canaries", number=2, title="Canaries", mitigations=(PAUSE, UNPAUSE, AGAIN, GET))


@pytest.fixture
def network(rig: Rig, tmp_path: Path) -> Path:
    world = tmp_path / "world.json"
    network_of(rig, world)
    accounts = {
        name: MarketState(
            address=name, market_id=name, domain="Sports", active=True, current_epoch_id=7, last_sequence=42
        )
        for name in MARKETS
    }
    rig.solana = {"markets": Reading("solana/markets", accounts, rig.clock.mono())}
    return world


def network_of(rig: Rig, world: Path, **env: str) -> None:
    use(rig, world, 20.0, **env)
    rig.runbooks = replace(runbooks(), runbooks=(*runbooks().runbooks, RUNBOOK))


def test_all_but_the_canaries_are_paused_and_only_those_are_unpaused_again(rig: Rig, network: Path) -> None:
    network.write_text('["D4"]')  # somebody paused it before: it stays as it is
    made = plan(rig.executor(), PAUSE, RUNBOOK, canaries="B2")
    assert isinstance(made.request, CommandRun)
    assert [argv[6] for argv in (made.request.argv, *made.request.more)] == ["A1", "C3"]
    assert [(c.field, c.before, c.after) for c in made.changes] == [
        ("A1", "not paused", "paused"),
        ("C3", "not paused", "paused"),
    ]
    assert made.typed == "markets", "U14: never the name of what is left alone"
    assert "1 are paused already" in " ".join(made.blast)
    assert made.kubectl.count("market pause") == 2
    final = carried(rig, made)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.PASS), final.words
    assert sorted(paused(network)) == ["A1", "C3", "D4"]
    rig.executors[0].close(5)
    undo = rig.executor().plan_undo(1).result(20)
    assert undo.kubectl.count("market unpause") == 2 and "D4" not in undo.kubectl
    assert carried(rig, undo).proof is Proof.PASS
    assert paused(network) == ["D4"]


def test_a_canary_that_is_no_market_is_an_error_and_pauses_nothing(rig: Rig, network: Path) -> None:
    with pytest.raises(PlanProblem, match="there is no market B3"):
        plan(rig.executor(), PAUSE, RUNBOOK, canaries="B2, B3")
    assert calls(network) == []


def test_a_market_that_can_be_none_is_left_out_and_said(rig: Rig, network: Path) -> None:
    """S10: one id that begins with - made "pause every market" impossible."""
    accounts = {
        name: MarketState(
            address=name, market_id=name, domain="Sports", active=True, current_epoch_id=7, last_sequence=42
        )
        for name in (*MARKETS, "-rf", "A B", "x" * 80, "\x1b[2J")
    }
    rig.solana = {"markets": Reading("solana/markets", accounts, rig.clock.mono())}
    made = plan(rig.executor(), PAUSE, RUNBOOK, canaries="B2")
    assert isinstance(made.request, CommandRun)
    assert [argv[6] for argv in (made.request.argv, *made.request.more)] == ["A1", "C3", "D4"]
    said = [g for g in made.guards if g.guard == "markets"]
    assert len(said) == 4 and all(g.verdict is Verdict.CONFIRM for g in said)
    assert any("-rf: it begins with -" in g.reason for g in said)
    assert not any("\x1b" in g.reason for g in said)


def test_without_a_known_market_there_is_no_plan(rig: Rig, network: Path) -> None:
    rig.solana = {}
    with pytest.raises(PlanProblem, match="no market is known"):
        plan(rig.executor(), PAUSE, RUNBOOK, canaries="B2")


def test_what_is_so_already_needs_nothing(rig: Rig, network: Path) -> None:
    network.write_text('["A1", "C3", "D4"]')
    assert plan(rig.executor(), PAUSE, RUNBOOK, canaries="B2").nothing_to_do


def test_one_that_is_done_meanwhile_makes_the_plan_stale(rig: Rig, network: Path) -> None:
    made = plan(rig.executor(), PAUSE, RUNBOOK, canaries="B2")
    network.write_text('["C3"]')
    final = carried(rig, made)
    assert final.phase is Phase.STALE and "done since the plan was made: C3" in final.words
    assert paused(network) == ["C3"]


def test_one_that_fails_does_not_keep_the_others_from_it_and_fails_the_step(
    rig: Rig, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = CLI.replace(
        'if verb == "pause" and market not in',
        'if verb == "pause" and market == "A1":\n    raise SystemExit("no")\nif verb == "pause" and market not in',
    )
    monkeypatch.setattr("tests.mitigation.steps.test_command_step.CLI", broken)
    network_of(rig, network)
    final = carried(rig, plan(rig.executor(), PAUSE, RUNBOOK, canaries="B2"))
    assert (final.phase, final.proof) == (Phase.FAILED, Proof.FAIL)
    assert "2 of 3 done; failed: A1" in final.words and "not done: A1" in final.words
    assert sorted(paused(network)) == ["C3", "D4"]


def test_unpausing_while_signatures_are_invalid_is_said(rig: Rig, network: Path) -> None:
    network.write_text('["A1"]')
    rig.signals["invalid-signatures"] = status("invalid-signatures", Level.CRIT, 3.0)
    found = guard(plan(rig.executor(), UNPAUSE, RUNBOOK), "direction")
    assert found.verdict is Verdict.CONFIRM
    assert "lets paused markets publish (A1), while invalid-signatures is crit" in found.reason


def test_a_word_for_several_becomes_as_many_words(rig: Rig, network: Path) -> None:
    keys = Param(name="keys")
    create = Step(
        id="create",
        title="create",
        kind="command",
        argv=("m0-cli", "signer-set", "create", "--pubkey", "{keys*}", "--x"),
        params=(keys,),
    )
    made = plan(rig.executor(), create, RUNBOOK, keys="aa, bb  cc")
    assert isinstance(made.request, CommandRun)
    assert made.request.argv[3:] == ("signer-set", "create", "--pubkey", "aa", "bb", "cc", "--x")
    with pytest.raises(PlanProblem, match="begins with -"):
        plan(rig.executors[0], create, RUNBOOK, keys="aa --force")
