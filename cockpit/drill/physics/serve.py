"""Simulates reconciler, API and database: what consumers see of the chain.

Each ready gateway takes so many requests a second, half of that while its cache is cold; what is
above is answered 503. With `M0_CACHE_ONLY` a gateway needs no database: it answers from what the
reconciler wrote into the cache, a little later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cockpit.drill.names import API, MARKETS, QUANT, RECONCILER, SUBMITTER
from cockpit.drill.physics.authority import Refused
from cockpit.drill.physics.fleet import PodView, number

if TYPE_CHECKING:
    from cockpit.drill.physics.plant import Plant

REQUESTS = 40.0  # a second
PER_POD = 45.0
COLD_S = 20.0  # so long after its start a gateway's cache is cold
CACHED = 1.4  # times the requests that a gateway takes when it asks no database
CACHE_LAG_S = 8.0  # the cache is written this often
LEAKED = 0.6  # of the requests to a gateway whose connections have leaked away fail
FAILOVER_S = 15.0  # from the order until the replica takes writes
BASE_FAILING = 0.001
TOLERATED = 0.01  # failing requests above this share count as harm
RECONCILE_S = 0.4  # from the chain to Postgres
#: Troubles of the database (switches of `cockpit.drill.postgres.DrillPostgres`) → what each does to
#: query times where no real database is attached to show it.
TROUBLES = {
    "slow_query": 45.0,
    "missing_index": 70.0,
    "vacuum_debt": 60.0,
    "fail_archiver": 1.0,
    "hold_lock": 40.0,
    "write_volume": 50.0,
}
#: Times the usual query time from which the API gives up on some requests; from twice that, on all.
TIMEOUTS_FROM = 25.0
ARCHIVER = "fail_archiver"  # of TROUBLES: nothing fits on the archive's disk
UNCACHED = 0.08  # of the requests ask the database
WRITERS = 2  # publishers whose checkpoints the database can take
CODES = ("200", "304", "404", "500", "503", "504")


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counts one step's requests.

    `busy`: what is asked against what the gateways take.
    """

    busy: float
    refused: int  # 503
    leaked: int  # 500: no connection left
    usual: int  # 500, as on any day
    refused_by: Mapping[str, float] = field(default_factory=dict)  # gateway → its part of those
    leaked_by: Mapping[str, float] = field(default_factory=dict)


