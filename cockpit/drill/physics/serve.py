"""Reconciler, API and database: what consumers see of the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.drill.names import API, MARKETS, RECONCILER

if TYPE_CHECKING:
    from cockpit.drill.world import World

REQUESTS = 40.0  # a second
PER_POD = 45.0
RECONCILE_S = 0.4  # from the chain to Postgres


class Serve:
    """`database_slow` multiplies query times; `database_down` makes the API answer 503: scenarios move them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.database_slow = 1.0
        self.database_down = False
        self.served = dict(world.publish.published)
        self.epochs = dict(world.publish.epochs)
        self.start()

    def start(self) -> None:
        for code in ("200", "304", "404", "500", "503"):
            self.world.metrics.value(API, "m0_api_requests_total", code=code)

    def step(self, dt: float) -> None:
        world, rng = self.world, self.world.rng
        if world.fleet.working(RECONCILER) and not self.database_down:
            self.served.update(world.publish.published)
            self.epochs.update(world.publish.epochs)
        pods = world.fleet.ready(API)
        if not pods:
            return
        requests = int(REQUESTS * dt + rng.random())
        overload = max(0.0, 1.0 - PER_POD * len(pods) / REQUESTS)
        latency = world.metrics.histogram(API, "m0_api_latency_ms")
        queries = world.metrics.histogram(RECONCILER, "m0_db_query_latency_ms")
        draws = min(requests, 6)
        for i in range(draws):
            times = requests // draws + (i < requests % draws)
            latency.observe(rng.lognormvariate(0.0, 0.56) * 35.0 * self.database_slow**0.5 / (1.001 - overload), times)
            queries.observe(rng.lognormvariate(0.0, 0.5) * 3.0 * self.database_slow, times)
        failed = requests if self.database_down else int(requests * (0.001 + overload) + rng.random())
        missing = int(requests * 0.004 + rng.random())
        codes = {"500" if overload == 0 and not self.database_down else "503": failed, "404": missing}
        codes["200"] = max(0, requests - failed - missing)
        for code, count in codes.items():
            world.metrics.value(API, "m0_api_requests_total", code=code).inc(count)
        if world.talking and rng.random() < 0.5 * dt:
            pod = pods[rng.randrange(len(pods))]
            market = rng.choice(list(MARKETS))
            world.say(pod.name, f"INFO GET /v1/markets/{market}/latest 200 age_ms={self.age_s(market) * 1000:.0f}")

    def age_s(self, market: str) -> float:
        """Age of the data behind the newest output served."""
        return max(0.0, self.world.clock.now() - self.served[market] + RECONCILE_S)

    def gauges(self) -> None:
        metrics, rng = self.world.metrics, self.world.rng
        for market in MARKETS:
            metrics.value(API, "m0_output_age_ms", market=market).value = round(self.age_s(market) * 1000.0)
            metrics.value(API, "m0_output_epoch", market=market).value = float(self.epochs[market])
        metrics.value(RECONCILER, "m0_db_cpu_ratio").value = round(
            0.31 * self.database_slow**0.3 + rng.uniform(-0.02, 0.02), 3
        )
        backup = self.world.began - 3.2 * 3600
        metrics.value(RECONCILER, "m0_backup_last_success_timestamp_seconds").value = float(int(backup))
