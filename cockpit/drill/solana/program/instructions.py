"""Encodes the oracle program's instructions, and the ed25519 verify before a reveal.

The network's own reveal carries its bundle twice over, which no longer fits a packet (1,232 bytes)
beside five signatures: the drill's has the payload once, with the three numbers that the signatures
cover.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import msgspec
from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey
from solders.signature import Signature

from cockpit.drill.solana.program import borsh, keys
from cockpit.drill.solana.program.bundle import Bundle
from cockpit.drill.solana.program.keys import Keys
from cockpit.drill.solana.program.layouts import discriminator

#: Name in the logs → Anchor's name of the method.
METHODS = {
    "OpenEpoch": "open_epoch",
    "CommitPrediction": "commit_prediction",
    "RevealPrediction": "reveal_prediction",
    "FinalizeEpoch": "finalize_epoch",
    "RotateSignerSet": "rotate_signer_set",
    "SetPaused": "set_paused",
    "UpdateMarket": "update_market",
}
BY_DISCRIMINATOR = {discriminator("global", method): name for name, method in METHODS.items()}


class CommitArgs(msgspec.Struct, frozen=True):
    commit_hash: bytes
    reveal_delay_slots: int | None


class RevealArgs(msgspec.Struct, frozen=True):
    signer_set_id: int
    publish_epoch_id: int
    sequence: int
    salt: bytes
    payload: bytes


class RotateArgs(msgspec.Struct, frozen=True):
    threshold: int
    pubkeys: tuple[Pubkey, ...]
    active: bool


def _instruction(own: Keys, name: str, args: bytes, accounts: Sequence[AccountMeta]) -> Instruction:
    return Instruction(own.program, discriminator("global", METHODS[name]) + args, list(accounts))


def _signer(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, True, True)


def _writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, False, True)


def _read(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, False, False)


def compute_unit_price(micro_lamports: int) -> Instruction:
    return Instruction(keys.COMPUTE_BUDGET, b"\x03" + borsh.u64(micro_lamports), [])


def open_epoch(own: Keys, market: str, epoch: int, authority: Pubkey | None = None) -> Instruction:
    accounts = (
        _signer(authority or own.authority.key),
        _read(own.protocol()),
        _writable(own.market(market)),
        _writable(own.epoch(market, epoch)),
        _read(keys.SYSTEM),
    )
    return _instruction(own, "OpenEpoch", b"", accounts)


def commit(
    own: Keys, market: str, epoch: int, commit_hash: bytes, delay_slots: int | None, committer: Pubkey | None = None
) -> Instruction:
    who, epoch_key = committer or own.committer.key, own.epoch(market, epoch)
    accounts = (
        _signer(who),
        _read(own.protocol()),
        _read(own.market(market)),
        _writable(epoch_key),
        _writable(own.commit(epoch_key, who)),
        _read(keys.SYSTEM),
    )
    args = commit_hash + borsh.option(None if delay_slots is None else borsh.u64(delay_slots))
    return _instruction(own, "CommitPrediction", args, accounts)


def reveal(own: Keys, bundle: Bundle, signer_set: int, revealer: Pubkey | None = None) -> Instruction:
    """Encode a reveal.

    `signer_set`: the account that the transaction names; the bundle may claim another.
    """
    who, epoch_key = revealer or own.committer.key, own.epoch(bundle.market, bundle.epoch)
    accounts = (
        _signer(who),
        _read(own.protocol()),
        _writable(own.market(bundle.market)),
        _writable(epoch_key),
        _writable(own.commit(epoch_key, who)),
        _read(own.signer_set(signer_set)),
        _read(keys.INSTRUCTIONS_SYSVAR),
    )
    args = (
        borsh.u64(bundle.signer_set_id)
        + borsh.u64(bundle.epoch)
        + borsh.u64(bundle.sequence)
        + bundle.salt
        + borsh.blob(bundle.payload)
    )
    return _instruction(own, "RevealPrediction", args, accounts)


def finalize(own: Keys, market: str, epoch: int, authority: Pubkey | None = None) -> Instruction:
    accounts = (
        _signer(authority or own.authority.key),
        _read(own.protocol()),
        _read(own.market(market)),
        _writable(own.epoch(market, epoch)),
    )
    return _instruction(own, "FinalizeEpoch", b"", accounts)


def rotate(own: Keys, number: int, args: RotateArgs, authority: Pubkey | None = None) -> Instruction:
    accounts = (
        _signer(authority or own.authority.key),
        _writable(own.protocol()),
        _writable(own.signer_set(number)),
        _read(keys.SYSTEM),
    )
    data = borsh.u16(args.threshold) + borsh.vector(bytes(k) for k in args.pubkeys) + borsh.boolean(args.active)
    return _instruction(own, "RotateSignerSet", data, accounts)


def set_paused(own: Keys, paused: bool, authority: Pubkey | None = None) -> Instruction:
    accounts = (_signer(authority or own.authority.key), _writable(own.protocol()))
    return _instruction(own, "SetPaused", borsh.boolean(paused), accounts)


def update_market(own: Keys, market: str, active: bool | None, authority: Pubkey | None = None) -> Instruction:
    accounts = (
        _signer(authority or own.authority.key),
        _read(own.protocol()),
        _writable(own.market(market)),
    )
    data = borsh.option(None if active is None else borsh.boolean(active))
    return _instruction(own, "UpdateMarket", data, accounts)


def commit_args(data: bytes) -> CommitArgs:
    """Decode a commit's arguments.

    Raises borsh.Malformed, like the two below.
    """
    reader = borsh.Reader(data)
    return CommitArgs(reader.take(32), reader.option(reader.u64))


def reveal_args(data: bytes) -> RevealArgs:
    reader = borsh.Reader(data)
    return RevealArgs(reader.u64(), reader.u64(), reader.u64(), reader.take(32), reader.blob())


def rotate_args(data: bytes) -> RotateArgs:
    reader = borsh.Reader(data)
    threshold, raw = reader.u16(), reader.vector(lambda: reader.take(32))
    return RotateArgs(threshold, tuple(Pubkey(key) for key in raw), reader.boolean())


# the ed25519 native program: u8 count, u8 padding, then per signature seven u16 (offsets and
# instruction indices)

_THIS = 0xFFFF  # "in this instruction's own data"
_HEAD, _ENTRY = 2, 14


def ed25519(message: bytes, signatures: Sequence[tuple[Pubkey, Signature]]) -> Instruction:
    """Encode a check that all of them signed `message`, which is stored once."""
    start = _HEAD + _ENTRY * len(signatures)
    message_at = start + 96 * len(signatures)
    table, body = b"", b""
    for number, (pubkey, signature) in enumerate(signatures):
        at = start + 96 * number
        table += struct.pack("<7H", at, _THIS, at + 64, _THIS, message_at, len(message), _THIS)
        body += bytes(signature) + bytes(pubkey)
    return Instruction(keys.ED25519, bytes((len(signatures), 0)) + table + body + message, [])


def ed25519_claims(data: bytes) -> list[tuple[Pubkey, bytes, Signature]]:
    """Return (pubkey, message, signature) of each entry.

    Raises borsh.Malformed; entries that point elsewhere are not understood.
    """
    if len(data) < _HEAD:
        raise borsh.Malformed("no header")
    claims = []
    for number in range(data[0]):
        entry = data[_HEAD + _ENTRY * number : _HEAD + _ENTRY * (number + 1)]
        if len(entry) < _ENTRY:
            raise borsh.Malformed("offsets cut short")
        sig_at, sig_in, key_at, key_in, at, length, within = struct.unpack("<7H", entry)
        if {sig_in, key_in, within} != {_THIS} or max(sig_at + 64, key_at + 32, at + length) > len(data):
            raise borsh.Malformed("offsets out of bounds")
        signature = Signature.from_bytes(data[sig_at : sig_at + 64])
        claims.append((Pubkey(data[key_at : key_at + 32]), data[at : at + length], signature))
    return claims
