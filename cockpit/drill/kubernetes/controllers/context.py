"""Gives every controller what it needs, and the few writes that they share."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from cockpit.drill.clock import SimClock, rfc3339
from cockpit.drill.kubernetes.behaviour import BehaviourOf
from cockpit.drill.kubernetes.logs import Logs
from cockpit.drill.kubernetes.objects.events import EventRecorder
from cockpit.drill.kubernetes.objects.resources import Obj, Resource
from cockpit.drill.kubernetes.objects.store import Store, Stored

#: Label of a Job's pods: the CronJob it was made from. (Not `app`: a deployment may bear the same
#: name.)
CRONJOB = "m0club/cronjob"
#: The characters of generated names (apimachinery `rand`): no vowels, no 0 1 3.
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


@dataclass
class Context:
    store: Store
    clock: SimClock
    recorder: EventRecorder
    random: Random
    logs: Logs
    behaviour: BehaviourOf
    #: When set, no pod can be created, for this reason (a quota, a webhook): ReplicaFailure.
    create_error: str | None = None

    def now(self) -> float:
        return self.clock.now()

    def stamp(self) -> str:
        return rfc3339(self.clock.now())

    def suffix(self, length: int = 5) -> str:
        return "".join(self.random.choice(ALPHABET) for _ in range(length))

    def current(self, res: Resource, stored: Stored) -> Stored | None:
        """Return the newest version of the same object (same uid), or None."""
        found = self.store.get(res, *stored.key)
        if found is None or found.obj["metadata"]["uid"] != stored.obj["metadata"]["uid"]:
            return None
        return found

    def set_status(self, res: Resource, stored: Stored, status: Obj) -> Stored:
        return self.store.replace(res, stored, {**stored.obj, "status": status})

    def set_replicas(self, res: Resource, stored: Stored, replicas: int) -> Stored:
        """Change the spec's replicas; the generation moves."""
        if stored.obj["spec"].get("replicas") == replicas:
            return stored
        meta = {**stored.obj["metadata"], "generation": stored.obj["metadata"].get("generation", 1) + 1}
        spec = {**stored.obj["spec"], "replicas": replicas}
        return self.store.replace(res, stored, {**stored.obj, "metadata": meta, "spec": spec})

    def annotate(self, res: Resource, stored: Stored, notes: dict[str, str]) -> Stored:
        meta = stored.obj["metadata"]
        merged = {**(meta.get("annotations") or {}), **notes}
        if merged == (meta.get("annotations") or {}):
            return stored
        return self.store.replace(res, stored, {**stored.obj, "metadata": {**meta, "annotations": merged}})

    def delete_pod(self, res: Resource, pod: Stored) -> None:
        """Delete a pod gracefully; the kubelet does the rest."""
        mark_deleted(self.store, res, pod, None)


def mark_deleted(store: Store, res: Resource, pod: Stored, grace_s: int | None) -> Stored:
    """Set deletionTimestamp and its grace period on a pod (recording 60).

    An earlier deletion is kept unless shortened.
    """
    meta = pod.obj["metadata"]
    grace = pod.obj["spec"].get("terminationGracePeriodSeconds", 30) if grace_s is None else grace_s
    if "deletionTimestamp" in meta and meta.get("deletionGracePeriodSeconds", 0) <= grace:
        return pod
    head = {k: meta[k] for k in ("name", "generateName", "namespace", "uid", "resourceVersion") if k in meta}
    head["generation"] = meta.get("generation", 1) + (0 if "deletionTimestamp" in meta else 1)
    head["creationTimestamp"] = meta["creationTimestamp"]
    head["deletionTimestamp"] = rfc3339(store.clock.now() + grace)
    head["deletionGracePeriodSeconds"] = grace
    rest = {k: v for k, v in meta.items() if k not in head}
    return store.replace(res, pod, {**pod.obj, "metadata": {**head, **rest}})


def owner(res: Resource, obj: Obj) -> Obj:
    """Return a controller's ownerReference."""
    return {
        "apiVersion": res.api_version,
        "kind": res.kind,
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def is_active(pod: Obj) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") not in ("Succeeded", "Failed")


def service_of(pod: Obj) -> str:
    """Return the workload that a pod belongs to.

    Its ReplicaSet's name without the template hash, its StatefulSet, `job/NAME` (NAME of the
    CronJob, else of the Job), else itself.
    """
    meta = pod["metadata"]
    for ref in meta.get("ownerReferences") or ():
        name = str(ref["name"])
        if ref["kind"] == "Job":
            return f"job/{(meta.get('labels') or {}).get(CRONJOB) or name}"
        if ref["kind"] == "ReplicaSet":
            return name.removesuffix(f"-{(meta.get('labels') or {}).get('pod-template-hash', '')}")
        return name
    return str(meta["name"])
