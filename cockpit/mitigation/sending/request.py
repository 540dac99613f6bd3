"""A draft as the request that is sent, and what of it a digest covers."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from cockpit.mitigation.cluster.objects import Subject
from cockpit.mitigation.steps.kind import JSON_PATCH, Draft
from cockpit.model.plan import (
    Effect,
    Request,
)


def request_of(subject: Subject, draft: Draft, resource_version: str) -> Request:
    """The request with its precondition: metadata.resourceVersion inside the body gives 409 when
    the object moved on; a JSON patch tests it first, and gives 422.
    """
    path = subject.path + (f"/{draft.subresource}" if draft.subresource else "")
    body: Any
    if isinstance(draft.body, list):
        body = [{"op": "test", "path": _VERSION, "value": resource_version}, *draft.body]
    else:
        metadata = {**draft.body.get("metadata", {}), "resourceVersion": resource_version}
        body = {"metadata": metadata, **{key: value for key, value in draft.body.items() if key != "metadata"}}
    return Request("PATCH", path, draft.params, draft.content_type, json.dumps(body, ensure_ascii=False))


_VERSION = "/metadata/resourceVersion"


def version_of(effect: Effect) -> str:
    """The resourceVersion that a request is bound to; "" for what is bound to none."""
    if not isinstance(effect, Request) or effect.method != "PATCH":
        return ""
    body = json.loads(effect.body)
    if effect.content_type == JSON_PATCH:
        return str(next(one["value"] for one in body if one["path"] == _VERSION))
    return str(body["metadata"]["resourceVersion"])


def spelled(effect: Effect) -> list[Any]:
    """All of what is sent but its precondition, as plain JSON: what a digest covers.

    It may hold secrets.
    """
    if not isinstance(effect, Request):
        return [type(effect).__name__, msgspec.to_builtins(effect)]
    body = json.loads(effect.body) if effect.body else None
    if isinstance(body, dict):
        body.get("metadata", {}).pop("resourceVersion", None)
    elif isinstance(body, list):
        body = [one for one in body if one.get("path") != _VERSION]
    return [effect.method, effect.path, dict(effect.params), effect.content_type, body]
