"""Converts wire objects to `cockpit.model.observed.cluster`, and cleans and redacts every text."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Literal

from cockpit.kubeapi import wire
from cockpit.kubeapi.podstatus import columns, ended
from cockpit.kubeapi.shapes import managed
from cockpit.model.observed import cluster as model
from cockpit.text import safe

_NO_META, _NO_STATE, _UNMANAGED = wire.Meta(), wire.State(), wire.ManagedMeta()


_SHORT = 128  # characters of a message that may well come again; longer ones are kept in no cache


@lru_cache(maxsize=32768)
def text(value: str | None) -> str:
    """Clean text that repeats (names, labels, images, reasons) once, and share it."""
    return safe(value, 512) if value else ""


def prose(value: str | None) -> str:
    """Clean text that does not repeat: messages, annotations."""
    if not value:
        return ""
    return text(value) if len(value) <= _SHORT else safe(value, 4096)


@lru_cache(maxsize=32768)
def unix(stamp: str | None) -> float | None:
    """Convert RFC 3339 to unix seconds; None for absent or odd ones.

    With seconds, micro- or nanoseconds, and any offset.
    """
    if not stamp:
        return None
    try:
        moment = datetime.datetime.fromisoformat(stamp)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        return None


def _texts(values: Mapping[str, str | None] | None) -> dict[str, str]:
    return {text(k): text(v) for k, v in values.items()} if values else {}


@lru_cache(maxsize=32768)
def _condition(
    kind: str | None, status: str | None, reason: str | None, message: str | None, since: str | None
) -> model.Condition:
    """Share one object between all conditions that are alike.

    Pods that came up in the same second have them, and a pod from one event to the next.
    """
    return model.Condition(text(kind), text(status), text(reason), prose(message), unix(since))


def _conditions(values: list[wire.ConditionW | None] | None) -> tuple[model.Condition, ...]:
    return tuple(
        [
            (_condition if len(c.message or "") <= _SHORT else _condition.__wrapped__)(
                c.type, c.status, c.reason, c.message, c.last_transition_time
            )
            for c in values or ()
            if c is not None
        ]
    )


def _owner(meta: wire.Meta) -> tuple[str, str]:
    owners = [o for o in meta.owner_references or () if o is not None]
    for one in owners:
        if one.controller:
            return text(one.kind), text(one.name)
    return (text(owners[0].kind), text(owners[0].name)) if owners else ("", "")


def _service(kind: str, owner: str, labels: Mapping[str, str], name: str) -> str:
    if kind == "ReplicaSet":
        suffix = f"-{labels.get('pod-template-hash', '')}"
        if len(suffix) > 1 and owner.endswith(suffix):
            return owner[: -len(suffix)]
        return owner.rpartition("-")[0] or owner
    return owner or name


def _container(spec: wire.PodContainer | None, status: wire.ContainerStatus | None, init: bool) -> model.Container:
    name = text((spec.name if spec else None) or (status.name if status else None))
    image = text((spec.image if spec else None) or (status.image if status else None))
    if status is None:
        return model.Container(name=name, image=image, init=init)
    state, last = status.state or _NO_STATE, (status.last_state or _NO_STATE).terminated
    phase: model.ContainerPhase = "unknown"
    reason = message = ""
    exit_code = started = finished = None
    if state.running is not None:
        phase, started = "running", unix(state.running.started_at)
    elif state.terminated is not None:
        phase, reason, message = "terminated", text(ended(state.terminated)), prose(state.terminated.message)
        exit_code = state.terminated.exit_code
        started, finished = unix(state.terminated.started_at), unix(state.terminated.finished_at)
    elif state.waiting is not None:
        phase, reason, message = "waiting", text(state.waiting.reason), prose(state.waiting.message)
    return model.Container(
        name=name,
        image=image,
        image_id=text(status.image_id),
        init=init,
        ready=bool(status.ready),
        restarts=status.restart_count or 0,
        phase=phase,
        reason=reason,
        message=message,
        exit_code=exit_code,
        started_at=started,
        finished_at=finished,
        last_reason=text(ended(last)) if last else "",
        last_message=prose(last.message) if last else "",
        last_exit_code=last.exit_code if last else None,
        last_finished_at=unix(last.finished_at) if last else None,
    )


def _containers(
    specs: list[wire.PodContainer | None] | None, statuses: list[wire.ContainerStatus | None] | None, init: bool
) -> list[model.Container]:
    by_name = {s.name: s for s in statuses or () if s is not None}
    if not specs:
        return [_container(None, s, init) for s in by_name.values()]
    return [_container(c, by_name.get(c.name), init) for c in specs if c is not None]


def pod(value: wire.PodW) -> model.Pod:
    """Convert a pod; its `reason`, `ready` and `restarts` are as kubectl prints them."""
    meta = value.metadata or _NO_META
    spec, status = value.spec or wire.PodSpec(), value.status or wire.PodStatus()
    reason, ready, total, restarts = columns(meta, spec, status)
    kind, owner = _owner(meta)
    labels, name = _texts(meta.labels), text(meta.name)
    containers = _containers(spec.containers, status.container_statuses, False)
    if spec.init_containers or status.init_container_statuses:
        containers = _containers(spec.init_containers, status.init_container_statuses, True) + containers
    return model.Pod(
        uid=text(meta.uid),
        namespace=text(meta.namespace),
        name=name,
        resource_version=meta.resource_version or "",
        created_at=unix(meta.creation_timestamp),
        deleted_at=unix(meta.deletion_timestamp),
        labels=labels,
        owner_kind=kind,
        owner_name=owner,
        service=_service(kind, owner, labels, name),
        phase=text(status.phase),
        reason=text(reason),
        message=prose(status.message),
        ready=ready,
        total=total,
        restarts=restarts,
        node=text(spec.node_name),
        containers=tuple(containers),
        conditions=_conditions(status.conditions),
    )


def _source(value: wire.ValueFrom | None) -> str:
    if value is None:
        return ""
    if value.secret_key_ref is not None:
        return text(f"secret {value.secret_key_ref.name or '?'}/{value.secret_key_ref.key or '?'}")
    if value.config_map_key_ref is not None:
        return text(f"configmap {value.config_map_key_ref.name or '?'}/{value.config_map_key_ref.key or '?'}")
    if value.field_ref is not None:
        return text(f"field {value.field_ref.field_path or '?'}")
    if value.resource_field_ref is not None:
        return text(f"resource {value.resource_field_ref.resource or '?'}")
    return "reference"


def _env(values: Iterable[wire.EnvW | None] | None) -> tuple[model.EnvVar, ...]:
    found = []
    for one in values or ():
        if one is not None and one.name:
            source = _source(one.value_from)
            value = None if source else env_value(one.name, one.value or "")
            found.append(model.EnvVar(text(one.name), value, source))
    return tuple(found)


def env_value(name: str, value: str) -> str:
    """Redact a literal, also when it is its name that says secret (M0_API_TOKEN=abc)."""
    shown = safe(f"{name}={value}")
    return shown.partition("=")[2] if shown.startswith(f"{name}=") else safe(value)


def workload(kind: Literal["Deployment", "StatefulSet"], value: wire.WorkloadW) -> model.Workload:
    """Convert a Deployment or StatefulSet.

    `spec.replicas` absent means 1, as the API's default.
    """
    meta, spec = value.metadata or _UNMANAGED, value.spec or wire.WorkloadSpec()
    status = value.status or wire.WorkloadStatus()
    strategy = (spec.strategy if kind == "Deployment" else spec.update_strategy) or wire.Strategy()
    rolling = strategy.rolling_update or wire.RollingUpdate()
    template = (spec.template or wire.Template()).spec or wire.TemplateSpec()
    desired = 1 if spec.replicas is None else spec.replicas
    available = status.available_replicas or 0
    unavailable = status.unavailable_replicas
    return model.Workload(
        kind=kind,
        uid=text(meta.uid),
        namespace=text(meta.namespace),
        name=text(meta.name),
        resource_version=meta.resource_version or "",
        generation=meta.generation or 0,
        observed_generation=status.observed_generation or 0,
        created_at=unix(meta.creation_timestamp),
        labels=_texts(meta.labels),
        annotations=_annotations(meta),
        selector=_texts(spec.selector.match_labels if spec.selector else None),
        desired=desired,
        replicas=status.replicas or 0,
        ready=status.ready_replicas or 0,
        updated=status.updated_replicas or 0,
        available=available,
        unavailable=max(0, desired - available) if unavailable is None else unavailable,
        paused=bool(spec.paused),
        strategy=text(strategy.type) or "RollingUpdate",
        max_surge="" if rolling.max_surge is None else text(str(rolling.max_surge)),
        max_unavailable="" if rolling.max_unavailable is None else text(str(rolling.max_unavailable)),
        containers=_templates(template),
        conditions=_conditions(status.conditions),
        claims=tuple(
            text(v.persistent_volume_claim.claim_name)
            for v in template.volumes or ()
            if v and v.persistent_volume_claim is not None
        ),
        written=written_of(meta),
        applied_replicas=managed.applied_replicas(meta.annotations),
    )


def written_of(meta: wire.ManagedMeta) -> tuple[model.Written, ...]:
    """Convert managedFields; what controllers write into the status is left out."""
    return tuple(
        model.Written(text(one.manager), unix(one.time), managed.owned(one.fields_v1), text(one.subresource))
        for one in meta.managed_fields or ()
        if one is not None and one.subresource != "status"
    )


def _env_from(sources: Iterable[wire.EnvFromW | None] | None) -> tuple[model.EnvSource, ...]:
    found = []
    for one in sources or ():
        for kind, ref in (("configmap", one.config_map_ref), ("secret", one.secret_ref)) if one is not None else ():
            if one is not None and ref is not None:
                found.append(model.EnvSource(kind, text(ref.name), text(one.prefix)))
    return tuple(found)


def _templates(template: wire.TemplateSpec) -> tuple[model.ContainerTemplate, ...]:
    return tuple(
        [
            model.ContainerTemplate(text(c.name), text(c.image), _env(c.env), _env_from(c.env_from))
            for c in template.containers or ()
            if c
        ]
    )


def _annotations(meta: wire.Meta) -> dict[str, str]:
    return {text(k): prose(v) for k, v in (meta.annotations or {}).items() if k != managed.APPLIED}


def deployment(value: wire.WorkloadW) -> model.Workload:
    return workload("Deployment", value)


def statefulset(value: wire.WorkloadW) -> model.Workload:
    return workload("StatefulSet", value)


def replicaset(value: wire.WorkloadW) -> model.ReplicaSet:
    """Convert a ReplicaSet; `revision` is 0 when it has none."""
    meta, spec = value.metadata or _NO_META, value.spec or wire.WorkloadSpec()
    status = value.status or wire.WorkloadStatus()
    template = (spec.template or wire.Template()).spec or wire.TemplateSpec()
    revision = (meta.annotations or {}).get("deployment.kubernetes.io/revision") or "0"
    return model.ReplicaSet(
        uid=text(meta.uid),
        namespace=text(meta.namespace),
        name=text(meta.name),
        owner_name=_owner(meta)[1],
        revision=int(revision) if revision.isascii() and revision.isdigit() and len(revision) < 18 else 0,
        created_at=unix(meta.creation_timestamp),
        desired=1 if spec.replicas is None else spec.replicas,
        ready=status.ready_replicas or 0,
        images=tuple([text(c.image) for c in template.containers or () if c]),
        conditions=_conditions(status.conditions),
        containers=_templates(template),
        restarted_at=_restarted(spec.template),
    )


def _restarted(template: wire.Template | None) -> str:
    own = template.metadata if template is not None else None
    return text((own.annotations or {}).get("kubectl.kubernetes.io/restartedAt")) if own is not None else ""


def event(value: wire.EventW) -> model.KubeEvent:
    """Convert an event of either API; `last_seen` is the newest time that it tells."""
    meta, about = value.metadata or _NO_META, value.involved_object or value.regarding or wire.ObjectReference()
    series = value.series or wire.Series()
    seen = (
        series.last_observed_time
        or value.last_timestamp
        or value.deprecated_last_timestamp
        or value.event_time
        or value.first_timestamp
        or meta.creation_timestamp
    )
    return model.KubeEvent(
        uid=text(meta.uid),
        namespace=text(meta.namespace),
        type=text(value.type),
        reason=text(value.reason),
        message=safe(value.message or value.note or "", 1024),
        object_kind=text(about.kind),
        object_name=text(about.name),
        count=series.count or value.count or value.deprecated_count or 1,
        last_seen=unix(seen),
        first_seen=unix(value.first_timestamp or value.event_time or meta.creation_timestamp),
    )


def autoscaler(value: wire.AutoscalerW) -> model.Autoscaler:
    """Convert a HorizontalPodAutoscaler; an absent `minReplicas` means 1."""
    meta, spec = value.metadata or _UNMANAGED, value.spec or wire.ScalerSpec()
    target = spec.scale_target_ref or wire.ObjectReference()
    return model.Autoscaler(
        namespace=text(meta.namespace),
        name=text(meta.name),
        target_kind=text(target.kind),
        target_name=text(target.name),
        min_replicas=1 if spec.min_replicas is None else spec.min_replicas,
        max_replicas=spec.max_replicas or 0,
        desired=(value.status or wire.ScalerStatus()).desired_replicas or 0,
        created_at=unix(meta.creation_timestamp),
        written=written_of(meta),
        applied_bounds=managed.applied_bounds(meta.annotations),
    )


def job(value: wire.JobW) -> model.Job:
    """Convert a Job; absent counts are 0."""
    meta, spec = value.metadata or _NO_META, value.spec or wire.JobSpec()
    status = value.status or wire.JobStatus()
    kind, owner = _owner(meta)
    return model.Job(
        namespace=text(meta.namespace),
        name=text(meta.name),
        created_at=unix(meta.creation_timestamp),
        cronjob=owner if kind == "CronJob" else "",
        active=status.active or 0,
        succeeded=status.succeeded or 0,
        failed=status.failed or 0,
        suspended=bool(spec.suspend),
        conditions=_conditions(status.conditions),
    )
