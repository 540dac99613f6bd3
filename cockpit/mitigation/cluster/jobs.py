"""Follows a Job: how far it is, what its pods say, whether it completed.

Reference: Kubernetes API, batch/v1 Job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from msgspec.structs import replace

from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError, NotFound
from cockpit.mitigation.cluster.objects import collection_path, object_path
from cockpit.mitigation.cluster.refusals import refused
from cockpit.mitigation.cluster.rollout import reason_of
from cockpit.mitigation.context import OnProgress, StepContext
from cockpit.model.plan import GuardResult, Proof, Rollout, Verdict
from cockpit.text import clean, safe

POLL_S = 1.0
LOG_LINES = 20
LONGEST_S = 3600.0
_MOST_JOBS = 10_000
_ENDS = ("Complete", "SuccessCriteriaMet", "Failed")


def ended(job: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the condition that ended it; None while it runs."""
    for condition in (job.get("status") or {}).get("conditions") or []:
        if condition.get("type") in _ENDS and condition.get("status") == "True":
            found: Mapping[str, Any] = condition
            return found
    return None


def timeout_of(spec: Mapping[str, Any]) -> float:
    """Return the seconds to wait for it: its own deadline and a minute, else an hour."""
    deadline = spec.get("activeDeadlineSeconds")
    return float(deadline) + 60.0 if deadline else LONGEST_S


