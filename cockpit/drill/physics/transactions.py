"""Sends the submitter's transactions: attempts, RPC requests, confirmations and free slots."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from cockpit.drill.names import SUBMITTER
from cockpit.drill.physics.fleet import PodView, number
from cockpit.drill.solana.node.network import CALLS_PER_TX, Endpoint
from cockpit.drill.solana.program.layouts import CODES
from cockpit.drill.solana.program.runtime import PACKET

if TYPE_CHECKING:
    from cockpit.drill.physics.plant import Plant

#: What a reveal fails by, as its metric names it.
FAILURES = (
    "BlockhashNotFound",
    "RpcError",
    "ReplayViolation",
    "SignatureVerificationFailed",
    "BundleHashMismatch",
    "TransactionTooLarge",
    "ComputeBudgetExceeded",
)
ATTEMPTS = 2
BLOCKHASH_LIFE_S = 12.0  # a confirmation that takes longer is lost: the blockhash expired


class Transactions:
    """Carries transactions out on an endpoint, and counts their requests."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant

    def run(
        self, endpoint: Endpoint, pod: PodView, *, times: float = 1.0, waited_s: float | None = None
    ) -> tuple[str | None, float]:
        """Carry out one transaction with its retry; return (failure or None, seconds it took).

        `waited_s`: of a reveal, the age of its blockhash; the retry has the same one.
        """
        rng, metrics = self.plant.rng, self.plant.metrics
        took = 0.0
        reason: str | None = None
        if waited_s is not None:
            times *= endpoint.crowding(number(pod.env, "M0_PRIORITY_FEE_MICROLAMPORTS", 0.0))
        for _ in range(ATTEMPTS):
            age_s = 0.0 if waited_s is None else waited_s + took
            if age_s > BLOCKHASH_LIFE_S:
                return "BlockhashNotFound", took
            failed = sum(self.request(endpoint, pod) for _ in range(CALLS_PER_TX)) > 0
            confirm_ms = endpoint.confirmation_ms(rng) * times
            took += confirm_ms / 1000.0
            metrics.histogram(SUBMITTER, "m0_rpc_confirm_latency_ms", endpoint=endpoint.name).observe(confirm_ms)
            if not failed and age_s + confirm_ms / 1000.0 <= BLOCKHASH_LIFE_S:
                return None, took
            reason = "RpcError" if failed and rng.random() < 0.6 else "BlockhashNotFound"
        return reason, took

    def request(self, endpoint: Endpoint, pod: PodView, *, quiet: bool = False) -> bool:
        """Make and count one RPC request; return whether it failed."""
        failed = endpoint.request_fails(self.plant.rng)
        result = "error" if failed else "ok"
        self.plant.metrics.value(SUBMITTER, "m0_rpc_requests_total", endpoint=endpoint.name, result=result).inc()
        if failed and not quiet and self.plant.talking and self.plant.rng.random() < 0.3:
            self.plant.say(pod.name, f"WARN {failure_words('RpcError', endpoint)} retrying")
        return failed


class Slots:
    """Limits the bundles under way at once (`M0_PUBLISH_CONCURRENCY`), for each phase."""

    def __init__(self) -> None:
        self._free: dict[str, list[float]] = {}  # phase → when each slot is free

    def clear(self) -> None:
        self._free.clear()

    def free_at(self, phase: str, pod: PodView, at: float) -> float:
        """Return when a slot of the phase is free, not before `at`."""
        wanted = max(1, int(number(pod.env, "M0_PUBLISH_CONCURRENCY", 4.0)))
        slots = self._free.setdefault(phase, [])
        while len(slots) < wanted:
            heapq.heappush(slots, 0.0)
        while len(slots) > wanted:
            slots.remove(max(slots))
            heapq.heapify(slots)
        return max(at, slots[0])

    def occupy(self, phase: str, end: float) -> None:
        heapq.heapreplace(self._free[phase], end)


def failure_words(reason: str, endpoint: Endpoint, size: int = 0) -> str:
    """Word a failed transaction as the RPC node or the program does in a log line."""
    if reason == "RpcError":
        return f"rpc error: 503 Service Unavailable endpoint {endpoint.name} url={endpoint.url}"
    if reason == "BlockhashNotFound":
        return f"Transaction simulation failed: BlockhashNotFound endpoint {endpoint.name}"
    if reason == "TransactionTooLarge":
        return f"VersionedTransaction too large: {size} bytes (max: {PACKET} bytes)"
    if reason == "ComputeBudgetExceeded":
        return "Transaction simulation failed: exceeded CUs meter at BPF instruction"
    if reason == "ReplayViolation":
        return "custom program error: 0x177d ReplayViolation (6013): sequence already used"
    return f"custom program error: {CODES[reason]:#x} {reason} ({CODES[reason]})"
