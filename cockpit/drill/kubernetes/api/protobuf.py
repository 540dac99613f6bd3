"""Decodes the protobuf that kubectl insists on: self reviews, and what `kubectl create` makes.

A body is the magic `k8s\\0` and a runtime.Unknown: TypeMeta (1) and the raw message (2). The field
numbers are those of the `generated.proto` files of k8s.io/api; fields that are not listed here are
ignored. Answers are JSON: kubectl reads both.
"""

from __future__ import annotations

from typing import Any

from cockpit.drill.kubernetes.objects.resources import Obj
from cockpit.drill.kubernetes.objects.statuses import bad_request

CONTENT_TYPE = "application/vnd.kubernetes.protobuf"
MAGIC = b"k8s\x00"

#: number → (name, kind); kind: "str", "int", "bool", "map" (string to string), a message, or [kind]
#: when repeated.
Fields = dict[int, tuple[str, Any]]


def _strings(*names: str) -> Fields:
    return {i: (name, "str") for i, name in enumerate(names, 1)}


_OWNER: Fields = {
    1: ("kind", "str"),
    3: ("name", "str"),
    4: ("uid", "str"),
    5: ("apiVersion", "str"),
    6: ("controller", "bool"),
}
_META: Fields = {
    **_strings("name", "generateName", "namespace"),
    11: ("labels", "map"),
    12: ("annotations", "map"),
    13: ("ownerReferences", [_OWNER]),
}
_RESOURCE = _strings("namespace", "verb", "group", "version", "resource", "subresource", "name")
_CONTAINER: Fields = {
    **_strings("name", "image"),
    3: ("command", ["str"]),
    4: ("args", ["str"]),
    5: ("workingDir", "str"),
    6: ("ports", [{1: ("name", "str"), 3: ("containerPort", "int"), 4: ("protocol", "str")}]),
    7: ("env", [_strings("name", "value")]),
    14: ("imagePullPolicy", "str"),
}
_POD_SPEC: Fields = {2: ("containers", [_CONTAINER]), 3: ("restartPolicy", "str")}
_TEMPLATE: Fields = {1: ("metadata", _META), 2: ("spec", _POD_SPEC)}
_DEPLOYMENT: Fields = {
    1: ("replicas", "int"),
    2: ("selector", {1: ("matchLabels", "map")}),
    3: ("template", _TEMPLATE),
}
_JOB: Fields = {
    1: ("parallelism", "int"),
    2: ("completions", "int"),
    3: ("activeDeadlineSeconds", "int"),
    6: ("template", _TEMPLATE),
    7: ("backoffLimit", "int"),
    8: ("ttlSecondsAfterFinished", "int"),
}
_ATTRIBUTES: Fields = {
    1: ("resourceAttributes", _RESOURCE),
    2: ("nonResourceAttributes", _strings("path", "verb")),
}
_MESSAGES: dict[str, Fields] = {
    "SelfSubjectAccessReview": {1: ("metadata", _META), 2: ("spec", _ATTRIBUTES)},
    "SelfSubjectRulesReview": {1: ("metadata", _META), 2: ("spec", _strings("namespace"))},
    "SelfSubjectReview": {1: ("metadata", _META)},
    "ConfigMap": {1: ("metadata", _META), 2: ("data", "map")},
    "Namespace": {1: ("metadata", _META)},
    "Pod": {1: ("metadata", _META), 2: ("spec", _POD_SPEC)},
    "Job": {1: ("metadata", _META), 2: ("spec", _JOB)},
    "Deployment": {1: ("metadata", _META), 2: ("spec", _DEPLOYMENT)},
}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data: bytes) -> list[tuple[int, bytes | int]]:
    """Return (number, bytes or integer) of every field; fixed-width ones are skipped.

    Raises IndexError when cut short.
    """
    found: list[tuple[int, bytes | int]] = []
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 0:
            value, at = _varint(data, at)
            found.append((tag >> 3, value))
        elif wire == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise IndexError("cut short")
            found.append((tag >> 3, data[at : at + size]))
            at += size
        else:
            at += {1: 8, 5: 4}[wire]
    return found


def _value(raw: bytes | int, kind: Any) -> Any:
    if isinstance(raw, int):
        return bool(raw) if kind == "bool" else raw
    return raw.decode() if kind == "str" else _message(raw, kind)


def _message(data: bytes, fields: Fields) -> Obj:
    result: Obj = {}
    for number, raw in _fields(data):
        if number not in fields:
            continue
        name, kind = fields[number]
        if kind == "map" and isinstance(raw, bytes):
            entry = _message(raw, _strings("key", "value"))
            result.setdefault(name, {})[entry.get("key", "")] = entry.get("value", "")
        elif isinstance(kind, list):
            result.setdefault(name, []).append(_value(raw, kind[0]))
        elif raw != b"":
            result[name] = _value(raw, kind)
    return result


def decode(body: bytes) -> Obj:
    """Return the object with kind and apiVersion.

    Raises ApiError 400 for kinds that are not listed above.
    """
    try:
        if not body.startswith(MAGIC):
            raise ValueError("no magic")
        outer = dict(_fields(body[4:]))
        meta = _message(bytes(outer[1]), {1: ("apiVersion", "str"), 2: ("kind", "str")})
        return {**meta, **_message(bytes(outer.get(2, b"")), _MESSAGES[meta["kind"]])}
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise bad_request(f"the body of the request could not be decoded as protobuf: {error!r}") from None
