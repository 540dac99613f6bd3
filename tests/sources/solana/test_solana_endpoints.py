"""Endpoints side by side: what each says of itself, what each does when it misbehaves, and that no
key is ever shown.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web

from cockpit.clock import ManualClock
from cockpit.model.reading import SourceState
from cockpit.sources.solana.addresses import derived, protocol_address, signer_set_address
from cockpit.sources.solana.rpc import RequestStats
from cockpit.sources.solana.settings import RpcEndpoint
from cockpit.sources.solana.stream import ws_url
from tests.support.chain_encoder import PROGRAM_ID, b58, key, protocol, signer_set
from tests.support.readings import data_of, fault_in, kept
from tests.support.solana_double import Chain, Node
from tests.support.solana_rig import rig

MAINNET = "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d"


async def test_each_endpoint_is_reported_with_its_lag_cluster_and_pace() -> None:
    chain = Chain()
    nodes = [
        Node("rpc-a", chain, genesis=MAINNET),
        Node("rpc-b", chain, genesis=MAINNET, lag=400),
        Node("rpc-c", chain),
    ]
    async with rig(*nodes) as it:
        await it.until(lambda: it.endpoint("rpc-c").foreign and (it.endpoint("rpc-b").behind or 0) > 350)
        a, b, c = (it.endpoint(node.name) for node in nodes)
        assert (a.cluster, b.cluster, c.cluster[:8]) == ("mainnet-beta", "mainnet-beta", "unknown ")
        assert a.foreign is False and 380 < (b.behind or 0) < 440 and (a.behind or 0) < 10
        assert a.health == "ok" and a.version == "2.1.0" and a.priority_fee_p50 == 300 and a.error_ratio == 0.0
        assert a.latency_p50_ms is not None and a.latency_p95_ms is not None and a.host == f"127.0.0.1:{nodes[0].port}"
        assert a.blockhash_age_slots is not None and a.blockhash_age_slots < 20
        said = {d.what: d.words for d in data_of(it.topic("disagreements"))}
        assert "rpc-c is on unknown" in said["cluster"] and "rpc-b at" in said["slot"]


@pytest.mark.parametrize("dated", [False, True])
async def test_retry_after_is_honoured_and_counted(dated: bool) -> None:
    chain = Chain()
    node, other = Node("rpc-a", chain), Node("rpc-b", chain)
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True) if dated else "30"
    async with rig(node, other) as it:
        await it.until(lambda: it.endpoint("rpc-a").slot)
        node.answer = lambda method: web.Response(status=429, headers={"Retry-After": soon})
        await it.until(lambda: fault_in(it.topic("endpoint/rpc-a")))
        fault = fault_in(it.topic("endpoint/rpc-a"))
        assert fault is not None and "asks to be left alone" in fault.reason and "429" in fault.reason
        asked = len(node.asked)
        before = it.endpoint("rpc-a")
        await it.until(lambda: (it.endpoint("rpc-b").slot or 0) > (before.slot or 0) + 40)
        assert len(node.asked) == asked, "it was asked although it wanted to be left alone"
        assert 20 < (it.endpoint("rpc-a").retry_after_s or 0) <= 30 and it.endpoint("rpc-a").throttled >= 1


async def test_a_429_without_a_word_or_inside_json_is_one_too() -> None:
    chain = Chain()
    node = Node("rpc-a", chain)
    async with rig(node) as it:
        await it.until(lambda: it.endpoint("rpc-a").slot)
        node.error = {"getSlot": {"code": 429, "message": "Too many requests"}}
        await it.until(lambda: it.endpoint("rpc-a").throttled)
        assert 0 < (it.endpoint("rpc-a").retry_after_s or 0) <= 15


def body(text: str | bytes, status: int = 200) -> Any:
    return lambda method: web.Response(body=text.encode() if isinstance(text, str) else text, status=status)


@pytest.mark.parametrize(
    ("answer", "said", "state"),
    [
        (body("<html>gateway</html>"), "no JSON-RPC", SourceState.DOWN),
        (body(b"\xff\xfe\x00"), "no JSON-RPC", SourceState.DOWN),
        (body('{"jsonrpc":"2.0","result":'), "no JSON-RPC", SourceState.DOWN),
        (body("[" * 200_000), "no JSON-RPC", SourceState.DOWN),
        (body("{}"), "neither result nor error", SourceState.DOWN),
        (body('{"result":"soon","id":1}'), "unknown shape", SourceState.DOWN),
        (body('{"result":-5,"id":1}'), "unknown shape", SourceState.DOWN),
        (body('{"result":99999999999999999999999999,"id":1}'), "unknown shape", SourceState.DOWN),
        (body('{"error":{"code":-32005,"message":"Node is unhealthy"},"id":1}'), "error -32005", SourceState.DOWN),
        (body('{"error":{"code":"x"},"id":1}'), "no JSON-RPC", SourceState.DOWN),
        (body("x" * 5_000_000), "more than 4 MB", SourceState.DOWN),
        (body("", 503), "HTTP 503", SourceState.DOWN),
        (body("no", 401), "HTTP 401", SourceState.UNAUTHORISED),
        (body("no", 403), "HTTP 403", SourceState.DENIED),
        (
            lambda method: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
            "HTTP 302",
            SourceState.DOWN,
        ),
        (
            body('{"error":{"code":1,"message":"\x1b[2J api-key=hunter2hunter2"},"id":1}'.replace("\x1b", "\\u001b")),
            "error 1",
            SourceState.DOWN,
        ),
    ],
)
async def test_nonsense_is_said_counted_and_survived(
    answer: Any, said: str, state: SourceState, capfd: pytest.CaptureFixture[str]
) -> None:
    chain = Chain()
    node = Node("rpc-a", chain)
    async with rig(node) as it:
        await it.streaming()
        node.answer = answer
        await it.until(lambda: fault_in(it.topic("endpoint/rpc-a")))
        reading = it.topic("endpoint/rpc-a")
        assert fault_in(reading) is not None and said in fault_in(reading).reason and fault_in(reading).state is state
        assert "\x1b" not in fault_in(reading).reason and "hunter2" not in fault_in(reading).reason
        assert data_of(reading).slot is not None and (data_of(reading).error_ratio or 0) > 0
        node.answer = lambda method: None
        await chain.commit(1)
        await it.until(lambda: fault_in(it.topic("endpoint/rpc-a")) is None)
        await it.counted(1)
    assert capfd.readouterr().err == ""  # nothing native has panicked: it would have printed over the screen


async def test_a_node_that_repeats_the_key_does_not_show_it() -> None:
    """Every text that came out is searched for the key at the rig's end."""
    node = Node("rpc-a", Chain(), health="key SECRETKEY0123456789 is over its quota")
    async with rig(node) as it:
        await it.until(lambda: "over its quota" in it.endpoint("rpc-a").health)
        node.error["getSlot"] = node.error["getLatestBlockhash"] = {
            "code": -32052,
            "message": "SECRETKEY0123456789: no",
        }
        await it.until(lambda: "***: no" in it.topic("endpoint/rpc-a").believed(0.0).reason)


