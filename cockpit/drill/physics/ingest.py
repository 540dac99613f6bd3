"""Simulates connectors, ingestor workers, event log and aggregator: where lag and coverage arise.

Each ready ingestor polls every connector on its own, no more often than its poll interval and its
cache's life allow, so more pods mean more calls against the provider's quota. Calls above the quota
are answered 429, and the further above, the fewer succeed. Fetched events pass the workers at a
rate per pod; what they cannot take waits in the event log.

Coverage is the share of the expected sources' features that are fresh: a disabled connector is one
source less, until `M0_EXPECTED_SOURCES` expects fewer.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cockpit.drill.names import AGGREGATOR, CONNECTORS, INGESTOR, MARKETS, SOURCES, TOPICS
from cockpit.drill.physics.fleet import number

if TYPE_CHECKING:
    from cockpit.drill.physics.plant import Plant

PER_POD = 220.0  # events a second that one ingestor works off
PAGE = 400.0  # events that one poll can bring
AGGREGATE_PER_POD = 1500.0
BASE_LAG_S = 1.13  # provider, network and processing of a healthy pipeline
STALE_AFTER_S, LOST_AFTER_S = 10.0, 120.0  # features older than this begin to count as missing / all do
FRESH, CARRIED = 0.97, 0.55  # coverage with all fresh, and with nothing but carried-forward features
PER_SOURCE = 0.07  # coverage that a source which is expected, and is not there, costs
OUTLIERS_PER_S = 0.3  # events that the aggregator drops from a source that is far off
OUTLIERS_OF_MARKET_PER_S = 0.7  # likewise from one market whose odds somebody has moved
RETENTION_S = 1800.0
CPU, IDLE = "process_cpu_seconds_total", 0.03  # of a core, that a worker uses for nothing


@dataclass(slots=True)
class Connector:
    """Describes an external API.

    `quota` calls a second; `failing` is the share of calls that fail otherwise, with the reason
    `fault`; `garbled` the share of answers that do not parse; `skew` times the truth is what its
    odds imply. Scenarios change these.
    """

    name: str
    rate: float  # events a second
    quota: float = 10.0
    failing: float = 0.001
    fault: str = ""  # "timeout", "http_5xx"; empty: the usual mix
    garbled: float = 0.0
    skew: float = 1.0
    latency_ms: float = 120.0
    pending: float = 0.0  # events at the provider, not fetched yet
    disabled: bool = False
    lag_s: float = 1.2
    refused_ratio: float = 0.0


class Queue:
    """Measures how long the event that is worked off now has waited, first in, first out.

    More workers shorten that as they come along, not at once.
    """

    def __init__(self, now: float) -> None:
        self._marks: deque[tuple[float, float]] = deque([(now, 0.0)])  # (time, events arrived until then)
        self._arrived = self._worked = 0.0

    def moved(self, now: float, arrived: float, worked: float) -> float:
        """Count arrivals and departures; return the seconds that the queue's head has waited."""
        self._arrived += arrived
        self._worked += worked
        self._marks.append((now, self._arrived))
        while len(self._marks) > 1 and self._marks[1][1] <= self._worked:
            self._marks.popleft()
        if self._arrived - self._worked < 1.0:
            return 0.0
        (begun, before), (ended, after) = self._marks[0], self._marks[1]
        share = (self._worked - before) / (after - before) if after > before else 1.0
        return max(0.0, now - (begun + share * (ended - begun)))


def _limit(env: Mapping[str, str], connector: str) -> float:
    """Return the calls a second of all workers that are allowed to a connector."""
    for each in env.get("M0_CONNECTOR_RATE_LIMITS", "").split(","):
        name, _, calls = each.partition("=")
        if name.strip() == connector:
            return number({"limit": calls.strip()}, "limit", math.inf)
    return math.inf


