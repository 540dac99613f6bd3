"""Incidents of publishing by keys alone, on the running cockpit over a drill: symptoms, the runbook
that ranks first, a wrong step that does not help, the right one that does, its proof, and the way
back.
"""

from __future__ import annotations

import asyncio
import re
import urllib.request
from pathlib import Path

from cockpit.drill.names import MARKETS, QUANT, SERVICES, SIGNER, SUBMITTER
from cockpit.mitigation.proof.sharing import SETTLES_S
from cockpit.model.plan import Proof
from tests.support.terminals.by_keys import Hands, at_work, incident, intents

CANARIES = ("FED_RATE_JAN", "ETH_10K_Q2")


async def test_runbook_1_the_signer_agents_hang(tmp_path: Path) -> None:
    """Another endpoint does not help, and is taken back; new agents do.

    What is taken back is not proven, nor is that it was; what it did has settled when another step
    is tried.
    """
    with incident("signers-stuck", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"1 Publishing stops +3 of 3")
            hands.cockpit.burst("r")
            await hands.wait(r"likeliest +Signer")
            await hands.choose("1 Switch RPC", "1  Switch RPC endpoint")
            await hands.fill(drill.drill.rpc_urls["rpc-b"])
            await hands.confirm(
                SUBMITTER
            )  # without a commit nobody knows what a confirmation takes: overridden by name
            await hands.wait(r"ROLLING OUT|VERIFYING")
            await hands.pass_time(60)
            await hands.wait(r"MATCH +1 Publishing stops +3 of 3")
            await hands.undo()
            assert hands.verdicts == [Proof.NONE, Proof.UNKNOWN]
            assert drill.drill.world.kube.env(SUBMITTER)["SOLANA_RPC_URL"] == drill.drill.rpc_urls["rpc-a"]
            await hands.pass_time(SETTLES_S)

            await hands.choose("1 Restart signer", "1  Restart signer agents")
            await hands.confirm()
            shown = await hands.carried_out()
            assert proven(shown), shown
            await hands.wait(r"no runbook matches")


async def test_runbook_1_the_guardrails_block_and_what_is_relaxed_stays_as_debt(tmp_path: Path) -> None:
    with incident("guardrail-blocks", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"1 Publishing stops +3 of 3")
            await hands.choose("1 Relax", "1  Relax the guardrail policy")
            await hands.confirm(QUANT)
            shown = await hands.carried_out()
            assert proven(shown), shown
            assert drill.drill.world.quant.policy == "NORMAL"
            hands.cockpit.burst("escape", "escape")
            await hands.cockpit.settled()
            hands.cockpit.burst("r")
            await hands.wait(r"DEBT +relaxed or reduced")
            await hands.undo(QUANT)
            assert drill.drill.world.quant.policy == "STRICT"


async def test_runbook_2_the_new_agents_sign_with_other_keys(tmp_path: Path) -> None:
    """Stop, capture evidence, roll back both, look at the set, try canaries, verify, then all."""
    with incident("wrong-signer-set", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"2 Invalid signature errors +3 of 3")
            await hands.wait(r"it stops at: reveal")
            await hands.choose("2 Disable publishing", "2  Disable publishing: scale m0-submitter to 0")
            await hands.confirm(SUBMITTER)
            shown = await hands.carried_out()
            assert "no commit or reveal on the chain" in shown and proven(shown), shown

            await hands.choose("2 Capture evidence", "2  Capture evidence")
            await hands.wait(r"\.tar")

            await hands.choose("2 Roll back submitter and", "2  Roll back submitter and signer agent")
            await hands.wait(r"n begins with part 1 of 2")
            hands.cockpit.burst("n")
            assert "another key ring" not in await hands.confirm(SIGNER)
            await hands.carried_out()
            hands.cockpit.burst("n")
            await hands.wait(r"goes on with part 2 of 2")
            hands.cockpit.burst("n")
            await hands.confirm(SUBMITTER)
            await hands.wait(r"VERIFYING|DONE")
            assert drill.drill.world.kube.replicas(SUBMITTER) == 0

            await canaries_then_all(hands)
            assert_verified(await verify_newest(hands, tmp_path))


def proven(shown: str) -> bool:
    """Every line of the validation has held."""
    return re.search(r"DONE .*proof: (\d) of \1 hold", shown) is not None


