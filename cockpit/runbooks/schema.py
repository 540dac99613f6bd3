"""Loads and checks runbooks.toml.

A broken file of the operator's never stops the monitor: the packaged one is used, and said.
"""

from __future__ import annotations

import re
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath
from typing import Any

import msgspec

from cockpit.host.files import read_text
from cockpit.model.runbook import Condition, Query, Runbook, Runbooks, Service, SignalDef, Stage, Toggle, Variable
from cockpit.runbooks.describe import describe as describe
from cockpit.runbooks.lines import Lines, Path
from cockpit.runbooks.meant import one_moment, twice_or_misspelt
from cockpit.runbooks.parts import PARTS, STEPS, Said, changed, expanded
from cockpit.runbooks.references import Names
from cockpit.runbooks.rules import check_rules
from cockpit.runbooks.shape import ARRAYS, TABLES, Report, walk, wrong_table
from cockpit.text import clean, safe

__all__ = ["Problem", "check", "describe", "load", "packaged_text"]


@dataclass(frozen=True, slots=True)
class Problem:
    """Describes one error of a file.

    `str()` is the line an operator reads: file:line: key: what was expected.
    """

    file: str
    line: int
    key: str
    expected: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: "
        return f"{where}{self.key}: {self.expected}" if self.key else f"{where}{self.expected}"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    queries: dict[str, Query] = {}
    signals: dict[str, SignalDef] = {}
    stages: tuple[Stage, ...] = ()
    services: dict[str, Service] = {}
    toggles: dict[str, Toggle] = {}
    variables: dict[str, Variable] = {}
    conditions: dict[str, Condition] = {}
    runbook: tuple[Runbook, ...] = ()


#: msgspec works a type out at its first use, and crashes the process when two threads do at once: a
#: drill and the cockpit beside it both read the runbooks at their start.
_ONE_AT_A_TIME = threading.Lock()


@cache
def packaged_text() -> str:
    """Return runbooks.toml as shipped: in the package of a wheel, at the top of a checkout."""
    here = FilePath(__file__).resolve().parent.parent
    for path in (here / "runbooks.toml", here.parent / "runbooks.toml"):
        if path.is_file():
            return path.read_text("utf-8")
    raise FileNotFoundError("runbooks.toml is missing from the installation: install m0-cockpit again")


def _packaged_raw() -> tuple[dict[str, Any], Mapping[str, Any]]:
    """Return the packaged file with its parts put in, and the parts."""
    raw = tomllib.loads(packaged_text())
    return expanded(raw, {}, Said(), lambda path, expected: None), raw.get(PARTS, {})


@cache
def _packaged() -> Runbooks:
    """Read once, without the checks: tests make sure of it, and the start must not pay for them."""
    return _runbooks(_packaged_raw()[0], "packaged")


