"""Gives values of Kubernetes by name (`kubernetes.unready`), or says why they are unknown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from cockpit.model.observed.cluster import Workload
from cockpit.model.observed.variables import SUBMITTER, variable
from cockpit.model.reading import Reading, Unknown, spell
from cockpit.model.runbook import PUBLISH_TOGGLE
from cockpit.sources.kubernetes.policies import cut_off
from cockpit.sources.releases import Release, releases
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

#: What a toggle holds that is off.
OFF = ("false", "0", "no", "off")

_PODS = ("pods",)
_BOTH = ("pods", "deployments", "statefulsets")
#: What some values stand on beside the pods.
_KINDS = {"cut-off": ("pods", "networkpolicies"), "publish-off": ("deployments",)}
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
        self._onsets = snapshot.onsets

    def get(self, name: str) -> Value:
        """Return the value called `name`; the schema has checked that there is such a one."""
        parts = name.split(".", 2)
        what, service = parts[1], parts[2] if len(parts) > 2 else ""
        kinds = (*_BOTH, "replicasets") if what.endswith("-releases") else _KINDS.get(what, _PODS)
        trust = self._trusted(kinds)
        if trust.reason:
            return trust
        if not service:
            if what in BLAMED:
                return self._blamed(BLAMED[what], trust.age_s)
            return replace(self._plain(what), age_s=trust.age_s)
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
        if what == "cut-off":
            cut = cut_off(self._cluster, SUBMITTER, service)
            return Value(float(len(cut.pods)), "", age_s, {"policy": cut.words(self._now)})
        numbers: Mapping[str, Callable[[], float]] = {
            "ready": lambda: ready,
            "unready": lambda: max(0, desired - ready),
            "pods": lambda: sum(t.running for t in tallies),
            "restarts": lambda: sum(1 for t in tallies for at in t.last_ends if at >= self._now - RECENT_RESTARTS_S),
            "share": lambda: 100.0 * min(ready, desired) / desired,
        }
        if what == "share" and desired == 0:
            return Value(0.0, "scaled to 0", age_s)
        return Value(float(numbers[what]()), "", age_s, self._last_end(service) if what == "restarts" else None)

    def _last_end(self, service: str) -> dict[str, str] | None:
        """Say why a container of the service ended last, and how long ago."""
        pods = [pod for tally in self._inventory.of(service) for pod in tally.pods]
        ends = [(c.last_finished_at, c) for pod in pods for c in pod.containers if c.last_finished_at is not None]
        if not ends:
            return None
        at, last = max(ends, key=lambda each: each[0])
        code = f" (exit {last.last_exit_code})" if last.last_exit_code is not None else ""
        return {"last": f"{last.last_reason or 'ended'}{code} {spell(max(0.0, self._now - at))} ago"}

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

    def _plain(self, what: str) -> Value:
        found = {
            "suspect-releases": self._suspect_releases,
            "recent-releases": self._recent_releases,
            "publish-off": self._publish_off,
        }
        return found.get(what, self._unready)()

    def _publish_off(self) -> Value:
        """Return 1 where the toggle of publishing says no."""
        value = variable(self._cluster, PUBLISH_TOGGLE)
        if value is None:
            return Value(0.0, "", None, {PUBLISH_TOGGLE: "not set"})
        return Value(float(value.strip().lower() in OFF), "", None, {PUBLISH_TOGGLE: value})

    def _unready(self) -> Value:
        return Value(float(sum(t.unready for t in self._inventory.tallies.values())))

    def _suspect_releases(self) -> Value:
        """Count deployments that brought another image within 30 minutes and are not well since."""
        found = [each for each in self._recent if self._suspect(each)]
        words = ", ".join(each.words for each in found)
        return Value(float(len(found)), "", None, {"deployments": words} if words else None)

    def _suspect(self, release: Release) -> bool:
        key = (release.namespace, release.name)
        tally = self._inventory.tallies.get(key)
        ends = [at for at in tally.last_ends if at >= self._now - RECENT_RELEASE_S] if tally else []
        desired = sum(w.desired for w in self._cluster.workloads.values() if (w.namespace, w.name) == key)
        return (tally.ready if tally else 0) < desired or bool(ends)

    def _blamed(self, counts: Callable[[Onset], bool], age_s: float | None) -> Value:
        """Count releases after whose begin something turned bad, and name the one it is nearest to.

        What was bad before a release is not its doing.
        """
        found: list[tuple[float, Release, Onset]] = []
        for release in releases(self._cluster, self._now):
            began = self._now - release.age_s
            for onset in self._onsets.values() if release.age_s <= BLAMED_S else ():
                after = onset.at - began
                if counts(onset) and -SCRAPE_S <= after <= BLAMED_S:
                    found.append((after, release, onset))
        if not found:
            return Value(0.0, "", age_s)
        after, release, onset = min(found, key=lambda one: (one[2].at_latest, one[0]))
        since = f"{max(0.0, after) / 60:.0f} min after it" + (" at the latest" if onset.at_latest else "")
        labels = {"release": release.name, "then": onset.title, "since": since}
        return Value(float(len({each.name for _, each, _ in found})), "", age_s, labels)

    def _recent_releases(self) -> Value:
        """Count deployments that brought another image within 30 minutes, well or not."""
        words = ", ".join(each.words for each in self._recent)
        return Value(float(len(self._recent)), "", None, {"deployments": words} if words else None)

    @cached_property
    def _recent(self) -> list[Release]:
        return [each for each in releases(self._cluster, self._now) if each.age_s <= RECENT_RELEASE_S]


FAMILY = Family(
    KubernetesValues,
    plain=(
        "kubernetes.unready",
        "kubernetes.suspect-releases",
        "kubernetes.recent-releases",
        "kubernetes.publish-off",
        *(f"kubernetes.{name}" for name in BLAMED),
    ),
    of_service=tuple(f"kubernetes.{head}" for head in ("ready", "unready", "restarts", "pods", "share", "cut-off")),
)
