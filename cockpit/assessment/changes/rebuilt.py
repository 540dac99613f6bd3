"""Reconstructs what was changed before anybody watched, from what the cluster keeps of it.

ReplicaSets keep the templates that a deployment had; managedFields who wrote which field, and when;
kubectl's annotation what it applied last; events what was scaled. What none of them tells is not
parsed here either.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from msgspec.structs import replace

from cockpit.model.observed.changes import Change
from cockpit.model.observed.cluster import (
    Cluster,
    ConfigMap,
    ContainerTemplate,
    EnvVar,
    KubeEvent,
    ReplicaSet,
    Workload,
    Written,
)
from cockpit.text import HIDDEN

#: A change is of the writer whose entry in managedFields is so near to it.
NEAR_S = 5.0
#: A scaling that near to the making of a ReplicaSet, or to that of another one, is of a rollout.
ROLLOUT_S = 180.0
SETTLES_S = 90.0
_SCALED = re.compile(r"Scaled (?:up|down) replica set (\S+) from (\d+) to (\d+)")
_RESCALED = re.compile(r"New size: (\d+)")
#: Reasons of events that tell of a node or a certificate, whatever object they are about.
_OF_NODES = frozenset(
    (
        "NodeNotReady",
        "NodeNotSchedulable",
        "NodeHasDiskPressure",
        "NodeHasInsufficientMemory",
        "NodeHasInsufficientPID",
        "TaintManagerEviction",
        "Rebooted",
        "SystemOOM",
        "Evicted",
    )
)
_OF_CERTIFICATES = frozenset(("Certificate", "CertificateRequest", "Issuer", "ClusterIssuer"))


def rebuilt(cluster: Cluster, since: float, now: float = float("inf")) -> list[Change]:
    """Return what is known of the time since `since`, in no order."""
    found: list[Change] = []
    owned: dict[tuple[str, str], list[ReplicaSet]] = {}
    for one in cluster.replicasets.values():
        owned.setdefault((one.namespace, one.owner_name), []).append(one)
    events = list(cluster.events.values())
    about: dict[tuple[str, str, str], list[KubeEvent]] = {}
    for event in events:
        if event.reason == "ScalingReplicaSet":
            about.setdefault((event.namespace, event.object_kind, event.object_name), []).append(event)
    for workload in cluster.workloads.values():
        kept = sorted(owned.get((workload.namespace, workload.name), []), key=lambda each: each.revision)
        own = about.get((workload.namespace, workload.kind, workload.name), [])
        found += _of_templates(workload, kept, own)
        found += _of_scalings(workload, kept, own, cluster, now)
        if workload.created_at is not None:
            found.append(_made("workload", workload.kind, workload, workload.created_at, "created"))
    found += _of_configmaps(cluster)
    found += _of_autoscalers(cluster)
    for policy in cluster.policies.values():
        made, changed = policy.created_at, policy.changed_at
        if changed is not None:
            fresh = made is not None and changed - made < NEAR_S
            found.append(
                Change(
                    kind="policy",
                    namespace=policy.namespace,
                    owner="NetworkPolicy",
                    name=policy.name,
                    field="rules",
                    before=None,
                    after="created" if fresh else "changed",
                    at=changed,
                    by=_writer(policy.written, changed),
                    before_seen=fresh,
                )
            )
    for job in cluster.jobs.values():
        if job.created_at is not None:
            words = f"started, of cronjob {job.cronjob}" if job.cronjob else "started"
            found.append(_made("job", "Job", job, job.created_at, words))
    found += _of_events(events)
    return [change for change in found if change.at >= since]


def _made(kind: str, owner: str, one: object, at: float, words: str) -> Change:
    namespace, name = getattr(one, "namespace", ""), getattr(one, "name", "")
    return Change(kind=kind, namespace=namespace, owner=owner, name=name, field=kind, before=None, after=words, at=at)  # type: ignore[arg-type]


def _writer(written: Sequence[Written], at: float, fields: Collection[str] = ()) -> str:
    """Return who wrote one of these fields just then; "" where that cannot be parsed."""
    near = [one for one in written if one.at is not None and abs(one.at - at) <= NEAR_S]
    named = [one for one in near if not fields or one.fields & set(fields)]
    return named[0].manager if len({one.manager for one in named}) == 1 else ""


# --- templates ------------------------------------------------------------------------------------


def _of_templates(workload: Workload, kept: Sequence[ReplicaSet], events: Sequence[KubeEvent]) -> Iterator[Change]:
    """Compare each kept revision with the one before it."""
    for older, newer in pairwise(kept):
        at = _began(older, newer, events)
        if at is None:
            continue
        fields = _fields(older.containers, newer.containers, workload.name)
        by = _writer(workload.written, at, ("image", "env", "spec")) if newer is kept[-1] else ""
        restarted = bool(newer.restarted_at) and newer.restarted_at != older.restarted_at
        alone = ("restart", "restart", None, "restarted") if restarted else ("template", "template", None, "changed")
        for kind, field, before, after in fields or (alone,):
            yield Change(
                kind="image" if kind == "image" else "restart" if kind == "restart" else "variable",
                namespace=workload.namespace,
                owner=workload.kind,
                name=workload.name,
                field=field,
                before=before,
                after=after,
                at=at,
                by=by,
                before_seen=bool(fields) or restarted,
                whole=bool(fields) and changed_whole(before, after),
                revision=older.revision if newer is kept[-1] else 0,
                note=f"revision {older.revision} → {newer.revision}",
            )


def _began(older: ReplicaSet, newer: ReplicaSet, events: Sequence[KubeEvent]) -> float | None:
    """Return when a revision began: one that is gone back to was made long before."""
    made = newer.created_at
    if made is not None and (older.created_at is None or made >= older.created_at):
        return made
    up = [event.first_seen for event in events if f"Scaled up replica set {newer.name} " in event.message]
    return max((at for at in up if at is not None), default=None)


@lru_cache(maxsize=4096)
def _fields(
    older: tuple[ContainerTemplate, ...], newer: tuple[ContainerTemplate, ...], own: str
) -> tuple[tuple[str, str, str | None, str | None], ...]:
    return tuple(template_fields(older, newer, own))


def template_fields(
    older: Sequence[ContainerTemplate], newer: Sequence[ContainerTemplate], own: str
) -> Iterator[tuple[str, str, str | None, str | None]]:
    """Yield (kind, field, before, after) of what differs; of another container with its name."""
    before, after = {each.name: each for each in older}, {each.name: each for each in newer}
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        head = "" if name == own or len(after) == 1 else f"{name}: "
        if (old.image if old else None) != (new.image if new else None):
            yield "image", f"{head}image", old.image if old else None, new.image if new else None
        was, now = _variables(old), _variables(new)
        for variable in dict.fromkeys((*was, *now)):
            if was.get(variable) != now.get(variable):
                yield "variable", f"{head}{variable}", was.get(variable), now.get(variable)


def _variables(one: ContainerTemplate | None) -> Mapping[str, str]:
    return {each.name: _value(each) for each in one.env} if one is not None else {}


def _value(variable: EnvVar) -> str:
    return variable.value if variable.value is not None else f"from {variable.source or 'elsewhere'}"


def changed_whole(*values: str | None) -> bool:
    return not any(HIDDEN in value or value.startswith("from ") or len(value) >= 4096 for value in values if value)


# --- replicas -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Scaled:
    at: float
    name: str  # of the ReplicaSet
    before: str
    after: str


def _scaled(events: Sequence[KubeEvent]) -> list[_Scaled]:
    parsed = [(event.first_seen, _SCALED.match(event.message)) for event in events]
    return [_Scaled(at, found[1], found[2], found[3]) for at, found in parsed if at is not None and found is not None]


def _of_scalings(
    workload: Workload, kept: Sequence[ReplicaSet], events: Sequence[KubeEvent], cluster: Cluster, now: float
) -> Iterator[Change]:
    """Tell scalings from rollouts: these make a ReplicaSet, and scale two of them, in a while."""
    every = _scaled(events)
    made = {one.name: one.created_at for one in kept}
    for one in every:
        fresh = any(at is not None and 0.0 <= one.at - at < ROLLOUT_S for at in made.values())
        rolls = any(abs(each.at - one.at) < ROLLOUT_S and each.name != one.name for each in every)
        if one.name not in made or fresh or rolls or now - one.at < SETTLES_S:
            continue
        managers = {each.manager for each in workload.written if each.subresource == "scale"}
        yield Change(
            kind="replicas",
            namespace=workload.namespace,
            owner=workload.kind,
            name=workload.name,
            field="replicas",
            before=one.before,
            after=one.after,
            at=one.at,
            by=_autoscaler_of(workload, cluster, one.at, one.after)
            or (managers.pop() if len(managers) == 1 else "")
            or _writer(workload.written, one.at, ("replicas",)),
            whole=True,
        )


def _autoscaler_of(workload: Workload, cluster: Cluster, at: float, size: str) -> str:
    for event in cluster.events.values():
        if event.object_kind != "HorizontalPodAutoscaler" or event.namespace != workload.namespace:
            continue
        found = _RESCALED.match(event.message)
        near = event.first_seen is not None and abs(event.first_seen - at) < 2 * NEAR_S
        scaler = cluster.autoscalers.get((event.namespace, event.object_name))
        if found and near and found[1] == size and (scaler is None or scaler.target_name == workload.name):
            return f"autoscaler {event.object_name}"
    return ""


# --- configuration --------------------------------------------------------------------------------


def _of_configmaps(cluster: Cluster) -> Iterator[Change]:
    """Tell which keys are not as kubectl applied them, and what was written later than created."""
    for one in cluster.configmaps.values():
        latest = max((at for at, _ in one.written.values()), default=None)
        shared: dict[tuple[float, str], list[str]] = {}
        for key in dict.fromkeys((*one.data, *one.applied)):
            at, by = one.written.get(key, (latest, ""))
            value = one.data.get(key)
            hidden = value is not None and not changed_whole(value)
            late = at is not None and (one.created_at is None or at - one.created_at >= NEAR_S)
            if at is None or one.applied.get(key) == value:
                if at is not None and late and key in one.written:
                    shared.setdefault((at, by), []).append(key)
            elif one.applied and not (hidden and key not in one.applied):
                # who wrote several keys bears one time for them all: that of the last
                others = sum(1 for other, entry in one.written.items() if entry == (at, by) and other != key)
                found = _config(one, key, one.applied.get(key), value, at, by, seen=True)
                yield replace(found, at_latest=others > 0)
            elif late:
                shared.setdefault((at, by), []).append(key)
        for (at, by), keys in shared.items():
            field = keys[0] if len(keys) == 1 else f"one of {_some(sorted(keys))}"
            yield _config(one, field, None, one.data.get(keys[0]) if len(keys) == 1 else "written", at, by, seen=False)


def _config(
    one: ConfigMap, field: str, before: str | None, after: str | None, at: float, by: str, *, seen: bool
) -> Change:
    return Change(
        kind="config",
        namespace=one.namespace,
        owner="ConfigMap",
        name=one.name,
        field=field,
        before=before,
        after=after,
        at=at,
        by=by,
        before_seen=seen,
        whole=seen and changed_whole(before, after),
    )


def _some(keys: Sequence[str]) -> str:
    return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")


def _of_autoscalers(cluster: Cluster) -> Iterator[Change]:
    for one in cluster.autoscalers.values():
        bounds = f"{one.min_replicas} to {one.max_replicas}"
        made = one.created_at
        if made is not None:
            yield Change(
                kind="autoscaler",
                namespace=one.namespace,
                owner="HorizontalPodAutoscaler",
                name=one.name,
                field=f"{one.target_name} bounds",
                before=None,
                after=bounds,
                at=made,
                by=_writer(one.written, made),
                note="created",
            )
        later = [w for w in one.written if w.at is not None and "bounds" in w.fields]
        newest = max(later, key=lambda w: w.at or 0.0, default=None)
        if newest is not None and newest.at is not None and (made is None or newest.at - made > NEAR_S):
            applied = one.applied_bounds
            yield Change(
                kind="autoscaler",
                namespace=one.namespace,
                owner="HorizontalPodAutoscaler",
                name=one.name,
                field=f"{one.target_name} bounds",
                before=f"{applied[0]} to {applied[1]}" if applied is not None else None,
                after=bounds,
                at=newest.at,
                by=newest.manager,
                before_seen=applied is not None,
            )


def _of_events(events: Sequence[KubeEvent]) -> Iterator[Change]:
    for event in events:
        certificate = event.object_kind in _OF_CERTIFICATES
        at = event.first_seen if event.count <= 1 else event.last_seen
        if at is not None and (certificate or event.object_kind == "Node" or event.reason in _OF_NODES):
            yield Change(
                kind="certificate" if certificate else "node",
                namespace=event.namespace,
                owner=event.object_kind,
                name=event.object_name,
                field=event.reason,
                before=None,
                after=f"{event.reason}: {event.message}"[:200],
                at=at,
                times=event.count,
            )
