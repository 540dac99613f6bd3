"""Polls one RPC endpoint: health, slot, blockhash, genesis, version, fees, latency."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import median
from typing import TypeVar

import msgspec

from cockpit.clock import Clock
from cockpit.model.observed.chain import EndpointStatus
from cockpit.model.reading import Fault
from cockpit.sources.solana.rpc import NODE_UNHEALTHY, Amount, Rpc, RpcProblem, Slot
from cockpit.sources.timing import SolanaTimings
from cockpit.text import safe

T = TypeVar("T")

#: The first characters of the genesis hashes, as CAIP-2 has them.
CLUSTERS = {
    "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp": "mainnet-beta",
    "EtWTRABZaYq6iMfeYKouRu166VU2xqa1": "devnet",
    "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z": "testnet",
}
_CONFIRMED = {"commitment": "confirmed"}
_MOST_EXTRAPOLATED_S = 10.0
MISSES = 2  # polls in a row without an answer, after which an endpoint is down
BAD_ERROR_RATIO = 0.5


class _Context(msgspec.Struct):
    slot: Slot


class _Blockhash(msgspec.Struct):
    blockhash: str
    last_valid: Slot = msgspec.field(name="lastValidBlockHeight")


class _LatestBlockhash(msgspec.Struct):
    context: _Context
    value: _Blockhash


class _Version(msgspec.Struct):
    core: str = msgspec.field(name="solana-core")


class _Fee(msgspec.Struct):
    fee: Amount = msgspec.field(name="prioritizationFee")


def cluster_of(genesis: str | None) -> str:
    if genesis is None:
        return ""
    return CLUSTERS.get(genesis[:32], f"unknown {genesis[:8]}…")


#: A slot so much lower is a chain begun anew, not a node that lags.
REWOUND_SLOTS = 10_000


class NewestSlots:
    """Dates answers by their slot: one that gives the slot of before is as old as that."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def seen(self, what: str, slot: int | None, now: float | None) -> float | None:
        """Return when a slot this high was first seen (monotonic); `now` for one that is new."""
        before = self._seen.get(what)
        if slot is None or now is None:
            return now
        if before is not None and before[0] - REWOUND_SLOTS < slot <= before[0]:
            return before[1]
        self._seen[what] = (slot, now)
        return now