async def test_an_endpoint_that_hangs_holds_up_no_other() -> None:
    chain = Chain()
    node, other = Node("rpc-a", chain), Node("rpc-b", chain)
    http = node.http
    gate = asyncio.Event()

    async def hang(request: web.Request) -> web.StreamResponse:
        await gate.wait()
        return await http(request)

    node.http = hang  # type: ignore[method-assign]
    async with rig(node, other) as it:
        await it.streaming("rpc-b")
        await it.until(lambda: fault_in(it.topic("endpoint/rpc-a")))
        fault = fault_in(it.topic("endpoint/rpc-a"))
        assert fault is not None and "no answer in 1 s" in fault.reason
        gate.set()


async def test_nobody_there_is_said_in_the_systems_words() -> None:
    chain = Chain()
    node, gone = Node("rpc-a", chain), Node("rpc-b", chain)
    async with gone.serving():
        pass  # its port is free again
    free = gone.port
    async with rig(node) as it:
        it.source._endpoints["rpc-b"] = RpcEndpoint(
            name="rpc-b", url=f"http://127.0.0.1:{free}/key/SECRETKEY0123456789"
        )
        await it.until(lambda: fault_in(it.topic("endpoint/rpc-b")))
        assert "Connection refused" in it.topic("endpoint/rpc-b").believed(0.0).reason


@pytest.mark.parametrize(
    ("program_id", "state", "said"),
    [
        (None, SourceState.OFF, "no program id is configured"),
        ("", SourceState.OFF, "no program id is configured"),
        ("M0c1111111111111111111111111111111111111111", SourceState.DOWN, "is no program id"),
        ("0OIl not base58", SourceState.DOWN, "is no program id"),
        ("x" * 5000, SourceState.DOWN, "is no program id"),
        (b58(key("x")[:31]), SourceState.DOWN, "is no program id"),
    ],
)
async def test_without_a_program_id_the_endpoints_are_watched(
    program_id: str | None, state: SourceState, said: str
) -> None:
    node = Node("rpc-a", Chain())
    async with rig(node, program_id=program_id) as it:
        await it.until(lambda: it.endpoint("rpc-a").slot)
        fault = fault_in(it.topic("program"))
        assert fault is not None and fault.state is state and said in fault.reason and len(fault.reason) < 200
        assert all(
            fault_in(it.topic(name)) == fault for name in ("protocol", "signer-set", "markets")
        )  # read by nobody
        assert not any(method.startswith("getSignatures") for method in node.asked)


async def test_accounts_are_read_and_decoded() -> None:
    node = Node("rpc-a", Chain())
    async with rig(node) as it:
        await it.until(
            lambda: kept(it.topic("protocol")) and kept(it.topic("signer-set")) and kept(it.topic("markets"))
        )
        assert data_of(it.topic("protocol")).paused is False and data_of(it.topic("signer-set")).threshold == 5
        (market,) = data_of(it.topic("markets")).values()
        assert market.market_id == "NBA_LAL_BOS" and market.active
        node.chain.accounts[str(protocol_address(_program()))] = protocol(paused=True)
        await it.until(lambda: data_of(it.topic("protocol")).paused)


