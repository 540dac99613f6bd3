"""Says why a reveal was refused, by what the transaction itself holds.

The ed25519 program's instruction names each key and the message it signed; the reveal's arguments
say what it should have been (docs/oracle-program.md). Pure; whatever cannot be read is said.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from struct import Struct, error

from cockpit.model.observed.chain import Refusal, SignerSetState
from cockpit.oracle.base58 import encode, pubkey
from cockpit.oracle.bundle import content_hash, signed_message
from cockpit.oracle.errors import REPLAY_PROTECTION, RUNBOOKS
from cockpit.text import counted, safe

#: How far from what a reveal says an epoch and a sequence are looked for that was signed instead.
NEAR = 64
ED25519 = pubkey("Ed25519SigVerify111111111111111111111111111") or b""
_REVEAL = sha256(b"global:reveal_prediction").digest()[:8]
_ENTRY, _ARGS, _LENGTH = Struct("<7H"), Struct("<3Q32s"), Struct("<I")
_THIS = 0xFFFF  # "in this instruction's own data"
_MOST_KEYS, _MOST_PARTS = 256, 64


class Unreadable(Exception):
    """These bytes are no transaction, or not one of the kind; one line says how."""


@dataclass(frozen=True, slots=True)
class _Part:
    program: bytes
    data: bytes
    accounts: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class _Reveal:
    signer_set_id: int
    epoch: int
    sequence: int
    content: bytes


def examine(
    wire: str,
    signature: str,
    slot: int,
    error_name: str,
    program_id: str,
    signers: SignerSetState | None,
    markets: Container[str] = (),
) -> Refusal:
    """Return what a transaction (base64) shows.

    `signers`: the set as the chain has it; `markets`: the addresses of markets' accounts.
    """
    reveal: _Reveal | None = None
    market = ""
    claims: list[tuple[bytes, bytes]] = []
    finding, words = "", ""
    try:
        parts = list(_parts(wire))
        claims = [claim for part in parts if part.program == ED25519 for claim in _claims(part.data)]
        own = pubkey(program_id)
        call = next((part for part in parts if part.program == own), None)
        if call is None:
            raise Unreadable("it holds no instruction of the program")
        reveal = _arguments(call.data)
        market = next((key for key in map(encode, call.accounts) if key in markets), "")
        if RUNBOOKS.get(error_name) == REPLAY_PROTECTION:
            finding, words = "replay", f"it has sequence {reveal.sequence}"
        else:
            finding, words = _finding(reveal, claims, error_name, signers)
    except (Unreadable, error, IndexError) as problem:
        words = f"cannot be read: {problem}"
    keys = tuple(dict.fromkeys(encode(key) for key, _ in claims))
    return Refusal(
        signature=safe(signature, 100),
        slot=slot,
        error=safe(error_name, 60),
        finding=finding,
        words=safe(words, 300),
        keys=keys,
        strangers=tuple(key for key in keys if key not in signers.pubkeys) if signers is not None else (),
        signer_set_id=reveal.signer_set_id if reveal is not None else None,
        epoch=reveal.epoch if reveal is not None else None,
        sequence=reveal.sequence if reveal is not None else None,
        content_hash=reveal.content.hex() if reveal is not None else "",
        market=market,
    )


def _finding(
    reveal: _Reveal, claims: Sequence[tuple[bytes, bytes]], error_name: str, signers: SignerSetState | None
) -> tuple[str, str]:
    if not claims:
        return "none", "it carries no signature at all"
    messages = {message for _, message in claims}
    right = signed_message(reveal.content, reveal.signer_set_id, reveal.epoch, reveal.sequence)
    if right in messages:
        keys = {encode(key) for key, message in claims if message == right}
        if error_name == "BundleHashMismatch":
            return (
                "hash",
                f"{counted(len(keys), 'key')} signed the hash of these bytes, and the program hashes them differently",
            )
        if signers is None:
            return "", f"{counted(len(keys), 'key')} signed what it says; the signer set is not known"
        known = keys & set(signers.pubkeys)
        if len(known) < signers.threshold:
            of_all = f"{len(known)} of its {counted(len(keys), 'key')}"
            return "keys", f"{of_all} in set {signers.signer_set_id}, {signers.threshold} needed"
        return "", f"{counted(len(known), 'key')} of the set signed what it says: the signatures are not what is wrong"
    for epoch, sequence in _neighbours(reveal):
        if signed_message(reveal.content, reveal.signer_set_id, epoch, sequence) in messages:
            signed = [
                f"{name} {other}, the reveal says {own}"
                for name, other, own in (
                    ("epoch", epoch, reveal.epoch),
                    ("sequence", sequence, reveal.sequence),
                )
                if other != own
            ]
            return "sequence", f"the agents signed {' and '.join(signed)}"
    if signers is not None and reveal.signer_set_id != signers.signer_set_id:
        other = signed_message(reveal.content, signers.signer_set_id, reveal.epoch, reveal.sequence)
        if other in messages:
            return "keys", f"the agents signed for set {signers.signer_set_id}, the reveal names {reveal.signer_set_id}"
    if error_name == "BundleHashMismatch":
        return "hash", "what was signed is no hash of these bytes"
    length = len(next(iter(messages)))
    odd = f"{length} bytes, not 32" if length != 32 else "none of these numbers near it"
    return "format", f"what the agents signed is not the message of this bundle ({odd})"


def _neighbours(reveal: _Reveal) -> Iterator[tuple[int, int]]:
    """Yield (epoch, sequence) near what the reveal says, one of them as it says first."""
    steps = [step for away in range(1, NEAR + 1) for step in (-away, away)]
    yield from ((reveal.epoch, reveal.sequence + step) for step in steps if reveal.sequence + step >= 0)
    yield from ((reveal.epoch + step, reveal.sequence) for step in steps if reveal.epoch + step >= 0)
    near = [step for step in steps if abs(step) <= 4]
    yield from (
        (reveal.epoch + a, reveal.sequence + b)
        for a, b in product(near, near)
        if reveal.epoch + a >= 0 and reveal.sequence + b >= 0
    )


def _arguments(data: bytes) -> _Reveal:
    if data[:8] != _REVEAL:
        raise Unreadable("its instruction is no reveal")
    signer_set_id, epoch, sequence, _salt = _ARGS.unpack_from(data, 8)
    at = 8 + _ARGS.size
    (length,) = _LENGTH.unpack_from(data, at)
    payload = data[at + _LENGTH.size : at + _LENGTH.size + length]
    if len(payload) != length:
        raise Unreadable("its payload is cut short")
    return _Reveal(signer_set_id, epoch, sequence, content_hash(payload))


def _claims(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (pubkey, message) of each entry of an ed25519 instruction."""
    for number in range(data[0] if data else 0):
        _, _, key_at, key_in, at, length, within = _ENTRY.unpack_from(data, 2 + _ENTRY.size * number)
        if {key_in, within} != {_THIS} or max(key_at + 32, at + length) > len(data):
            raise Unreadable("a signature points outside its instruction")
        yield data[key_at : key_at + 32], data[at : at + length]