async def canaries_then_all(hands: Hands) -> None:
    world = hands.world
    await hands.choose("2 Re-enable publishing with", "2  Re-enable publishing with canary markets only")
    await hands.wait(r"n begins with part 1 of 2")
    hands.cockpit.burst("n")
    await hands.fill(" ".join(CANARIES))
    shown = await hands.confirm("markets")  # not those that are left alone
    assert "6 markets" in shown and f"--market-id {CANARIES[0]}" not in shown
    await hands.wait(r"DONE +6 of 6 done; read back: all 6")
    assert world.authority.paused == set(MARKETS) - set(CANARIES)
    hands.cockpit.burst("n")
    await hands.wait(r"goes on with part 2 of 2")
    hands.cockpit.burst("n")
    await hands.confirm(SUBMITTER)
    before = dict(world.publish.epochs)
    await hands.carried_out()
    published = {market for market, epoch in world.publish.epochs.items() if epoch > before[market]}
    assert published == set(CANARIES)
    assert {m for m in MARKETS if world.chain.refusal(m)} == set(MARKETS) - set(CANARIES)

    await hands.choose("2 Unpause the other", "2  Unpause the other markets")
    await hands.confirm("markets")
    await hands.wait(r"6 of 6 done; read back: all 6")
    assert not world.authority.paused
    await hands.carried_out()
    assert {market for market, epoch in world.publish.epochs.items() if epoch > before[market]} == set(MARKETS)


def download(address: str) -> bytes:
    with urllib.request.urlopen(address) as answer:
        return bytes(answer.read())


async def verify_newest(hands: Hands, path: Path) -> str:
    """What a consumer downloads, verified here against the set on the chain."""
    address = f"{hands.drill.drill.services}/m0-api-gateway/v1/markets/{CANARIES[0]}/bundle"
    (path / "bundle.json").write_bytes(await asyncio.to_thread(download, address))
    await hands.choose("2 Verify a bundle", "2  Verify a bundle's signatures locally")
    await hands.fill(str(path / "bundle.json"))
    return await hands.wait(r"Verify a bundle's signatures[\s\S]* DONE +\S")  # it may wait for a look at the market


def assert_verified(shown: str) -> None:
    assert re.search(r"✓ PASS", shown), shown


async def test_runbook_3_the_kms_refuses_agents(tmp_path: Path) -> None:
    with incident("kms-denied", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"3 Signer threshold misses +3 of 3")
            await hands.choose("3 Restart signer", "3  Restart signer agents")
            await hands.confirm()
            shown = await hands.carried_out()
            assert proven(shown), shown
            await hands.wait(r"no runbook matches")


async def test_runbook_4_blockhashes_expire_before_the_reveal(tmp_path: Path) -> None:
    with incident("blockhash-expiry", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"4 Commit succeeds, reveal fails +2 of 2")
            await hands.wait(r"oldest \d\d+ slots|overdue")
            hands.cockpit.burst("r")
            await hands.wait(r"likeliest +blockhash expiration due to latency")
            await hands.choose("4 Shorten the commit", "4  Shorten the commit-to-reveal interval")
            await hands.fill("")
            await hands.confirm()
            shown = await hands.carried_out()
            assert proven(shown), shown


async def test_runbook_5_the_publish_state_is_behind(tmp_path: Path) -> None:
    """The reconciler's job, then a restart that reads what it wrote."""
    with incident("state-out-of-sync", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"5 Replay protection errors +3 of 3")
            await hands.choose("5 Reconcile, then", "5  Reconcile, then restart the submitter")
            await hands.wait(r"n begins with part 1 of 2")
            hands.cockpit.burst("n")
            await hands.confirm()
            await hands.carried_out()
            hands.cockpit.burst("n")
            await hands.wait(r"goes on with part 2 of 2")
            hands.cockpit.burst("n")
            await hands.confirm()
            shown = await hands.carried_out()
            assert proven(shown), shown


async def test_runbook_5_a_second_submitter_is_scaled_away_and_cannot_be_restarted(tmp_path: Path) -> None:
    with incident("two-submitters", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"5 Replay protection errors +3 of 3")
            hands.cockpit.burst("r")
            await hands.wait(r"likeliest +multiple submitters publishing concurrently")
            await hands.choose("5 Restart the submitter after", "5  Restart the submitter after reconciliation")
            await hands.wait(r"must never have more than one replica: it stays at 2")
            await hands.choose("5 Ensure a single", "5  Ensure a single submitter")
            await hands.confirm()
            shown = await hands.carried_out()
            assert proven(shown), shown
            await hands.back()
            hands.cockpit.burst("u")
            await hands.wait(r"must never have more than one replica: 2 would run at once")


