"""Tests that the ledger has what the metrics count, and the servers show what scenarios do."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest

from cockpit.drill.names import MARKETS, RPC_URLS, SUBMITTER
from cockpit.drill.scenarios import find
from cockpit.drill.server import Drill
from cockpit.drill.solana.node.network import Network, stream_url
from cockpit.drill.world import World
from cockpit.model.observed.bundle import CheckAnswer
from cockpit.model.observed.chain import SignerSetState
from cockpit.oracle.bundle import verify_bundle
from cockpit.oracle.bundle_file import read_bundle

START = 1_790_000_000.0


def build(scenario: str = "calm", history_s: float = 300.0, **options: Any) -> World:
    return World(seed=7, clock=World.past_clock(START), scenario=find(scenario), history_s=history_s, **options)


def metric(world: World, name: str, **labels: str) -> int:
    return int(world.metrics.value(SUBMITTER, name, **labels).value)


def agree(world: World) -> None:
    """Compare the submitter's counters (never reset in these worlds) with the chain's."""
    counts = world.chain.counts
    assert counts["CommitPrediction", ""] == metric(world, "m0_commit_tx_total", result="ok") > 0
    assert counts["RevealPrediction", ""] == metric(world, "m0_reveal_tx_total", result="ok", reason="")
    assert counts["RevealPrediction", ""] == metric(world, "m0_publish_success_total")
    for reason in ("ReplayViolation", "SignatureVerificationFailed"):
        failed = metric(world, "m0_reveal_tx_total", result="failed", reason=reason)
        assert counts["RevealPrediction", reason] == failed


@pytest.mark.parametrize("scenario", ["calm", "rpc-outage"])
def test_chain_and_metrics_count_the_same(scenario: str) -> None:
    world = build(scenario)
    agree(world)
    world.advance(60)
    agree(world)
    assert sum(world.chain.counts.values()) == world.chain.ledger.count


def test_accounts_follow_epochs_and_sequences() -> None:
    world = build()
    world.advance(20)
    for market in MARKETS:
        account = world.chain.accounts.market(market)
        bundle = world.chain.bundle(market)
        assert account is not None and bundle is not None
        assert bundle["publish_epoch_id"] == world.publish.epochs[market]
        assert account.current_epoch_id - 2 <= bundle["publish_epoch_id"] <= account.current_epoch_id
        assert account.last_sequence == bundle["sequence"] <= world.publish.sequence


def test_the_same_seed_makes_the_same_chain_whoever_looks() -> None:
    first, second = build(), build()
    first.chain.ledger.encoded(first.chain.ledger.entries[5])
    for world in (first, second):
        world.advance(10)
    encoded = [[w.chain.ledger.encoded(entry) for entry in w.chain.ledger.entries[-40:]] for w in (first, second)]
    assert encoded[0] == encoded[1]


def test_signatures_come_from_the_agents_that_were_fastest() -> None:
    world = build()
    members = tuple(str(party.key) for party in world.chain.keys.signers)
    known = SignerSetState(
        address="", signer_set_id=100, threshold=5, pubkeys=members, active=True, created_at_slot=1, slot=1
    )
    chosen = set()
    for market in MARKETS:
        bundle = world.chain.bundle(market)
        assert bundle is not None
        verdict = verify_bundle(read_bundle(json.dumps(bundle).encode()), known)
        assert {finding.answer for finding in verdict.findings} == {CheckAnswer.PASS}
        chosen.add(tuple(entry["pubkey"] for entry in bundle["signatures"]))
    assert len(chosen) > 1


def test_a_wrong_signer_set_fails_on_the_chain_with_its_code() -> None:
    world = build()
    chain = world.chain
    landed = chain.commit("FED_RATE_JAN", 60_000_000, START, world.clock.now(), signer_set="99")
    assert not chain.accepts("99")
    chain.reveal(landed, world.clock.now() + 2, "SignatureVerificationFailed")
    encoded = chain.ledger.encoded(chain.ledger.entries[-1])
    assert encoded.err == {"InstructionError": [1, {"Custom": 6018}]}


def test_a_pause_on_the_chain_stops_publishing_and_shows_in_metrics() -> None:
    world = build()
    world.chain.set_paused(True)
    before = metric(world, "m0_commit_tx_total", result="failed")
    revealed = world.chain.counts["RevealPrediction", ""]
    world.advance(30)
    assert metric(world, "m0_commit_tx_total", result="failed") - before > 30
    assert world.chain.counts["RevealPrediction", ""] == revealed
    assert world.chain.counts["CommitPrediction", "Paused"] > 30
    assert world.harm.publishing_gap_s > 10
    world.chain.set_paused(False)
    world.advance(30)
    assert world.chain.counts["RevealPrediction", ""] > revealed + 20


def test_what_the_authority_decides_is_a_transaction() -> None:
    world = build()
    world.authority.set_market("FED_RATE_JAN", paused=True)
    market = world.chain.accounts.market("FED_RATE_JAN")
    assert market is not None and not market.active
    world.authority.set_market("FED_RATE_JAN", paused=False)
    world.clock.advance(1)
    assert world.chain.refusal("FED_RATE_JAN") == ""
    assert world.chain.counts["UpdateMarket", ""] == 2


def test_an_address_is_matched_by_host_and_port() -> None:
    network = Network({"rpc-a": "http://127.0.0.1:9001/v2/KEY", "rpc-b": "http://127.0.0.1:9003/v2/KEY"})
    assert network.at("http://127.0.0.1:9003/other").name == "rpc-b"
    assert network.at("http://127.0.0.1:9005/v2/KEY").failing == 1.0
    assert network.at("http://[broken").failing == network.at("").failing == 1.0
    assert Network().at(RPC_URLS["rpc-c"]).name == "rpc-c"
    assert stream_url("http://127.0.0.1:9001/v2/KEY") == "ws://127.0.0.1:9002/v2/KEY"
    assert stream_url("https://x.example/v2/KEY") == "wss://x.example/v2/KEY"


async def test_a_drill_serves_its_chain_and_says_where() -> None:
    async with Drill(speed=0, start_at=START, history_s=120) as drill, httpx.AsyncClient(trust_env=False) as client:
        where = drill.where()
        url, program = where["solana_rpc"], where["program_id"]
        assert url is not None and program is not None
        assert where["solana_ws"] == stream_url(url)
        config = tomllib.loads(Path(drill.config).read_text())  # noqa: ASYNC240 - a few lines
        assert config["solana"]["program-id"] == program
        urls = {entry["name"]: entry["url"] for entry in config["rpc-endpoints"]}
        assert url == urls["rpc-b"] and "KEYLIKE" in url
        pod = drill.world.fleet.working(SUBMITTER)[0]
        assert pod.env["SOLANA_RPC_URL"] == urls["rpc-a"]
        assert pod.env["SOLANA_WS_URL"] == stream_url(urls["rpc-a"])
        assert drill.world.network.at(pod.env["SOLANA_RPC_URL"]).name == "rpc-a"

        async def ask(method: str, *params: Any) -> Any:
            body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
            return (await client.post(url, json=body)).json()["result"]

        count = drill.world.chain.ledger.count
        rows = await ask("getSignaturesForAddress", program, {"commitment": "confirmed"})
        assert 180 < len(rows) <= count
        drill.world.advance(10)
        newer = await ask(
            "getSignaturesForAddress", program, {"commitment": "confirmed", "until": rows[0]["signature"]}
        )
        assert newer
        assert {row["signature"] for row in newer}.isdisjoint(row["signature"] for row in rows)


async def test_an_outage_shows_at_its_endpoint_alone() -> None:
    async with Drill("rpc-outage", speed=0, start_at=START, history_s=60, aged_s=20) as drill:
        ill = drill.world.network.endpoints["rpc-a"]
        assert drill.solana.nodes["rpc-a"].endpoint is ill
        ill.confirm_ms = 0.0  # this test does not wait
        slot = {"jsonrpc": "2.0", "id": 1, "method": "getSlot"}
        async with httpx.AsyncClient(trust_env=False) as client:
            codes = [(await client.post(ill.url, json=slot)).status_code for _ in range(120)]
        assert 25 <= codes.count(503) <= 70
