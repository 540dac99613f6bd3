"""Simulates the engine: how sources diverge, what is published of it, and what guardrails decide.

Guardrails ALLOW, DEGRADE or BLOCK each tick of a market, by reason.

Each domain has its connector and three secondary feeds. The consensus is the median of as many as
`M0_EXPECTED_SOURCES` says: with two the connector is half of it, with one there is nothing to
differ from. The estimate leans on the connector by half. An output misleads when its error is more
than its decision admits, wider intervals included: what a policy lets through that STRICT would
have degraded or blocked.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from cockpit.drill.names import CONFIG, CONNECTORS, FEATURES, MARKETS, MODELS, QUANT, SOURCES
from cockpit.drill.physics.fleet import number
from cockpit.drill.physics.models import BASE_DRIFT, Models
from cockpit.drill.physics.releases import BATCH_DELAY_S, BATCH_MALFORMED, memory_of

if TYPE_CHECKING:
    from cockpit.drill.physics.plant import Plant

COVERAGE_WARN, COVERAGE_BLOCK = 0.85, 0.50
#: Policy level → (drift that degrades, drift that blocks, divergence that degrades, divergence that
#: blocks).
POLICY = {"STRICT": (0.2, 0.4, 0.15, 0.3), "NORMAL": (0.3, 0.6, 0.25, 0.5), "FAST": (0.4, 0.8, 0.4, 0.8)}
#: Level → coverage that degrades, and that blocks.
COVERAGE = {"STRICT": (COVERAGE_WARN, COVERAGE_BLOCK), "NORMAL": (0.75, 0.40), "FAST": (0.60, 0.25)}
ADMITS = {"ALLOW": 0.075, "DEGRADE": 0.15}  # error that consumers must reckon with, by decision
DRIFT_ERROR = 0.62  # of the estimate, for each unit of drift
COMPARE_S = 4.0  # each market's sources are compared this often
NOISE = 0.03  # sources that agree differ by so much
SECONDARY = ("b", "c", "d")  # the feeds beside a domain's connector
PSI = (1.1, 0.6, 0.3)  # of each of FEATURES, for each unit of drift: one carries most of it
#: Market → what is true of its first outcome on a calm day.
TRUTH = dict(zip(MARKETS, (0.58, 0.46, 0.37, 0.31, 0.52, 0.49, 0.63, 0.27), strict=True))


class Quant:
    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.models = Models(plant)
        self.divergence = dict.fromkeys(CONNECTORS, NOISE)
        self.truth = dict(TRUTH)
        self.manipulated: dict[str, float] = {}  # market → times the truth that somebody has moved its odds to
        self.misleading: set[str] = set()  # markets whose newest decided output misleads
        self.degraded: set[str] = set()  # markets whose newest decided output is degraded
        self._walk = Random("truth")
        self._feeds = Random("feeds")  # of its own: what is exported must not change what happens
        self.start()

    def start(self) -> None:
        metrics = self.plant.metrics
        metrics.value(QUANT, "m0_guardrail_decisions_total", decision="ALLOW", reason="none")
        for reason in ("coverage", "divergence", "drift"):
            for decision in ("DEGRADE", "BLOCK"):
                metrics.value(QUANT, "m0_guardrail_decisions_total", decision=decision, reason=reason)
        for source in CONNECTORS:
            for level in ("warn", "block"):
                metrics.value(QUANT, "m0_divergence_events_total", level=level, source=source)

    # what it is set to

    def _setting(self, name: str, default: str) -> str:
        """Read a setting from the running engine's environment, else from the ConfigMap.

        It follows the ConfigMap while it runs.
        """
        pods = self.plant.fleet.working(QUANT)
        own = pods[0].env.get(name) if pods else None
        return own or self.plant.kube.config(CONFIG).get(name) or default

    @property
    def policy(self) -> str:
        level = self._setting("M0_GUARDRAIL_POLICY_LEVEL", "STRICT")
        return level if level in POLICY else "STRICT"

    @property
    def expected_sources(self) -> int:
        try:
            return max(1, int(self.plant.kube.config(CONFIG).get("M0_EXPECTED_SOURCES", SOURCES)))
        except ValueError:
            return SOURCES

    @property
    def delay_s(self) -> float:
        """Return how much later than usual the engine takes its features.

        By its image, and by the batch that its configuration asks for.
        """
        batch = memory_of(self.plant.kube.config(CONFIG))
        own = max((self.plant.releases.of(pod.image).delay_s for pod in self.plant.fleet.working(QUANT)), default=0.0)
        return own + BATCH_DELAY_S * (batch - 1.0)

    @property
    def malformed(self) -> float:
        """Return the share of its outputs that are no valid payload."""
        pods = self.plant.fleet.working(QUANT)
        own = sum(self.plant.releases.of(pod.image).malformed for pod in pods) / max(1, len(pods))
        return min(0.9, own + BATCH_MALFORMED * (memory_of(self.plant.kube.config(CONFIG)) - 1.0))

    def paused(self, market: str) -> bool:
        """Return whether the network's authority or the toggle has paused the market."""
        return (
            market in self.plant.authority.paused
            or self._setting(f"M0_MARKET_PAUSE_{market}", "false").lower() == "true"
        )

    # what it computes

    def step(self, dt: float) -> None:
        """Compare the sources of every market; no engine, no comparison."""
        for market in self.truth:
            pull = (TRUTH[market] - self.truth[market]) * 0.01 * dt
            self.truth[market] += pull + self._walk.gauss(0.0, 0.002) * dt**0.5
        if not self.plant.fleet.working(QUANT):
            return
        self.models.step(dt)
        for domain in CONNECTORS:
            self._compare(domain, [m for m in MARKETS if MARKETS[m] == domain], dt)

    def _compare(self, domain: str, markets: list[str], dt: float) -> None:
        plant, rng = self.plant, self.plant.rng
        gaps = {market: self._gap(market) for market in markets}
        self.divergence[domain] = max(NOISE, sum(gaps.values()) / len(gaps))
        _, _, warn, block = POLICY[self.policy]
        for market, gap in gaps.items():
            if gap > warn:
                level = "block" if gap > block else "warn"
                count = int(dt / COMPARE_S + rng.random())
                plant.metrics.value(QUANT, "m0_divergence_events_total", level=level, source=domain).inc(count)
            if plant.talking and rng.random() < (0.15 if gap > warn else 0.02) * dt:
                self._log_sources(market, domain, gap)

    def _gap(self, market: str) -> float:
        """Return how far the connector's implied probability is from the consensus."""
        connector = self.plant.ingest.connectors[MARKETS[market]]
        if connector.disabled or self.expected_sources == 1:
            return 0.0
        off = abs(self.implied(market) - self.truth[market])
        return off / 2.0 if self.expected_sources == 2 else off

    def implied(self, market: str) -> float:
        """Return the probability that the connector's odds imply."""
        skew = self.plant.ingest.connectors[MARKETS[market]].skew * self.manipulated.get(market, 1.0)
        return min(0.99, max(0.01, self.truth[market] * skew))

    def error(self, market: str) -> float:
        """Return how far the estimate is from the truth."""
        connector = self.plant.ingest.connectors[MARKETS[market]]
        off = 0.0 if connector.disabled else abs(self.implied(market) - self.truth[market])
        of_sources = off if self.expected_sources == 1 else off / 2.0
        coverage = self.plant.ingest.coverage[MARKETS[market]]
        of_gaps = max(0.0, COVERAGE_WARN - coverage) * 0.21
        return max(of_sources, of_gaps, DRIFT_ERROR * (self._drift(MARKETS[market]) - BASE_DRIFT))

    def _drift(self, domain: str) -> float:
        return self.models.drift[MODELS[list(CONNECTORS).index(domain)]]

    def _log_sources(self, market: str, domain: str, gap: float) -> None:
        pods = self.plant.fleet.working(QUANT)
        level = "WARN" if gap > POLICY[self.policy][2] else "INFO"
        truth, rng = self.truth[market], self.plant.rng
        others = " ".join(
            f"{domain}-{name}={truth + rng.uniform(-0.01, 0.01):.3f}" for name in SECONDARY[: self.expected_sources - 1]
        )
        self.plant.say(
            pods[rng.randrange(len(pods))].name,
            f"{level} implied probabilities market={market} {domain}={self.implied(market):.3f} {others} "
            f"divergence={gap:.2f}",
        )

    # what it lets through

    def decide(self, market: str) -> str | None:
        """Return the decision for this tick, counted and logged.

        None when there is no output at all: no engine works, or the market is paused.
        """
        plant = self.plant
        pods = plant.fleet.working(QUANT)
        if not pods or self.paused(market):
            return None
        level = self.policy
        drift_warn, drift_block, divergence_warn, divergence_block = POLICY[level]
        coverage_warn, coverage_block = COVERAGE[level]
        domain = MARKETS[market]
        coverage, divergence, drift = plant.ingest.coverage[domain], self.divergence[domain], self._drift(domain)
        verdicts = [
            ("coverage", coverage_block - coverage, coverage_warn - coverage, f"coverage={coverage:.2f}"),
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
        if decision == "ALLOW" and plant.rng.random() < 0.004:  # a late feature now and then
            decision, reason, detail = "DEGRADE", "coverage", "coverage=0.84"
        plant.metrics.value(QUANT, "m0_guardrail_decisions_total", decision=decision, reason=reason).inc()
        widened = 1.0 + max(0.0, number(pods[0].env, "M0_CI_WIDENING_PERCENT", 0.0)) / 100.0
        misleads = decision != "BLOCK" and self.error(market) > ADMITS[decision] * widened
        (self.misleading.add if misleads else self.misleading.discard)(market)
        (self.degraded.add if decision == "DEGRADE" else self.degraded.discard)(market)
        if plant.talking and (decision != "ALLOW" or plant.rng.random() < 0.05):
            pod = pods[plant.rng.randrange(len(pods))]
            severity = "INFO" if decision == "ALLOW" else "WARN"
            plant.say(
                pod.name,
                f"{severity} guardrail {decision} market={market} reason={reason} policy={level} {detail}".rstrip(),
            )
        return decision

    def _miscalibrated(self, domain: str) -> float:
        """Return the calibration error that comes from manipulated odds, not from the model."""
        if self.plant.ingest.connectors[domain].disabled:
            return 0.0
        return sum(
            min(0.3, 0.6 * abs(self.implied(m) - self.truth[m])) for m in self.manipulated if MARKETS[m] == domain
        )

    def gauges(self) -> None:
        metrics, rng = self.plant.metrics, self.plant.rng
        drifts = self.models.drift
        for index, model in enumerate(MODELS):
            metrics.value(QUANT, "m0_drift_score", model=model).value = round(
                drifts[model] + rng.uniform(-0.01, 0.01), 4
            )
            ece = 0.018 + 0.003 * index + rng.uniform(-0.001, 0.001) + max(0.0, drifts[model] - 0.15) * 0.25
            ece += self._miscalibrated(list(CONNECTORS)[index])
            metrics.value(QUANT, "m0_calibration_ece", model=model).value = round(ece, 4)
        self._compared()
        self._evaluated()
        pods = self.plant.fleet.working(QUANT)
        floor = number(pods[0].env, "M0_RISK_SCORE_FLOOR", 0.0) if pods else 0.0
        for market, domain in MARKETS.items():
            doubt = (0.97 - self.plant.ingest.coverage[domain]) * 0.8 + max(0.0, self._drift(domain) - 0.12) * 2.2
            risk = min(1.0, max(floor, 0.2 + doubt)) + rng.uniform(-0.02, 0.02)
            metrics.value(QUANT, "m0_risk_score", market=market).value = round(min(1.0, risk), 4)

    def _compared(self) -> None:
        """Export the probability that each source implies; a disabled one implies none."""
        metrics, name = self.plant.metrics, "m0_implied_probability"
        for market, domain in MARKETS.items():
            if self.plant.ingest.connectors[domain].disabled:
                metrics.remove(QUANT, name, market=market, source=domain)
            else:
                metrics.value(QUANT, name, market=market, source=domain).value = round(self.implied(market), 4)
            for number_of, feed in enumerate(SECONDARY):
                labels = {"market": market, "source": f"{domain}-{feed}"}
                if number_of < self.expected_sources - 1:
                    heard = self.truth[market] + self._feeds.uniform(-0.01, 0.01)
                    metrics.value(QUANT, name, **labels).value = round(heard, 4)
                else:
                    metrics.remove(QUANT, name, **labels)

    def _evaluated(self) -> None:
        """Export how features are distributed, and how forecasts fared that were settled since."""
        metrics, feeds = self.plant.metrics, self._feeds
        for index, model in enumerate(MODELS):
            drift = self.models.drift[model]
            for feature, share in zip(FEATURES, PSI, strict=True):
                psi = drift * share + feeds.uniform(-0.005, 0.005)
                metrics.value(QUANT, "m0_feature_psi", model=model, feature=feature).value = round(max(0.0, psi), 4)
            missed = max(0.0, drift - 0.12) * 0.6 + 0.5 * self._miscalibrated(list(CONNECTORS)[index])
            score = 0.16 + 0.01 * index + missed + feeds.uniform(-0.002, 0.002)
            metrics.value(QUANT, "m0_live_brier_score", model=model).value = round(score, 4)
