"""Tests clients' transactions: executed by the program's rules, refused with a node's words."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import pytest
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.message import Message, MessageV0
from solders.transaction import VersionedTransaction

from cockpit.drill.solana import base58
from cockpit.drill.solana.program import bundle, instructions, keys
from cockpit.drill.solana.program.bundle import Bundle
from cockpit.drill.solana.program.keys import Party
from tests.support.drill_chain_rig import MARKET, Rig

FRESH = {"encoding": "base64", "preflightCommitment": "processed"}


class Sender:
    """Builds, signs and sends as a submitter would."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.own = rig.oracle.keys
        self._turn = 0

    async def wire(self, parts: Sequence[Instruction], signer: Party) -> str:
        self._turn += 1
        options = {"commitment": "processed"}
        newest = (await self.rig.get("getLatestBlockhash", options))["value"]["blockhash"]
        if all(part.program_id != keys.ED25519 for part in parts):  # a reveal fills its packet
            parts = [instructions.compute_unit_price(self._turn), *parts]  # so that no two are the same transaction
        message = Message.new_with_blockhash(list(parts), signer.key, Hash.from_string(newest))
        return base64.b64encode(bytes(VersionedTransaction(message, [signer.pair]))).decode()

    async def send(self, parts: Sequence[Instruction], signer: Party, **options: Any) -> Any:
        """Send and return the response object; a slot passes."""
        answer = await self.rig.ask("sendTransaction", await self.wire(parts, signer), {**FRESH, **options})
        self.rig.clock.slots(1)
        return answer

    async def fails(self, parts: Sequence[Instruction], signer: Party) -> tuple[str, Any]:
        """Return (words, err) of a refusal before the flight."""
        error = (await self.send(parts, signer))["error"]
        assert error["code"] == -32002
        return error["message"].removeprefix("Transaction simulation failed: "), error["data"]["err"]

    async def open(self, market: str = MARKET) -> int:
        """Open the market's next epoch; return its number."""
        there = self.rig.oracle.accounts.market(market)
        assert there is not None
        number = there.current_epoch_id + 1
        assert "result" in await self.send([instructions.open_epoch(self.own, market, number)], self.own.authority)
        return number

    def bundle(self, epoch: int, sequence: int = 60_000_000, signer_set: int = 100) -> Bundle:
        return bundle.make(
            self.own, MARKET, epoch, sequence, 1_790_000_000_000, signer_set_id=signer_set, signers=range(5)
        )

    async def commit(self, made: Bundle, delay: int | None = 2) -> Any:
        part = instructions.commit(self.own, MARKET, made.epoch, made.commit_hash, delay)
        return await self.send([part], self.own.committer)

    def reveal(self, made: Bundle, signers: Sequence[Party] | None = None) -> list[Instruction]:
        signed = bundle.sign(made, self.own.signers[:5] if signers is None else signers)
        return [instructions.ed25519(made.message, signed), instructions.reveal(self.own, made, 100)]


@pytest.fixture
def sender(rig: Rig) -> Sender:
    return Sender(rig)


def custom(code: int, index: int) -> dict[str, Any]:
    return {"InstructionError": [index, {"Custom": code}]}


async def test_a_whole_publication_by_the_rules(rig: Rig, sender: Sender) -> None:
    made = sender.bundle(await sender.open())
    committed = (await sender.commit(made))["result"]
    rig.clock.slots(3)
    revealed = (await sender.send(sender.reveal(made), sender.own.committer))["result"]
    rig.clock.slots(3)
    options = {"commitment": "confirmed"}
    for signature, name in ((committed, "CommitPrediction"), (revealed, "RevealPrediction")):
        shown = await rig.get("getTransaction", signature, options)
        assert shown["meta"]["err"] is None
        assert f"Program log: Instruction: {name}" in shown["meta"]["logMessages"]
    market = rig.oracle.accounts.market(MARKET)
    assert market is not None and market.last_sequence == made.sequence
    assert rig.oracle.counts["RevealPrediction", ""] == 1


async def test_a_reveal_before_its_slot_is_too_early_and_a_second_one_too_late(rig: Rig, sender: Sender) -> None:
    made = sender.bundle(await sender.open())
    await sender.commit(made, delay=None)  # the protocol's ten slots
    words, err = await sender.fails(sender.reveal(made), sender.own.committer)
    assert (words, err) == ("Error processing Instruction 1: custom program error: 0x177c", custom(6012, 1))
    rig.clock.slots(12)
    assert "result" in await sender.send(sender.reveal(made), sender.own.committer)
    assert (await sender.fails(sender.reveal(made), sender.own.committer))[1] == custom(6010, 1)


