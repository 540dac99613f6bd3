"""Answers get and list from bytes that were encoded once.

Pages, old versions, tables and partial objects.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from cockpit.drill.kubernetes.api.request import ApiRequest, Target
from cockpit.drill.kubernetes.objects import events, selectors, statuses
from cockpit.drill.kubernetes.objects.resources import EVENTS_K8S_IO, Obj, Resource
from cockpit.drill.kubernetes.objects.store import Store, Stored, decode, encode
from cockpit.drill.kubernetes.tables import columns


def view(res: Resource, stored: Stored) -> Obj:
    """Return the object as this API version shows it, without kind and apiVersion."""
    return events.as_new(stored.obj) if res is EVENTS_K8S_IO else stored.obj


def single(res: Resource, stored: Stored) -> bytes:
    if res is EVENTS_K8S_IO:
        return encode({"kind": res.kind, "apiVersion": res.api_version, **events.as_new(stored.obj)})
    return stored.single(res)


def find(store: Store, target: Target) -> Stored:
    """Return the stored object that is asked for.

    Raises ApiError 404.
    """
    stored = store.get(target.res, target.namespace, target.name)
    if stored is None:
        raise statuses.not_found(target.res, target.name)
    return stored


def shaped(req: ApiRequest, stored: Stored, now: float) -> bytes:
    """Encode one object in the shape that the client wants."""
    res = req.target.res
    if req.shape == "table":
        meta = {"resourceVersion": str(stored.rv)}
        return encode(columns.table(res, [stored.obj], meta, now, include=req.param("includeObject")))
    if req.shape == "partial":
        return encode(columns.partial(stored.obj))
    return single(res, stored)


def make_continue(rv: int, after: str) -> str:
    text = encode({"v": "meta.k8s.io/v1", "rv": rv, "start": after + "\x00"})
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def read_continue(token: str) -> tuple[int, str]:
    """Return (version, last key) of a continue token.

    Raises ApiError 400 (recording 10).
    """
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError) as error:
        raise statuses.bad_request(f"invalid continue token: continue key is not valid: {error}") from None
    try:
        body = decode(raw)
        version, start = int(body["rv"]), str(body["start"])
        if body["v"] != "meta.k8s.io/v1":
            raise ValueError("unknown version")
    except (ValueError, KeyError, TypeError) as error:
        shown = f"invalid character '{_shown(raw[0])}' looking for beginning of value" if raw else str(error)
        raise statuses.bad_request(f"invalid continue token: continue key is not valid: {shown}") from None
    return version, start.removesuffix("\x00")


def _shown(byte: int) -> str:
    """Write a byte as Go's JSON decoder quotes it."""
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\u{byte:04x}"


def _snapshot(store: Store, req: ApiRequest) -> tuple[list[Stored], int, str]:
    """Return (objects, the version that they are of, the key after which to go on)."""
    res, namespace = req.target.res, req.target.namespace
    token = req.param("continue")
    if token:
        version, after = read_continue(token)
        if version < 0:  # an inconsistent continuation: the present, from that key on
            return store.select(res, namespace), store.rv, after
        items = store.at(res, version, namespace)
        if items is None:
            raise statuses.continue_expired(make_continue(-1, after))
        return items, version, after
    version_text, match = req.param("resourceVersion"), req.param("resourceVersionMatch")
    if version_text in ("", "0"):
        return store.select(res, namespace), store.rv, ""
    if not version_text.isdigit():
        raise statuses.bad_request(f'resourceVersion: Invalid value: "{version_text}": invalid syntax')
    wanted = int(version_text)
    if wanted > store.rv:
        raise statuses.version_too_large(wanted, store.rv, listed=True)
    if match == "Exact":
        items = store.at(res, wanted, namespace)
        if items is None:
            raise statuses.list_expired()
        return items, wanted, ""
    return store.select(res, namespace), store.rv, ""


def listing(store: Store, req: ApiRequest, now: float) -> bytes:
    """Encode a list in the shape that the client wants.

    Raises ApiError 400, 410, 504.
    """
    res = req.target.res
    test = selectors.predicate(res, req.param("labelSelector"), req.param("fieldSelector"))
    items, version, after = _snapshot(store, req)
    if test is not None:
        items = [s for s in items if test(s.obj)]
    if after:
        items = [s for s in items if _position(s, req) > after]
    limit = req.number("limit") or 0
    meta: Obj = {"resourceVersion": str(version)}
    if 0 < limit < len(items):
        meta["continue"] = make_continue(version, _position(items[limit - 1], req))
        if test is None:
            meta["remainingItemCount"] = len(items) - limit
        items = items[:limit]
    return _render(req, items, meta, now)


def _position(stored: Stored, req: ApiRequest) -> str:
    """Return the key that a continue token names.

    Relative to the namespace, if one was asked for.
    """
    return stored.key[1] if req.target.namespace or not stored.key[0] else f"{stored.key[0]}/{stored.key[1]}"


def _render(req: ApiRequest, items: Sequence[Stored], meta: Obj, now: float) -> bytes:
    res = req.target.res
    if req.shape == "table":
        include = req.param("includeObject")
        return encode(columns.table(res, [s.obj for s in items], meta, now, include=include))
    if req.shape == "partial":
        kind, api = "PartialObjectMetadataList", "meta.k8s.io/v1"
        parts = [encode(columns.partial(s.obj)) for s in items]
    else:
        kind, api = f"{res.kind}List", res.api_version
        parts = [encode(view(res, s)) if res is EVENTS_K8S_IO else s.item() for s in items]
    head = b'{"kind":%b,"apiVersion":%b,"metadata":%b,"items":[' % (encode(kind), encode(api), encode(meta))
    return b"".join((head, b",".join(parts), b"]}"))
