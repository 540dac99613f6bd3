"""Judges a Job by what became of it, not by each of its pods: a retry that worked is no trouble.

Reference: Kubernetes API, batch/v1 Job; its pods that failed stay as long as it does.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from cockpit.model.observed.cluster import Job, Pod
from cockpit.model.signal import Level
from cockpit.model.situation import ServiceStatus
from cockpit.sources.inventory import STARTING, PodTally, pod_reason

_Jobs = Mapping[tuple[str, str], Job]


def judged(status: ServiceStatus, tally: PodTally, jobs: _Jobs) -> ServiceStatus:
    """Return the status of a Job's pods with what the Job itself says of them.

    Where Jobs may not be read, its pods say it as far as they can.
    """
    job = jobs.get((status.namespace, status.name))
    if job is None:
        return _by_pods(status, tally)
    failure = job.ended("Failed")
    if job.ended("Complete") is not None:
        return _ended(status, f"Completed{_retries(job.failed)}", Level.OK)
    if failure is not None:
        if _completed_since(job, jobs):
            return _ended(status, f"failed: {failure.reason}; a later run completed", Level.OK)
        return _ended(status, f"failed: {failure.reason or 'no reason given'}", Level.CRIT)
    if job.suspended:
        return _ended(status, "suspended", Level.OK)
    if job.failed:
        stuck = next((why for why in map(_stuck, tally.pods) if why), "")
        why = f"{job.failed} failed, trying again" + (f": {stuck}" if stuck else "")
        return replace(status, desired=job.active, level=(Level.CRIT if stuck else Level.WARN).value, why=why)
    return status


def _stuck(pod: Pod) -> str:
    """Say why a pod that has not ended cannot run; "" when it does or is on its way."""
    if pod.healthy or pod.terminating or pod.phase == "Failed":
        return ""
    reason = pod_reason(pod)
    return "" if reason in STARTING else reason


def _ended(status: ServiceStatus, why: str, level: Level) -> ServiceStatus:
    return replace(status, desired=status.ready, why=why, level=level.value)


def _by_pods(status: ServiceStatus, tally: PodTally) -> ServiceStatus:
    """Call it completed where no pod runs and the last one that was made succeeded."""
    made = {pod.created_at or 0.0 for pod in tally.pods if pod.phase == "Succeeded"}
    others = [pod for pod in tally.pods if pod.phase != "Succeeded"]
    if tally.running or not made or any((pod.created_at or 0.0) >= max(made) for pod in others):
        return status
    return _ended(status, f"Completed{_retries(len(others))}", Level.OK)


def _retries(failed: int) -> str:
    return f", {failed} {'retry' if failed == 1 else 'retries'}" if failed else ""


def _completed_since(job: Job, jobs: _Jobs) -> bool:
    """Return whether the CronJob that made it has had a run that worked."""
    if not job.cronjob or job.created_at is None:
        return False
    return any(
        other.created_at is not None and other.created_at > job.created_at
        for other in jobs.values()
        if (other.namespace, other.cronjob) == (job.namespace, job.cronjob) and other.ended("Complete")
    )
