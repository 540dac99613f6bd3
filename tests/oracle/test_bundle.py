"""A bundle is valid only as it was signed; whatever else it is, the verdict says exactly what."""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.keypair import Keypair

from cockpit.model.observed.bundle import BundleVerdict, CheckAnswer
from cockpit.model.observed.chain import MarketState, SignerSetState
from cockpit.oracle.bundle import Expected, signature_holds, verify_bundle
from cockpit.oracle.bundle_file import MOST_BYTES, BundleProblem, canonical, read_bundle, read_signer_set

KEYS = [Keypair.from_seed(bytes([n] * 32)) for n in range(1, 8)]
STRANGER = Keypair.from_seed(bytes([99] * 32))
SET = SignerSetState(
    address="Set1",
    signer_set_id=100,
    threshold=5,
    pubkeys=tuple(str(k.pubkey()) for k in KEYS),
    active=True,
    created_at_slot=1,
    slot=2,
)
PAYLOAD = {"market": "NBA_LAL_BOS", "b": [1, 2.50, True, None], "a": {"ü": "x", "p": 0.1}}
CANONICAL = '{"a":{"p":0.1,"ü":"x"},"b":[1,2.5,true,null],"market":"NBA_LAL_BOS"}'.encode()


def bundle(keys: list[Keypair] = KEYS[:5], *, at: tuple[int, int, int] = (100, 88_000, 42), **changes: Any) -> bytes:
    """Formulas written out anew from the facts, not taken from the code under test."""
    content = sha256(b"M0_BUNDLE_CONTENT_V1" + CANONICAL).digest()
    message = sha256(b"M0_SIGMSG_V1" + content + b"".join(n.to_bytes(8, "little") for n in at)).digest()
    salt = bytes(range(32))
    made = {
        "payload": PAYLOAD,
        "bundle_content_hash": content.hex(),
        "signer_set_id": 100,
        "publish_epoch_id": 88_000,
        "sequence": 42,
        "market": "NBA_LAL_BOS",
        "salt": salt.hex(),
        "commit_hash": sha256(b"M0_COMMIT_V1" + content + salt).hexdigest(),
        "signatures": [{"pubkey": str(k.pubkey()), "signature": str(k.sign_message(message))} for k in keys],
    }
    return json.dumps({k: v for k, v in {**made, **changes}.items() if v is not ...}).encode()


def judge(raw: bytes, signer_set: SignerSetState | None = SET, expected: Expected | None = None) -> BundleVerdict:
    return verify_bundle(read_bundle(raw), signer_set, expected)


def failed(verdict: BundleVerdict) -> str:
    return "; ".join(f.words for f in verdict.findings if f.answer is CheckAnswer.FAIL)


def test_a_bundle_as_it_was_signed_is_valid() -> None:
    verdict = judge(bundle())
    assert verdict.valid is True, verdict.words
    assert (verdict.authorised, verdict.threshold) == (5, 5)
    assert judge(bundle(payload=..., payload_b64=base64.b64encode(CANONICAL).decode())).valid is True
    assert judge(bundle(salt=..., commit_hash=..., market=...)).valid is True
    assert judge(bundle(KEYS)).authorised == 7


def test_numbers_stay_as_they_were_written() -> None:
    assert canonical(json.loads('{"b": 1}', parse_int=str)) == b'{"b":"1"}'  # a plain string is quoted ...
    raw = bundle().replace(b"0.1}", b"0.10}")
    assert "payload altered" in failed(judge(raw))  # ... and 0.10 is not 0.1


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (bundle(payload={**PAYLOAD, "market": "other"}), "payload altered: its content hash is"),
        (bundle(KEYS[:4]), "too few signatures: 4 distinct authorised signatures, 5 needed of 7 keys"),
        (bundle([*KEYS[:4], KEYS[0]]), "duplicate: "),
        (bundle([*KEYS[:4], STRANGER]), "unknown key: "),
        (bundle(at=(100, 88_000, 41)), "the signatures were made for sequence 41, not 42"),
        (bundle(at=(100, 87_997, 42)), "the signatures were made for epoch 87997, not 88000"),
        (bundle(at=(100, 88_001, 38)), "made for epoch 88001, not 88000, sequence 38, not 42"),
        (bundle(signer_set_id=99), "wrong signer set: the bundle names 99, the active one is 100"),
        (bundle(signer_set_id=99), "the signatures were made for signer set 100, not 99"),
        (bundle(commit_hash="00" * 32), "wrong commit hash"),
        (bundle(signatures=[]), "too few signatures: 0 distinct"),
        (bundle(signatures=[{"pubkey": "0OIl", "signature": "x"}]), "the pubkey is not 32 bytes in base58"),
        (bundle(signatures=[{"pubkey": SET.pubkeys[0], "signature": "1" * 128}]), "not 64 bytes in base58"),
    ],
)
def test_what_is_wrong_is_said(raw: bytes, words: str) -> None:
    verdict = judge(raw)
    assert verdict.valid is False
    assert words in failed(verdict)
    assert words in verdict.words


