"""Reads the revisions that the cluster keeps of a workload.

ReplicaSets of a Deployment, ControllerRevisions of a StatefulSet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation.cluster.objects import Subject, annotations_of, pod_spec, selector
from cockpit.mitigation.cluster.times import unix
from cockpit.text import clean

REVISION = "deployment.kubernetes.io/revision"
_HISTORY = "deployment.kubernetes.io/revision-history"  # the numbers that a ReplicaSet had before it was gone back to
_HASH = "pod-template-hash"


@dataclass(frozen=True, slots=True)
class Revision:
    """Describes a template that a workload once had, with what keeps it.

    `name` and `uid` are of the ReplicaSet (or ControllerRevision): the number of a Deployment's
    revision moves on when it is gone back to, they do not. `template` is as the workload's own
    would be.
    """

    number: int
    name: str
    uid: str
    created_at: float | None
    template: Mapping[str, Any]
    current: bool
    before: int = 0  # the first number it had, when it was gone back to since: what is newer than that was left behind

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(str(c.get("image") or "") for c in (self.template.get("spec") or {}).get("containers") or [])

    @property
    def words(self) -> str:
        return f"revision {self.number} ({clean(', '.join(short(image) for image in self.images), 160)})"


def short(image: str) -> str:
    """Return an image as an operator knows it: without registry, the digest's first digits."""
    name = image.rpartition("/")[2]
    base, at, digest = name.partition("@sha256:")
    return f"{base}@{digest[:12]}" if at else name


async def revisions(client: KubeClient, subject: Subject) -> tuple[Revision, ...]:
    """Read the revisions that are kept, the newest first.

    Raises KubeError.
    """
    kind = "replicasets" if subject.kind == "Deployment" else "controllerrevisions"
    path = f"/apis/apps/v1/namespaces/{quote(subject.namespace, safe='')}/{kind}"
    listed = await client.get(path, {"labelSelector": selector(subject.obj)})
    own = [
        one
        for one in listed.get("items") or []
        if any(ref.get("uid") == subject.uid for ref in one["metadata"].get("ownerReferences") or [])
    ]
    read = _of_replicaset if subject.kind == "Deployment" else _of_controllerrevision
    return tuple(sorted((read(subject, one) for one in own), key=lambda r: -r.number))


def _of_replicaset(subject: Subject, rs: Mapping[str, Any]) -> Revision:
    number = str(annotations_of(rs).get(REVISION) or "0")
    template = json.loads(json.dumps(rs["spec"]["template"]))
    labels = (template.get("metadata") or {}).get("labels") or {}
    labels.pop(_HASH, None)
    current = number == str(annotations_of(subject.obj).get(REVISION) or "")
    past = [int(one) for one in str(annotations_of(rs).get(_HISTORY) or "").split(",") if one.strip().isdecimal()]
    return _revision(rs, int(number) if number.isdecimal() else 0, template, current, min(past, default=0))


def _of_controllerrevision(subject: Subject, revision: Mapping[str, Any]) -> Revision:
    template = {k: v for k, v in revision["data"]["spec"]["template"].items() if k != "$patch"}
    current = revision["metadata"]["name"] == (subject.obj.get("status") or {}).get("updateRevision")
    return _revision(revision, int(revision.get("revision") or 0), template, current)


def _revision(
    obj: Mapping[str, Any], number: int, template: Mapping[str, Any], current: bool, before: int = 0
) -> Revision:
    metadata = obj["metadata"]
    return Revision(
        number=number,
        name=str(metadata["name"]),
        uid=str(metadata["uid"]),
        created_at=unix(metadata.get("creationTimestamp")),
        template=template,
        current=current,
        before=before,
    )


def template_of(subject: Subject) -> Mapping[str, Any]:
    pod_spec(subject.obj)  # there is one
    template: Mapping[str, Any] = subject.obj["spec"]["template"]
    return template
