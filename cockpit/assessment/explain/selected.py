"""Explains what the cursor is on: a pod, a workload with its signals, a signal or an alert."""

from __future__ import annotations

from cockpit.assessment.explain.alert import explain_alert
from cockpit.assessment.explain.signal import explain_signal, unwell_signals
from cockpit.assessment.explain.workload import explain_pod, explain_workload
from cockpit.model.runbook import Runbooks
from cockpit.model.signal import ALERT, SIGNAL
from cockpit.model.situation import Situation


def explain(kind: str, place: tuple[str, str, str], situation: Situation, runbooks: Runbooks) -> tuple[str, ...]:
    """Explain it, the worst first; `place`: namespace, name, uid."""
    (namespace, name, uid), cluster = place, situation.cluster
    if kind == SIGNAL:
        return explain_signal(name, situation, runbooks)
    if kind == ALERT:
        return explain_alert(name, situation)
    if kind.lower() == "pod":
        pod = cluster.pods.get(uid) or next(
            (p for p in cluster.pods.values() if (p.namespace, p.name) == (namespace, name)), None
        )
        return explain_pod(cluster, pod, situation.cluster_now) if pod is not None else (f"The pod {name} is gone.",)
    unwell, workload = unwell_signals(name, situation, runbooks), cluster.workloads.get((namespace, name))
    if workload is None:
        return (f"{name} is gone.", *unwell)
    well = "Its pods are well" if unwell else "All well"
    return (*unwell, *explain_workload(cluster, workload, situation.cluster_now, well))
