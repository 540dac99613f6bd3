"""Decodes the oracle program's events and accounts: Anchor's discriminator, then borsh.

Every length is bounded.

Layouts: docs/oracle-program.md. Whatever cannot be read is
`Undecodable`, in words; nothing else is raised, whatever the bytes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct

from cockpit.model.observed.chain import MarketState, ProtocolState, SignerSetState
from cockpit.oracle.base58 import encode
from cockpit.text import safe

DOMAINS = ("Sports", "Politics", "Macro", "Crypto", "Custom")
MOST_TEXT = 256  # of a market id or an outcome, bytes
MOST_KEYS = 256  # of a signer set
MOST_OUTCOMES = 256
MOST_EVENT_BYTES = 1024
MOST_ACCOUNT_BYTES = 128 * 1024


class Undecodable(Exception):
    """These bytes are not what they should be; one line says how."""


def event_discriminator(name: str) -> bytes:
    return sha256(f"event:{name}".encode()).digest()[:8]


def account_discriminator(name: str) -> bytes:
    return sha256(f"account:{name}".encode()).digest()[:8]


@dataclass(frozen=True, slots=True)
class PredictionCommitted:
    """Keys and hashes are raw bytes here: most are compared, few are shown."""

    market: bytes
    epoch: bytes
    committer: bytes
    commit_hash: bytes
    reveal_after_slot: int


@dataclass(frozen=True, slots=True)
class PredictionRevealed:
    market: bytes
    epoch: bytes
    revealer: bytes
    bundle_hash: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class EpochFinalized:
    epoch: bytes
    market: bytes
    epoch_id: int
    finalized_at_slot: int


@dataclass(frozen=True, slots=True)
class SignerSetRotated:
    signer_set: bytes
    signer_set_id: int
    threshold: int
    active: bool


@dataclass(frozen=True, slots=True)
class PausedChanged:
    paused: bool


@dataclass(frozen=True, slots=True)
class MarketUpdated:
    market: bytes
    market_id: str
    active: bool
    updated_at_slot: int


Event = PredictionCommitted | PredictionRevealed | EpochFinalized | SignerSetRotated | PausedChanged | MarketUpdated


class _Reader:
    """Reads Borsh, from the front.

    Raises Undecodable.
    """

    def __init__(self, raw: bytes, at: int, what: str) -> None:
        self._raw, self._at, self._what = raw, at, what

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._raw):
            raise Undecodable(f"{self._what} ends after {len(self._raw)} bytes: at least {end} were expected")
        piece = self._raw[self._at : end]
        self._at = end
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def flag(self) -> bool:
        value = self.number(1)
        if value > 1:
            raise Undecodable(f"{self._what}: a flag is {value}, neither 0 nor 1")
        return value == 1

    def length(self, most: int, of: str) -> int:
        size = self.number(4)
        if size > most:
            raise Undecodable(f"{self._what}: {size:,} {of}, more than {most}")
        return size

    def text(self) -> str:
        try:
            return safe(self.take(self.length(MOST_TEXT, "bytes of text")).decode("utf-8"), MOST_TEXT)
        except UnicodeDecodeError:
            raise Undecodable(f"{self._what}: a text is no UTF-8") from None

    def end(self, *, padded: bool) -> None:
        """Check that all was read.

        Accounts are allocated larger than they are filled; events are not.
        """
        rest = self._raw[self._at :]
        if rest and not padded:
            raise Undecodable(f"{self._what} has {len(rest)} bytes too many")


_COMMITTED = Struct("<32s32s32s32sQ")
_REVEALED = Struct("<32s32s32s32sQ")
_FINALIZED = Struct("<32s32sQQ")


def _sized(layout: Struct, raw: bytes, what: str) -> tuple[bytes | int, ...]:
    if len(raw) - 8 != layout.size:
        raise Undecodable(f"{what} has {len(raw) - 8} bytes after its discriminator, not {layout.size}")
    return layout.unpack_from(raw, 8)


def _committed(raw: bytes) -> Event:
    return PredictionCommitted(*_sized(_COMMITTED, raw, "PredictionCommitted"))  # type: ignore[arg-type]  # as the format says


def _revealed(raw: bytes) -> Event:
    return PredictionRevealed(*_sized(_REVEALED, raw, "PredictionRevealed"))  # type: ignore[arg-type]


def _finalized(raw: bytes) -> Event:
    return EpochFinalized(*_sized(_FINALIZED, raw, "EpochFinalized"))  # type: ignore[arg-type]


def _rotated(raw: bytes) -> Event:
    reader = _Reader(raw, 8, "SignerSetRotated")
    event = SignerSetRotated(reader.take(32), reader.number(8), reader.number(2), reader.flag())
    reader.end(padded=False)
    return event


def _paused(raw: bytes) -> Event:
    reader = _Reader(raw, 8, "PausedChanged")
    event = PausedChanged(reader.flag())
    reader.end(padded=False)
    return event


def _updated(raw: bytes) -> Event:
    reader = _Reader(raw, 8, "MarketUpdated")
    event = MarketUpdated(reader.take(32), reader.text(), reader.flag(), reader.number(8))
    reader.end(padded=False)
    return event


_EVENTS: Mapping[bytes, Callable[[bytes], Event]] = {
    event_discriminator("PredictionCommitted"): _committed,
    event_discriminator("PredictionRevealed"): _revealed,
    event_discriminator("EpochFinalized"): _finalized,
    event_discriminator("SignerSetRotated"): _rotated,
    event_discriminator("PausedChanged"): _paused,
    event_discriminator("MarketUpdated"): _updated,
}


def decode_event(data: str) -> Event:
    """Decode one event from the base64 of a `Program data:` line.

    Raises Undecodable.
    """
    if len(data) > MOST_EVENT_BYTES * 4 // 3 + 4:
        raise Undecodable(f"an event of {len(data):,} characters")
    try:
        raw = binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        raise Undecodable("an event that is no base64") from None
    decode = _EVENTS.get(raw[:8])
    if decode is None:
        raise Undecodable(f"an event with the unknown discriminator {raw[:8].hex()}" if raw else "an empty event")
    return decode(raw)


@dataclass(frozen=True, slots=True)
class Account:
    """Holds one account as an RPC node gives it with encoding base64."""

    address: str
    owner: str
    data: bytes
    slot: int  # context slot of the answer


def account_of(address: str, value: object, slot: int) -> Account | None:
    """Read an account from JSON; None when there is no such account.

    `value` of getAccountInfo, or an element of getMultipleAccounts.

    Raises Undecodable.
    """
    if value is None:
        return None
    data = value.get("data") if isinstance(value, dict) else None
    owner = value.get("owner") if isinstance(value, dict) else None
    if not (isinstance(owner, str) and isinstance(data, list) and len(data) == 2 and data[1] == "base64"):
        raise Undecodable(f"account {safe(address, 60)}: the answer has no owner and base64 data")
    if not isinstance(data[0], str) or len(data[0]) > MOST_ACCOUNT_BYTES * 4 // 3 + 4:
        raise Undecodable(f"account {safe(address, 60)}: more than {MOST_ACCOUNT_BYTES // 1024} kB, or no text")
    try:
        raw = base64.b64decode(data[0], validate=True)
    except (ValueError, binascii.Error):
        raise Undecodable(f"account {safe(address, 60)}: its data are no base64") from None
    return Account(safe(address, 60), safe(owner, 60), raw, slot)


def _opened(account: Account, owner: str, name: str) -> _Reader:
    what = f"{name} account {account.address}"
    if account.owner != owner:
        raise Undecodable(f"{what} belongs to {account.owner}, not to the program")
    if account.data[:8] != account_discriminator(name):
        raise Undecodable(f"{what}: its first bytes {account.data[:8].hex() or '(none)'} are not those of a {name}")
    return _Reader(account.data, 8, what)


def protocol_state(account: Account, program_id: str) -> ProtocolState:
    """Decode ProtocolConfig.

    Raises Undecodable.
    """
    reader = _opened(account, program_id, "ProtocolConfig")
    if not reader.flag():
        raise Undecodable(f"ProtocolConfig account {account.address} is not initialised")
    authority, paused = encode(reader.take(32)), reader.flag()
    reader.number(8)  # next_market_nonce
    next_set, delay = reader.number(8), reader.number(8)
    reader.number(1)  # bump
    reader.end(padded=True)
    return ProtocolState(
        address=account.address,
        paused=paused,
        authority=authority,
        next_signer_set_id=next_set,
        default_reveal_delay_slots=delay,
        slot=account.slot,
    )


def signer_set_state(account: Account, program_id: str) -> SignerSetState:
    """Decode SignerSet.

    Raises Undecodable.
    """
    reader = _opened(account, program_id, "SignerSet")
    number, threshold = reader.number(8), reader.number(2)
    keys = tuple([encode(reader.take(32)) for _ in range(reader.length(MOST_KEYS, "pubkeys"))])
    active, created = reader.flag(), reader.number(8)
    reader.number(1)  # bump
    reader.end(padded=True)
    return SignerSetState(
        address=account.address,
        signer_set_id=number,
        threshold=threshold,
        pubkeys=keys,
        active=active,
        created_at_slot=created,
        slot=account.slot,
    )


def market_state(account: Account, program_id: str) -> MarketState:
    """Decode Market.

    Raises Undecodable.
    """
    reader = _opened(account, program_id, "Market")
    market_id, domain, active = reader.text(), reader.number(1), reader.flag()
    if domain >= len(DOMAINS):
        raise Undecodable(f"Market account {account.address}: domain {domain} is none of {', '.join(DOMAINS)}")
    for _ in range(reader.length(MOST_OUTCOMES, "outcomes")):
        reader.text()
    epoch, sequence = reader.number(8), reader.number(8)
    reader.number(1)  # bump
    reader.end(padded=True)
    return MarketState(
        address=account.address,
        market_id=market_id,
        domain=DOMAINS[domain],
        active=active,
        current_epoch_id=epoch,
        last_sequence=sequence,
    )
