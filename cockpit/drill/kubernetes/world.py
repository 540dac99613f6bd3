"""Runs the embedded cluster: objects, controllers and API server, on one simulated clock.

One event loop owns a world: step it and serve it from the same loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from aiohttp import web

from cockpit.drill.clock import SimClock, rfc3339
from cockpit.drill.kubernetes.api import authz
from cockpit.drill.kubernetes.api.chaos import ApiChaos
from cockpit.drill.kubernetes.api.routes import ApiServer
from cockpit.drill.kubernetes.behaviour import Behaviour, BehaviourOf, RunningPod
from cockpit.drill.kubernetes.controllers import deployment, job, replicaset, rollout, statefulset
from cockpit.drill.kubernetes.controllers.autoscaler import Autoscalers
from cockpit.drill.kubernetes.controllers.context import CRONJOB, Context, is_ready, mark_deleted
from cockpit.drill.kubernetes.controllers.pods import Kubelet
from cockpit.drill.kubernetes.load import PodLoad
from cockpit.drill.kubernetes.logs import Logs
from cockpit.drill.kubernetes.objects import defaults, managed, resources
from cockpit.drill.kubernetes.objects.events import EventRecorder
from cockpit.drill.kubernetes.objects.resources import DEPLOYMENTS, PODS, STATEFULSETS, Obj, Resource
from cockpit.drill.kubernetes.objects.store import Change, Key, Store, Stored

NODES = ("drill-node-1", "drill-node-2", "drill-node-3")


class KubernetesWorld:
    """Holds the cluster.

    `behaviour(service, image, env)` says how a service's containers behave; without it all are
    well.
    """

    def __init__(
        self,
        clock: SimClock,
        seed: int,
        namespace: str = "m0-prod",
        behaviour: BehaviourOf | None = None,
    ) -> None:
        self.clock = clock
        self.namespace = namespace
        self.behaviour: BehaviourOf = behaviour or _well
        self.users: dict[str, authz.User] = authz.default_users()
        self.store = Store(clock, seed)
        self.logs = Logs()
        self.recorder = EventRecorder(self.store, clock)
        self.context = Context(
            store=self.store,
            clock=clock,
            recorder=self.recorder,
            random=Random(f"{seed}/names"),
            logs=self.logs,
            behaviour=self._behaves,
        )
        self.kubelet = Kubelet(self.context, NODES)
        self.autoscalers = Autoscalers(self.context)
        self.server = ApiServer(self.store, clock, self.logs, self.users)
        self.load = PodLoad(self.store, self.kubelet, namespace, NODES)
        self._ownerless: list[str] = []
        self._rest = -1  # the store's version in which the controllers had nothing left to do, whatever time passes
        self.store.listeners.append(self._notice)
        for name in ("default", "kube-system", namespace):
            if self.store.get(resources.NAMESPACES, "", name) is None:
                self.store.create(resources.NAMESPACES, defaults.complete("namespaces", {"metadata": {"name": name}}))
        for name in NODES:
            self.store.create(resources.NODES, _node(name, rfc3339(clock.now())))

    def _behaves(self, service: str, image: str, env: Mapping[str, str]) -> Behaviour:
        """Ask `behaviour` as it is when asked."""
        return self.behaviour(service, image, env)

    @property
    def chaos(self) -> ApiChaos:
        return self.server.chaos

    def application(self) -> web.Application:
        """Build the API server's application; each call makes a new one over the same state."""
        return self.server.application()

    # setting up

    def deploy(
        self,
        name: str,
        *,
        image: str,
        replicas: int,
        env: Mapping[str, str] | None = None,
        secret_env: Mapping[str, tuple[str, str]] | None = None,
        strategy: str = "RollingUpdate",
        labels: Mapping[str, str] | None = None,
        kind: str = "Deployment",
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Create a Deployment or StatefulSet whose one container bears its name.

        `secret_env`: variable → (secret, key).

        Raises ApiError 409 when it exists.
        """
        variables: list[Obj] = [{"name": k, "value": v} if v else {"name": k} for k, v in (env or {}).items()]
        for variable, (secret, key) in (secret_env or {}).items():
            reference = {"secretKeyRef": {"name": secret, "key": key}}
            variables.append({"name": variable, "valueFrom": reference})
        container: Obj = {"name": name, "image": image}
        if variables:
            container["env"] = variables
        all_labels = {"app": name, **(labels or {})}
        template = {"metadata": {"labels": dict(all_labels)}, "spec": {"containers": [container]}}
        spec: Obj = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
        }
        if kind == "Deployment":
            spec["strategy"] = {"type": strategy}
        meta: Obj = {"name": name, "namespace": self.namespace, "generation": 1, "labels": all_labels}
        if annotations:
            meta["annotations"] = dict(annotations)
        res = DEPLOYMENTS if kind == "Deployment" else STATEFULSETS
        self.store.create(res, defaults.complete(res.storage, {"metadata": meta, "spec": spec}))

    def configmap(self, name: str, data: Mapping[str, str]) -> None:
        """Create a ConfigMap as `kubectl apply` does, or write its data as `kubectl edit` does."""
        res = resources.CONFIGMAPS
        old = self.store.get(res, self.namespace, name)
        meta: Obj = {"name": name, "namespace": self.namespace}
        meta = {**meta, "annotations": managed.last_applied(meta, data)} if old is None else dict(old.obj["metadata"])
        manager = "kubectl-client-side-apply" if old is None else "kubectl-edit"
        obj: Obj = {"metadata": meta, "data": dict(data)}
        before = old.obj if old is not None else None
        if before is not None and before.get("data") == obj["data"]:
            return
        meta["managedFields"] = managed.updated(before, obj, manager, "v1", rfc3339(self.clock.now()))
        if old is None:
            self.store.create(res, obj)
        else:
            self.store.replace(res, old, obj)

    def cronjob(
        self,
        name: str,
        *,
        image: str,
        schedule: str = "0 * * * *",
        command: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        backoff_limit: int = 2,
    ) -> None:
        """Create a CronJob.

        It is a template to make Jobs from: nothing is scheduled.
        """
        container: Obj = {"name": name, "image": image}
        if command:
            container["command"] = list(command)
        if env:
            container["env"] = [{"name": k, "value": v} for k, v in env.items()]
        labels = {CRONJOB: name}
        pod = {"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never", "containers": [container]}}
        template = {"metadata": {"labels": labels}, "spec": {"backoffLimit": backoff_limit, "template": pod}}
        meta: Obj = {"name": name, "namespace": self.namespace, "generation": 1, "labels": labels}
        body = {"metadata": meta, "spec": {"schedule": schedule, "jobTemplate": template}}
        self.store.create(resources.CRONJOBS, defaults.complete(resources.CRONJOBS.storage, body))

    def job(self, name: str) -> Obj | None:
        """Return the Job as stored (do not change it)."""
        stored = self.store.get(resources.JOBS, self.namespace, name)
        return stored.obj if stored is not None else None

    def network_policy(self, name: str, spec: Obj) -> None:
        """Create a NetworkPolicy, or write its spec anew."""
        body = {"metadata": {"name": name, "namespace": self.namespace, "generation": 1}, "spec": spec}
        stored = self.store.get(resources.NETWORKPOLICIES, self.namespace, name)
        if stored is None:
            self.store.create(resources.NETWORKPOLICIES, body)
        else:
            self.store.replace(resources.NETWORKPOLICIES, stored, {**stored.copy(), "spec": spec})

    def policed(self, name: str) -> bool:
        """Tell whether there is a NetworkPolicy of this name."""
        return self.store.get(resources.NETWORKPOLICIES, self.namespace, name) is not None

    def label(self, pod: str, labels: Mapping[str, str]) -> None:
        """Add labels to a pod, where it lacks them."""
        stored = self.store.get(resources.PODS, self.namespace, pod)
        if stored is None or labels.items() <= (stored.obj["metadata"].get("labels") or {}).items():
            return
        new = stored.copy()
        new["metadata"]["labels"] = {**(new["metadata"].get("labels") or {}), **labels}
        self.store.replace(resources.PODS, stored, new)

    def autoscaler(self, name: str, *, target: str, minimum: int, maximum: int, desired: int | None = None) -> None:
        """Create an HPA on a deployment."""
        reference = {"kind": "Deployment", "name": target, "apiVersion": "apps/v1"}
        spec = {"scaleTargetRef": reference, "minReplicas": minimum, "maxReplicas": maximum}
        body = {"metadata": {"name": name, "namespace": self.namespace}, "spec": spec, "status": {}}
        self.store.create(resources.AUTOSCALERS, body)
        self.hpa_desired(name, desired)

    def scalers(self) -> Sequence[Stored]:
        """Return the HPAs as stored (do not change them)."""
        return self.store.select(resources.AUTOSCALERS, self.namespace)

    def hpa_desired(self, name: str, desired: int | None) -> None:
        """Set what the autoscaler wants, enforced on its target every 15 simulated seconds.

        None leaves the target alone.
        """
        if desired is None:
            self.autoscalers.desired.pop((self.namespace, name), None)
        else:
            self.autoscalers.desired[(self.namespace, name)] = desired

    def written_since(self, version: int) -> list[tuple[str, str, frozenset[str]]]:
        """Return (kind, name, changed keys of its data) of what was written after a version."""
        found = []
        for res in (DEPLOYMENTS, STATEFULSETS, resources.CONFIGMAPS, resources.AUTOSCALERS, resources.NETWORKPOLICIES):
            for change in self.store.changes(res, max(version, self.store.compacted(res))):
                old, new = (one.obj.get("data") or {} if one is not None else {} for one in (change.old, change.new))
                keys = frozenset(key for key in (*old, *new) if old.get(key) != new.get(key))
                found.append((res.kind, change.new.key[1], keys))
        return found

    # going on

    def step(self) -> None:
        """Run controllers, kubelet and garbage collection up to clock.now().

        Until nothing moves any more.
        """
        self.autoscalers.run()
        for _ in range(200):
            before = self.store.rv
            if before != self._rest:
                self._collect()
                deployment.run(self.context)
                replicaset.run(self.context)
                statefulset.run(self.context)
                job.run(self.context)
            self.kubelet.run()
            if self.store.rv == before:
                break
        self.recorder.sweep()
        self._rest = self.store.rv if self._waits_for_nothing() else -1

    def _waits_for_nothing(self) -> bool:
        """Return whether no controller has a deadline that may pass.

        The controllers then follow from the objects alone.
        """
        return all(rollout.complete(d.obj) for d in self.store.select(DEPLOYMENTS)) and all(
            job.ended(one.obj) for one in self.store.select(resources.JOBS)
        )

    def settle(self, limit_s: float = 120.0, dt: float = 0.5) -> None:
        """Advance the clock until every rollout is complete and nothing terminates.

        At most `limit_s` simulated seconds.
        """
        end = self.clock.now() + limit_s
        self.step()
        while not self.settled() and self.clock.now() < end:
            self.clock.advance(dt)
            self.step()

    def settled(self) -> bool:
        """Return whether all is rolled out and ready, and no pod terminates."""
        if any("deletionTimestamp" in p.obj["metadata"] for p in self._own_pods()):
            return False
        ready = all(
            s.obj["status"].get("readyReplicas", 0) == s.obj["spec"].get("replicas", 1)
            for s in self.store.select(STATEFULSETS)
        )
        return ready and all(rollout.complete(d.obj) for d in self.store.select(DEPLOYMENTS))

    def _own_pods(self) -> list[Stored]:
        found = (self.store.get(PODS, *life.key) for life in self.kubelet.lives.values())
        return [pod for pod in found if pod is not None]

    def _notice(self, _res: Resource, change: Change) -> None:
        if change.type == "DELETED":
            self._ownerless.append(change.new.obj["metadata"]["uid"])

    def _collect(self) -> None:
        """Collect garbage: what a deleted owner controlled goes too, unless it was orphaned."""
        uids, self._ownerless = self._ownerless, []
        by_storage = {r.storage: r for r in resources.RESOURCES if not r.stored_as}
        for uid in uids:
            if uid in self.server.writer.orphaned:
                continue
            for storage, key in self.store.dependents(uid):
                self._drop(by_storage[storage], key)

    def _drop(self, res: Resource, key: Key) -> None:
        stored = self.store.get(res, *key)
        if stored is None:
            return
        if res is PODS:
            mark_deleted(self.store, PODS, stored, None)
        else:
            self.store.remove(res, stored)

    # asking

    def running(self, service: str) -> Sequence[RunningPod]:
        """Return the service's pods whose container runs, terminating ones included, by name."""
        return self.kubelet.running(service)

    def workload(self, service: str) -> Obj | None:
        """Return the Deployment or StatefulSet as stored (do not change it)."""
        for res in (DEPLOYMENTS, STATEFULSETS):
            stored = self.store.get(res, self.namespace, service)
            if stored is not None:
                return stored.obj
        return None

    def replicas(self, service: str) -> int:
        """Return spec.replicas of the workload; 0 when there is none."""
        found = self.workload(service)
        return int(found["spec"].get("replicas", 1)) if found is not None else 0

    def env(self, service: str) -> Mapping[str, str]:
        """Return the literal environment of the workload's own container, by its template now.

        Pods may still run an older one.
        """
        found = self.workload(service)
        if found is None:
            return {}
        container = found["spec"]["template"]["spec"]["containers"][0]
        return {v["name"]: v.get("value", "") for v in container.get("env") or () if "valueFrom" not in v}

    def config(self, name: str) -> Mapping[str, str]:
        """Return a ConfigMap's data; empty when there is none."""
        stored = self.store.get(resources.CONFIGMAPS, self.namespace, name)
        return (stored.obj.get("data") or {}) if stored is not None else {}

    def pods(self, service: str) -> Sequence[Obj]:
        """Return the service's pod objects as stored (do not change them), by name."""
        keys = sorted(life.key for life in self.kubelet.lives.values() if life.service == service)
        found = (self.store.get(PODS, *key) for key in keys)
        return [pod.obj for pod in found if pod is not None]

    def ready(self, service: str) -> int:
        """Return the number of ready pods that are not terminating."""
        return sum(1 for p in self.pods(service) if is_ready(p) and "deletionTimestamp" not in p["metadata"])

    def log(self, pod: str, line: str, container: str | None = None) -> None:
        """Append a line to the pod's (main) container log, stamped clock.now().

        Nothing happens when the pod does not run.
        """
        stored = self.store.get(PODS, self.namespace, pod)
        if stored is None:
            return
        name = container or stored.obj["spec"]["containers"][0]["name"]
        log = self.logs.current(stored.obj["metadata"]["uid"], name)
        if log is not None and not log.ended:
            log.write(self.clock.now(), line)


def _well(_service: str, _image: str, _env: Mapping[str, str]) -> Behaviour:
    return Behaviour()


def _node(name: str, now: str) -> Obj:
    ready = {
        "type": "Ready",
        "status": "True",
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
        "reason": "KubeletReady",
        "message": "kubelet is posting ready status",
    }
    info = {
        "kubeletVersion": "v1.36.0",
        "osImage": "Drill",
        "kernelVersion": "6.1.0",
        "containerRuntimeVersion": "containerd://2",
    }
    status = {
        "conditions": [ready],
        "addresses": [{"type": "InternalIP", "address": "10.1.0.1"}],
        "nodeInfo": info,
        "capacity": {"cpu": "16", "memory": "64Gi", "pods": "250"},
        "allocatable": {"cpu": "16", "memory": "64Gi", "pods": "250"},
    }
    labels = {"kubernetes.io/hostname": name}
    return {"metadata": {"name": name, "labels": labels}, "spec": {}, "status": status}
