"""Tests faults between a client and one endpoint, while its neighbours stay well."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from cockpit.drill.solana.node.chaos import DEVNET, NodeChaos
from tests.support.drill_chain_rig import Rig

SLOT = {"jsonrpc": "2.0", "id": 1, "method": "getSlot"}


@pytest.fixture
def chaos(rig: Rig) -> NodeChaos:
    return rig.servers.nodes["rpc-a"].chaos


async def test_throttling_says_when_to_come_back(rig: Rig, chaos: NodeChaos) -> None:
    chaos.throttled, chaos.retry_after_s = 2, 7
    answers = [await rig.post(SLOT) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[0].json()["error"]["code"] == 429
    chaos.throttled, chaos.retry_after_s = 1, None
    assert "Retry-After" not in (await rig.post(SLOT)).headers


async def test_a_node_that_is_behind_says_so_in_each_way_that_providers_have(rig: Rig, chaos: NodeChaos) -> None:
    chaos.lag = 214
    error = await rig.error("getHealth")
    assert error == {"code": -32005, "message": "Node is behind by 214 slots", "data": {"numSlotsBehind": 214}}
    ours, theirs = [await rig.get("getSlot", name=name) for name in ("rpc-a", "rpc-b")]
    assert 213 <= theirs - ours <= 215
    assert await rig.get("getHealth", name="rpc-b") == "ok"
    chaos.lag = 20
    assert await rig.get("getHealth") == "ok"
    chaos.health = "unknown"
    assert (await rig.error("getHealth"))["data"] == {"numSlotsBehind": None}
    chaos.health = "bare"
    assert "data" not in await rig.error("getHealth")
    chaos.health = "behind 33"
    assert (await rig.error("getHealth"))["data"] == {"numSlotsBehind": 33}


async def test_a_lagging_node_knows_neither_the_newest_transactions_nor_blockhashes(rig: Rig, chaos: NodeChaos) -> None:
    chaos.lag = 50
    rig.publish()
    rig.clock.slots(5)
    program, options = rig.oracle.program_id, {"commitment": "confirmed"}
    assert await rig.get("getSignaturesForAddress", program, options) == []
    assert len(await rig.get("getSignaturesForAddress", program, options, name="rpc-b")) == 2
    newest = (await rig.get("getLatestBlockhash", {"commitment": "processed"}, name="rpc-b"))["value"]["blockhash"]
    assert (await rig.get("isBlockhashValid", newest, {"commitment": "processed"}))["value"] is False


async def test_a_stalled_endpoint_accepts_and_never_answers_until_it_flows(rig: Rig, chaos: NodeChaos) -> None:
    chaos.freeze()
    with pytest.raises(httpx.ReadTimeout):
        await rig.client.post(rig.servers.url(), json=SLOT, timeout=0.2)
    waiting = asyncio.create_task(rig.post(SLOT))
    assert (await rig.post(SLOT, "rpc-b")).status_code == 200
    assert not waiting.done()
    chaos.thaw()
    assert (await waiting).status_code == 200


async def test_answers_are_malformed_cut_huge_or_of_a_wrong_type(rig: Rig, chaos: NodeChaos) -> None:
    chaos.malformed = 1
    answer = await rig.post(SLOT)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (200, "text/html")
    chaos.truncated = 1
    with pytest.raises(httpx.RemoteProtocolError):
        await rig.post(SLOT)
    chaos.gigantic, chaos.gigantic_bytes = 1, 3_000_000
    assert len((await rig.post(SLOT)).content) > 3_000_000
    chaos.mistyped = 6
    kinds = {type((await rig.post(SLOT)).json()["result"]) for _ in range(6)}
    assert len(kinds) >= 5 and int not in kinds
    chaos.lost_answers = 1
    with pytest.raises(httpx.RemoteProtocolError):
        await rig.post(SLOT)
    assert (await rig.post(SLOT)).status_code == 200


async def test_batches_are_refused_in_three_ways(rig: Rig, chaos: NodeChaos) -> None:
    batch = [{**SLOT, "id": n} for n in range(4)]
    chaos.batch_refused = True
    assert (await rig.post(batch)).json()["error"]["code"] == -32600
    chaos.batch_refused, chaos.batch_refused_plainly = False, True
    assert (await rig.post(batch)).status_code == 403
    chaos.batch_refused_plainly, chaos.batch_limit = False, 3
    assert "error" in (await rig.post(batch)).json()
    assert len((await rig.post(batch[:3])).json()) == 3


async def test_another_cluster_a_revoked_key_and_errors_of_ones_own(rig: Rig, chaos: NodeChaos) -> None:
    chaos.genesis = DEVNET
    assert await rig.get("getGenesisHash") == DEVNET != await rig.get("getGenesisHash", name="rpc-b")
    chaos.errors["getSlot"] = (-32009, "Slot 5 was skipped, or missing in long-term storage", None)
    assert await rig.error("getSlot") == {"code": -32009, "message": chaos.errors["getSlot"][1]}
    chaos.unauthorised = True
    assert (await rig.post(SLOT)).status_code == 401
    chaos.unauthorised, chaos.server_errors = False, 1
    assert (await rig.post(SLOT)).status_code == 500


async def test_a_node_on_a_losing_fork_confirms_nothing_more(rig: Rig, chaos: NodeChaos) -> None:
    chaos.forked = True
    confirmed = await rig.get("getSlot", {"commitment": "confirmed"})
    rig.publish()
    rig.clock.slots(20)
    assert await rig.get("getSlot", {"commitment": "confirmed"}) == confirmed
    ours, theirs = [
        (await rig.get("getLatestBlockhash", {"commitment": "processed"}, name=name))["value"]["blockhash"]
        for name in ("rpc-a", "rpc-b")
    ]
    assert ours != theirs
    signature = rig.oracle.ledger.signature(rig.oracle.ledger.entries[0])
    statuses = [(await rig.get("getSignatureStatuses", [signature], name=n))["value"][0] for n in ("rpc-a", "rpc-b")]
    assert [status["confirmationStatus"] for status in statuses] == ["processed", "confirmed"]
    chaos.forked = False
    assert await rig.get("getSlot", {"commitment": "confirmed"}) > confirmed


async def test_the_worlds_failures_and_delays_show_at_the_server(rig: Rig) -> None:
    node = rig.servers.nodes["rpc-a"]
    node.endpoint.failing = 0.38
    codes = [(await rig.post(SLOT)).status_code for _ in range(200)]
    assert set(codes) == {200, 503}
    assert 50 <= codes.count(503) <= 105
    assert {(await rig.post(SLOT, "rpc-b")).status_code for _ in range(50)} == {200}
    node.endpoint.failing, node.endpoint.behind = 0.0, 300
    assert (await rig.error("getHealth"))["code"] == -32005


async def test_requests_are_counted_for_whoever_measures(rig: Rig) -> None:
    node = rig.servers.nodes["rpc-a"]
    await rig.post([SLOT, SLOT])
    await rig.ask("getVersion")
    assert (node.requests["http"], node.requests["getSlot"], node.requests["batch"]) == (2, 2, 1)
