"""Does with an executor what an operator does with it, on any cluster."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, TypeVar

import pytest

from cockpit.assessment.assessor import Assessor
from cockpit.assessment.board import Board
from cockpit.clock import SystemClock
from cockpit.journal.journal import Journal
from cockpit.journal.operator import Operator
from cockpit.mitigation.executor import Executor
from cockpit.model.plan import Confirmation, Phase, Plan, Progress
from cockpit.model.runbook import Runbooks, Service, Step
from cockpit.model.situation import ServiceStatus, Situation
from cockpit.runbooks.schema import load
from cockpit.sources.kubernetes.source import KubernetesSource
from cockpit.sources.timing import Timings
from tests.live.clusters import TestCluster
from tests.support.waiting import HANG_S

T = TypeVar("T")
QUICK = Timings(publish_s=0.05, refresh_s=0.2, watch_s=5, silence_s=8, probe_s=0.5, backoff_s=0.1, backoff_cap_s=0.5)

OPERATOR = Operator(
    name="ops1", os_user="ops1", ssh_user="ops1", ssh_from="10.0.0.9", kube_user="conformance", host="bastion"
)


async def _short(seconds: float) -> None:
    """Poll rollouts as often as the drill's fast time needs."""
    await asyncio.sleep(min(seconds, 0.05))


class Cockpit:
    """Runs an executor with its journal, and does what an operator does with it."""

    def __init__(self, cluster: TestCluster, directory: Path, **services: Service) -> None:
        self.cluster = cluster
        self.journal = Journal.open(directory / "journal.jsonl")
        self.runbooks = Runbooks(
            queries={},
            signals={},
            stages=(),
            toggles={},
            runbooks=(),
            services={name.replace("_", "-"): service for name, service in services.items()},
        )
        self.executor = Executor(
            cluster.access,
            self.runbooks,
            self.journal,
            lambda: None,
            SystemClock(),
            namespace=cluster.namespace,
            read_only=False,
            operator=OPERATOR,
            sleep=_short if cluster.name == "drill" else asyncio.sleep,
        )
        self.executor.start()

    def plan(self, kind: str, service: str, **more: Any) -> Plan:
        return self.planned(Step(id=kind, title=f"{kind} {service}", kind=kind, service=service, **more))

    def planned(self, step: Step) -> Plan:
        return self.executor.plan(None, step, {}).result(30)

    @staticmethod
    def confirmation(plan: Plan) -> Confirmation:
        return Confirmation(plan.id, plan.digest, plan.typed, "ops1", SystemClock().mono())

    def undo(self, number: int | None) -> Plan:
        assert number is not None
        return self.executor.plan_undo(number).result(30)

    def send(self, plan: Plan) -> Progress:
        """Confirm, with what must be typed; return once the server answered."""
        progress = self.executor.carry_out(plan, self.confirmation(plan)).result(60)
        assert progress.phase is Phase.SENT, progress.words
        return progress

    def carry(self, plan: Plan) -> Progress:
        """Send, and wait for the rollout's end.

        Where there are controllers and kubelets to end it.
        """
        sent = self.send(plan)
        if not self.cluster.kubelet:
            self.executor.stop_watching(plan.id)
        done = self.wait(
            lambda: next((p for p in self.executor.progress if p.plan.id == plan.id and not p.running), None)
        )
        assert done.phase is Phase.DONE, done.words
        return done if done.journal is not None else sent

    def wait(self, answered: Callable[[], Any], timeout_s: float = 120.0) -> Any:
        deadline = time.monotonic() + timeout_s
        while not (found := answered()):
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.05)
        return found

    def close(self) -> None:
        self.executor.close(5)
        self.journal.close()


def seen(cluster: TestCluster, found: Callable[[Situation], T | None]) -> T:
    """Return the first true answer that the situation gives, read and judged as the screen's is."""
    return asyncio.run(_seen(cluster, found))


async def _seen(cluster: TestCluster, found: Callable[[Situation], T | None]) -> T:
    clock, board = SystemClock(), Board()
    source = KubernetesSource(cluster.access, [cluster.namespace], tuple, clock, timings=QUICK)
    assessor = Assessor(
        load(),
        clock,
        context="live",
        namespaces=(cluster.namespace,),
        production=False,
        read_only=True,
        configured=frozenset({"kubernetes"}),
    )
    said: tuple[Any, ...] = ()
    try:
        async with asyncio.timeout(HANG_S), aclosing(source.readings()) as readings:
            async for reading in readings:
                board.put(reading)
                situation = assessor.assess(board)
                said = situation.services
                answer = found(situation)
                if answer:
                    return answer
    except TimeoutError:
        pytest.fail(f"it never came true of {said}")
    raise AssertionError("the source ended")


def service(situation: Situation, name: str) -> ServiceStatus | None:
    return next((each for each in situation.services if each.name == name), None)


def program(cluster: TestCluster, home: Path, *words: str) -> subprocess.Popen[str]:
    """Start `m0-cockpit` itself on the cluster, with a state directory of its own."""
    home.mkdir(parents=True, exist_ok=True)
    own = {name: str(home) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    return subprocess.Popen(
        [sys.executable, "-m", "cockpit.cli", "-n", cluster.namespace, *words],
        env={**os.environ, **own, "KUBECONFIG": str(cluster.kubeconfig), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def confirmed(cockpit: Cockpit, plan: Plan) -> Progress:
    return cockpit.executor.carry_out(plan, cockpit.confirmation(plan)).result(90)


def ended(cockpit: Cockpit, plan: Plan) -> Progress:
    progress: Progress = cockpit.wait(
        lambda: next((p for p in cockpit.executor.progress if p.plan.id == plan.id and not p.running), None)
    )
    return progress


def ready(real: TestCluster, name: str, count: int, plural: str = "deployments") -> None:
    real.until(real.apps(name, plural), lambda o: (o.get("status") or {}).get("readyReplicas", 0) == count)


def template(state: str = "ready", **labels: str) -> dict[str, Any]:
    return {"annotations": {"live/state": state}, **({"labels": labels} if labels else {})}


def condition(obj: Any, kind: str) -> Any:
    return next((c for c in (obj.get("status") or {}).get("conditions") or () if c["type"] == kind), {})
