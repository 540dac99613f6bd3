"""Fetches what a stream may have missed: lists signatures page by page, counts the rest.

A listing proves something only as far back as it is known to reach: it must end at the `anchor`, a
transaction that was listed before, or else the node no longer keeps what lies between. Reference:
getSignaturesForAddress, getTransaction.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from cockpit.clock import Clock
from cockpit.errors import CockpitError
from cockpit.oracle.ledger import Ledger, signature_key
from cockpit.sources.solana.rpc import Rpc, RpcProblem, Slot
from cockpit.sources.timing import SolanaTimings

PAGE = 1000
BUSY = 5_000  # signatures kept from which listings come more often, and settle at once
MOST_PAGES = 400
MOST_PAST = 2000  # transactions fetched from before the start
LATE_SLOTS = 750  # five minutes: for so long after it was found out a node is taken to list late still
TRIES = 4  # for a transaction that is listed and cannot be read
#: JSON-RPC codes that say of one transaction that it will never be given: cleaned up, skipped, no
#: history, unknown version.
GONE = (-32001, -32007, -32009, -32011, -32015)
AT_ONCE = 8  # single requests side by side
_CONFIRMED = {"commitment": "confirmed"}
_TRANSACTION = {"commitment": "confirmed", "encoding": "base64", "maxSupportedTransactionVersion": 0}


class GapStays(CockpitError):
    """The node does not keep what is missing: no use in asking it again."""

    usual_remedy = "add an endpoint to [[rpc-endpoints]] that keeps more of the past"


class ListedSignature(msgspec.Struct, gc=False):
    """Holds one line of the listing."""

    signature: str
    slot: Slot
    err: Any = None


class _Meta(msgspec.Struct):
    err: Any = None
    logs: list[str] | None = msgspec.field(default=None, name="logMessages")


class Transaction(msgspec.Struct):
    """Holds what getTransaction gives, as far as it is read here."""

    slot: Slot
    meta: _Meta | None = None


@dataclass(slots=True)
class _Listing:
    """Holds what a node lists above slot `above`.

    `missing`: oldest first; `proof`: the newest two at or below `floor`, newest first.
    """

    above: int
    floor: int
    missing: list[ListedSignature] = field(default_factory=list)
    listed: set[bytes] = field(default_factory=set)  # keys: a listing of a minute may have a hundred thousand
    proof: list[str] = field(default_factory=list)
    newest: int = -1  # slot of the newest that is listed


@dataclass(frozen=True, slots=True)
class Filled:
    """Says what a listing brought.

    `found`: transactions that nobody had told of; `lacking`: known ones that this node does not
    list, of `known`.
    """

    found: int
    lacking: int
    known: int


class Filler:
    """Fills gaps: `fill(rpc)` until it succeeds, with one endpoint or another.

    `doing`: how far it has come, in words.
    """

    def __init__(
        self, ledger: Ledger, clock: Clock, timings: SolanaTimings, plausible: Callable[[int], bool] = lambda slot: True
    ) -> None:
        self.doing = ""
        self.from_slot = 0  # everything after it was listed at start
        self.unreadable = 0  # listed, and given by no one
        self._ledger = ledger
        self._clock = clock
        self._timings = timings
        self._plausible = plausible
        self._anchor: str | None = None
        self._below: str | None = None  # the transaction before the anchor: a listing `until` it ends with the anchor
        self._started = False
        self._certain = 0  # the slot up to which the last listing was certain
        self._claimed = (-1, 0)  # up to which slot a listing was taken for whole, and the node's slot then
        self.late_slots = 0  # by how much listings are known to come late
        self._late_at = 0  # the slot at which that was seen last

    async def fill(self, rpc: Rpc, *, reach: int, last: bool) -> Filled:
        """List, fetch and count; then the ledger is whole up to `settle_slots` behind the node.

        `reach`: the slot that it must have confirmed, or its listing says nothing of the gap.
        `last`: there is no other node to ask, so that what this one cannot give is counted by its
        listing alone. Raises RpcProblem, GapStays.
        """
        self.doing = f"listing the program's transactions at {rpc.name}"
        head = await rpc.call("getSlot", [_CONFIRMED], Slot)
        if head < reach:
            raise RpcProblem(f"{rpc.name} is at slot {head:,}, before the gap's end at {reach:,}")
        if not self._plausible(head):
            raise RpcProblem(f"{rpc.name} claims to be at slot {head:,}, where no node can be yet")
        past = not self._started
        if past:
            self._ledger.start(head)
            self._ledger.floor = max(0, (self._ledger.since_slot or head) - self._timings.past_slots)
        upto = head - self._timings.settle_slots
        # each transaction is looked for twice, and by two nodes where there are two; when memory
        # matters, once must do
        floor = upto if self._ledger.kept > BUSY else self._certain
        listing = await self._list(rpc, head, floor, past=past)
        self._judge_late(listing, head)
        found = await self._fetch(rpc, listing.missing, last=last)
        if past:
            self._started, self.from_slot = True, listing.above
        # Never above what is listed: a node that is wrong about its slot must not make later
        # transactions old ones.
        self._certain = min(upto, listing.newest)
        listing.floor = min(listing.floor, listing.newest)
        self._ledger.never_confirmed(upto)
        filled = Filled(found, self._ledger.unlisted(listing.listed, listing.above, upto), len(listing.listed))
        self._settle(listing)
        if not filled.lacking:  # a node that lacks what others have told of proves nothing
            self._ledger.listed(upto - 2 * self.late_slots)
            self._claimed = (upto, head)
        self.doing = ""
        return filled

    def _judge_late(self, listing: _Listing, head: int) -> None:
        """Find out that an earlier listing was taken for whole too early: the index lags.

        A node may list its transactions long after it has confirmed them; nothing in an answer says
        so. What comes to light below a slot that was taken for whole does, and what is listed with
        the node's own slot says that it lags no longer.
        """
        claimed, claimed_head = self._claimed
        belated = [
            entry.slot for entry in listing.missing if entry.slot <= claimed and entry.signature not in self._ledger
        ]
        if belated:
            self.late_slots, self._late_at = max(self.late_slots, claimed_head - min(belated)), head
            self._ledger.not_listed(min(belated))
        elif listing.newest >= head - self._timings.settle_slots or head - self._late_at > LATE_SLOTS:
            self.late_slots = 0

    def forgo(self) -> None:
        """Give up what no node keeps: the next listing starts at the slot reached by now."""
        self._anchor = self._below = None
        self._certain = 0
        if self._ledger.highest is not None:
            self._ledger.settle(self._ledger.highest - self._timings.settle_slots)

    async def _list(self, rpc: Rpc, head: int, floor: int, *, past: bool) -> _Listing:
        ledger = self._ledger
        listing = _Listing(ledger.floor, floor)
        params: dict[str, Any] = {**_CONFIRMED, "limit": PAGE}
        if self._below is not None:
            params["until"] = self._below
        lowest = 2**63
        for _ in range(MOST_PAGES):
            page = await rpc.call(
                "getSignaturesForAddress", [ledger.program_id, params], list[ListedSignature], timed=False
            )
            if not page:
                break
            if page[0].slot > lowest or not self._note(listing, page):
                raise RpcProblem(f"{rpc.name} lists signatures out of order")
            lowest = page[-1].slot
            if lowest <= listing.above or any(entry.signature == self._anchor for entry in page):
                listing.missing.reverse()
                return listing
            if past and len(listing.listed) > MOST_PAST and lowest <= (ledger.since_slot or head):
                listing.above = ledger.floor = lowest  # part of that slot may be on the next page
                listing.missing = [entry for entry in reversed(listing.missing) if entry.slot > lowest]
                return listing
            params["before"] = page[-1].signature
            self.doing = f"listing the program's transactions at {rpc.name}: {len(listing.listed):,} so far"
        else:
            raise GapStays(f"more than {MOST_PAGES * PAGE:,} transactions since slot {listing.above:,}")
        if self._anchor is not None:
            raise GapStays(f"{rpc.name} no longer keeps the program's transactions after slot {listing.above:,}")
        listing.missing.reverse()
        return listing

    def _note(self, listing: _Listing, page: Sequence[ListedSignature]) -> bool:
        """Take a page over; False when nothing on it is new."""
        fresh = False
        for entry in page:
            key = signature_key(entry.signature)
            if key in listing.listed:
                continue
            fresh = True
            listing.listed.add(key)
            listing.newest = max(listing.newest, entry.slot)
            if entry.slot > listing.above and entry.signature not in self._ledger:
                listing.missing.append(entry)
            if entry.slot <= listing.floor and len(listing.proof) < 2:
                listing.proof.append(entry.signature)
        return fresh

    async def _fetch(self, rpc: Rpc, missing: Sequence[ListedSignature], *, last: bool) -> int:
        """Count what is not known, oldest first; return how many that were.

        Raises RpcProblem.
        """
        todo = deque(entry for entry in missing if entry.signature not in self._ledger)
        tries: dict[str, int] = {}
        late: list[ListedSignature] = []  # given by this node neither now nor a moment later
        found = 0
        while todo:
            self.doing = f"fetching {len(todo):,} missed transactions from {rpc.name}"
            part = [todo[n] for n in range(min(len(todo), rpc.batch_size if rpc.batch_size > 1 else AT_ONCE))]
            try:
                answers = await transactions(rpc, part)
            except RpcProblem as problem:
                if rpc.batch_size == 1 or not problem.answered or problem.throttled:
                    raise
                rpc.batch_size = rpc.batch_size // 4 if rpc.batch_size > 8 else 1  # no batches, or smaller ones
                continue
            for _ in part:
                todo.popleft()
            wait = False
            for entry, answer in zip(part, answers, strict=True):
                if isinstance(answer, Transaction) and answer.meta is not None:
                    found += self._take(entry, answer.meta.err, answer.meta.logs)
                    continue
                tries[entry.signature] = tries.get(entry.signature, 0) + 1
                if tries[entry.signature] < TRIES:
                    wait = True
                    todo.append(entry)
                elif isinstance(answer, RpcProblem) and answer.code not in GONE:
                    raise answer
                else:
                    late.append(entry)
            for answer in answers:
                if isinstance(answer, RpcProblem) and (answer.throttled or not answer.answered):
                    raise answer
            if wait:
                await asyncio.sleep(self._timings.retry_s)
        if late and not last:
            raise RpcProblem(f"{rpc.name} lists {len(late):,} transactions that it does not give")
        for entry in late:
            found += self._take(entry, entry.err, None)
            self.unreadable += entry.err is None
        return found

    def _take(self, entry: ListedSignature, err: object, logs: list[str] | None) -> bool:
        if entry.signature in self._ledger:  # the stream was faster
            return False
        return self._ledger.take(entry.signature, entry.slot, err, logs, self._clock.wall(), filled=True)

    def _settle(self, listing: _Listing) -> None:
        """Forget what was listed for certain; the newest of it proves the next listing."""
        if listing.proof:
            self._below = listing.proof[1] if len(listing.proof) > 1 else None
            self._anchor = listing.proof[0]
        if listing.floor > self._ledger.floor:
            self._ledger.settle(listing.floor)


async def transactions(rpc: Rpc, part: Sequence[ListedSignature]) -> list[Transaction | RpcProblem | None]:
    """Return them in the order of `part`; None: the node does not have it (yet).

    One batch, or singly side by side where the endpoint takes no batches (`batch_size` 1). Raises
    RpcProblem when a batch is refused.
    """
    kind: Any = Transaction | None
    params = [[entry.signature, _TRANSACTION] for entry in part]
    if rpc.batch_size > 1:
        return await rpc.batch("getTransaction", params, kind)

    async def one(each: Sequence[Any]) -> Transaction | RpcProblem | None:
        try:
            found: Transaction | None = await rpc.call("getTransaction", each, kind, timed=False)
        except RpcProblem as problem:
            return problem
        return found

    return list(await asyncio.gather(*(one(each) for each in params)))
