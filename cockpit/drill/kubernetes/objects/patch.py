"""Applies patches: RFC 7386 (merge), RFC 6902 (JSON patch), by content type."""

from __future__ import annotations

from typing import Any

import jsonpatch

from cockpit.drill.kubernetes.objects import strategic
from cockpit.drill.kubernetes.objects.resources import Obj
from cockpit.drill.kubernetes.objects.statuses import bad_request, patch_rejected, unsupported_media_type
from cockpit.drill.kubernetes.objects.store import decode

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def parse_json(body: bytes) -> Any:
    try:
        return decode(body)
    except ValueError as error:
        raise bad_request(f"error decoding patch: {error}") from None


def merge(target: Any, patch: Any) -> Any:
    """Merge by RFC 7386: maps merge, null deletes, anything else replaces.

    Returns a new value; the arguments stay as they are.
    """
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def json_patch(target: Obj, operations: Any) -> Obj:
    """Apply the operations of a JSON patch (RFC 6902).

    A failed test, an absent path and an unknown operation are 422 (recording 42); what is no list
    is 400.
    """
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    try:
        result = jsonpatch.JsonPatch(operations).apply(target, in_place=False)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError, IndexError):
        raise patch_rejected() from None
    if not isinstance(result, dict):
        raise patch_rejected()
    return result


def apply(content_type: str, target: Obj, body: bytes) -> Obj:
    """Return the patched object, not yet validated.

    `target` must be a copy that may be consumed. Raises ApiError 400, 415, 422.
    """
    if content_type == JSON_PATCH:
        return json_patch(target, parse_json(body))
    if content_type not in (MERGE_PATCH, STRATEGIC_PATCH):
        raise unsupported_media_type()
    patch = parse_json(body)
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal non-object into Go value of type map[string]interface {}")
    if content_type == MERGE_PATCH:
        result: Obj = merge(target, patch)
        return result
    return strategic.apply(target, patch)