async def test_endpoints_that_disagree_on_accounts_are_both_named() -> None:
    chain = Chain()
    liar = Node("rpc-b", chain)
    liar.accounts[str(protocol_address(_program()))] = protocol(paused=True)
    liar.accounts[str(signer_set_address(_program(), 100))] = signer_set(100, [key("thief")], 1)
    async with rig(Node("rpc-a", chain), liar) as it:
        await it.until(lambda: {"paused", "signer set"} <= {d.what for d in kept(it.topic("disagreements")) or ()})
        said = {d.what: d.words for d in data_of(it.topic("disagreements"))}
        assert "rpc-a" in said["paused"] and "rpc-b says paused" in said["paused"]
        assert "threshold and pubkeys" in said["signer set"]


async def test_an_account_that_only_one_of_two_has_is_said() -> None:
    """A request that failed differs from nothing; an answer that there is none differs from an
    account.
    """
    chain = Chain()
    lacking = Node("rpc-b", chain)
    lacking.accounts[str(protocol_address(_program()))] = b"another layout"
    lacking.accounts[str(signer_set_address(_program(), 100))] = b""
    async with rig(Node("rpc-a", chain), lacking) as it:
        await it.until(lambda: {"protocol", "signer set"} <= {d.what for d in kept(it.topic("disagreements")) or ()})
        said = {d.what: d.words for d in data_of(it.topic("disagreements"))}
        assert "rpc-a has its account; rpc-b: ProtocolConfig account" in said["protocol"]
        lacking.error["getMultipleAccounts"] = {"code": -32603, "message": "internal"}
        await it.until(lambda: not kept(it.topic("disagreements")))


@pytest.mark.parametrize(
    ("account", "said"),
    [(None, "there is no ProtocolConfig"), (b"short", "not those of"), (protocol()[:30], "ends after")],
)
async def test_accounts_that_are_none_are_faults(account: bytes | None, said: str) -> None:
    chain = Chain()
    address = str(protocol_address(_program()))
    if account is None:
        del chain.accounts[address]
    else:
        chain.accounts[address] = account
    async with rig(Node("rpc-a", chain)) as it:
        await it.until(lambda: fault_in(it.topic("protocol")) and kept(it.topic("signer-set")))
        assert said in it.topic("protocol").believed(0.0).reason


@pytest.mark.parametrize(
    ("configured", "said"), [(None, "is not known"), ("one hundred", "is no signer set id"), ("7", "no signer set of")]
)
async def test_a_signer_set_id_that_is_none_is_said(configured: str | None, said: str) -> None:
    async with rig(Node("rpc-a", Chain()), signer_set_id=configured) as it:
        await it.until(lambda: fault_in(it.topic("signer-set")) and kept(it.topic("protocol")))
        assert said in it.topic("signer-set").believed(0.0).reason


async def test_a_provider_without_program_accounts_is_named() -> None:
    node = Node(
        "rpc-a", Chain(), error={"getProgramAccounts": {"code": -32010, "message": "excluded from secondary indexes"}}
    )
    async with rig(node) as it:
        await it.until(lambda: fault_in(it.topic("markets")) and kept(it.topic("protocol")))
        assert "excluded" in it.topic("markets").believed(0.0).reason


def test_the_websocket_address_is_the_one_that_solanas_clients_take() -> None:
    def of(url: str, ws: str | None = None) -> str:
        return ws_url(RpcEndpoint(name="a", url=url, ws_url=ws))

    assert of("http://127.0.0.1:8899") == "ws://127.0.0.1:8900"
    assert of("https://rpc.example/v2/KEY?x=1") == "wss://rpc.example/v2/KEY?x=1"
    assert of("https://rpc.example", "wss://ws.example/z") == "wss://ws.example/z"


def test_addresses_are_derived_and_nothing_panics() -> None:
    assert protocol_address(_program()) == protocol_address(_program()) != signer_set_address(_program(), 1)
    assert derived(b"short", b"x") is None and derived(_program(), b"x" * 33) is None
    assert derived(_program(), *[b"x"] * 20) is None


def test_only_the_last_two_minutes_count() -> None:
    clock = ManualClock()
    stats = RequestStats(clock)
    for took in (10.0, 20.0, 30.0):
        stats.add(took)
    stats.add(None, throttled=True)
    assert (stats.requests, stats.throttled, stats.error_ratio) == (4, 1, 0.25)
    assert (stats.latency_ms(0.5), stats.latency_ms(0.95)) == (20.0, 30.0)
    clock.advance(121)
    assert (stats.requests, stats.error_ratio, stats.latency_ms(0.5)) == (0, None, None)


def _program() -> bytes:
    from cockpit.oracle.base58 import pubkey

    return pubkey(PROGRAM_ID) or b""
