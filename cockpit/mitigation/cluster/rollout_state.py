"""Judges one reading of a workload and its pods: how far its rollout is.

kubectl's own conditions in kubectl's own order, but for what stood before the request; a change of
replicas by replicas and pods alone. Then: no pod still terminating. Pods count by owner, not by
whoever's selector fits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cockpit.mitigation.cluster.objects import paused, replicas
from cockpit.model.plan import Rollout
from cockpit.text import safe

_ENDED = ("Succeeded", "Failed")
_HASH, _REVISION = "pod-template-hash", "controller-revision-hash"


def snapshot(
    obj: Mapping[str, Any],
    generation: int,
    pods: Sequence[Mapping[str, Any]] | None,
    pods_reason: str = "",
    *,
    scaled: bool = False,
    stood: str = "",
) -> Rollout:
    """Judge how far the rollout is, from one reading of the object and its pods.

    `pods` are those of the selector, None when they cannot be listed (`pods_reason`). `scaled`:
    only the replicas were changed. `stood`: the condition Progressing as it stood at the request.
    """
    status, desired = obj.get("status") or {}, replicas(obj)
    live = [p for p in pods or [] if (p.get("status") or {}).get("phase") not in _ENDED]
    mine = [p for p in live if owned(p, obj)]
    ending = sum(1 for p in mine if p["metadata"].get("deletionTimestamp"))
    if pods is None:
        ending = int(status.get("terminatingReplicas") or 0)
    updated = int(status.get("updatedReplicas") or 0)
    others = _others([p for p in live if not owned(p, obj)])

    def state(words: str, *, done: bool = False, failed: bool = False) -> Rollout:
        words += f"; not counted: {others}" if others and done else ""
        return Rollout(done=done, failed=failed, words=words, updated=updated, desired=desired, terminating=ending)

    deleting = bool(obj["metadata"].get("deletionTimestamp"))
    if deleting and desired:
        return state("it is being deleted: its controller makes and ends no pod any more", failed=True)
    if paused(obj) and not scaled:
        return state("paused: it does not roll out until it is resumed", failed=True)
    observed = int(status.get("observedGeneration") or 0)
    if observed < max(generation, int(obj["metadata"].get("generation") or 0)):
        return state("waiting for the change to be observed")
    held = ""
    if scaled:
        waiting = _scaled(status, desired, mine if pods is not None else None)
    elif obj.get("kind") == "StatefulSet":
        waiting, held = _statefulset(obj, status, desired, mine)
    else:
        waiting = _deployment(status, desired, updated, stood)
    if waiting is not None:
        alone = "; it is being deleted: its controller ends none" if deleting else ""
        return state(f"{waiting[0]}{alone}", failed=waiting[1])
    if desired == 0 and (mine or pods is None):
        if pods is None and "terminatingReplicas" not in status:
            return state(f"scaled to 0, but whether a pod is left is not known: {pods_reason}")
        left = len(mine) if pods is not None else ending
        if left:
            tail = ", terminating" if ending == left else f", {ending} terminating" if ending else ""
            return state(f"{left} pod{'s' if left > 1 else ''} left{tail}")
    if ending:
        verb = "scaled" if scaled else "rolled out"
        return state(f"{verb}; {ending} old pod{'s' if ending > 1 else ''} still terminating")
    if desired == 0:
        return state("stopped: no pod is left", done=True)
    known = (
        "" if pods is not None or "terminatingReplicas" in status else f"; terminating pods not known: {pods_reason}"
    )
    if scaled:
        return state(f"scaled: {desired} of {desired} pods ready{known}", done=True)
    return state(f"rolled out: {updated} of {desired} pods{held}{known}", done=True)


def stood_at(obj: Mapping[str, Any]) -> str:
    """Return the condition Progressing as it stands, so that it is known again; "" without one."""
    for condition in (obj.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "Progressing":
            return "|".join(str(condition.get(key)) for key in ("reason", "lastTransitionTime", "lastUpdateTime"))
    return ""


def owned(pod: Mapping[str, Any], obj: Mapping[str, Any]) -> bool:
    """Tell whether a pod is the workload's: by its owner, directly or through a ReplicaSet.

    A pod without a controller counts where the workload's would take it over: a ReplicaSet one that
    bears its hash, a StatefulSet one of its names. Any other ends with nothing.
    """
    metadata, kind, own = pod["metadata"], obj.get("kind", "Deployment"), str(obj["metadata"].get("name"))
    made_for = str((metadata.get("labels") or {}).get(_HASH) or "")
    owner = next((r for r in metadata.get("ownerReferences") or [] if r.get("controller")), None)
    if owner is None:
        stem, _, ordinal = str(metadata.get("name")).rpartition("-")
        return bool(made_for) if kind == "Deployment" else stem == own and ordinal.isdigit()
    if owner.get("uid") and owner.get("uid") == obj["metadata"].get("uid"):
        return True
    if kind != "Deployment" or owner.get("kind") != "ReplicaSet":
        return False
    name = str(owner.get("name") or "")
    stem = name[: -len(made_for) - 1] if made_for and name.endswith(f"-{made_for}") else name.rpartition("-")[0]
    return stem == own


def _others(pods: Sequence[Mapping[str, Any]]) -> str:
    """Name whose pods bear the same labels, and are not the workload's."""
    owners: dict[str, int] = {}
    for pod in pods:
        owner = next((r for r in pod["metadata"].get("ownerReferences") or [] if r.get("controller")), None) or {}
        name = f"{owner.get('kind') or 'pod'} {owner.get('name') or pod['metadata'].get('name')}"
        owners[name] = owners.get(name, 0) + 1
    shown = ", ".join(f"{n} of {safe(name, 80)}" for name, n in list(owners.items())[:3])
    return (
        f"{sum(owners.values())} pod{'s' if sum(owners.values()) > 1 else ''} with its labels ({shown})"
        if owners
        else ""
    )


