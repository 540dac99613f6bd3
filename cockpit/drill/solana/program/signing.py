"""Turns instructions into a signed transaction with its outcome, as the ledger keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from solders.instruction import Instruction
from solders.message import Message
from solders.pubkey import Pubkey

from cockpit.drill.solana import base58
from cockpit.drill.solana.program import keys
from cockpit.drill.solana.program.accounts import rent_exempt
from cockpit.drill.solana.program.borsh import u64
from cockpit.drill.solana.program.keys import Keys, Party
from cockpit.drill.solana.program.layouts import Market
from cockpit.drill.solana.program.ledger import LAMPORTS_PER_SIGNATURE, Encoded, Ledger, produced

PROGRAM_LAMPORTS = 1_141_440
CONFIG_SPACE = 67


def set_space(members: int) -> int:
    return 8 + 8 + 2 + 4 + 32 * members + 1 + 8 + 1


class Money(dict[Pubkey, int]):
    """Holds the lamports of a transaction's accounts before it; what is not in it has none."""

    @classmethod
    def of(cls, own: Keys, payer: Pubkey, before: int) -> Money:
        known = cls({payer: before, own.program: PROGRAM_LAMPORTS, own.protocol(): rent_exempt(CONFIG_SPACE)})
        for native in (keys.SYSTEM, keys.ED25519, keys.COMPUTE_BUDGET):
            known[native] = 1
        return known

    def market(self, own: Keys, market: str) -> Money:
        self[own.market(market)] = rent_exempt(Market.SPACE)
        return self


def fee_of(signatures: int, verified: int = 0) -> int:
    """Return the fee in lamports.

    For each signature of the transaction, and each one that the ed25519 program verifies.
    """
    return LAMPORTS_PER_SIGNATURE * (signatures + verified)


def sign(
    ledger: Ledger,
    instructions: Sequence[Instruction],
    signer: Party,
    slot: int,
    *,
    logs: Sequence[str],
    units: int,
    money: Money,
    err: Any = None,
    verified: int = 0,
    made: Mapping[Pubkey, int] | None = None,
    inner: Callable[[Sequence[Pubkey]], Sequence[dict[str, Any]]] | None = None,
) -> Encoded:
    """Sign for one signer, who pays.

    `made`: accounts that came into being and what they hold, from the payer's pocket.
    """
    payer = signer.key
    message = Message.new_with_blockhash(list(instructions), payer, ledger.blockhash(produced(slot - 3)))
    raw = bytes(message)
    signature = signer.pair.sign_message(raw)
    fee = fee_of(1, verified)
    accounts = message.account_keys
    after = dict(money)
    for key, lamports in (made or {}).items() if err is None else ():
        after[key] = after.get(key, 0) + lamports
        after[payer] -= lamports
    after[payer] -= fee
    return Encoded(
        signature=str(signature),
        wire=b"\x01" + bytes(signature) + raw,
        keys=tuple(str(key) for key in accounts),
        err=err,
        logs=tuple(logs),
        fee=fee,
        units=units,
        inner=tuple(inner(accounts)) if inner else (),
        pre=tuple(money.get(key, 0) for key in accounts),
        post=tuple(after.get(key, 0) for key in accounts),
    )


def creation(
    index: int, message_keys: Sequence[Pubkey], payer: Pubkey, made: Pubkey, space: int, own: Pubkey
) -> dict[str, Any]:
    """Make the system program's inner instruction that makes an account.

    For instruction `index`.
    """
    data = (0).to_bytes(4, "little") + u64(rent_exempt(space)) + u64(space) + bytes(own)
    place = list(message_keys).index
    instruction = {
        "programIdIndex": place(keys.SYSTEM),
        "accounts": [place(payer), place(made)],
        "data": base58.encode(data),
        "stackHeight": 2,
    }
    return {"index": index, "instructions": [instruction]}


def custom(index: int, code: int) -> dict[str, Any]:
    """Return a transaction error as JSON: instruction `index` failed with a program's code."""
    return {"InstructionError": [index, {"Custom": code}]}
