"""Processes transactions as a validator does.

Decode, check signatures and blockhash, charge the fee, run its instructions.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import msgspec
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import VersionedTransaction

from cockpit.drill.solana import base58
from cockpit.drill.solana.program import execution, frames, instructions, keys
from cockpit.drill.solana.program.accounts import Accounts, Key, rent_exempt
from cockpit.drill.solana.program.borsh import Malformed
from cockpit.drill.solana.program.execution import Bank, Failed, Invocation, Meta
from cockpit.drill.solana.program.ledger import Encoded, Ledger
from cockpit.drill.solana.program.signing import PROGRAM_LAMPORTS, creation, custom, fee_of

PACKET = 1232  # bytes of the largest transaction
ENCODED_MOST = {"base58": 1683, "base64": 1644}

WORDS = {
    "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
    "AddressLookupTableNotFound": "Transaction loads an address table account that doesn't exist",
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
    "InsufficientFundsForFee": "Insufficient funds for fee",
    "ProgramAccountNotFound": "Attempt to load a program that does not exist",
    "SignatureFailure": "Transaction did not pass signature verification",
}
INSTRUCTION_WORDS = {
    "InvalidInstructionData": "invalid instruction data",
    "MissingRequiredSignature": "missing required signature for instruction",
    "NotEnoughAccountKeys": "insufficient account keys for instruction",
}


class BadTransaction(Exception):
    """Reports what cannot be read; the words are a node's."""


class Outcome(msgspec.Struct, frozen=True):
    """Holds how a transaction ends.

    `err` None: it would succeed.

    `fee` is charged unless the transaction cannot be included at all (`included` False).
    """

    err: Any
    logs: tuple[str, ...] = ()
    units: int = 0
    fee: int = 0
    included: bool = True
    inner: tuple[dict[str, Any], ...] = ()


def words(err: Any) -> str:
    """Return a TransactionError as nodes print it."""
    if isinstance(err, str):
        return WORDS.get(err, err)
    index, why = err["InstructionError"]
    if isinstance(why, dict):
        return f"Error processing Instruction {index}: custom program error: {why['Custom']:#x}"
    return f"Error processing Instruction {index}: {INSTRUCTION_WORDS.get(why, why)}"


def decode(text: str, encoding: str) -> VersionedTransaction:
    """Decode a transaction.

    Raises BadTransaction.
    """
    if len(text) > ENCODED_MOST[encoding]:
        raise BadTransaction(
            f"{encoding} encoded solana_transaction::versioned::VersionedTransaction too large: {len(text)} bytes "
            f"(max: encoded/raw {ENCODED_MOST[encoding]}/{PACKET})"
        )
    try:
        raw = base64.b64decode(text, validate=True) if encoding == "base64" else base58.decode(text)
    except (ValueError, binascii.Error) as error:
        raise BadTransaction(f"invalid {encoding} encoding: {error}") from None
    if len(raw) > PACKET:
        raise BadTransaction(
            f"decoded solana_transaction::versioned::VersionedTransaction too large: {len(raw)} bytes (max: {PACKET} "
            "bytes)"
        )
    try:
        transaction = VersionedTransaction.from_bytes(raw)
        transaction.sanitize()
    except BaseException as error:  # solders panics on some inputs, and a panic is no Exception
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise BadTransaction(
            "failed to deserialize solana_transaction::versioned::VersionedTransaction: io error: failed to fill "
            "whole buffer"
        ) from None
    return transaction


def verified(transaction: VersionedTransaction) -> bool:
    """Return whether all its own signatures are good."""
    return all(transaction.verify_with_results())


