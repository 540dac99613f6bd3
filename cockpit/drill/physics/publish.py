"""Simulates the submitter: commit, wait and reveal, on the RPC endpoint of its pod's environment.

A tick's commit needs a free slot of `M0_PUBLISH_CONCURRENCY`; it fails when one of its RPC calls
fails twice over. The reveal follows after the reveal delay (`M0_REVEAL_DELAY_MS`, else the
ConfigMap's `reveal_delay_ms`), with the blockhash that was fresh when the commit was confirmed.
In-flight bundles die with their pod. Two submitters use every sequence twice. A fresh submitter
takes the last sequence from the publish state in the store; what the chain has seen already it
rejects. Whatever reaches the chain, well or badly, is a transaction of the ledger: what is counted
here is counted there.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from cockpit.drill.names import CONFIG, FIRST_SEQUENCE, MARKETS, SIGNER_SET_ID, SUBMITTER
from cockpit.drill.physics.fleet import PodView, number
from cockpit.drill.physics.transactions import FAILURES, Slots, Transactions, failure_words
from cockpit.drill.solana.node.network import Endpoint
from cockpit.drill.solana.program.genesis import FIRST_EPOCH
from cockpit.drill.solana.program.layouts import CODES
from cockpit.drill.solana.program.oracle import PRICE, Landed
from cockpit.drill.solana.program.runtime import PACKET

if TYPE_CHECKING:
    from cockpit.drill.physics.plant import Plant

TICK_S = 60.0 / 118.4
CADENCE, CADENCE_MS = "publish_cadence_ms", 500.0  # of a calm day
REVEAL_DELAY_MS = 1000.0
PATIENCE_S = 2.0  # a tick that waits longer for a slot is superseded by the next one of its market
PROBE_S = 5.0  # each configured endpoint is asked for its health this often
RECONCILE_S = 10.0  # from its start: a fresh submitter reads the publish state before it publishes
OUTCOMES_PER_BUNDLE = 24  # of a market and its submarkets, on a calm day; `M0_MAX_MARKETS_PER_BUNDLE` allows so many
OVERHEAD_BYTES, OUTCOME_BYTES = 420, 28  # of a reveal: signatures and accounts; each outcome
OVERHEAD_UNITS, OUTCOME_UNITS = 60_000.0, 3_000.0  # compute of a reveal, likewise
UNITS_LIMIT = 200_000.0  # compute units of a transaction that asks for no budget of its own
PASSING = ("BlockhashNotFound", "RpcError")  # failures that another try may not meet
CHUNKS = 1.6  # times longer that a reveal in parts takes
FORGED_REJECTED = 0.25  # of an intruder's bundles: it does not know every format
FORGED_AFTER_S = 1.5  # its commit, its reveal


@dataclass(frozen=True, slots=True)
class _InFlight:
    """Holds a transaction on its way: its end is known when it is sent, and happens at `end`."""

    pod: PodView
    endpoint: Endpoint
    market: str
    sequence: int
    as_of: float
    end: float
    took_s: float
    failure: str | None
    trace: str
    tries: int = 0  # that it may still be sent again, with a fresh blockhash
    fresh: bool = False


class Publish:
    """Moves bundles from the engine's decisions to the chain.

    Scenarios move these: `outcome_bytes` and `outcome_units` of a market, `lost` (sequences of the
    publish state), `forging` (bundles a second that an intruder publishes past all checks).
    """

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self._next_tick = plant.clock.now()
        self._next_probe = plant.clock.now()
        self._turn = 0
        self._due: list[tuple[float, int, str, Callable[[], None]]] = []  # (when, order, pod uid, what)
        self._order = 0
        self._slots = Slots()
        self._transactions = Transactions(plant)
        self._leader = ""
        self.sequence = FIRST_SEQUENCE
        self.stored = FIRST_SEQUENCE  # in the store: that of the newest reveal
        self.lost = 0  # of the publish state, the next time that no submitter runs: it is restored from a snapshot
        self.accepted = FIRST_SEQUENCE  # by the chain
        self._loaded = ""  # uid of the submitter that `sequence` is in the memory of
        self._own = 0  # the newest sequence that it has revealed itself
        self.outcome_bytes = dict.fromkeys(MARKETS, OUTCOME_BYTES)
        self.outcome_units = dict.fromkeys(MARKETS, OUTCOME_UNITS)
        self.forging = 0.0
        self.forged = 0  # accepted so far (harm)
        self._to_forge = 0.0
        self.epochs = dict.fromkeys(MARKETS, FIRST_EPOCH)  # market → epoch of its newest reveal
        self.published = dict.fromkeys(MARKETS, plant.clock.now())  # market → as-of time of its newest reveal
        self.last_reveal = plant.clock.now()
        self.replays = 0
        self._window: list[tuple[float, bool]] = []
        self.start()

    @property
    def tempo(self) -> float:
        """Return how many times as often as on a calm day something is published."""
        asked = number(self.plant.kube.config(CONFIG), CADENCE, CADENCE_MS)
        return CADENCE_MS / min(60_000.0, max(50.0, asked))

    def start(self) -> None:
        metrics = self.plant.metrics
        for result in ("ok", "failed"):
            metrics.value(SUBMITTER, "m0_commit_tx_total", result=result)
        metrics.value(SUBMITTER, "m0_reveal_tx_total", result="ok", reason="")
        for reason in FAILURES:
            metrics.value(SUBMITTER, "m0_reveal_tx_total", result="failed", reason=reason)
        for name in (
            "m0_publish_attempts_total",
            "m0_publish_success_total",
            "m0_invalid_bundle_total",
            "m0_replay_violation_total",
        ):
            metrics.value(SUBMITTER, name)
        for endpoint in self.plant.network.endpoints:
            for result in ("ok", "error"):
                metrics.value(SUBMITTER, "m0_rpc_requests_total", endpoint=endpoint, result=result)

    def step(self, dt: float) -> None:
        """Do everything due up to now: ticks of markets, ends of confirmations, probes."""
        now = self.plant.clock.now()
        pods = self.plant.fleet.working(SUBMITTER)
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
            self._next_tick = tick + TICK_S / self.tempo
            self._tick(tick, pods)
        self._forge(dt, pods)
        while self._next_probe <= now:
            self._next_probe += PROBE_S
            if pods:
                for endpoint in self.plant.network.endpoints.values():
                    self._transactions.request(endpoint, pods[0], quiet=True)

    def _follow_leader(self, pods: tuple[PodView, ...]) -> None:
        if not pods:
            return
        if self._leader and all(pod.uid != self._leader for pod in pods):
            self.plant.metrics.reset(SUBMITTER)
            self.start()
            self.plant.sign.start_submitter()
            self._slots.clear()
        if all(pod.uid != self._leader for pod in pods):
            self._leader = pods[0].uid

    def _tick(self, at: float, pods: tuple[PodView, ...]) -> None:
        plant = self.plant
        market = list(MARKETS)[self._turn % len(MARKETS)]
        self._turn += 1
        decision = plant.quant.decide(market)
        if decision is None or not pods:
            return
        now = plant.clock.now()
        able = [
            pod
            for pod in pods
            if pod.env.get("M0_PUBLISH_ENABLED", "true").lower() == "true"
            and pod.env.get(f"M0_MARKET_PAUSE_{market}", "false").lower() != "true"
            and market not in plant.authority.paused
            and (now - pod.started_at >= RECONCILE_S)
        ]
        if not able:
            return
        as_of = at - plant.ingest.connectors[MARKETS[market]].lag_s
        # an attempt is a tick that should be published, BLOCKed or not
        plant.metrics.value(SUBMITTER, "m0_publish_attempts_total").inc()
        if decision == "BLOCK" or self._malformed(market, able[0]):
            self._missed()
            return
        signed_ms = plant.sign.collect(able[0], able[0].env.get("M0_ACTIVE_SIGNER_SET_ID", SIGNER_SET_ID))
        if signed_ms is None:
            self._missed()
            return
        if able[0].uid != self._loaded:
            self.stored, self.lost = self.stored - self.lost, 0
            forgotten = plant.releases.of(able[0].image).forgets
            self.sequence, self._loaded, self._own = self.stored - forgotten, able[0].uid, 0
        self.sequence += 1
        for index, pod in enumerate(able):
            self._commit(at + signed_ms / 1000.0, as_of, market, pod, duplicate=index > 0, rivals=len(able) - 1)

    def _malformed(self, market: str, pod: PodView) -> bool:
        """Check, as the submitter does itself, what the engine hands it."""
        share = self.plant.quant.malformed
        if not share or self.plant.rng.random() >= share:
            return False
        self.plant.metrics.value(SUBMITTER, "m0_invalid_bundle_total").inc()
        self.plant.say(
            pod.name,
            f"ERROR bundle rejected market={market} the engine's payload does not verify: outcomes sum to 1.07",
        )
        return True

    def _commit(self, at: float, as_of: float, market: str, pod: PodView, *, duplicate: bool, rivals: int) -> None:
        endpoint = self.plant.network.at(pod.env.get("SOLANA_RPC_URL", ""))
        sequence = self.sequence
        start = self._slots.free_at("commit", pod, at)
        if start - at > PATIENCE_S:
            self._missed()
            return
        failure, took_s = self._transactions.run(endpoint, pod)
        end = start + took_s
        self._slots.occupy("commit", end)
        trace = self.plant.trace()
        signer_set, signers = pod.env.get("M0_ACTIVE_SIGNER_SET_ID", SIGNER_SET_ID), self.plant.sign.signed
        differs = self.plant.releases.of(pod.image).hashing != self.plant.sign.hashing
        signs = self.plant.sign.signs
        clash = True if duplicate else None if rivals else False
        tx = _InFlight(
            pod=pod,
            endpoint=endpoint,
            market=market,
            sequence=sequence,
            as_of=as_of,
            end=end,
            took_s=took_s,
            failure=failure,
            trace=trace,
        )
        self._schedule(end, pod, partial(self._committed, tx, signer_set, signers, differs, clash, signs))

    def _committed(
        self, tx: _InFlight, signer_set: str, signers: Sequence[int], differs: bool, clash: bool | None, signs: str
    ) -> None:
        """Land a commit.

        `clash`: whether another submitter uses the sequence first; None: one of them does.
        """
        plant, pod = self.plant, tx.pod
        landed: Landed | None = None
        reason = tx.failure
        if reason is None:
            plant.chain.price = int(number(pod.env, "M0_PRIORITY_FEE_MICROLAMPORTS", PRICE))
            landed = plant.chain.commit(
                tx.market, tx.sequence, tx.as_of, tx.end, signer_set=signer_set, signers=signers, signs=signs
            )
            reason = landed.error or None
        result = "ok" if reason is None else "failed"
        plant.metrics.value(SUBMITTER, "m0_commit_tx_total", result=result).inc()
        subject = f"market={tx.market} sequence={tx.sequence}"
        if landed is not None and reason is None:
            if plant.talking and plant.rng.random() < 0.1:
                took_ms = tx.took_s * 1000
                line = f"INFO commit confirmed {subject} endpoint {tx.endpoint.name} took_ms={took_ms:.0f}"
                plant.say(pod.name, line, tx.trace)
            if clash is None:
                clash = plant.rng.random() < 0.5
            known = "ReplayViolation" if clash else "BundleHashMismatch" if differs else ""
            self._reveal(replace(tx, tries=int(number(pod.env, "M0_REVEAL_RETRIES", 0.0))), landed, known)
        else:
            plant.say(pod.name, f"ERROR commit failed {subject} {failure_words(str(reason), tx.endpoint)}", tx.trace)
            self._missed()

    def _reveal(self, commit: _InFlight, landed: Landed, known: str) -> None:
        """Send the reveal of a commit.

        `known`: the program's error, where the commit's circumstances decide it already.
        """
        pod = commit.pod
        endpoint = self.plant.network.at(pod.env.get("SOLANA_RPC_URL", ""))
        start = self._slots.free_at("reveal", pod, commit.end + (0.0 if commit.fresh else self._delay_s(pod)))
        chunked = pod.env.get("M0_REVEAL_MODE", "whole") in ("chunked", "merkle")
        size = self._bytes(commit.market, pod)
        failure: str | None
        if size > PACKET and not chunked:
            failure, took_s = "TransactionTooLarge", 0.02
        elif self._units(commit.market, pod) > number(pod.env, "M0_COMPUTE_UNIT_LIMIT", UNITS_LIMIT):
            failure, took_s = "ComputeBudgetExceeded", 0.02
        else:
            waited_s = 0.0 if commit.fresh else start - commit.end
            failure, took_s = self._transactions.run(endpoint, pod, times=CHUNKS if chunked else 1.0, waited_s=waited_s)
        end = start + took_s
        self._slots.occupy("reveal", end)
        tx = replace(commit, endpoint=endpoint, end=end, took_s=took_s, failure=failure)
        self._schedule(end, pod, partial(self._landed, tx, landed, known, size))

    def _landed(self, tx: _InFlight, landed: Landed, known: str, size: int) -> None:
        chain, metrics, pod = self.plant.chain, self.plant.metrics, tx.pod
        reason = tx.failure
        if reason is None:
            replay = "ReplayViolation" if self._own < tx.sequence <= self.accepted else ""
            reason = chain.reveal(landed, tx.end, replay or known or chain.verdict(landed)) or None
        subject = f"market={tx.market} sequence={tx.sequence}"
        if reason is None:
            metrics.value(SUBMITTER, "m0_reveal_tx_total", result="ok", reason="").inc()
            metrics.value(SUBMITTER, "m0_publish_success_total").inc()
            self._window.append((self.plant.clock.now(), True))
            self._revealed(landed, tx.as_of, tx.end)
            self._own = max(self._own, tx.sequence)
            if self.plant.talking and self.plant.rng.random() < 0.1:
                self.plant.say(pod.name, f"INFO reveal confirmed {subject} endpoint {tx.endpoint.name}", tx.trace)
            return
        metrics.value(SUBMITTER, "m0_reveal_tx_total", result="failed", reason=reason).inc()
        if reason == "ReplayViolation":
            self.replays += 1
            metrics.value(SUBMITTER, "m0_replay_violation_total").inc()
        if reason in ("SignatureVerificationFailed", "BundleHashMismatch"):
            metrics.value(SUBMITTER, "m0_invalid_bundle_total").inc()
        words = failure_words(reason, tx.endpoint, size)
        self.plant.say(pod.name, f"ERROR reveal failed {subject} {words}", tx.trace)
        if tx.failure in PASSING and tx.tries > 0:
            self._reveal(replace(tx, tries=tx.tries - 1, fresh=True), landed, known)
            return
        self._missed()

    def _revealed(self, landed: Landed, as_of: float, at: float) -> None:
        bundle = landed.bundle
        self.published[bundle.market] = max(self.published[bundle.market], as_of)
        self.epochs[bundle.market] = max(self.epochs[bundle.market], bundle.epoch)
        self.stored = max(self.stored, bundle.sequence)
        self.accepted = max(self.accepted, bundle.sequence)
        self.last_reveal = at

    def _delay_s(self, pod: PodView) -> float:
        config = number(self.plant.kube.config(CONFIG), "reveal_delay_ms", REVEAL_DELAY_MS)
        return max(0.0, number(pod.env, "M0_REVEAL_DELAY_MS", config)) / 1000.0

    def _bytes(self, market: str, pod: PodView) -> int:
        return OVERHEAD_BYTES + int(_outcomes(pod) * self.outcome_bytes[market])

    def _units(self, market: str, pod: PodView) -> float:
        return OVERHEAD_UNITS + _outcomes(pod) * self.outcome_units[market]

    def align(self) -> None:
        """Set the publish state to what the chain says, as the reconciler's job does.

        A running submitter keeps its own until it restarts.
        """
        self.stored = self.accepted

    def _forge(self, dt: float, pods: tuple[PodView, ...]) -> None:
        """Publish an intruder's bundles, past everything that decides, counts or checks."""
        if not self.forging or not pods:
            return
        plant, pod = self.plant, pods[0]
        self._to_forge += self.forging * dt
        while self._to_forge >= 1.0:
            self._to_forge -= 1.0
            market = plant.rng.choice(list(MARKETS))
            self.sequence += 1
            now = plant.clock.now()
            landed = plant.chain.commit(market, self.sequence, now, now, signers=plant.sign.signed or range(5))
            plant.metrics.value(SUBMITTER, "m0_commit_tx_total", result="failed" if landed.error else "ok").inc()
            if not landed.error:
                wrong = "SignatureVerificationFailed" if plant.rng.random() < FORGED_REJECTED else ""
                self._schedule(
                    now + FORGED_AFTER_S, pod, partial(self._forged, landed, now + FORGED_AFTER_S, pod, wrong)
                )

    def _forged(self, landed: Landed, at: float, pod: PodView, wrong: str) -> None:
        market, sequence = landed.bundle.market, landed.bundle.sequence
        reason = self.plant.chain.reveal(landed, at, wrong)
        result = "failed" if reason else "ok"
        self.plant.metrics.value(SUBMITTER, "m0_reveal_tx_total", result=result, reason=reason).inc()
        if reason:
            words = f"custom program error: {CODES[reason]:#x} {reason} ({CODES[reason]})"
            self.plant.say(
                pod.name, f"ERROR reveal failed market={market} sequence={sequence} not in our queue: {words}"
            )
            return
        self._revealed(landed, at, at)
        self._own = max(self._own, sequence)
        self.forged += 1
        self.plant.say(pod.name, f"WARN reveal confirmed market={market} sequence={sequence} not in our queue")

    def _schedule(self, at: float, pod: PodView, what: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._due, (at, self._order, pod.uid, what))

    def _missed(self) -> None:
        self._window.append((self.plant.clock.now(), False))

    def gauges(self) -> None:
        now = self.plant.clock.now()
        self._window = [entry for entry in self._window if entry[0] > now - 60.0]
        missed = sum(1 for _, good in self._window if not good)
        rate = missed / len(self._window) if self._window else 0.0
        self.plant.metrics.value(SUBMITTER, "m0_publish_miss_rate").value = round(rate, 4)


def _outcomes(pod: PodView) -> float:
    """Return how many outcomes a bundle holds."""
    return min(OUTCOMES_PER_BUNDLE, max(1.0, number(pod.env, "M0_MAX_MARKETS_PER_BUNDLE", OUTCOMES_PER_BUNDLE)))