def others_named(pods: Sequence[Mapping[str, Any]], obj: Mapping[str, Any]) -> str:
    """Name the running pods that bear the workload's labels and are not its own; "" for none."""
    return _others([p for p in pods if (p.get("status") or {}).get("phase") not in _ENDED and not owned(p, obj)])


def is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _pods(count: int, one: str = "pod") -> str:
    return f"{count} {one}{'' if count == 1 else 's'}"


def _scaled(
    status: Mapping[str, Any], desired: int, mine: Sequence[Mapping[str, Any]] | None
) -> tuple[str, bool] | None:
    """Judge a change of replicas by pods alone: no condition, no revision says anything of it."""
    staying = [p for p in mine if not p["metadata"].get("deletionTimestamp")] if mine is not None else None
    present = len(staying) if staying is not None else int(status.get("replicas") or 0)
    ready = sum(map(is_ready, staying)) if staying is not None else int(status.get("readyReplicas") or 0)
    if present > desired:
        return f"{_pods(present - desired)} to end", False
    if present < desired:
        return f"{present} of {desired} pods made", False
    if ready < desired:
        return f"{ready} of {desired} pods ready", False
    return None


def _deployment(status: Mapping[str, Any], desired: int, updated: int, stood: str) -> tuple[str, bool] | None:
    """Say what is waited for, and whether it failed; None when kubectl would call it rolled out.

    A deadline that was exceeded before the request says nothing about it.
    """
    exceeded = stood_at({"status": status})
    if exceeded.startswith("ProgressDeadlineExceeded|") and exceeded != stood:
        return "exceeded its progress deadline", True
    if updated < desired:
        return f"{updated} of {desired} new pods made", False
    present = int(status.get("replicas") or 0)
    if present > updated:
        return f"{_pods(present - updated, 'old pod')} to end", False
    available = int(status.get("availableReplicas") or 0)
    if available < updated:
        return f"{available} of {updated} new pods available", False
    return None


def _statefulset(
    obj: Mapping[str, Any], status: Mapping[str, Any], desired: int, mine: Sequence[Mapping[str, Any]]
) -> tuple[tuple[str, bool] | None, str]:
    """Say what is waited for, and what its partition holds back."""
    strategy = obj["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return ("its update strategy is OnDelete: pods change only when they are deleted", True), ""
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    updated = int(status.get("updatedReplicas") or 0)
    wanted = max(0, desired - partition)
    if desired and not wanted:
        return (f"0 of {desired} pods updated: partition {partition} holds every one back", True), ""
    stuck = stuck_pod(obj, mine)
    if stuck:
        return (f"{stuck} keeps the old revision, is not ready, and is not replaced: it must be deleted", True), ""
    ready = int(status.get("readyReplicas") or 0)
    if ready < desired:
        return (f"{ready} of {desired} pods ready", False), ""
    present = int(status.get("replicas") or 0)
    if present > desired:
        return (f"{_pods(present - desired)} to end", False), ""
    if partition > 0:
        held = f"; partition {partition} holds {desired - wanted} back"
        return (f"{updated} of {wanted} pods of the partition updated", False) if updated < wanted else None, held
    if desired and status.get("updateRevision") != status.get("currentRevision"):
        return (f"{updated} of {desired} pods updated", False), ""
    return None, ""


def stuck_pod(obj: Mapping[str, Any], mine: Sequence[Mapping[str, Any]]) -> str:
    """Return the pod of a StatefulSet that nothing will ever replace, "" when there is none.

    One after the other (OrderedReady), the controller waits for each pod to be ready before it goes
    on, also for one that is broken and that the change was to mend. Such a pod has an older
    revision and a container that cannot run.
    """
    if (obj["spec"].get("podManagementPolicy") or "OrderedReady") != "OrderedReady":
        return ""
    newest = (obj.get("status") or {}).get("updateRevision")
    for pod in mine:
        labels = pod["metadata"].get("labels") or {}
        old = newest and labels.get(_REVISION) not in (None, newest)
        if old and not pod["metadata"].get("deletionTimestamp") and not is_ready(pod) and _broken(pod):
            return str(pod["metadata"]["name"])
    return ""


def _broken(pod: Mapping[str, Any]) -> bool:
    """Tell whether a container waits for what will not come: its image, its config, an end."""
    status = pod.get("status") or {}
    for container in (*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting and waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            return True
        if int(container.get("restartCount") or 0) > 1:
            return True
    return False