def snapshot(job: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> Rollout:
    """Judge how far the job is, from one reading of it.

    `updated` counts pods that succeeded, `desired` those that must, `terminating` those that run.
    """
    status, spec = job.get("status") or {}, job.get("spec") or {}
    succeeded, failed, active = (int(status.get(key) or 0) for key in ("succeeded", "failed", "active"))
    wanted = int(spec.get("completions") or 1)
    condition = ended(job)
    tries = f", {failed} failed" if failed else ""

    def state(words: str, *, done: bool = False, failed: bool = False, blocking: tuple[str, ...] = ()) -> Rollout:
        return Rollout(done, failed, words, updated=succeeded, desired=wanted, terminating=active, blocking=blocking)

    if condition is None:
        waiting = [pod for pod in pods if _waits(pod)]
        why = [f"{safe(pod['metadata']['name'], 80)}: {reason}" for pod in waiting if (reason := reason_of(pod))]
        words = f"running: {active} active, {succeeded} of {wanted} completed{tries}"
        if spec.get("suspend"):
            words = f"suspended: no pod runs until it is resumed; {succeeded} of {wanted} completed{tries}"
        return state(words, blocking=tuple(why[:3]))
    if condition["type"] == "Failed":
        cause = ": ".join(safe(condition[key], 1000) for key in ("reason", "message") if condition.get(key))
        return state(f"the job failed{tries}: {cause or 'no reason given'}", failed=True)
    return state(f"the job is complete: {succeeded} of {wanted}{tries}", done=True)


def _waits(pod: Mapping[str, Any]) -> bool:
    return (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")


async def pods_of(client: KubeClient, namespace: str, name: str) -> list[dict[str, Any]]:
    """Return the job's pods, the newest first.

    Raises KubeError.
    """
    listed = await client.get(_pods(namespace), {"labelSelector": f"job-name={name}"})
    items: list[dict[str, Any]] = list(listed.get("items") or [])
    return sorted(items, key=lambda p: str(p["metadata"].get("creationTimestamp") or ""), reverse=True)


async def last_lines(client: KubeClient, namespace: str, pods: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the last lines of the newest pod that has a log, cleaned.

    Empty when there is none, or it cannot be read.
    """
    for pod in pods[:2]:
        container = pod["spec"]["containers"][0]["name"]
        params = {"container": container, "tailLines": str(LOG_LINES), "limitBytes": "20000"}
        path = f"{_pods(namespace)}/{quote(pod['metadata']['name'], safe='')}/log"
        try:
            answer = await client.send("GET", path, params=params, accept="*/*", timeout_s=5.0)
        except KubeError:
            continue
        lines = tuple(safe(line, 300) for line in answer.body.decode("utf-8", "replace").splitlines() if line.strip())
        if lines:
            return lines[-LOG_LINES:]
    return ()


def _pods(namespace: str) -> str:
    return f"/api/v1/namespaces/{quote(namespace, safe='')}/pods"


async def running(scope: Mapping[str, Any], cronjob: Mapping[str, Any], context: StepContext) -> tuple[list[str], str]:
    """Name the jobs of the same making that have not ended; and say why they cannot be listed.

    The CronJob's own status has those of its schedule alone.
    """
    active = {str(ref.get("name")) for ref in (cronjob.get("status") or {}).get("active") or []}
    items: list[dict[str, Any]] = []
    page = {"limit": "500"}
    try:
        while True:
            listed = await context.client.get(collection_path("Job", context.namespace), page)
            items += listed.get("items") or []
            more = str((listed.get("metadata") or {}).get("continue") or "")
            if not more:
                break
            if len(items) >= _MOST_JOBS:
                return sorted(active), f"there are more than {_MOST_JOBS:,} jobs"
            page = {"limit": "500", "continue": more}
    except KubeError as error:
        return sorted(active), error.line()
    stem = str(scope["make"]).rpartition("-")[0] + "-"
    for job in items:
        metadata = job["metadata"]
        name, owners = str(metadata["name"]), [str(ref.get("uid")) for ref in metadata.get("ownerReferences") or []]
        if ended(job) is not None:
            active.discard(name)
        elif scope["uid"] in owners if scope["source"] else name.startswith(stem):
            active.add(name)
    return sorted(active), ""


def beside(names: Sequence[str], why: str) -> tuple[GuardResult, ...]:
    """Judge whether another one may run now."""
    if not names:
        unread = f"not known whether another runs now: {safe(why, 200)}"
        return (GuardResult("concurrency", Verdict.UNKNOWN, unread),) if why else ()
    verb = "is" if len(names) == 1 else "are"
    reason = f"{clean(', '.join(names), 200)} {verb} running now: they would run side by side"
    return (GuardResult("concurrency", Verdict.CONFIRM, reason, tuple(names)),)


def held_back(spec: Mapping[str, Any]) -> tuple[GuardResult, ...]:
    """Say that no pod of it would start."""
    if not spec.get("suspend"):
        return ()
    return (GuardResult("suspended", Verdict.CONFIRM, "it is made suspended: no pod starts until it is resumed"),)


async def follow(context: StepContext, name: str, on_progress: OnProgress) -> Rollout:
    """Poll the job until it is complete, failed, gone or out of time.

    Errors of reading are said and outlived.
    """
    started, limit, vanishes = context.clock.mono(), LONGEST_S, True  # until it is read
    namespace = context.namespace
    now = Rollout(done=False, failed=False, words="the job is made", desired=1)
    while True:
        lines: tuple[str, ...] = ()
        try:
            job = await context.client.get(object_path("Job", namespace, name))
            limit = timeout_of(job.get("spec") or {})
            vanishes = (job.get("spec") or {}).get("ttlSecondsAfterFinished") is not None
            pods = await pods_of(context.client, namespace, name)
            now, lines = snapshot(job, pods), await last_lines(context.client, namespace, pods)
            why = await refused(context.client, namespace, job) if not pods else ""
            now = replace(now, words=f"{now.words}: {why}") if why else now
        except NotFound:
            now = _failed(now, f"job {name} is gone")
            if vanishes:  # it may have ended well, and been tidied away between two looks
                words = f"job {name} is gone, as its time to live says: how it ended is not known"
                now = Rollout(done=True, failed=False, words=words, updated=now.updated, desired=now.desired)
                on_progress(rollout=now, proof=Proof.UNKNOWN)
                return now
        except KubeError as error:
            now = replace(now, done=False, failed=False, words=f"cannot read the job: {error.line()}", blocking=())
        if now.failed and lines:
            now = _failed(now, f"{now.words} | log: {' / '.join(lines[-3:])}")
        if not (now.done or now.failed) and context.clock.mono() - started >= limit:
            now = _failed(now, f"not complete within {limit:.0f} s: {now.words}")
        on_progress(rollout=now, output=lines or None, proof=Proof.PASS if now.done else None)
        if now.done or now.failed:
            return now
        await context.sleep(POLL_S)


def _failed(now: Rollout, words: str) -> Rollout:
    return Rollout(done=False, failed=True, words=words, updated=now.updated, desired=now.desired)


async def follow_to_gone(context: StepContext, name: str, on_progress: OnProgress) -> Rollout:
    """Poll after a delete until neither the job nor a pod of it is left."""
    namespace = context.namespace
    started = context.clock.mono()
    while True:
        left, words = 1, ""
        try:
            left = len(await pods_of(context.client, namespace, name))
            words = f"{left} pod{'s' if left != 1 else ''} left, terminating"
            await context.client.get(object_path("Job", namespace, name))
        except NotFound:
            if left == 0:
                return Rollout(done=True, failed=False, words="the job is deleted, no pod of it is left")
        except KubeError as error:
            words = f"cannot read what is left: {error.line()}"
        late = context.clock.mono() - started >= 600.0
        now = Rollout(done=False, failed=late, words=words, terminating=left)
        on_progress(rollout=now)
        if now.failed:
            return now
        await context.sleep(POLL_S)