def load(path: FilePath | str | None = None) -> Runbooks:
    """Return the packaged runbooks, extended and overridden by the operator's file.

    Never raises for that file's sake.
    """
    if path is None:
        return _packaged()
    origin = str(path)
    try:
        text = read_text(FilePath(path).expanduser(), "utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return _instead((f"{safe(origin)}: cannot be read: {safe(reason, 200)}",), safe(origin))
    runbooks, problems = check(text, origin)
    if runbooks is None or problems:
        return _instead(tuple(str(problem) for problem in problems), safe(origin))
    return runbooks


def _instead(problems: tuple[str, ...], origin: str) -> Runbooks:
    count = f"{len(problems)} error{'s' if len(problems) > 1 else ''}"
    said = f"the packaged runbooks are in force: {count} in {origin} (all of them: m0-cockpit runbooks check {origin})"
    return msgspec.structs.replace(_packaged(), problems=(said, *problems))


def check(text: str, origin: str) -> tuple[Runbooks | None, list[Problem]]:
    """Return everything that is wrong with `text`, in the order of its lines.

    The runbooks (merged) come with it only when nothing is.
    """
    file = safe(origin)
    try:
        own = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return None, [_syntax(file, text, str(error))]
    except (RecursionError, ValueError) as error:  # thousands of brackets, or a number beyond Python's limit
        return None, [Problem(file, 1, "", f"expected TOML that can be read: {safe(error, 200)}")]
    lines, raw, said, changes = Lines(text), own, Said(), Said()
    origins: dict[int, int | None] = {}
    problems: dict[tuple[str, str], Problem] = {}

    def report(path: Path, expected: str) -> None:
        key = clean(_key(path, raw), 200)
        moved = changes.where(path)
        line = lines.of(said.where(_to_own(path, origins) if moved == path else moved))
        problems.setdefault((key, expected), Problem(file, line, key, safe(expected, 600)))

    if text == packaged_text():
        raw = own = expanded(own, {}, said, report)
    else:
        base, parts = _packaged_raw()
        raw = own = expanded(own, parts, said, report)
        raw, origins = _merge(base, own, changes, report)
    found = walk(raw, report)
    check_rules(found, Names(raw), report, raw)
    _promql(raw, own, report)
    if problems:
        return None, sorted(problems.values(), key=lambda p: p.line)
    return _runbooks(raw, origin), []


def _runbooks(raw: Mapping[str, Any], origin: str) -> Runbooks:
    with _ONE_AT_A_TIME:
        file = msgspec.convert(raw, _File)
    runbooks = tuple(sorted(file.runbook, key=lambda runbook: runbook.number))
    return Runbooks(
        queries=file.queries,
        signals=file.signals,
        stages=file.stages,
        services=file.services,
        toggles=file.toggles,
        variables=file.variables,
        conditions=file.conditions,
        runbooks=runbooks,
        origin=origin,
    )


_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def _syntax(file: str, text: str, message: str) -> Problem:
    match = _AT.search(message)
    line, column = text.count("\n") + 1, ""
    if match is not None:
        message = message[: match.start()]
        if match[1]:
            line, column = int(match[1]), f", column {match[2]}"
    return Problem(file, line, "", f"not TOML: {safe(message, 300)}{column}")


def _merge(
    base: dict[str, Any], own: dict[str, Any], said: Said, report: Report
) -> tuple[dict[str, Any], dict[int, int | None]]:
    """Lay the operator's tables over the packaged ones.

    Comes with the index in the operator's file of each merged runbook.
    Tables merge by name, key by key; a signal that brings its own source drops the packaged one.
    Runbooks merge by id.
    """
    merged = dict(base)
    origins: dict[int, int | None] = {}
    for key, value in own.items():
        before = base.get(key)
        if key in (TABLES.keys() | ARRAYS.keys()) and not isinstance(value, dict if key in TABLES else list):
            report((key,), wrong_table(key, value))  # ours stays: what it names is not unknown for that
        elif key in TABLES and isinstance(before, dict):
            merged[key] = {**before, **{name: _over(before.get(name), entry) for name, entry in value.items()}}
        elif key == "runbook" and isinstance(before, list):
            merged[key], origins = _merge_runbooks(before, value, said, report)
        else:
            merged[key] = value
    return merged, origins or dict.fromkeys(range(len(base.get("runbook", []))))


def _over(before: Any, entry: Any) -> Any:
    if not isinstance(before, dict) or not isinstance(entry, dict):
        return entry
    kept = dict(before)
    for sources, theirs in _SOURCES:
        if not sources.isdisjoint(entry):
            kept = {key: value for key, value in kept.items() if key not in sources | theirs}
    if "value" in entry:
        kept.pop("baseline", None)
        kept.pop("usual", None)
    return {**kept, **entry}


#: Keys that say where a signal or a condition comes from, and those that go with them: one that
#: brings its own drops the packaged ones.
_SOURCES = (
    (frozenset({"value", "promql"}), frozenset[str]()),
    (frozenset({"baseline", "usual"}), frozenset[str]()),
    (frozenset(key.replace("_", "-") for key in Condition.SOURCES), frozenset({"at-least", "at-most", "is"})),
)


def _merge_runbooks(
    before: list[Any], own: list[Any], said: Said, report: Report
) -> tuple[list[Any], dict[int, int | None]]:
    places = {runbook["id"]: index for index, runbook in enumerate(before)}
    merged: list[Any] = list(before)
    origins: dict[int, int | None] = dict.fromkeys(range(len(before)))
    for index, runbook in enumerate(own):
        name = runbook.get("id") if isinstance(runbook, dict) else None
        place = places.pop(name, None) if isinstance(name, str) else None
        if place is None:  # new, or a second one of that id
            if isinstance(runbook, dict):
                twice_or_misspelt(name, runbook, [row["id"] for row in before], ("runbook", index), report)
            origins[len(merged)] = index
            merged.append(runbook)
        else:
            origins[place] = index
            if STEPS in runbook and "mitigations" in runbook:
                report(
                    ("runbook", index, STEPS), "expected either `steps` or `mitigations`: that list has all its steps"
                )
            elif STEPS in runbook:
                at = ("runbook", place), ("runbook", index)
                runbook = {"mitigations": changed(before[place], runbook, at, said, report), **runbook}
            merged[place] = {**before[place], **{key: value for key, value in runbook.items() if key != STEPS}}
    return merged, origins


def _to_own(path: Path, origins: Mapping[int, int | None]) -> Path:
    """Return the path in the operator's own file; `runbook` alone for a packaged one."""
    if len(path) > 1 and path[0] == "runbook" and isinstance(path[1], int) and path[1] in origins:
        index = origins[path[1]]
        return ("runbook",) if index is None else ("runbook", index, *path[2:])
    return path


def _key(path: Path, raw: Mapping[str, Any]) -> str:
    """Spell a path: `signals.x.warn`, `runbook[publishing-stops].symptoms[0].signal`."""
    words: list[str] = []
    value: Any = raw
    for part in path:
        value = _inside(value, part)
        if isinstance(part, int):
            name = value.get("id", value.get("name")) if isinstance(value, dict) and words[:-1] == [] else None
            words[-1] += f"[{name if isinstance(name, str) else part}]"
        else:
            words.append(part)
    return ".".join(words)


def _inside(value: Any, part: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(str(part))
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


def _promql(raw: Mapping[str, Any], own: Mapping[str, Any], report: Any) -> None:
    """Report syntax errors in every query that the text itself brings."""
    queries: list[tuple[Path, str]] = []
    for table in ("queries", "signals"):
        entries = own.get(table)
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and isinstance(entry.get("promql"), str):
                queries.append(((table, name, "promql"), entry["promql"]))
    if not queries:
        return
    import promql_parser

    for path, query in queries:
        try:
            parsed = promql_parser.parse(query)
        except BaseException as error:  # a Rust panic is no Exception
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            report(path, f"expected PromQL: {error}")
            continue
        if not one_moment(parsed):
            report(path, "expected PromQL of a value at one time: this is a range, or a word")


assert set(TABLES) | set(ARRAYS) == set(_File.__struct_fields__)
