"""Writes a deployment's status and conditions: complete or stuck (recordings 17, 36, 59)."""

from __future__ import annotations

from cockpit.drill.clock import parse_rfc3339
from cockpit.drill.kubernetes.controllers.context import Context
from cockpit.drill.kubernetes.objects.resources import PODS, Obj
from cockpit.drill.kubernetes.objects.store import Stored


def available(rs: Stored) -> int:
    return int(rs.obj["status"].get("availableReplicas", 0))


def complete(deployment: Obj) -> bool:
    """Return whether a rollout is complete (`DeploymentComplete`).

    Every replica is of the newest template and available, and no other is left.
    """
    wanted, status = deployment["spec"].get("replicas", 1), deployment["status"]
    return bool(
        status.get("updatedReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
    )


def status(ctx: Context, d: Stored, new: Stored | None, old: list[Stored], unavailable: int, created: str) -> Obj:
    """Return the status as it should be now.

    `created`: the ReplicaSet that this pass created, or empty.
    """
    everything = [*old, *([new] if new else [])]
    total = sum(rs.obj["status"].get("replicas", 0) for rs in everything)
    up = sum(available(rs) for rs in everything)
    wanted = d.obj["spec"].get("replicas", 1)
    counts = {
        "observedGeneration": d.obj["metadata"].get("generation", 1),
        "replicas": total,
        "updatedReplicas": new.obj["status"].get("replicas", 0) if new else 0,
        "readyReplicas": sum(rs.obj["status"].get("readyReplicas", 0) for rs in everything),
        "availableReplicas": up,
        "unavailableReplicas": max(0, sum(rs.obj["spec"].get("replicas", 0) for rs in everything) - up),
    }
    result: Obj = {k: v for k, v in counts.items() if v}
    result["terminatingReplicas"] = sum(
        1
        for rs in everything
        for pod in ctx.store.owned(PODS, rs.obj["metadata"]["uid"])
        if "deletionTimestamp" in pod.obj["metadata"]
    )
    conditions = _Conditions(ctx, d.obj["status"].get("conditions") or [])
    if up >= wanted - unavailable:
        conditions.put("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        text = "Deployment does not have minimum availability."
        conditions.put("Available", "False", "MinimumReplicasUnavailable", text)
    result["conditions"] = conditions.items
    _progress(ctx=ctx, d=d, new=new, now=result, conditions=conditions, created=created)
    failure = next((c for rs in everything for c in rs.obj["status"].get("conditions") or ()), None)
    if failure is not None:
        conditions.put("ReplicaFailure", "True", failure["reason"], failure["message"])
    else:
        conditions.drop("ReplicaFailure")
    return result


def _progress(ctx: Context, d: Stored, new: Stored | None, now: Obj, conditions: _Conditions, created: str) -> None:
    spec, was = d.obj["spec"], d.obj["status"]
    current = conditions.get("Progressing")
    if spec.get("paused"):
        if current is None or current["reason"] not in ("DeploymentPaused", "ProgressDeadlineExceeded"):
            conditions.put("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused")
        return
    if current is not None and current["reason"] == "DeploymentPaused":
        conditions.put("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed")
        current = conditions.get("Progressing")
    name = new.key[1] if new else ""
    if created:
        conditions.put(
            "Progressing", "True", "NewReplicaSetCreated", f'Created new replica set "{created}"', touch=True
        )
        return
    if new is None:
        return
    done = now.get("replicas", 0) == now.get("updatedReplicas", 0)
    if current is not None and done and current["reason"] == "NewReplicaSetAvailable":
        return  # a finished rollout does not become unfinished when a pod falls ill
    if complete({**d.obj, "status": now}):
        text = f'ReplicaSet "{name}" has successfully progressed.'
        conditions.put("Progressing", "True", "NewReplicaSetAvailable", text, touch=True)
    elif _advanced(was, now):
        text = f'ReplicaSet "{name}" is progressing.'
        conditions.put("Progressing", "True", "ReplicaSetUpdated", text, touch=True)
    elif current is not None and current["reason"] not in ("ProgressDeadlineExceeded", "NewReplicaSetAvailable"):
        deadline = spec.get("progressDeadlineSeconds")
        if deadline is not None and parse_rfc3339(current["lastUpdateTime"]) + deadline < ctx.now():
            text = f'ReplicaSet "{name}" has timed out progressing.'
            conditions.put("Progressing", "False", "ProgressDeadlineExceeded", text)


def _advanced(was: Obj, now: Obj) -> bool:
    def grew(field: str) -> bool:
        return bool(now.get(field, 0) > was.get(field, 0))

    fewer_old = now.get("replicas", 0) - now.get("updatedReplicas", 0) < was.get("replicas", 0) - was.get(
        "updatedReplicas", 0
    )
    return grew("updatedReplicas") or fewer_old or grew("readyReplicas") or grew("availableReplicas")


class _Conditions:
    """Holds conditions by type.

    A changed status moves lastTransitionTime, any change lastUpdateTime.
    """

    def __init__(self, ctx: Context, items: list[Obj]) -> None:
        self._ctx = ctx
        self.items = [dict(item) for item in items]

    def get(self, kind: str) -> Obj | None:
        return next((c for c in self.items if c["type"] == kind), None)

    def drop(self, kind: str) -> None:
        self.items[:] = [c for c in self.items if c["type"] != kind]

    def put(self, kind: str, status: str, reason: str, message: str, *, touch: bool = False) -> None:
        """Set a condition; `touch` moves the update time even if only the message changed."""
        known = self.get(kind)
        if known is not None and (known["status"], known["reason"]) == (status, reason):
            if not touch or (known["message"] == message and kind != "Progressing"):
                return
            if reason == "NewReplicaSetAvailable" and known["message"] == message:
                return
        moved = known is None or known["status"] != status
        stamp = self._ctx.stamp()
        condition = {
            "type": kind,
            "status": status,
            "lastUpdateTime": stamp,
            "lastTransitionTime": stamp if moved or known is None else known["lastTransitionTime"],
            "reason": reason,
            "message": message,
        }
        if known is None:
            self.items.append(condition)
        else:
            self.items[self.items.index(known)] = condition
