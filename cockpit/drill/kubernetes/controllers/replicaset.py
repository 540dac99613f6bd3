"""Keeps ReplicaSets at their number of pods, and writes their status (recording 41)."""

from __future__ import annotations

from cockpit.drill.clock import parse_rfc3339
from cockpit.drill.kubernetes.controllers.context import Context, is_active, is_ready, owner
from cockpit.drill.kubernetes.objects import defaults
from cockpit.drill.kubernetes.objects.resources import DEPLOYMENTS, PODS, REPLICASETS, Obj
from cockpit.drill.kubernetes.objects.store import Stored

_COMPONENT = "replicaset-controller"


def run(ctx: Context) -> None:
    for stored in ctx.store.select(REPLICASETS):
        if "deletionTimestamp" not in stored.obj["metadata"]:
            _sync(ctx, stored)


def _sync(ctx: Context, rs: Stored) -> None:
    pods = ctx.store.owned(PODS, rs.obj["metadata"]["uid"])
    active = [p for p in pods if is_active(p.obj)]
    wanted = rs.obj["spec"].get("replicas", 1)
    failed = ""
    if len(active) < wanted:
        for _ in range(wanted - len(active)):
            failed = _create(ctx, rs)
            if failed:
                break
    elif len(active) > wanted:
        for pod in sorted(active, key=_first_to_go)[: len(active) - wanted]:
            ctx.delete_pod(PODS, pod)
            message = f"Deleted pod: {pod.key[1]}"
            ctx.recorder.record(REPLICASETS, rs.obj, "SuccessfulDelete", message, _COMPONENT)
    current = ctx.current(REPLICASETS, rs)
    if current is not None:
        ctx.set_status(REPLICASETS, current, _status(ctx, current, failed))


def _first_to_go(pod: Stored) -> tuple[bool, bool, float]:
    """Order pods for deletion: unscheduled, unready and young ones first."""
    scheduled = bool(pod.obj["spec"].get("nodeName"))
    return scheduled, is_ready(pod.obj), -parse_rfc3339(pod.obj["metadata"]["creationTimestamp"])


def new_pod(template: Obj, meta: Obj, namespace: str) -> Obj:
    """Make a pod from a template, with the template's labels and annotations."""
    below = template.get("metadata") or {}
    full: Obj = {**meta, "namespace": namespace, "generation": 1}
    for field in ("labels", "annotations"):
        joined = {**(below.get(field) or {}), **(meta.get(field) or {})}
        full.pop(field, None)
        if joined:
            full[field] = joined
    refs = full.pop("ownerReferences", None)
    if refs:
        full["ownerReferences"] = refs
    return defaults.complete("pods", {"metadata": full, "spec": template["spec"]})


def _create(ctx: Context, rs: Stored) -> str:
    """Create one pod; return what went wrong, or nothing."""
    meta = rs.obj["metadata"]
    if ctx.create_error:
        message = f"Error creating: {ctx.create_error}"
        ctx.recorder.warn(REPLICASETS, rs.obj, "FailedCreate", message, _COMPONENT)
        return ctx.create_error
    prefix = f"{meta['name']}-"
    name = prefix + ctx.suffix()
    while ctx.store.get(PODS, meta["namespace"], name) is not None:
        name = prefix + ctx.suffix()
    head = {"name": name, "generateName": prefix, "ownerReferences": [owner(REPLICASETS, rs.obj)]}
    ctx.store.create(PODS, new_pod(rs.obj["spec"]["template"], head, meta["namespace"]))
    ctx.recorder.record(REPLICASETS, rs.obj, "SuccessfulCreate", f"Created pod: {name}", _COMPONENT)
    return ""


def _is_available(ctx: Context, rs: Stored, pod: Obj) -> bool:
    """Tell whether it has been ready for the `minReadySeconds` that its deployment asks for."""
    owners = rs.obj["metadata"].get("ownerReferences") or [{}]
    deployment = ctx.store.get(DEPLOYMENTS, rs.key[0], str(owners[0].get("name")))
    least_s = deployment.obj["spec"].get("minReadySeconds", 0) if deployment is not None else 0
    if not is_ready(pod) or not least_s:
        return is_ready(pod)
    since = next(c["lastTransitionTime"] for c in pod["status"]["conditions"] if c["type"] == "Ready")
    return parse_rfc3339(since) + least_s <= ctx.now()


def _status(ctx: Context, rs: Stored, failed: str) -> Obj:
    pods = [p.obj for p in ctx.store.owned(PODS, rs.obj["metadata"]["uid"])]
    active = [p for p in pods if is_active(p)]
    ready = sum(1 for p in active if is_ready(p))
    status: Obj = {"replicas": len(active)}
    if active:
        status["fullyLabeledReplicas"] = len(active)
    if ready:
        status["readyReplicas"] = ready
    available = sum(1 for p in active if _is_available(ctx, rs, p))
    if available:
        status["availableReplicas"] = available
    status["terminatingReplicas"] = sum(1 for p in pods if "deletionTimestamp" in p["metadata"])
    status["observedGeneration"] = rs.obj["metadata"].get("generation", 1)
    if failed:
        known = (rs.obj["status"].get("conditions") or [{}])[0].get("lastTransitionTime")
        status["conditions"] = [
            {
                "type": "ReplicaFailure",
                "status": "True",
                "lastTransitionTime": known or ctx.stamp(),
                "reason": "FailedCreate",
                "message": failed,
            }
        ]
    return status
