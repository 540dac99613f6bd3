"""Follows the program's activity: one stream, gaps filled by listings, everything in one ledger.

After every connect, switch and start, and every minute besides, a listing is compared with what was
counted. Until that is done, and whenever something stays missing, `complete` is False and `gap`
says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping

from cockpit.clock import Clock
from cockpit.model.observed.chain import Disagreement, ProgramActivity
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.oracle.ledger import Ledger
from cockpit.sources.solana.backfill import BUSY, Filled, Filler, GapStays
from cockpit.sources.solana.endpoint import EndpointWatch
from cockpit.sources.solana.endpoints import Fleet
from cockpit.sources.solana.rpc import RpcProblem
from cockpit.sources.solana.settings import RpcEndpoint
from cockpit.sources.solana.stream import LogStream, StreamBroken
from cockpit.sources.timing import SolanaTimings
from cockpit.text import counted

TOPIC = "solana/program"
SUBSCRIPTION = "solana/subscription"
_TICK_S = 0.25
_LEAD_SLOTS = 1000  # a slot further ahead than time allows is a node's mistake, not the chain's
_SLOTS_A_SECOND = 250.0
QUIET_SLOTS = 10  # without a commit or reveal: from then on listings come as often as without a stream


class ProgramWatch:
    """Follows for ever (`run()`); `reading()` is where things stand."""

    def __init__(
        self,
        program_id: str,
        endpoints: Mapping[str, RpcEndpoint],
        fleet: Fleet,
        clock: Clock,
        timings: SolanaTimings,
        rng: random.Random,
        publish: Callable[[], None],
    ) -> None:
        self.ledger = Ledger(program_id, clock.wall())
        self.names: Mapping[str, str] = {}  # market's pubkey → market id
        self._endpoints = endpoints
        self._fleet = fleet
        self._clock = clock
        self._timings = timings
        self._rng = rng
        self._publish = publish
        self._filler = Filler(self.ledger, clock, timings, self._plausible)
        self._stream: LogStream | None = None
        self._avoid: dict[str, float] = {}
        self._losses: dict[str, int] = {}  # how often in a row each endpoint's stream broke
        self._connects = 0
        self._open_gap = "the program's past is being read"
        self._lost: list[str] = []  # gaps that stay
        self._lost_until: float | None = None  # wall: up to then transactions are missing for good
        self._reach = 0  # the slot at which the newest gap ended
        self._started_at = clock.mono()
        self._trouble = "no endpoint has answered yet"
        self._unstreamed_at = clock.mono()  # since when there is no stream, while there is none
        self._streamed: str | None = None  # which endpoint streamed last
        self._observed_at: float | None = None
        self._wanted = asyncio.Event()
        self._turns: dict[str, int] = {}  # endpoint → the number of the newest listing that began with it
        self._tip_at: tuple[int, float] | None = None

    # -- the stream's receiver

    def confirmed(self, signature: str, slot: int, err: object, logs: list[str]) -> None:
        if self._plausible(slot):
            self.ledger.take(signature, slot, err, logs, self._clock.wall())
            self.tip(slot)

    def processed(self, signature: str, slot: int) -> None:
        if self._plausible(slot):
            self.ledger.processed(signature, slot)

    def tip(self, slot: int) -> None:
        """Note a confirmed slot, of an endpoint that is trusted."""
        if self._plausible(slot):
            if self._tip_at is None or slot > self._tip_at[0]:
                self._tip_at = (slot, self._clock.mono())
            self.ledger.tip(slot, self._clock.wall())

    def _plausible(self, slot: int) -> bool:
        if self._tip_at is None:
            return True
        highest, at = self._tip_at
        return slot <= highest + _LEAD_SLOTS + _SLOTS_A_SECOND * (self._clock.mono() - at)

    # -- its life

    async def run(self) -> None:
        """Run the stream, and the listings beside it, for ever."""
        filling = asyncio.create_task(self._fill_forever())
        streaming = asyncio.create_task(self._stream_forever())
        try:
            await asyncio.gather(filling, streaming)
        finally:
            for task in (filling, streaming):
                task.cancel()
            await asyncio.gather(filling, streaming, return_exceptions=True)

    async def _stream_forever(self) -> None:
        while True:
            best = self._fleet.best(self._avoid, self._clock.mono())
            if not best or best[0].status.slot is None:
                await asyncio.sleep(_TICK_S)
                continue
            watch = best[0]
            if self.ledger.since_slot is None:
                self.ledger.start(best[0].status.slot)
                self.ledger.since_wall = self.ledger.covered_since = self._clock.wall()
                self.tip(best[0].status.slot)
            try:
                await self._stream_from(watch)
            except StreamBroken as broken:
                self._trouble = broken.reason
                losses = self._losses[watch.name] = self._losses.get(watch.name, -1) + 1
                rest = max(self._timings.backoff(losses, self._rng), broken.retry_after_s or 0.0)
                self._avoid[watch.name] = self._clock.mono() + rest
            finally:
                self._missing(self._trouble)
                self._fleet.streaming = ""
                stream, self._stream = self._stream, None
                if stream is not None:
                    self._unstreamed_at, self._streamed = self._clock.mono(), stream.name
                    await stream.close()
                self._publish()

    async def _stream_from(self, watch: EndpointWatch) -> None:
        """Stream until that breaks (StreamBroken), or another endpoint does better."""
        stream = LogStream(self._endpoints[watch.name], self.ledger.program_id, self, self._clock, self._timings)
        await stream.open()
        self._stream = stream
        self._fleet.streaming = watch.name
        self._connects += 1
        self._reach = self.ledger.highest or 0
        self._missing(f"transactions from before the stream of {watch.name} are being looked for")
        self._publish()
        reader = asyncio.create_task(stream.run())
        since = self._clock.mono()
        try:
            while not reader.done():
                await asyncio.wait([reader], timeout=_TICK_S)
                now = self._clock.mono()
                self._observed_at = stream.alive_at if stream.tells_slots else now  # pings prove the rest
                if now - since > self._timings.backoff_cap_s:
                    self._losses.pop(watch.name, None)
                teller = watch if watch.answers else next(iter(self._fleet.best({}, now)), None)
                if teller is not None and teller.status.slot is not None:
                    self.tip(teller.status.slot)
                if stream.tells_slots and now - stream.alive_at > self._timings.silence_s:
                    raise StreamBroken(f"{watch.name} has been silent for {now - stream.alive_at:.0f} s")
                self._leave_if_worse(watch, now)
            await reader
        finally:
            reader.cancel()
            with contextlib.suppress(asyncio.CancelledError, StreamBroken):
                await reader

    def _leave_if_worse(self, watch: EndpointWatch, now: float) -> None:
        """Raise StreamBroken when the endpoint went bad and another one is fit.

        Throttled requests alone are no reason.
        """
        status = watch.status
        bad = (
            watch.fault is not None
            or status.foreign
            or status.health not in ("ok", "")
            or (status.behind or 0) >= self._timings.bad_slots
        )
        if (
            bad
            and watch.rpc.blocked_s == 0
            and any(each is not watch and each.good for each in self._fleet.best(self._avoid, now))
        ):
            why = (
                watch.fault.reason
                if watch.fault is not None
                else "is of another cluster"
                if status.foreign
                else status.health
                if status.health not in ("ok", "")
                else f"is {counted(status.behind or 0, 'slot')} behind"
            )
            raise StreamBroken(f"left {watch.name}: {why}")

    # -- listings

    def _missing(self, why: str) -> None:
        self._open_gap = why
        self._wanted.set()

    async def _fill_forever(self) -> None:
        attempt = 0
        while True:
            await self._until_wanted()
            self._wanted.clear()
            streamed = self._stream is not None
            if await self._fill_once():
                attempt = 0
                if not self._wanted.is_set():  # nothing has broken meanwhile
                    self._open_gap = ""
                if not streamed:
                    self._observed_at = self._clock.mono()
            else:
                if self._stream is None:  # else only the comparison failed: the stream goes on
                    self._open_gap = self._open_gap or self._trouble
                self._wanted.set()
                await asyncio.sleep(self._timings.backoff(attempt, self._rng))
                attempt += 1
            self._publish()

    async def _until_wanted(self) -> None:
        """Wait for a gap, or the time for the next audit; without a stream, for the next page.

        While nothing is published too: a silent subscription proves nothing, only a listing tells
        that from quiet.
        """
        since = self._clock.mono()
        while True:
            timings = self._timings
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(timings.paging_s, timings.audit_busy_s, timings.audit_s)):
                    await self._wanted.wait()
            waited = self._clock.mono() - since
            alone = self._stream is None or (self.ledger.quiet_slots or 0) > QUIET_SLOTS
            every = timings.paging_s if alone else timings.audit_s
            busy = self.ledger.kept > BUSY and waited >= timings.audit_busy_s
            due = busy or waited >= every - _TICK_S
            if self.ledger.since_slot is not None and (due or self._wanted.is_set()):
                return
            if self.ledger.since_slot is None:
                await asyncio.sleep(_TICK_S)

    async def _fill_once(self) -> bool:
        """Make one listing, of the endpoint whose turn it is, else of any other."""
        fit = self._fleet.best({}, self._clock.mono())
        if not fit:
            return False
        # The one that began longest ago, whatever their order is now: each has its turn.
        order = sorted(fit, key=lambda watch: self._turns.get(watch.name, 0))
        self._turns[order[0].name] = max(self._turns.values(), default=0) + 1
        stays: list[str] = []
        for number, watch in enumerate(order):
            began = self._clock.wall()
            try:
                filled = await self._filler.fill(watch.rpc, reach=self._reach, last=number == len(order) - 1)
            except RpcProblem as problem:
                self._trouble = problem.reason
                if self._open_gap:
                    self._open_gap = problem.reason
            except GapStays as gap:
                stays.append(gap.line())
                self._trouble = gap.line()
            else:
                self._compared(watch.name, filled)
                if self.ledger.covered_slot is None:
                    self.ledger.covered_slot = self._filler.from_slot
                    self.ledger.covered_since = self.ledger.slots.at(self._filler.from_slot, began)
                return True
            finally:
                self._filler.doing = ""
        if len(stays) == len(order):  # nobody keeps it: say so for good, and go on
            self._lost.append(stays[-1])
            self._lost_until = self._clock.wall()
            self._filler.forgo()
            return True
        return False

    def _compared(self, name: str, filled: Filled) -> None:
        lacking = filled.lacking
        self._fleet.said[f"listing of {name}"] = (
            (
                Disagreement(
                    "commits",
                    f"{name} does not list {lacking:,} of the program's transactions that others have told of",
                ),
            )
            if lacking
            else ()
        )

    # -- what is said

    def subscription(self) -> Reading[str]:
        """Return which endpoint streams; none is a fault, though listings still count everything.

        A change of endpoint takes a moment, which is none.
        """
        now, stream = self._clock.mono(), self._stream
        down_s = now - self._unstreamed_at
        if stream is not None:
            return Reading(SUBSCRIPTION, stream.name, now)
        if down_s < self._timings.reopen_s:
            return Reading(SUBSCRIPTION, self._streamed, self._unstreamed_at if self._streamed else None)
        words = f"polled; subscription down {down_s:.0f} s: {self._trouble}"
        return Reading(SUBSCRIPTION, fault=Fault(SourceState.DOWN, words, "see the endpoints' ws-url"))

    def reading(self) -> Reading[ProgramActivity]:
        """Return where things stand, whole at any time.

        It is a fault only when neither a stream nor a listing works.
        """
        now, wall = self._clock.mono(), self._clock.wall()
        unreadable, late = self._filler.unreadable, self._filler.late_slots
        lost = [
            *self._lost[-3:],
            *([f"{unreadable:,} transactions are listed but given by no one"] if unreadable else []),
            *([f"transactions are listed up to {late:,} slots late: the newest are not known"] if late else []),
        ]
        gap = "; ".join([*lost, *([self._filler.doing or self._open_gap] if self._open_gap else [])])
        stream = self._stream
        activity = self.ledger.activity(
            wall,
            stream.name if stream is not None else "",
            self.names,
            complete=not gap,
            gap=gap,
            doubtful_until=wall if self._open_gap or late else self._lost_until,
            reconnects=max(0, self._connects - 1),
            no_stream=self._trouble if stream is None else "",
        )
        age = now - self._observed_at if self._observed_at is not None else None
        fault = None
        patience = 3 * self._timings.paging_s
        if stream is None and (age if age is not None else now - self._started_at) > patience:
            fault = Fault(SourceState.DOWN, self._trouble, "see the endpoints")
        known = activity if self._observed_at is not None else None
        return Reading(topic=TOPIC, data=known, observed_at=self._observed_at, took_s=0.0, fault=fault, max_age_s=15.0)
