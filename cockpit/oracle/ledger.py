"""Counts every confirmed transaction of the program once, whoever told of it and how often.

Exactness: a transaction is known by its signature. Signatures are kept down to `floor`, the slot up
to which a listing has proved that nothing is missing; what is older is never counted again, so that
forgetting them cannot double anything. What a transaction means is decided by its slot alone
(`since_slot`), never by when or from where it was heard.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from cockpit.model.observed.chain import FailedTransaction, FailureClass, ProgramActivity, Reveal
from cockpit.oracle.base58 import encode
from cockpit.oracle.errors import TransactionFailure, failure_of
from cockpit.oracle.layouts import (
    EpochFinalized,
    PausedChanged,
    PredictionCommitted,
    PredictionRevealed,
    SignerSetRotated,
    Undecodable,
    decode_event,
)
from cockpit.oracle.logs import INSTRUCTIONS, Frame, read_logs
from cockpit.oracle.pending import Commit, PendingCommits
from cockpit.oracle.rates import WINDOW_S, EventCounter, SlotClock
from cockpit.text import safe

#: Instructions that are counted even when their event cannot be read: the program ran them,
#: whatever it printed.
_KINDS = {
    "CommitPrediction": "commits",
    "RevealPrediction": "reveals",
    "FinalizeEpoch": "finalisations",
    "RotateSignerSet": "rotations",
    "SetPaused": "pauses",
}
_EVENT_KINDS: Mapping[type, str] = {
    PredictionCommitted: "commits",
    PredictionRevealed: "reveals",
    EpochFinalized: "finalisations",
    SignerSetRotated: "rotations",
    PausedChanged: "pauses",
}
MOST_CLASSES = 64
MOST_MARKETS = 1024
MOST_COMMITTERS = 64
#: Who has committed nothing for so many slots (ten minutes) is not told any more.
COMMITTED_SLOTS = 1500
MOST_RECENT = 100  # failed transactions that evidence names one by one
REST_SLOTS = 300  # without a failure of a class, after which the next is the first of new ones
MOST_UNCONFIRMED = 20_000
MOST_UNREAD = 500  # successful transactions that could not be read: a proof that nothing was sent asks for them
OTHER = TransactionFailure("other errors")


@dataclass(slots=True)
class _Class:
    failure: TransactionFailure
    instruction: str
    counter: EventCounter = field(default_factory=EventCounter)
    last_signature: str = ""
    first_slot: int = 0


class Ledger:
    """Takes each transaction as it is heard of; `activity` says where things stand.

    One program, one cluster, one thread.
    """

    def __init__(self, program_id: str, since_wall: float) -> None:
        self.program_id = program_id
        self.since_wall = since_wall
        self.since_slot: int | None = None  # transactions above it are counted; set once
        self.floor = -1
        self.slots = SlotClock()
        self.highest: int | None = None
        self.covered_since = since_wall  # wall time from which every transaction is known, for rates
        self.covered_slot: int | None = None  # the same in slots
        self.doubles_dropped = self.undecodable = self.unconfirmed_dropped = self.filled = 0
        self.listed_slot: int | None = None  # up to there a listing has shown that none is missing
        self.pending = PendingCommits()
        self._unread: deque[int] = deque(maxlen=MOST_UNREAD)
        self._seen: set[bytes] = set()
        self._by_slot: dict[int, list[bytes]] = {}
        self._unconfirmed: OrderedDict[bytes, int] = OrderedDict()
        self._counters = {kind: EventCounter() for kind in (*_KINDS.values(), "failed")}
        self._classes: dict[tuple[str, int | None, str], _Class] = {}
        self._recent_failed: deque[FailedTransaction] = deque(maxlen=MOST_RECENT)
        self._reveals: dict[bytes, Reveal] = {}
        self._last_reveal: Reveal | None = None
        self._committers: dict[bytes, list[int]] = {}  # key → commits, slot of the newest

    def __contains__(self, signature: str) -> bool:
        return signature_key(signature) in self._seen

    @property
    def kept(self) -> int:
        """Return how many signatures are in memory."""
        return len(self._seen)

    def tip(self, slot: int, wall: float) -> None:
        """Note that `slot` is confirmed now."""
        if self.highest is None or slot > self.highest:
            self.highest = slot
        self.slots.see(slot, wall)

    def start(self, slot: int) -> None:
        """Count what comes after `slot`."""
        if self.since_slot is None:
            self.since_slot = slot

    def processed(self, signature: str, slot: int) -> None:
        """Note what is heard of at commitment `processed`: it counts only once it is confirmed."""
        key = signature_key(signature)
        if key not in self._seen and slot > self.floor:
            self._unconfirmed[key] = slot
            if len(self._unconfirmed) > MOST_UNCONFIRMED:
                self._unconfirmed.popitem(last=False)

    def take(
        self, signature: str, slot: int, err: object, logs: Sequence[str] | None, now: float, *, filled: bool = False
    ) -> bool:
        """Take one confirmed transaction; False when it was known, or is too old to be open still.

        `logs` None: they cannot be had. `now`: wall time.
        """
        key = signature_key(signature)
        if key in self._seen or slot <= self.floor:
            self.doubles_dropped += 1
            return False
        self._seen.add(key)
        self._by_slot.setdefault(slot, []).append(key)
        if self._unconfirmed:
            self._unconfirmed.pop(key, None)
        counted = self.since_slot is not None and slot > self.since_slot
        self.filled += filled and counted
        at = self.slots.at(slot, now) if filled else now
        if err is not None:
            self._failed(signature, slot, err, logs, at, counted)
        elif logs is None:
            self.undecodable += 1
            self._unread.append(slot)
        else:
            self._ran(signature, slot, logs, at, counted)
        return True

    def _ran(self, signature: str, slot: int, logs: Sequence[str], at: float, counted: bool) -> None:
        read = read_logs(logs, self.program_id)
        before, named_alone = self.undecodable, 0
        if read.broken:
            self.undecodable += 1
        for frame in read.frames:
            kinds = self._events(frame, signature, slot)
            named = _KINDS.get(frame.instruction)
            if named is not None and named not in kinds:
                kinds.append(named)
                self.undecodable += 1  # its event is missing or could not be read
                named_alone += 1
            elif frame.instruction not in INSTRUCTIONS and not kinds and not frame.own_parent:
                self.undecodable += 1
            for kind in kinds:
                self._counters[kind].add(at, slot, counted=counted)
        cut = read.truncated or read.unended
        if cut and self.undecodable == before:
            self.undecodable += 1  # what the node cut off may have been an instruction of ours
        if cut or self.undecodable - before > named_alone:  # what it named was counted all the same
            self._unread.append(slot)

    def _events(self, frame: Frame, signature: str, slot: int) -> list[str]:
        """Return the kinds of the frame's events, after what they say has been noted."""
        kinds: list[str] = []
        for data in frame.data:
            try:
                event = decode_event(data)
            except Undecodable:
                if _KINDS.get(frame.instruction) is None:
                    self.undecodable += 1  # else the missing kind is counted as undecodable by the caller
                continue
            kind = _EVENT_KINDS.get(type(event))
            if kind is not None:
                kinds.append(kind)
            if isinstance(event, PredictionCommitted):
                self._committed(event.committer, slot)
                self.pending.commit(
                    Commit(
                        market=event.market,
                        epoch=event.epoch,
                        commit_hash=event.commit_hash,
                        signature=signature,
                        slot=slot,
                        reveal_after_slot=event.reveal_after_slot,
                    )
                )
            elif isinstance(event, PredictionRevealed):
                self.pending.reveal(event.market, event.epoch, slot)
                self._revealed(event, signature, slot)
        return kinds

    def _committed(self, committer: bytes, slot: int) -> None:
        if self.since_slot is None or slot <= self.since_slot:
            return
        seen = self._committers.setdefault(committer, [0, slot])
        seen[:] = seen[0] + 1, max(seen[1], slot)
        if len(self._committers) > MOST_COMMITTERS:
            del self._committers[min(self._committers, key=lambda key: self._committers[key][1])]

    def _revealed(self, event: PredictionRevealed, signature: str, slot: int) -> None:
        before = self._reveals.get(event.market)
        if before is not None and (before.slot, before.sequence) > (slot, event.sequence):
            return
        reveal = Reveal(
            market=encode(event.market),
            epoch=encode(event.epoch),
            bundle_hash=event.bundle_hash.hex(),
            sequence=event.sequence,
            slot=slot,
            signature=signature,
        )
        if before is None and len(self._reveals) >= MOST_MARKETS:
            self._reveals.pop(min(self._reveals, key=lambda market: self._reveals[market].slot))
        self._reveals[event.market] = reveal
        if self._last_reveal is None or (slot, event.sequence) >= (self._last_reveal.slot, self._last_reveal.sequence):
            self._last_reveal = reveal

    def _failed(
        self, signature: str, slot: int, err: object, logs: Sequence[str] | None, at: float, counted: bool
    ) -> None:
        read = read_logs(logs or (), self.program_id)
        ours = read.failed_program == self.program_id if read.failed_program else None
        failure = failure_of(err, ours=ours) or OTHER
        broke = [frame for frame in read.frames if frame.failed] or read.frames[-1:]
        instruction = safe(broke[-1].instruction, 60) if broke else ""
        self._counters["failed"].add(at, slot, counted=counted)
        key = (failure.name, failure.code, instruction)
        kind = self._classes.get(key)
        if kind is None:
            if len(self._classes) >= MOST_CLASSES:
                failure, instruction, key = OTHER, "", (OTHER.name, None, "")
            kind = self._classes.setdefault(key, _Class(failure, instruction))
        before = kind.counter.last_slot
        if before is None or slot >= before:
            kind.last_signature = safe(signature, 100)
        if before is None or slot - before > REST_SLOTS or slot < kind.first_slot:
            kind.first_slot = slot
        kind.counter.add(at, slot, counted=counted)
        self._recent_failed.append(FailedTransaction(safe(signature, 100), slot, failure.name, instruction))

    @property
    def recent_failed(self) -> tuple[FailedTransaction, ...]:
        """Return the newest failed transactions, oldest first."""
        return tuple(self._recent_failed)

    def listed(self, upto: int) -> None:
        """Note that a listing has shown that none is missing up to this slot."""
        if self.listed_slot is None or upto > self.listed_slot:
            self.listed_slot = upto

    def not_listed(self, slot: int) -> None:
        """Take back that a listing has shown everything from this slot on."""
        if self.listed_slot is not None:
            self.listed_slot = min(self.listed_slot, slot - 1)

    @property
    def quiet_slots(self) -> int | None:
        """Return the slots since the newest commit or reveal; None: none was seen, or no slot."""
        last = [s for kind in ("commits", "reveals") if (s := self._counters[kind].last_slot) is not None]
        return self.highest - max(last) if last and self.highest is not None else None

    def settle(self, slot: int) -> None:
        """Forget the signatures up to `slot`: a listing has shown that none is missing.

        They cannot come again.
        """
        if slot <= self.floor:
            return
        self.floor = slot
        for old in [each for each in self._by_slot if each <= slot]:
            self._seen.difference_update(self._by_slot.pop(old))
        self.never_confirmed(slot)

    def never_confirmed(self, upto: int) -> None:
        """Forget what was only processed, and is older than a listing reaches."""
        for key in [key for key, at in self._unconfirmed.items() if at <= upto]:
            del self._unconfirmed[key]
            self.unconfirmed_dropped += 1

    def unlisted(self, listed: Container[bytes], above: int, upto: int) -> int:
        """Count the known transactions of the slots (above, upto] that a listing lacks.

        `listed` are keys.
        """
        ours = (key for slot, kept in self._by_slot.items() if above < slot <= upto for key in kept)
        return sum(1 for key in ours if key not in listed)

    def activity(
        self,
        now: float,
        endpoint: str,
        names: Mapping[str, str],
        *,
        complete: bool,
        gap: str,
        doubtful_until: float | None,
        reconnects: int,
        no_stream: str = "",
    ) -> ProgramActivity:
        """Return where things stand at wall time `now`.

        `names`: market's pubkey → market id.
        """
        if self.highest is not None:
            self.pending.expire(self.highest)
        shown, overdue = self.pending.shown(self.highest, names)
        rates = {kind: counter.rate(now, self.covered_since) for kind, counter in self._counters.items()}
        reveals = [(names.get(r.market, r.market), r) for r in self._reveals.values()]
        return ProgramActivity(
            program_id=self.program_id,
            endpoint=endpoint,
            counting_since=self.since_wall,
            complete=complete,
            gap=gap,
            doubtful_until=doubtful_until,
            doubtful=doubtful_until is not None and now - doubtful_until <= WINDOW_S,
            covered_slot=self.covered_slot,
            slot=self.highest,
            **rates,
            failures=self._failures(now),
            pending=shown,
            pending_total=self.pending.total,
            overdue_total=overdue,
            lost_commits=self.pending.lost,
            reveals_by_market={name: _called(reveal, name) for name, reveal in reveals},
            last_reveal=_called(self._last_reveal, names.get(self._last_reveal.market, self._last_reveal.market))
            if self._last_reveal is not None
            else None,
            doubles_dropped=self.doubles_dropped,
            undecodable=self.undecodable,
            unread_slots=tuple(self._unread),
            listed_slot=self.listed_slot,
            unconfirmed_dropped=self.unconfirmed_dropped,
            filled=self.filled,
            reconnects=reconnects,
            no_stream=no_stream,
            recent_failed=self.recent_failed,
            committers={
                encode(key): count
                for key, (count, last) in self._committers.items()
                if last > (self.highest or 0) - COMMITTED_SLOTS
            },
        )

    def _failures(self, now: float) -> tuple[FailureClass, ...]:
        made = [
            FailureClass(
                name=kind.failure.name,
                code=kind.failure.code,
                instruction=kind.instruction,
                count=kind.counter.count,
                per_minute=float(kind.counter.per_minute(now)),
                runbook=kind.failure.runbook,
                last_signature=kind.last_signature,
                last_slot=kind.counter.last_slot or 0,
                first_slot=kind.first_slot,
            )
            for kind in self._classes.values()
        ]
        return tuple(sorted(made, key=lambda each: (-each.per_minute, -each.count, each.name)))


def signature_key(signature: str) -> bytes:
    """Return twelve bytes in place of 88 characters: a thousand a second are kept for a minute.

    No two are alike.
    """
    return blake2b(signature.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def _called(reveal: Reveal, name: str) -> Reveal:
    return Reveal(
        market=name,
        epoch=reveal.epoch,
        bundle_hash=reveal.bundle_hash,
        sequence=reveal.sequence,
        slot=reveal.slot,
        signature=reveal.signature,
    )
