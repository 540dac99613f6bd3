"""Loads the cluster for benchmarks: thousands of running pods, status changes at any rate."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

from cockpit.drill.clock import rfc3339
from cockpit.drill.kubernetes.controllers.pods import Kubelet
from cockpit.drill.kubernetes.objects import defaults
from cockpit.drill.kubernetes.objects.resources import PODS, Obj
from cockpit.drill.kubernetes.objects.store import Key, Store

_PER_SERVICE = 100


class PodLoad:
    """Makes pods of services `load-000`, `load-001`, … that no controller touches.

    Deleting one works as usual.
    """

    def __init__(self, store: Store, kubelet: Kubelet, namespace: str, nodes: tuple[str, ...]) -> None:
        self._store = store
        self._kubelet = kubelet
        self._namespace = namespace
        self._nodes = nodes
        self._keys: list[Key] = []
        self._next = 0

    def flood(self, pods: int, *, per_service: int = _PER_SERVICE) -> None:
        """Add running pods, so that there are `pods` of them."""
        self._kubelet.ignoring = True
        try:
            for i in range(len(self._keys), pods):
                self._keys.append(self._store.create(PODS, self._pod(i, per_service)).key)
        finally:
            self._kubelet.ignoring = False

    def churn(self, changes: int) -> int:
        """Change the status of the next `changes` pods, one watch event each.

        One restart more, or readiness turning.

        Returns how many were changed: fewer when pods were deleted.
        """
        done = 0
        for _ in range(min(changes, len(self._keys)) if self._keys else 0):
            stored = self._store.get(PODS, *self._keys[self._next % len(self._keys)])
            self._next += 1
            if stored is None:
                continue
            status = stored.obj["status"]
            container = status["containerStatuses"][0]
            ready = not container["ready"]
            changed = {**container, "ready": ready, "restartCount": container["restartCount"] + (not ready)}
            word = "True" if ready else "False"
            conditions = [
                {**c, "status": word} if c["type"] in ("Ready", "ContainersReady") else c for c in status["conditions"]
            ]
            new = {**status, "conditions": conditions, "containerStatuses": [changed]}
            self._store.replace(PODS, stored, {**stored.obj, "status": new})
            done += 1
        return done

    def _pod(self, i: int, per_service: int) -> Obj:
        service = f"load-{i // per_service:03d}"
        digest = sha256(service.encode()).hexdigest()[:10]
        now = rfc3339(self._store.clock.now())
        image = f"ghcr.io/m0club/{service}:v1"
        owner = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": f"{service}-{digest}",
            "uid": str(UUID(bytes=sha256(service.encode()).digest()[:16], version=4)),
            "controller": True,
            "blockOwnerDeletion": True,
        }
        meta: Obj = {
            "name": f"{service}-{digest}-{i:05d}",
            "generateName": f"{service}-{digest}-",
            "namespace": self._namespace,
            "generation": 1,
            "labels": {"app": service, "pod-template-hash": digest},
            "ownerReferences": [owner],
        }
        spec = {"containers": [{"name": service, "image": image}], "nodeName": self._nodes[i % len(self._nodes)]}
        ip = f"10.{2 + i // 62500}.{i // 250 % 250}.{i % 250 + 2}"
        conditions = [
            {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
            for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
        ]
        container = {
            "name": service,
            "state": {"running": {"startedAt": now}},
            "lastState": {},
            "ready": True,
            "restartCount": 0,
            "image": image,
            "imageID": f"{image}@sha256:{digest * 6}",
            "containerID": f"containerd://{digest * 6}",
            "started": True,
        }
        status = {
            "phase": "Running",
            "conditions": conditions,
            "hostIP": "10.1.0.1",
            "hostIPs": [{"ip": "10.1.0.1"}],
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "startTime": now,
            "containerStatuses": [container],
            "qosClass": "BestEffort",
        }
        return defaults.complete("pods", {"metadata": meta, "spec": spec, "status": status})
