"""The world: one deterministic, seeded simulation of the pipeline, over the pods that the embedded cluster runs.

Scenarios change causes only (an endpoint's failures, a provider's quota); metrics follow. `advance` moves the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from cockpit.drill.clock import SimClock
from cockpit.drill.kubernetes import KubernetesWorld
from cockpit.drill.kubernetes.behaviour import Behaviour
from cockpit.drill.names import MARKETS, NAMESPACE, SERVICES
from cockpit.drill.physics.fleet import Fleet
from cockpit.drill.physics.ingest import Ingest
from cockpit.drill.physics.publish import Publish
from cockpit.drill.physics.quant import Quant
from cockpit.drill.physics.rpc import Network
from cockpit.drill.physics.serve import Serve
from cockpit.drill.physics.sign import Sign
from cockpit.drill.scenarios import SCENARIOS, Scenario
from cockpit.drill.series import Registry, Store

SAMPLE_S = 5.0
STEP_S = 0.5  # the physics' step while someone watches
COARSE_S = 5.0  # and for the past
HISTORY_S = 3600.0
UPTIME_S = 4 * 86400.0  # how long the pods have been running when a drill starts
STALE_S = 60.0  # outputs older than this count as harm
#: What a service under attack may print: escapes that clear, retitle, write the clipboard, reorder text, or break markup.
HOSTILE = (
    "WARN odd payload \x1b[2J\x1b[H\x1b]0;pwned\x07 end",
    "WARN odd payload \x1b]52;c;cm0gLXJmIC8=\x07 \x1bc \x9b31m end",
    "WARN market name \u202egnp.exe\u2069 zero\u200bwidth end",
    "WARN [bold red]markup[/b] [link=file:///etc/passwd]x[/link] end",
    "WARN carriage\rreturn and \x08\x08 backspaces password=hunter2secret end",
)
LOG_PAST_S = 180.0  # pods have this much of log when a drill starts


@dataclass(slots=True)
class Harm:
    """What an incident, and the operator's steps, have cost since the drill started."""

    publishing_gap_s: float = 0.0  # time without a reveal for more than 10 s
    stale_s: float = 0.0  # time in which some market's output was older than 60 s
    replay_violations: int = 0
    threshold_misses: int = 0
    rate_limited: int = 0  # 429s from providers

    @property
    def words(self) -> str:
        return (
            f"publishing gap {self.publishing_gap_s:.0f} s, stale outputs {self.stale_s:.0f} s, "
            f"{self.replay_violations} replay violations, {self.threshold_misses} threshold misses, {self.rate_limited} × 429"
        )


