"""Signer agents: each has a place in the signer set, a latency, and a warm-up after its start; 5 of 7 must answer in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import SIGNER, SIGNERS, SUBMITTER, THRESHOLD

if TYPE_CHECKING:
    from cockpit.drill.world import World

MEDIAN_MS, SIGMA = 72.0, 0.54  # p95 near 180 ms
WARM_UP_S = 20.0  # the KMS session is opened lazily: an agent is slow for so long after its start
COLD_MS = 900.0
DEADLINE_MS = 500.0


class Sign:
    """`slow` multiplies latencies by signer, `refused` is the share of requests that fail: scenarios move them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.places: dict[str, str] = {}  # pod uid → signer
        self.slow = dict.fromkeys(SIGNERS, 1.0)
        self.refused: dict[str, tuple[float, str]] = {}  # signer → (share, reason)
        self.misses = 0
        self.start()

    def start(self) -> None:
        for signer in SIGNERS:
            for reason in ("kms", "timeout"):
                self.world.metrics.value(SIGNER, "m0_signer_errors_total", signer=signer, reason=reason)
        self.start_submitter()

    def start_submitter(self) -> None:
        self.world.metrics.value(SUBMITTER, "m0_signer_threshold_miss_total")

    def _seat(self) -> dict[str, tuple[str, float]]:
        """Signer → (pod name, seconds since its start). A surging pod has no place until one is free."""
        pods = {pod.uid: pod for pod in self.world.fleet.ready(SIGNER)}
        for uid in [uid for uid in self.places if uid not in pods]:
            del self.places[uid]
        free = [signer for signer in SIGNERS if signer not in self.places.values()]
        for uid in sorted(pods, key=lambda u: (pods[u].started_at, u)):
            if uid not in self.places and free:
                self.places[uid] = free.pop(0)
        now = self.world.clock.now()
        return {signer: (pods[uid].name, now - pods[uid].started_at) for uid, signer in self.places.items()}

    def collect(self) -> float | None:
        """Milliseconds until the threshold's signature was there; None when it was missed."""
        world = self.world
        rng, metrics = world.rng, world.metrics
        latencies: list[float] = []
        seats = self._seat()
        for signer, (pod, age_s) in seats.items():
            share, reason = self.refused.get(signer, (0.0, ""))
            if share and rng.random() < share:
                metrics.value(SIGNER, "m0_signer_errors_total", signer=signer, reason=reason).inc()
                if world.talking and rng.random() < 0.2:
                    world.say(pod, f"ERROR sign failed signer={signer} reason={reason}")
                continue
            latency = rng.lognormvariate(0.0, SIGMA) * (COLD_MS if age_s < WARM_UP_S else MEDIAN_MS) * self.slow[signer]
            metrics.histogram(SIGNER, "m0_signer_latency_ms", signer=signer).observe(latency)
            if latency <= DEADLINE_MS:
                latencies.append(latency)
            if world.talking and rng.random() < 0.03:
                world.say(pod, f"INFO signed bundle signer={signer} latency_ms={latency:.0f}")
        if len(latencies) < THRESHOLD:
            self.misses += 1
            metrics.value(SUBMITTER, "m0_signer_threshold_miss_total").inc()
            for pod_view in world.fleet.working(SUBMITTER)[:1]:
                world.say(
                    pod_view.name,
                    f"ERROR signature threshold missed got={len(latencies)} want={THRESHOLD} of={len(SIGNERS)} after {DEADLINE_MS:.0f}ms",
                )
            return None
        return sorted(latencies)[THRESHOLD - 1]
