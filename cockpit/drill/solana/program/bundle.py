"""Builds bundles: one market's output as committed, signed by the threshold, and revealed.

docs/oracle-program.md has the formulas; they are written anew here, so that `cockpit.oracle.bundle`
is checked by code that shares nothing with it. Canonical payload: JSON with sorted keys, no white
space, UTF-8. Content hash: sha256("M0_BUNDLE_CONTENT_V1" ‖ payload). Commit hash:
sha256("M0_COMMIT_V1" ‖ content hash ‖ salt). Signature message: sha256("M0_SIGMSG_V1" ‖ content
hash ‖ signer set id ‖ publish epoch id ‖ sequence), numbers u64 little-endian, signed with ed25519.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from solders.pubkey import Pubkey
from solders.signature import Signature

from cockpit.drill.solana.program.borsh import u64
from cockpit.drill.solana.program.keys import Keys, Party

SCALE = 1_000_000_000  # probabilities are integers of this unit
OUTCOMES = ("NO", "YES")


class Bundle(msgspec.Struct, frozen=True):
    """Holds one bundle.

    `signers`: places in the signer set whose signatures were collected first, at least the
    threshold's number.
    """

    market: str
    epoch: int
    sequence: int
    signer_set_id: int
    signers: tuple[int, ...]
    payload: bytes
    content_hash: bytes
    salt: bytes
    commit_hash: bytes
    signs: str = ""  # what the agents sign instead of its message: "format" or "sequence"

    @property
    def message(self) -> bytes:
        return signature_message(self.content_hash, self.signer_set_id, self.epoch, self.sequence)

    @property
    def signed(self) -> bytes:
        """Return the bytes that the agents sign."""
        if self.signs == "format":
            return sha256(b"M0_SIGMSG_V2" + self.message).digest()
        if self.signs == "sequence":
            return signature_message(self.content_hash, self.signer_set_id, self.epoch, self.sequence - 1)
        return self.message


def canonical(payload: object) -> bytes:
    """Return the bytes that are hashed."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def content_hash(payload: bytes) -> bytes:
    return sha256(b"M0_BUNDLE_CONTENT_V1" + payload).digest()


def commit_hash(content: bytes, salt: bytes) -> bytes:
    return sha256(b"M0_COMMIT_V1" + content + salt).digest()


def signature_message(content: bytes, signer_set_id: int, publish_epoch_id: int, sequence: int) -> bytes:
    return sha256(b"M0_SIGMSG_V1" + content + u64(signer_set_id) + u64(publish_epoch_id) + u64(sequence)).digest()


def make(
    keys: Keys,
    market: str,
    epoch: int,
    sequence: int,
    created_at_ms: int,
    *,
    signer_set_id: int,
    signers: Sequence[int],
    signs: str = "",
) -> Bundle:
    """Make a bundle; probabilities and salt follow from the seed, the market and the sequence."""
    salt = keys.digest("salt", market, str(epoch), str(sequence))
    yes = int.from_bytes(salt[:4], "little") * SCALE // 2**32
    # by hand, because thousands of them are made when a drill starts; `canonical` of the same
    # object, as a test proves
    payload = (
        f'{{"created_at_ms":{created_at_ms},"epoch":{epoch},"market":"{market}",'
        f'"outcomes":{{"NO":{SCALE - yes},"YES":{yes}}},"sequence":{sequence}}}'
    ).encode()
    content = content_hash(payload)
    return Bundle(
        market=market,
        epoch=epoch,
        sequence=sequence,
        signer_set_id=signer_set_id,
        signers=tuple(signers),
        payload=payload,
        content_hash=content,
        salt=salt,
        commit_hash=commit_hash(content, salt),
        signs=signs,
    )


def sign(bundle: Bundle, parties: Iterable[Party]) -> list[tuple[Pubkey, Signature]]:
    message = bundle.signed
    return [(party.key, party.pair.sign_message(message)) for party in parties]


def published(bundle: Bundle, signatures: Sequence[tuple[Pubkey, Signature]], reveal: str, slot: int) -> dict[str, Any]:
    """Return the bundle as the network publishes it.

    JSON-able; hashes and salt hex, keys and signatures base58.
    """
    return {
        "market": bundle.market,
        "payload": json.loads(bundle.payload),
        "content_hash": bundle.content_hash.hex(),
        "salt": bundle.salt.hex(),
        "commit_hash": bundle.commit_hash.hex(),
        "signer_set_id": bundle.signer_set_id,
        "publish_epoch_id": bundle.epoch,
        "sequence": bundle.sequence,
        "signatures": [{"pubkey": str(pubkey), "signature": str(signature)} for pubkey, signature in signatures],
        "reveal": {"signature": reveal, "slot": slot},
    }
