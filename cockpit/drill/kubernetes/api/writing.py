"""Checks and stores every write: create, update, patch, apply, delete."""

from __future__ import annotations

from typing import Any

from cockpit.drill.clock import rfc3339
from cockpit.drill.kubernetes.api import protobuf
from cockpit.drill.kubernetes.api.reading import find
from cockpit.drill.kubernetes.api.request import ApiRequest
from cockpit.drill.kubernetes.controllers.context import ALPHABET, mark_deleted
from cockpit.drill.kubernetes.objects import defaults, events, managed, patch, statuses, strategic, validation
from cockpit.drill.kubernetes.objects.resources import CONFIGMAPS, EVENTS_K8S_IO, JOBS, NAMESPACES, PODS, Obj, Resource
from cockpit.drill.kubernetes.objects.store import Store, Stored, decode, encode

_META_ORDER = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)
_KEPT = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)
_COUNTED = {
    "pods",
    "deployments.apps",
    "replicasets.apps",
    "statefulsets.apps",
    "jobs.batch",
    "cronjobs.batch",
}  # kinds that bear a generation
_WITH_STATUS = {*_COUNTED, "namespaces", "services", "nodes", "horizontalpodautoscalers.autoscaling"}


def parse_body(req: ApiRequest, body: bytes) -> Obj:
    """Parse a body of JSON, YAML or protobuf.

    Raises ApiError 400 and 415.
    """
    kind = req.http.content_type
    if kind not in ("application/json", "application/yaml", "application/octet-stream", protobuf.CONTENT_TYPE):
        raise statuses.unsupported_media_type()
    result = protobuf.decode(body) if kind == protobuf.CONTENT_TYPE else _decode(body, yaml=kind == "application/yaml")
    res = req.target.res
    if result.get("kind", res.kind) != res.kind or result.get("apiVersion", res.api_version) != res.api_version:
        got = f"{result.get('kind')} in version {result.get('apiVersion')}"
        raise statuses.bad_request(f"{got} does not match the expected {res.kind} in version {res.api_version}")
    return result


def _decode(body: bytes, *, yaml: bool) -> Obj:
    try:
        result = decode(body)
    except ValueError as error:
        if not yaml:
            raise statuses.bad_request(f"the object provided is unrecognized: {error}") from None
        result = _yaml(body)
    if not isinstance(result, dict):
        raise statuses.bad_request("the object provided is unrecognized (must be of type object)")
    return result


def _yaml(body: bytes) -> Any:
    import yaml  # only for YAML bodies

    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise statuses.bad_request(f"error decoding YAML: {error}") from None


def _bare(value: Any) -> Any:
    """Return the object without nulls, which mean "absent" in what is stored."""
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items() if v is not None}
    return [_bare(v) for v in value] if isinstance(value, list) else value


def _ordered_meta(meta: Obj) -> Obj:
    full = {k: meta[k] for k in _META_ORDER if k in meta and meta[k] not in ({}, [], "")}
    return {**full, **{k: v for k, v in meta.items() if k not in _META_ORDER and k != "selfLink"}}


def _with_its_own_labels(job: Obj, uid: str) -> Obj:
    """Return a Job with the selector and labels that are made of its uid, if it has none."""
    spec = dict(job.get("spec") or {})
    if spec.get("manualSelector"):
        return job
    name = job["metadata"].get("name", "")
    own = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": name,
        "controller-uid": uid,
        "job-name": name,
    }
    template = dict(spec.get("template") or {})
    labels = {**((template.get("metadata") or {}).get("labels") or {}), **own}
    template["metadata"] = {**(template.get("metadata") or {}), "labels": labels}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    meta = {**job["metadata"], "uid": uid}
    meta["labels"] = meta.get("labels") or labels
    return {
        **job,
        "metadata": meta,
        "spec": {**spec, "selector": selector, "manualSelector": False, "template": template},
    }


def _stored_form(res: Resource, obj: Obj) -> Obj:
    full = events.as_old(obj) if res is EVENTS_K8S_IO else obj
    body = {k: v for k, v in _bare(full).items() if k not in ("kind", "apiVersion", "metadata")}
    return {"metadata": _ordered_meta(_bare(full.get("metadata") or {})), **body}


