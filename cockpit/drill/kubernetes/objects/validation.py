"""Refuses what the API server refuses: decoding errors (400) and field errors (422).

For the fields that an operator may get wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from cockpit.drill.kubernetes.objects import selectors
from cockpit.drill.kubernetes.objects.resources import (
    CRONJOBS,
    DEPLOYMENTS,
    JOBS,
    REPLICASETS,
    STATEFULSETS,
    Obj,
    Resource,
)
from cockpit.drill.kubernetes.objects.statuses import (
    ApiError,
    Cause,
    duplicate,
    invalid,
    invalid_value,
    not_supported,
    required,
)
from cockpit.drill.kubernetes.objects.store import encode

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*|[ -<>-~]+")
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end "
    "with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_GO = {str: "string", bool: "bool", int: "number", float: "number", dict: "object", list: "array"}


class Undecodable(Exception):
    """Reports a field of the wrong JSON type, as Go does: `json: cannot unmarshal …`."""


def _expect(value: Any, kind: type | tuple[type, ...], where: str, go: str) -> None:
    wrong_bool = isinstance(value, bool) and kind is int
    if value is not None and (wrong_bool or not isinstance(value, kind)):
        raise Undecodable(
            f"json: cannot unmarshal {_GO.get(type(value), 'value')} into Go struct field {where} of type {go}"
        )


def check_types(res: Resource, obj: Obj) -> None:
    """Check the types of the fields that patches and manifests set most.

    Raises Undecodable.
    """
    _expect(obj.get("metadata"), dict, f"{res.kind}.metadata", "v1.ObjectMeta")
    meta = obj.get("metadata") or {}
    for field in ("labels", "annotations"):
        _expect(meta.get(field), dict, f"ObjectMeta.metadata.{field}", "map[string]string")
        for value in (meta.get(field) or {}).values():
            _expect(value, str, f"ObjectMeta.metadata.{field}", "string")
    _expect(meta.get("resourceVersion"), str, "ObjectMeta.metadata.resourceVersion", "string")
    if res.kind in ("ConfigMap", "Secret"):
        _expect(obj.get("data"), dict, f"{res.kind}.data", "map[string]string")
        for value in (obj.get("data") or {}).values():
            _expect(value, str, f"{res.kind}.data", "string")
    if "spec" in obj:
        _expect(obj["spec"], dict, f"{res.kind}.spec", f"v1.{res.kind}Spec")
    if res in (DEPLOYMENTS, REPLICASETS, STATEFULSETS):
        spec = obj.get("spec") or {}
        _expect(spec.get("replicas"), int, f"{res.kind}Spec.spec.replicas", "int32")
        _expect(spec.get("paused"), bool, f"{res.kind}Spec.spec.paused", "bool")
        template = spec.get("template") or {}
        _expect(template, dict, f"{res.kind}Spec.spec.template", "v1.PodTemplateSpec")
        notes = (template.get("metadata") or {}).get("annotations") or {}
        for value in notes.values():
            _expect(value, str, "ObjectMeta.spec.template.metadata.annotations", "string")
        _containers(template.get("spec") or {}, "spec.template.spec")
    elif res.kind == "Pod":
        _containers(obj.get("spec") or {}, "spec")


def _containers(spec: Any, where: str) -> None:
    _expect(spec, dict, where, "v1.PodSpec")
    for field in ("containers", "initContainers"):
        _expect(spec.get(field), list, f"PodSpec.{where}.{field}", "[]v1.Container")
        for container in spec.get(field) or ():
            _expect(container, dict, f"PodSpec.{where}.{field}", "v1.Container")
            for part in ("name", "image"):
                _expect(container.get(part), str, f"Container.{where}.{field}.{part}", "string")
            _expect(container.get("env"), list, f"Container.{where}.{field}.env", "[]v1.EnvVar")
            for var in container.get("env") or ():
                _expect(var, dict, f"Container.{where}.{field}.env", "v1.EnvVar")
                _expect(var.get("value"), str, f"EnvVar.{where}.{field}.env.value", "string")


def check(res: Resource, obj: Obj, old: Obj | None = None) -> None:
    """Check an object.

    Raises ApiError 422 with every cause at once.
    """
    causes = list(_causes(res, obj, old))
    if causes:
        raise invalid(res.kind, res.group, obj["metadata"].get("name", ""), causes)


def check_scale(name: str, replicas: int) -> ApiError | None:
    if replicas >= 0:
        return None
    cause = invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
    return invalid("Scale", "autoscaling", name, [cause])


def _causes(res: Resource, obj: Obj, old: Obj | None) -> Iterator[Cause]:
    name = obj["metadata"].get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif not _SUBDOMAIN.fullmatch(name) or len(name) > 253:
        yield invalid_value("metadata.name", name, _SUBDOMAIN_TEXT)
    if res in (DEPLOYMENTS, REPLICASETS, STATEFULSETS):
        yield from _workload(obj, old)
    elif res in (JOBS, CRONJOBS):
        below = obj["spec"] if res is JOBS else (obj["spec"].get("jobTemplate") or {}).get("spec") or {}
        where = "spec.template.spec" if res is JOBS else "spec.jobTemplate.spec.template.spec"
        yield from _job(res, obj, old, below, where)
    elif res.kind == "Pod":
        if old is not None and _frozen_pod(old) != _frozen_pod(obj):
            detail = "pod updates may not change fields other than `spec.containers[*].image` and a few others"
            yield Cause("spec", "FieldValueForbidden", f"Forbidden: {detail}")
        yield from _pod_spec(obj.get("spec") or {}, "spec")


def _job(res: Resource, obj: Obj, old: Obj | None, below: Obj, where: str) -> Iterator[Cause]:
    template = (below.get("template") or {}).get("spec") or {}
    yield from _pod_spec(template, where)
    if template.get("restartPolicy") not in ("Never", "OnFailure"):
        yield not_supported(f"{where}.restartPolicy", str(template.get("restartPolicy") or ""), ("OnFailure", "Never"))
    if res is CRONJOBS and not obj["spec"].get("schedule"):
        yield required("spec.schedule")
    if res is JOBS and old is not None and old["spec"].get("template") != obj["spec"].get("template"):
        yield Cause("spec.template", "FieldValueInvalid", "Invalid value: field is immutable")


def _frozen_pod(pod: Obj) -> Obj:
    spec = dict(pod["spec"])
    for field in ("containers", "initContainers"):
        spec[field] = [{**c, "image": ""} for c in spec.get(field) or ()]
    for field in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"):
        spec.pop(field, None)
    return spec


def _workload(obj: Obj, old: Obj | None) -> Iterator[Cause]:
    spec = obj["spec"]
    if (spec.get("replicas") or 0) < 0:
        yield invalid_value("spec.replicas", spec["replicas"], "must be greater than or equal to 0")
    selector = spec.get("selector") or {}
    template = spec["template"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector:
        yield required("spec.selector")
    elif not selectors.match_labels(selectors.from_selector(selector), labels):
        detail = "`selector` does not match template `labels`"
        yield invalid_value("spec.template.metadata.labels", _Json(labels), detail)
    if selector and old is not None and old["spec"].get("selector") != selector:
        yield invalid_value("spec.selector", _Json(selector), "field is immutable")
    strategy = spec.get("strategy") or {}
    if strategy:
        if strategy.get("type") not in ("Recreate", "RollingUpdate"):
            yield not_supported("spec.strategy.type", str(strategy.get("type")), ("Recreate", "RollingUpdate"))
        elif strategy["type"] == "Recreate" and strategy.get("rollingUpdate"):
            detail = "may not be specified when strategy `type` is 'Recreate'"
            yield Cause("spec.strategy.rollingUpdate", "FieldValueForbidden", f"Forbidden: {detail}")
    yield from _pod_spec(template.get("spec") or {}, "spec.template.spec")


class _Json:
    """A value that is shown as the server shows one that is no text."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __str__(self) -> str:
        return encode(self._value).decode()


