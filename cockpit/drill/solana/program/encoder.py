"""Encodes the world's own transactions when somebody asks for them.

Signed, with logs, fees and balances as a node shows them.

Everything follows from the arguments, so that an encoding may be dropped and made again.
"""

from __future__ import annotations

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from cockpit.drill.solana.program import bundle as bundles
from cockpit.drill.solana.program import frames, instructions, layouts, signing
from cockpit.drill.solana.program.accounts import rent_exempt
from cockpit.drill.solana.program.bundle import Bundle
from cockpit.drill.solana.program.keys import COMPUTE_BUDGET, SYSTEM, Party
from cockpit.drill.solana.program.layouts import CommitRecord, Epoch, SignerSet
from cockpit.drill.solana.program.ledger import Encoded, Ledger
from cockpit.drill.solana.program.signing import Money

#: A signer of a bundle that is so much more than a place: that place's agent, with a key that
#: nobody registered.
STRAY = 1_000
DELAY_SLOTS = 2  # until a reveal: the submitter asks for less than the protocol's default, its delay is 1,000 ms


class Encoder:
    """Encodes commits, reveals and decoys.

    `parties`: whose key pairs the agents hold, by public key.

    `before`: what the payer had.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.keys = ledger.keys
        self.parties: dict[Pubkey, Party] = {party.key: party for party in self.keys.signers}

    def signers(self, bundle: Bundle, signer_set: SignerSet) -> list[Party]:
        """Return the key pairs that sign.

        An agent signs with its own key; with the one of its place in the set where the set does not
        know it, if it has that.
        """
        seats, own = dict(enumerate(signer_set.pubkeys)), self.keys.signers
        found = []
        for place in bundle.signers:
            mine = self.keys.stray(place - STRAY) if place >= STRAY else own[place]
            known = place >= STRAY or mine.key in signer_set.pubkeys
            found.append(mine if known else self.parties.get(seats.get(place, mine.key), mine))
        return found

    def commit(self, bundle: Bundle, slot: int, *, error: str, before: int, price: int) -> Encoded:
        own, payer = self.keys, self.keys.committer.key
        epoch = own.epoch(bundle.market, bundle.epoch)
        record = own.commit(epoch, payer)
        parts = [
            instructions.compute_unit_price(price),
            instructions.commit(own, bundle.market, bundle.epoch, bundle.commit_hash, DELAY_SLOTS),
        ]
        units = frames.units("CommitPrediction", bundle.salt)
        market = own.market(bundle.market)
        event = layouts.prediction_committed(market, epoch, payer, bundle.commit_hash, slot + DELAY_SLOTS)
        body = frames.create_account() + ([] if error else [frames.event(event)])
        logs = frames.native(str(COMPUTE_BUDGET))
        logs += frames.program(own.program_id, "CommitPrediction", body, units, error)
        money = Money.of(own, payer, before).market(own, bundle.market)
        money[epoch] = rent_exempt(Epoch.SPACE)
        return signing.sign(
            self.ledger,
            parts,
            own.committer,
            slot,
            logs=logs,
            units=units + 150,
            money=money,
            err=signing.custom(1, layouts.CODES[error]) if error else None,
            made={record: rent_exempt(CommitRecord.SPACE)},
            inner=lambda keys: [
                signing.creation(
                    index=1, message_keys=keys, payer=payer, made=record, space=CommitRecord.SPACE, own=own.program
                )
            ],
        )

    def reveal(self, bundle: Bundle, slot: int, *, error: str, before: int, signer_set: SignerSet) -> Encoded:
        """Encode a reveal; `signer_set` is the account that the transaction names."""
        own, payer = self.keys, self.keys.committer.key
        signatures = bundles.sign(bundle, self.signers(bundle, signer_set))
        parts = [
            instructions.ed25519(bundle.signed, signatures),
            instructions.reveal(own, bundle, signer_set.signer_set_id),
        ]
        units = frames.units("RevealPrediction", bundle.salt)
        epoch = own.epoch(bundle.market, bundle.epoch)
        market = own.market(bundle.market)
        event = layouts.prediction_revealed(market, epoch, payer, bundle.content_hash, bundle.sequence)
        body = [] if error else [frames.event(event)]
        money = Money.of(own, payer, before).market(own, bundle.market)
        money[epoch] = rent_exempt(Epoch.SPACE)
        money[own.commit(epoch, payer)] = rent_exempt(CommitRecord.SPACE)
        money[own.signer_set(signer_set.signer_set_id)] = rent_exempt(signing.set_space(len(signer_set.pubkeys)))
        return signing.sign(
            self.ledger,
            parts,
            own.committer,
            slot,
            logs=frames.program(own.program_id, "RevealPrediction", body, units, error),
            units=units,
            money=money,
            err=signing.custom(1, layouts.CODES[error]) if error else None,
            verified=len(signatures),
        )

    def finalize(self, market: str, number: int, slot: int, before: int) -> Encoded:
        own, payer = self.keys, self.keys.authority.key
        units = frames.units("FinalizeEpoch", str(number).encode())
        epoch = own.epoch(market, number)
        event = layouts.epoch_finalized(epoch, own.market(market), number, slot)
        money = Money.of(own, payer, before).market(own, market)
        money[epoch] = rent_exempt(Epoch.SPACE)
        return signing.sign(
            self.ledger,
            [instructions.finalize(own, market, number)],
            own.authority,
            slot,
            logs=frames.program(own.program_id, "FinalizeEpoch", [frames.event(event)], units),
            units=units,
            money=money,
        )

    def decoy(self, slot: int, number: int, before: int) -> Encoded:
        """Encode a transaction of somebody else's program.

        Ours is among its accounts, and lines in its frame look like ours.
        """
        own, payer = self.keys, self.keys.faucet.key
        stranger = str(own.stranger)
        event = layouts.prediction_revealed(own.program, own.stranger, payer, bytes(32), number)
        lines = [
            f"Program {stranger} invoke [1]",
            "Program log: Instruction: RevealPrediction",
            f"Program log: Program {own.program_id} invoke [1]",
            frames.event(event),
            f"Program {SYSTEM} invoke [2]",
            "Program log: Instruction: CommitPrediction",
            f"Program {SYSTEM} success",
            f"Program {stranger} consumed 4217 of {frames.UNITS_LIMIT} compute units",
            f"Program {stranger} success",
        ]
        accounts = [AccountMeta(own.program, False, False), AccountMeta(own.stranger, False, False)]
        part = Instruction(own.stranger, number.to_bytes(8, "little"), accounts)
        money = Money.of(own, payer, before)
        return signing.sign(self.ledger, [part], own.faucet, slot, logs=lines, units=4217, money=money)