class Writer:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.orphaned: set[str] = set()  # uids whose dependents stay

    # create

    def create(self, req: ApiRequest, body: Obj) -> Stored:
        """Create an object.

        Raises ApiError 400, 404 (namespace), 409, 422.
        """
        res, namespace = req.target.res, req.target.namespace
        self._typed(res, body)
        obj = _stored_form(res, body)
        meta = obj["metadata"]
        if res.namespaced and meta.setdefault("namespace", namespace) != namespace:
            text = "the namespace of the provided object does not match the namespace sent on the request"
            raise statuses.bad_request(text)
        if "resourceVersion" in meta:
            raise statuses.bad_request("resourceVersion should not be set on objects to be created")
        for field in ("uid", "creationTimestamp", "generation", "managedFields", "deletionTimestamp"):
            meta.pop(field, None)
        if "name" not in meta and meta.get("generateName"):
            meta["name"] = meta["generateName"] + self._suffix()
        if res.storage in _WITH_STATUS:
            obj.pop("status", None)
        if res.storage in _COUNTED:
            meta["generation"] = 1
        if res is JOBS:
            obj = _with_its_own_labels(obj, self.store.new_uid())
        obj = defaults.complete(res.storage, obj)
        validation.check(res, obj)
        if res.namespaced and self.store.get(NAMESPACES, "", namespace) is None:
            raise statuses.not_found(NAMESPACES, namespace)
        if res is CONFIGMAPS:
            time = rfc3339(self.store.clock.now())
            obj["metadata"]["managedFields"] = managed.updated(None, obj, req.manager, res.api_version, time)
        if req.dry_run:
            if self.store.get(res, namespace if res.namespaced else "", meta["name"]) is not None:
                raise statuses.already_exists(res, meta["name"])
            return Stored((namespace, meta["name"]), self.store.fresh(res, obj), 0)
        return self.store.create(res, obj)

    def _suffix(self) -> str:
        digest = self.store.new_uid().replace("-", "")
        return "".join(ALPHABET[int(digest[i : i + 2], 16) % len(ALPHABET)] for i in range(0, 10, 2))

    def _typed(self, res: Resource, obj: Obj) -> None:
        try:
            validation.check_types(res, obj)
        except validation.Undecodable as problem:
            text = f'{res.kind} in version "{res.version}" cannot be handled as a {res.kind}: {problem}'
            raise statuses.bad_request(text) from None

    # update and patch

    def update(self, req: ApiRequest, body: Obj) -> Stored:
        """Replace the whole object (PUT); an empty resourceVersion overwrites whatever is there."""
        given = body.get("metadata") or {}
        if not given.get("name"):
            why = f"the name of the object ({req.target.name} based on URL) was undeterminable: name must be provided"
            raise statuses.bad_request(why)
        old = find(self.store, req.target)
        res = req.target.res
        self._typed(res, body)
        if given.get("name", req.target.name) != req.target.name:
            raise statuses.bad_request("the name of the object does not match the name on the URL")
        return self._finish(req, old, _stored_form(res, body))

    def patch(self, req: ApiRequest, body: bytes) -> Stored:
        """Patch an object by merge, strategic merge or JSON patch; apply what exists or not.

        Raises ApiError 400, 404, 409, 415, 422.
        """
        res, kind = req.target.res, req.http.content_type
        if kind == patch.APPLY_PATCH:
            return self._apply(req, body)
        if kind not in (patch.JSON_PATCH, patch.MERGE_PATCH, patch.STRATEGIC_PATCH):
            raise statuses.unsupported_media_type()
        old = find(self.store, req.target)
        shown = old.copy()
        if res is EVENTS_K8S_IO:
            shown = events.as_new(shown)
        before = {"kind": res.kind, "apiVersion": res.api_version, **shown}
        result = patch.apply(kind, before, body)
        try:
            validation.check_types(res, result)
        except validation.Undecodable as problem:
            raise statuses.unmergeable(encode(result).decode(), str(problem)) from None
        return self._finish(req, old, _stored_form(res, result))

    def _finish(self, req: ApiRequest, old: Stored, obj: Obj) -> Stored:
        """Check, default, validate and store a write; a dry run does not store it.

        Preconditions are checked, and what clients may not change is kept.
        """
        res, name = req.target.res, req.target.name
        had, meta = old.obj["metadata"], obj["metadata"]
        if meta.get("uid", had["uid"]) != had["uid"]:
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: {had['uid']}"
            raise statuses.conflict(res, name, why)
        if meta.get("resourceVersion", had["resourceVersion"]) != had["resourceVersion"]:
            raise statuses.conflict(res, name)
        kept = {k: had[k] for k in (*_KEPT, "resourceVersion", "generation") if k in had}
        loose = {k: v for k, v in meta.items() if k not in _KEPT}
        managed_before = {"managedFields": had["managedFields"]} if "managedFields" in had else {}
        loose.pop("managedFields", None)
        obj = {**obj, "metadata": _ordered_meta({**loose, **kept, **managed_before})}
        if req.target.sub == "status":
            obj = {**old.obj, "status": obj.get("status") or {}}
        elif res.storage in _WITH_STATUS:
            obj = {**obj, "status": old.obj.get("status") or {}}
        obj = defaults.complete(res.storage, obj)
        if req.target.sub != "status":
            validation.check(res, obj, old.obj)
        if res.storage in _COUNTED and obj.get("spec") != old.obj.get("spec"):
            obj["metadata"] = {**obj["metadata"], "generation": had.get("generation", 1) + 1}
        if res is CONFIGMAPS and obj != old.obj:
            time = rfc3339(self.store.clock.now())
            obj["metadata"]["managedFields"] = managed.updated(old.obj, obj, req.manager, res.api_version, time)
        return self._save(req, old, obj)

    def _save(self, req: ApiRequest, old: Stored, obj: Obj) -> Stored:
        if req.dry_run:
            return Stored(old.key, obj, old.rv)
        return self.store.replace(req.target.res, old, obj)

    def _apply(self, req: ApiRequest, body: bytes) -> Stored:
        """Apply server-side: with conflicts for ConfigMaps, by keys for other kinds."""
        res, target = req.target.res, req.target
        manager = req.param("fieldManager")
        if not manager:
            raise statuses.invalid(
                "PatchOptions", "meta.k8s.io", "", [statuses.required("fieldManager", "is required for apply patch")]
            )
        wanted = _decode(body, yaml=True)
        self._typed(res, wanted)
        stored = self.store.get(res, target.namespace, target.name)
        wanted.setdefault("metadata", {})["name"] = target.name
        if stored is None:
            form = _stored_form(res, wanted)
            made = self.create(req, form)
            if res is not CONFIGMAPS or req.dry_run:
                return made
            applied = managed.applied(None, form, manager, True, rfc3339(self.store.clock.now()))
            meta = {**made.obj["metadata"], "managedFields": applied["metadata"]["managedFields"]}
            return self.store.replace(res, made, {**made.obj, "metadata": _ordered_meta(meta)})
        if res is not CONFIGMAPS:
            merged = strategic.apply(stored.copy(), wanted)
            return self._finish(req, stored, _stored_form(res, merged))
        now = rfc3339(self.store.clock.now())
        result = managed.applied(stored.obj, _stored_form(res, wanted), manager, req.flag("force"), now)
        meta = result["metadata"]
        if (wanted["metadata"].get("resourceVersion") or meta["resourceVersion"]) != meta["resourceVersion"]:
            raise statuses.conflict(res, target.name)
        return self._save(req, stored, {**result, "metadata": _ordered_meta(meta)})

    # delete

    def delete(self, req: ApiRequest, stored: Stored, options: Obj) -> tuple[Obj | None, Stored]:
        """Delete an object.

        Returns (Status, last state) when it is gone at once, (None, object) when it terminates
        gracefully.

        Raises ApiError 409.
        """
        res = req.target.res
        meta = stored.obj["metadata"]
        wanted = options.get("preconditions") or {}
        if wanted.get("uid", meta["uid"]) != meta["uid"]:
            raise statuses.other_uid(res, stored.key[1], wanted["uid"], meta["uid"])
        if wanted.get("resourceVersion", meta["resourceVersion"]) != meta["resourceVersion"]:
            raise statuses.other_version(res, stored.key[1], wanted["resourceVersion"], meta["resourceVersion"])
        status = statuses.success(res, stored.key[1], meta["uid"])
        if req.dry_run:
            return (None, stored) if res is PODS else (status, stored)
        if res is PODS:
            grace = req.number("gracePeriodSeconds")
            grace = options.get("gracePeriodSeconds") if grace is None else grace
            if grace == 0:
                return None, self.store.remove(res, stored)
            return None, mark_deleted(self.store, res, stored, grace)
        policy = req.param("propagationPolicy") or options.get("propagationPolicy")
        if policy == "Orphan" or options.get("orphanDependents"):
            self.orphaned.add(meta["uid"])
        return status, self.store.remove(res, stored)
