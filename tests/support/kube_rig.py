"""A rig for mitigations: the drill's cluster on loopback in a thread of its own, a journal, an
executor, signals by hand.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web
from msgspec.structs import replace

from cockpit.clock import Clock, SystemClock
from cockpit.drill.clock import SimClock
from cockpit.drill.kubernetes import Behaviour, KubernetesWorld
from cockpit.drill.kubernetes.objects.resources import CONFIGMAPS, DEPLOYMENTS
from cockpit.drill.kubernetes.serving import Served, ticking, write_kubeconfig
from cockpit.journal.journal import Journal
from cockpit.journal.operator import Operator
from cockpit.kubeapi.access import load_access
from cockpit.mitigation.context import Backends
from cockpit.mitigation.executor import Executor
from cockpit.model.observed.cluster import Cluster, ConfigMap
from cockpit.model.plan import Confirmation, Phase, Plan, Progress
from cockpit.model.runbook import Runbook, Runbooks, Service, SignalDef, Step, Toggle, Validation
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import ConditionStatus, Situation
from tests.support.samples.cluster import sample_situation
from tests.support.waiting import wait_for

NAMESPACE = "m0-prod"
SECRET_URL = "https://rpc-a.example/v2/KEYLIKE123456789abc"
OTHER_URL = "https://rpc-b.example/v2/OTHERKEY987654321xyz"
DIGEST = "ghcr.io/m0club/m0-quant@sha256:" + "ab" * 32
OPERATOR = Operator(
    name="ops1", os_user="ops1", ssh_user="ops1", ssh_from="10.0.0.9", kube_user="drill-admin", host="bastion"
)


def step(kind: str, service: str, **more: Any) -> Step:
    return Step(id=more.pop("id", kind), title=more.pop("title", kind), kind=kind, service=service, **more)


def runbooks() -> Runbooks:
    """One runbook with one validation line that holds at once."""
    runbook = Runbook(
        id="publishing-stops",
        number=1,
        title="Publishing stops",
        mitigations=(
            step(
                "set-env", "m0-submitter", id="switch-rpc", env={"SOLANA_RPC_URL": OTHER_URL}, signals=("rpc-errors",)
            ),
        ),
        validation=(Validation(text="commits rise", signal="commit-rate", expect="ok", hold=0.0, within=60.0),),
    )
    return Runbooks(
        queries={},
        signals={
            "rpc-errors": SignalDef(title="RPC errors", value="x"),
            "commit-rate": SignalDef(title="commits", value="x", unit="/min"),
            "invalid-signatures": SignalDef(title="invalid signatures", value="x", dangerous=True),
        },
        stages=(),
        services={
            "m0-submitter": Service(singleton=True, publishes=True),
            "m0-quant": Service(),
            "m0-ingestor": Service(),
            "m0-signer-agent": Service(),
        },
        toggles={
            "SOLANA_RPC_URL": Toggle(deployments=("m0-submitter",), url=True),
            "M0_PUBLISH_ENABLED": Toggle(deployments=("m0-submitter",), values=("true", "false"), safest="false"),
            "M0_GUARDRAIL_POLICY_LEVEL": Toggle(
                deployments=("m0-quant",), values=("STRICT", "NORMAL", "FAST"), safest="STRICT", usual="STRICT"
            ),
            "M0_MARKET_PAUSE_*": Toggle(deployments=("m0-quant",), values=("true", "false"), safest="true"),
        },
        runbooks=(runbook,),
    )


def status(name: str, level: Level = Level.OK, value: float | None = 1.0, **more: Any) -> SignalStatus:
    return SignalStatus(
        name=name,
        title=name,
        level=level,
        value=value,
        unit="",
        reason=more.pop("reason", ""),
        age_s=more.pop("age_s", 2.0),
        **more,
    )


def situation(clock: Clock, *signals: SignalStatus) -> Situation:
    return sample_situation(
        wall=clock.wall(),
        mono=clock.mono(),
        context="drill",
        namespaces=(NAMESPACE,),
        production=False,
        signals={s.name: s for s in signals},
        runbooks=runbooks(),
    )


@dataclass
class Seen:
    method: str
    path: str
    params: dict[str, str]
    content_type: str
    body: Any


@dataclass
class Rig:
    world: KubernetesWorld
    served: Served
    directory: Path
    loop: asyncio.AbstractEventLoop
    clock: SystemClock = field(default_factory=SystemClock)
    signals: dict[str, SignalStatus] = field(default_factory=dict)
    runbooks: Runbooks = field(default_factory=runbooks)
    read_only: bool = False
    token: str = "admin"
    backends: Backends = field(default_factory=Backends)
    solana: dict[str, Any] = field(default_factory=dict)
    conditions: dict[str, ConditionStatus] = field(default_factory=dict)
    watch_configmaps: bool = False
    executors: list[Executor] = field(default_factory=list)
    journals: list[Journal] = field(default_factory=list)

    @property
    def seen(self) -> list[Seen]:
        """Every request that the API server took, in order."""
        found = []
        for one in self.do(lambda: list(self.world.server.requests)):
            parts = urlsplit(one.path)
            body = json.loads(one.body) if one.body and "json" in one.content_type else None
            found.append(Seen(one.method, parts.path, dict(parse_qsl(parts.query)), one.content_type, body))
        return found

    @property
    def journal_path(self) -> Path:
        return self.directory / "state" / "journal.jsonl"

    def situation(self) -> Situation:
        """Commits are bad until the first step was answered, then as `signals` says."""
        signals = self.signals
        if signals.get("commit-rate") == status("commit-rate") and not self._answered():
            signals = {**signals, "commit-rate": status("commit-rate", Level.CRIT, 0.0, reason="0 /min")}
        found = replace(situation(self.clock, *signals.values()), solana=self.solana, conditions=dict(self.conditions))
        return replace(found, cluster=self._with_configmaps(found.cluster)) if self.watch_configmaps else found

    def _with_configmaps(self, cluster: Cluster) -> Cluster:
        stored = self.do(lambda: self.world.store.get(CONFIGMAPS, NAMESPACE, "m0-engine-config"))
        data = dict(stored.obj.get("data") or {}) if stored is not None else {}
        found = {(NAMESPACE, "m0-engine-config"): ConfigMap(NAMESPACE, "m0-engine-config", "1", data)}
        return replace(cluster, configmaps=found)

    def _answered(self) -> bool:
        return any(r["kind"] == "outcome" for journal in self.journals for r in journal.records(wait=False))

    def executor(
        self, operator: Operator = OPERATOR, journal: Journal | None = None, clock: Clock | None = None
    ) -> Executor:
        """A new cockpit on the same cluster and the same journal."""
        kubeconfig = write_kubeconfig(self.directory / f"kubeconfig-{self.token}", self.served, token=self.token)
        own = journal or Journal.open(self.journal_path)
        made = Executor(
            lambda: load_access(str(kubeconfig)),
            self.runbooks,
            own,
            self.situation,
            clock or self.clock,
            namespace=NAMESPACE,
            read_only=self.read_only,
            operator=operator,
            sleep=_short,
            backends=self.backends,
        )
        made.start()
        self.executors.append(made)
        self.journals.append(own)
        return made

    @property
    def journal(self) -> Journal:
        return self.journals[-1]

    def do(self, work: Callable[[], Any]) -> Any:
        """Run something on the cluster's own loop."""

        async def call() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    def obj(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.do(lambda: json.dumps(self.world.workload(name))))
        return found

    def kubectl(self, method: str, name: str, body: Any, *, sub: str = "", kind: str = "merge-patch") -> None:
        """Someone else changes the object."""
        import urllib.request

        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{name}{sub}"
        request = urllib.request.Request(
            self.served.url + path,
            json.dumps(body).encode(),
            method=method,
            headers={
                "Authorization": "Bearer admin",
                "Content-Type": f"application/{kind}+json",
                "User-Agent": "kubectl/v1",
            },
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def writes(self, method: str = "PATCH") -> list[Seen]:
        """What was really asked to change: dry runs left out."""
        return [s for s in self.seen if s.method == method and "dryRun" not in s.params and "deployments" in s.path]

    def before_patch(self, name: str, work: Callable[[], None], times: int = 1) -> None:
        """Do something on the cluster just before the next patch of a deployment is handled."""
        left = [times]

        def hook(method: str, path: str) -> None:
            if method == "PATCH" and f"/deployments/{name}" in path and left[0] > 0:
                left[0] -= 1
                work()

        self.world.chaos.before = hook

    def touch(self, name: str, change: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Change the stored object at once: by default an annotation, which bumps the
        resourceVersion only.
        """
        stored = self.world.store.get(DEPLOYMENTS, NAMESPACE, name)
        assert stored is not None
        obj = json.loads(json.dumps(stored.obj))
        if change is None:
            obj["metadata"].setdefault("annotations", {})["touched"] = obj["metadata"]["resourceVersion"]
        else:
            change(obj)
            obj["metadata"]["generation"] += 1
        self.world.store.replace(DEPLOYMENTS, stored, obj)

    def lose_the_answer(self, name: str) -> None:
        """The next patch is carried out, but its connection is cut instead of an answer."""
        self.before_patch(name, lambda: setattr(self.world.chaos, "lost_answers", 1))

    def cut_the_request(self, name: str) -> None:
        """The next patch is cut before anything is carried out."""
        self.before_patch(name, lambda: setattr(self.world.chaos, "cut_writes", 1))

    def settle(self) -> None:
        self.do(lambda: self.world.settle())


async def _short(seconds: float) -> None:
    await asyncio.sleep(min(seconds, 0.02))


def plan(executor: Executor, made: Step, runbook: Runbook | None = None, **parameters: str) -> Plan:
    return executor.plan(runbook, made, parameters).result(20)


def yes(made: Plan, clock: Clock | None = None, **changes: Any) -> Confirmation:
    """The operator's yes, with what must be typed."""
    said = Confirmation(made.id, made.digest, made.typed, "ops1", (clock or SystemClock()).mono())
    return replace(said, **changes)


def carry(executor: Executor, made: Plan) -> Progress:
    return executor.carry_out(made, yes(made)).result(30)


def ended(executor: Executor, made: Plan) -> Progress:
    def ended() -> Progress | None:
        progress = next((p for p in executor.progress if p.plan.id == made.id), None)
        return progress if progress is not None and not progress.running and progress.ended_mono is not None else None

    found: Progress = wait_for(ended)
    return found


def guard(made: Plan, name: str) -> Any:
    return next((g for g in made.guards if g.guard == name), None)


def finished(progress: Progress) -> bool:
    return progress.phase in (Phase.DONE, Phase.FAILED)


@contextmanager
def rig(directory: Path, speed: float = 20.0, **behaviours: Behaviour) -> Iterator[Rig]:
    """The M0Club services that runbook 1 touches, served and stepped at so many times real time."""
    world = KubernetesWorld(
        SimClock(time.time()), 7, NAMESPACE, lambda service, _i, _e: behaviours.get(service, Behaviour(startup_s=1.0))
    )
    world.deploy(
        "m0-submitter",
        image="m0/submitter@sha256:" + "1" * 64,
        replicas=1,
        strategy="Recreate",
        env={"M0_PUBLISH_ENABLED": "true", "SOLANA_RPC_URL": SECRET_URL, "M0_PUBLISH_CONCURRENCY": "4"},
    )
    world.deploy(
        "m0-quant",
        image="ghcr.io/m0club/m0-quant:v1",
        replicas=2,
        env={"M0_GUARDRAIL_POLICY_LEVEL": "STRICT"},
        secret_env={"M0_POSTGRES_URL": ("postgres", "url")},
    )
    world.deploy("m0-ingestor", image="m0/ingestor@sha256:" + "2" * 64, replicas=4)
    world.deploy("m0-signer-agent", image="m0/signer@sha256:" + "3" * 64, replicas=2)
    world.configmap("m0-engine-config", {"M0_EXPECTED_SOURCES": "4", "engine.toml": "cadence_ms = 500\nworkers = 4\n"})
    world.cronjob("m0-reconciler", image="m0/reconciler@sha256:" + "4" * 64, command=("m0-reconciler", "--once"))
    world.settle()
    loop, ready, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    box: dict[str, Any] = {}

    async def serve() -> None:
        app = world.application()
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        box["served"] = Served(f"http://127.0.0.1:{port}", port)
        async with ticking(world, per_second=50, speed=speed):
            ready.set()
            await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    made = Rig(world, box["served"], directory, loop)
    made.signals = {n: status(n) for n in ("rpc-errors", "commit-rate", "invalid-signatures")}
    try:
        yield made
    finally:
        world.chaos.thaw()
        for executor in made.executors:
            executor.close(5)
        for journal in made.journals:
            journal.close()
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()
