"""The submitter: commit, wait, reveal, on the RPC endpoint that its running pod's environment names.

A tick's commit needs a free slot of `M0_PUBLISH_CONCURRENCY`; it fails when one of its RPC calls fails twice over. The
reveal follows after the reveal delay. In-flight bundles die with their pod. Two submitters use every sequence twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING

from cockpit.drill.names import MARKETS, SIGNER_SET_ID, SUBMITTER
from cockpit.drill.physics.fleet import PodView, number
from cockpit.drill.physics.rpc import CALLS_PER_TX, Endpoint

if TYPE_CHECKING:
    from cockpit.drill.world import World

TICK_S = 60.0 / 118.4
REVEAL_DELAY_S = 1.0
PATIENCE_S = 2.0  # a tick that waits longer for a slot is superseded by the next one of its market
ATTEMPTS = 2
PROBE_S = 5.0  # each configured endpoint is asked for its health this often
RECONCILE_S = 10.0  # from its start: a fresh submitter reads the last sequence from the chain before it publishes
BLOCKHASH_LIFE_S = 12.0  # a confirmation that takes longer is lost: the blockhash expired


class Publish:
    def __init__(self, world: World) -> None:
        self.world = world
        self._next_tick = world.clock.now()
        self._next_probe = world.clock.now()
        self._turn = 0
        self._due: list[tuple[float, int, str, Callable[[], None]]] = []  # (when, order, pod uid, what)
        self._order = 0
        self._slots: dict[str, list[float]] = {}  # phase → when each slot is free
        self._leader = ""
        self.sequence = 48_211_000
        self.epochs = dict.fromkeys(MARKETS, 88_000)
        self.published = dict.fromkeys(MARKETS, world.clock.now())  # market → as-of time of its newest reveal
        self.last_reveal = world.clock.now()
        self.replays = 0
        self._window: list[tuple[float, bool]] = []
        self.start()

    def start(self) -> None:
        metrics = self.world.metrics
        for result in ("ok", "failed"):
            metrics.value(SUBMITTER, "m0_commit_tx_total", result=result)
        metrics.value(SUBMITTER, "m0_reveal_tx_total", result="ok", reason="")
        for reason in ("BlockhashNotFound", "RpcError", "ReplayViolation", "SignatureVerificationFailed"):
            metrics.value(SUBMITTER, "m0_reveal_tx_total", result="failed", reason=reason)
        for name in (
            "m0_publish_attempts_total",
            "m0_publish_success_total",
            "m0_invalid_bundle_total",
            "m0_replay_violation_total",
        ):
            metrics.value(SUBMITTER, name)
        for endpoint in self.world.network.endpoints:
            for result in ("ok", "error"):
                metrics.value(SUBMITTER, "m0_rpc_requests_total", endpoint=endpoint, result=result)

    def step(self, dt: float) -> None:
        """Everything due up to now: ticks of markets, ends of confirmations, probes."""
        now = self.world.clock.now()
        pods = self.world.fleet.working(SUBMITTER)
        self._follow_leader(pods)
        while True:
            tick = self._next_tick
            due = self._due[0][0] if self._due else now + 1.0
            if min(tick, due) > now:
                break
            if due <= tick:
                _, _, uid, what = heapq.heappop(self._due)
                if any(pod.uid == uid for pod in pods):
                    what()
                continue
            self._next_tick = tick + TICK_S
            self._tick(tick, pods)
        while self._next_probe <= now:
            self._next_probe += PROBE_S
            if pods:
                for endpoint in self.world.network.endpoints.values():
                    self._request(endpoint, pods[0], quiet=True)

    def _follow_leader(self, pods: tuple[PodView, ...]) -> None:
        if not pods:
            return
        if self._leader and all(pod.uid != self._leader for pod in pods):
            self.world.metrics.reset(SUBMITTER)
            self.start()
            self.world.sign.start_submitter()
            self._slots.clear()
        if all(pod.uid != self._leader for pod in pods):
            self._leader = pods[0].uid

    def _tick(self, at: float, pods: tuple[PodView, ...]) -> None:
        world = self.world
        market = list(MARKETS)[self._turn % len(MARKETS)]
        self._turn += 1
        decision = world.quant.decide(market)
        if decision is None or decision == "BLOCK" or not pods:
            return
        now = world.clock.now()
        able = [
            pod
            for pod in pods
            if pod.env.get("M0_PUBLISH_ENABLED", "true").lower() == "true"
            and pod.env.get(f"M0_MARKET_PAUSE_{market}", "false").lower() != "true"
            and (now - pod.started_at >= RECONCILE_S)
        ]
        if not able:
            return
        as_of = at - world.ingest.connectors[MARKETS[market]].lag_s
        world.metrics.value(SUBMITTER, "m0_publish_attempts_total").inc()
        signed_ms = world.sign.collect()
        if signed_ms is None:
            self._missed()
            return
        self.sequence += 1
        for index, pod in enumerate(able):
            self._commit(at + signed_ms / 1000.0, as_of, market, pod, duplicate=index > 0, rivals=len(able) - 1)

    def _commit(self, at: float, as_of: float, market: str, pod: PodView, *, duplicate: bool, rivals: int) -> None:
        endpoint = self.world.network.at(pod.env.get("SOLANA_RPC_URL", ""))
        sequence = self.sequence
        start = self._slot("commit", pod, at)
        if start - at > PATIENCE_S:
            self._missed()
            return
        failure, took_s = self._transact(endpoint, pod)
        end = start + took_s
        self._occupy("commit", start, end)
        trace = self.world.trace()

        def done() -> None:
            result = "ok" if failure is None else "failed"
            self.world.metrics.value(SUBMITTER, "m0_commit_tx_total", result=result).inc()
            if failure is None:
                if self.world.talking and self.world.rng.random() < 0.1:
                    self.world.say(
                        pod.name,
                        f"INFO commit confirmed market={market} sequence={sequence} endpoint {endpoint.name} took_ms={took_s * 1000:.0f}",
                        trace,
                    )
                clash = duplicate or (rivals > 0 and self.world.rng.random() < 0.5)
                self._reveal(end + REVEAL_DELAY_S, as_of, market, pod, sequence, trace, clash=clash)
            else:
                self.world.say(
                    pod.name,
                    f"ERROR commit failed market={market} sequence={sequence} {self._words(failure, endpoint)}",
                    trace,
                )
                self._missed()

        self._later(end, pod, done)

    def _reveal(
        self, at: float, as_of: float, market: str, pod: PodView, sequence: int, trace: str, *, clash: bool
    ) -> None:
        endpoint = self.world.network.at(pod.env.get("SOLANA_RPC_URL", ""))
        start = self._slot("reveal", pod, at)
        failure, took_s = self._transact(endpoint, pod)
        end = start + took_s
        self._occupy("reveal", start, end)

        def done() -> None:
            reason = failure
            if reason is None and clash:
                reason = "ReplayViolation"
            if reason is None and pod.env.get("M0_ACTIVE_SIGNER_SET_ID", SIGNER_SET_ID) != SIGNER_SET_ID:
                reason = "SignatureVerificationFailed"
            metrics = self.world.metrics
            if reason is None:
                metrics.value(SUBMITTER, "m0_reveal_tx_total", result="ok", reason="").inc()
                metrics.value(SUBMITTER, "m0_publish_success_total").inc()
                self._window.append((self.world.clock.now(), True))
                self.published[market] = max(self.published[market], as_of)
                self.epochs[market] += 1
                self.last_reveal = end
                if self.world.talking and self.world.rng.random() < 0.1:
                    self.world.say(
                        pod.name,
                        f"INFO reveal confirmed market={market} sequence={sequence} endpoint {endpoint.name}",
                        trace,
                    )
                return
            metrics.value(SUBMITTER, "m0_reveal_tx_total", result="failed", reason=reason).inc()
            if reason == "ReplayViolation":
                self.replays += 1
                metrics.value(SUBMITTER, "m0_replay_violation_total").inc()
            if reason == "SignatureVerificationFailed":
                metrics.value(SUBMITTER, "m0_invalid_bundle_total").inc()
            self.world.say(
                pod.name,
                f"ERROR reveal failed market={market} sequence={sequence} {self._words(reason, endpoint)}",
                trace,
            )
            self._missed()

        self._later(end, pod, done)

    def _transact(self, endpoint: Endpoint, pod: PodView) -> tuple[str | None, float]:
        """(reason of failure or None, seconds it took) of one transaction with its retry."""
        rng, metrics = self.world.rng, self.world.metrics
        took = 0.0
        reason: str | None = None
        for _ in range(ATTEMPTS):
            failed = sum(self._request(endpoint, pod) for _ in range(CALLS_PER_TX)) > 0
            confirm_ms = endpoint.confirmation_ms(rng)
            took += confirm_ms / 1000.0
            metrics.histogram(SUBMITTER, "m0_rpc_confirm_latency_ms", endpoint=endpoint.name).observe(confirm_ms)
            if not failed and confirm_ms / 1000.0 <= BLOCKHASH_LIFE_S:
                return None, took
            reason = "RpcError" if failed and rng.random() < 0.6 else "BlockhashNotFound"
        return reason, took

    def _request(self, endpoint: Endpoint, pod: PodView, *, quiet: bool = False) -> bool:
        """One RPC request, counted. True when it failed."""
        failed = endpoint.request_fails(self.world.rng)
        result = "error" if failed else "ok"
        self.world.metrics.value(SUBMITTER, "m0_rpc_requests_total", endpoint=endpoint.name, result=result).inc()
        if failed and not quiet and self.world.talking and self.world.rng.random() < 0.3:
            self.world.say(pod.name, f"WARN {self._words('RpcError', endpoint)} retrying")
        return failed

    def _words(self, reason: str, endpoint: Endpoint) -> str:
        if reason == "RpcError":
            return f"rpc error: 503 Service Unavailable endpoint {endpoint.name} url={endpoint.url}"
        if reason == "BlockhashNotFound":
            return f"Transaction simulation failed: BlockhashNotFound endpoint {endpoint.name}"
        if reason == "ReplayViolation":
            return "custom program error: 0x177d ReplayViolation (6013): sequence already used"
        return "custom program error: 0x1782 SignatureVerificationFailed (6018)"

    def _slot(self, phase: str, pod: PodView, at: float) -> float:
        """When a slot of the phase is free, not before `at`."""
        wanted = max(1, int(number(pod.env, "M0_PUBLISH_CONCURRENCY", 4.0)))
        slots = self._slots.setdefault(phase, [])
        while len(slots) < wanted:
            heapq.heappush(slots, 0.0)
        while len(slots) > wanted:
            slots.remove(max(slots))
            heapq.heapify(slots)
        return max(at, slots[0])

    def _occupy(self, phase: str, start: float, end: float) -> None:
        heapq.heapreplace(self._slots[phase], end)

    def _later(self, at: float, pod: PodView, what: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._due, (at, self._order, pod.uid, what))

    def _missed(self) -> None:
        self._window.append((self.world.clock.now(), False))

    def gauges(self) -> None:
        now = self.world.clock.now()
        self._window = [entry for entry in self._window if entry[0] > now - 60.0]
        missed = sum(1 for _, good in self._window if not good)
        rate = missed / len(self._window) if self._window else 0.0
        self.world.metrics.value(SUBMITTER, "m0_publish_miss_rate").value = round(rate, 4)
