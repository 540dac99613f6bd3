"""Runs the oracle program on the ledger: commits, reveals, and the authority's decisions.

The world decides whether a transaction of its own succeeds; everything else (`send`) is executed by
the program's rules. `counts` is exact: what the metrics count on the submitter's side, this counts
on the chain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec
from solders.hash import Hash
from solders.instruction import Instruction
from solders.message import Message
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from cockpit.drill.solana.program import bundle as bundles
from cockpit.drill.solana.program import genesis, instructions, layouts, signing
from cockpit.drill.solana.program.accounts import CONFIG, Accounts, rent_exempt
from cockpit.drill.solana.program.bundle import Bundle
from cockpit.drill.solana.program.encoder import DELAY_SLOTS, Encoder
from cockpit.drill.solana.program.genesis import FIRST_SET, THRESHOLD
from cockpit.drill.solana.program.keys import Keys, Party
from cockpit.drill.solana.program.layouts import CommitRecord, Epoch, Market, SignerSet
from cockpit.drill.solana.program.ledger import Ledger, LedgerEntry
from cockpit.drill.solana.program.runtime import Outcome, Runtime

FINALIZE_EVERY = 8  # epochs of a market
PRICE = 3_000  # micro-lamports per compute unit that commits offer


class Landed(msgspec.Struct, frozen=True):
    """Holds a commit on the chain; `error` is the program's when it failed there."""

    bundle: Bundle
    slot: int
    error: str = ""