class Ingest:
    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.connectors = {name: Connector(name, rate) for name, rate in CONNECTORS.items()}
        self.burst = 1.0  # multiplies every connector's events
        self.backlog = dict.fromkeys(TOPICS, 0.0)
        self._queue = Queue(plant.clock.now())
        self.busy = 0.5
        self.coverage = dict.fromkeys(CONNECTORS, FRESH)
        self.rate_limited = 0  # 429s so far (harm)
        self._counted: set[str] = set()  # workers whose CPU is exported
        self.start()

    def start(self) -> None:
        """Export every label set at zero from the process's start, as good exporters do."""
        for name in self.connectors:
            self.plant.metrics.value(INGESTOR, "m0_events_ingested_total", connector=name)
            for reason in ("timeout", "http_5xx", "rate_limited", "schema"):
                self.plant.metrics.value(INGESTOR, "m0_connector_errors_total", connector=name, reason=reason)
            self.plant.metrics.value(AGGREGATOR, "m0_outlier_events_total", source=name)

    def step(self, dt: float) -> None:
        plant, metrics, rng = self.plant, self.plant.metrics, self.plant.rng
        pods = plant.fleet.working(INGESTOR)
        capacity = PER_POD * len(pods)
        arriving: dict[str, float] = {}
        for connector in self.connectors.values():
            arriving[connector.name] = self._fetch(connector, pods, dt)
        total = sum(arriving.values())
        waiting = self.backlog["raw-events"] + total
        worked = min(waiting, capacity * dt)
        self.backlog["raw-events"] = waiting - worked
        offered = total / dt
        self.busy = 1.0 if self.backlog["raw-events"] > 1.0 else min(1.0, offered / capacity if capacity else 1.0)
        self._compute(dt)
        aggregated = self.backlog["normalized"] + worked
        out = min(aggregated, AGGREGATE_PER_POD * len(plant.fleet.working(AGGREGATOR)) * dt)
        self.backlog["normalized"] = aggregated - out
        rate = max(sum(c.rate for c in self.connectors.values() if not c.disabled) * self.burst, 1.0)
        queue_s = self._queue.moved(plant.clock.now(), total, worked)
        queue_s += self.backlog["normalized"] / max(out / dt, rate)
        queue_s += plant.quant.delay_s  # a watermark is passed on once the engine has taken what is before it
        for connector in self.connectors.values():
            self._freshness(connector, queue_s, dt)
            share = worked * (arriving[connector.name] / total) if total else 0.0
            count = int(share + rng.random())
            metrics.value(INGESTOR, "m0_events_ingested_total", connector=connector.name).inc(count)
            outliers = 0.004 + (
                0.0 if connector.disabled else OUTLIERS_PER_S * min(1.0, abs(connector.skew - 1.0) / 0.3)
            )
            moved = [m for m in plant.quant.manipulated if MARKETS[m] == connector.name]
            outliers += 0.0 if connector.disabled else OUTLIERS_OF_MARKET_PER_S * len(moved)
            metrics.value(AGGREGATOR, "m0_outlier_events_total", source=connector.name).inc(
                int(outliers * dt + rng.random())
            )
        if plant.talking and pods and rng.random() < 0.5 * dt:
            self._talk(pods[rng.randrange(len(pods))].name, capacity)

    def _compute(self, dt: float) -> None:
        """Count the CPU of each worker: one core is all that it has."""
        metrics, pods = self.plant.metrics, {pod.name for pod in self.plant.fleet.working(INGESTOR)}
        for name in sorted(self._counted - pods):
            metrics.remove(INGESTOR, CPU, pod=name)
        for name in sorted(pods):
            used = min(1.0, IDLE + (1.0 - IDLE) * self.busy)
            metrics.value(INGESTOR, CPU, pod=name).inc(round(used * dt, 4))
        self._counted = pods

    def _fetch(self, connector: Connector, pods: tuple[object, ...], dt: float) -> float:
        """Return the events that the pods' polls brought in `dt` seconds."""
        plant, rng = self.plant, self.plant.rng
        metrics = plant.metrics
        calls_rate, interval, limit = 0.0, 0.0, math.inf
        everywhere = bool(pods)
        for pod in plant.fleet.working(INGESTOR):
            if connector.name in {n.strip() for n in pod.env.get("M0_CONNECTORS_DISABLED", "").split(",")}:
                continue
            everywhere = False
            pause_ms = max(
                number(pod.env, "M0_POLL_INTERVAL_MS", 1000.0), number(pod.env, "M0_CACHE_TTL_MS", 500.0), 50.0
            )
            calls_rate += 1000.0 / pause_ms
            interval += pause_ms / 1000.0
            limit = min(limit, _limit(pod.env, connector.name))
        calls_rate = min(calls_rate, limit)
        connector.disabled = everywhere
        if connector.disabled:
            connector.pending = 0.0  # nobody waits for these events any more
            connector.refused_ratio = 0.0
            return 0.0
        connector.pending = min(
            connector.pending + connector.rate * self.burst * dt * (0.97 + 0.06 * rng.random()),
            connector.rate * self.burst * RETENTION_S,
        )
        if not calls_rate:
            return 0.0
        over = calls_rate / connector.quota
        allowed = calls_rate if over <= 1.0 else connector.quota / over**3
        connector.refused_ratio = 1.0 - allowed / calls_rate
        calls = int(calls_rate * dt + rng.random())
        succeeded = allowed * (1.0 - connector.failing) * (1.0 - connector.garbled)
        refused = int(calls * connector.refused_ratio + rng.random())
        if refused and over > 1.0:
            metrics.value(INGESTOR, "m0_connector_errors_total", connector=connector.name, reason="rate_limited").inc(
                refused
            )
            self.rate_limited += refused
            if plant.talking and rng.random() < dt:
                pod = plant.fleet.working(INGESTOR)[0]
                plant.say(
                    pod.name,
                    f"WARN connector={connector.name} http 429 Too Many Requests rate limit exceeded "
                    f"quota={connector.quota:g}/s "
                    f"calls={calls_rate:.1f}/s retry_after=30s",
                )
        failed = int(calls * connector.failing + rng.random())
        if failed:
            reason = connector.fault or ("timeout" if rng.random() < 0.7 else "http_5xx")
            metrics.value(INGESTOR, "m0_connector_errors_total", connector=connector.name, reason=reason).inc(failed)
            if connector.fault and rng.random() < dt:
                words = "http 502 Bad Gateway" if reason == "http_5xx" else "timed out after 4 s"
                plant.say(
                    plant.fleet.working(INGESTOR)[0].name, f"ERROR connector={connector.name} poll failed: {words}"
                )
        garbled = int((calls - refused) * connector.garbled + rng.random())
        if garbled and connector.garbled:
            metrics.value(INGESTOR, "m0_connector_errors_total", connector=connector.name, reason="schema").inc(garbled)
            if rng.random() < dt:
                plant.say(
                    plant.fleet.working(INGESTOR)[0].name,
                    f'ERROR connector={connector.name} schema: unknown field "price_pct", "odds" is missing: event '
                    "dropped",
                )
        self._poll_latency(connector, calls)
        fetched = min(connector.pending, succeeded * PAGE * dt)
        connector.pending -= fetched
        return fetched

    def _poll_latency(self, connector: Connector, calls: int) -> None:
        """Record the polls' latency: with no worker free, a poll takes seconds."""
        if calls <= 0:
            return
        wait = 1.0 if self.busy < 1.0 or self.backlog["raw-events"] < 500 else 18.0
        histogram = self.plant.metrics.histogram(INGESTOR, "m0_connector_poll_latency_ms", connector=connector.name)
        draws = min(calls, 8)
        for i in range(draws):
            times = calls // draws + (i < calls % draws)
            histogram.observe(self.plant.rng.lognormvariate(0.0, 0.35) * connector.latency_ms * wait, times)

    def _freshness(self, connector: Connector, queue_s: float, dt: float) -> None:
        metrics = self.plant.metrics
        domain = connector.name
        pods = self.plant.fleet.working(INGESTOR)
        if connector.disabled:
            metrics.remove(INGESTOR, "m0_watermark_lag_ms", connector=domain)
            connector.lag_s = 0.0
            target = FRESH
        else:
            rate = connector.rate * self.burst
            source_s = max(0.0, connector.pending - rate) / rate
            poll = max((number(p.env, "M0_POLL_INTERVAL_MS", 1000.0) for p in pods), default=1000.0)
            ttl = max((number(p.env, "M0_CACHE_TTL_MS", 500.0) for p in pods), default=500.0)
            if pods:
                base = BASE_LAG_S + 0.05 * max(poll, ttl) / 1000.0 + 0.04 * self.plant.rng.random()
                connector.lag_s = base + source_s + queue_s
            else:
                connector.lag_s += dt
            missing = (connector.lag_s - STALE_AFTER_S) / (LOST_AFTER_S - STALE_AFTER_S)
            target = FRESH - (FRESH - CARRIED) * min(1.0, max(0.0, missing))
            metrics.value(INGESTOR, "m0_watermark_lag_ms", connector=domain).value = round(connector.lag_s * 1000.0)
        available = SOURCES - connector.disabled
        target -= PER_SOURCE * max(0, self.plant.quant.expected_sources - available)
        smooth = 1.0 - 0.9 ** max(dt, 0.1)
        self.coverage[domain] += (target - self.coverage[domain]) * min(1.0, smooth * 3)

    def gauges(self) -> None:
        """Set the gauges that only need to be right when they are scraped."""
        metrics, rng = self.plant.metrics, self.plant.rng
        for domain, coverage in self.coverage.items():
            noisy = coverage + rng.uniform(-0.003, 0.003)
            metrics.value(AGGREGATOR, "m0_coverage_ratio", domain=domain).value = round(noisy, 4)
        for topic in TOPICS:
            extra = rng.randrange(20, 120)
            metrics.value(AGGREGATOR, "m0_eventlog_backlog", topic=topic).value = float(
                int(self.backlog[topic]) + extra
            )

    def _talk(self, pod: str, capacity: float) -> None:
        backlog = int(self.backlog["raw-events"])
        if backlog > 1000:
            self.plant.say(
                pod, f"WARN worker pool saturated busy={self.busy:.2f} backlog={backlog} capacity={capacity:.0f}/s"
            )
        else:
            connector = self.plant.rng.choice(list(self.connectors.values()))
            self.plant.say(
                pod,
                f"INFO polled connector={connector.name} events={int(connector.rate)} "
                f"watermark_lag_ms={connector.lag_s * 1000:.0f}",
            )