class Serve:
    """Answers API requests from the database or the cache.

    Scenarios move these: `database_slow` multiplies query times; `database_down` makes the API
    answer 503; `database_troubles` are names of TROUBLES.

    `database_felt`: the slowdown measured on the attached database; None without one.
    `checkpointing`: each concurrent publisher writes its whole state to the database at every tick.
    `demand` is requests a second, `leaks_after_s` the age at which a gateway has lost its
    connections (None: never). `cache_down`: the cache refuses connections, every request asks the
    database.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.database_slow = 1.0
        self.database_down = False
        self.database_troubles: set[str] = set()
        self.database_felt: float | None = None
        self.checkpointing = False
        self.size = 1.0  # of the database's machine, in times that of a calm day
        self.backup_at: float | None = None  # of the last good backup; None: a few hours before the drill began
        self.demand = REQUESTS
        self.leaks_after_s: float | None = None
        self.cache_down = False
        self.failing: dict[int, float] = {}  # status → share of the last requests that were answered so
        self.failed_requests = 0.0  # above what is tolerated (harm)
        self._promoted_at: float | None = None
        self._restored = False  # the database is older than the chain, and nobody has aligned them
        self._counting: set[str] = set()  # gateways whose answers are exported
        self._turn = 0  # whose turn it is to answer the one request that cannot be shared
        self.served = dict(plant.publish.published)
        self.epochs = dict(plant.publish.epochs)
        for service in (API, RECONCILER):
            plant.metrics.value(service, "m0_db_timeouts_total", service=service)

    @property
    def slow(self) -> float:
        """Return how many times its usual duration a query takes."""
        felt = self.database_felt
        if felt is None:
            felt = max(1.0, max((TROUBLES[name] for name in self.troubles), default=1.0) / self.size**2)
        return self.database_slow * felt

    @property
    def troubles(self) -> frozenset[str]:
        """Return the TROUBLES that scenarios inject or that the publishers cause themselves."""
        own = {"write_volume"} if self.checkpointing and self._writes() > WRITERS * self.size else set()
        return frozenset(self.database_troubles | own)

    def _writes(self) -> float:
        """Return the concurrent publishers whose state is written, at the cadence of a calm day."""
        return self._publishers() * self.plant.publish.tempo

    def _publishers(self) -> int:
        pods = self.plant.fleet.working(SUBMITTER)
        return sum(max(1, int(number(pod.env, "M0_PUBLISH_CONCURRENCY", 4.0))) for pod in pods)

    @property
    def cached(self) -> bool:
        """Return whether every gateway answers from the cache only."""
        pods = self.plant.fleet.ready(API)
        return bool(pods) and all(_cached(pod) for pod in pods)

    @property
    def unavailable(self) -> bool:
        """Return whether the gateways need the database while it is down."""
        return self.database_down and not self.cached

    def failover(self) -> None:
        """Promote the replica, as the database's own tool does.

        Nothing answers meanwhile, also when the primary was well.
        """
        self.database_down = True
        self._promoted_at = self.plant.clock.now() + FAILOVER_S

    def enlarge(self) -> None:
        """Double the database's machine, as its provider does; raises Refused for a real one.

        Where a query reads a table whole, twice the memory and twice the processors tell twice.
        """
        if self.database_felt is not None:
            raise Refused("this drill's PostgreSQL runs on your own machine, which cannot be made larger")
        self.size *= 2.0

    def move_analytics(self) -> None:
        """Run the reports elsewhere from now on: none begins anew on the primary."""
        self.database_troubles.discard("slow_query")

    def restore(self, to: float) -> None:
        """Restore the database to `to` (unix seconds), as the operator's command does.

        Raises Refused.
        """
        now = self.plant.clock.now()
        writers = [name for name in (SUBMITTER, QUANT) if self.plant.kube.pods(name)]
        if writers:
            raise Refused(f"sessions of {' and '.join(writers)} write to the database: stop them first")
        if not self.plant.began - 7 * 86400.0 <= to <= now:
            raise Refused("no backup reaches back to that time" if to < now else "that time is in the future")
        self._restored = True
        self.served = {market: min(at, to) for market, at in self.served.items()}

    def align(self) -> None:
        """Let a restored database catch up with the chain, as the reconciler's job does."""
        self._restored = False
        self.reconcile()

    @property
    def archivable(self) -> bool:
        """Return whether a backup taken now would get through.

        It needs a database, and room in the archive.
        """
        return not self.database_down and ARCHIVER not in self.database_troubles

    def back_up(self) -> None:
        """Record a good backup, as the completed job leaves one."""
        self.backup_at = self.plant.clock.now()

    def expire_backups(self) -> None:
        """Free the archive's disk, as the completed expiry job does."""
        self.database_troubles.discard(ARCHIVER)

    def reconcile(self) -> None:
        """Show consumers what the chain says."""
        if not self.database_down and not self._restored:
            self.served.update(self.plant.publish.published)
            self.epochs.update(self.plant.publish.epochs)

    def step(self, dt: float) -> None:
        plant, rng = self.plant, self.plant.rng
        if self._promoted_at is not None and plant.clock.now() >= self._promoted_at:
            self.database_down, self._promoted_at = False, None
        if plant.fleet.working(RECONCILER):
            self.reconcile()
        pods = plant.fleet.ready(API)
        self._exported(plant.fleet.working(API))
        requests = int(self.demand * dt + rng.random())
        if not pods:
            self.failing = {503: 1.0}
            self.failed_requests += requests
            return
        traffic = self._spread(pods, requests)
        latency = plant.metrics.histogram(API, "m0_api_latency_ms")
        draws = min(requests, 6)
        slow = 1.0 if self.cached else self.slow
        for i in range(draws):
            times = requests // draws + (i < requests % draws)
            wait = 8.0 if rng.random() < traffic.leaked / max(1, requests) else 1.0
            crowd = 0.7 / (1.0 - min(0.97, max(0.3, traffic.busy)))
            latency.observe(rng.lognormvariate(0.0, 0.56) * 35.0 * slow**0.5 * wait * crowd, times)
        if plant.fleet.working(RECONCILER):
            self._query(draws, requests)
        missing = int(requests * 0.004 + rng.random())
        hopeless = min(1.0, max(0.0, slow / TIMEOUTS_FROM - 1.0))
        asking = 1.0 if self.cache_down else UNCACHED
        timed_out = int(requests * asking * hopeless + rng.random()) if hopeless else 0
        plant.metrics.value(API, "m0_db_timeouts_total", service=API).inc(timed_out)
        self._read_cache(pods, requests)
        codes = {"500": traffic.leaked + traffic.usual, "503": traffic.refused, "404": missing, "504": timed_out}
        codes["200"] = max(0, requests - sum(codes.values()))
        self.failing = {int(code): count / max(1, requests) for code, count in codes.items() if code >= "500" and count}
        whose = {"503": traffic.refused_by, "500": traffic.leaked_by if traffic.leaked else {}}
        for code, count in codes.items():
            self._answered(pods, code, count, whose.get(code, {}))
        failed = traffic.leaked + traffic.refused + timed_out
        self.failed_requests += max(0.0, failed - TOLERATED * requests)
        if plant.talking and rng.random() < 0.5 * dt:
            self._talk(pods, traffic)

    def _exported(self, pods: tuple[PodView, ...]) -> None:
        """Export every code of each gateway from its start on, and none once it is gone."""
        metrics, now = self.plant.metrics, {pod.name for pod in pods}
        for name in sorted(now - self._counting):  # the same order whatever the process
            for code in CODES:
                metrics.value(API, "m0_api_requests_total", code=code, pod=name)
        for name in sorted(self._counting - now):
            for code in CODES:
                metrics.remove(API, "m0_api_requests_total", code=code, pod=name)
        self._counting = now

    def _answered(self, pods: tuple[PodView, ...], code: str, count: int, weights: Mapping[str, float]) -> None:
        """Count the answers of one code for the gateways that gave them.

        By weight, where gateways do not share them equally.
        """
        total = sum(weights.values())
        left = count
        for pod in pods:
            share = weights.get(pod.name, 0.0) / total if total else 1.0 / len(pods)
            own = min(left, int(count * share))
            left -= own
            if own:
                self.plant.metrics.value(API, "m0_api_requests_total", code=code, pod=pod.name).inc(own)
        candidates = [pod for pod in pods if not total or weights.get(pod.name)]
        for _ in range(left):
            self._turn += 1
            pod = candidates[self._turn % len(candidates)]
            self.plant.metrics.value(API, "m0_api_requests_total", code=code, pod=pod.name).inc()

    def _spread(self, pods: tuple[PodView, ...], requests: int) -> Traffic:
        """Spread requests over the ready gateways in equal parts."""
        rng, now = self.plant.rng, self.plant.clock.now()
        dt_requests = requests / max(self.demand, 1.0)  # the seconds that these requests are from
        room = 0.0
        refused = dict.fromkeys((pod.name for pod in pods), 0.0)
        leaked = dict(refused)
        for pod in pods:
            share = requests / len(pods)
            taken = PER_POD * dt_requests * (CACHED if _cached(pod) else 1.0)
            taken *= 0.5 if now - pod.started_at < COLD_S or self.cache_down else 1.0
            room += taken
            if self.database_down and not _cached(pod):
                refused[pod.name] = share
                continue
            refused[pod.name] = max(0.0, share - taken)
            if self._leaked(pod):
                leaked[pod.name] = min(share, taken) * LEAKED
        usual = int(requests * BASE_FAILING + rng.random())
        return Traffic(
            busy=requests / room if room else 1.0,
            refused=int(sum(refused.values()) + rng.random()),
            leaked=int(sum(leaked.values()) + rng.random()),
            usual=usual,
            refused_by=refused,
            leaked_by=leaked,
        )

    def _leaked(self, pod: PodView) -> bool:
        after = self.leaks_after_s
        return after is not None and self.plant.clock.now() - pod.started_at >= after and not _cached(pod)

    def _query(self, draws: int, requests: int) -> None:
        """Record how long queries take.

        The cache asks none; a dead server answers none until the client gives up.
        """
        queries = self.plant.metrics.histogram(RECONCILER, "m0_db_query_latency_ms")
        rng = self.plant.rng
        if self.database_down:
            queries.observe(5000.0, draws)
            self.plant.metrics.value(RECONCILER, "m0_db_timeouts_total", service=RECONCILER).inc(draws)
            return
        for i in range(draws):
            queries.observe(rng.lognormvariate(0.0, 0.5) * 3.0 * self.slow, requests // draws + (i < requests % draws))

    def _read_cache(self, pods: tuple[PodView, ...], requests: int) -> None:
        """Count the reads of the cache by what came of them: a cold gateway misses half."""
        now, metrics = self.plant.clock.now(), self.plant.metrics
        cold = sum(now - pod.started_at < COLD_S for pod in pods) / len(pods)
        missed = requests * min(1.0, UNCACHED + 0.5 * cold)
        results = {"error": float(requests)} if self.cache_down else {"hit": requests - missed, "miss": missed}
        for result, count in {"hit": 0.0, "miss": 0.0, "error": 0.0, **results}.items():
            metrics.value(API, "m0_cache_requests_total", result=result).inc(count)

    def _talk(self, pods: tuple[PodView, ...], traffic: Traffic) -> None:
        plant, rng = self.plant, self.plant.rng
        pod = pods[rng.randrange(len(pods))]
        market = rng.choice(list(MARKETS))
        path = f"GET /v1/markets/{market}/latest"
        if self.database_down and not _cached(pod):
            words = f"ERROR {path} 503 postgres: connection refused (primary m0-postgres-0:5432)"
        elif self._leaked(pod) and rng.random() < LEAKED:
            age_h = (plant.clock.now() - pod.started_at) / 3600.0
            words = (
                f"ERROR {path} 500 postgres: connection pool exhausted in_use=20 idle=0 waiting=37 uptime_h={age_h:.0f}"
            )
        elif traffic.refused and rng.random() < 0.5:
            words = f"WARN {path} 503 too many requests in flight limit=64 cpu=0.99"
        else:
            words = f"INFO {path} 200 age_ms={self.age_s(market) * 1000:.0f} {self._cache(pod)}"
        plant.say(pod.name, words)

    def _cache(self, pod: PodView) -> str:
        """Word what a gateway says of its cache with an answer."""
        if _cached(pod):
            return "cache=only redis=ok"
        if self.cache_down:
            return "cache=error redis=connection refused"
        age_s = self.plant.clock.now() - pod.started_at
        if age_s < COLD_S:
            return f"cache=cold redis=ok warm_in={COLD_S - age_s:.0f}s"
        return "cache=miss redis=ok" if self.plant.rng.random() < UNCACHED else "cache=hit redis=ok"

    def age_s(self, market: str) -> float:
        """Return the age of the data behind the newest output served."""
        lag = CACHE_LAG_S if self.cached else 0.0
        return max(0.0, self.plant.clock.now() - self.served[market] + RECONCILE_S + lag)

    def gauges(self) -> None:
        metrics, rng = self.plant.metrics, self.plant.rng
        for market in MARKETS:
            metrics.value(API, "m0_output_age_ms", market=market).value = round(self.age_s(market) * 1000.0)
            metrics.value(API, "m0_output_epoch", market=market).value = float(self.epochs[market])
        if self.database_down:
            metrics.remove(RECONCILER, "m0_db_cpu_ratio")  # its exporter is down with it
        else:
            metrics.value(RECONCILER, "m0_db_cpu_ratio").value = round(
                min(0.995, 0.31 * self.slow**0.3 + rng.uniform(-0.02, 0.02)), 3
            )
        backup = self.plant.began - 3.2 * 3600 if self.backup_at is None else self.backup_at
        metrics.value(RECONCILER, "m0_backup_last_success_timestamp_seconds").value = float(int(backup))


def _cached(pod: PodView) -> bool:
    return pod.env.get("M0_CACHE_ONLY", "false").lower() == "true"
