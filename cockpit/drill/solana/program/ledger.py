"""Keeps the chain: a slot each 0.4 s of the world's clock, blocks, blockhashes, transactions.

Transactions are encoded when somebody asks for them.

A transaction is processed in its slot, confirmed two slots later, finalised after thirty-one.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from solders.hash import Hash

from cockpit.drill.solana.program.keys import Keys

SLOT_S = 0.4
ZERO_AT = 1_600_000_000  # unix seconds of slot 0
SKIP_EVERY, SKIP_AT = 25, 7  # a leader in 25 misses its slot: no block, no height
CONFIRMED, FINALIZED = 2, 31  # slots behind processed
EPOCH_SLOTS = 432_000
BLOCKHASH_BLOCKS = 150  # a blockhash is good for so many blocks
EARLIER_SLOTS = 1_000  # there were blocks before the first transaction: finality needs some
FORK_SLOTS = 6  # how long a block of a losing fork is seen
KEEP = 100_000  # transactions
PAST_KEEP = 2_000  # and of the time before a drill starts
ENCODED = 2_048  # transactions kept encoded
LAMPORTS_PER_SIGNATURE = 5_000

COMMITMENTS = ("processed", "confirmed", "finalized")
_DEPTH = {"processed": 0, "confirmed": CONFIRMED, "finalized": FINALIZED}


@dataclass(frozen=True, slots=True)
class Encoded:
    """Holds a transaction as nodes show it.

    `err` is the JSON of a TransactionError. Balances are in the order of `keys`.
    """

    signature: str
    wire: bytes
    keys: tuple[str, ...]
    err: Any
    logs: tuple[str, ...]
    fee: int
    units: int
    inner: tuple[dict[str, Any], ...] = ()
    pre: tuple[int, ...] = ()
    post: tuple[int, ...] = ()

    def itself(self) -> Encoded:
        return self


@dataclass(slots=True)
class LedgerEntry:
    """Holds a transaction in its place.

    `number` counts from the ledger's beginning. A `forked` one is seen at `processed` for a few
    slots and never confirmed.
    """

    number: int
    slot: int
    encode: Callable[[], Encoded] = field(repr=False)
    program: bool = True  # the oracle program is among its accounts
    forked: bool = False
    signature: str = ""  # once somebody asked for it


class Ledger:
    """Holds all slots and transactions.

    `now` is the clock in unix seconds.

    Entries are in order of their slots, oldest first.
    """

    def __init__(self, own: Keys, now: Callable[[], float], keep: int = KEEP) -> None:
        self.keys = own
        self.now = now
        self.keep = keep
        self.entries: list[LedgerEntry] = []
        self.first = 0  # number of the oldest kept entry
        self.count = 0  # how many there ever were
        self.genesis = str(Hash(own.digest("genesis")))
        self._by_signature: dict[str, LedgerEntry] = {}
        self._encoded: OrderedDict[int, Encoded] = OrderedDict()
        self._blockhashes: dict[str, int] = {}
        self._hashed_to = 0
        self.begin = produced(self.slot() - EARLIER_SLOTS)  # before it this ledger knows nothing

    # slots and blocks

    def slot(self, at: float | None = None) -> int:
        """Return the slot being processed at that moment.

        A skipped one counts as the one before.
        """
        raw = math.floor(((self.now() if at is None else at) - ZERO_AT) / SLOT_S + 1e-6)
        return produced(raw)

    def slot_for(self, at: float) -> int:
        """Return where a transaction that arrives at `at` lands.

        Never before another one, never in a skipped slot.
        """
        slot = self.slot(at)
        return max(slot, self.entries[-1].slot) if self.entries else slot

    @staticmethod
    def height(slot: int) -> int:
        """Return the number of blocks up to and with `slot`."""
        return slot - (slot + SKIP_EVERY - SKIP_AT) // SKIP_EVERY

    @staticmethod
    def time_of(slot: int) -> int:
        return int(ZERO_AT + slot * SLOT_S)

    @staticmethod
    def at_commitment(head: int, commitment: str) -> int:
        return produced(head - _DEPTH[commitment])

    def blockhash(self, slot: int, fork: str = "") -> Hash:
        """Return a slot's blockhash; `fork` is a name when it is a losing fork's."""
        return Hash(self.keys.digest("block", str(slot), fork))

    def slot_of_blockhash(self, blockhash: str, head: int) -> int | None:
        """Return the slot of a recent blockhash, as of `head`.

        Recent: one of the last 150 blocks (or 350 slots, for lagging nodes' answers).
        """
        start = max(self._hashed_to, head - 400)
        for slot in range(start, head + 1):
            self._blockhashes[str(self.blockhash(slot))] = slot
        self._hashed_to = max(self._hashed_to, head + 1)
        while len(self._blockhashes) > 1200:
            self._blockhashes.pop(next(iter(self._blockhashes)))
        return self._blockhashes.get(blockhash)

    def blockhash_valid(self, blockhash: str, head: int) -> bool:
        slot = self.slot_of_blockhash(blockhash, head)
        return slot is not None and slot <= head and self.height(head) - self.height(slot) <= BLOCKHASH_BLOCKS

    # transactions

    def add(
        self, slot: int, encode: Callable[[], Encoded], *, program: bool = True, forked: bool = False
    ) -> LedgerEntry:
        """Add a transaction; `slot` is as `slot_for` gave it."""
        entry = LedgerEntry(self.count, slot, encode, program, forked)
        self.count += 1
        self.entries.append(entry)
        if len(self.entries) > self.keep + self.keep // 4:
            self._drop(len(self.entries) - self.keep)
        return entry

    def pass_over(self) -> None:
        """Count a transaction without keeping it; only before any that is kept."""
        self.count += 1
        self.first += 1

    def forget_past(self, keep: int = PAST_KEEP) -> None:
        """Keep only the newest `keep` transactions of what was before now."""
        self._drop(max(0, len(self.entries) - keep))

    def _drop(self, count: int) -> None:
        for entry in self.entries[:count]:
            self._by_signature.pop(entry.signature, None)
            self._encoded.pop(entry.number, None)
        del self.entries[:count]
        self.first += count
        if count and self.entries:
            self.begin = self.entries[0].slot

    def encoded(self, entry: LedgerEntry) -> Encoded:
        found = self._encoded.get(entry.number)
        if found is None:
            found = entry.encode()
            self._encoded[entry.number] = found
            if len(self._encoded) > ENCODED:
                self._encoded.popitem(last=False)
            if not entry.signature:
                entry.signature = found.signature
                self._by_signature[found.signature] = entry
        return found

    def signature(self, entry: LedgerEntry) -> str:
        return entry.signature or self.encoded(entry).signature

    def find(self, signature: str) -> LedgerEntry | None:
        """Return a transaction by a signature that was given out before.

        Nobody can know another.
        """
        return self._by_signature.get(signature)

    def position(self, slot: int) -> int:
        """Return the index in `entries` of the first one after `slot`."""
        return bisect_right(self.entries, slot, key=lambda entry: entry.slot)

    def in_slot(self, slot: int) -> list[LedgerEntry]:
        start = bisect_left(self.entries, slot, key=lambda entry: entry.slot)
        return self.entries[start : self.position(slot)]

    def since(self, number: int, slot: int) -> list[LedgerEntry]:
        """Return entries from `number` on, up to and with `slot`."""
        start = max(0, number - self.first)
        end = start
        while end < len(self.entries) and self.entries[end].slot <= slot:
            end += 1
        return self.entries[start:end]

    def visible(self, entry: LedgerEntry, head: int, commitment: str) -> bool:
        """Return whether a node at `head` shows it at this commitment."""
        if entry.forked:
            return commitment == "processed" and entry.slot <= head <= entry.slot + FORK_SLOTS
        return entry.slot <= self.at_commitment(head, commitment)


def skipped(slot: int) -> bool:
    return slot % SKIP_EVERY == SKIP_AT


def produced(slot: int) -> int:
    return slot - 1 if skipped(slot) else slot


def parent(slot: int) -> int:
    return produced(slot - 1)
