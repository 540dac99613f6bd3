"""Serves /scale: an autoscaling/v1 Scale over `spec.replicas` (recordings 19 and 28–34)."""

from __future__ import annotations

from cockpit.drill.kubernetes.api.reading import find
from cockpit.drill.kubernetes.api.request import ApiRequest
from cockpit.drill.kubernetes.objects import patch, statuses, validation
from cockpit.drill.kubernetes.objects.resources import Obj
from cockpit.drill.kubernetes.objects.selectors import as_text
from cockpit.drill.kubernetes.objects.store import Store, Stored, decode, encode


def of(stored: Stored) -> Obj:
    """Build a Scale; zero replicas are an absent field."""
    meta, spec = stored.obj["metadata"], stored.obj["spec"]
    replicas = spec.get("replicas", 1)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {k: meta[k] for k in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": (stored.obj.get("status") or {}).get("replicas", 0),
            "selector": as_text(spec["selector"]),
        },
    }


def write(store: Store, req: ApiRequest, body: bytes) -> Obj:
    """Write a Scale by PUT or PATCH.

    Raises ApiError 400, 404, 409, 415, 422.
    """
    stored = find(store, req.target)
    if req.verb == "update":
        try:
            wanted = decode(body)
        except ValueError as error:
            raise statuses.bad_request(f"the object provided is unrecognized: {error}") from None
        if not isinstance(wanted, dict):
            raise statuses.bad_request("the object provided is unrecognized (must be of type object)")
    else:
        shown = of(stored)
        wanted = patch.apply(
            req.http.content_type, {"apiVersion": shown.pop("apiVersion"), "kind": shown.pop("kind"), **shown}, body
        )
    replicas = _replicas(wanted)
    res, name, meta = req.target.res, req.target.name, stored.obj["metadata"]
    given = wanted.get("metadata") or {}
    if given.get("uid") and given["uid"] != meta["uid"]:
        why = f"Precondition failed: UID in precondition: {given['uid']}, UID in object meta: {meta['uid']}"
        raise statuses.conflict(res, name, why)
    if given.get("resourceVersion") and given["resourceVersion"] != meta["resourceVersion"]:
        raise statuses.conflict(res, name)
    problem = validation.check_scale(name, replicas)
    if problem is not None:
        raise problem
    if replicas != stored.obj["spec"].get("replicas", 1):
        generation = meta.get("generation", 1) + 1
        spec = {**stored.obj["spec"], "replicas": replicas}
        changed = {**stored.obj, "metadata": {**meta, "generation": generation}, "spec": spec}
        stored = Stored(stored.key, changed, stored.rv) if req.dry_run else store.replace(res, stored, changed)
    return of(stored)


def _replicas(scale: Obj) -> int:
    value = (scale.get("spec") or {}).get("replicas") or 0
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    kinds = {str: "string", bool: "bool", dict: "object", list: "array"}
    what = kinds.get(type(value), f"number {value}")
    text = f"json: cannot unmarshal {what} into Go struct field ScaleSpec.spec.replicas of type int32"
    raise statuses.unmergeable(encode(scale).decode(), text)
