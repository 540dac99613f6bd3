"""Lives through ordinary days and counts false alarms: runbooks that match, CRIT that lasts.

What goes on: releases and restarts of every service, autoscalers that breathe, nodes that are
drained, a Prometheus that restarts, RPC endpoints that hiccup.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from bench.matrix.loop import simulate
from bench.matrix.rig import Pace, Rig, rig
from cockpit.drill import changes
from cockpit.drill.kubernetes.controllers.context import mark_deleted
from cockpit.drill.kubernetes.objects.resources import PODS
from cockpit.drill.kubernetes.world import KubernetesWorld
from cockpit.drill.names import AGGREGATOR, API, INGESTOR, QUANT, REALTIME, RECONCILER, SIGNER, SUBMITTER

PACE = Pace(ask_s=15.0, tick_s=5.0, assess_s=5.0)
EVERY_S = 900.0  # simulated seconds between two things that happen, on average
LASTS_S = 60.0  # a CRIT that is longer is a false alarm
SERVICES = (INGESTOR, AGGREGATOR, QUANT, SUBMITTER, RECONCILER, SIGNER, API, REALTIME)
#: Service → the replicas that its autoscaler keeps at least, and gives at most.
SCALED = {INGESTOR: (4, 6), API: (3, 6), REALTIME: (2, 4)}

ONE_BY_ONE = {
    "minReadySeconds": 25,
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
}

Happening = tuple[float, str, Callable[[Rig], None]]


@dataclass
class Day:
    """Counts what a day falsely said.

    `matched`: runbooks that were named, with when and why; `crit`: signals that were CRIT for more
    than a minute, with how long; `done`: what happened.
    """

    seed: int
    hours: float
    matched: list[str] = field(default_factory=list)
    crit: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{len(self.matched)} matched, {len(self.crit)} CRIT over a minute"
        lines = [f"seed {self.seed}, {self.hours:g} h, {len(self.done)} happenings: {counts}"]
        return "\n".join([*lines, *(f"  MATCH {words}" for words in self.matched), *(f"  CRIT {w}" for w in self.crit)])


def day(seed: int, hours: float, every_s: float = EVERY_S) -> Day:
    """Live through so many hours, in which something happens every `every_s`, on average."""
    return simulate(_day(seed, hours, every_s))


async def _day(seed: int, hours: float, every_s: float) -> Day:
    found = Day(seed, hours)
    rng = random.Random(seed)
    async with rig("calm", seed, pace=PACE) as made:
        # a plane of which a threshold must answer is rolled one by one, each once it is warm
        changes.patch(_kube(made), SIGNER, {"spec": ONE_BY_ONE})
        for name, (least, most) in SCALED.items():
            _kube(made).autoscaler(name, target=name, minimum=least, maximum=most)
        began = made.clock.mono()
        due = _happenings(rng, every_s)
        at, words, act = next(due)
        since: dict[str, float] = {}
        named: set[str] = set()
        while (passed := made.clock.mono() - began) < hours * 3600.0:
            while at <= passed:
                act(made)
                found.done.append(f"{_clock(passed)} {words}")
                at, words, act = next(due)
            await asyncio.sleep(PACE.assess_s)
            _count(made, passed, found, since, named)
    return found


def _count(made: Rig, passed: float, found: Day, since: dict[str, float], named: set[str]) -> None:
    situation = made.situation
    last = found.done[-1] if found.done else "nothing yet"
    now = {f"{m.runbook.number}" for m in situation.matches if m.holds}
    found.matched += [f"{_clock(passed)} {number}, after {last}: {_bad(made)}" for number in sorted(now - named)]
    named.clear()
    named |= now
    bad = {name for name, signal in situation.signals.items() if signal.level.value == "crit"}
    for name in list(since):
        if name not in bad:
            del since[name]
    for name in bad:
        began = since.setdefault(name, passed)
        if began <= passed - LASTS_S:
            found.crit.append(f"{_clock(began)} {name}, after {last}: {situation.signals[name].reason}")
            since[name] = float("inf")


def _bad(made: Rig) -> str:
    bad = sorted(f"{n} {s.level.value} ({s.reason})" for n, s in made.situation.signals.items() if s.level.bad)
    return ", ".join(bad)


def _clock(passed: float) -> str:
    return f"{int(passed // 3600):02}:{int(passed % 3600 // 60):02}"


def _happenings(rng: random.Random, every_s: float) -> Iterator[Happening]:
    """Yield what happens, in order, for ever; what ends by itself is followed by its end."""
    at = min(300.0, every_s)
    while True:
        at += rng.uniform(0.5, 1.5) * every_s
        kind = rng.choice(("release", "restart", "breath", "drain", "prometheus", "hiccup"))
        if kind == "release":
            service = rng.choice(SERVICES)
            yield at, f"a release of {service}", _release(service, rng.getrandbits(64))
        elif kind == "restart":
            service = rng.choice(SERVICES)
            yield at, f"a restart of {service}", partial(_restarted, service)
        elif kind == "breath":
            service, more = rng.choice(list(SCALED)), rng.choice((1, 2))
            yield at, f"the autoscaler of {service} gives {more} more", _breathes(service, more)
            at += rng.uniform(300.0, 900.0)
            yield at, f"the autoscaler of {service} takes them back", _breathes(service, 0)
        elif kind == "drain":
            yield at, "a node drained", _drained(rng.random())
        elif kind == "prometheus":
            yield at, "Prometheus restarts", lambda made: _prometheus(made, down=True)
            at += rng.uniform(20.0, 60.0)
            yield at, "Prometheus is back", lambda made: _prometheus(made, down=False)
        else:
            name = rng.choice(("rpc-a", "rpc-b"))
            yield at, f"{name} hiccups", partial(_hiccup, name, 0.2)
            at += rng.uniform(3.0, 10.0)
            yield at, f"{name} is well", partial(_hiccup, name, 0.0)


def _kube(made: Rig) -> KubernetesWorld:
    return made.drill.world.kube


def _restarted(service: str, made: Rig) -> None:
    changes.restart(_kube(made), service)


def _release(service: str, bits: int) -> Callable[[Rig], None]:
    def act(made: Rig) -> None:
        digest = f"{bits:016x}" * 4
        workload = _kube(made).workload(service)
        assert workload is not None
        name = workload["spec"]["template"]["spec"]["containers"][0]["image"].partition("@")[0]
        changes.set_image(_kube(made), service, f"{name}@sha256:{digest}")

    return act


def _breathes(service: str, more: int) -> Callable[[Rig], None]:
    return lambda made: _kube(made).hpa_desired(service, SCALED[service][0] + more)


def _drained(which: float) -> Callable[[Rig], None]:
    def act(made: Rig) -> None:
        """Evict the pods of one node, the publisher's apart: it has a budget of its own."""
        pods = list(_kube(made).store.select(PODS, _kube(made).namespace))
        nodes = sorted({each.obj["spec"].get("nodeName", "") for each in pods})
        node = nodes[int(which * len(nodes))]
        seen: set[str] = set()
        for pod in pods:
            service = pod.obj["metadata"]["labels"].get("app", "")
            if pod.obj["spec"].get("nodeName") == node and service != SUBMITTER and service not in seen:
                seen.add(service)
                mark_deleted(_kube(made).store, PODS, pod, None)

    return act


def _prometheus(made: Rig, *, down: bool) -> None:
    made.drill.prometheus_server.chaos.unavailable = down


def _hiccup(name: str, share: float, made: Rig) -> None:
    made.drill.world.network.endpoints[name].failing = share