def _pod_spec(spec: Obj, where: str) -> Iterator[Cause]:
    if not spec.get("containers"):
        yield required(f"{where}.containers")
    names: set[str] = set()
    for field in ("initContainers", "containers"):
        for i, container in enumerate(spec.get(field) or ()):
            at = f"{where}.{field}[{i}]"
            name = container.get("name") or ""
            if not name:
                yield required(f"{at}.name")
            elif name in names:
                yield duplicate(f"{at}.name", name)
            names.add(name)
            if not container.get("image"):
                yield required(f"{at}.image")
            yield from _env(container.get("env") or (), f"{at}.env")


def _env(env: Sequence[Obj], where: str) -> Iterator[Cause]:
    for i, var in enumerate(env):
        name = var.get("name") or ""
        if not name:
            yield required(f"{where}[{i}].name")
        elif not _ENV_NAME.fullmatch(name):
            yield invalid_value(
                f"{where}[{i}].name", name, "a valid environment variable name must consist only of ..."
            )
        source = var.get("valueFrom")
        if source is not None:
            if var.get("value"):
                detail = "may not be specified when `value` is not empty"
                yield invalid_value(f"{where}[{i}].valueFrom", "", detail)
            elif len(source) != 1:
                detail = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
                yield invalid_value(f"{where}[{i}].valueFrom", "", detail)
