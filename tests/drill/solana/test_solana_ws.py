"""Tests subscriptions: what came, once each, in order, at the commitment that was asked for."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
import httpx
import pytest

from cockpit.drill.solana.load import load
from cockpit.drill.solana.node.servers import SolanaServers
from tests.support.drill_chain_rig import MARKET, Rig, Socket, until


def mentions(rig: Rig) -> dict[str, list[str]]:
    return {"mentions": [rig.oracle.program_id]}


async def test_logs_come_once_each_at_their_commitment(rig: Rig) -> None:
    rig.publish(2)  # before: not notified
    rig.clock.slots(40)
    socket = await rig.socket()
    processed = await socket.subscribe("logsSubscribe", mentions(rig), {"commitment": "processed"})
    confirmed = await socket.subscribe("logsSubscribe", mentions(rig), {"commitment": "confirmed"})
    assert processed != confirmed
    rig.publish(3, error="ReplayViolation")
    wanted = [rig.oracle.ledger.signature(entry) for entry in rig.oracle.ledger.entries[-6:]]
    early = [(await socket.note(processed))["result"] for _ in wanted]
    assert [note["value"]["signature"] for note in early] == wanted
    assert early[1]["value"]["err"] == {"InstructionError": [1, {"Custom": 6013}]}
    assert "Program log: Instruction: RevealPrediction" in early[1]["value"]["logs"]
    rig.clock.slots(3)
    late = [(await socket.note(confirmed))["result"] for _ in wanted]
    assert late == early
    assert (await socket.call("logsUnsubscribe", confirmed))["result"] is True
    assert (await socket.call("logsUnsubscribe", confirmed))["error"]["code"] == -32602


async def test_a_losing_fork_is_heard_at_processed_only_and_decoys_at_their_own_program(rig: Rig) -> None:
    socket = await rig.socket()
    processed = await socket.subscribe("logsSubscribe", mentions(rig), {"commitment": "processed"})
    confirmed = await socket.subscribe("logsSubscribe", mentions(rig), {"commitment": "confirmed"})
    ghost = rig.oracle.ghost(MARKET)
    assert (await socket.note(processed))["result"]["value"]["signature"] == ghost
    decoy = rig.oracle.decoy()
    rig.clock.slots(4)
    heard = await socket.note(confirmed)
    assert heard["result"]["value"]["signature"] == decoy
    assert all(line != f"Program {rig.oracle.program_id} invoke [1]" for line in heard["result"]["value"]["logs"])


async def test_slots_and_roots(rig: Rig) -> None:
    socket = await rig.socket()
    slots, roots = await socket.subscribe("slotSubscribe"), await socket.subscribe("rootSubscribe")
    rig.clock.slots(60)
    first, second = [(await socket.note(slots))["result"] for _ in range(2)]
    assert second["parent"] == first["slot"] and second["root"] < second["slot"]
    other = await rig.socket()
    again = await other.subscribe("rootSubscribe")
    rig.clock.slots(2)
    newest = rig.oracle.ledger.at_commitment(rig.oracle.ledger.slot(), "finalized")
    while (await other.note(again))["result"] != newest:
        pass
    assert roots != slots


async def test_a_signature_is_reported_once_and_the_subscription_ends(rig: Rig) -> None:
    rig.publish()
    signature = rig.oracle.ledger.signature(rig.oracle.ledger.entries[-1])
    socket = await rig.socket()
    number = await socket.subscribe(
        "signatureSubscribe", signature, {"commitment": "confirmed", "enableReceivedNotification": True}
    )
    assert (await socket.note(number))["result"]["value"] == "receivedSignature"
    rig.clock.slots(3)
    assert (await socket.note(number))["result"]["value"] == {"err": None}
    assert "error" in await socket.call("signatureUnsubscribe", number)


async def test_accounts_and_programs_tell_changes(rig: Rig) -> None:
    socket = await rig.socket()
    protocol = str(rig.oracle.keys.protocol())
    one = await socket.subscribe("accountSubscribe", protocol, {"commitment": "confirmed", "encoding": "base64"})
    sets = await socket.subscribe(
        "programSubscribe",
        rig.oracle.program_id,
        {
            "commitment": "processed",
            "encoding": "base64",
            "filters": [{"dataSize": 8 + 8 + 2 + 4 + 7 * 32 + 1 + 8 + 1}],
        },
    )
    rig.publish()
    rig.oracle.rotate()
    account = (await socket.note(sets))["result"]["value"]
    assert account["pubkey"] == str(rig.oracle.keys.signer_set(101))
    rig.clock.slots(3)
    assert (await socket.note(one))["result"]["value"]["owner"] == rig.oracle.program_id


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("logsSubscribe", [{"mentions": []}], -32602),
        (
            "logsSubscribe",
            [{"mentions": ["11111111111111111111111111111111", "11111111111111111111111111111111"]}],
            -32602,
        ),
        ("logsSubscribe", ["some"], -32602),
        ("accountSubscribe", ["nonsense"], -32602),
        ("getSlot", [], -32601),
        ("blockSubscribe", ["all"], -32601),
    ],
)
async def test_what_cannot_be_subscribed_is_refused(rig: Rig, method: str, params: list[Any], code: int) -> None:
    socket = await rig.socket()
    assert (await socket.call(method, *params))["error"]["code"] == code
    await socket.ws.send_str("{")
    assert (await socket.receive())["error"]["code"] == -32700


async def test_pings_are_answered_and_a_half_open_line_is_silent(rig: Rig) -> None:
    ws = await rig.session.ws_connect(rig.servers.ws_url(), autoping=False)
    await ws.ping(b"here?")
    assert (await ws.receive()).type is aiohttp.WSMsgType.PONG
    rig.servers.nodes["rpc-a"].chaos.mute()
    await ws.ping(b"here?")
    await ws.send_json({"jsonrpc": "2.0", "id": 1, "method": "slotSubscribe"})
    rig.servers.nodes["rpc-a"].chaos.unmute()
    fresh = await rig.socket()
    number = await fresh.subscribe("slotSubscribe")
    rig.clock.slots(3)
    await fresh.note(number)
    with pytest.raises(TimeoutError):
        await ws.receive(timeout=0.2)  # the new line has heard; this one never does


async def test_lines_are_closed_cut_and_spoken_nonsense_on_demand(rig: Rig) -> None:
    chaos = rig.servers.nodes["rpc-a"].chaos
    polite, rough = await rig.socket(), await rig.socket()
    await polite.subscribe("slotSubscribe")
    await rough.subscribe("slotSubscribe")
    assert chaos.say("\x00 no json") == 2
    assert (await polite.ws.receive()).data == "\x00 no json"
    assert chaos.close_sockets(1011) == 2
    assert (await polite.ws.receive()).type is aiohttp.WSMsgType.CLOSE
    assert polite.ws.close_code == 1011
    other = await rig.socket()
    await other.subscribe("slotSubscribe")
    assert chaos.cut_sockets() >= 1
    assert (await other.ws.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    chaos.ws_refused = True
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await rig.socket()


async def test_notifications_are_doubled_and_lost_on_demand(rig: Rig) -> None:
    chaos = rig.servers.nodes["rpc-a"].chaos
    socket = await rig.socket()
    number = await socket.subscribe("logsSubscribe", "all", {"commitment": "processed"})
    chaos.doubled = True
    rig.publish()
    heard = [(await socket.note(number))["result"]["value"]["signature"] for _ in range(4)]
    assert heard[0] == heard[1] != heard[2] == heard[3]
    chaos.doubled, chaos.lossy = False, 1.0
    rig.publish()
    quiet = await rig.socket("rpc-b")
    other = await quiet.subscribe("slotSubscribe")
    rig.clock.slots(2)
    await quiet.note(other)
    chaos.lossy = 0.0
    rig.publish()
    newest = rig.oracle.ledger.entries[-2:]
    assert (await socket.note(number))["result"]["value"]["signature"] in [
        rig.oracle.ledger.signature(e) for e in newest
    ]


async def test_a_lagging_node_tells_later(rig: Rig) -> None:
    rig.servers.nodes["rpc-b"].chaos.lag = 10
    socket = await rig.socket("rpc-b")
    number = await socket.subscribe("logsSubscribe", "all", {"commitment": "processed"})
    rig.publish()
    commit = rig.oracle.ledger.entries[0]
    rig.clock.slots(6)
    slots = await socket.subscribe("slotSubscribe")
    rig.clock.slots(2)
    while (await socket.note(slots))["result"]["slot"] < rig.oracle.ledger.slot() - 10:
        pass
    assert rig.oracle.ledger.slot() - 10 >= commit.slot
    assert (await socket.note(number))["result"]["value"]["signature"] == rig.oracle.ledger.signature(commit)


async def test_load_is_heard_exactly_once_and_counted_exactly() -> None:
    """A real clock sends 400 a second for two seconds while one client listens, another pages."""
    async with SolanaServers.alone() as servers, aiohttp.ClientSession() as session, httpx.AsyncClient() as client:
        socket = Socket(await session.ws_connect(servers.ws_url()))
        number = await socket.subscribe(
            "logsSubscribe", {"mentions": [servers.oracle.program_id]}, {"commitment": "processed"}
        )
        heard: list[str] = []

        async def listen() -> None:
            while True:
                heard.append((await socket.note(number))["result"]["value"]["signature"])

        listening = asyncio.create_task(listen())
        done = await load(servers.oracle, 400, 2.0)
        assert done.commits == done.reveals + done.failed == 400
        await until(lambda: len(heard) >= servers.oracle.ledger.count)
        listening.cancel()
        ledger = servers.oracle.ledger
        assert len(heard) == len(set(heard)) == ledger.count == done.total + done.finalised
        assert servers.oracle.counts["RevealPrediction", "ReplayViolation"] == done.failed > 0
        deadline, paged = time.monotonic() + 10, 0
        while paged < 1000 <= ledger.count or paged < min(1000, ledger.count):
            body = {"jsonrpc": "2.0", "id": 1, "method": "getSignaturesForAddress"}
            options = {"commitment": "confirmed"}
            answer = await client.post(servers.url(), json={**body, "params": [servers.oracle.program_id, options]})
            paged = len(answer.json()["result"])
            assert time.monotonic() < deadline
