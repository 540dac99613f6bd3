"""What the guards judge by, asked of the cluster at once: rights, autoscalers, the lease, the pods that are left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cockpit.journal.hash_chain import canonical
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError
from cockpit.mitigation import lease
from cockpit.mitigation.objects import GROUPS, RESOURCES, WORKLOADS, Subject, selector
from cockpit.model.cluster import Autoscaler
from cockpit.model.plan import GuardResult, Verdict
from cockpit.model.reading import SourceState
from cockpit.model.situation import Situation


@dataclass(frozen=True, slots=True)
class Review:
    """An access review. `allowed` None: the server could not say, and `reason` is why."""

    allowed: bool | None
    reason: str
    words: str  # "patch deployments/scale"


@dataclass(frozen=True, slots=True)
class Facts:
    review: Review
    autoscalers: Sequence[Autoscaler] | None  # that target the subject; None: not known
    autoscalers_reason: str
    lease: lease.Held
    identity: str
    pods_left: int | None  # of the subject, terminating ones included; None: not asked or not known
    pods_reason: str


async def gather(
    client: KubeClient, subject: Subject, subresource: str, *, situation: Situation | None, identity: str,
    now: Callable[[], float], count_pods: bool,
) -> Facts:  # fmt: skip
    resource = RESOURCES[subject.kind] + (f"/{subresource}" if subresource else "")
    asked = review(client, subject.namespace, "patch", GROUPS[subject.kind], resource, subject.name)
    verdict, (scalers, scalers_reason), held, (pods, pods_reason) = await asyncio.gather(
        asked,
        _autoscalers(client, subject, situation) if subject.kind in WORKLOADS else _no_autoscalers(),
        lease.read(client, subject.namespace, now),
        _pods_left(client, subject) if count_pods else _nothing(),
    )
    return Facts(verdict, scalers, scalers_reason, held, identity, pods, pods_reason)


async def facts_of_act(client: KubeClient, namespace: str, identity: str, now: Callable[[], float]) -> Facts:
    """For what is not an object of the cluster: who else is acting. Its rights are its own kind's to ask."""
    return Facts(
        Review(True, "", ""), (), "", await lease.read(client, namespace, now), identity, None, "not asked"
    )  # fmt: skip


def permitted(review: Review, name: str) -> GuardResult:
    """An access review as a guard: an error is unknown, never denied or allowed."""
    if review.allowed is None:
        return GuardResult(
            "permission", Verdict.UNKNOWN, f"the server did not say whether you may {review.words}: {review.reason}"
        )
    if not review.allowed:
        why = f": {review.reason}" if review.reason else ""
        return GuardResult("permission", Verdict.BLOCK, f"you may not {review.words} {name}{why}")
    return GuardResult("permission", Verdict.PASS, review.words)


async def _no_autoscalers() -> tuple[Sequence[Autoscaler] | None, str]:
    return (), ""


async def _nothing() -> tuple[int | None, str]:
    return None, ""


async def review(client: KubeClient, namespace: str, verb: str, group: str, resource: str, name: str = "") -> Review:
    """SelfSubjectAccessReview on the exact verb, group, resource (`deployments/scale`: with its subresource) and name."""
    words = f"{verb} {resource}"
    plain, _, subresource = resource.partition("/")
    attributes = {"namespace": namespace, "verb": verb, "group": group, "resource": plain}
    attributes |= {"name": name} if name else {}
    attributes |= {"subresource": subresource} if subresource else {}
    body = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }  # fmt: skip
    try:
        answer = await client.send(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=canonical(body),
            content_type="application/json",
        )  # fmt: skip
        status = answer.json().get("status") or {}
    except KubeError as error:
        return Review(None, error.reason, words)
    allowed = status.get("allowed")
    if allowed is not True and status.get("evaluationError"):
        return Review(None, str(status["evaluationError"]), words)
    return Review(allowed if isinstance(allowed, bool) else None, str(status.get("reason") or ""), words)


async def _autoscalers(
    client: KubeClient, subject: Subject, situation: Situation | None
) -> tuple[Sequence[Autoscaler] | None, str]:
    namespace = quote(subject.namespace, safe="")
    try:
        listed = await client.get(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")
    except KubeError as error:
        reading = (
            situation.kinds.get(f"horizontalpodautoscalers/{subject.namespace}") if situation is not None else None
        )
        if situation is None or reading is None or reading.state(situation.mono) is not SourceState.LIVE:
            return None, error.reason
        known = situation.cluster.autoscalers.values()
        return [
            a for a in known if (a.namespace, a.target_kind, a.target_name) == (subject.namespace, subject.kind, subject.name)
        ], ""  # fmt: skip
    return [_autoscaler(subject, hpa) for hpa in listed.get("items") or [] if _targets(hpa, subject)], ""


def _targets(hpa: Mapping[str, Any], subject: Subject) -> bool:
    target = (hpa.get("spec") or {}).get("scaleTargetRef") or {}
    return (target.get("kind"), target.get("name")) == (subject.kind, subject.name)


def _autoscaler(subject: Subject, hpa: Mapping[str, Any]) -> Autoscaler:
    spec, status = hpa["spec"], hpa.get("status") or {}
    return Autoscaler(
        subject.namespace, hpa["metadata"]["name"], subject.kind, subject.name, int(spec.get("minReplicas") or 1),
        int(spec.get("maxReplicas") or 0), int(status.get("desiredReplicas") or 0),
    )  # fmt: skip


async def _pods_left(client: KubeClient, subject: Subject) -> tuple[int | None, str]:
    try:
        listed = await client.get(
            f"/api/v1/namespaces/{quote(subject.namespace, safe='')}/pods", {"labelSelector": selector(subject.obj)}
        )
    except KubeError as error:
        return None, error.reason
    ended = ("Succeeded", "Failed")
    return sum((pod.get("status") or {}).get("phase") not in ended for pod in listed.get("items") or []), ""
