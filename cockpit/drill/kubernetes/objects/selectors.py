"""Parses label and field selectors as apimachinery does, with its error texts (recording 15)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cockpit.drill.kubernetes.objects.resources import Obj, Resource
from cockpit.drill.kubernetes.objects.statuses import bad_request

Predicate = Callable[[Obj], bool]

_TOKEN = re.compile(r"\s*(==|!=|=|!|<|>|\(|\)|,|[^\s=!<>(),]+)")
_KEY = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_SIGNS = {"=", "==", "!=", "!", "<", ">", "(", ")", ","}


@dataclass(frozen=True)
class Requirement:
    key: str
    operator: str  # "in" | "notin" | "exists" | "!" | "gt" | "lt"
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        present = self.key in labels
        if self.operator == "exists":
            return present
        if self.operator == "!":
            return not present
        if self.operator == "in":
            return present and labels[self.key] in self.values
        if self.operator == "notin":
            return not present or labels[self.key] not in self.values
        try:
            left, right = int(labels[self.key]), int(next(iter(self.values)))
        except (KeyError, ValueError):
            return False
        return left > right if self.operator == "gt" else left < right


class _Tokens:
    def __init__(self, text: str) -> None:
        self.items = _TOKEN.findall(text)
        self.at = 0

    def peek(self) -> str:
        return self.items[self.at] if self.at < len(self.items) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token


def parse_labels(text: str) -> tuple[Requirement, ...]:
    """Parse `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>3`.

    Raises ApiError 400.
    """
    tokens = _Tokens(text)
    found: list[Requirement] = []
    while tokens.peek():
        found.append(_requirement(tokens))
        follow = tokens.peek()
        if not follow:
            break
        if follow != ",":
            raise bad_request(f"found '{follow}', expected: ',' or 'end of string'")
        tokens.take()
        if not tokens.peek():
            raise bad_request("found '', expected: identifier after ','")
    return tuple(found)


def _requirement(tokens: _Tokens) -> Requirement:
    token = tokens.take()
    absent = token == "!"
    if absent:
        token = tokens.take()
    if token in _SIGNS or not token:
        raise bad_request(f"found '{token}', expected: !, identifier, or 'end of string'")
    if not _KEY.fullmatch(token):
        raise bad_request(
            f'unable to parse requirement: <nil>: Invalid value: "{token}": name part must be a label key'
        )
    if absent:
        return Requirement(token, "!")
    sign = tokens.peek()
    if sign in ("", ","):
        return Requirement(token, "exists")
    tokens.take()
    if sign in ("=", "==", "!="):
        value = tokens.take() if tokens.peek() not in ("", ",") else ""
        return Requirement(token, "notin" if sign == "!=" else "in", frozenset((_checked(value, token),)))
    if sign in ("<", ">"):
        return Requirement(token, "gt" if sign == ">" else "lt", frozenset((tokens.take(),)))
    if sign in ("in", "notin"):
        return Requirement(token, sign, _set(tokens, token))
    raise bad_request(f"unable to parse requirement: found '{sign}', expected: in, notin, =, ==, !=, gt, lt")


def _checked(value: str, key: str) -> str:
    if value in _SIGNS - {","} or not _VALUE.fullmatch(value):
        raise bad_request(f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": not a label value')
    return value


def _set(tokens: _Tokens, key: str) -> frozenset[str]:
    if tokens.take() != "(":
        raise bad_request("unable to parse requirement: found no '(' after in or notin")
    values: set[str] = set()
    while True:
        token = tokens.take()
        if token in ("", "("):
            raise bad_request(f"unable to parse requirement: found '{token}', expected: ',', or ')'")
        if token == ")":
            return frozenset(values)
        if token != ",":
            values.add(_checked(token, key))


def match_labels(requirements: tuple[Requirement, ...], labels: Mapping[str, str]) -> bool:
    return all(r.matches(labels) for r in requirements)


def from_selector(selector: Obj) -> tuple[Requirement, ...]:
    """Return the test of a metav1.LabelSelector (matchLabels and matchExpressions)."""
    found = [Requirement(k, "in", frozenset((v,))) for k, v in (selector.get("matchLabels") or {}).items()]
    names = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}
    for item in selector.get("matchExpressions") or ():
        found.append(Requirement(item["key"], names[item["operator"]], frozenset(item.get("values") or ())))
    return tuple(found)


def as_text(selector: Obj) -> str:
    """Print a LabelSelector as kubectl does (`app=x,env in (a,b)`)."""
    parts = [f"{k}={v}" for k, v in sorted((selector.get("matchLabels") or {}).items())]
    for item in selector.get("matchExpressions") or ():
        values = ",".join(sorted(item.get("values") or ()))
        word = {"In": f"{item['key']} in ({values})", "NotIn": f"{item['key']} notin ({values})"}
        bare = item["key"] if item["operator"] == "Exists" else f"!{item['key']}"
        parts.append(word.get(item["operator"], bare))
    return ",".join(parts) or "<none>"


_OF_EVENTS = tuple(
    f"{whom}.{part}"
    for whom in ("involvedObject", "regarding")
    for part in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
)
_FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "events": (*_OF_EVENTS, "reason", "reportingComponent", "source", "type"),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "secrets": ("type",),
    "replicasets.apps": ("status.replicas",),
}


def parse_fields(text: str, res: Resource) -> Predicate:
    """Parse `a=b,c!=d` over the few fields that the kind supports.

    Raises ApiError 400.
    """
    allowed = ("metadata.name", "metadata.namespace", *_FIELDS.get(res.storage, ()))
    tests: list[tuple[str, str, bool]] = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"\s*([^=!]+?)\s*(==|!=|=)\s*(.*?)\s*", part)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        if match[1] not in allowed:
            raise bad_request(f"field label not supported: {match[1]}")
        tests.append((match[1], match[3], match[2] != "!="))
    return lambda obj: all((_field(obj, path) == value) is wanted for path, value, wanted in tests)


def only_name(text: str) -> str:
    """Return NAME of a field selector `metadata.name=NAME`; "" otherwise.

    A list may be authorised by it.
    """
    found = re.findall(r"(?:^|,)metadata\.name==?([^,=!]+)", text)
    return found[0] if len(found) == 1 else ""


def _field(obj: Obj, path: str) -> str:
    if path == "source":  # of an event: its component
        return str((obj.get("source") or {}).get("component") or obj.get("reportingComponent") or "")
    value: object = obj
    for step in path.replace("regarding.", "involvedObject.").split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def predicate(res: Resource, labels: str, fields: str) -> Predicate | None:
    """Combine both selectors into one test over stored objects; None when everything matches.

    Raises ApiError 400.
    """
    wanted = parse_labels(labels) if labels else ()
    by_field = parse_fields(fields, res) if fields else None
    if not wanted:
        return by_field
    if by_field is None:
        return lambda obj: match_labels(wanted, obj["metadata"].get("labels") or {})
    return lambda obj: match_labels(wanted, obj["metadata"].get("labels") or {}) and by_field(obj)
