"""Runs Jobs: pods until enough have succeeded, or too many have failed.

Reference: batch/v1, the job controller.

CronJobs are only templates here: nothing is scheduled, and `kubectl create job --from` works.
"""

from __future__ import annotations

from cockpit.drill.clock import parse_rfc3339
from cockpit.drill.kubernetes.controllers.context import Context, is_active, is_ready, owner
from cockpit.drill.kubernetes.controllers.replicaset import new_pod
from cockpit.drill.kubernetes.objects.resources import JOBS, PODS, Obj
from cockpit.drill.kubernetes.objects.store import Stored

_COMPONENT = "job-controller"
_ENDS = ("Complete", "Failed")
_FIRST = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}


def run(ctx: Context) -> None:
    for stored in ctx.store.select(JOBS):
        if "deletionTimestamp" not in stored.obj["metadata"] and not ended(stored.obj):
            _sync(ctx, stored)


def ended(job: Obj) -> str:
    """Return "Complete", "Failed" or ""."""
    conditions = (job.get("status") or {}).get("conditions") or ()
    return next((str(c["type"]) for c in conditions if c["type"] in _ENDS and c["status"] == "True"), "")


def _sync(ctx: Context, job: Stored) -> None:
    spec, status = job.obj["spec"], dict(job.obj.get("status") or {})
    pods = ctx.store.owned(PODS, job.obj["metadata"]["uid"])
    active = [p for p in pods if is_active(p.obj)]
    succeeded = sum(1 for p in pods if p.obj["status"].get("phase") == "Succeeded")
    failed = sum(1 for p in pods if p.obj["status"].get("phase") == "Failed")
    status.setdefault("startTime", ctx.stamp())
    wanted = spec.get("completions") or 1
    over, why, message = _verdict(ctx, spec, status, succeeded, failed)
    if over == "Failed":
        for pod in active:
            ctx.delete_pod(PODS, pod)
        active = []
    elif not over and not spec.get("suspend"):
        for _ in range(min(spec.get("parallelism", 1), wanted - succeeded) - len(active)):
            _create(ctx, job)
    if over:
        stamp = ctx.stamp()
        known = {"status": "True", "lastProbeTime": stamp, "lastTransitionTime": stamp}
        kinds = (_FIRST[over], over)  # what was decided is said before its pods have ended
        status["conditions"] = [{"type": kind, **known, "reason": why, "message": message} for kind in kinds]
        if over == "Complete":
            status["completionTime"] = stamp
        write = ctx.recorder.record if over == "Complete" else ctx.recorder.warn
        write(JOBS, job.obj, {"Complete": "Completed"}.get(over, why), message or "Job completed", _COMPONENT)
    current = ctx.current(JOBS, job)
    if current is not None:
        counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
        rest = {k: v for k, v in status.items() if k not in counts and k != "ready"}
        ready = sum(1 for p in active if is_ready(p.obj))
        rest |= {"ready": ready, "terminating": 0, "uncountedTerminatedPods": {}}
        ctx.set_status(JOBS, current, {**rest, **{k: v for k, v in counts.items() if v}})


def _verdict(ctx: Context, spec: Obj, status: Obj, succeeded: int, failed: int) -> tuple[str, str, str]:
    if succeeded >= (spec.get("completions") or 1):
        return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
    if failed > spec.get("backoffLimit", 6):
        return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and ctx.now() - parse_rfc3339(status["startTime"]) >= deadline:
        return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    return "", "", ""


def _create(ctx: Context, job: Stored) -> None:
    meta = job.obj["metadata"]
    prefix = f"{meta['name']}-"
    name = prefix + ctx.suffix()
    labels = {
        "batch.kubernetes.io/controller-uid": meta["uid"],
        "batch.kubernetes.io/job-name": meta["name"],
        "controller-uid": meta["uid"],
        "job-name": meta["name"],
    }
    head = {"name": name, "generateName": prefix, "labels": labels, "ownerReferences": [owner(JOBS, job.obj)]}
    ctx.store.create(PODS, new_pod(job.obj["spec"]["template"], head, meta["namespace"]))
    ctx.recorder.record(JOBS, job.obj, "SuccessfulCreate", f"Created pod: {name}", _COMPONENT)