class Runtime:
    """Executes against the ledger's newest state; `land` puts the transaction into a block."""

    def __init__(self, ledger: Ledger, accounts: Accounts) -> None:
        self.ledger = ledger
        self.accounts = accounts
        self.own = ledger.keys
        self._landed: dict[str, int] = {}  # signature → slot

    def execute(
        self, transaction: VersionedTransaction, slot: int, *, head: int | None = None, any_blockhash: bool = False
    ) -> tuple[Outcome, Bank]:
        """Execute as of `slot`; `head` is the newest slot that the asked node knows.

        Nothing is changed: settle the bank for that.
        """
        bank = Bank(self.accounts, slot)
        why = self._refusal(transaction, slot if head is None else head, any_blockhash)
        if why:
            return Outcome(why, included=False), bank
        message = transaction.message
        accounts = list(message.account_keys)
        calls = [(accounts[c.program_id_index], bytes(c.data), bytes(c.accounts)) for c in message.instructions]
        claims = sum(data[0] for target, data, _ in calls if target == keys.ED25519 and data)
        fee = fee_of(len(transaction.signatures), claims)
        payer = accounts[0]
        wallet: Key = ("wallet", payer)
        have = self.accounts.lamports(payer)
        if self.accounts.latest(wallet) is None:
            return Outcome("AccountNotFound", included=False), bank
        if have < fee:
            return Outcome("InsufficientFundsForFee", included=False), bank
        bank.put(wallet, have - fee)
        writable = [_writable(message, n) for n in range(len(accounts))]
        signers = message.header.num_required_signatures
        siblings = [(target, data) for target, data, _ in calls]
        for index, (target, data, _) in enumerate(calls):
            if target == keys.ED25519 and not _signatures_good(data):
                return self._failed(Outcome(custom(index, 2), (), 0, fee), bank, wallet, have)
        logs: list[str] = []
        inner: list[dict[str, Any]] = []
        used = 0
        for index, (target, data, places) in enumerate(calls):
            metas = [Meta(accounts[n], n < signers, writable[n]) for n in places]
            if target == self.own.program:
                name = instructions.BY_DISCRIMINATOR.get(data[:8], "")
                took = frames.units(name, bytes(transaction.signatures[0]))
                used += took
                call = Invocation(self.own, bank, metas, data[8:], siblings)
                try:
                    if not name:
                        raise Failed("InstructionFallbackNotFound")
                    execution.run(call, name)
                    self._pay(bank, payer, call.payer_pays)
                except Failed as failure:
                    body = [*call.lines, *failure.lines]
                    logs += frames.program(self.own.program_id, name, body, took, failure.name)
                    if not failure.name:
                        logs[-1] = f"Program {self.own.program_id} failed: custom program error: {failure.code:#x}"
                    return self._failed(
                        Outcome(custom(index, failure.code), tuple(logs), used, fee), bank, wallet, have
                    )
                logs += frames.program(self.own.program_id, name, call.lines, took)
                for made, space in call.created:
                    inner.append(
                        creation(
                            index=index,
                            message_keys=accounts,
                            payer=payer,
                            made=made,
                            space=space,
                            own=self.own.program,
                        )
                    )
            elif target == keys.SYSTEM:
                used += 150
                problem = _system(bank, metas, data)
                logs.append(f"Program {keys.SYSTEM} invoke [1]")
                if problem is not None:
                    said = problem if isinstance(problem, str) else f"custom program error: {problem:#x}"
                    logs.append(f"Program {keys.SYSTEM} failed: {INSTRUCTION_WORDS.get(said, said)}")
                    err = custom(index, problem) if isinstance(problem, int) else {"InstructionError": [index, problem]}
                    return self._failed(Outcome(err, tuple(logs), used, fee), bank, wallet, have)
                logs.append(f"Program {keys.SYSTEM} success")
            elif target == keys.COMPUTE_BUDGET:
                used += 150
                logs += frames.native(str(target))
        return Outcome(err=None, logs=tuple(logs), units=used, fee=fee, included=True, inner=tuple(inner)), bank

    def land(self, transaction: VersionedTransaction, slot: int) -> tuple[Outcome, str]:
        """Put a transaction into the block of `slot` as it turns out there, failed or not.

        Without effect when it cannot be included.
        """
        outcome, bank = self.execute(transaction, slot)
        signature = str(transaction.signatures[0])
        if not outcome.included:
            return outcome, signature
        accounts = list(transaction.message.account_keys)
        before = tuple(self._lamports(key) for key in accounts)
        bank.settle()
        after = tuple(self._lamports(key) for key in accounts)
        encoded = Encoded(
            signature=signature,
            wire=bytes(transaction),
            keys=tuple(str(key) for key in accounts),
            err=outcome.err,
            logs=outcome.logs,
            fee=outcome.fee,
            units=outcome.units,
            inner=outcome.inner,
            pre=before,
            post=after,
        )
        entry = self.ledger.add(slot, encoded.itself, program=self.own.program in accounts)
        self.ledger.encoded(entry)
        self._landed[signature] = slot
        for old in [s for s, at in self._landed.items() if at < slot - 400]:
            del self._landed[old]
        return outcome, signature

    def _refusal(self, transaction: VersionedTransaction, head: int, any_blockhash: bool) -> str:
        message = transaction.message
        signature = str(transaction.signatures[0])
        if signature in self._landed or self.ledger.find(signature) is not None:
            return "AlreadyProcessed"
        if not any_blockhash and not self.ledger.blockhash_valid(str(message.recent_blockhash), head):
            return "BlockhashNotFound"
        if getattr(message, "address_table_lookups", None):
            return "AddressLookupTableNotFound"
        known = (self.own.program, keys.SYSTEM, keys.ED25519, keys.COMPUTE_BUDGET)
        if any(message.account_keys[c.program_id_index] not in known for c in message.instructions):
            return "ProgramAccountNotFound"
        return ""

    def _failed(self, outcome: Outcome, bank: Bank, wallet: Key, have: int) -> tuple[Outcome, Bank]:
        """Charge the fee, and change nothing else."""
        bank.changes.clear()
        bank.made.clear()
        bank.put(wallet, have - outcome.fee)
        return outcome, bank

    @staticmethod
    def _pay(bank: Bank, payer: Pubkey, lamports: int) -> None:
        have = bank.get(("wallet", payer))
        assert isinstance(have, int)
        if have < lamports:
            lines = (f"Transfer: insufficient lamports {have}, need {lamports}",)
            raise Failed(code=1, lines=lines)
        bank.put(("wallet", payer), have - lamports)

    def _lamports(self, key: Pubkey) -> int:
        if key == self.own.program:
            return PROGRAM_LAMPORTS
        if key in (keys.SYSTEM, keys.ED25519, keys.COMPUTE_BUDGET):
            return 1
        found = self.accounts.find(key)
        value = None if found is None else self.accounts.latest(found)
        if value is None or isinstance(value, int):
            return value or 0
        return rent_exempt(len(value.encode(self.own)))