class Oracle:
    """Holds the program's state.

    `now`: the clock, unix seconds.

    `markets`: market id → domain. `keep`: transactions that history goes back to. `details_from`:
    unix seconds before which transactions are counted, but not kept (a drill's deep past).
    """

    def __init__(
        self,
        own: Keys,
        now: Callable[[], float],
        markets: Mapping[str, str],
        *,
        first_sequence: int = 0,
        keep: int | None = None,
        details_from: float = 0.0,
    ) -> None:
        self.keys = own
        self.ledger = Ledger(own, now) if keep is None else Ledger(own, now, keep)
        self.accounts = Accounts(own)
        self.runtime = Runtime(self.ledger, self.accounts)
        self.counts: Counter[tuple[str, str]] = Counter()  # (instruction, error or "") → how many
        self.price = PRICE
        self.details_from = details_from
        self._encoder = Encoder(self.ledger)
        self._revealed: dict[str, tuple[Bundle, LedgerEntry]] = {}
        genesis.found(self.accounts, self.ledger.begin, markets, first_sequence)

    # what it is like

    @property
    def program_id(self) -> str:
        return self.keys.program_id

    @property
    def paused(self) -> bool:
        return self.accounts.config().paused

    def refusal(self, market: str) -> str:
        """Return the program's error for any commit or reveal of the market now; "" without one."""
        if self.paused:
            return "Paused"
        there = self.accounts.market(market)
        return "" if there is not None and there.active else "MarketNotActive"

    def active_set(self) -> SignerSet:
        """Return the newest active signer set."""
        for number in range(self.accounts.config().next_signer_set_id - 1, FIRST_SET - 1, -1):
            found = self.accounts.signer_set(number)
            if found is not None and found.active:
                return found
        raise LookupError("no signer set is active")

    def accepts(self, signer_set: str) -> bool:
        """Return whether bundles pass that our agents sign for the set of this id.

        It is active, and enough of its keys are theirs.
        """
        found = self.accounts.signer_set(_set_number(signer_set))
        if found is None or not found.active:
            return False
        return sum(key in self._encoder.parties for key in found.pubkeys) >= found.threshold

    def verdict(self, landed: Landed) -> str:
        """Return the program's error for the reveal, by the signatures really made.

        "" when they are enough.
        """
        found = self.accounts.signer_set(landed.bundle.signer_set_id)
        if found is None or not found.active or landed.bundle.signs:
            return "SignatureVerificationFailed"
        members = {party.key for party in self._encoder.signers(landed.bundle, found)} & set(found.pubkeys)
        return "" if len(members) >= found.threshold else "SignatureVerificationFailed"

    def bundle(self, market: str) -> dict[str, Any] | None:
        """Return the newest revealed bundle, as the network publishes it (JSON-able).

        None before the first.
        """
        found = self._revealed.get(market)
        if found is None:
            return None
        bundle, entry = found
        signatures = bundles.sign(
            bundle, self._encoder.signers(bundle, self.accounts.signer_set(bundle.signer_set_id) or self.active_set())
        )
        return bundles.published(bundle, signatures, self.ledger.signature(entry), entry.slot)

    # what the submitter does

    def commit(
        self,
        market: str,
        sequence: int,
        created_at: float,
        at: float,
        *,
        signer_set: str = str(FIRST_SET),
        signers: Sequence[int] = tuple(range(THRESHOLD)),
        signs: str = "",
    ) -> Landed:
        """Land a commit that reached the chain at `at` (unix seconds).

        In the next epoch of its market, or refused by the program.
        """
        there = self.accounts.market(market)
        assert there is not None
        number = _set_number(signer_set)
        bundle = bundles.make(
            self.keys,
            market,
            there.current_epoch_id + 1,
            sequence,
            int(created_at * 1000),
            signer_set_id=number,
            signers=signers,
            signs=signs,
        )
        if at < self.details_from:
            self._pass_over("CommitPrediction", msgspec.structs.replace(there, current_epoch_id=bundle.epoch))
            return Landed(bundle, self.ledger.slot(at))
        slot = self.ledger.slot_for(at)
        error = self.refusal(market)
        before = self._charge(signing.fee_of(1) + (0 if error else rent_exempt(CommitRecord.SPACE)), slot)
        if not error:
            committer = self.keys.committer.key
            put, epoch = self.accounts.put, bundle.epoch
            put(("market", market), msgspec.structs.replace(there, current_epoch_id=epoch), slot)
            put(("epoch", market, epoch), Epoch(market, epoch, True, slot), slot)
            record = CommitRecord(market, epoch, committer, bundle.commit_hash, slot + DELAY_SLOTS)
            put(("commit", market, epoch, committer), record, slot)
        self.ledger.add(slot, partial(self._encoder.commit, bundle, slot, error=error, before=before, price=self.price))
        self.counts["CommitPrediction", error] += 1
        return Landed(bundle, slot, error)

    def reveal(self, committed: Landed, at: float, error: str = "") -> str:
        """Land the reveal of a commit, as the world says it ended.

        The program's own refusal comes first.

        Returns the error or "".
        """
        bundle = committed.bundle
        if at < self.details_from:
            self._reveal_in_the_past(bundle, error)
            return error
        error = self.refusal(bundle.market) or error
        slot = self.ledger.slot_for(at)
        before = self._charge(signing.fee_of(1, len(bundle.signers)), slot)
        claimed = self.accounts.signer_set(bundle.signer_set_id)
        signer_set = claimed or self.active_set()
        encode = partial(self._encoder.reveal, bundle, slot, error=error, before=before, signer_set=signer_set)
        entry = self.ledger.add(slot, encode)
        self.counts["RevealPrediction", error] += 1
        if not error:
            self._reveal_accepted(bundle, slot)
            self._revealed[bundle.market] = (bundle, entry)
            if bundle.epoch % FINALIZE_EVERY == 0:
                self._finalize(bundle.market, bundle.epoch, slot)
        return error

    def _reveal_accepted(self, bundle: Bundle, slot: int) -> None:
        put, market = self.accounts.put, self.accounts.market(bundle.market)
        assert market is not None
        sequence = max(market.last_sequence, bundle.sequence)
        put(("market", bundle.market), msgspec.structs.replace(market, last_sequence=sequence), slot)
        epoch = self.accounts.epoch(bundle.market, bundle.epoch)
        if epoch is not None:
            done = msgspec.structs.replace(epoch, publish_sequence=bundle.sequence)
            put(("epoch", bundle.market, bundle.epoch), done, slot)
        committer = self.keys.committer.key
        record = self.accounts.commit(bundle.market, bundle.epoch, committer)
        if record is not None:
            put(
                ("commit", bundle.market, bundle.epoch, committer), msgspec.structs.replace(record, revealed=True), slot
            )

    def _reveal_in_the_past(self, bundle: Bundle, error: str) -> None:
        there = self.accounts.market(bundle.market)
        assert there is not None
        if not error:
            there = msgspec.structs.replace(there, last_sequence=max(there.last_sequence, bundle.sequence))
        self._pass_over("RevealPrediction", there, error)
        if not error and bundle.epoch % FINALIZE_EVERY == 0:
            self._pass_over("FinalizeEpoch", there)

    def _pass_over(self, instruction: str, market: Market, error: str = "") -> None:
        """Count a transaction of the deep past, with what it left in its market."""
        self.accounts.put(("market", market.market_id), market, self.ledger.begin)
        self.ledger.pass_over()
        self.counts[instruction, error] += 1

    def _finalize(self, market: str, number: int, slot: int) -> None:
        wallet = ("wallet", self.keys.authority.key)
        before = self.accounts.lamports(wallet[1])
        self.accounts.put(wallet, before - signing.fee_of(1), slot)
        epoch = self.accounts.epoch(market, number)
        if epoch is not None:
            done = msgspec.structs.replace(epoch, open=False, finalized_at_slot=slot)
            self.accounts.put(("epoch", market, number), done, slot)
        self.ledger.add(slot, partial(self._encoder.finalize, market, number, slot, before))
        self.counts["FinalizeEpoch", ""] += 1

    def _charge(self, lamports: int, slot: int) -> int:
        """Charge the committer; return what it had before."""
        committer = self.keys.committer.key
        before = self.accounts.lamports(committer)
        self.accounts.put(("wallet", committer), before - lamports, slot)
        return before

    # what the authority does, and what others do

    def set_paused(self, paused: bool) -> str:
        """Pause or resume the program; return the signature."""
        return self._govern("SetPaused", instructions.set_paused(self.keys, paused))

    def set_market_active(self, market: str, active: bool) -> str:
        return self._govern("UpdateMarket", instructions.update_market(self.keys, market, active))

    def rotate(
        self,
        members: Sequence[Pubkey | Party] | None = None,
        threshold: int = THRESHOLD,
        *,
        number: int | None = None,
        active: bool = True,
    ) -> str:
        """Create a signer set, with the next id unless another is wanted.

        Without `members`, the same seven.

        Agents sign for the members that are given with their key pair.
        """
        config = self.accounts.config()
        if number is not None and number != config.next_signer_set_id:
            config = msgspec.structs.replace(config, next_signer_set_id=number)
            self.accounts.put(CONFIG, config, self.ledger.slot_for(self.ledger.now()))
        seats = tuple(members or self.keys.signers)
        self._encoder.parties.update((seat.key, seat) for seat in seats if isinstance(seat, Party))
        pubkeys = tuple(seat.key if isinstance(seat, Party) else seat for seat in seats)
        args = instructions.RotateArgs(threshold, pubkeys, active)
        number = config.next_signer_set_id
        return self._govern("RotateSignerSet", instructions.rotate(self.keys, number, args))

    def _govern(self, name: str, instruction: Instruction) -> str:
        # the price differs each time: else the same decision twice within a slot would be the same
        # transaction
        price = instructions.compute_unit_price(1000 + self.ledger.count % 1000)
        _, signature = self.send(self.transaction([price, instruction], self.keys.authority))
        return signature

    def transaction(self, parts: Sequence[Instruction], signer: Party) -> VersionedTransaction:
        """Return a signed transaction on the newest blockhash."""
        newest: Hash = self.ledger.blockhash(self.ledger.slot())
        message = Message.new_with_blockhash(list(parts), signer.key, newest)
        return VersionedTransaction(message, [signer.pair])

    def send(self, transaction: VersionedTransaction) -> tuple[Outcome, str]:
        """Put a transaction into the next block, executed by the program's rules.

        Returns (how it ended, signature).
        """
        slot = self.ledger.slot_for(self.ledger.now())
        outcome, signature = self.runtime.land(transaction, slot)
        if outcome.included:
            for call in transaction.message.instructions:
                if transaction.message.account_keys[call.program_id_index] == self.keys.program:
                    name = instructions.BY_DISCRIMINATOR.get(bytes(call.data)[:8], "")
                    self.counts[name, _error_name(outcome.err)] += 1
        return outcome, signature

    def ghost(self, market: str, sequence: int = 1) -> str:
        """Land a commit on a fork that loses: seen at `processed` for a few slots, never confirmed.

        Returns its signature.
        """
        there = self.accounts.market(market)
        assert there is not None
        bundle = bundles.make(
            self.keys,
            market,
            there.current_epoch_id + 1_000_000,
            sequence + self.ledger.count,
            int(self.ledger.now() * 1000),
            signer_set_id=FIRST_SET,
            signers=range(THRESHOLD),
        )
        slot = self.ledger.slot_for(self.ledger.now())
        before = self.accounts.lamports(self.keys.committer.key)
        entry = self.ledger.add(
            slot, partial(self._encoder.commit, bundle, slot, error="", before=before, price=self.price), forked=True
        )
        return self.ledger.signature(entry)

    def decoy(self) -> str:
        """Land a transaction of somebody else's program.

        It names ours among its accounts and logs lines that look like ours.
        """
        slot = self.ledger.slot_for(self.ledger.now())
        entry = self.ledger.add(
            slot, partial(self._encoder.decoy, slot, self.ledger.count, self.accounts.lamports(self.keys.faucet.key))
        )
        return self.ledger.signature(entry)


def _set_number(text: str) -> int:
    """Return a signer set's id as the environment gives it.

    0, which no set has, when it is none.
    """
    return int(text) if text.isdecimal() and int(text) < 2**64 else 0


def _error_name(err: Any) -> str:
    if not isinstance(err, dict):
        return "" if err is None else str(err)
    why = err["InstructionError"][1]
    code = why.get("Custom") if isinstance(why, dict) else None
    for name, number in layouts.CODES.items():
        if number == code:
            return name
    return str(why)
