"""Says whether a record has the shape that its kind has.

Records come from files: of other users in a shared directory, of other versions, of whoever could
write there. What does not fit is left out where records are read for what they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

NUMBER_LIMIT = 10**12
_TARGET = ("context", "namespace", "kind", "name", "uid")


def fits(record: Mapping[str, Any]) -> bool:
    """Tell whether a record's fields are of the types that its kind has; never raises."""
    kind = record.get("kind")
    if not isinstance(kind, str) or not _number(record.get("at")) or not _mapping(record.get("operator", {})):
        return False
    if not all(record.get(key) in (None, "") or _index(record[key]) for key in ("of", "undoes", "incident")):
        return False
    if record.get("clock_behind_s") is not None and not _number(record["clock_behind_s"]):
        return False
    check = _OF_KIND.get(kind)
    return check is None or check(record)


def _intent(record: Mapping[str, Any]) -> bool:
    target = record.get("target")
    changes = record.get("changes", [])
    return (
        _index(record.get("number"))
        and isinstance(record.get("title"), str)
        and isinstance(record.get("step_kind"), str)
        and isinstance(target, Mapping)
        and all(isinstance(target.get(key), str) for key in _TARGET)
        and isinstance(target.get("container"), str | None)
        and isinstance(changes, list)
        and all(isinstance(c, Mapping) and isinstance(c.get("field"), str) and _sides(c) for c in changes)
        and all(_mapping(record.get(key)) for key in ("inverse", "process", "part", "baseline", "before", "scope"))
    )


def _sides(change: Mapping[str, Any]) -> bool:
    return all(key in change and isinstance(change[key], str | None) for key in ("before", "after"))


def _text(key: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda record: isinstance(record.get(key), str) and _index(record.get("of"))


_OF_KIND: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "intent": _intent,
    "outcome": _text("result"),
    "rollout": _text("words"),
    "proof": _text("proof"),
    "judged": _text("judgement"),
    "evidence": lambda record: all(isinstance(record.get(key, []), list) for key in ("parts", "missing")),
    "update-sent": lambda record: type(record.get("tries", 0)) is int,
    "note": lambda record: isinstance(record.get("words", ""), str),
}


def _number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e12  # not NaN either: that is below nothing


def _index(value: Any) -> bool:
    return type(value) is int and 0 < value < NUMBER_LIMIT


def _mapping(value: Any) -> bool:
    return value is None or isinstance(value, Mapping)
