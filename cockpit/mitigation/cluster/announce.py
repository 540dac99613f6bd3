"""Writes a Kubernetes Event on the target after the change, for `kubectl describe`.

Best effort (core/v1): it tells who did what.
"""

from __future__ import annotations

import secrets

from cockpit.canonical_json import canonical
from cockpit.journal.operator import Operator
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError
from cockpit.mitigation.cluster.objects import api_version
from cockpit.mitigation.cluster.times import rfc3339
from cockpit.model.plan import Change, Plan
from cockpit.model.runbook import Runbooks
from cockpit.secrets import toggle_of
from cockpit.text import safe

_PLAIN = frozenset(("image", "replicas", "restartedAt", "job"))


def _words(change: Change, runbooks: Runbooks) -> str:
    """Give the values of an image, of replicas and of known toggles; of any other field its name.

    Everybody who may list the namespace's Events reads them.
    """
    toggle = toggle_of(runbooks, change.field)
    plain = (
        change.field in _PLAIN or change.field.startswith("image of ") or (toggle is not None and not toggle[1].secret)
    )
    if not plain:
        return f"{change.field} changed"
    return f"{change.field} {change.before if change.before is not None else 'absent'} -> {change.after}"


async def announce(
    client: KubeClient, plan: Plan, operator: Operator, number: int, now: float, runbooks: Runbooks
) -> str:
    """Announce the plan; return "" or why there is no Event."""
    target = plan.target
    changes = "; ".join(_words(change, runbooks) for change in plan.changes)
    at = rfc3339(now)
    body = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{target.name}.m0-{secrets.token_hex(6)}", "namespace": target.namespace},
        "involvedObject": {
            "apiVersion": api_version(target.kind),
            "kind": target.kind,
            "namespace": target.namespace,
            "name": target.name,
            "uid": target.uid,
            "resourceVersion": plan.resource_version,
        },
        "reason": "Undo" if plan.undoes is not None else "Mitigation",
        "message": safe(f"{plan.title}: {changes} (by {operator.name}, journal {number})", 900),
        "type": "Normal",
        "source": {"component": "m0-cockpit", "host": operator.host},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
    try:
        await client.send(
            "POST",
            f"/api/v1/namespaces/{target.namespace}/events",
            body=canonical(body),
            content_type="application/json",
            timeout_s=5.0,
        )
    except KubeError as error:
        return error.line()
    return ""
