"""Encodes the oracle program's accounts, events and errors as Anchor lays them out.

An 8-byte discriminator, then borsh; docs/oracle-program.md describes them. This is the encoder's
side only and shares nothing with `cockpit.oracle.layouts`, on purpose: whoever decodes is checked
by it, so the two are not to be merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256

import msgspec
from solders.pubkey import Pubkey

from cockpit.drill.solana.program import borsh
from cockpit.drill.solana.program.keys import Keys

#: Anchor's custom codes start here, in the order of the program's error enum.
FIRST_CODE = 6000
ERRORS: tuple[tuple[str, str], ...] = (
    ("Unauthorized", "Unauthorized"),
    ("AlreadyInitialized", "Protocol already initialized"),
    ("MarketAlreadyExists", "Market already exists"),
    ("MarketNotActive", "Market not active"),
    ("EpochNotOpen", "Epoch not open"),
    ("EpochAlreadyOpen", "Epoch already open"),
    ("InvalidMarketId", "Invalid market id"),
    ("InvalidOutcomeId", "Invalid outcome id"),
    ("InvalidProbabilityScale", "Invalid probability scale"),
    ("CommitNotFound", "Commit not found"),
    ("CommitAlreadyRevealed", "Commit already revealed"),
    ("RevealMismatch", "Reveal mismatch"),
    ("RevealTooEarly", "Reveal too early"),
    ("ReplayViolation", "Replay protection triggered"),
    ("SignerSetNotActive", "Signer set not active"),
    ("InvalidThreshold", "Invalid threshold"),
    ("BundleHashMismatch", "Bundle hash mismatch"),
    ("InvalidInstructionsSysvar", "Invalid instruction sysvar"),
    ("SignatureVerificationFailed", "Signature verification failed"),
    ("Paused", "Paused"),
    ("InvalidParameter", "Invalid parameter"),
)
CODES: Mapping[str, int] = {name: FIRST_CODE + n for n, (name, _) in enumerate(ERRORS)}
#: Anchor's own errors that this program can run into.
ANCHOR: Mapping[str, tuple[int, str]] = {
    "InstructionFallbackNotFound": (101, "Fallback functions are not supported"),
    "InstructionDidNotDeserialize": (102, "The program could not deserialize the given instruction"),
    "ConstraintSeeds": (2006, "A seeds constraint was violated"),
    "AccountNotEnoughKeys": (3005, "Not enough account keys given to the instruction"),
    "AccountNotSigner": (3010, "The given account did not sign"),
    "AccountNotInitialized": (3012, "The program expected this account to be already initialized"),
}
DOMAINS = ("sports", "politics", "macro", "crypto", "custom")  # enum Domain, in its order


def error(name: str) -> tuple[int, str]:
    """Return (code, message) of one of the program's errors or Anchor's.

    Raises KeyError.
    """
    if name in ANCHOR:
        return ANCHOR[name]
    code = CODES[name]
    return code, ERRORS[code - FIRST_CODE][1]


@lru_cache(64)
def discriminator(space: str, name: str) -> bytes:
    """Return the first 8 bytes of sha256("SPACE:NAME").

    Spaces are `account`, `event` and `global` (instructions).
    """
    return sha256(f"{space}:{name}".encode()).digest()[:8]


class ProtocolConfig(msgspec.Struct, frozen=True):
    initialized: bool
    authority: Pubkey
    paused: bool
    next_market_nonce: int
    next_signer_set_id: int
    default_reveal_delay_slots: int

    def encode(self, own: Keys) -> bytes:
        return (
            discriminator("account", "ProtocolConfig")
            + borsh.boolean(self.initialized)
            + bytes(self.authority)
            + borsh.boolean(self.paused)
            + borsh.u64(self.next_market_nonce)
            + borsh.u64(self.next_signer_set_id)
            + borsh.u64(self.default_reveal_delay_slots)
            + borsh.u8(own.bump(b"protocol"))
        )


class SignerSet(msgspec.Struct, frozen=True):
    signer_set_id: int
    threshold: int
    pubkeys: tuple[Pubkey, ...]
    active: bool
    created_at_slot: int

    def encode(self, own: Keys) -> bytes:
        return (
            discriminator("account", "SignerSet")
            + borsh.u64(self.signer_set_id)
            + borsh.u16(self.threshold)
            + borsh.vector(bytes(key) for key in self.pubkeys)
            + borsh.boolean(self.active)
            + borsh.u64(self.created_at_slot)
            + borsh.u8(own.bump(b"signer_set", borsh.u64(self.signer_set_id)))
        )


class Market(msgspec.Struct, frozen=True):
    market_id: str
    domain: str
    active: bool
    outcomes: tuple[str, ...]
    current_epoch_id: int
    last_sequence: int

    #: Allocated for 16 outcomes and names of 64 bytes; the rest stays zero, as Anchor leaves it.
    SPACE = 8 + (4 + 64) + 1 + 1 + (4 + 16 * (4 + 64)) + 8 + 8 + 1

    def encode(self, own: Keys) -> bytes:
        body = (
            discriminator("account", "Market")
            + borsh.text(self.market_id)
            + borsh.u8(DOMAINS.index(self.domain))
            + borsh.boolean(self.active)
            + borsh.vector(borsh.text(outcome) for outcome in self.outcomes)
            + borsh.u64(self.current_epoch_id)
            + borsh.u64(self.last_sequence)
            + borsh.u8(own.bump(b"market", self.market_id.encode()))
        )
        return body.ljust(self.SPACE, b"\0")


class Epoch(msgspec.Struct, frozen=True):
    """Holds an epoch's account.

    `market` is the market's id; its address is derived when the account is encoded, for most never
    are.
    """

    market: str
    epoch_id: int
    open: bool
    opened_at_slot: int
    finalized_at_slot: int = 0
    publish_sequence: int = 0

    SPACE = 8 + 32 + 8 + 1 + 8 + 8 + 8 + 1

    def encode(self, own: Keys) -> bytes:
        return (
            discriminator("account", "Epoch")
            + bytes(own.market(self.market))
            + borsh.u64(self.epoch_id)
            + borsh.boolean(self.open)
            + borsh.u64(self.opened_at_slot)
            + borsh.u64(self.finalized_at_slot)
            + borsh.u64(self.publish_sequence)
            + borsh.u8(own.bump(b"epoch", bytes(own.market(self.market)), borsh.u64(self.epoch_id)))
        )


class CommitRecord(msgspec.Struct, frozen=True):
    market: str
    epoch_id: int
    committer: Pubkey
    commit_hash: bytes
    reveal_after_slot: int
    revealed: bool = False

    SPACE = 8 + 4 * 32 + 8 + 1 + 1

    def encode(self, own: Keys) -> bytes:
        epoch = own.epoch(self.market, self.epoch_id)
        return (
            discriminator("account", "CommitRecord")
            + bytes(own.market(self.market))
            + bytes(epoch)
            + bytes(self.committer)
            + self.commit_hash
            + borsh.u64(self.reveal_after_slot)
            + borsh.boolean(self.revealed)
            + borsh.u8(own.bump(b"commit", bytes(epoch), bytes(self.committer)))
        )


ProgramAccount = ProtocolConfig | SignerSet | Market | Epoch | CommitRecord


# events: what follows `Program data: ` in the logs, before base64


def prediction_committed(market: Pubkey, epoch: Pubkey, committer: Pubkey, commit_hash: bytes, after: int) -> bytes:
    body = bytes(market) + bytes(epoch) + bytes(committer) + commit_hash + borsh.u64(after)
    return discriminator("event", "PredictionCommitted") + body


def prediction_revealed(market: Pubkey, epoch: Pubkey, revealer: Pubkey, bundle_hash: bytes, sequence: int) -> bytes:
    body = bytes(market) + bytes(epoch) + bytes(revealer) + bundle_hash + borsh.u64(sequence)
    return discriminator("event", "PredictionRevealed") + body


def epoch_opened(epoch: Pubkey, market: Pubkey, epoch_id: int, slot: int) -> bytes:
    return discriminator("event", "EpochOpened") + bytes(epoch) + bytes(market) + borsh.u64(epoch_id) + borsh.u64(slot)


def epoch_finalized(epoch: Pubkey, market: Pubkey, epoch_id: int, slot: int) -> bytes:
    body = bytes(epoch) + bytes(market) + borsh.u64(epoch_id) + borsh.u64(slot)
    return discriminator("event", "EpochFinalized") + body


def signer_set_rotated(address: Pubkey, number: int, threshold: int, active: bool) -> bytes:
    body = bytes(address) + borsh.u64(number) + borsh.u16(threshold) + borsh.boolean(active)
    return discriminator("event", "SignerSetRotated") + body


def paused_changed(paused: bool) -> bytes:
    return discriminator("event", "PausedChanged") + borsh.boolean(paused)


def market_updated(market: Pubkey, market_id: str, active: bool, slot: int) -> bytes:
    body = bytes(market) + borsh.text(market_id) + borsh.boolean(active) + borsh.u64(slot)
    return discriminator("event", "MarketUpdated") + body