class EndpointWatch:
    """Polls once a round (`poll()`); then `status` and `fault` are what is known.

    `behind` and `foreign` are set by the fleet.
    """

    def __init__(self, rpc: Rpc, clock: Clock, timings: SolanaTimings, fee_accounts: Sequence[str]) -> None:
        self.rpc = rpc
        self.name = rpc.name
        self.status = EndpointStatus(rpc.name, rpc.host)
        self.fault: Fault | None = None
        self.seen_at: float | None = None  # monotonic: the last good slot
        self._clock = clock
        self._timings = timings
        self._fee_accounts = list(fee_accounts)
        self._due: dict[str, float] = {}
        self._hash: tuple[str, int] | None = None  # the newest blockhash, and the slot it was first seen at
        self._before: tuple[int, float] | None = None  # the slot before the last, and when
        self._opened = False
        self._misses = 0  # polls in a row without an answer

    @property
    def answers(self) -> bool:
        """Return whether it is reachable, of this cluster, and not asking to be left alone."""
        return (
            self.fault is None and self.status.slot is not None and not self.status.foreign and self.rpc.blocked_s == 0
        )

    @property
    def good(self) -> bool:
        """Return whether it is fit to give the program's transactions: healthy, not behind."""
        known = self.status
        return (
            self.answers
            and known.health in ("ok", "")
            and (known.behind or 0) < self._timings.bad_slots
            and (known.error_ratio or 0.0) < BAD_ERROR_RATIO
        )

    async def poll(self) -> None:
        """Make one round, every question at once.

        Never raises for what an endpoint does.
        """
        try:
            if not self._opened:
                await self.rpc.open()
                self._opened = True
            if self.rpc.blocked_s > 0:
                raise self.rpc.asked_off()
            health, slot, latest, _, _, _ = await asyncio.gather(
                self._health(),
                self._slot(),
                self._ask("getLatestBlockhash", [_CONFIRMED], _LatestBlockhash),
                self._genesis(),
                self._version(),
                self._fees(),
            )
        except RpcProblem as problem:
            self.fault = problem.fault()
            self._count()
            return
        if isinstance(slot, RpcProblem) and isinstance(latest, _LatestBlockhash):
            #: one request of several that failed is a share of errors, not an endpoint that is down
            slot = latest.context.slot
        if isinstance(slot, RpcProblem):
            self._misses += 1
            if self._misses >= MISSES or self.seen_at is None or slot.throttled or not slot.state.down:
                self.fault = slot.fault()
        else:
            if self.seen_at is not None and self.status.slot is not None:
                self._before = (self.status.slot, self.seen_at)
            self.fault, self.seen_at, self._misses = None, self._clock.mono(), 0
            self.status = msgspec.structs.replace(
                self.status, slot=slot, health=health, blockhash_age_slots=self._blockhash_age(slot, latest)
            )
        self._count()

    def _count(self) -> None:
        stats = self.rpc.stats
        self.status = msgspec.structs.replace(
            self.status,
            latency_p50_ms=stats.latency_ms(0.5),
            latency_p95_ms=stats.latency_ms(0.95),
            requests=stats.requests,
            error_ratio=stats.error_ratio,
            throttled=stats.throttled,
            retry_after_s=self.rpc.blocked_s or None,
        )

    async def _ask(self, method: str, params: Sequence[object], kind: type[T]) -> T | RpcProblem:
        try:
            return await self.rpc.call(method, params, kind)
        except RpcProblem as problem:
            return problem

    async def _slot(self) -> int | RpcProblem:
        return await self._ask("getSlot", [_CONFIRMED], Slot)

    async def _health(self) -> str:
        """Return "ok", the node's own words, or "" when it does not say."""
        answer = await self._ask("getHealth", [], str)
        if isinstance(answer, RpcProblem):
            return answer.reason.rpartition(": ")[2] or "unhealthy" if answer.code == NODE_UNHEALTHY else ""
        return self.rpc.without_secrets(answer, 80)

    async def _genesis(self) -> None:
        if self._is_due("genesis", self._timings.rarely_s):
            answer = await self._ask("getGenesisHash", [], str)
            if isinstance(answer, str) and 0 < len(answer) <= 60:
                genesis = safe(answer, 60)
                self.status = msgspec.structs.replace(self.status, genesis=genesis, cluster=cluster_of(genesis))
            else:
                self._due.pop("genesis")

    async def _version(self) -> None:
        if self._is_due("version", self._timings.rarely_s):
            answer = await self._ask("getVersion", [], _Version)
            if isinstance(answer, _Version):
                self.status = msgspec.structs.replace(self.status, version=self.rpc.without_secrets(answer.core, 40))

    async def _fees(self) -> None:
        if self._is_due("fees", self._timings.fees_s):
            answer = await self._ask("getRecentPrioritizationFees", [self._fee_accounts], list[_Fee])
            fees = None if isinstance(answer, RpcProblem) else [each.fee for each in answer]
            self.status = msgspec.structs.replace(self.status, priority_fee_p50=int(median(fees)) if fees else None)

    def _is_due(self, what: str, every_s: float) -> bool:
        now = self._clock.mono()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + every_s
        return True

    def _blockhash_age(self, slot: int, latest: _LatestBlockhash | RpcProblem) -> int | None:
        """Return slots since the newest blockhash was made, also when it is given again."""
        if isinstance(latest, RpcProblem):
            return None
        if self._hash is None or self._hash[0] != latest.value.blockhash:
            self._hash = (latest.value.blockhash[:60], latest.context.slot)
        return max(0, max(slot, latest.context.slot) - self._hash[1])

    def slot_at(self, mono: float) -> float | None:
        """Return its slot at about that moment, by its own last timings.

        Polls of different endpoints are not simultaneous.
        """
        slot, at = self.status.slot, self.seen_at
        if slot is None or at is None or self.fault is not None:
            return None
        if self._before is None or at - self._before[1] < 0.2:
            return float(slot)
        pace = min(10.0, max(0.0, (slot - self._before[0]) / (at - self._before[1])))
        return slot + pace * max(-_MOST_EXTRAPOLATED_S, min(_MOST_EXTRAPOLATED_S, mono - at))