def _parts(wire: str) -> Iterator[_Part]:
    """Yield the instructions of a transaction, legacy or version 0."""
    try:
        raw = base64.b64decode(wire, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise Unreadable("it is no base64") from problem
    count, at = _short(raw, 0)
    at += 64 * count
    at += 1 if raw[at] & 0x80 else 0
    count, at = _short(raw, at + 3)
    if count > _MOST_KEYS:
        raise Unreadable(f"it names {count} accounts")
    keys = [raw[at + 32 * n : at + 32 * (n + 1)] for n in range(count)]
    count, at = _short(raw, at + 32 * count + 32)
    if count > _MOST_PARTS:
        raise Unreadable(f"it holds {count} instructions")
    for _ in range(count):
        program = raw[at]
        accounts, at = _short(raw, at + 1)
        named = tuple(keys[place] for place in raw[at : at + accounts] if place < len(keys))
        length, at = _short(raw, at + accounts)
        data = raw[at : at + length]
        if len(data) != length:
            raise Unreadable("it is cut short")
        at += length
        yield _Part(keys[program] if program < len(keys) else b"", data, named)


def _short(raw: bytes, at: int) -> tuple[int, int]:
    """Read a compact length; return it and where what follows begins."""
    value = shift = 0
    while shift < 21:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, at
        shift += 7
    raise Unreadable("a length has no end")
