"""Tests that the chain follows from the seed, signs really, and counts as the world counts."""

from __future__ import annotations

import base64
import json
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from cockpit.drill.names import MARKETS
from cockpit.drill.solana import base58
from cockpit.drill.solana.program import bundle, instructions
from cockpit.drill.solana.program.keys import ED25519
from cockpit.drill.solana.program.ledger import Encoded, Ledger, produced, skipped
from cockpit.drill.solana.program.oracle import Oracle
from cockpit.drill.solana.program.runtime import PACKET
from cockpit.model.observed.bundle import CheckAnswer
from cockpit.model.observed.chain import SignerSetState
from cockpit.oracle.bundle import verify_bundle
from cockpit.oracle.bundle_file import read_bundle
from cockpit.oracle.layouts import PredictionCommitted, PredictionRevealed, decode_event
from tests.support.drill_chain_rig import FIRST, MARKET, START, Hand, oracle


def lived(seed: int = 7, pairs: int = 24) -> tuple[Oracle, Hand]:
    clock = Hand()
    chain = oracle(clock, seed)
    markets = list(MARKETS)
    for number in range(pairs):
        landed = chain.commit(markets[number % 8], FIRST + 1 + number, clock(), clock())
        clock.slots(3)
        chain.reveal(landed, clock(), "ReplayViolation" if number % 10 == 9 else "")
    return chain, clock


def encodings(chain: Oracle) -> list[Encoded]:
    return [chain.ledger.encoded(entry) for entry in chain.ledger.entries]


def data_of(encoded: Encoded) -> str:
    return next(line for line in encoded.logs if line.startswith("Program data: ")).removeprefix("Program data: ")


def test_the_same_seed_makes_the_same_chain() -> None:
    assert encodings(lived()[0]) == encodings(lived()[0])
    assert lived(8)[0].program_id != lived()[0].program_id


def test_what_was_dropped_is_encoded_again_alike() -> None:
    chain, _ = lived()
    first = encodings(chain)
    chain.ledger._encoded.clear()
    assert encodings(chain) == first


def test_every_transaction_fits_a_packet_and_bears_its_payers_signature() -> None:
    chain, _ = lived()
    for encoded in encodings(chain):
        assert len(encoded.wire) <= PACKET
        transaction = VersionedTransaction.from_bytes(encoded.wire)
        assert all(transaction.verify_with_results())
        assert str(transaction.signatures[0]) == encoded.signature
        assert [str(key) for key in transaction.message.account_keys] == list(encoded.keys)
        assert sum(encoded.pre) - sum(encoded.post) == encoded.fee


def test_a_reveal_carries_five_signatures_of_the_set_over_the_programs_message() -> None:
    chain, _ = lived()
    reveal = encodings(chain)[1]
    message = VersionedTransaction.from_bytes(reveal.wire).message
    check, call = message.instructions
    assert message.account_keys[check.program_id_index] == ED25519
    args = instructions.reveal_args(bytes(call.data)[8:])
    content = sha256(b"M0_BUNDLE_CONTENT_V1" + args.payload).digest()
    numbers = b"".join(n.to_bytes(8, "little") for n in (args.signer_set_id, args.publish_epoch_id, args.sequence))
    wanted = sha256(b"M0_SIGMSG_V1" + content + numbers).digest()
    claims = instructions.ed25519_claims(bytes(check.data))
    members = {party.key for party in chain.keys.signers}
    assert len({pubkey for pubkey, _, _ in claims} & members) == 5
    assert all(said == wanted and sig.verify(key, wanted) for key, said, sig in claims)


def test_the_cockpits_own_decoder_reads_the_events() -> None:
    chain, _ = lived(pairs=1)
    commit, reveal = encodings(chain)[:2]
    committed, revealed = decode_event(data_of(commit)), decode_event(data_of(reveal))
    assert isinstance(committed, PredictionCommitted)
    assert isinstance(revealed, PredictionRevealed)
    assert committed.market == revealed.market == bytes(chain.keys.market(MARKET))
    assert committed.reveal_after_slot == chain.ledger.entries[0].slot + 2
    assert revealed.sequence == FIRST + 1


def test_the_newest_bundle_of_a_market_verifies() -> None:
    chain, _ = lived()
    found = chain.bundle(MARKET)
    assert found is not None
    members = tuple(str(party.key) for party in chain.keys.signers)
    known = SignerSetState(
        address=str(chain.keys.signer_set(100)),
        signer_set_id=100,
        threshold=5,
        pubkeys=members,
        active=True,
        created_at_slot=1,
        slot=1,
    )
    verdict = verify_bundle(read_bundle(json.dumps(found).encode()), known)
    assert {finding.answer for finding in verdict.findings} == {CheckAnswer.PASS}
    market = chain.accounts.market(MARKET)
    assert market is not None
    assert (found["publish_epoch_id"], found["sequence"]) == (market.current_epoch_id, market.last_sequence)
    spoilt = {**found, "payload": {**found["payload"], "sequence": 1}}
    assert verify_bundle(read_bundle(json.dumps(spoilt).encode()), known).findings[0].answer is CheckAnswer.FAIL


