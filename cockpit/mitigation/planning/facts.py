"""Asks the cluster for what the guards judge by.

Rights, autoscalers, the lease and the pods that are left, at once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from cockpit.kubeapi.access_review import Review, review
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Conflict, KubeError, NotFound
from cockpit.mitigation.cluster import dryrun, lease
from cockpit.mitigation.cluster.guard_facts import Facts
from cockpit.mitigation.cluster.objects import (
    GROUPS,
    RESOURCES,
    WORKLOADS,
    Subject,
    object_path,
    replicas,
    selector,
    surge_of,
)
from cockpit.mitigation.cluster.patches import at_version
from cockpit.mitigation.cluster.rollout_state import others_named, owned
from cockpit.mitigation.context import StepContext
from cockpit.mitigation.kind import Draft, Patch
from cockpit.model.observed.cluster import Autoscaler
from cockpit.model.reading import Unknown, believed
from cockpit.model.situation import Situation

T = TypeVar("T")

_TRIES = 4  # a rollout under way changes the object several times a second


async def gather(context: StepContext, draft: Draft, identity: str) -> Facts:
    """Ask the cluster at once for all that the guards of this draft judge by."""
    held = lease.read(context.client, context.namespace, context.now)
    if draft.patch is None:  # the rights of what patches no object are its own kind's to ask
        return Facts(
            review=Review(True, "", ""),
            autoscalers=(),
            autoscalers_reason="",
            lease=await held,
            identity=identity,
            pods_left=None,
            pods_reason="not asked",
        )
    client, subject = context.client, draft.patch.subject
    resource = RESOURCES[subject.kind] + (f"/{draft.patch.subresource}" if draft.patch.subresource else "")
    asked = review(
        client=client,
        namespace=subject.namespace,
        verb="patch",
        group=GROUPS[subject.kind],
        resource=resource,
        name=subject.name,
    )
    situation = context.situation()
    of_workload = subject.kind in WORKLOADS
    (
        verdict,
        (scalers, scalers_reason),
        lease_held,
        (pods, pods_reason, others),
        already,
        (namesake, namesake_reason),
    ) = await asyncio.gather(
        asked,
        _autoscalers(client, subject, situation) if of_workload else _known(((), "")),
        held,
        _pods_left(client, subject) if subject.service.singleton else _known((None, "", "")),
        _runs_already(client, draft.patch) if subject.service.singleton else _known(0),
        _namesake(client, subject) if of_workload else _known(("", "")),
    )
    return Facts(
        review=verdict,
        autoscalers=scalers,
        autoscalers_reason=scalers_reason,
        lease=lease_held,
        identity=identity,
        pods_left=pods,
        pods_reason=pods_reason,
        others=others,
        runs_already=already,
        namesake=namesake,
        namesake_reason=namesake_reason,
    )


async def _known(value: T) -> T:
    """Answer without asking: it does not apply."""
    return value


async def _namesake(client: KubeClient, subject: Subject) -> tuple[str, str]:
    """Describe the StatefulSet that bears a Deployment's name, or the other way round.

    Returns (words, why it cannot be told).
    """
    (other,) = (kind for kind in WORKLOADS if kind != subject.kind)
    try:
        found = await client.get(object_path(other, subject.namespace, subject.name))
    except NotFound:
        return "", ""
    except KubeError as error:
        return "", f"whether there is a {other.lower()} of that name too: {error.line()}"
    return f"{other.lower()} {subject.name} (replicas: {replicas(found)})", ""


async def _runs_already(client: KubeClient, patch: Patch) -> int:
    """Count the pods that run already with the template that a surging change leads to.

    Going back to it starts none while the ReplicaSet that keeps it has as many as are wanted. What
    the template will be is the server's to say, by a dry run; what cannot be read counts for none.
    """
    subject = patch.subject
    count = replicas(subject.obj)
    if not patch.template or subject.kind != "Deployment" or surge_of(subject.obj, count).surge == 0:
        return 0
    try:
        after = await _made_of(client, patch)
        if after is None:
            return 0
        path = f"/apis/apps/v1/namespaces/{quote(subject.namespace, safe='')}/replicasets"
        listed = await client.get(path, {"labelSelector": selector(subject.obj)})
    except KubeError:
        return 0
    wanted = _bare(after["spec"]["template"])
    return sum(
        int((rs.get("status") or {}).get("replicas") or 0)
        for rs in listed.get("items") or []
        if any(ref.get("uid") == subject.uid for ref in rs["metadata"].get("ownerReferences") or [])
        and _bare(rs["spec"]["template"]) == wanted
    )


async def _made_of(client: KubeClient, patch: Patch) -> Mapping[str, Any] | None:
    """Return the object as the change would make it; one that changes meanwhile is asked again.

    Raises KubeError.
    """
    request = patch.request
    for _ in range(_TRIES):
        with contextlib.suppress(Conflict):
            made: Mapping[str, Any] | None = (await dryrun.ask_for_patch(client, request, patch.subject.obj))[1]
            if made is not None:
                return made
        now = await client.get(patch.subject.path)  # a JSON patch says by a 422 that its version is old
        request = at_version(request, str(now["metadata"]["resourceVersion"]))
    return None


def _bare(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template without the hash that a ReplicaSet adds to its labels."""
    metadata = dict(template.get("metadata") or {})
    metadata["labels"] = {k: v for k, v in (metadata.get("labels") or {}).items() if k != "pod-template-hash"}
    metadata.pop("creationTimestamp", None)
    return {**template, "metadata": metadata}


