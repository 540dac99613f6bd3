"""Bytes of the program decode to what was put in, and whatever else comes is said in words."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.oracle import base58
from cockpit.oracle.layouts import (
    Account,
    EpochFinalized,
    MarketUpdated,
    PausedChanged,
    PredictionCommitted,
    PredictionRevealed,
    SignerSetRotated,
    Undecodable,
    account_of,
    decode_event,
    market_state,
    protocol_state,
    signer_set_state,
)
from tests.support.chain_encoder import PROGRAM_ID, account, b58, event, key, market, protocol, signer_set

U64 = st.integers(0, 2**64 - 1)
KEY = st.binary(min_size=32, max_size=32)
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=0x17F, exclude_categories=["Cc", "Cs"]), max_size=40)
DECODERS = (protocol_state, signer_set_state, market_state)


def held(data: bytes, owner: str = PROGRAM_ID) -> Account:
    return Account("Addr", owner, data, 9)


@given(KEY, KEY, KEY, KEY, U64)
def test_commits_and_reveals_come_back_as_they_were_written(a: bytes, b: bytes, c: bytes, d: bytes, n: int) -> None:
    assert decode_event(event("PredictionCommitted", a, b, c, d, (8, n))) == PredictionCommitted(a, b, c, d, n)
    assert decode_event(event("PredictionRevealed", a, b, c, d, (8, n))) == PredictionRevealed(a, b, c, d, n)
    assert decode_event(event("EpochFinalized", a, b, (8, n), (8, n ^ 1))) == EpochFinalized(a, b, n, n ^ 1)


@given(KEY, U64, st.integers(0, 65535), st.booleans(), TEXT)
def test_the_other_events_too(a: bytes, n: int, threshold: int, flag: bool, text: str) -> None:
    rotated = event("SignerSetRotated", a, (8, n), (2, threshold), flag)
    assert decode_event(rotated) == SignerSetRotated(a, n, threshold, flag)
    assert decode_event(event("PausedChanged", flag)) == PausedChanged(flag)
    updated = decode_event(event("MarketUpdated", a, text, flag, (8, n)))
    assert isinstance(updated, MarketUpdated) and (updated.active, updated.updated_at_slot) == (flag, n)


@given(st.binary(max_size=300), st.sampled_from([b"", key("x")[:8]]))
def test_arbitrary_bytes_are_undecodable_or_an_event(raw: bytes, head: bytes) -> None:
    try:
        decode_event(base64.b64encode(head + raw).decode())
    except Undecodable as problem:
        assert str(problem)


@given(st.text(max_size=300))
def test_arbitrary_text_is_no_event(text: str) -> None:
    with pytest.raises(Undecodable):
        decode_event(text)


@given(st.data())
def test_a_cut_event_is_undecodable(data: st.DataObject) -> None:
    whole = base64.b64decode(event("PredictionCommitted", key(1), key(2), key(3), key(4), (8, 5)))
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(Undecodable):
        decode_event(base64.b64encode(whole[:cut]).decode())
    with pytest.raises(Undecodable):
        decode_event(base64.b64encode(whole + b"x").decode())


def test_accounts_come_back_as_they_were_written_with_room_to_spare() -> None:
    state = protocol_state(held(protocol(paused=True) + bytes(100)), PROGRAM_ID)
    assert state.paused and state.authority == b58(key("authority"))
    assert (state.next_signer_set_id, state.default_reveal_delay_slots, state.slot) == (101, 10, 9)
    keys = [key(n) for n in range(7)]
    signers = signer_set_state(held(signer_set(100, keys, 5)), PROGRAM_ID)
    assert (signers.signer_set_id, signers.threshold, signers.active, signers.created_at_slot) == (100, 5, True, 77)
    assert signers.pubkeys == tuple(b58(each) for each in keys)
    one = market_state(held(market("NBA_LAL_BOS", domain=3)), PROGRAM_ID)
    assert (one.market_id, one.domain, one.current_epoch_id, one.last_sequence) == (
        "NBA_LAL_BOS",
        "Crypto",
        88_001,
        48_211,
    )


@pytest.mark.parametrize(
    ("data", "owner", "said"),
    [
        (protocol(), "11111111111111111111111111111111", "belongs to 1111"),
        (market("X"), PROGRAM_ID, "not those of a ProtocolConfig"),
        (b"", PROGRAM_ID, r"\(none\)"),
        (protocol()[:-9], PROGRAM_ID, "ends after"),
        (protocol()[:8] + b"\x07" + protocol()[9:], PROGRAM_ID, "neither 0 nor 1"),
        (protocol()[:8] + b"\x00" + protocol()[9:], PROGRAM_ID, "not initialised"),
    ],
)
def test_an_account_of_another_owner_size_or_kind_is_refused_in_words(data: bytes, owner: str, said: str) -> None:
    with pytest.raises(Undecodable, match=said):
        protocol_state(held(data, owner), PROGRAM_ID)


def test_lengths_are_bounded() -> None:
    with pytest.raises(Undecodable, match="4,000,000,000 pubkeys"):
        signer_set_state(held(account("SignerSet", (8, 1), (2, 1), (4, 4_000_000_000))), PROGRAM_ID)
    with pytest.raises(Undecodable, match="bytes of text"):
        market_state(held(account("Market", (4, 70_000), bytes(100))), PROGRAM_ID)
    with pytest.raises(Undecodable, match="domain 9"):
        market_state(held(market("X", domain=9)), PROGRAM_ID)


@given(st.binary(max_size=400), st.sampled_from(["ProtocolConfig", "SignerSet", "Market"]))
def test_arbitrary_accounts_raise_nothing_else(raw: bytes, name: str) -> None:
    for decode in DECODERS:
        try:
            decode(held(account(name) + raw), PROGRAM_ID)
        except Undecodable as problem:
            assert str(problem)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "owner", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(JSON)
def test_arbitrary_json_is_no_account(value: object) -> None:
    try:
        assert account_of("A", value, 1) is None or isinstance(value, dict)
    except Undecodable as problem:
        assert str(problem)


@given(st.binary(max_size=64))
def test_base58_round_trip(raw: bytes) -> None:
    text = base58.encode(raw)
    assert text == b58(raw) and (base58.decode(text) == raw or not raw)


@given(st.text(max_size=60))
def test_only_32_bytes_are_a_key(text: str) -> None:
    raw = base58.pubkey(text)
    assert raw is None or (len(raw) == 32 and b58(raw) == text)
