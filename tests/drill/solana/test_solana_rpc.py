"""Tests the JSON-RPC of the drill's Solana: clients' questions, and a real node's errors."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from solana.rpc.async_api import AsyncClient
from solana.rpc.jsonrpc import JsonRpcRequest
from solders.transaction import VersionedTransaction

from cockpit.drill.solana import base58
from cockpit.drill.solana.program.layouts import Market
from cockpit.drill.solana.program.ledger import skipped
from cockpit.oracle.layouts import account_of, market_state, protocol_state, signer_set_state
from tests.support.drill_chain_rig import MARKET, Rig


async def test_a_node_introduces_itself(rig: Rig) -> None:
    assert await rig.get("getHealth") == "ok"
    assert (await rig.get("getVersion"))["solana-core"]
    info = await rig.get("getEpochInfo", {"commitment": "processed"})
    assert info["absoluteSlot"] == rig.oracle.ledger.slot()
    assert info["slotIndex"] < info["slotsInEpoch"]
    genesis = {await rig.get("getGenesisHash", name=name) for name in rig.servers.nodes}
    assert genesis == {rig.oracle.ledger.genesis}
    health = await rig.client.get(rig.servers.url() + "/health")
    assert health.text == "ok"


async def test_slots_by_commitment_and_blockhashes_that_expire(rig: Rig) -> None:
    processed, confirmed, finalized = [
        await rig.get("getSlot", {"commitment": name}) for name in ("processed", "confirmed", "finalized")
    ]
    assert processed >= confirmed + 2 and confirmed >= finalized + 29
    assert await rig.get("getSlot") == finalized
    newest = (await rig.get("getLatestBlockhash", {"commitment": "processed"}))["value"]
    assert newest["lastValidBlockHeight"] == await rig.get("getBlockHeight", {"commitment": "processed"}) + 150
    assert (await rig.get("isBlockhashValid", newest["blockhash"], {"commitment": "processed"}))["value"] is True
    assert (await rig.get("isBlockhashValid", newest["blockhash"]))["value"] is False  # not yet final
    rig.clock.slots(200)
    assert (await rig.get("isBlockhashValid", newest["blockhash"], {"commitment": "processed"}))["value"] is False


async def test_solana_py_reads_it_over_its_raw_path(rig: Rig) -> None:
    rig.publish(3)
    rig.clock.slots(40)
    client = AsyncClient(rig.servers.url(), timeout=5, max_transport_retries=0)
    try:

        async def ask(method: str, *params: Any) -> Any:
            return await client.send_rpc_request(JsonRpcRequest(method=method, params=list(params)), Any)

        assert (await ask("getVersion"))["feature-set"]
        listed = await ask("getSignaturesForAddress", rig.oracle.program_id, {"limit": 10})
        assert len(listed) == 6
        shown = await ask("getTransaction", listed[0]["signature"], {"encoding": "json"})
        assert shown["slot"] == listed[0]["slot"]
    finally:
        await client.close()


async def test_accounts_decode_with_the_cockpits_own_decoder(rig: Rig) -> None:
    rig.publish(2)
    rig.clock.slots(40)
    own, program = rig.oracle.keys, rig.oracle.program_id
    addresses = [str(own.protocol()), str(own.signer_set(100)), str(own.market(MARKET))]
    answer = await rig.get("getMultipleAccounts", addresses, {"encoding": "base64"})
    slot = answer["context"]["slot"]
    accounts = [account_of(address, value, slot) for address, value in zip(addresses, answer["value"], strict=True)]
    config, signer_set, market = accounts
    assert config is not None and signer_set is not None and market is not None
    assert protocol_state(config, program).authority == str(own.authority.key)
    members = signer_set_state(signer_set, program)
    assert (members.threshold, members.pubkeys) == (5, tuple(str(party.key) for party in own.signers))
    state = market_state(market, program)
    assert (state.market_id, state.domain.lower(), state.current_epoch_id) == (MARKET, "sports", 88_002)


async def test_program_accounts_by_filters(rig: Rig) -> None:
    rig.publish(2)
    rig.clock.slots(40)
    program = rig.oracle.program_id
    everything = await rig.get("getProgramAccounts", program, {"encoding": "base64"})
    assert len(everything) == 1 + 1 + 8 + 2 + 2
    markets = await rig.get(
        "getProgramAccounts",
        program,
        {"encoding": "base64", "filters": [{"dataSize": Market.SPACE}], "withContext": True},
    )
    assert len(markets["value"]) == 8
    raw = base64.b64decode(markets["value"][0]["account"]["data"][0])
    for wanted in (
        {"bytes": base58.encode(raw[:8])},
        {"bytes": base64.b64encode(raw[:8]).decode(), "encoding": "base64"},
    ):
        same = await rig.get(
            "getProgramAccounts",
            program,
            {
                "encoding": "base64",
                "filters": [{"memcmp": {"offset": 0, **wanted}}],
                "dataSlice": {"offset": 0, "length": 0},
            },
        )
        assert len(same) == 8 and same[0]["account"]["data"] == ["", "base64"]
        assert same[0]["account"]["space"] == Market.SPACE
    assert await rig.get("getProgramAccounts", str(rig.oracle.keys.stranger), {"encoding": "base64"}) == []
    error = await rig.error("getProgramAccounts", program, {"filters": [{"nonsense": 1}]})
    assert error["code"] == -32602


async def test_balances_and_accounts_that_are_not_there(rig: Rig) -> None:
    own = rig.oracle.keys
    before = (await rig.get("getBalance", str(own.committer.key)))["value"]
    rig.publish()
    rig.clock.slots(40)
    after = (await rig.get("getBalance", str(own.committer.key)))["value"]
    rent = await rig.get("getMinimumBalanceForRentExemption", 146)
    assert before - after == 5_000 + rent + 6 * 5_000
    nobody = str(own.named("nobody").key)
    assert (await rig.get("getBalance", nobody))["value"] == 0
    assert (await rig.get("getAccountInfo", nobody))["value"] is None
    program = (await rig.get("getAccountInfo", rig.oracle.program_id, {"encoding": "base64"}))["value"]
    assert program["executable"] is True
    error = await rig.error("getAccountInfo", str(own.market(MARKET)), {"encoding": "base58"})
    assert "128 bytes" in error["message"]


async def test_state_is_read_at_the_commitment_that_was_asked_for(rig: Rig) -> None:
    rig.oracle.set_paused(True)
    protocol = str(rig.oracle.keys.protocol())

    async def paused(commitment: str) -> bool:
        options = {"encoding": "base64", "commitment": commitment}
        value = (await rig.get("getAccountInfo", protocol, options))["value"]
        return base64.b64decode(value["data"][0])[8 + 1 + 32] == 1

    assert await paused("processed")
    assert not await paused("confirmed")
    rig.clock.slots(3)
    assert await paused("confirmed")
    assert not await paused("finalized")
    rig.clock.slots(31)
    assert await paused("finalized")


async def test_signatures_are_paged_newest_first_without_gap_or_double(rig: Rig) -> None:
    rig.publish(30)
    rig.clock.slots(40)
    address = rig.oracle.program_id
    whole = [row["signature"] for row in await rig.get("getSignaturesForAddress", address)]
    assert len(whole) == len(set(whole)) == rig.oracle.ledger.count
    paged: list[str] = []
    while True:
        options = {"limit": 7, **({"before": paged[-1]} if paged else {})}
        page = await rig.get("getSignaturesForAddress", address, options)
        paged += [row["signature"] for row in page]
        if len(page) < 7:
            break
    assert paged == whole
    newer = await rig.get("getSignaturesForAddress", address, {"until": whole[5]})
    assert [row["signature"] for row in newer] == whole[:5]
    market = await rig.get("getSignaturesForAddress", str(rig.oracle.keys.market(MARKET)), {"limit": 3})
    assert len(market) == 3
    other = await rig.get("getSignaturesForAddress", str(rig.oracle.keys.market("FED_RATE_JAN")))
    assert other == []


async def test_paging_knows_commitments_and_refuses_bad_limits(rig: Rig) -> None:
    rig.publish()
    address = rig.oracle.program_id
    assert await rig.get("getSignaturesForAddress", address) == []
    assert len(await rig.get("getSignaturesForAddress", address, {"commitment": "confirmed"})) == 1
    rig.clock.slots(3)
    rows = await rig.get("getSignaturesForAddress", address, {"commitment": "confirmed"})
    assert {row["confirmationStatus"] for row in rows} == {"confirmed"}
    assert (await rig.error("getSignaturesForAddress", address, {"commitment": "processed"}))["code"] == -32602
    assert (await rig.error("getSignaturesForAddress", address, {"limit": 1001}))["code"] == -32602
    assert (await rig.error("getSignaturesForAddress", "nonsense"))["code"] == -32602


async def test_a_transaction_in_each_encoding(rig: Rig) -> None:
    rig.publish(1, error="SignatureVerificationFailed")
    rig.clock.slots(40)
    failed, fine = await rig.get("getSignaturesForAddress", rig.oracle.program_id)
    shown = await rig.get("getTransaction", failed["signature"], {"maxSupportedTransactionVersion": 0})
    assert shown["meta"]["err"] == {"InstructionError": [1, {"Custom": 6018}]}
    assert shown["meta"]["logMessages"][-1].endswith("failed: custom program error: 0x1782")
    assert any("Error Number: 6018" in line for line in shown["meta"]["logMessages"])
    assert shown["version"] == "legacy"
    wire = (await rig.get("getTransaction", fine["signature"], {"encoding": "base64"}))["transaction"]
    transaction = VersionedTransaction.from_bytes(base64.b64decode(wire[0]))
    assert str(transaction.signatures[0]) == fine["signature"]
    parsed = await rig.get("getTransaction", fine["signature"], "jsonParsed")
    keys = parsed["transaction"]["message"]["accountKeys"]
    assert [key["signer"] for key in keys].count(True) == 1
    inner = parsed["meta"]["innerInstructions"]
    assert [call["index"] for call in inner] == [1]
    assert await rig.get("getTransaction", "1" * 64) is None


async def test_statuses_pass_from_processed_to_finalized(rig: Rig) -> None:
    rig.publish()
    entry = rig.oracle.ledger.entries[-1]
    signature = rig.oracle.ledger.signature(entry)

    async def status() -> Any:
        return (await rig.get("getSignatureStatuses", [signature]))["value"][0]

    assert (await status())["confirmationStatus"] == "processed"
    rig.clock.slots(5)
    assert (await status())["confirmationStatus"] == "confirmed"
    rig.clock.slots(40)
    found = await status()
    assert (found["confirmationStatus"], found["confirmations"]) == ("finalized", None)
    rig.clock.slots(400)
    assert await status() is None
    searched = await rig.get("getSignatureStatuses", [signature], {"searchTransactionHistory": True})
    assert searched["value"][0]["slot"] == entry.slot


async def test_what_lands_on_a_losing_fork_is_seen_and_then_gone(rig: Rig) -> None:
    ghost = rig.oracle.ghost(MARKET)
    assert (await rig.get("getSignatureStatuses", [ghost]))["value"][0]["confirmationStatus"] == "processed"
    rig.clock.slots(40)
    assert (await rig.get("getSignatureStatuses", [ghost]))["value"] == [None]
    assert await rig.get("getSignaturesForAddress", rig.oracle.program_id) == []
    assert await rig.get("getTransaction", ghost) is None


async def test_blocks_hold_their_transactions_and_missed_slots_say_so(rig: Rig) -> None:
    rig.publish()
    rig.clock.slots(60)
    entry = rig.oracle.ledger.entries[0]
    block = await rig.get("getBlock", entry.slot, {"maxSupportedTransactionVersion": 0, "rewards": False})
    assert [t["transaction"]["signatures"][0] for t in block["transactions"]] == [entry.signature]
    assert block["blockTime"] == await rig.get("getBlockTime", entry.slot)
    parent = await rig.get(
        "getBlock", block["parentSlot"], {"transactionDetails": "none", "maxSupportedTransactionVersion": 0}
    )
    assert parent["blockhash"] == block["previousBlockhash"]
    missed = next(slot for slot in range(entry.slot, entry.slot + 30) if skipped(slot))
    assert (await rig.error("getBlock", missed))["code"] == -32007
    assert (await rig.error("getBlock", entry.slot + 10_000))["code"] == -32004
    assert (await rig.error("getBlock", 5))["code"] == -32001
    blocks = await rig.get("getBlocks", entry.slot, entry.slot + 30)
    assert missed not in blocks and len(blocks) >= 28


async def test_fees_and_performance(rig: Rig) -> None:
    rig.publish(5)
    rig.clock.slots(3)
    fees = await rig.get("getRecentPrioritizationFees", [rig.oracle.program_id])
    assert len(fees) >= 140
    assert {bool(fee["prioritizationFee"]) for fee in fees} == {True, False}
    samples = await rig.get("getRecentPerformanceSamples", 3)
    assert [sample["samplePeriodSecs"] for sample in samples] == [60] * len(samples) and samples


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":', -32700),
        (b"", -32700),
        (b"17", -32600),
        (b"[]", -32600),
        (b'{"id":1,"method":"getSlot"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"getNonsense"}', -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"getBalance","params":[]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"getBalance","params":["xyz"]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"getBalance","params":[5]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"getSlot","params":[{"commitment":"soon"}]}', -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"getSlot","params":[{"minContextSlot":99999999999}]}', -32016),
    ],
)
async def test_errors_have_a_nodes_codes(rig: Rig, body: bytes, code: int) -> None:
    answer = await rig.post(body)
    assert answer.json()["error"]["code"] == code


async def test_batches_answer_each_call_and_notifications_nothing(rig: Rig) -> None:
    calls = [{"jsonrpc": "2.0", "id": n, "method": m} for n, m in enumerate(("getSlot", "getNonsense", "getVersion"))]
    answers = (await rig.post([*calls, {"jsonrpc": "2.0", "method": "getSlot"}, 5])).json()
    assert [answer["id"] for answer in answers] == [0, 1, 2, None]
    assert ["error" in answer for answer in answers] == [False, True, False, True]
    assert (await rig.post({"jsonrpc": "2.0", "method": "getSlot"})).content == b""


async def test_http_is_refused_as_a_node_refuses_it(rig: Rig) -> None:
    url = rig.servers.url()
    assert (await rig.client.get(url)).status_code == 405
    assert (await rig.client.post(url, content=b"{}", headers={"Content-Type": "text/plain"})).status_code == 415
    big = b'{"jsonrpc":"2.0","id":1,"method":"getSlot","params":["' + b"x" * 600_000 + b'"]}'
    assert (await rig.post(big)).status_code == 413
