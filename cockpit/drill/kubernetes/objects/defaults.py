"""Fills in what the API server does, in its order of fields, so that answers look alike."""

from __future__ import annotations

from typing import Any

from cockpit.drill.kubernetes.objects.resources import Obj

_CONTAINER_ORDER = (
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "ports",
    "envFrom",
    "env",
    "resources",
    "volumeMounts",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "imagePullPolicy",
)
_POD_ORDER = (
    "volumes",
    "initContainers",
    "containers",
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "activeDeadlineSeconds",
    "dnsPolicy",
    "nodeSelector",
    "serviceAccountName",
    "serviceAccount",
    "nodeName",
    "securityContext",
    "imagePullSecrets",
    "affinity",
    "schedulerName",
    "tolerations",
    "priorityClassName",
    "priority",
    "enableServiceLinks",
    "preemptionPolicy",
)
_TOLERATIONS = [
    {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for what in ("not-ready", "unreachable")
]


def _in_order(obj: Obj, order: tuple[str, ...]) -> Obj:
    return {**{k: obj[k] for k in order if k in obj}, **{k: v for k, v in obj.items() if k not in order}}


def _container(container: Any) -> Any:
    if not isinstance(container, dict):
        return container
    image = str(container.get("image") or "")
    tag = image.rpartition("/")[2].partition(":")[2]
    pinned = "@" in image or (tag and tag != "latest")
    full = {
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent" if pinned else "Always",
        **container,
    }
    ports = full.get("ports")
    if isinstance(ports, list):
        full["ports"] = [{**p, "protocol": p.get("protocol", "TCP")} if isinstance(p, dict) else p for p in ports]
    if isinstance(full.get("env"), list):
        full["env"] = [_variable(v) for v in full["env"]]
        if not full["env"]:
            del full["env"]
    return _in_order(full, _CONTAINER_ORDER)


def _variable(variable: Any) -> Any:
    """Write a variable as stored: an empty value is left out, a fieldRef gets its apiVersion."""
    if not isinstance(variable, dict):
        return variable
    if variable.get("value") == "":
        variable = {k: v for k, v in variable.items() if k != "value"}
    field = (variable.get("valueFrom") or {}).get("fieldRef")
    if isinstance(field, dict) and "apiVersion" not in field:
        variable = {**variable, "valueFrom": {"fieldRef": {"apiVersion": "v1", **field}}}
    return variable


def pod_spec(spec: Obj) -> Obj:
    """Fill in the defaults of a PodSpec inside a template."""
    full: Obj = {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        **spec,
    }
    for field in ("initContainers", "containers"):
        if isinstance(full.get(field), list):
            full[field] = [_container(c) for c in full[field]]
    return _in_order(full, _POD_ORDER)


def _pod(obj: Obj) -> Obj:
    spec = pod_spec(obj.get("spec") or {})
    spec.setdefault("tolerations", _TOLERATIONS)
    spec.setdefault("priority", 0)
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec = _in_order(spec, _POD_ORDER)
    status = obj.get("status") or {"phase": "Pending", "qosClass": "BestEffort"}
    return {**obj, "spec": spec, "status": status}


def _template(template: Any) -> Any:
    if not isinstance(template, dict):
        return template
    return {"metadata": template.get("metadata") or {}, "spec": pod_spec(template.get("spec") or {})}


_DEPLOYMENT_ORDER = (
    "replicas",
    "selector",
    "template",
    "strategy",
    "minReadySeconds",
    "revisionHistoryLimit",
    "paused",
    "progressDeadlineSeconds",
)


def _deployment(obj: Obj) -> Obj:
    spec = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, **(obj.get("spec") or {})}
    if not spec.get("paused", True):
        del spec["paused"]  # false is the zero value, and is not written
    spec["template"] = _template(spec.get("template") or {})
    strategy = dict(spec.get("strategy") or {})
    strategy.setdefault("type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        strategy["rollingUpdate"] = {
            "maxUnavailable": "25%",
            "maxSurge": "25%",
            **(strategy.get("rollingUpdate") or {}),
        }
    spec["strategy"] = strategy
    return {**obj, "spec": _in_order(spec, _DEPLOYMENT_ORDER), "status": obj.get("status") or {}}