def test_duplicates_count_once() -> None:
    assert judge(bundle([*KEYS[:4], KEYS[0]])).authorised == 4


def test_a_bad_signature_does_not_use_its_key_up() -> None:
    entries = json.loads(bundle())["signatures"]
    verdict = judge(bundle(signatures=[{**entries[0], "signature": entries[1]["signature"]}, *entries]))
    assert verdict.authorised == 5 and "bad signature 1" in failed(verdict) and "duplicate" not in verdict.words


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (Expected(sequence=43), "wrong sequence: the bundle says 42, expected 43"),
        (Expected(publish_epoch_id=1), "wrong epoch: the bundle says 88000, expected 1"),
        (Expected(signer_set_id=7), "wrong signer set: the bundle says 100, expected 7"),
        (
            Expected(
                market=MarketState(
                    address="m",
                    market_id="NBA_LAL_BOS",
                    domain="sports",
                    active=True,
                    current_epoch_id=88_000,
                    last_sequence=50,
                )
            ),
            "wrong sequence: 42 is below 50",
        ),
        (
            Expected(
                market=MarketState(
                    address="m",
                    market_id="NBA_LAL_BOS",
                    domain="sports",
                    active=True,
                    current_epoch_id=87_999,
                    last_sequence=42,
                )
            ),
            "market NBA_LAL_BOS is in 87999",
        ),
        (
            Expected(
                market=MarketState(
                    address="m",
                    market_id="NBA_LAL_BOS",
                    domain="sports",
                    active=True,
                    current_epoch_id=88_001,
                    last_sequence=40,
                )
            ),
            "42 is above 40, the newest of market NBA_LAL_BOS, but its epoch is past",
        ),
        (
            Expected(
                market=MarketState(
                    address="m",
                    market_id="OTHER",
                    domain="sports",
                    active=True,
                    current_epoch_id=88_000,
                    last_sequence=42,
                )
            ),
            "wrong market",
        ),
    ],
)
def test_it_is_compared_with_what_is_expected(expected: Expected, words: str) -> None:
    assert words in failed(judge(bundle(), SET, expected))


@pytest.mark.parametrize(
    ("epoch", "last", "words"),
    [
        (88_000, 42, "sequence 42 is the newest on the chain"),
        (88_000, 41, "sequence 42 is above 41, the newest on the chain"),
        (88_001, 42, "epoch 88000 is past, the market is in 88001"),
        (88_009, 51, "sequence 42 is past, 51 is the newest on the chain"),  # published a while ago: past is not wrong
    ],
)
def test_it_agrees_with_the_market(epoch: int, last: int, words: str) -> None:
    verdict = judge(
        bundle(),
        SET,
        Expected(
            100,
            None,
            None,
            MarketState(
                address="m",
                market_id="NBA_LAL_BOS",
                domain="sports",
                active=True,
                current_epoch_id=epoch,
                last_sequence=last,
            ),
        ),
    )
    assert verdict.valid is True, verdict.words
    assert words in [finding.words for finding in verdict.findings]


def test_without_a_signer_set_it_is_unknown_never_valid() -> None:
    verdict = verify_bundle(read_bundle(bundle()), None, None, "no endpoint answered")
    assert verdict.valid is None
    assert "signer set not known: no endpoint answered" in verdict.words
    altered = bundle(payload={"x": 1})
    assert verify_bundle(read_bundle(altered), None).valid is False  # what is wrong is wrong whoever is asked