class World:
    """Everything that exists in a drill. `scenario` is a name of SCENARIOS (None: calm), already `aged` seconds old.

    Construction lives through the past (pods days old, an hour of samples) and so moves the clock on by `UPTIME_S`: make it
    with `past_clock(start_at)`. Raises KeyError when there is no such scenario.
    """

    def __init__(
        self,
        *,
        seed: int,
        clock: SimClock,
        scenario: str | None = None,
        aged_s: float | None = None,
        history_s: float = HISTORY_S,
    ) -> None:
        self.rng = Random(seed)
        self._talker = Random(seed + 1)
        self.clock = clock
        self.scenario: Scenario = SCENARIOS[scenario or "calm"]
        self.talking = False  # log lines are written
        self.hostile_logs = False  # some of them try to drive the terminal
        self.metrics = Registry()
        self.store = Store()
        self.kube = KubernetesWorld(clock, seed, NAMESPACE, _behaviour)
        self._populate()
        age = self.scenario.aged_s if aged_s is None else aged_s
        wait = UPTIME_S - history_s - age - (clock.now() - self._created)
        clock.advance(max(0.0, wait))
        self.began = clock.now()
        self.kube.step()
        self.network = Network()
        self.fleet = Fleet(self.kube.running)
        self.ingest = Ingest(self)
        self.quant = Quant(self)
        self.sign = Sign(self)
        self.publish = Publish(self)
        self.serve = Serve(self)
        self.harm = Harm()
        self._owed = 0.0  # simulated seconds that the physics has yet to live through
        self._sampled = float("-inf")
        self._trimmed = clock.now()
        self._harm_base = (0, 0, 0)
        self._remember(history_s, log=age == 0)
        self.scenario.inject(self)
        if age:
            self._remember(age, log=True)
        self.talking = True
        self.harm = Harm()
        self._harm_base = (self.publish.replays, self.sign.misses, self.ingest.rate_limited)

    @staticmethod
    def past_clock(start_at: float, speed: float = 1.0) -> SimClock:
        """A clock from which a new World arrives at `start_at` when it is built."""
        return SimClock(start_at - UPTIME_S, speed)

    def _populate(self) -> None:
        self._created = self.clock.now()
        for spec in SERVICES.values():
            self.kube.deploy(
                spec.name,
                image=spec.image,
                replicas=spec.replicas,
                env=spec.env,
                secret_env=spec.secret_env,
                strategy=spec.strategy,
            )
        self.kube.configmap("m0-engine-config", {"publish_cadence_ms": "500", "reveal_delay_ms": "1000"})
        self.kube.settle()

    def _remember(self, seconds: float, *, log: bool) -> None:
        """Live through `seconds` quickly. Nobody changes the cluster meanwhile."""
        end = self.clock.now() + seconds
        while self.clock.now() < end - 1e-6:
            left = end - self.clock.now()
            self.talking = log and left <= LOG_PAST_S
            dt = min(COARSE_S, left)
            self.clock.advance(dt)
            self._live(dt)
        self.kube.step()
        self.fleet.refresh()

    def advance(self, seconds: float) -> None:
        """Move the world on by simulated seconds: the cluster at every call, the physics in steps of half a second."""
        end = self.clock.now() + seconds
        while (left := end - self.clock.now()) > 1e-9:
            dt = min(STEP_S - self._owed, left)
            self.clock.advance(dt)
            self._owed += dt
            self.kube.step()
            self.fleet.refresh()
            if self._owed >= STEP_S - 1e-6:
                owed, self._owed = self._owed, 0.0
                self._live(owed)

    def step(self, dt: float) -> None:
        """One step of `dt` simulated seconds, clock included."""
        self.advance(dt)

    def _live(self, dt: float) -> None:
        """The pipeline's last `dt` seconds, up to the clock."""
        self.ingest.step(dt)
        self.publish.step(dt)
        self.serve.step(dt)
        self._count_harm(dt)
        now = self.clock.now()
        if now - self._sampled >= SAMPLE_S - 1e-6:
            self._sampled = now
            self.sample()

    def sample(self) -> None:
        """Bring gauges up to date and scrape every service that has a working pod."""
        for stage in (self.ingest, self.quant, self.publish, self.serve):
            stage.gauges()
        up = self.jobs_up()
        for job in SERVICES:
            self.metrics.value(job, "up").value = 1.0
        self.metrics.sample(self.store, self.clock.now(), up)
        if self.clock.now() - self._trimmed > 600.0:
            self._trimmed = self.clock.now()
            self.store.trim(self.clock.now())

    def jobs_up(self) -> set[str]:
        """Services that answer a scrape."""
        return {job for job in SERVICES if self.fleet.working(job)}

    def _count_harm(self, dt: float) -> None:
        now = self.clock.now()
        if now - self.publish.last_reveal > 10.0:
            self.harm.publishing_gap_s += dt
        if any(self.serve.age_s(market) > STALE_S for market in MARKETS):
            self.harm.stale_s += dt
        replays, misses, refused = self._harm_base
        self.harm.replay_violations = self.publish.replays - replays
        self.harm.threshold_misses = self.sign.misses - misses
        self.harm.rate_limited = self.ingest.rate_limited - refused

    def trace(self) -> str:
        return f"{self._talker.getrandbits(128):032x}"

    def say(self, pod: str, line: str, trace: str | None = None) -> None:
        """A log line of a pod, with a trace id."""
        if not self.talking:
            return
        self.kube.log(pod, f"{line} trace_id={trace or self.trace()}")
        if self.hostile_logs and self._talker.random() < 0.2:
            self.kube.log(pod, self._talker.choice(HOSTILE))


def _behaviour(service: str, image: str, env: object) -> Behaviour:
    del image, env
    spec = SERVICES.get(service)
    if spec is None:
        return Behaviour()
    return Behaviour(
        startup_s=spec.startup_s,
        stop_s=spec.stop_s,
        log=(
            f"INFO {service} starting",
            "INFO configuration loaded",
            "INFO listening on :9090 (/healthz /readyz /metrics)",
        ),
    )