def _replicaset(obj: Obj) -> Obj:
    spec = {"replicas": 1, **(obj.get("spec") or {})}
    spec["template"] = _template(spec.get("template") or {})
    return {**obj, "spec": _in_order(spec, _DEPLOYMENT_ORDER), "status": obj.get("status") or {"replicas": 0}}


def _statefulset(obj: Obj) -> Obj:
    spec = {
        "replicas": 1,
        "serviceName": "",
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "revisionHistoryLimit": 10,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        **(obj.get("spec") or {}),
    }
    spec["template"] = _template(spec.get("template") or {})
    status = obj.get("status") or {"replicas": 0, "availableReplicas": 0}
    return {**obj, "spec": _in_order(spec, _DEPLOYMENT_ORDER), "status": status}


_EVENT_ORDER = (
    "metadata",
    "involvedObject",
    "reason",
    "message",
    "source",
    "firstTimestamp",
    "lastTimestamp",
    "count",
    "type",
    "eventTime",
)


def _event(obj: Obj) -> Obj:
    full = {
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
        "eventTime": None,
        "reportingComponent": "",
        "reportingInstance": "",
        **obj,
    }
    return _in_order(full, _EVENT_ORDER)


def _namespace(obj: Obj) -> Obj:
    name = obj["metadata"].get("name", "")
    labels = {**(obj["metadata"].get("labels") or {}), "kubernetes.io/metadata.name": name}
    return {
        **obj,
        "metadata": {**obj["metadata"], "labels": labels},
        "spec": obj.get("spec") or {"finalizers": ["kubernetes"]},
        "status": obj.get("status") or {"phase": "Active"},
    }


def _service(obj: Obj) -> Obj:
    spec = {"type": "ClusterIP", "sessionAffinity": "None", **(obj.get("spec") or {})}
    return {**obj, "spec": spec, "status": obj.get("status") or {"loadBalancer": {}}}


def _autoscaler(obj: Obj) -> Obj:
    target = {"type": "Utilization", "averageUtilization": 80}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    status = obj.get("status") or {"desiredReplicas": 0, "currentMetrics": None}
    return {**obj, "spec": {"minReplicas": 1, "metrics": metrics, **(obj.get("spec") or {})}, "status": status}


def _job_spec(spec: Obj) -> Obj:
    full: Obj = {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "podReplacementPolicy": "TerminatingOrFailed",
        **spec,
    }
    return {**full, "template": _template(full.get("template") or {})}


def _job(obj: Obj) -> Obj:
    """Fill in a Job's defaults.

    Labels and selector by the Job's uid are the store's to know: its controller puts them on the
    pods it makes.
    """
    return {**obj, "spec": _job_spec(obj.get("spec") or {}), "status": obj.get("status") or {}}


def _cronjob(obj: Obj) -> Obj:
    spec: Obj = {
        "concurrencyPolicy": "Allow",
        "suspend": False,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
        **(obj.get("spec") or {}),
    }
    below = spec.get("jobTemplate") or {}
    # what a CronJob keeps is the template as it was given, but for the pods' own defaults
    template = {**(below.get("spec") or {}), "template": _template((below.get("spec") or {}).get("template") or {})}
    spec["jobTemplate"] = {"metadata": below.get("metadata") or {}, "spec": template}
    return {**obj, "spec": spec, "status": obj.get("status") or {}}


_BY_STORAGE = {
    "pods": _pod,
    "deployments.apps": _deployment,
    "replicasets.apps": _replicaset,
    "statefulsets.apps": _statefulset,
    "events": _event,
    "namespaces": _namespace,
    "services": _service,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
    "jobs.batch": _job,
    "cronjobs.batch": _cronjob,
}


def complete(storage: str, obj: Obj) -> Obj:
    """Return the object with its kind's defaults.

    Fields of the wrong type are left for validation.
    """
    fill = _BY_STORAGE.get(storage)
    return fill(obj) if fill is not None else obj
