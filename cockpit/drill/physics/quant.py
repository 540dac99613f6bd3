"""Models and guardrails: each tick of a market is ALLOWed, DEGRADEd or BLOCKed, by reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import CONNECTORS, MARKETS, MODELS, QUANT

if TYPE_CHECKING:
    from cockpit.drill.world import World

COVERAGE_WARN, COVERAGE_BLOCK = 0.85, 0.50
#: Policy level → (drift that degrades, drift that blocks, divergence that degrades, divergence that blocks).
POLICY = {"STRICT": (0.2, 0.4, 0.15, 0.3), "NORMAL": (0.3, 0.6, 0.25, 0.5), "FAST": (0.4, 0.8, 0.4, 0.8)}


class Quant:
    """`divergence` by source and `drift` by model are what scenarios move."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.divergence = dict.fromkeys(CONNECTORS, 0.03)
        self.drift = dict.fromkeys(MODELS, 0.08)
        self.start()

    def start(self) -> None:
        metrics = self.world.metrics
        metrics.value(QUANT, "m0_guardrail_decisions_total", decision="ALLOW", reason="none")
        for reason in ("coverage", "divergence", "drift"):
            for decision in ("DEGRADE", "BLOCK"):
                metrics.value(QUANT, "m0_guardrail_decisions_total", decision=decision, reason=reason)
        for source in CONNECTORS:
            for level in ("warn", "block"):
                metrics.value(QUANT, "m0_divergence_events_total", level=level, source=source)

    def decide(self, market: str) -> str | None:
        """The decision for this tick, counted and logged. None when no quant pod works: there is no output at all."""
        world = self.world
        pods = world.fleet.working(QUANT)
        if not pods:
            return None
        level = pods[0].env.get("M0_GUARDRAIL_POLICY_LEVEL", "STRICT")
        drift_warn, drift_block, divergence_warn, divergence_block = POLICY.get(level, POLICY["STRICT"])
        domain = MARKETS[market]
        coverage = world.ingest.coverage[domain]
        divergence = self.divergence[domain]
        drift = self.drift[MODELS[list(CONNECTORS).index(domain)]]
        verdicts = [
            ("coverage", COVERAGE_BLOCK - coverage, COVERAGE_WARN - coverage, f"coverage={coverage:.2f}"),
            ("divergence", divergence - divergence_block, divergence - divergence_warn, f"divergence={divergence:.2f}"),
            ("drift", drift - drift_block, drift - drift_warn, f"drift={drift:.2f}"),
        ]
        decision, reason, detail = "ALLOW", "none", ""
        for name, past_block, past_warn, words in verdicts:
            if past_block > 0:
                decision, reason, detail = "BLOCK", name, words
                break
            if past_warn > 0 and decision == "ALLOW":
                decision, reason, detail = "DEGRADE", name, words
        if decision == "ALLOW" and world.rng.random() < 0.004:  # a late feature now and then
            decision, reason, detail = "DEGRADE", "coverage", "coverage=0.84"
        world.metrics.value(QUANT, "m0_guardrail_decisions_total", decision=decision, reason=reason).inc()
        if divergence > divergence_warn:
            which = "block" if divergence > divergence_block else "warn"
            world.metrics.value(QUANT, "m0_divergence_events_total", level=which, source=domain).inc()
        if world.talking and (decision != "ALLOW" or world.rng.random() < 0.05):
            pod = pods[world.rng.randrange(len(pods))]
            severity = "INFO" if decision == "ALLOW" else "WARN"
            world.say(
                pod.name,
                f"{severity} guardrail {decision} market={market} reason={reason} policy={level} {detail}".rstrip(),
            )
        return decision

    def gauges(self) -> None:
        metrics, rng = self.world.metrics, self.world.rng
        for index, model in enumerate(MODELS):
            metrics.value(QUANT, "m0_drift_score", model=model).value = round(
                self.drift[model] + rng.uniform(-0.01, 0.01), 4
            )
            ece = 0.018 + 0.003 * index + rng.uniform(-0.001, 0.001) + max(0.0, self.drift[model] - 0.15) * 0.2
            metrics.value(QUANT, "m0_calibration_ece", model=model).value = round(ece, 4)
        for market, domain in MARKETS.items():
            risk = 0.2 + (0.97 - self.world.ingest.coverage[domain]) * 0.8 + rng.uniform(-0.02, 0.02)
            metrics.value(QUANT, "m0_risk_score", market=market).value = round(risk, 4)
