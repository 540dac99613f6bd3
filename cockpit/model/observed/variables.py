"""Finds a variable as the running workloads have it: in place, or from a watched ConfigMap."""

from __future__ import annotations

from cockpit.model.observed.cluster import Cluster, Workload

SUBMITTER = "m0-submitter"


def variable(cluster: Cluster, name: str, service: str = SUBMITTER) -> str | None:
    """Return its value at `service`, else at whichever workload has one.

    None when it is not set, or its value not to be seen.
    """
    workloads = sorted(cluster.workloads.values(), key=lambda w: (w.name != service, w.namespace, w.name))
    for workload in workloads:
        value = _value(cluster, workload, name)
        if value is not None:
            return value
    return None


def _value(cluster: Cluster, workload: Workload, name: str) -> str | None:
    found = workload.env(name)
    if found is None or found.value is not None:
        return found.value if found is not None else None
    kind, _, rest = (found.source or "").partition(" ")
    configmap, _, key = rest.partition("/")
    held = cluster.configmaps.get((workload.namespace, configmap)) if kind == "configmap" else None
    return held.data.get(key) if held is not None else None
