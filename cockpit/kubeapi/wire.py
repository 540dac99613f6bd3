"""Declares the few fields of Kubernetes objects that are read; all may be absent or null.

Decoding skips everything else, which is what makes a watch event cost microseconds. Reference:
Kubernetes API v1, apps/v1, autoscaling/v2. An object that even so does not fit (a number where text
belongs) is left out and counted, never fatal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")


class Owner(msgspec.Struct, gc=False):
    kind: str | None = None
    name: str | None = None
    uid: str | None = None
    controller: bool | None = None


class Meta(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    namespace: str | None = None
    uid: str | None = None
    resource_version: str | None = None
    generation: int | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | None = None
    owner_references: list[Owner | None] | None = None


class WrittenW(msgspec.Struct, rename="camel", gc=False):
    """Describes an entry of managedFields; which fields it owns is decoded by who asks."""

    manager: str | None = None
    operation: str | None = None
    time: str | None = None
    subresource: str | None = None
    fields_v1: Any = msgspec.field(default=None, name="fieldsV1")


class ManagedMeta(Meta, rename="camel", gc=False):
    """Holds who wrote which fields, too."""

    managed_fields: list[WrittenW | None] | None = None


class ConditionW(msgspec.Struct, rename="camel", gc=False):
    type: str | None = None
    status: str | None = None
    reason: str | None = None
    message: str | None = None
    last_transition_time: str | None = None


class Waiting(msgspec.Struct, gc=False):
    reason: str | None = None
    message: str | None = None


class Running(msgspec.Struct, rename="camel", gc=False):
    started_at: str | None = None


class Terminated(msgspec.Struct, rename="camel", gc=False):
    exit_code: int | None = None
    signal: int | None = None
    reason: str | None = None
    message: str | None = None
    started_at: str | None = None
    finished_at: str | None = None


class State(msgspec.Struct, gc=False):
    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    image: str | None = None
    image_id: str | None = msgspec.field(default=None, name="imageID")
    ready: bool | None = None
    started: bool | None = None
    restart_count: int | None = None
    state: State | None = None
    last_state: State | None = None


class Reference(msgspec.Struct, gc=False):
    name: str | None = None
    key: str | None = None


class FieldRef(msgspec.Struct, rename="camel", gc=False):
    field_path: str | None = None
    resource: str | None = None


class ValueFrom(msgspec.Struct, rename="camel", gc=False):
    secret_key_ref: Reference | None = None
    config_map_key_ref: Reference | None = None
    field_ref: FieldRef | None = None
    resource_field_ref: FieldRef | None = None


class EnvW(msgspec.Struct, rename="camel", gc=False):
    name: str | None = None
    value: str | None = None
    value_from: ValueFrom | None = None


class EnvFromW(msgspec.Struct, rename="camel", gc=False):
    prefix: str | None = None
    config_map_ref: Reference | None = None
    secret_ref: Reference | None = None


class PodContainer(msgspec.Struct, rename="camel", gc=False):
    """Describes a container of a pod without its environment, since the workload's counts."""

    name: str | None = None
    image: str | None = None
    restart_policy: str | None = None


class PodSpec(msgspec.Struct, rename="camel", gc=False):
    node_name: str | None = None
    containers: list[PodContainer | None] | None = None
    init_containers: list[PodContainer | None] | None = None


class PodStatus(msgspec.Struct, rename="camel", gc=False):
    phase: str | None = None
    reason: str | None = None
    message: str | None = None
    conditions: list[ConditionW | None] | None = None
    container_statuses: list[ContainerStatus | None] | None = None
    init_container_statuses: list[ContainerStatus | None] | None = None


class PodW(msgspec.Struct, gc=False):
    metadata: Meta | None = None
    spec: PodSpec | None = None
    status: PodStatus | None = None


class TemplateContainer(msgspec.Struct, gc=False):
    name: str | None = None
    image: str | None = None
    env: list[EnvW | None] | None = None
    env_from: list[EnvFromW | None] | None = msgspec.field(default=None, name="envFrom")


class Claim(msgspec.Struct, rename="camel", gc=False):
    claim_name: str | None = None


class Volume(msgspec.Struct, rename="camel", gc=False):
    persistent_volume_claim: Claim | None = None


class TemplateSpec(msgspec.Struct, gc=False):
    containers: list[TemplateContainer | None] | None = None
    volumes: list[Volume | None] | None = None


class TemplateMeta(msgspec.Struct, gc=False):
    annotations: dict[str, str | None] | None = None


class Template(msgspec.Struct, gc=False):
    metadata: TemplateMeta | None = None
    spec: TemplateSpec | None = None


class Expression(msgspec.Struct, gc=False):
    key: str | None = None
    operator: str | None = None
    values: list[str] | None = None


class Selector(msgspec.Struct, rename="camel", gc=False):
    match_labels: dict[str, str | None] | None = None
    match_expressions: list[Expression] | None = None


class RollingUpdate(msgspec.Struct, rename="camel", gc=False):
    max_surge: int | str | None = None
    max_unavailable: int | str | None = None


class Strategy(msgspec.Struct, rename="camel", gc=False):
    type: str | None = None
    rolling_update: RollingUpdate | None = None


class WorkloadSpec(msgspec.Struct, rename="camel", gc=False):
    replicas: int | None = None
    paused: bool | None = None
    selector: Selector | None = None
    strategy: Strategy | None = None  # Deployment
    update_strategy: Strategy | None = None  # StatefulSet
    template: Template | None = None


