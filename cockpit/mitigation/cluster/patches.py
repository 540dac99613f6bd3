"""Makes the request that patches an object, and says what of any effect a digest covers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from cockpit.model.plan import Effect, Request

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
FIELD_MANAGER = "m0-cockpit"
_VERSION = "/metadata/resourceVersion"

PatchBody = Mapping[str, Any] | list[dict[str, Any]]


def patch_request(
    path: str, params: Mapping[str, str], content_type: str, body: PatchBody, resource_version: str
) -> Request:
    """Return the request with its precondition.

    metadata.resourceVersion inside the body gives 409 when the object moved on; a JSON patch tests
    it first, and gives 422.
    """
    full: Any
    if isinstance(body, list):
        full = [{"op": "test", "path": _VERSION, "value": resource_version}, *body]
    else:
        metadata = {**body.get("metadata", {}), "resourceVersion": resource_version}
        full = {"metadata": metadata, **{key: value for key, value in body.items() if key != "metadata"}}
    return Request("PATCH", path, params, content_type, json.dumps(full, ensure_ascii=False))


def at_version(request: Request, resource_version: str) -> Request:
    """Return the same patch, bound to another resourceVersion."""
    body = json.loads(request.body)
    if request.content_type == JSON_PATCH:
        body = [one for one in body if one["path"] != _VERSION]
    return patch_request(request.path, request.params, request.content_type, body, resource_version)


def version_of(effect: Effect) -> str:
    """Return the resourceVersion that a request is bound to; "" for what is bound to none."""
    if not isinstance(effect, Request) or effect.method != "PATCH":
        return ""
    body = json.loads(effect.body)
    if effect.content_type == JSON_PATCH:
        return str(next(one["value"] for one in body if one["path"] == _VERSION))
    return str(body["metadata"]["resourceVersion"])


def spelled(effect: Effect) -> list[Any]:
    """Return all of what is sent but its precondition, as plain JSON: what a digest covers.

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
