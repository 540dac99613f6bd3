"""Asks the API server what the operator may do."""

from __future__ import annotations

from dataclasses import dataclass

from cockpit.canonical_json import canonical
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError


@dataclass(frozen=True, slots=True)
class Review:
    """Holds the answer to an access review.

    `allowed` None: the server could not say, and `reason` is why.
    """

    allowed: bool | None
    reason: str
    words: str  # "patch deployments/scale"


async def review(client: KubeClient, namespace: str, verb: str, group: str, resource: str, name: str = "") -> Review:
    """Ask for exactly this verb, group, resource and name.

    `resource` with its subresource: `deployments/scale`.
    """
    words = f"{verb} {resource}"
    plain, _, subresource = resource.partition("/")
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": plain}
    attributes |= {"name": name} if name else {}
    attributes |= {"subresource": subresource} if subresource else {}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    try:
        answer = await client.send(
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            body=canonical(body),
            content_type="application/json",
        )
        status = answer.json().get("status") or {}
    except KubeError as error:
        return Review(None, error.line(), words)
    allowed = status.get("allowed")
    if allowed is not True and status.get("evaluationError"):
        return Review(None, str(status["evaluationError"]), words)
    return Review(allowed if isinstance(allowed, bool) else None, str(status.get("reason") or ""), words)
