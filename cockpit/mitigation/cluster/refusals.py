"""Asks why pods are not made: a Deployment has a condition for it, others only events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError
from cockpit.kubeapi.refusals import why_no_pod
from cockpit.text import safe

_LIMIT = 2000  # a policy says whom to ask at its end


async def refused(client: KubeClient, namespace: str, obj: Mapping[str, Any]) -> str:
    """Return the reason; "" when none is refused, or it may not be read."""
    for condition in (obj.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return _shown(condition)
    if not _missing(obj):
        return ""
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/events"
    try:
        listed = await client.get(path, {"fieldSelector": f"involvedObject.uid={obj['metadata']['uid']}"})
    except KubeError:
        return ""
    own = [one for one in listed.get("items") or [] if one.get("reason") in ("FailedCreate", "SuccessfulCreate")]
    newest = max(own, key=_last_seen, default=None)
    return _shown(newest) if newest is not None and newest["reason"] == "FailedCreate" else ""


def _missing(obj: Mapping[str, Any]) -> bool:
    """Return whether pods are to be made of a kind that has no condition for it."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    if obj.get("kind") == "StatefulSet":
        return int(status.get("replicas") or 0) < int(spec.get("replicas", 1))
    return obj.get("kind") == "Job" and not any(status.get(each) for each in ("active", "succeeded", "failed"))


def _shown(source: Mapping[str, Any]) -> str:
    return safe(why_no_pod(str(source.get("message") or source.get("reason") or "no reason given")), _LIMIT)


def _last_seen(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")