@pytest.mark.parametrize(
    ("why", "code"), [("few", 6018), ("stranger", 6018), ("other set", 6018), ("salt", 6011), ("replay", 6013)]
)
async def test_a_reveal_that_does_not_hold(rig: Rig, sender: Sender, why: str, code: int) -> None:
    made = sender.bundle(await sender.open(), sequence=5 if why == "replay" else 60_000_000)
    if why == "replay":
        rig.publish()
        made = sender.bundle(await sender.open(), sequence=5)
    if why == "other set":
        made = sender.bundle(made.epoch, signer_set=99)
    await sender.commit(made)
    rig.clock.slots(3)
    own = sender.own
    signers = {"few": own.signers[:4], "stranger": [*own.signers[:4], own.named("stranger")]}.get(why)
    if why == "salt":
        made = sender.bundle(made.epoch, sequence=60_000_001)
    assert (await sender.fails(sender.reveal(made, signers), own.committer))[1] == custom(code, 1)


async def test_forged_signatures_fail_in_the_verifying_program(rig: Rig, sender: Sender) -> None:
    made = sender.bundle(await sender.open())
    await sender.commit(made)
    rig.clock.slots(3)
    check, call = sender.reveal(made)
    data = bytearray(check.data)
    data[80] ^= 1
    forged = Instruction(check.program_id, bytes(data), [])
    assert (await sender.fails([forged, call], sender.own.committer))[1] == custom(2, 0)


async def test_only_the_authority_governs_and_a_pause_stops_everything(rig: Rig, sender: Sender) -> None:
    own = sender.own
    stranger = own.committer
    assert (await sender.fails([instructions.set_paused(own, True, stranger.key)], stranger))[1] == custom(6000, 1)
    epoch = await sender.open()
    assert "result" in await sender.send([instructions.set_paused(own, True)], own.authority)
    made = sender.bundle(epoch)
    part = instructions.commit(own, MARKET, epoch, made.commit_hash, 2)
    assert (await sender.fails([part], own.committer))[1] == custom(6019, 1)
    assert rig.oracle.paused


async def test_markets_epochs_and_sets_have_their_errors(rig: Rig, sender: Sender) -> None:
    own = sender.own
    await sender.send([instructions.update_market(own, MARKET, False)], own.authority)
    assert (await sender.fails([instructions.open_epoch(own, MARKET, 88_001)], own.authority))[1] == custom(6003, 1)
    await sender.send([instructions.update_market(own, MARKET, True)], own.authority)
    epoch = await sender.open()
    await sender.send([instructions.finalize(own, MARKET, epoch)], own.authority)
    assert (await sender.fails([instructions.finalize(own, MARKET, epoch)], own.authority))[1] == custom(6004, 1)
    bad = instructions.RotateArgs(8, tuple(party.key for party in own.signers), True)
    assert (await sender.fails([instructions.rotate(own, 101, bad)], own.authority))[1] == custom(6015, 1)
    good = instructions.RotateArgs(4, tuple(party.key for party in own.signers), True)
    assert "result" in await sender.send([instructions.rotate(own, 101, good)], own.authority)
    assert rig.oracle.active_set().threshold == 4


async def test_anchor_refuses_what_does_not_fit(rig: Rig, sender: Sender) -> None:
    own = sender.own
    unknown = Instruction(own.program, b"nonsense", [])
    assert (await sender.fails([unknown], own.committer))[1] == custom(101, 1)
    missing = instructions.commit(own, MARKET, 99_999, bytes(32), 2)
    assert (await sender.fails([missing], own.committer))[1] == custom(3012, 1)
    epoch = await sender.open()
    short = instructions.commit(own, MARKET, epoch, bytes(32), 2)
    cut = Instruction(own.program, bytes(short.data)[:20], list(short.accounts))
    assert (await sender.fails([cut], own.committer))[1] == custom(102, 1)
    made = sender.bundle(epoch)
    await sender.commit(made)
    again = instructions.commit(own, MARKET, epoch, bytes(32), 2)
    assert (await sender.fails([again], own.committer))[1] == custom(0, 1)


async def test_without_preflight_a_failure_lands_and_costs_its_fee(rig: Rig, sender: Sender) -> None:
    own = sender.own
    part = instructions.set_paused(own, True, own.committer.key)
    before = rig.oracle.accounts.lamports(own.committer.key)
    signature = (await sender.send([part], own.committer, skipPreflight=True))["result"]
    status = (await rig.get("getSignatureStatuses", [signature]))["value"][0]
    assert status["err"] == custom(6000, 1)
    assert rig.oracle.accounts.lamports(own.committer.key) == before - 5_000


async def test_what_no_block_would_take_is_refused_with_its_reason(rig: Rig, sender: Sender) -> None:
    own = sender.own
    wire = await sender.wire([instructions.set_paused(own, False)], own.authority)
    assert "result" in await rig.ask("sendTransaction", wire, FRESH)
    again = await rig.error("sendTransaction", wire, FRESH)
    assert again["message"] == "Transaction simulation failed: This transaction has already been processed"
    old = await sender.wire([instructions.set_paused(own, False)], own.authority)
    rig.clock.slots(170)
    error = await rig.error("sendTransaction", old, FRESH)
    assert (error["code"], error["data"]["err"]) == (-32002, "BlockhashNotFound")
    assert error["message"] == "Transaction simulation failed: Blockhash not found"
    fresh = await sender.wire([instructions.set_paused(own, False)], own.authority)
    early = await rig.error("sendTransaction", fresh, {"encoding": "base64"})  # its bank is the finalised one
    assert early["data"]["err"] == "BlockhashNotFound"
    poor = own.named("poor")
    assert (await sender.fails([instructions.set_paused(own, True, poor.key)], poor))[1] == "AccountNotFound"


