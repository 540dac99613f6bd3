"""Finds why a workload's pods may not be created: a quota, a limit range, a policy, a webhook."""

from __future__ import annotations

from cockpit.kubeapi.refusals import why_no_pod
from cockpit.model.observed.cluster import Cluster, Workload

#: A controller that is refused tries again, at last every sixteen minutes.
_EVENTS_S = 1200.0


def refused(cluster: Cluster, workload: Workload, there: int, now: float) -> str:
    """Return the reason; "" when nothing is refused, or nothing known of it.

    A Deployment has a condition for it; of a StatefulSet only events tell. `there`: its pods that
    neither ended nor terminate; `now`: unix seconds on the cluster's clock.
    """
    if workload.desired == 0:
        return ""
    for condition in workload.conditions:
        if condition.type == "ReplicaFailure" and condition.status == "True":
            return why_no_pod(condition.message) or condition.reason
    if workload.kind != "StatefulSet" or there >= workload.desired:
        return ""
    own = [
        event
        for event in cluster.events.values()
        if event.reason in ("FailedCreate", "SuccessfulCreate")
        and (event.namespace, event.object_kind, event.object_name)
        == (workload.namespace, workload.kind, workload.name)
    ]
    newest = max(own, key=lambda event: event.last_seen or 0.0, default=None)
    if newest is None or newest.reason != "FailedCreate" or now - (newest.last_seen or 0.0) > _EVENTS_S:
        return ""
    return why_no_pod(newest.message)