def _writable(message: Any, index: int) -> bool:
    header, count = message.header, len(message.account_keys)
    if index < header.num_required_signatures:
        return bool(index < header.num_required_signatures - header.num_readonly_signed_accounts)
    return bool(index < count - header.num_readonly_unsigned_accounts)


def _signatures_good(data: bytes) -> bool:
    try:
        claims = instructions.ed25519_claims(data)
    except Malformed:
        return False
    return all(Signature.verify(signature, pubkey, message) for pubkey, message, signature in claims)


def _system(bank: Bank, metas: Sequence[Meta], data: bytes) -> str | int | None:
    """Carry out transfers; the rest of the system program is not understood.

    Returns the error, if any.
    """
    if len(data) != 12 or data[:4] != b"\x02\0\0\0":
        return "InvalidInstructionData"
    if len(metas) < 2:
        return "NotEnoughAccountKeys"
    if not metas[0].signer:
        return "MissingRequiredSignature"
    lamports = int.from_bytes(data[4:], "little")
    source: Key = ("wallet", metas[0].key)
    target: Key = ("wallet", metas[1].key)
    have = bank.get(source)
    if not isinstance(have, int) or have < lamports:
        return 1  # ResultWithNegativeLamports
    bank.put(source, have - lamports)
    there = bank.get(target)
    bank.put(target, (there if isinstance(there, int) else 0) + lamports)
    return None