async def test_runbook_11_the_image_before_the_release(tmp_path: Path) -> None:
    with incident("bad-release", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            await hands.begin(r"11 Rolling back a release +3 of 3")
            good = SERVICES[QUANT].image
            await hands.choose("11 Set m0-quant", "11  Set m0-quant to a good image by digest")
            await hands.wait(r"LAST KNOWN GOOD")
            hands.cockpit.burst("enter")
            await hands.confirm(QUANT)
            shown = await hands.carried_out()
            assert proven(shown), shown
            assert {pod.image for pod in drill.drill.world.fleet.working(QUANT)} == {good}

            await hands.undo(QUANT)
            assert hands.verdicts == [Proof.NONE, Proof.PASS]
            assert {pod.image for pod in drill.drill.world.fleet.working(QUANT)} != {good}


async def test_runbook_12_a_manipulated_market_is_paused(tmp_path: Path) -> None:
    market = "NBA_LAL_BOS"
    with incident("market-manipulated", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            world = drill.drill.world
            await hands.begin(r"12 Pausing markets +\d of 3")
            await hands.choose("12 Pause a market", "12  Pause a market")
            await hands.fill(market)
            await hands.confirm(market)
            await hands.wait(r"read back: done")
            assert world.authority.paused == {market}
            harmed, epochs = world.harm.misleading_outputs, dict(world.publish.epochs)
            await hands.pass_time(60)
            moved = {m for m, epoch in world.publish.epochs.items() if epoch > epochs[m]}
            assert moved == set(MARKETS) - {market}
            assert world.harm.misleading_outputs - harmed <= 1  # what was on its way

            await hands.choose("12 Verify that it is", "12  Verify that it is paused")
            await hands.fill(market)
            await hands.confirm()
            await hands.wait(r'"paused": true')

            drill.call(lambda d: d.scenario.relent(d.world) if d.scenario.relent else None)
            await hands.pass_time(300)
            await hands.back()
            await hands.wait(r"MATCH +12", absent=True)
            hands.cockpit.burst("u")
            await hands.wait(r"Undo \d")
            await undo_pause(hands, market)
            await hands.pass_time(30)
            assert world.publish.epochs[market] > epochs[market] + 5


async def undo_pause(hands: Hands, market: str) -> None:
    await hands.confirm(market)
    await hands.wait(r"read back: done")
    assert not hands.world.authority.paused


async def test_runbook_13_forged_outputs_are_stopped_and_the_chain_is_silent(tmp_path: Path) -> None:
    with incident("key-compromise", tmp_path) as (drill, settings):
        async with at_work(drill, settings) as hands:
            world = drill.drill.world
            await hands.begin(r"13 Emergency disable publishing +2 of 2")
            await hands.choose("13 Block at the guardrail", "13  Block at the guardrail too")
            await hands.wait(r"nothing to (do|change)|already|no change")
            forged = world.publish.forged
            await hands.pass_time(30)
            assert world.publish.forged > forged + 10

            hands.cockpit.burst("escape", "escape", "K")
            await hands.confirm(SUBMITTER)
            shown = await hands.carried_out()
            assert re.search(r"PASS +no commit or reveal on the chain", shown), shown
            assert proven(shown), shown
            assert not world.kube.pods(SUBMITTER)
            harmed = world.harm.misleading_outputs
            await hands.pass_time(120)
            assert world.harm.misleading_outputs == harmed
            assert [intent["step"] for intent in intents(hands)] == ["stop-publishing"]

            drill.call(lambda d: d.scenario.by_hand["communicate"](d.world))
            await hands.choose("2 Scale m0-submitter back", "2  Scale m0-submitter back to 1")
            await hands.confirm(SUBMITTER)
            await hands.wait(r"ROLLING OUT|VERIFYING")
            await hands.pass_time(60)
            assert world.harm.misleading_outputs == harmed
            assert world.kube.ready(SUBMITTER) == 1
            assert world.clock.now() - world.publish.last_reveal < 10