class WorkloadStatus(msgspec.Struct, rename="camel", gc=False):
    observed_generation: int | None = None
    replicas: int | None = None
    ready_replicas: int | None = None
    updated_replicas: int | None = None
    available_replicas: int | None = None
    unavailable_replicas: int | None = None
    conditions: list[ConditionW | None] | None = None


class WorkloadW(msgspec.Struct, gc=False):
    """Describes a Deployment, StatefulSet or ReplicaSet."""

    metadata: ManagedMeta | None = None
    spec: WorkloadSpec | None = None
    status: WorkloadStatus | None = None


class ObjectReference(msgspec.Struct, gc=False):
    kind: str | None = None
    name: str | None = None


class Series(msgspec.Struct, rename="camel", gc=False):
    count: int | None = None
    last_observed_time: str | None = None


class EventW(msgspec.Struct, rename="camel", gc=False):
    """Describes an event of either API.

    core/v1 (`involvedObject`, `message`, `count`) and events.k8s.io/v1 (`regarding`, `note`,
    `series`) in one.
    """

    metadata: Meta | None = None
    involved_object: ObjectReference | None = None
    regarding: ObjectReference | None = None
    type: str | None = None
    reason: str | None = None
    message: str | None = None
    note: str | None = None
    count: int | None = None
    deprecated_count: int | None = None
    series: Series | None = None
    event_time: str | None = None
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    deprecated_last_timestamp: str | None = None


class ScalerSpec(msgspec.Struct, rename="camel", gc=False):
    scale_target_ref: ObjectReference | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None


class ScalerStatus(msgspec.Struct, rename="camel", gc=False):
    desired_replicas: int | None = None


class AutoscalerW(msgspec.Struct, gc=False):
    metadata: ManagedMeta | None = None
    spec: ScalerSpec | None = None
    status: ScalerStatus | None = None


class JobSpec(msgspec.Struct, rename="camel", gc=False):
    completions: int | None = None
    suspend: bool | None = None


class JobStatus(msgspec.Struct, rename="camel", gc=False):
    active: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    conditions: list[ConditionW | None] | None = None


class JobW(msgspec.Struct, gc=False):
    metadata: Meta | None = None
    spec: JobSpec | None = None
    status: JobStatus | None = None


class ConfigMapW(msgspec.Struct, gc=False):
    metadata: ManagedMeta | None = None
    data: dict[str, str | None] | None = None


class ListMeta(msgspec.Struct, rename="camel", gc=False):
    resource_version: str | None = None
    continue_: str | None = msgspec.field(default=None, name="continue")


class RawList(msgspec.Struct, gc=False):
    metadata: ListMeta | None = None
    items: list[msgspec.Raw] | None = None


class Items(msgspec.Struct, Generic[T], gc=False):
    """Holds a list of which every item has the kind's shape."""

    metadata: ListMeta | None = None
    items: list[T] | None = None


class WatchEvent(msgspec.Struct, gc=False):
    """Holds any line of a watch, its object not looked into."""

    type: str | None = None
    object: msgspec.Raw = msgspec.Raw(b"null")


class Change(msgspec.Struct, Generic[T], gc=False):
    """Holds a line of a watch that is ADDED, MODIFIED, DELETED or a BOOKMARK.

    Its object has the watched kind's shape.
    """

    type: str | None = None
    object: T | None = None


class Status(msgspec.Struct, gc=False):
    """Holds the object of an ERROR event."""

    code: int | None = None
    reason: str | None = None
    message: str | None = None


#: What a decoder raises for nonsense of any kind.
NONSENSE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_HEAD = re.compile(rb'\{[^\[]{0,2000}?"metadata":(\{[^{}\[]{0,8000}\})')
_LIST_META = msgspec.json.Decoder(ListMeta)
RAW_LIST = msgspec.json.Decoder(RawList)
EVENT = msgspec.json.Decoder(WatchEvent)
STATUS = msgspec.json.Decoder(Status)


def early_continue(body: bytes) -> str:
    """Guess the continue token of a page from its first bytes; the guess is to be checked.

    Kubernetes writes a page's metadata before its items, so that the next page can be asked for
    early.

    "" when there is none to be found.
    """
    found = _HEAD.match(body)
    if found is None:
        return ""
    try:
        return _LIST_META.decode(found[1]).continue_ or ""
    except NONSENSE:
        return ""


def decode_list(
    body: bytes, whole: msgspec.json.Decoder[Items[Any]], item: msgspec.json.Decoder[Any]
) -> tuple[list[Any], int, ListMeta]:
    """Return a page's items that fit, how many did not, and its metadata.

    Raises what `NONSENSE` names when it is no list.
    """
    try:
        found = whole.decode(body)
        return found.items or [], 0, found.metadata or ListMeta()
    except NONSENSE:  # one of them is odd, or all of it
        raw = RAW_LIST.decode(body)
        items, skipped = decode_items(raw.items or (), item)
        return items, skipped, raw.metadata or ListMeta()


def decode_items(raws: Sequence[msgspec.Raw], item: msgspec.json.Decoder[Any]) -> tuple[list[Any], int]:
    """Return the items that fit, and how many did not."""
    items: list[Any] = []
    skipped = 0
    for raw in raws:
        try:
            items.append(item.decode(raw))
        except NONSENSE:
            skipped += 1
    return items, skipped
