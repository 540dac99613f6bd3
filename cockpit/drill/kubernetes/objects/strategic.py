"""Applies strategic merge patches: lists of maps merge by key, with kubectl's directives.

Follows k8s.io/apimachinery/pkg/util/strategicpatch: `$patch` (delete, replace, merge),
`$setElementOrder/LIST`, `$deleteFromPrimitiveList/LIST`, `$retainKeys`. The merge keys are those of
the Go types' `patchMergeKey` tags for the kinds that the drill serves; a list without one is
atomic.
"""

from __future__ import annotations

from typing import Any

from cockpit.drill.kubernetes.objects.resources import Obj
from cockpit.drill.kubernetes.objects.statuses import bad_request

#: list field → merge key. `ports` is a container's; a Service's ports merge by `port`, chosen by
#: what the items hold.
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "imagePullSecrets": "name",
    "secrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "ownerReferences": "uid",
    "conditions": "type",
    "podIPs": "ip",
    "hostIPs": "ip",
}
#: lists of plain values that merge as sets.
MERGED_PRIMITIVES = {"finalizers"}

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_ORDER = "$setElementOrder/"
_DELETE = "$deleteFromPrimitiveList/"


def apply(original: Obj, patch: Obj) -> Obj:
    """Return the merged object; `original` may be consumed, `patch` is left as it is.

    Raises ApiError 400 for bad directives.
    """
    return _map(original, patch)


def _map(original: Obj, patch: Obj) -> Obj:
    directive = patch.get(_PATCH)
    if directive == "replace":
        replaced: Obj = _plain({k: v for k, v in patch.items() if k != _PATCH})
        return replaced
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise bad_request(f"unknown patch type found: {directive}")
    result = dict(original)
    if _RETAIN in patch:
        kept = set(patch[_RETAIN])
        extra = [k for k in patch if not k.startswith("$") and patch[k] is not None and k not in kept]
        if extra:
            raise bad_request(f"{_RETAIN} directive is not allowed without the fields it names: {extra[0]}")
        result = {k: v for k, v in result.items() if k in kept}
    orders = {k[len(_ORDER) :]: v for k, v in patch.items() if k.startswith(_ORDER)}
    for key, value in patch.items():
        if key.startswith(_DELETE):
            field = key[len(_DELETE) :]
            result[field] = [item for item in result.get(field) or [] if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = _map(below, value) if isinstance(below, dict) else _plain(value)
            if value.get(_PATCH) == "delete":
                del result[key]
        elif isinstance(value, list):
            result[key] = _list(key, result.get(key), value, orders.get(key))
        else:
            result[key] = value
    for field, order in orders.items():
        if patch.get(field) is None and isinstance(result.get(field), list):
            result[field] = _ordered(result[field], order, result[field], _merge_key(field, result[field]))
    return result


def _merge_key(field: str, items: list[Any]) -> str | None:
    key = MERGE_KEYS.get(field)
    if field == "ports" and any(isinstance(i, dict) and "port" in i for i in items):
        return "port"
    return key


def _list(field: str, original: Any, patch: list[Any], order: list[Any] | None) -> list[Any]:
    old = original if isinstance(original, list) else []
    if field in MERGED_PRIMITIVES:
        merged = [*old, *(item for item in patch if item not in old)]
        return _ordered(merged, order if order is not None else patch, old, None)
    key = _merge_key(field, [*old, *patch])
    if key is None or not all(isinstance(item, dict) for item in [*old, *patch]):
        return [_plain(item) for item in patch if not _is_replace(item)]
    if any(_is_replace(item) for item in patch):
        return [_plain(item) for item in patch if not _is_replace(item)]
    items = [item for item in patch if item.get(_PATCH) != "delete"]
    if order is not None:
        _check_order(field, items, order, key)
    for item in patch:
        if key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
    deleted = [item[key] for item in patch if item.get(_PATCH) == "delete"]
    merged = [item for item in old if item.get(key) not in deleted]
    for item in items:
        at = next((i for i, have in enumerate(merged) if have.get(key) == item[key]), None)
        if at is None:
            merged.append(_plain(item))
        else:
            merged[at] = _map(merged[at], item)
    return _ordered(merged, order if order is not None else items, old, key)


def _is_replace(item: Any) -> bool:
    return isinstance(item, dict) and item.get(_PATCH) == "replace" and len(item) == 1


def _check_order(field: str, items: list[Any], order: list[Any], key: str) -> None:
    names = [_name(entry, key) for entry in order]
    at = -1
    for item in items:
        name = _name(item, key)
        if name not in names:
            raise bad_request(f"The order in patch list:\n{items}\n doesn't match {_ORDER}{field} list:\n{order}\n")
        if names.index(name) < at:
            raise bad_request(f"The order in patch list:\n{items}\n doesn't match {_ORDER}{field} list:\n{order}\n")
        at = names.index(name)


def _name(entry: Any, key: str | None) -> Any:
    return entry.get(key) if key is not None and isinstance(entry, dict) else entry


def _ordered(merged: list[Any], order: list[Any], server: list[Any], key: str | None) -> list[Any]:
    """Order items as `normalizeElementOrder` does.

    Those of `order` come in that order, the others in the server's, woven by the server's order.
    """
    wanted = [_name(entry, key) for entry in order]
    known = [_name(entry, key) for entry in server]
    left = sorted((i for i in merged if _name(i, key) in wanted), key=lambda i: wanted.index(_name(i, key)))
    right = [i for i in merged if _name(i, key) not in wanted]
    right.sort(key=lambda i: known.index(_name(i, key)) if _name(i, key) in known else len(known))
    woven: list[Any] = []
    while left and right:
        a, b = _name(left[0], key), _name(right[0], key)
        after = a in known and b in known and known.index(a) > known.index(b)
        woven.append(right.pop(0) if after else left.pop(0))
    return [*woven, *left, *right]


def _plain(value: Any) -> Any:
    """Return a patch's value as data: directives and nulls taken out."""
    if isinstance(value, dict):
        if value.get(_PATCH) == "delete":
            return {}
        return {k: _plain(v) for k, v in value.items() if not k.startswith("$") and v is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value if not (isinstance(item, dict) and _PATCH in item and len(item) <= 2)]
    return value
