"""Explains why a pod or a workload is not well.

It goes by conditions, container states, events and ReplicaSets.

Lines of plain text, worst first, each beginning with its most telling fact; the last says what to
do next. Reference: Kubernetes pod lifecycle, deployment status conditions.
"""

from __future__ import annotations

from collections import Counter

from cockpit.assessment.explain.pod import ago, container_lines, next_step, pod_summary, span
from cockpit.assessment.refusals import refused
from cockpit.model.observed.cluster import Cluster, Condition, KubeEvent, Pod, ReplicaSet, Workload
from cockpit.text import counted

#: Events older than this explain nothing any more.
_EVENTS_S = 3600.0
_MOST_EVENTS = 3
_MOST_PODS = 5


def explain_pod(cluster: Cluster, pod: Pod, now: float) -> tuple[str, ...]:
    """Explain one pod.

    `now`: unix seconds on the cluster's clock.
    """
    lines: list[str] = []
    if pod.deleted_at is not None:
        lines.append(_terminating(pod, now))
    scheduled = _condition(pod.conditions, "PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        waiting = f" for {span(now - pod.created_at)}" if pod.created_at is not None else ""
        lines.append(
            f"Pending{waiting}, no node takes it: {scheduled.message or scheduled.reason or 'no reason given'}"
        )
    if pod.phase == "Failed":
        lines.append(f"Failed: {pod.reason or 'no reason given'}{f': {pod.message}' if pod.message else ''}")
    lines += container_lines(pod, now)
    lines += _gates(pod)
    if not lines:
        lines.append(pod_summary(pod, now))
    lines += _events(cluster, pod.namespace, {pod.name}, now)
    todo = next_step(pod)
    return tuple([*lines, f"next: {todo}"] if todo else lines)


def explain_workload(cluster: Cluster, workload: Workload, now: float, well: str = "All well") -> tuple[str, ...]:
    """Explain a workload and its pods.

    `now`: unix seconds on the cluster's clock. `well`: the words where nothing is amiss with them.
    """
    pods = cluster.pods_of(workload.namespace, workload.name)
    lines = _rollout(cluster, workload, pods, now)
    if not lines:
        lines.append(f"{well}: {workload.ready} of {workload.desired} ready, {workload.updated} up to date")
    broken = [pod for pod in pods if not pod.healthy]
    said: Counter[str] = Counter()
    for pod in sorted(broken, key=lambda p: (p.terminating, -p.restarts, p.name)):
        said[pod.reason] += 1
        if said[pod.reason] > 1 or len(said) > _MOST_PODS:
            continue
        own = explain_pod(cluster, pod, now)
        same = sum(1 for p in broken if p.reason == pod.reason) - 1
        lines.append(f"{pod.name}: {own[0]}{f' (and {same} more alike)' if same else ''}")
        lines += [f"  {line}" for line in own[1:] if not line.startswith(("next:", "event"))]
    lines += _scaler(cluster, workload)
    names = {workload.name, *(pod.name for pod in broken)}
    names |= {rs.name for rs in _replicasets(cluster, workload) if rs.desired}
    lines += _events(cluster, workload.namespace, names, now)
    todo = _workload_next(workload, broken)
    return tuple([*lines, f"next: {todo}"] if todo else lines)


def _rollout(cluster: Cluster, workload: Workload, pods: list[Pod], now: float) -> list[str]:
    lines: list[str] = []
    progressing = _condition(workload.conditions, "Progressing")
    available = _condition(workload.conditions, "Available")
    there = sum(1 for pod in pods if pod.deleted_at is None and pod.phase not in ("Succeeded", "Failed"))
    why = refused(cluster, workload, there, now)
    if why:
        lines.append(f"Pods cannot be created: {why}")
    if progressing is not None and progressing.reason == "ProgressDeadlineExceeded":
        lines.append(
            f"Rollout stuck{_since(progressing, now)}: {progressing.message or 'its progress deadline has passed'}"
        )
    if workload.generation > workload.observed_generation:
        lines.append(
            f"Not seen yet by its controller: generation {workload.generation}, observed {workload.observed_generation}"
        )
    lines += _generations(cluster, workload, pods, now)
    if workload.paused:
        lines.append("Paused: no rollout goes on until it is resumed")
    if workload.desired == 0:
        left = sum(1 for pod in pods if pod.phase not in ("Succeeded", "Failed"))
        still = f"{counted(left, 'pod')} {'is' if left == 1 else 'are'} still there"
        lines.append(f"Scaled to 0: {still if left else 'no pod runs'}")
    elif workload.ready < workload.desired:
        lines.append(f"{workload.ready} of {workload.desired} ready, {workload.available} available")
    if available is not None and available.status == "False" and workload.desired:
        lines.append(f"Below its minimum availability{_since(available, now)}: {available.message or available.reason}")
    return lines


def _generations(cluster: Cluster, workload: Workload, pods: list[Pod], now: float) -> list[str]:
    """Compare the new ReplicaSet with the old ones, while both are there."""
    if workload.kind != "Deployment":
        if workload.updated < workload.desired:
            return [f"Rollout not finished: {workload.updated} of {workload.desired} are of the new revision"]
        return []
    sets = [rs for rs in _replicasets(cluster, workload) if rs.desired]
    if workload.updated >= workload.replicas and workload.updated >= workload.desired and len(sets) < 2:
        return []
    if not sets:
        return [f"Rollout not finished: {workload.updated} of {workload.desired} pods are of the new revision"]
    newest = max(sets, key=lambda rs: rs.revision)
    own = [pod for pod in pods if pod.owner_name == newest.name and not pod.healthy]
    age = f", started {ago(now, newest.created_at)}" if newest.created_at is not None else ""
    why = f": {own[0].reason}" if own else ""
    lines = [
        f"Rollout not finished: revision {newest.revision} ({newest.name}) has "
        f"{newest.ready} of {newest.desired} ready{why}{age}"
    ]
    for old in sets:
        if old is newest:
            continue
        changed = "" if old.images == newest.images else f", image {', '.join(old.images)} → {', '.join(newest.images)}"
        lines.append(
            f"Old revision {old.revision} ({old.name}) still serves with {old.ready} of {old.desired}{changed}"
        )
    return lines


def _replicasets(cluster: Cluster, workload: Workload) -> list[ReplicaSet]:
    return [
        rs
        for rs in cluster.replicasets.values()
        if rs.namespace == workload.namespace and rs.owner_name == workload.name
    ]


def _scaler(cluster: Cluster, workload: Workload) -> list[str]:
    for scaler in cluster.autoscalers.values():
        target = (scaler.namespace, scaler.target_kind, scaler.target_name)
        if target == (workload.namespace, workload.kind, workload.name):
            bounds = f"{scaler.min_replicas} to {scaler.max_replicas}"
            if workload.desired == 0:
                return [f"Autoscaler {scaler.name} ({bounds}) is off while it is scaled to 0"]
            return [f"Autoscaler {scaler.name} keeps it at {bounds}, now {scaler.desired}: it undoes a manual scale"]
    return []


def _workload_next(workload: Workload, broken: list[Pod]) -> str:
    if workload.paused:
        return f"resume it when it is meant to go on: kubectl rollout resume {workload.kind.lower()}/{workload.name}"
    stuck = any(c.reason == "ProgressDeadlineExceeded" for c in workload.conditions)
    if (stuck or workload.updated < workload.desired) and any(not pod.terminating for pod in broken):
        return "look at the new pods' logs (l), or go back to the last good image (runbook 11)"
    waiting = [pod for pod in broken if not pod.terminating]
    return next_step(waiting[0]) if waiting else ""


def _terminating(pod: Pod, now: float) -> str:
    """Say since when a pod terminates.

    metadata.deletionTimestamp is when the grace period ends, not when deletion was asked for.
    """
    assert pod.deleted_at is not None
    late = now - pod.deleted_at
    if late <= 0:
        return f"Terminating: {span(-late)} of its grace period are left"
    tail = ": longer than it was given; a finalizer, a hanging process or a lost node holds it" if late > 30 else ""
    return f"Terminating: its grace period ended {span(late)} ago{tail}"


def _gates(pod: Pod) -> list[str]:
    """Name readiness gates and other conditions that are false for a reason of their own."""
    known = ("PodScheduled", "Initialized", "Ready", "ContainersReady", "PodReadyToStartContainers", "DisruptionTarget")
    lines = [
        f"{c.type} is {c.status}: {c.message or c.reason}"
        for c in pod.conditions
        if c.type not in known and c.status != "True" and (c.message or c.reason)
    ]
    disrupted = _condition(pod.conditions, "DisruptionTarget")
    if disrupted is not None and disrupted.status == "True":
        lines.append(f"Evicted or preempted: {disrupted.message or disrupted.reason}")
    return lines


def _events(cluster: Cluster, namespace: str, names: set[str], now: float) -> list[str]:
    """Return the newest warnings about these objects, each reason and message once."""
    found = [
        event
        for event in cluster.events.values()
        if event.type == "Warning"
        and event.namespace == namespace
        and event.object_name in names
        and (event.last_seen is None or event.last_seen >= now - _EVENTS_S)
    ]
    found.sort(key=lambda event: event.last_seen or 0.0, reverse=True)
    distinct: dict[tuple[str, str], KubeEvent] = {}
    for event in found:
        distinct.setdefault((event.reason, event.message), event)
    return [
        f"event {event.reason}{f' ×{event.count}' if event.count > 1 else ''} "
        f"{ago(now, event.last_seen)}: {event.message}"
        for event in list(distinct.values())[:_MOST_EVENTS]
    ]


def _condition(conditions: tuple[Condition, ...], kind: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == kind), None)


def _since(condition: Condition, now: float) -> str:
    return f" for {span(now - condition.changed_at)}" if condition.changed_at is not None else ""
