"""Executes the oracle program: what each instruction checks, in Anchor's order, and changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from solders.pubkey import Pubkey

from cockpit.drill.solana.program import borsh, bundle, frames, instructions, layouts
from cockpit.drill.solana.program.accounts import CONFIG, Accounts, Key, Value, rent_exempt
from cockpit.drill.solana.program.keys import ED25519, SYSTEM, Keys
from cockpit.drill.solana.program.layouts import CommitRecord, Epoch, Market, ProtocolConfig, SignerSet


class Failed(Exception):
    """Reports why an instruction failed.

    `name` of the program's or Anchor's error; or `code` 0 with the lines of the system program that
    refused.
    """

    def __init__(self, name: str = "", code: int | None = None, lines: Sequence[str] = ()) -> None:
        super().__init__(name or f"custom {code}")
        self.name = name
        self.code = layouts.error(name)[0] if code is None else code
        self.lines = tuple(lines)


class Meta(msgspec.Struct, frozen=True):
    key: Pubkey
    signer: bool
    writable: bool


class Bank:
    """Holds the accounts as one transaction sees and changes them.

    Nothing is kept until `settle`.
    """

    def __init__(self, accounts: Accounts, slot: int) -> None:
        self.accounts = accounts
        self.slot = slot
        self.changes: dict[Key, Value] = {}
        self.made: dict[Pubkey, int] = {}  # new accounts and what they hold

    def get(self, key: Key) -> Value | None:
        return self.changes.get(key) if key in self.changes else self.accounts.latest(key)

    def find(self, address: Pubkey) -> Value | None:
        key = self.accounts.find(address)
        if key is None:
            key = next((k for k in self.changes if self.accounts.address(k) == address), None)
        return None if key is None else self.get(key)

    def put(self, key: Key, value: Value) -> None:
        self.changes[key] = value

    def settle(self) -> None:
        for key, value in self.changes.items():
            self.accounts.put(key, value, self.slot)


class Invocation:
    """Holds one instruction under way.

    `siblings`: (program, data) of all instructions, as the instructions sysvar shows them.
    """

    def __init__(
        self,
        own: Keys,
        bank: Bank,
        metas: Sequence[Meta],
        args: bytes,
        siblings: Sequence[tuple[Pubkey, bytes]],
    ) -> None:
        self.own = own
        self.bank = bank
        self.metas = metas
        self.args = args
        self.siblings = siblings
        self.lines: list[str] = []
        self.payer_pays = 0
        self.created: list[tuple[Pubkey, int]] = []  # (account, space)

    def meta(self, index: int) -> Meta:
        if index >= len(self.metas):
            raise Failed("AccountNotEnoughKeys")
        return self.metas[index]

    def signer(self, index: int) -> Pubkey:
        meta = self.meta(index)
        if not meta.signer:
            raise Failed("AccountNotSigner")
        return meta.key

    def load(self, index: int) -> Value:
        value = self.bank.find(self.meta(index).key)
        if value is None or isinstance(value, int):
            raise Failed("AccountNotInitialized")
        return value

    def config(self, index: int) -> ProtocolConfig:
        if self.meta(index).key != self.own.protocol():
            raise Failed("ConstraintSeeds")
        value = self.load(index)
        assert isinstance(value, ProtocolConfig)
        return value

    def governed(self, signer: Pubkey, index: int = 1) -> ProtocolConfig:
        """Return the configuration, whose authority must be the signer."""
        config = self.config(index)
        if config.authority != signer:
            raise Failed("Unauthorized")
        return config

    def market(self, index: int) -> Market:
        value = self.load(index)
        if not isinstance(value, Market):
            raise Failed("ConstraintSeeds")
        return value

    def epoch(self, index: int, market: Market) -> Epoch:
        value = self.load(index)
        if not isinstance(value, Epoch) or value.market != market.market_id:
            raise Failed("ConstraintSeeds")
        return value

    def create(self, index: int, expected: Pubkey, space: int) -> None:
        """Create an account, as `init` does: the payer has the system program make it."""
        address = self.meta(index).key
        if address != expected:
            raise Failed("ConstraintSeeds")
        if self.bank.find(address) is not None:
            lines = (
                f"Program {SYSTEM} invoke [2]",
                f"Allocate: account Address {{ address: {address}, base: None }} already in use",
                f"Program {SYSTEM} failed: custom program error: 0x0",
            )
            raise Failed(code=0, lines=lines)
        self.lines += frames.create_account()
        self.bank.made[address] = rent_exempt(space)
        self.payer_pays += rent_exempt(space)
        self.created.append((address, space))

    def emit(self, event: bytes) -> None:
        self.lines.append(frames.event(event))


def run(call: Invocation, name: str) -> None:
    """Execute an instruction.

    Raises Failed; `call.lines` then holds what was logged before.
    """
    try:
        HANDLERS[name](call)
    except borsh.Malformed:
        raise Failed("InstructionDidNotDeserialize") from None


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Failed(otherwise)


def _open_epoch(call: Invocation) -> None:
    config, market = call.governed(call.signer(0)), call.market(2)
    number = market.current_epoch_id + 1
    call.create(3, call.own.epoch(market.market_id, number), Epoch.SPACE)
    _must(not config.paused, "Paused")
    _must(market.active, "MarketNotActive")
    epoch = Epoch(market.market_id, number, True, call.bank.slot)
    call.bank.put(("epoch", market.market_id, number), epoch)
    call.bank.put(("market", market.market_id), msgspec.structs.replace(market, current_epoch_id=number))
    call.emit(
        layouts.epoch_opened(
            call.own.epoch(market.market_id, number), call.own.market(market.market_id), number, call.bank.slot
        )
    )


def _commit(call: Invocation) -> None:
    args = instructions.commit_args(call.args)
    committer, config, market = call.signer(0), call.config(1), call.market(2)
    epoch = call.epoch(3, market)
    epoch_key = call.own.epoch(market.market_id, epoch.epoch_id)
    call.create(4, call.own.commit(epoch_key, committer), CommitRecord.SPACE)
    _must(not config.paused, "Paused")
    _must(market.active, "MarketNotActive")
    _must(epoch.open, "EpochNotOpen")
    delay = config.default_reveal_delay_slots if args.reveal_delay_slots is None else args.reveal_delay_slots
    after = min(call.bank.slot + delay, 2**64 - 1)
    record = CommitRecord(market.market_id, epoch.epoch_id, committer, args.commit_hash, after)
    call.bank.put(("commit", market.market_id, epoch.epoch_id, committer), record)
    market_key = call.own.market(market.market_id)
    call.emit(layouts.prediction_committed(market_key, epoch_key, committer, args.commit_hash, after))


def _reveal(call: Invocation) -> None:
    args = instructions.reveal_args(call.args)
    revealer, config, market = call.signer(0), call.config(1), call.market(2)
    epoch = call.epoch(3, market)
    record = call.bank.get(("commit", market.market_id, epoch.epoch_id, revealer))
    _must(isinstance(record, CommitRecord), "AccountNotInitialized")
    assert isinstance(record, CommitRecord)
    epoch_key = call.own.epoch(market.market_id, epoch.epoch_id)
    _must(call.meta(4).key == call.own.commit(epoch_key, revealer), "ConstraintSeeds")
    signer_set = call.load(5)
    assert isinstance(signer_set, SignerSet)
    _must(not config.paused, "Paused")
    _must(market.active, "MarketNotActive")
    _must(epoch.open, "EpochNotOpen")
    _must(not record.revealed, "CommitAlreadyRevealed")
    _must(call.bank.slot >= record.reveal_after_slot, "RevealTooEarly")
    content = bundle.content_hash(args.payload)
    _must(bundle.commit_hash(content, args.salt) == record.commit_hash, "RevealMismatch")
    _must(args.sequence > market.last_sequence, "ReplayViolation")
    _must(signer_set.active, "SignerSetNotActive")
    message = bundle.signature_message(content, signer_set.signer_set_id, args.publish_epoch_id, args.sequence)
    claimed: set[Pubkey] = set()
    for program, data in call.siblings:
        if program == ED25519:  # which has verified them before any program ran
            claimed |= {pubkey for pubkey, said, _ in instructions.ed25519_claims(data) if said == message}
    _must(len(claimed & set(signer_set.pubkeys)) >= signer_set.threshold, "SignatureVerificationFailed")
    key = ("epoch", market.market_id, epoch.epoch_id)
    call.bank.put(key, msgspec.structs.replace(epoch, publish_sequence=args.sequence))
    call.bank.put(("commit", *key[1:], revealer), msgspec.structs.replace(record, revealed=True))
    call.bank.put(("market", market.market_id), msgspec.structs.replace(market, last_sequence=args.sequence))
    market_key = call.own.market(market.market_id)
    call.emit(layouts.prediction_revealed(market_key, epoch_key, revealer, content, args.sequence))


def _finalize(call: Invocation) -> None:
    config, market = call.governed(call.signer(0)), call.market(2)
    epoch = call.epoch(3, market)
    _must(not config.paused, "Paused")
    _must(epoch.open, "EpochNotOpen")
    slot, number = call.bank.slot, epoch.epoch_id
    call.bank.put(
        ("epoch", market.market_id, number), msgspec.structs.replace(epoch, open=False, finalized_at_slot=slot)
    )
    own = call.own
    call.emit(layouts.epoch_finalized(own.epoch(market.market_id, number), own.market(market.market_id), number, slot))


def _rotate(call: Invocation) -> None:
    args = instructions.rotate_args(call.args)
    config = call.governed(call.signer(0))
    number = config.next_signer_set_id
    address = call.own.signer_set(number)
    made = SignerSet(number, args.threshold, args.pubkeys, args.active, call.bank.slot)
    call.create(2, address, len(made.encode(call.own)))
    _must(not config.paused, "Paused")
    _must(0 < args.threshold <= len(args.pubkeys), "InvalidThreshold")
    call.bank.put(("set", number), made)
    call.bank.put(CONFIG, msgspec.structs.replace(config, next_signer_set_id=number + 1))
    call.emit(layouts.signer_set_rotated(address, number, args.threshold, args.active))


def _set_paused(call: Invocation) -> None:
    paused = borsh.Reader(call.args).boolean()
    config = call.governed(call.signer(0))
    call.bank.put(CONFIG, msgspec.structs.replace(config, paused=paused))
    call.emit(layouts.paused_changed(paused))


def _update_market(call: Invocation) -> None:
    reader = borsh.Reader(call.args)
    active = reader.option(reader.boolean)
    config, market = call.governed(call.signer(0)), call.market(2)
    _must(not config.paused, "Paused")
    if active is not None:
        market = msgspec.structs.replace(market, active=active)
        call.bank.put(("market", market.market_id), market)
    market_key = call.own.market(market.market_id)
    call.emit(layouts.market_updated(market_key, market.market_id, market.active, call.bank.slot))


HANDLERS: dict[str, Callable[[Invocation], None]] = {
    "OpenEpoch": _open_epoch,
    "CommitPrediction": _commit,
    "RevealPrediction": _reveal,
    "FinalizeEpoch": _finalize,
    "RotateSignerSet": _rotate,
    "SetPaused": _set_paused,
    "UpdateMarket": _update_market,
}
