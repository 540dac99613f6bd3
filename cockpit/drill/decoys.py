"""Makes harmless changes around an incident, so that what did it must be told from what did not.

Of all kinds, some nearer to its beginning than the change that did it. None of them helps or harms:
what an incident lives on (pods that must not be replaced, keys that it set) is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from cockpit.drill import changes
from cockpit.drill.names import AGGREGATOR, API, INGESTOR, JOBS, QUANT, REALTIME, RECONCILER, SIGNER

if TYPE_CHECKING:
    from cockpit.drill.scenarios.scenario import Scenario
    from cockpit.drill.world import World

#: Seconds before the incident began, and after it, in which they happen.
BEFORE_S, AFTER_S = 2400.0, 420.0
#: The submitter is touched by none: it is one pod, and each release of it costs half a minute.
#: Services that may be released at any time: no incident lives on their pods being old.
_ANY_TIME = (API, REALTIME, RECONCILER, AGGREGATOR)
#: Those that may be released well before it began only: their pods come back well.
_BEFORE = (INGESTOR, QUANT, SIGNER)
_SETTLES_S = 600.0
_SERVICES = (*_ANY_TIME, *_BEFORE)
_KEYS = ("log_level", "banner", "trace_sample_ratio", "dashboard_url", "contact", "report_hour", "cache_label")
_VARIABLES = ("LOG_LEVEL", "OTEL_SERVICE_VERSION", "FEATURE_BANNER", "TRACE_SAMPLE", "BUILD_ID", "GOMAXPROCS")
#: Service → the replicas that are as good as its own.
_SCALED = {API: (3, 4, 5), REALTIME: (2, 3), AGGREGATOR: (2, 3)}
_MAP = "m0-engine-config"


@dataclass(frozen=True, slots=True)
class Decoy:
    """Describes one harmless change, `aged_s` before the incident began (after it: negative)."""

    aged_s: float
    inject: Callable[[World], None]
    kind: str


def decoys_of(scenario: Scenario, count: int, seed: int) -> tuple[Decoy, ...]:
    """Return so many of them for the scenario, from the seed."""
    rng = Random(f"{seed}/decoys")
    return tuple(_decoy(rng, scenario, number) for number in range(count))


def _decoy(rng: Random, scenario: Scenario, number: int) -> Decoy:
    kinds = ("image", "variable", "config", "replicas", "restart", "autoscaler", "job", "policy")
    kind = kinds[number % len(kinds)]
    aged = rng.uniform(-AFTER_S, 120.0) if rng.random() < 0.35 else rng.uniform(0.0, BEFORE_S)
    some = [each for each in (_SERVICES if aged > _SETTLES_S else _ANY_TIME) if each not in scenario.old_pods]
    return Decoy(aged, partial(_MAKE[kind], rng.getrandbits(64), some), kind)


def _pick(bits: int, some: Sequence[str]) -> str:
    return some[bits % len(some)]


def _image(bits: int, some: Sequence[str], world: World) -> None:
    world.releases.roll_out(world.kube, _pick(bits, some), f"decoy {bits}")


def _variable(bits: int, some: Sequence[str], world: World) -> None:
    changes.set_env(world.kube, _pick(bits >> 8, some), {_pick(bits, _VARIABLES): f"{bits % 97}"})


def _config(bits: int, some: Sequence[str], world: World) -> None:
    changes.set_config(world.kube, _MAP, _pick(bits, _KEYS), f"v{bits % 97}")


def _replicas(bits: int, some: Sequence[str], world: World) -> None:
    service = _pick(bits, [each for each in _SCALED if each in some] or [REALTIME])
    now = world.kube.replicas(service)
    others = [each for each in _SCALED[service] if each > now] or [each for each in _SCALED[service] if each != now]
    changes.scale(world.kube, service, others[(bits >> 8) % len(others)])


def _restart(bits: int, some: Sequence[str], world: World) -> None:
    changes.restart(world.kube, _pick(bits, some))


def _autoscaler(bits: int, some: Sequence[str], world: World) -> None:
    name = f"{REALTIME}-{bits % 1000}"
    if not any(one.obj["spec"]["scaleTargetRef"]["name"] == REALTIME for one in world.kube.scalers()):
        world.kube.autoscaler(name, target=REALTIME, minimum=1, maximum=6 + bits % 5)


def _job(bits: int, some: Sequence[str], world: World) -> None:
    cronjob = _pick(bits, tuple(name for name in JOBS if name.startswith("m0-backup")))
    changes.run_job(world.kube, cronjob, f"{cronjob}-{bits % 100000}")


def _policy(bits: int, some: Sequence[str], world: World) -> None:
    spec = {
        "podSelector": {"matchLabels": {"app": f"tool-{bits % 100}"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"podSelector": {}}]}],
    }
    world.kube.network_policy(f"tool-{bits % 100}", spec)


_MAKE: dict[str, Callable[[int, Sequence[str], World], None]] = {
    "image": _image,
    "variable": _variable,
    "config": _config,
    "replicas": _replicas,
    "restart": _restart,
    "autoscaler": _autoscaler,
    "job": _job,
    "policy": _policy,
}
