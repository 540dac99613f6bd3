"""Keeps accounts with their recent past.

What each was as of a slot, so that commitment levels and nodes that lag read the truth of their own
slot.

Epochs and commits are kept for the newest two thousand only.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from typing import Any

from solders.pubkey import Pubkey

from cockpit.drill.solana.program.keys import Keys
from cockpit.drill.solana.program.layouts import CommitRecord, Epoch, Market, ProgramAccount, ProtocolConfig, SignerSet

REMEMBER_SLOTS = 1500  # ten minutes
MOST_EPOCHS = 2048
CHANGES = 8192

#: ("config",), ("set", id), ("market", market id), ("epoch", market id, epoch id), ("commit",
#: market id, epoch id, committer), ("wallet", pubkey).
Key = tuple[Any, ...]
Value = ProgramAccount | int  # wallets: lamports
CONFIG: Key = ("config",)


class Accounts:
    """Holds accounts by slot.

    `put` at rising slots, `at` any slot of the last ten minutes (before that: the oldest known).
    """

    def __init__(self, own: Keys) -> None:
        self.keys = own
        self._slots: dict[Key, list[int]] = {}
        self._values: dict[Key, list[Value]] = {}
        self._short_lived: deque[Key] = deque()
        self._unindexed: deque[Key] = deque()  # addresses are derived when somebody asks for one
        self._by_address: dict[Pubkey, Key] = {}
        self._indexed: dict[Key, Pubkey] = {}
        self.changes: deque[tuple[int, Key]] = deque(maxlen=CHANGES)
        self.changed = 0  # how often anything was put, ever

    def put(self, key: Key, value: Value, slot: int) -> None:
        slots = self._slots.get(key)
        if slots is None:
            self._slots[key] = [slot]
            self._values[key] = [value]
            self._enter(key)
        elif slots[-1] >= slot:
            self._values[key][-1] = value
        else:
            values = self._values[key]
            slots.append(slot)
            values.append(value)
            half = len(slots) // 2
            if half > 32 and slots[half] < slot - REMEMBER_SLOTS:
                del slots[:half], values[:half]
        self.changes.append((slot, key))
        self.changed += 1

    def latest(self, key: Key) -> Value | None:
        values = self._values.get(key)
        return values[-1] if values else None

    def at(self, key: Key, slot: int) -> Value | None:
        """Return the account as of the end of `slot`; None when it did not exist."""
        slots = self._slots.get(key)
        if not slots:
            return None
        number = bisect_right(slots, slot)
        return self._values[key][number - 1] if number else None

    def find(self, address: Pubkey) -> Key | None:
        """Return whose address this is."""
        wallet: Key = ("wallet", address)
        if wallet in self._slots:
            return wallet
        while address not in self._by_address and self._unindexed:
            key = self._unindexed.popleft()
            if key in self._slots:
                derived = self.address(key)
                self._by_address[derived], self._indexed[key] = key, derived
        return self._by_address.get(address)

    def address(self, key: Key) -> Pubkey:
        kind, *rest = key
        if kind == "wallet":
            wallet: Pubkey = rest[0]
            return wallet
        if kind == "config":
            return self.keys.protocol()
        if kind == "set":
            return self.keys.signer_set(rest[0])
        if kind == "market":
            return self.keys.market(rest[0])
        epoch = self.keys.epoch(rest[0], rest[1])
        return epoch if kind == "epoch" else self.keys.commit(epoch, rest[2])

    def program_keys(self) -> list[Key]:
        """Return the addresses of all accounts that the program owns."""
        return [key for key in self._slots if key[0] != "wallet"]

    def _enter(self, key: Key) -> None:
        if key[0] == "wallet":
            return
        self._unindexed.append(key)
        if key[0] in ("epoch", "commit"):
            self._short_lived.append(key)
            if len(self._short_lived) > MOST_EPOCHS:
                oldest = self._short_lived.popleft()
                del self._slots[oldest], self._values[oldest]
                if oldest in self._indexed:
                    del self._by_address[self._indexed.pop(oldest)]

    # typed views of the newest state

    def config(self) -> ProtocolConfig:
        value = self.latest(CONFIG)
        assert isinstance(value, ProtocolConfig)
        return value

    def market(self, market: str) -> Market | None:
        value = self.latest(("market", market))
        return value if isinstance(value, Market) else None

    def signer_set(self, number: int) -> SignerSet | None:
        value = self.latest(("set", number))
        return value if isinstance(value, SignerSet) else None

    def epoch(self, market: str, number: int) -> Epoch | None:
        value = self.latest(("epoch", market, number))
        return value if isinstance(value, Epoch) else None

    def commit(self, market: str, number: int, committer: Pubkey) -> CommitRecord | None:
        value = self.latest(("commit", market, number, committer))
        return value if isinstance(value, CommitRecord) else None

    def lamports(self, wallet: Pubkey) -> int:
        value = self.latest(("wallet", wallet))
        return value if isinstance(value, int) else 0


def rent_exempt(space: int) -> int:
    """Return the lamports that an account of `space` bytes must hold.

    Two years of 3,480 lamports per byte-year, 128 bytes overhead.
    """
    return (128 + space) * 6960
