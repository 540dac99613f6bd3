"""Searches one endpoint for the newest reveal: its listing, and as few transactions as do.

A listing says of a transaction whether it failed, not what it did: that must be read, and each
reading is a request. So the newest are read one by one; where commits go on while no reveal gets
through, the stop is found by halving, a few transactions at each place, and what was left unread is
said. Reference: getSignaturesForAddress, getTransaction.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import msgspec

from cockpit.model.observed.chain import Reveal
from cockpit.oracle import base58
from cockpit.oracle.layouts import PredictionRevealed, Undecodable, decode_event
from cockpit.oracle.logs import read_logs
from cockpit.sources.solana.backfill import AT_ONCE, GONE, PAGE, ListedSignature, Transaction, transactions
from cockpit.sources.solana.rpc import Rpc, RpcProblem
from cockpit.text import safe

T = TypeVar("T")
MOST_LISTED = 10_000  # signatures: a request for each thousand
MOST_READ = 200  # transactions
NEWEST = 32  # so many are read one by one
WINDOW = 8  # transactions read at each place of the halving: while reveals get through, they are every second one or so
LONGEST_WAIT_S = 3.0  # for an endpoint that asks to be left alone
_WAITS = 2


class LookedBack(msgspec.Struct, frozen=True):
    """Holds what the search found.

    `reveal` None: none was found, and `why` says how far was looked.

    Counts are those of `endpoint`, which was asked last: `failed` and `known` of the listed ones
    needed no reading (the cockpit's own count holds the latter), `newer_unread` are those after the
    reveal that were not read.
    """

    reveal: Reveal | None
    why: str = ""
    endpoint: str = ""
    agreed: tuple[str, ...] = ()  # other endpoints that give the same transaction
    listed: int = 0
    failed: int = 0
    known: int = 0
    read: int = 0
    newer_unread: int = 0
    unreadable: tuple[str, ...] = ()  # signatures of reveals whose event cannot be read
    newest_slot: int | None = None
    back_to_slot: int | None = None
    back_to: str = ""  # UTC, "" when the node does not say
    trouble: tuple[str, ...] = ()  # what kept other endpoints from answering, or how they differ


class _Listed(ListedSignature, gc=False):
    block_time: Any = msgspec.field(default=None, name="blockTime")


class _Enough(Exception):
    """The bound of transactions to read is reached."""


class Search:
    """Searches at one endpoint.

    `entries` are its listing, newest first; `whole`: as far back as was to be looked.
    """

    def __init__(self, rpc: Rpc, program_id: str, known: tuple[int, int] | None) -> None:
        self.rpc = rpc
        self.program_id = program_id
        self.known = known
        self.entries: list[_Listed] = []
        self.whole = False
        self.problem = ""
        self.unreadable: dict[str, None] = {}
        self._signatures: set[str] = set()
        self._todo: list[_Listed] = []  # successful, and not known to be something else
        self._read: dict[int, Reveal | None] = {}  # place in `_todo` → what it is
        self._failed = self._known = self._ungiven = 0
        self._ended = False  # the node lists nothing older
        self._waits = 0

    @property
    def _first(self) -> int | None:
        """Return the place of the newest reveal that was read."""
        return min((place for place, reveal in self._read.items() if reveal is not None), default=None)

    @property
    def reveal(self) -> Reveal | None:
        return self._read[self._first] if self._first is not None else None

    async def run(self) -> None:
        """Search until there is a `reveal`, or the endpoint failed (`problem`), or all was read."""
        try:
            await self._search()
            self.whole = not self._ended and not self._ungiven
        except _Enough:
            self.whole = True
        except RpcProblem as problem:
            self.problem = problem.line()

    async def _search(self) -> None:
        await self._approach()
        newer = self._first if self._first is not None else len(self._todo)
        if newer - sum(1 for place in self._read if place < newer) <= MOST_READ - len(self._read):
            await self._read_from(0, newer)  # there is enough left to be certain

    async def _approach(self) -> None:
        """Come as near to the newest reveal as a few transactions at each place lead."""
        await self._until(NEWEST)
        if await self._read_from(0, NEWEST) is not None:
            return
        low, high = NEWEST, 2 * NEWEST  # newer than `low` no reveal is seen
        while True:
            there = await self._until(high + WINDOW)
            high = max(low, min(high, there - WINDOW))
            found = await self._read_from(high, WINDOW)
            if found is not None:
                break
            if high + WINDOW >= there:
                return
            low, high = high + WINDOW, 2 * high
        while found - low > 2 * WINDOW:
            middle = (low + found) // 2
            hit = await self._read_from(middle, WINDOW)
            found, low = (hit, low) if hit is not None else (found, middle + WINDOW)
        await self._read_from(low, found - low)

    # -- listing

    async def _until(self, count: int) -> int:
        """List until there are so many to read, or no more; return how many there are.

        Raises RpcProblem.
        """
        while len(self._todo) < count and not self._ended and len(self.entries) < MOST_LISTED:
            params: dict[str, Any] = {"commitment": "confirmed", "limit": min(PAGE, MOST_LISTED - len(self.entries))}
            if self.entries:
                params["before"] = self.entries[-1].signature
            page = await self._patiently(partial(self._page, params))
            if not page:
                self._ended = True
                break
            for entry in page:
                self._note(entry)
        return len(self._todo)

    async def _page(self, params: Mapping[str, Any]) -> list[_Listed]:
        return await self.rpc.call("getSignaturesForAddress", [self.program_id, params], list[_Listed], timed=False)

    def _note(self, entry: _Listed) -> None:
        if entry.signature in self._signatures or (self.entries and entry.slot > self.entries[-1].slot):
            raise RpcProblem(f"{self.rpc.name} lists signatures out of order")
        self._signatures.add(entry.signature)
        self.entries.append(entry)
        if entry.err is not None:
            self._failed += 1
        elif self.known is not None and self.known[0] < entry.slot <= self.known[1]:
            self._known += 1
        else:
            self._todo.append(entry)

    # -- reading

    async def _read_from(self, at: int, count: int) -> int | None:
        """Read so many from that place on, newest first; return the place of the first reveal.

        Raises RpcProblem, _Enough.
        """
        end = min(at + count, len(self._todo))
        while at < end:
            part = [place for place in range(at, min(at + AT_ONCE, end)) if place not in self._read]
            if len(self._read) + len(part) > MOST_READ:
                raise _Enough
            answers = await self._patiently(partial(self._transactions, part)) if part else []
            for place, answer in zip(part, answers, strict=True):
                self._ungiven += answer is None
                self._read[place] = self._reveal(self._todo[place], answer)
            last = min(at + AT_ONCE, end)
            found = next((place for place in range(at, last) if self._read[place] is not None), None)
            if found is not None:
                return found
            at = last
        return None

    async def _transactions(self, part: Sequence[int]) -> list[Transaction | None]:
        """Return transactions; None: this node does not give it.

        Raises RpcProblem.
        """
        entries = [self._todo[place] for place in part]
        try:
            answers = await transactions(self.rpc, entries)
        except RpcProblem as problem:
            refused = problem.answered or problem.state.denied  # it has listed: it refuses the batch
            if self.rpc.batch_size == 1 or problem.throttled or not refused:
                raise
            self.rpc.batch_size = 1
            answers = await transactions(self.rpc, entries)
        for answer in answers:
            if isinstance(answer, RpcProblem) and answer.code not in GONE:
                raise answer
        return [
            answer
            if isinstance(answer, Transaction) and answer.meta is not None and answer.meta.logs is not None
            else None
            for answer in answers
        ]

    def _reveal(self, entry: ListedSignature, answer: Transaction | None) -> Reveal | None:
        if answer is None:
            return None
        reveal, unreadable = reveal_of(entry.signature, answer, self.program_id)
        if unreadable:
            self.unreadable[safe(entry.signature, 100)] = None
        return reveal

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Give an endpoint that asks for a short rest that rest, far into a listing.

        Else the next one does better.
        """
        while True:
            try:
                return await ask()
            except RpcProblem as problem:
                rest = self.rpc.blocked_s
                if not problem.throttled or not self.entries or rest > LONGEST_WAIT_S or self._waits >= _WAITS:
                    raise
                self._waits += 1
                await asyncio.sleep(rest + 0.05)

    # -- what is said

    def result(self, agreed: tuple[str, ...], trouble: tuple[str, ...]) -> LookedBack:
        oldest = self.entries[-1] if self.entries else None
        place = self._first if self._first is not None else len(self._todo)
        read = len(self._read) - self._ungiven
        return LookedBack(
            reveal=self.reveal,
            why="" if self.reveal is not None else self._why(read, trouble),
            endpoint=self.rpc.name,
            agreed=agreed,
            listed=len(self.entries),
            failed=self._failed,
            known=self._known,
            read=read,
            newer_unread=sum(1 for at in range(place) if at not in self._read),
            unreadable=tuple(self.unreadable)[:20],
            newest_slot=self.entries[0].slot if self.entries else None,
            back_to_slot=oldest.slot if oldest is not None else None,
            back_to=_when(oldest.block_time) if oldest is not None else "",
            trouble=(*trouble, *([self.problem] if self.problem and self.reveal is not None else [])),
        )

    def _why(self, read: int, trouble: tuple[str, ...]) -> str:
        others = "".join(f"; {each}" for each in trouble)
        if not self.entries:
            return (self.problem or f"{self.rpc.name} lists no transaction of the program") + others
        oldest = self.entries[-1]
        when = _when(oldest.block_time)
        summary = (
            f"{self.rpc.name}: no reveal among the last {len(self.entries):,} transactions "
            f"({self._failed:,} failed, {self._known:,} "
            f"known, {read:,} of {len(self._todo):,} others read), back to slot {oldest.slot:,}"
            + (f" ({when})" if when else "")
        )
        reasons = [
            self.problem,
            f"{self._ungiven:,} listed but not given" if self._ungiven else "",
            f"{len(self.unreadable):,} reveals whose event cannot be read" if self.unreadable else "",
            "it lists nothing older" if self._ended else "",
        ]
        return summary + "".join(f"; {each}" for each in reasons if each) + others


def reveal_of(signature: str, transaction: Transaction, program_id: str) -> tuple[Reveal | None, bool]:
    """Return a good transaction's last reveal, and whether it holds one that cannot be read."""
    meta = transaction.meta
    if meta is None or meta.err is not None:
        return None, False
    found: Reveal | None = None
    named = False
    for frame in read_logs(meta.logs or (), program_id).frames:
        named = named or frame.instruction == "RevealPrediction"
        for data in frame.data:
            with suppress(Undecodable):
                event = decode_event(data)
                if isinstance(event, PredictionRevealed) and not frame.failed:
                    found = Reveal(
                        market=base58.encode(event.market),
                        epoch=base58.encode(event.epoch),
                        bundle_hash=event.bundle_hash.hex(),
                        sequence=event.sequence,
                        slot=transaction.slot,
                        signature=safe(signature, 100),
                    )
    return found, named and found is None


def _when(block_time: object) -> str:
    if not isinstance(block_time, int) or not 0 < block_time < 253_402_300_800:  # up to the year 9999
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(block_time))
