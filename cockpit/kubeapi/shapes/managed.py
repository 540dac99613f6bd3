"""Reads what an object tells of its own past: who wrote which field, and what kubectl applied.

Reference: Kubernetes API concepts, server-side apply (managedFields, FieldsV1); kubectl's
annotation last-applied-configuration. Both may be absent, cut or nonsense: then nothing is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cockpit.kubeapi.wire import NONSENSE

#: Holds the whole object as kubectl applied it last, secrets included: nobody reads it on a screen.
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_MOST = 1024 * 1024  # characters of the annotation: a ConfigMap holds no more


def owned(fields: Any) -> frozenset[str]:
    """Return which groups of a workload's or an autoscaler's fields an entry (FieldsV1) owns."""
    spec = _below(fields, "f:spec")
    if not spec:
        return frozenset()
    containers = _below(spec, "f:template", "f:spec", "f:containers").values()
    found = {
        "spec": True,
        "image": any("f:image" in one for one in containers if isinstance(one, dict)),
        "env": any("f:env" in one for one in containers if isinstance(one, dict)),
        "replicas": "f:replicas" in spec,
        "bounds": "f:maxReplicas" in spec or "f:minReplicas" in spec,
    }
    return frozenset(name for name, holds in found.items() if holds)


def data_keys(fields: Any) -> tuple[str, ...]:
    """Return the keys of a ConfigMap's data that an entry (FieldsV1) owns."""
    return tuple(str(key)[2:] for key in _below(fields, "f:data") if str(key).startswith("f:"))


def _below(fields: Any, *names: str) -> dict[str, Any]:
    for name in names:
        fields = fields.get(name) if isinstance(fields, dict) else None
    return fields if isinstance(fields, dict) else {}


class _Spec(msgspec.Struct, rename="camel", gc=False):
    replicas: int | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None


class _Specified(msgspec.Struct, gc=False):
    spec: _Spec | None = None


_OF_SPEC = msgspec.json.Decoder(_Specified)


def applied_replicas(annotations: Mapping[str, str | None] | None) -> int | None:
    """Return a workload's replicas as kubectl applied them last."""
    found = _decoded(_OF_SPEC, annotations)
    return None if found is None or found.spec is None else found.spec.replicas


def applied_bounds(annotations: Mapping[str, str | None] | None) -> tuple[int, int] | None:
    """Return an autoscaler's bounds as kubectl applied them last."""
    found = _decoded(_OF_SPEC, annotations)
    if found is None or found.spec is None or found.spec.max_replicas is None:
        return None
    return (1 if found.spec.min_replicas is None else found.spec.min_replicas), found.spec.max_replicas


def _decoded(decoder: msgspec.json.Decoder[Any], annotations: Mapping[str, str | None] | None) -> Any:
    text = (annotations or {}).get(APPLIED)
    if not text or len(text) > _MOST:
        return None
    try:
        return decoder.decode(text)
    except NONSENSE:
        return None
