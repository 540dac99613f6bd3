"""Converts ConfigMaps: their data, what was applied last, and who wrote which key when."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from cockpit.kubeapi import wire
from cockpit.kubeapi.convert import env_value, text, unix
from cockpit.kubeapi.shapes import managed
from cockpit.model.observed import cluster as model


class _Applied(msgspec.Struct, gc=False):
    data: dict[str, str | None] | None = None


def configmap(value: wire.ConfigMapW) -> model.ConfigMap:
    """Convert a ConfigMap; values are cut at 4096 characters, cleaned and redacted."""
    meta = value.metadata or wire.ManagedMeta()
    data = {text(k): env_value(k, v or "") for k, v in (value.data or {}).items()}
    return model.ConfigMap(
        namespace=text(meta.namespace),
        name=text(meta.name),
        resource_version=meta.resource_version or "",
        data=data,
        created_at=unix(meta.creation_timestamp),
        applied=_applied((meta.annotations or {}).get(managed.APPLIED) or ""),
        written=_written(meta.managed_fields or ()),
    )


def _applied(annotation: str) -> dict[str, str]:
    """Return the data that was applied last, but for values of which anything is hidden or cut."""
    try:
        found = msgspec.json.decode(annotation, type=_Applied).data if annotation else None
    except (msgspec.MsgspecError, RecursionError):
        return {}
    return {text(k): v for k, v in (found or {}).items() if v is not None and env_value(k, v) == v}


def _written(managers: Iterable[wire.WrittenW | None]) -> dict[str, tuple[float, str]]:
    """Return when each key was written last, and by whom, as the managed fields tell."""
    found: dict[str, tuple[float, str]] = {}
    for entry in managers:
        at = unix(entry.time) if entry is not None else None
        for name in managed.data_keys(entry.fields_v1) if entry is not None and at is not None else ():
            key = text(name)
            if at is not None and at >= found.get(key, (0.0, ""))[0]:
                found[key] = (at, text((entry.manager if entry is not None else None) or "?"))
    return found