async def test_bytes_that_are_no_transaction(rig: Rig, sender: Sender) -> None:
    wire = base64.b64decode(await sender.wire([], sender.own.authority))
    for text, options in (
        ("!!!", FRESH),
        (base64.b64encode(b"\x01" + bytes(20)).decode(), FRESH),
        (base64.b64encode(bytes(1300)).decode(), FRESH),
        ("0OIl", {}),
    ):
        assert (await rig.error("sendTransaction", text, options))["code"] == -32602
    spoilt = bytearray(wire)
    spoilt[5] ^= 1
    error = await rig.error("sendTransaction", base64.b64encode(bytes(spoilt)).decode(), FRESH)
    assert (error["code"], error["message"]) == (-32003, "Transaction signature verification failure")
    assert "result" in await rig.ask("sendTransaction", base58.encode(wire), {"preflightCommitment": "processed"})


async def test_simulation_changes_nothing_and_says_what_would_be(rig: Rig, sender: Sender) -> None:
    own = sender.own
    options = {"encoding": "base64", "commitment": "processed", "sigVerify": True}
    good = await sender.wire([instructions.set_paused(own, True)], own.authority)
    result = (await rig.get("simulateTransaction", good, options))["value"]
    assert result["err"] is None and result["unitsConsumed"] > 0
    assert "Program log: Instruction: SetPaused" in result["logs"]
    assert not rig.oracle.paused
    bad = await sender.wire([instructions.set_paused(own, True, own.committer.key)], own.committer)
    result = (await rig.get("simulateTransaction", bad, options))["value"]
    assert result["err"] == custom(6000, 1)
    assert any("Error Code: Unauthorized. Error Number: 6000" in line for line in result["logs"])
    old = VersionedTransaction(Message.new_with_blockhash([], own.authority.key, Hash.default()), [own.authority.pair])
    wire = base64.b64encode(bytes(old)).decode()
    assert (await rig.get("simulateTransaction", wire, options))["value"]["err"] == "BlockhashNotFound"
    replaced = {"encoding": "base64", "replaceRecentBlockhash": True}
    result = (await rig.get("simulateTransaction", wire, replaced))["value"]
    assert result["err"] is None and result["replacementBlockhash"]["blockhash"]
    assert (await rig.error("simulateTransaction", wire, {**replaced, "sigVerify": True}))["code"] == -32602


async def test_versioned_messages_airdrops_and_transfers(rig: Rig, sender: Sender) -> None:
    own = sender.own
    friend = own.named("friend")
    await rig.get("requestAirdrop", str(friend.key), 1_000_000_000)
    rig.clock.slots(2)
    options = {"commitment": "processed"}
    assert (await rig.get("getBalance", str(friend.key), options))["value"] == 1_000_000_000
    newest = Hash.from_string((await rig.get("getLatestBlockhash", options))["value"]["blockhash"])
    to = own.named("other").key
    accounts = [AccountMeta(friend.key, True, True), AccountMeta(to, False, True)]
    transfer = Instruction(keys.SYSTEM, (2).to_bytes(4, "little") + (7_000).to_bytes(8, "little"), accounts)
    message = MessageV0.try_compile(friend.key, [transfer], [], newest)
    wire = base64.b64encode(bytes(VersionedTransaction(message, [friend.pair]))).decode()
    fee = (await rig.get("getFeeForMessage", base64.b64encode(b"\x80" + bytes(message)).decode(), options))["value"]
    signature = await rig.get("sendTransaction", wire, FRESH)
    rig.clock.slots(3)
    assert (await rig.get("getBalance", str(to), options))["value"] == 7_000
    assert (await rig.get("getBalance", str(friend.key), options))["value"] == 1_000_000_000 - 7_000 - fee
    error = await rig.error("getTransaction", signature, {"commitment": "confirmed"})
    assert error["code"] == -32015
    shown = await rig.get("getTransaction", signature, {"commitment": "confirmed", "maxSupportedTransactionVersion": 0})
    assert shown["version"] == 0


async def test_a_lost_send_answers_and_never_lands(rig: Rig, sender: Sender) -> None:
    rig.servers.nodes["rpc-a"].chaos.lost_sends = 1
    signature = (await sender.send([instructions.set_paused(sender.own, True)], sender.own.authority))["result"]
    rig.clock.slots(40)
    assert (await rig.get("getSignatureStatuses", [signature]))["value"] == [None]
    assert not rig.oracle.paused
