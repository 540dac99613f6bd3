"""Gives values of Kubernetes by name (`kubernetes.unready`), or says why they are unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cockpit.model.observed.cluster import Workload
from cockpit.model.reading import Reading, Unknown
from cockpit.sources.values import Family, Snapshot, Value, broken, unknown

#: Restarts this long ago still count as recent.
RECENT_RESTARTS_S = 600.0
#: Images this new are suspects.
RECENT_RELEASE_S = 1800.0

_PODS = ("pods",)
_BOTH = ("pods", "deployments", "statefulsets")
_PLURAL = {"Deployment": "deployments", "StatefulSet": "statefulsets"}


class KubernetesValues:
    """Reads values from one snapshot; made for each evaluation, cheap."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._cluster = snapshot.cluster
        self._inventory = snapshot.inventory
        self._now = snapshot.cluster_now
        self._mono = snapshot.mono
        self._topics: dict[str, list[Reading[Any]]] = {}
        for topic, reading in snapshot.board.under("kubernetes/").items():
            self._topics.setdefault(topic.split("/")[1], []).append(reading)
        self._trust: dict[tuple[str, ...], Value] = {}
        self._suspects: float | None = None

    def get(self, name: str) -> Value:
        """Return the value called `name`; the schema has checked that there is such a one."""
        parts = name.split(".", 2)
        what, service = parts[1], parts[2] if len(parts) > 2 else ""
        kinds = (*_BOTH, "replicasets") if what.endswith("-releases") else _PODS
        trust = self._trusted(kinds)
        if trust.reason:
            return trust
        if not service:
            releases = {"suspect-releases": self._suspect_releases, "recent-releases": self._recent_releases}
            return Value(releases.get(what, self._unready)(), "", trust.age_s)
        found = [w for w in self._cluster.workloads.values() if w.name == service]
        # The kinds it is not are allowed to be unknown: a role that may not list statefulsets
        # blinds nothing here.
        owners = self._trusted(tuple(sorted({_PLURAL[w.kind] for w in found})) or _BOTH[1:])
        if owners.reason:
            return owners
        if not found:
            return Value(
                None, f"there is no deployment or statefulset {service} in the watched namespaces", trust.age_s
            )
        ages = [age for age in (trust.age_s, owners.age_s) if age is not None]
        return self._of_service(what, service, found, max(ages, default=None))

    def _of_service(self, what: str, service: str, found: list[Workload], age_s: float | None) -> Value:
        tallies = self._inventory.of(service)
        ready = sum(t.ready for t in tallies)
        desired = sum(w.desired for w in found)
        numbers: Mapping[str, Callable[[], float]] = {
            "ready": lambda: ready,
            "unready": lambda: max(0, desired - ready),
            "pods": lambda: sum(t.running for t in tallies),
            "restarts": lambda: sum(1 for t in tallies for at in t.last_ends if at >= self._now - RECENT_RESTARTS_S),
            "share": lambda: 100.0 * min(ready, desired) / desired,
        }
        if what == "share" and desired == 0:
            return Value(0.0, "scaled to 0", age_s)
        return Value(float(numbers[what]()), "", age_s)

    def _trusted(self, kinds: tuple[str, ...]) -> Value:
        """Return a value with a reason when one of the kinds is not live; else the oldest age."""
        known = self._trust.get(kinds)
        if known is None:
            known = self._trust[kinds] = self._judge(kinds)
        return known

    def _judge(self, kinds: tuple[str, ...]) -> Value:
        ages: list[float] = []
        for kind in kinds:
            readings = self._topics.get(kind, [])
            if not readings:
                return broken(next(iter(self._topics.get("source", [])), None), "kubernetes", self._mono)
            for reading in readings:
                found = reading.believed(self._mono)
                if isinstance(found, Unknown):
                    return unknown(found, " in ".join(reading.topic.split("/")[1:]))
                ages.append(found.age_s)
        return Value(None, "", max(ages, default=None))

    def _unready(self) -> float:
        return float(sum(t.unready for t in self._inventory.tallies.values()))

    def _suspect_releases(self) -> float:
        """Count deployments that brought another image within 30 minutes and are not well since."""
        if self._suspects is None:
            self._suspects = float(sum(1 for w in self._cluster.workloads.values() if self._suspect(w)))
        return self._suspects

    def _suspect(self, workload: Workload) -> bool:
        if workload.kind != "Deployment":
            return False
        key = (workload.namespace, workload.name)
        tally = self._inventory.tallies.get(key)
        ends = [at for at in tally.last_ends if at >= self._now - RECENT_RELEASE_S] if tally else []
        ready = tally.ready if tally else 0
        return (ready < workload.desired or bool(ends)) and self._recent(workload)

    def _recent_releases(self) -> float:
        """Count deployments that brought another image within 30 minutes, well or not."""
        return float(sum(1 for w in self._cluster.workloads.values() if w.kind == "Deployment" and self._recent(w)))

    def _recent(self, workload: Workload) -> bool:
        key = (workload.namespace, workload.name)
        own = [r for r in self._cluster.replicasets.values() if (r.namespace, r.owner_name) == key]
        own.sort(key=lambda r: r.revision)
        if len(own) < 2 or own[-1].created_at is None or own[-1].images == own[-2].images:
            return False
        return own[-1].created_at >= self._now - RECENT_RELEASE_S


FAMILY = Family(
    KubernetesValues,
    plain=("kubernetes.unready", "kubernetes.suspect-releases", "kubernetes.recent-releases"),
    of_service=tuple(f"kubernetes.{head}" for head in ("ready", "unready", "restarts", "pods", "share")),
)
