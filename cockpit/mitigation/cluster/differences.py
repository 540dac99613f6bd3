"""Compares two readings of an object, path by path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_UNTOLD = (("metadata", "resourceVersion"), ("metadata", "generation"), ("metadata", "managedFields"), ("status",))


_MOST = 40


def differences(before: Any, after: Any) -> list[str]:
    """Return the paths that differ, versions and status left out.

    Like `spec.template.spec.containers[m0-quant].env[X].value`.
    """
    return [".".join(path) for path, _, _ in differing(before, after)]


def differing(before: Any, after: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield (path, value before, value after) of each difference."""
    if path in _UNTOLD or before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            yield from differing(before.get(key), after.get(key), (*path, key))
    elif _named(before) and _named(after):
        old, new = ({item["name"]: item for item in side} for side in (before or [], after or []))
        for name in [*old, *(n for n in new if n not in old)]:
            yield from differing(old.get(name), new.get(name), (*path[:-1], f"{path[-1]}[{name}]"))
        common = [n for n in old if n in new]
        if common != [n for n in new if n in old]:
            yield (*path[:-1], f"{path[-1]} (order)"), [*old], [*new]
    else:
        yield path, before, after


def _named(value: Any) -> bool:
    """Tell whether it is a list of objects with distinct names; an absent list counts."""
    if value is None:
        return True
    if not isinstance(value, list) or not all(isinstance(i, Mapping) and "name" in i for i in value):
        return False
    return len({i["name"] for i in value}) == len(value)


#: What a server makes anew each time, so that a dry run cannot have shown it.
_ITS_OWN = ("controller-uid", "metadata.uid", "metadata.creationTimestamp")


def outcome_of(before: Any, after: Any) -> dict[str, Any]:
    """Return path → value of all that an answer makes other than it was; None for what is gone."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    changed = {path for path in {*old, *new} if old.get(path) != new.get(path)}
    return {path: new.get(path) for path in changed if not any(own in path for own in _ITS_OWN)}


def beyond(foreseen: Mapping[str, Any], made: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths that came out otherwise than the dry run had shown."""
    return tuple(sorted(p for p in {*foreseen, *made} if p not in foreseen or foreseen[p] != made.get(p)))[:_MOST]


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if path in _UNTOLD:
        return
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    elif isinstance(value, list) and value and _named(value):
        yield ".".join((*path, "(order)")), [item["name"] for item in value]
        for item in value:
            yield from _leaves(item, (*path[:-1], f"{path[-1]}[{item['name']}]"))
    elif value not in (None, {}, []):
        yield ".".join(path), value
