"""Simulates the pipeline, deterministic and seeded, over the pods that the embedded cluster runs.

Scenarios change causes only (an endpoint's failures, a provider's quota); metrics follow. `advance`
moves the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Protocol

from cockpit.drill.clock import SimClock, rfc3339
from cockpit.drill.harm import Harm, Meter
from cockpit.drill.kubernetes import KubernetesWorld
from cockpit.drill.kubernetes.behaviour import Behaviour
from cockpit.drill.kubernetes.controllers.job import ended
from cockpit.drill.kubernetes.objects.resources import JOBS as JOB_OBJECTS
from cockpit.drill.kubernetes.objects.resources import SECRETS
from cockpit.drill.names import (
    CONFIG,
    FIRST_SEQUENCE,
    JOBS,
    MARKETS,
    MODEL_VERSION,
    NAMESPACE,
    QUANT,
    RPC_URLS,
    SECRET,
    SERVICES,
    SIGNER,
    SIGNER_SET_ID,
    SIGNERS,
    SOURCES,
    STAGING,
    SUBMITTER,
    ServiceSpec,
)
from cockpit.drill.physics import models
from cockpit.drill.physics.authority import Authority
from cockpit.drill.physics.fleet import Fleet
from cockpit.drill.physics.ingest import Ingest
from cockpit.drill.physics.publish import Publish
from cockpit.drill.physics.quant import Quant
from cockpit.drill.physics.releases import BATCH, USUAL_BATCH, Releases
from cockpit.drill.physics.serve import Serve
from cockpit.drill.physics.sign import Sign
from cockpit.drill.prometheus.series import Registry, SeriesStore
from cockpit.drill.solana.node.network import Network, stream_url
from cockpit.drill.solana.program.keys import Keys
from cockpit.drill.solana.program.oracle import Oracle

SAMPLE_S = 5.0
STEP_S = 0.5  # the physics' step while someone watches
COARSE_S = 5.0  # and for the past
HISTORY_S = 3600.0
UPTIME_S = 4 * 86400.0  # how long the pods have been running when a drill starts
#: What a service under attack may print: escapes that clear, retitle, write the clipboard, reorder
#: text, or break markup.
HOSTILE = (
    "WARN odd payload \x1b[2J\x1b[H\x1b]0;pwned\x07 end",
    "WARN odd payload \x1b]52;c;cm0gLXJmIC8=\x07 \x1bc \x9b31m end",
    "WARN market name \u202egnp.exe\u2069 zero\u200bwidth end",
    "WARN [bold red]markup[/b] [link=file:///etc/passwd]x[/link] end",
    "WARN carriage\rreturn and \x08\x08 backspaces password=hunter2secret end",
)
CHAIN_PAST_S = 480.0  # the chain's transactions can be read so far back
FILLING_S = 60.0  # from an empty pipeline to one in which everything is under way
LOG_PAST_S = 180.0  # pods have this much of log when a drill starts


class Injection(Protocol):
    """Changes the world by one incident of a scenario, so many seconds before the start."""

    @property
    def aged_s(self) -> float: ...
    @property
    def inject(self) -> Callable[[World], None]: ...


class Injections(Protocol):
    """Gives the world what it asks of a scenario, so that it need not know scenarios.

    `aged_s` is that of the oldest of its `incidents`.
    """

    @property
    def aged_s(self) -> float: ...
    @property
    def incidents(self) -> Sequence[Injection]: ...


class World:
    """Holds everything that exists in a drill.

    `scenario` (see `scenarios.find`; None: a calm day) is already `aged_s` seconds old; its own age
    by default. `decoys`: what else is changed before and after it began. `step_s`: the physics'
    step; tests take larger ones. `rpc_urls`: endpoint → address,
    where Solana servers are listening (else hosts that exist in the story alone).

    Construction lives through the past (pods days old, an hour of samples) and so moves the clock
    on by `UPTIME_S`: make it with `past_clock(start_at)`.
    """

    def __init__(
        self,
        *,
        seed: int,
        clock: SimClock,
        scenario: Injections | None = None,
        aged_s: float | None = None,
        history_s: float = HISTORY_S,
        decoys: Sequence[Injection] = (),
        rpc_urls: Mapping[str, str] = RPC_URLS,
    ) -> None:
        self.rng = Random(seed)
        self._talker = Random(seed + 1)
        self.clock = clock
        self.step_s = STEP_S
        self.talking = False  # log lines are written
        self.hostile_logs = False  # some of them try to drive the terminal
        self.metrics = Registry()
        self.store = SeriesStore()
        self.rpc_urls = rpc_urls
        self.releases = Releases()
        self.caused: list[tuple[str, str, frozenset[str]]] = []  # what the causes changed in the cluster
        self.kube = KubernetesWorld(clock, seed, NAMESPACE, self._behaviour)
        self._populate()
        own_age = scenario.aged_s if scenario is not None else 0.0
        age = own_age if aged_s is None else aged_s
        wait = UPTIME_S - FILLING_S - history_s - age - (clock.now() - self._created)
        clock.advance(max(0.0, wait))
        self.began = clock.now()
        self.kube.step()
        self.authority = Authority()
        self.network = Network(rpc_urls)
        detailed = clock.now() + FILLING_S + history_s + age - CHAIN_PAST_S
        self.chain = Oracle(Keys(seed), clock.now, MARKETS, first_sequence=FIRST_SEQUENCE, details_from=detailed)
        self.authority.listeners.append(self._decided)
        self.fleet = Fleet(self.kube.running)
        self.ingest = Ingest(self)
        self.quant = Quant(self)
        self.sign = Sign(self)
        self.publish = Publish(self)
        self.serve = Serve(self)
        self.meter = Meter(self)
        self._owed = 0.0  # simulated seconds that the physics has yet to live through
        self._sampled = float("inf")  # nothing is sampled while the pipeline fills
        self._trimmed = clock.now()
        self._jobs_seen: set[str] = set()
        self._remember(FILLING_S, until_start=history_s + age)
        self._sampled = float("-inf")
        causes = scenario.incidents if scenario is not None else ()
        happenings = [(cause.aged_s if aged_s is None else aged_s, cause) for cause in causes]
        happenings += [(age + decoy.aged_s, decoy) for decoy in decoys]
        first = min(age + history_s, max([age, *(old for old, _ in happenings)]))
        self._remember(history_s + age - first, until_start=first)
        self._inject(happenings, first, causes)
        self.talking = True
        self.chain.ledger.forget_past()
        self.meter.start()

    @property
    def harm(self) -> Harm:
        return self.meter.harm

    @staticmethod
    def past_clock(start_at: float, speed: float = 1.0) -> SimClock:
        """Return a clock from which a new World arrives at `start_at` when it is built."""
        return SimClock(start_at - UPTIME_S, speed)

    def _populate(self) -> None:
        self._created = self.clock.now()
        for spec in SERVICES.values():
            self.kube.deploy(
                spec.name,
                image=spec.image,
                replicas=spec.replicas,
                env=self._env(spec),
                secret_env=spec.secret_env,
                strategy=spec.strategy,
                annotations={"m0club.io/capabilities": ", ".join(spec.can)} if spec.can else None,
            )
        self.kube.configmap(
            CONFIG,
            {
                "publish_cadence_ms": "500",
                "reveal_delay_ms": "1000",
                "M0_EXPECTED_SOURCES": str(SOURCES),
                BATCH: USUAL_BATCH,
            },
        )
        self._keep_for_rounds()
        for name, job in JOBS.items():
            self.kube.cronjob(name, image=job.image, schedule=job.schedule, command=job.command)
        self.kube.settle()

    def _keep_for_rounds(self) -> None:
        """Leave what a weekly round looks up: a restore that was tested in staging, a secret."""
        at = self.clock.now() - 4 * 86400.0
        done = {"type": "Complete", "status": "True", "lastTransitionTime": rfc3339(at + 1260.0)}
        status = {"conditions": [done], "startTime": rfc3339(at), "completionTime": rfc3339(at + 1260.0)}
        job = {"metadata": {"name": "m0-restore-test", "namespace": STAGING}, "spec": {}, "status": status}
        self.kube.store.create(JOB_OBJECTS, job)
        secret = {"metadata": {"name": SECRET, "namespace": NAMESPACE}, "type": "Opaque", "data": {"rpc-a": "eA=="}}
        self.kube.store.create(SECRETS, secret)

    def _decided(self, what: str, which: str) -> None:
        """Put a decision of the authority on the chain as a transaction."""
        if what == "market":
            self.chain.set_market_active(which, which not in self.authority.paused)
            return
        made = self.authority.signer_sets[int(which)]
        members = [self.chain.keys.member(key) for key in made.pubkeys]
        self.chain.rotate(members, made.threshold, number=made.number, active=made.activate_epoch == "now")

    def _env(self, spec: ServiceSpec) -> Mapping[str, str]:
        if spec.name != SUBMITTER or self.rpc_urls is RPC_URLS:
            return spec.env
        url = self.rpc_urls["rpc-a"]
        return {**spec.env, "SOLANA_RPC_URL": url, "SOLANA_WS_URL": stream_url(url)}

    def _inject(self, happenings: Sequence[tuple[float, Injection]], left: float, causes: Sequence[Injection]) -> None:
        """Let each happen as long before the start as it is old; so much of the past is `left`."""
        for old, cause in sorted(happenings, key=lambda one: -one[0]):
            if 0.0 <= old <= left:
                self._remember(left - old, until_start=old, cluster=True)
                left = old
                before = self.kube.store.rv
                cause.inject(self)
                if cause in causes:
                    self.caused += self.kube.written_since(before)
        self._remember(left, cluster=True)

    def _remember(self, seconds: float, *, until_start: float = 0.0, cluster: bool = False) -> None:
        """Live through `seconds` quickly, ending `until_start` before the drill starts.

        Unless `cluster` nothing changes there.
        """
        end = self.clock.now() + seconds
        while self.clock.now() < end - 1e-6:
            left = end - self.clock.now()
            self.talking = left + until_start <= LOG_PAST_S
            dt = min(COARSE_S, left)
            self.clock.advance(dt)
            if cluster:
                self.kube.step()
                self.fleet.refresh()
            self._live(dt)
        self.kube.step()
        self.fleet.refresh()

    def advance(self, seconds: float) -> None:
        """Move the world on by simulated seconds.

        The cluster moves at every call, the physics in steps of half a second.
        """
        end = self.clock.now() + seconds
        while (left := end - self.clock.now()) > 1e-9:
            dt = min(self.step_s - self._owed, left)
            self.clock.advance(dt)
            self._owed += dt
            self.kube.step()
            self.fleet.refresh()
            self._follow_jobs()
            if self._owed >= self.step_s - 1e-6:
                owed, self._owed = self._owed, 0.0
                self._live(owed)

    def step(self, dt: float) -> None:
        """Move on by one step of `dt` simulated seconds, clock included."""
        self.advance(dt)

    def _live(self, dt: float) -> None:
        """Live through the pipeline's last `dt` seconds, up to the clock."""
        self.ingest.step(dt)
        self.quant.step(dt)
        self.sign.seats()
        self.publish.step(dt)
        self.serve.step(dt)
        self.meter.count(dt)
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
        """Return the services that answer a scrape."""
        return {job for job in SERVICES if self.fleet.working(job)}

    def _follow_jobs(self) -> None:
        """Let completed jobs take effect, once each."""
        for job in self.kube.store.select(JOB_OBJECTS):
            uid = job.obj["metadata"]["uid"]
            if uid not in self._jobs_seen and ended(job.obj) == "Complete":
                self._jobs_seen.add(uid)
                owners = job.obj["metadata"].get("ownerReferences") or [{}]
                self.job_done(str(owners[0].get("name") or job.key[1]))

    def job_done(self, name: str) -> None:
        """Apply to the pipeline what a completed job of that CronJob (or name) does.

        A job that it does not know has no effect.
        """
        effects = {
            "m0-recalibration": (self.quant.models.recalibrate,),
            "m0-reconciler": (self.serve.align, self.publish.align),
            "m0-backup": (self.serve.back_up,),
            "m0-backup-expire": (self.serve.expire_backups,),
        }
        for effect in effects.get(name, ()):
            effect()

    def agent(self, signer: str) -> tuple[str, str] | None:
        """Return what the agent in that place reports: its pod and its public key.

        None while no pod has the place.
        """
        seated = {name: uid for uid, name in self.sign.places.items()}
        pod = next((pod for pod in self.fleet.ready(SIGNER) if pod.uid == seated.get(signer)), None)
        if pod is None:
            return None
        place, keys = SIGNERS.index(signer), self.chain.keys
        party = keys.stray(place) if self.releases.of(pod.image).stray_keys else keys.signers[place]
        return pod.name, str(party.key)

    def agent_set(self, key: str) -> str:
        """Return the signer set that an agent with this key signs for.

        That is the newest active one that has the key, else the first.
        """
        for made in sorted(self.authority.signer_sets.values(), key=lambda made: -made.number):
            found = self.chain.accounts.signer_set(made.number)
            if found is not None and found.active and key in map(str, found.pubkeys):
                return str(made.number)
        return SIGNER_SET_ID

    def _behaviour(self, service: str, image: str, env: Mapping[str, str]) -> Behaviour:
        usual = _usual(service, env)
        if service == "job/m0-backup" and not self.serve.archivable:
            full = "ERROR archive: No space left on device"
            return replace(usual, crash_after_s=3.0, exit_code=1, log=(*usual.log, full))
        leaks = self.releases.of(image).leaks_after_s
        if leaks is None or usual.crash_after_s is not None:
            return usual
        return replace(usual, crash_after_s=leaks, exit_code=137)

    def trace(self) -> str:
        return f"{self._talker.getrandbits(128):032x}"

    def say(self, pod: str, line: str, trace: str | None = None) -> None:
        """Write a log line of a pod, with a trace id."""
        if not self.talking:
            return
        self.kube.log(pod, f"{line} trace_id={trace or self.trace()}")
        if self.hostile_logs and self._talker.random() < 0.2:
            self.kube.log(pod, self._talker.choice(HOSTILE))


def _usual(service: str, env: Mapping[str, str]) -> Behaviour:
    spec = SERVICES.get(service)
    if spec is None:
        job = JOBS.get(service.removeprefix("job/"))
        return Behaviour(startup_s=0.5, crash_after_s=job.takes_s, exit_code=0, log=job.log) if job else Behaviour()
    startup: tuple[str, ...] = (f"INFO {service} starting", "INFO configuration loaded")
    if service == QUANT:
        version = env.get(models.VARIABLE, MODEL_VERSION)
        if version not in models.VERSIONS:
            fatal = f"FATAL model version {version} is not in the registry: {', '.join(models.VERSIONS)}"
            return Behaviour(startup_s=30.0, crash_after_s=2.0, log=(*startup, fatal))
        startup = (*startup, f"INFO models loaded version={version}")
    return Behaviour(
        startup_s=spec.startup_s,
        stop_s=spec.stop_s,
        log=(*startup, "INFO listening on :9090 (/healthz /readyz /metrics)"),
    )