def test_no_bundle_before_the_first_reveal() -> None:
    assert oracle().bundle(MARKET) is None


def test_the_hand_written_payload_is_canonical() -> None:
    made = bundle.make(oracle().keys, MARKET, 88_001, FIRST, 1_790_000_000_000, signer_set_id=100, signers=range(5))
    assert made.payload == bundle.canonical(json.loads(made.payload))


def test_counts_say_what_was_put_on_the_chain() -> None:
    chain, _ = lived(pairs=160)
    assert chain.counts["CommitPrediction", ""] == 160
    assert chain.counts["RevealPrediction", ""] == 144
    assert chain.counts["RevealPrediction", "ReplayViolation"] == 16
    assert chain.counts["FinalizeEpoch", ""] > 0
    assert sum(chain.counts.values()) == chain.ledger.count == len({encoded.signature for encoded in encodings(chain)})


def test_a_paused_protocol_refuses_and_a_market_that_is_off_too() -> None:
    chain, clock = lived(pairs=1)
    chain.set_paused(True)
    clock.slots(1)
    assert chain.paused
    landed = chain.commit(MARKET, FIRST + 50, clock(), clock())
    assert landed.error == "Paused"
    assert chain.ledger.encoded(chain.ledger.entries[-1]).err == {"InstructionError": [1, {"Custom": 6019}]}
    chain.set_paused(False)
    clock.slots(1)
    chain.set_market_active(MARKET, False)
    assert chain.refusal(MARKET) == "MarketNotActive"
    assert chain.refusal("FED_RATE_JAN") == ""


def test_a_new_signer_set_is_accepted_only_where_the_agents_hold_its_keys() -> None:
    chain, _ = lived(pairs=1)
    assert chain.accepts("100")
    assert not chain.accepts("101")
    assert not chain.accepts("no number")
    chain.rotate()
    assert chain.accepts("101")
    chain.rotate([chain.keys.named(f"stranger-{n}").key for n in range(7)], number=200)
    assert not chain.accepts("200")
    assert chain.accounts.config().next_signer_set_id == 201


def test_accounts_are_remembered_as_of_a_slot() -> None:
    clock = Hand()
    chain = oracle(clock)
    for number in range(200):
        chain.commit(MARKET, FIRST + number, clock(), clock())
        clock.slots(4)
    newest = chain.accounts.market(MARKET)
    earlier = chain.accounts.at(("market", MARKET), chain.ledger.slot() - 400)
    assert newest is not None and earlier is not None and not isinstance(earlier, int)
    assert newest.current_epoch_id - earlier.current_epoch_id == 99  # type: ignore[union-attr]
    epoch = chain.keys.epoch(MARKET, newest.current_epoch_id)
    assert chain.accounts.find(epoch) == ("epoch", MARKET, newest.current_epoch_id)
    assert chain.accounts.find(Pubkey.default()) is None


def test_the_past_is_cut_to_what_paging_needs() -> None:
    chain, _ = lived()
    chain.ledger.forget_past(keep=10)
    assert len(chain.ledger.entries) == 10
    assert chain.ledger.entries[0].number == chain.ledger.first == chain.ledger.count - 10


def test_slots_that_leaders_miss_have_no_block() -> None:
    slots = range(475_000_000, 475_000_100)
    missed = [slot for slot in slots if skipped(slot)]
    assert len(missed) == 4
    assert [Ledger.height(slot + 1) - Ledger.height(slot - 1) for slot in missed] == [1] * 4
    assert all(not skipped(produced(slot)) for slot in slots)


@given(st.binary(max_size=80))
def test_base58_goes_there_and_back(data: bytes) -> None:
    assert base58.decode(base58.encode(data)) == data


def test_base58_is_what_others_write() -> None:
    raw = bytes(range(64))
    assert base58.encode(raw) == str(Signature.from_bytes(raw))
    assert base58.encode(bytes(32)) == str(Pubkey.default())
    with pytest.raises(ValueError, match="not base58"):
        base58.decode("0")


def test_transactions_never_go_before_another_nor_into_a_missed_slot() -> None:
    clock = Hand(START)
    chain = oracle(clock)
    for number in range(120):
        chain.commit(MARKET, FIRST + number, clock(), clock.at - (number % 7))
        clock.slots(0.7)
    slots = [entry.slot for entry in chain.ledger.entries]
    assert slots == sorted(slots)
    assert not any(skipped(slot) for slot in slots)


def test_program_data_is_base64_of_discriminator_and_borsh() -> None:
    chain, _ = lived(pairs=1)
    raw = base64.b64decode(data_of(encodings(chain)[0]))
    assert raw[:8] == sha256(b"event:PredictionCommitted").digest()[:8]
    assert len(raw) == 8 + 3 * 32 + 32 + 8
