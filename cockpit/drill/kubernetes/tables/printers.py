"""Prints the cells of server-side tables, one row an object, as kubernetes/pkg/printers does."""

from __future__ import annotations

from typing import Any

from cockpit.drill.clock import parse_rfc3339
from cockpit.drill.kubernetes.objects.resources import Obj
from cockpit.drill.kubernetes.objects.selectors import as_text

Cells = list[Any]


def age(seconds: float) -> str:
    """Format an age as `duration.HumanDuration` does: 94m, 3h12m, 2d4h."""
    s = int(seconds)
    if s < -1:
        return "<invalid>"
    s = max(s, 0)
    if s < 120:
        return f"{s}s"
    minutes = s // 60
    if minutes < 10:
        return f"{minutes}m{s % 60}s" if s % 60 else f"{minutes}m"
    hours, days = s // 3600, s // 86400
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y{days % 365}d"


def _since(stamp: str | None, now: float) -> str:
    return age(now - parse_rfc3339(stamp)) if stamp else "<unknown>"


def pod_status(pod: Obj) -> str:
    """Return the STATUS column (printPod in kubernetes/pkg/printers)."""
    status = pod.get("status") or {}
    reason = status.get("reason") or status.get("phase") or "Unknown"
    init = status.get("initContainerStatuses") or ()
    initialising = False
    for i, container in enumerate(init):
        state = container.get("state") or {}
        if (state.get("terminated") or {}).get("exitCode") == 0:
            continue
        if state.get("terminated"):
            reason = f"Init:{state['terminated'].get('reason') or 'Error'}"
        elif (state.get("waiting") or {}).get("reason") not in (None, "", "PodInitializing"):
            reason = f"Init:{state['waiting']['reason']}"
        else:
            reason = f"Init:{i}/{len(init)}"
        initialising = True
        break
    if not initialising:
        running = False
        for container in reversed(status.get("containerStatuses") or ()):
            state = container.get("state") or {}
            if (state.get("waiting") or {}).get("reason"):
                reason = state["waiting"]["reason"]
            elif state.get("terminated"):
                done = state["terminated"]
                reason = done.get("reason") or f"ExitCode:{done.get('exitCode', 0)}"
            elif container.get("ready") and state.get("running"):
                running = True
        if reason == "Completed" and running:
            reason = "Running"
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str(reason)


def pod(obj: Obj, now: float) -> Cells:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    containers = status.get("containerStatuses") or ()
    restarts = sum(c.get("restartCount", 0) for c in containers)
    ended = [((c.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for c in containers]
    last = max((e for e in ended if e), default=None)
    shown = f"{restarts} ({_since(last, now)} ago)" if restarts and last else str(restarts)
    ready = sum(1 for c in containers if c.get("ready"))
    return [
        obj["metadata"]["name"],
        f"{ready}/{len(spec.get('containers') or ())}",
        pod_status(obj),
        shown,
        _since(obj["metadata"].get("creationTimestamp"), now),
        status.get("podIP") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        "<none>",
    ]


def _template(obj: Obj) -> Cells:
    containers = obj["spec"]["template"]["spec"].get("containers") or ()
    return [",".join(c["name"] for c in containers), ",".join(c.get("image") or "" for c in containers)]


def born(obj: Obj, now: float) -> str:
    return _since(obj["metadata"].get("creationTimestamp"), now)


def deployment(obj: Obj, now: float) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    return [
        obj["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        born(obj, now),
        *_template(obj),
        as_text(spec["selector"]),
    ]


def replicaset(obj: Obj, now: float) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    counts = [spec.get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [obj["metadata"]["name"], *counts, born(obj, now), *_template(obj), as_text(spec["selector"])]


def statefulset(obj: Obj, now: float) -> Cells:
    ready = f"{(obj.get('status') or {}).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 0)}"
    return [obj["metadata"]["name"], ready, born(obj, now), *_template(obj)]


def job(obj: Obj, now: float) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    ended = next((c["type"] for c in status.get("conditions") or () if c["status"] == "True"), "Running")
    begun, done = status.get("startTime"), status.get("completionTime")
    took = age((parse_rfc3339(done) if done else now) - parse_rfc3339(begun)) if begun else ""
    return [
        obj["metadata"]["name"],
        ended,
        f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}",
        took,
        born(obj, now),
        *_template(obj),
        as_text(spec.get("selector") or {}),
    ]


def cronjob(obj: Obj, now: float) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    last = status.get("lastScheduleTime")
    return [
        obj["metadata"]["name"],
        spec.get("schedule", ""),
        spec.get("timeZone") or "<none>",
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or ()),
        _since(last, now) if last else "<none>",
        born(obj, now),
        *_template({"spec": spec["jobTemplate"]["spec"]}),
        "<none>",
    ]


def event(obj: Obj, now: float) -> Cells:
    about = obj.get("involvedObject") or {}
    source = obj.get("source") or {}
    last = obj.get("lastTimestamp") or obj.get("eventTime") or obj.get("firstTimestamp")
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    return [
        _since(last, now),
        obj.get("type") or "",
        obj.get("reason") or "",
        f"{str(about.get('kind') or '').lower()}/{about.get('name') or ''}",
        about.get("fieldPath") or "",
        ", ".join(filter(None, (source.get("component"), source.get("host")))) or obj.get("reportingComponent") or "",
        str(obj.get("message") or "").strip(),
        _since(first, now),
        obj.get("count") or 1,
        obj["metadata"]["name"],
    ]


def autoscaler(obj: Obj, now: float) -> Cells:
    spec, status = obj["spec"], obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    return [
        obj["metadata"]["name"],
        f"{target.get('kind')}/{target.get('name')}",
        "<unknown>",
        str(spec.get("minReplicas", 1)),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        born(obj, now),
    ]


def node(obj: Obj, now: float) -> Cells:
    ready = next((c["status"] for c in obj["status"].get("conditions") or () if c["type"] == "Ready"), "Unknown")
    info = obj["status"].get("nodeInfo") or {}
    ip = next((a["address"] for a in obj["status"].get("addresses") or ()), "<none>")
    return [
        obj["metadata"]["name"],
        "Ready" if ready == "True" else "NotReady",
        "<none>",
        born(obj, now),
        info.get("kubeletVersion", ""),
        ip,
        "<none>",
        info.get("osImage", "<unknown>"),
        info.get("kernelVersion", "<unknown>"),
        info.get("containerRuntimeVersion", "<unknown>"),
    ]


def service(obj: Obj, now: float) -> Cells:
    spec = obj["spec"]
    ports = ",".join(f"{p.get('port')}/{p.get('protocol', 'TCP')}" for p in spec.get("ports") or ()) or "<none>"
    selector = ",".join(f"{k}={v}" for k, v in sorted((spec.get("selector") or {}).items())) or "<none>"
    return [
        obj["metadata"]["name"],
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP", "None"),
        "<none>",
        ports,
        born(obj, now),
        selector,
    ]


def count(obj: Obj) -> int:
    return len(obj.get("data") or ()) + len(obj.get("binaryData") or ())
