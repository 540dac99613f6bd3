"""Counts services as the Pods panel groups them, and says in a few words why one is not well."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.assessment import jobs, refusals
from cockpit.model.observed.cluster import Cluster, Workload
from cockpit.model.runbook import Service
from cockpit.model.signal import Level
from cockpit.model.situation import ServiceStatus
from cockpit.sources.inventory import STARTING, Inventory, PodTally

#: A restart this long ago is still worth a word.
RECENT_S = 600.0
_NO_PODS = PodTally(
    pods=(),
    uids=(),
    ready=0,
    running=0,
    unready=0,
    restarts=0,
    last_ends=(),
    youngest_at=None,
    terminating=0,
    expected=0,
    reasons={},
)


def services(
    cluster: Cluster,
    inventory: Inventory,
    known: Mapping[str, Service],
    now: float,
    stopped: Mapping[str, str] | None = None,
) -> tuple[ServiceStatus, ...]:
    """Return every workload and every group of pods without one, worst first.

    `now`: unix seconds on the cluster's clock. `stopped`: those scaled to 0 on purpose, with who
    did it; any other of the pipeline's that stands at 0 serves nobody.
    """
    found: list[ServiceStatus] = []
    for (namespace, name), workload in cluster.workloads.items():
        tally = inventory.tallies.get((namespace, name), _NO_PODS)
        refused = refusals.refused(cluster, workload, tally.running - tally.terminating, now)
        found.append(_of_workload(workload, tally, known.get(name), now, refused, (stopped or {}).get(name, "")))
    for (namespace, name), tally in inventory.tallies.items():
        if (namespace, name) not in cluster.workloads:
            status = _without_workload(namespace, name, tally, now)
            found.append(jobs.judged(status, tally, cluster.jobs) if status.kind == "Job" else status)
    return tuple(sorted(found, key=lambda s: (-Level(s.level).rank, s.namespace, s.name)))


def _of_workload(
    workload: Workload, tally: PodTally, service: Service | None, now: float, refused: str, stopped: str = ""
) -> ServiceStatus:
    level, why = Level.OK, ""
    desired = workload.desired
    reasons = tally.reasons
    stuck = next(
        (c for c in workload.conditions if c.type == "Progressing" and c.reason == "ProgressDeadlineExceeded"), None
    )
    failing = [reason for reason in reasons if reason not in STARTING]
    if desired == 0:
        level = Level.OK if service is None else Level.WARN if stopped else Level.CRIT
        why = stopped or "scaled to 0"
        if tally.running:
            why += (
                f", {tally.running} terminating" if tally.terminating == len(tally.pods) else f", {tally.running} left"
            )
    elif tally.ready < desired:
        level = Level.CRIT if tally.ready == 0 else Level.WARN
        why = _most(reasons) or f"{desired - tally.ready} of {desired} missing"
    elif failing:
        level, why = Level.WARN, _most({reason: reasons[reason] for reason in failing})
    elif reasons:
        why = _most(reasons)
    if refused:  # it explains what is missing, and stands in the way of more even where nothing is
        level = level if level is Level.CRIT else Level.WARN
        missing = max(0, desired - tally.running + tally.terminating)
        why = f"{missing} of {desired} refused: {refused}" if missing else f"new pods refused: {refused}"
    if stuck is not None:
        level = level if level is Level.CRIT else Level.WARN
        why = f"rollout stuck: {why}" if why else "rollout stuck"
    if service is not None and service.singleton and tally.running > max(1, desired):
        level, why = Level.CRIT, f"{tally.running} pods of a singleton"
    recent = _recent_restart(tally, now)
    if not why and recent:
        level, why = Level.WARN, recent
    if not why and tally.terminating:
        why = f"{tally.terminating} terminating"
    if workload.paused:
        why = f"{why}, paused" if why else "paused"
    age = _age(tally.youngest_at if tally.youngest_at is not None else workload.created_at, now)
    return ServiceStatus(
        name=workload.name,
        namespace=workload.namespace,
        kind=workload.kind,
        ready=tally.ready,
        desired=desired,
        restarts=tally.restarts,
        age_s=age,
        why=why,
        level=level.value,
        pods=tally.uids,
    )


def _without_workload(namespace: str, name: str, tally: PodTally, now: float) -> ServiceStatus:
    """Group jobs, bare pods, and pods whose workload may not be read."""
    reasons, expected = tally.reasons, tally.expected
    level = Level.OK if tally.ready >= expected else Level.WARN
    if level is Level.WARN and tally.ready == 0 and not all(reason in STARTING for reason in reasons):
        level = Level.CRIT
    kind = tally.pods[0].owner_kind or "Pod"
    return ServiceStatus(
        name=name,
        namespace=namespace,
        kind=kind,
        ready=tally.ready,
        desired=expected,
        restarts=tally.restarts,
        age_s=_age(tally.youngest_at, now),
        why=_most(reasons),
        level=level.value,
        pods=tally.uids,
    )


def _most(reasons: Mapping[str, int]) -> str:
    """Return the dominant reason; trouble comes before what a pod on its way up says."""
    if not reasons:
        return ""
    reason, count = min(reasons.items(), key=lambda item: (item[0] in STARTING, -item[1], item[0]))
    return f"{reason} ×{count}" if count > 1 else reason


def _recent_restart(tally: PodTally, now: float) -> str:
    if not tally.last_ends or max(tally.last_ends) < now - RECENT_S:
        return ""
    newest = max(
        (c for pod in tally.pods for c in pod.containers if c.last_finished_at is not None and not c.init),
        key=lambda c: c.last_finished_at or 0.0,
    )
    code = f" (exit {newest.last_exit_code})" if newest.last_exit_code is not None else ""
    minutes = max(0.0, now - (newest.last_finished_at or now)) / 60
    return f"restarted {minutes:.0f} min ago: {newest.last_reason or 'ended'}{code}"


def _age(created_at: float | None, now: float) -> float | None:
    return None if created_at is None else max(0.0, now - created_at)
