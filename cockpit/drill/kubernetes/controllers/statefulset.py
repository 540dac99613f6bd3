"""Runs StatefulSets: ordered by ordinal, one at a time, updated from the highest down."""

from __future__ import annotations

from cockpit.drill.kubernetes.controllers.context import Context, is_active, is_ready, owner
from cockpit.drill.kubernetes.controllers.deployment import template_hash
from cockpit.drill.kubernetes.controllers.replicaset import new_pod
from cockpit.drill.kubernetes.objects.resources import CONTROLLERREVISIONS, PODS, STATEFULSETS, Obj
from cockpit.drill.kubernetes.objects.store import Stored

_COMPONENT = "statefulset-controller"
_HASH = "controller-revision-hash"


def run(ctx: Context) -> None:
    for stored in ctx.store.select(STATEFULSETS):
        if "deletionTimestamp" not in stored.obj["metadata"]:
            _sync(ctx, stored)


def _ordinal(pod: Stored) -> int:
    return int(pod.key[1].rpartition("-")[2])


def _sync(ctx: Context, sts: Stored) -> None:
    spec = sts.obj["spec"]
    revision = f"{sts.key[1]}-{template_hash(spec['template'])}"
    _remember(ctx, sts, revision)
    pods = {_ordinal(p): p for p in ctx.store.owned(PODS, sts.obj["metadata"]["uid"])}
    _act(ctx, sts, spec.get("replicas", 1), revision, pods)
    current = ctx.current(STATEFULSETS, sts)
    if current is not None:
        ctx.set_status(STATEFULSETS, current, _status(ctx, current, revision))


def _remember(ctx: Context, sts: Stored, name: str) -> None:
    """Store the ControllerRevision of the present template.

    One that is gone back to becomes the newest again.
    """
    meta = sts.obj["metadata"]
    kept = ctx.store.owned(CONTROLLERREVISIONS, meta["uid"])
    newest = max((r.obj["revision"] for r in kept), default=0)
    found = next((r for r in kept if r.key[1] == name), None)
    if found is not None:
        if found.obj["revision"] != newest:
            ctx.store.replace(CONTROLLERREVISIONS, found, {**found.obj, "revision": newest + 1})
        return
    template = sts.obj["spec"]["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    head: Obj = {
        "name": name,
        "namespace": meta["namespace"],
        "labels": labels,
        "ownerReferences": [owner(STATEFULSETS, sts.obj)],
    }
    if meta.get("annotations"):
        head["annotations"] = dict(meta["annotations"])
    data = {"spec": {"template": {**template, "$patch": "replace"}}}
    ctx.store.create(CONTROLLERREVISIONS, {"metadata": head, "data": data, "revision": newest + 1})


def _act(ctx: Context, sts: Stored, wanted: int, revision: str, pods: dict[int, Stored]) -> None:
    """Make at most one change a pass; with OrderedReady only when all lower ordinals are ready.

    A broken pod so holds up its own replacement, by whatever revision: it must be deleted by hand.
    """
    spec = sts.obj["spec"]
    ordered = spec.get("podManagementPolicy") != "Parallel"
    for i in range(wanted):
        if i not in pods:
            _create(ctx, sts, i, revision)
            return
        if ordered and not _well(pods[i]):
            return
    for i in sorted((i for i in pods if i >= wanted), reverse=True):
        if "deletionTimestamp" not in pods[i].obj["metadata"]:
            _delete(ctx, sts, pods[i])
        return
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    for i in range(wanted - 1, partition - 1, -1):
        if _revision(pods[i]) != revision:
            if "deletionTimestamp" not in pods[i].obj["metadata"]:
                _delete(ctx, sts, pods[i])
            return
        if not _well(pods[i]):
            return


def _well(pod: Stored) -> bool:
    return "deletionTimestamp" not in pod.obj["metadata"] and is_ready(pod.obj)


def _revision(pod: Stored) -> str:
    return str((pod.obj["metadata"].get("labels") or {}).get(_HASH))


def _delete(ctx: Context, sts: Stored, pod: Stored) -> None:
    ctx.delete_pod(PODS, pod)
    text = f"delete Pod {pod.key[1]} in StatefulSet {sts.key[1]} successful"
    ctx.recorder.record(STATEFULSETS, sts.obj, "SuccessfulDelete", text, _COMPONENT)


def _create(ctx: Context, sts: Stored, ordinal: int, revision: str) -> None:
    meta = sts.obj["metadata"]
    name = f"{meta['name']}-{ordinal}"
    if ctx.store.get(PODS, meta["namespace"], name) is not None:
        return
    labels = {"apps.kubernetes.io/pod-index": str(ordinal), _HASH: revision, "statefulset.kubernetes.io/pod-name": name}
    head = {
        "name": name,
        "generateName": f"{meta['name']}-",
        "labels": labels,
        "ownerReferences": [owner(STATEFULSETS, sts.obj)],
    }
    partition = ((sts.obj["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}).get("partition") or 0
    current = sts.obj["status"].get("currentRevision", revision)
    template = sts.obj["spec"]["template"]
    if ordinal < partition and current != revision:
        kept = ctx.store.get(CONTROLLERREVISIONS, meta["namespace"], current)
        if kept is not None:
            template = {k: v for k, v in kept.obj["data"]["spec"]["template"].items() if k != "$patch"}
            labels[_HASH] = current
    made = new_pod(template, head, meta["namespace"])
    own = {"hostname": name, "subdomain": sts.obj["spec"].get("serviceName", "")}
    made["spec"] = {**made["spec"], **{field: value for field, value in own.items() if value}}
    ctx.store.create(PODS, made)
    text = f"create Pod {name} in StatefulSet {meta['name']} successful"
    ctx.recorder.record(STATEFULSETS, sts.obj, "SuccessfulCreate", text, _COMPONENT)


def _status(ctx: Context, sts: Stored, revision: str) -> Obj:
    pods = [p.obj for p in ctx.store.owned(PODS, sts.obj["metadata"]["uid"]) if is_active(p.obj)]
    ready = sum(1 for p in pods if is_ready(p))
    updated = sum(1 for p in pods if (p["metadata"].get("labels") or {}).get(_HASH) == revision)
    done = updated == len(pods) == sts.obj["spec"].get("replicas", 1)
    before = sts.obj["status"].get("currentRevision", revision)
    status: Obj = {"observedGeneration": sts.obj["metadata"].get("generation", 1), "replicas": len(pods)}
    if ready:
        status["readyReplicas"] = ready
    if done or len(pods) - updated:
        status["currentReplicas"] = updated if done else len(pods) - updated
    if updated:
        status["updatedReplicas"] = updated
    status["currentRevision"] = revision if done else before
    status["updateRevision"] = revision
    status["collisionCount"] = 0
    status["availableReplicas"] = ready
    return status
