"""Gives values of Kubernetes by name (`kubernetes.unready`), or says why they are unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cockpit.model.observed.cluster import Workload
from cockpit.model.reading import Reading, Unknown
from cockpit.sources.values import Family, Onset, Snapshot, Value, broken, unknown

#: Restarts this long ago still count as recent.
RECENT_RESTARTS_S = 600.0
#: Images this new are suspects.
RECENT_RELEASE_S = 1800.0
#: A release is held against what turns bad within so long after it began.
BLAMED_S = 3600.0
#: What is scraped shows a little after it began, and a first bad sample may lie a little before.
SCRAPE_S = 30.0
#: What a release is held against: anything, outputs that are wrong, what takes longer.
BLAMED: Mapping[str, Callable[[Onset], bool]] = {
    "releases-before-failures": lambda onset: not onset.slow and not onset.invalid,
    "releases-before-invalid": lambda onset: onset.invalid,
    "releases-before-lag": lambda onset: onset.slow,
}

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
        self._onsets = snapshot.onsets

    def get(self, name: str) -> Value:
        """Return the value called `name`; the schema has checked that there is such a one."""
        parts = name.split(".", 2)
        what, service = parts[1], parts[2] if len(parts) > 2 else ""
        kinds = (*_BOTH, "replicasets") if what.endswith("-releases") else _PODS
        trust = self._trusted(kinds)
        if trust.reason:
            return trust
        if not service:
            if what in BLAMED:
                return self._blamed(BLAMED[what], trust.age_s)
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

    def _blamed(self, counts: Callable[[Onset], bool], age_s: float | None) -> Value:
        """Count releases after whose begin something turned bad, and name the one it is nearest to.

        What was bad before a release is not its doing.
        """
        found: list[tuple[float, Workload, Onset]] = []
        named: set[str] = set()
        for workload in self._cluster.workloads.values():
            began = self._began(workload) if workload.kind == "Deployment" else None
            if began is None or began < self._now - BLAMED_S:
                continue
            for onset in self._onsets.values():
                after = onset.at - began
                if counts(onset) and -SCRAPE_S <= after <= BLAMED_S:
                    found.append((after, workload, onset))
                    named.add(workload.name)
        if not found:
            return Value(0.0, "", age_s)
        after, workload, onset = min(found, key=lambda one: (one[2].at_latest, one[0]))
        since = f"{max(0.0, after) / 60:.0f} min after it" + (" at the latest" if onset.at_latest else "")
        return Value(float(len(named)), "", age_s, {"release": workload.name, "then": onset.title, "since": since})

    def _began(self, workload: Workload) -> float | None:
        """Return when the image that runs now was brought; None for the first one."""
        key = (workload.namespace, workload.name)
        own = [r for r in self._cluster.replicasets.values() if (r.namespace, r.owner_name) == key]
        own.sort(key=lambda r: r.revision)
        return None if len(own) < 2 or own[-1].images == own[-2].images else own[-1].created_at

    def _recent_releases(self) -> float:
        """Count deployments that brought another image within 30 minutes, well or not."""
        return float(sum(1 for w in self._cluster.workloads.values() if w.kind == "Deployment" and self._recent(w)))

    def _recent(self, workload: Workload) -> bool:
        began = self._began(workload)
        return began is not None and began >= self._now - RECENT_RELEASE_S


FAMILY = Family(
    KubernetesValues,
    plain=(
        "kubernetes.unready",
        "kubernetes.suspect-releases",
        "kubernetes.recent-releases",
        *(f"kubernetes.{name}" for name in BLAMED),
    ),
    of_service=tuple(f"kubernetes.{head}" for head in ("ready", "unready", "restarts", "pods", "share")),
)