async def _autoscalers(
    client: KubeClient, subject: Subject, situation: Situation | None
) -> tuple[Sequence[Autoscaler] | None, str]:
    namespace = quote(subject.namespace, safe="")
    try:
        listed = await client.get(f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers")
    except KubeError as error:
        if situation is None:
            return None, error.line()
        watched = situation.kinds.get(f"horizontalpodautoscalers/{subject.namespace}")
        if isinstance(believed(watched, situation.mono), Unknown):
            return None, error.line()
        known = situation.cluster.autoscalers.values()
        return [
            a
            for a in known
            if (a.namespace, a.target_kind, a.target_name) == (subject.namespace, subject.kind, subject.name)
        ], ""
    return [_autoscaler(subject, hpa) for hpa in listed.get("items") or [] if _targets(hpa, subject)], ""


def _targets(hpa: Mapping[str, Any], subject: Subject) -> bool:
    target = (hpa.get("spec") or {}).get("scaleTargetRef") or {}
    return (target.get("kind"), target.get("name")) == (subject.kind, subject.name)


def _autoscaler(subject: Subject, hpa: Mapping[str, Any]) -> Autoscaler:
    spec, status = hpa["spec"], hpa.get("status") or {}
    return Autoscaler(
        namespace=subject.namespace,
        name=hpa["metadata"]["name"],
        target_kind=subject.kind,
        target_name=subject.name,
        min_replicas=int(spec.get("minReplicas") or 1),
        max_replicas=int(spec.get("maxReplicas") or 0),
        desired=int(status.get("desiredReplicas") or 0),
    )


async def _pods_left(client: KubeClient, subject: Subject) -> tuple[int | None, str, str]:
    """Count the subject's own pods, and name those of others that its selector fits."""
    try:
        listed = await client.get(
            f"/api/v1/namespaces/{quote(subject.namespace, safe='')}/pods", {"labelSelector": selector(subject.obj)}
        )
    except KubeError as error:
        return None, error.line(), ""
    ended, pods = ("Succeeded", "Failed"), list(listed.get("items") or [])
    own = [pod for pod in pods if owned(pod, subject.obj)]
    return (
        sum((pod.get("status") or {}).get("phase") not in ended for pod in own),
        "",
        others_named(pods, subject.obj),
    )