def test_a_set_that_is_not_active_authorises_nothing() -> None:
    idle = SignerSetState(
        address="", signer_set_id=100, threshold=5, pubkeys=SET.pubkeys, active=False, created_at_slot=0, slot=0
    )
    assert "signer set 100 is not active" in failed(judge(bundle(), idle))
    zero = SignerSetState(
        address="", signer_set_id=100, threshold=0, pubkeys=SET.pubkeys, active=True, created_at_slot=0, slot=0
    )  # an account that never should be: no threshold is met by nobody
    assert judge(bundle(signatures=[]), zero).valid is False


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"[]", "the file: expected an object, got a list"),
        (b"<html>", "the file is not JSON: line 1"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "nests deeper than 64 levels"),
        (b'{"payload": ' + b'{"a":' * 80 + b"1" + b"}" * 81, "nests deeper"),
        (b" " * (MOST_BYTES + 1), "larger than 1,024 KiB"),
        (b'{"sequence": 1, "sequence": 2}', "sequence: this key is there twice"),
        (b'{"payload": {"x": NaN}}', "NaN, which is no JSON number"),
        (bundle(payload=...), "expected exactly one of payload and payload_b64"),
        (bundle(payload=[1]), "payload: expected an object, got a list"),
        (bundle(payload={"x": "\ud800"}), "half a surrogate pair"),
        (bundle(payload=..., payload_b64="?"), "payload_b64: expected base64"),
        (bundle(sequence="42"), "sequence: expected a whole number from 0 to 2^64 − 1, got text"),
        (bundle(sequence=-1), "sequence: expected a whole number"),
        (bundle(sequence=1.5), "sequence: expected a whole number"),
        (bundle(sequence=2**64), "sequence: expected a whole number"),
        (bundle(publish_epoch_id=...), "publish_epoch_id: missing"),
        (bundle(signer_set_id=True), "signer_set_id: expected a whole number from 0 to 2^64 − 1, got true or false"),
        (bundle(bundle_content_hash="zz"), "bundle_content_hash: expected 32 bytes in hex"),
        (bundle(salt=5), "salt: expected text, got the number 5"),
        (bundle(signatures={}), "signatures: expected a list, got an object"),
        (bundle(signatures=["x"]), "signatures[0]: expected an object, got text"),
        (bundle(signatures=[{"pubkey": "x"}]), "signatures[0].signature: missing"),
        (bundle(signatures=[{"pubkey": "x", "signature": "y"}] * 300), "expected 256 at most, got 300"),
    ],
)
def test_a_file_that_is_no_bundle_says_where(raw: bytes, words: str) -> None:
    with pytest.raises(BundleProblem) as problem:
        read_bundle(raw)
    assert words in problem.value.reason
    assert problem.value.reason.isprintable()


@given(
    st.binary(max_size=200) | st.text(max_size=100).map(lambda t: json.dumps({"payload": {}, "signatures": t}).encode())
)
def test_no_file_breaks_the_reader(raw: bytes) -> None:
    with pytest.raises(BundleProblem):
        read_bundle(raw)


@given(st.text(max_size=140), st.text(max_size=140))
def test_no_key_or_signature_breaks_the_check(pubkey: str, signature: str) -> None:
    assert signature_holds(pubkey, signature, b"x")[0] is False


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s), max_leaves=8
    )
)
def test_the_canonical_form_has_one_spelling(value: Any) -> None:
    once = canonical(value)
    assert json.loads(once) == value
    assert canonical(json.loads(once)) == once


def test_a_signer_set_is_read_from_a_file() -> None:
    raw = json.dumps({"signer_set_id": 100, "threshold": 5, "pubkeys": list(SET.pubkeys)}).encode()
    assert judge(bundle(), read_signer_set(raw)).valid is True
    for changed, words in (
        ({"threshold": 8}, "threshold: expected 1 to 7"),
        ({"threshold": 0}, "threshold: expected 1 to 7"),
        ({"pubkeys": [1]}, "pubkeys[0]"),
        ({"active": "yes"}, "active: expected true or false"),
    ):
        with pytest.raises(BundleProblem) as problem:
            read_signer_set(json.dumps({**json.loads(raw), **changed}).encode())
        assert words in problem.value.reason
