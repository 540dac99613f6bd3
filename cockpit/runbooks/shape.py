"""Checks keys and types of runbooks.toml, entry by entry: one error never hides another."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_args

import msgspec

from cockpit.errors import nearest
from cockpit.model.runbook import Condition, Query, Runbook, Service, SignalDef, Stage, Step, Toggle, Variable
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.runbooks.lines import Path

#: Called with the path of a wrong value and what was expected.
Report = Callable[[Path, str], None]

TABLES: Mapping[str, type[msgspec.Struct]] = {
    "queries": Query,
    "signals": SignalDef,
    "services": Service,
    "toggles": Toggle,
    "variables": Variable,
    "conditions": Condition,
}
ARRAYS: Mapping[str, type[msgspec.Struct]] = {"stages": Stage, "runbook": Runbook}
#: What a key may be beside its type, where a registry decides that.
_NAMES: Mapping[tuple[type[msgspec.Struct], str], list[str]] = {(Step, "kind"): list(STEP_KINDS)}

_WORDS = {
    "str": "a string",
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "null": "nothing",
    "array": "a list",
    "object": "a table",
    "datetime": "a date",
    "date": "a date",
    "time": "a time",
}


def walk(raw: Mapping[str, Any], report: Report) -> dict[Path, msgspec.Struct]:
    """Report every unknown or missing key and wrong type; return what could be read, by path.

    A list element that cannot be read is left out of its parent, its siblings and its parent's own
    keys are not.
    """
    found: dict[Path, msgspec.Struct] = {}
    known = [*TABLES, *ARRAYS]
    for key in raw:
        if key not in known:
            report((key,), f"unknown; expected one of {', '.join(known)}{nearest(key, known)}")
    for key, kind in TABLES.items():
        table = raw.get(key, {})
        if not isinstance(table, dict):
            report((key,), wrong_table(key, table))
            continue
        for name, entry in table.items():
            _entry(entry, kind, (key, name), found, report)
    for key, kind in ARRAYS.items():
        entries = raw.get(key, [])
        if not isinstance(entries, list):
            report((key,), wrong_table(key, entries))
            continue
        for index, entry in enumerate(entries):
            _entry(entry, kind, (key, index), found, report)
    return found


def wrong_table(key: str, got: Any) -> str:
    return f"expected tables {f'[{key}.NAME]' if key in TABLES else f'[[{key}]]'}, got {_kind(got)}"


def _entry(
    raw: Any, kind: type[msgspec.Struct], path: Path, found: dict[Path, msgspec.Struct], report: Report
) -> dict[str, Any] | None:
    """Return what of an entry can be read; None when that is not enough.

    Its elements' wrong parts are left out at every depth.
    """
    if not isinstance(raw, dict):
        report(path, f"expected a table, got {_kind(raw)}")
        return None
    good = True  # the known keys can be read, so that the rules are held against them too
    fields = _fields(kind)
    for key in raw.keys() - fields.keys():
        report((*path, key), f"unknown key{nearest(key, list(fields))}")
    kept = {key: value for key, value in raw.items() if key in fields}
    for key, field in fields.items():
        if key not in raw:
            if field.required:
                report((*path, key), "missing: expected a value")
                good = False
            continue
        element = _element(field.type)
        if element is not None and isinstance(raw[key], list):
            whole = [_entry(each, element, (*path, key, i), found, report) for i, each in enumerate(raw[key])]
            kept[key] = [each for each in whole if each is not None]
            continue
        try:
            msgspec.convert(raw[key], field.type)
        except msgspec.ValidationError as error:
            where, expected = _explain(str(error), field.type)
            report((*path, key, *where), expected)
            good = False
            continue
        names = _NAMES.get((kind, key))
        if names is not None and raw[key] not in names:
            report((*path, key), _one_of(names, raw[key]))
            good = False
    if not good:
        return None
    found[path] = msgspec.convert(kept, kind)
    return kept


@cache
def _fields(kind: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """Return the fields by name; looked up once, as msgspec evaluates each annotation anew."""
    return {field.encode_name: field for field in msgspec.structs.fields(kind)}


def _element(kind: Any) -> type[msgspec.Struct] | None:
    """Return the struct in `tuple[Struct, ...]`, else None."""
    first = next(iter(get_args(kind)), None)
    return first if isinstance(first, type) and issubclass(first, msgspec.Struct) else None


_AT = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_PART = re.compile(r"\.(\w+)|\[(\d+)\]|\[\.\.\.\]")


def _explain(message: str, kind: Any) -> tuple[Path, str]:
    """Turn msgspec's words into where below the key, and ours."""
    match = _AT.search(message)
    where: Path = ()
    if match is not None:
        message = message[: match.start()]
        where = tuple(name or int(index) for name, index in _PART.findall(match["path"]) if name or index)
    wanted = re.match(r"Expected `([^`]+)`, got `([^`]+)`", message)
    if wanted is not None:
        names = [_WORDS.get(name, name) for name in wanted[1].split(" | ") if name != "null"]
        return where, f"expected {' or '.join(names)}, got {_WORDS.get(wanted[2], wanted[2])}"
    value = re.match(r"Invalid enum value (.+)$", message, re.S)
    if value is not None:
        inner = next((each for each in get_args(kind) if get_args(each)), kind)  # of a key that may be left out
        choices = [str(choice) for choice in get_args(inner)]
        return where, _one_of(choices, value[1].strip("'"))
    return where, message[:1].lower() + message[1:]


def _one_of(choices: list[str], got: str) -> str:
    return f"expected one of {', '.join(choices)}, got {got!r}{nearest(got, choices)}"


def _kind(value: Any) -> str:
    if value is True or value is False:
        return "true or false"
    names = {dict: "a table", list: "a list", str: "a string", int: "a whole number", float: "a number"}
    return names.get(type(value), f"a {type(value).__name__}")
