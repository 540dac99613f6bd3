"""Changes the drill's cluster without the network, as a release pipeline or a test would.

They write what the API server would store for kubectl's commands; controllers and physics then see
them like any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from cockpit.drill.clock import rfc3339
from cockpit.drill.kubernetes.objects import defaults, resources, strategic
from cockpit.drill.kubernetes.objects.resources import DEPLOYMENTS, STATEFULSETS, Obj
from cockpit.drill.kubernetes.world import KubernetesWorld

REVISION = "deployment.kubernetes.io/revision"


def patch(kube: KubernetesWorld, service: str, body: Mapping[str, object]) -> None:
    """Apply a strategic merge patch to the Deployment or StatefulSet.

    Raises LookupError when there is none.
    """
    for res in (DEPLOYMENTS, STATEFULSETS):
        stored = kube.store.get(res, kube.namespace, service)
        if stored is None:
            continue
        new = defaults.complete(res.storage, strategic.apply(stored.copy(), dict(body)))
        if new["spec"] != stored.obj["spec"]:
            new["metadata"]["generation"] = stored.obj["metadata"].get("generation", 1) + 1
        kube.store.replace(res, stored, new)
        return
    raise LookupError(f"there is no deployment or statefulset {service}")


def scale(kube: KubernetesWorld, service: str, replicas: int) -> None:
    patch(kube, service, {"spec": {"replicas": replicas}})


def _container(kube: KubernetesWorld, service: str, fields: Obj) -> None:
    patch(kube, service, {"spec": {"template": {"spec": {"containers": [{"name": service, **fields}]}}}})


def set_env(kube: KubernetesWorld, service: str, env: Mapping[str, str]) -> None:
    """Set variables in the service's own container."""
    _container(kube, service, {"env": [{"name": name, "value": value} for name, value in env.items()]})


def set_image(kube: KubernetesWorld, service: str, image: str) -> None:
    _container(kube, service, {"image": image})


def restart(kube: KubernetesWorld, service: str) -> None:
    notes = {"kubectl.kubernetes.io/restartedAt": rfc3339(kube.clock.now())}
    patch(kube, service, {"spec": {"template": {"metadata": {"annotations": notes}}}})


def undo_rollout(kube: KubernetesWorld, service: str) -> None:
    """Undo a rollout as a blind `kubectl rollout undo` does.

    It goes back to the newest revision that is not the current one, whatever that was.

    Raises LookupError when there is none.
    """
    stored = kube.store.get(DEPLOYMENTS, kube.namespace, service)
    if stored is None:
        raise LookupError(f"there is no deployment {service}")
    own = [
        found.obj
        for found in kube.store.select(resources.REPLICASETS, kube.namespace)
        if any(
            ref["uid"] == stored.obj["metadata"]["uid"] for ref in found.obj["metadata"].get("ownerReferences") or ()
        )
    ]
    own.sort(key=lambda rs: int(rs["metadata"]["annotations"][REVISION]))
    if len(own) < 2:
        raise LookupError(f"{service} has no older revision")
    template = json.loads(json.dumps(own[-2]["spec"]["template"]))
    template["metadata"]["labels"].pop("pod-template-hash", None)
    new = stored.copy()
    new["spec"]["template"] = template
    new["metadata"]["generation"] = stored.obj["metadata"].get("generation", 1) + 1
    kube.store.replace(DEPLOYMENTS, stored, new)


def set_config(kube: KubernetesWorld, configmap: str, key: str, value: str) -> None:
    kube.configmap(configmap, {**kube.config(configmap), key: value})


def run_job(kube: KubernetesWorld, cronjob: str, name: str) -> None:
    """Start a Job as `kubectl create job NAME --from=cronjob/CRONJOB` does.

    Raises LookupError when there is no such CronJob.
    """
    template = kube.store.get(resources.CRONJOBS, kube.namespace, cronjob)
    if template is None:
        raise LookupError(f"there is no cronjob {cronjob}")
    body = template.copy()["spec"]["jobTemplate"]
    owner = {
        "apiVersion": resources.CRONJOBS.api_version,
        "kind": "CronJob",
        "name": cronjob,
        "uid": template.obj["metadata"]["uid"],
        "controller": True,
    }
    meta: Obj = {**(body.get("metadata") or {}), "name": name, "namespace": kube.namespace, "generation": 1}
    meta["ownerReferences"] = [owner]
    kube.store.create(
        resources.JOBS, defaults.complete(resources.JOBS.storage, {"metadata": meta, "spec": body["spec"]})
    )
