"""Matches commits with their reveals by market and epoch, in whatever order they are heard of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nsmallest

from cockpit.model.observed.chain import PendingCommit
from cockpit.oracle.base58 import encode

Key = tuple[bytes, bytes]  # market, epoch

MOST_PENDING = 20_000
MOST_EARLY = 20_000
SHOWN = 50
#: A commit so long overdue (an hour) is lost: its submitter has given up. Until then it is a reveal
#: that is missing.
LOST_SLOTS = 9000
#: A reveal waits so long for its commit to be heard of.
EARLY_SLOTS = 1500
#: One that a later commit of its market overtook is lost sooner: a blockhash's life in slots.
OVERTAKEN_SLOTS = 150


@dataclass(slots=True)
class Commit:
    market: bytes
    epoch: bytes
    commit_hash: bytes
    signature: str
    slot: int
    reveal_after_slot: int


class PendingCommits:
    """Holds the commits that wait, oldest first.

    `lost`: commits given up, never revealed as far as anyone saw.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[Key, list[Commit]] = OrderedDict()
        self._early: OrderedDict[Key, list[int]] = OrderedDict()  # slots of reveals whose commit is not known (yet)
        self._revealed: dict[bytes, int] = {}  # market → newest slot of a revealed commit
        self._total = 0
        self.lost = 0

    def commit(self, commit: Commit) -> None:
        key = (commit.market, commit.epoch)
        early = self._early.get(key, [])
        for index, slot in enumerate(early):
            if slot >= commit.slot:
                del early[index]
                self._was_revealed(commit)
                return
        waiting = self._waiting.setdefault(key, [])
        waiting.append(commit)
        waiting.sort(key=lambda each: each.slot)
        self._total += 1
        while self._total > MOST_PENDING:
            self._forget(next(iter(self._waiting)))

    def reveal(self, market: bytes, epoch: bytes, slot: int) -> None:
        """Take the oldest commit of the epoch that is not newer as revealed.

        Without one, the reveal waits for its commit to be heard of.
        """
        key = (market, epoch)
        waiting = self._waiting.get(key, [])
        if waiting and waiting[0].slot <= slot:
            commit = waiting.pop(0)
            self._total -= 1
            if not waiting:
                del self._waiting[key]
            self._was_revealed(commit)
            return
        self._early.setdefault(key, []).append(slot)
        self._early.move_to_end(key)
        while len(self._early) > MOST_EARLY:
            self._early.popitem(last=False)

    def _was_revealed(self, commit: Commit) -> None:
        self._revealed[commit.market] = max(commit.slot, self._revealed.get(commit.market, 0))
        if len(self._revealed) > MOST_EARLY:
            self._revealed.pop(next(iter(self._revealed)))

    def _forget(self, key: Key) -> None:
        self._waiting[key].pop(0)
        if not self._waiting[key]:
            del self._waiting[key]
        self._total -= 1
        self.lost += 1

    def expire(self, slot: int) -> None:
        """Give up what is lost by now."""
        for key in list(self._waiting):
            kept = []
            for commit in self._waiting[key]:
                overdue = slot - commit.reveal_after_slot
                overtaken = self._revealed.get(commit.market, -1) > commit.slot
                if overdue > LOST_SLOTS or (overtaken and overdue > OVERTAKEN_SLOTS):
                    self.lost += 1
                    self._total -= 1
                else:
                    kept.append(commit)
            if kept:
                self._waiting[key] = kept
            else:
                del self._waiting[key]
        for key, slots in list(self._early.items()):
            if not slots or max(slots) < slot - EARLY_SLOTS:
                del self._early[key]

    @property
    def total(self) -> int:
        return self._total

    def shown(self, slot: int | None, names: Mapping[str, str]) -> tuple[tuple[PendingCommit, ...], int]:
        """Return (the oldest `SHOWN`, how many of all are overdue).

        `names`: market's pubkey → market id.
        """
        whole = [commit for each in self._waiting.values() for commit in each]
        if slot is None:
            return (), 0
        overdue = sum(1 for commit in whole if slot > commit.reveal_after_slot)
        made = []
        for commit in nsmallest(SHOWN, whole, key=lambda each: (each.slot, each.signature)):
            market = encode(commit.market)
            made.append(
                PendingCommit(
                    market=names.get(market, market),
                    epoch=encode(commit.epoch),
                    commit_hash=commit.commit_hash.hex(),
                    signature=commit.signature,
                    slot=commit.slot,
                    reveal_after_slot=commit.reveal_after_slot,
                    overdue_slots=slot - commit.reveal_after_slot,
                )
            )
        return tuple(made), overdue
