"""Checks what a file says that nothing could ever do: values of no variable, levels of no signal.

Each key may be right by itself; it is held here against the rows that it is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from cockpit.errors import nearest
from cockpit.model.runbook import Cause, Condition, Param, Runbook, Service, SignalDef, Step, Symptom, Variable
from cockpit.model.sections.order import number
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.model.step_previews import values_set
from cockpit.patterns import PatternRefused, compiled
from cockpit.runbooks.lines import Path
from cockpit.runbooks.references import BRACES
from cockpit.runbooks.shape import Report

#: Keys of a step that only some kinds look at.
_OF_A_KIND = ("service", "container", "replicas", "env", "image", "argv", "view", "question", "steps")
_RUNBOOK_ID = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")
_STEP_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SERVICE = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def check_meant(found: Mapping[Path, msgspec.Struct], report: Report) -> None:
    """Report of `found` (entries by path) what could never be, or never do, what it says."""
    rows = _Rows(found)
    causes: dict[Path, list[str]] = {}
    for path, entry in found.items():
        match entry:
            case Runbook():
                _named(entry.id, _RUNBOOK_ID, "letters, digits, - and _, a letter first", (*path, "id"), report)
                _worded(entry.title, (*path, "title"), report)
            case Step():
                _step(entry, path, rows, report)
            case Cause() if entry.id is not None:
                before = causes.setdefault(path[:2], [])
                if entry.id in before:
                    report((*path, "id"), f"expected each cause once in a runbook, {entry.id!r} is there twice")
                before.append(entry.id)
            case Symptom():
                _level(entry.at, entry.witnesses, (*path, "at"), rows, report)
            case Condition():
                _condition(entry, path, rows, report)
            case Service():
                if not _SERVICE.fullmatch(str(path[-1])):
                    report(path, "expected the name of a deployment: lower-case letters, digits and -")
            case Variable():
                _variable(entry, path, report)
            case _:
                pass


@dataclass(frozen=True, slots=True)
class _Rows:
    """Finds rows of other tables by their names."""

    found: Mapping[Path, msgspec.Struct]

    def signal(self, name: str) -> SignalDef | None:
        row = self.found.get(("signals", name))
        return row if isinstance(row, SignalDef) else None

    def variable(self, name: str) -> Variable | None:
        own = self.found.get(("toggles", name)) or self.found.get(("variables", name))
        if isinstance(own, Variable):
            return own
        for path, row in self.found.items():
            if isinstance(row, Variable) and str(path[1])[-1:] == "*" and name.startswith(str(path[1])[:-1]):
                return row
        return None


def _named(name: str, form: re.Pattern[str], words: str, path: Path, report: Report) -> None:
    if not form.fullmatch(name):
        report(path, f"expected {words}, got {name!r}")


def _worded(text: str, path: Path, report: Report) -> None:
    if not text.strip():
        report(path, "expected words")


def _level(at: str, names: tuple[str, ...], path: Path, rows: _Rows, report: Report) -> None:
    """Report a level that none of these signals can have."""
    known = [(name, row) for name in names if (row := rows.signal(name)) is not None]
    if at == "crit" and known and all(row.crit is None for _, row in known):
        report(path, f"expected warn or ok: {known[0][0]} has no `crit`")


def _condition(condition: Condition, path: Path, rows: _Rows, report: Report) -> None:
    of_signals = condition.signals or condition.one_of
    if condition.at != "ok" and not of_signals:
        report((*path, "at"), "expected only with `signals` or `one-of`")
    _level(condition.at, of_signals, (*path, "at"), rows, report)
    toggle = rows.variable(condition.toggle) if condition.toggle is not None else None
    for index, value in enumerate(condition.values if toggle is not None else ()):
        if toggle is not None and toggle.wrong(value):
            report((*path, "is", index), toggle.wrong(value))


def _variable(row: Variable, path: Path, report: Report) -> None:
    if row.values and row.type is not None:
        report((*path, "type"), "expected either `type` or `values`")
    for index, value in enumerate(row.values):
        if value in row.values[:index]:
            report((*path, "values", index), f"expected each value once, {value!r} is there twice")


def _step(step: Step, path: Path, rows: _Rows, report: Report) -> None:
    _named(step.id, _STEP_ID, "letters, digits, - and _, a letter first", (*path, "id"), report)
    _worded(step.title, (*path, "title"), report)
    spec = STEP_KINDS[step.kind]
    known = {key.partition(".")[0] for key in spec.alternatives}
    known |= {"container"} if {"env", "image"} & known else set()
    for key in _OF_A_KIND:
        if key not in known and getattr(step, key) not in (None, "", (), {}):
            report((*path, key), f"unknown for kind {step.kind}{nearest(key, sorted(known))}")
    if "argv" in known and step.argv and not step.argv[0].strip():
        report((*path, "argv", 0), "expected the name of a program")
    _replicas(step, path, rows, report)
    for index, param in enumerate(step.params):
        _parameter(param, (*path, "params", index), report)
    if spec.sets_value:
        _values(step, path, rows, report)
    _reads(step, path, rows, report)


def _replicas(step: Step, path: Path, rows: _Rows, report: Report) -> None:
    if isinstance(step.replicas, int):
        service = rows.found.get(("services", step.service or ""))
        if isinstance(service, Service) and service.singleton and step.replicas > 1:
            report((*path, "replicas"), f"expected at most 1: {step.service} is a singleton")
    elif step.replicas is not None:
        for index, param in enumerate(step.params):
            if step.replicas == "{" + param.name + "}" and param.type != "int":
                report((*path, "params", index, "type"), 'expected "int", as it is a number of replicas')


def _parameter(param: Param, path: Path, report: Report) -> None:
    """Report a default or a choice that the form would refuse."""
    if isinstance(param.default, str) and param.pattern is not None:
        try:
            fits = compiled(param.pattern).is_whole(param.default)
        except PatternRefused:
            fits = True  # said of the pattern
        if not fits:
            report((*path, "default"), f"expected something like {param.pattern}, got {param.default!r}")
    for index, choice in enumerate(param.choices if param.type == "int" else ()):
        at = (*path, "choices", index)
        if not re.fullmatch(r"-?[0-9]{1,9}", choice):
            report(at, f"expected a whole number, got {choice!r}")
        elif param.minimum is not None and int(choice) < param.minimum:
            report(at, f"expected at least {param.minimum}")
        elif param.maximum is not None and int(choice) > param.maximum:
            report(at, f"expected at most {param.maximum}")


def _values(step: Step, path: Path, rows: _Rows, report: Report) -> None:
    """Report what a variable or a key can never be set to, and a way that it cannot go."""
    for name, text in values_set(step).items():
        row = rows.variable(name)
        if name == "replicas" and step.replicas is not None:
            continue
        at = (*path, "args", "value") if "configmap" in step.args else (*path, "env", name)
        for where, value in _texts(step, text, at, path):
            if row is not None and row.wrong(value):
                report(where, row.wrong(value))
            elif step.direction in ("raises", "lowers") and number(value, row.values if row else ()) is None:
                report(where, f"expected a number, or a level of [variables.{name}], as the step {step.direction} it")
        if step.direction == "adds" and row is not None and row.said and row.type != "names":
            said = f'its type is "{row.type}"' if row.type else "it has `values`"
            report((*path, "direction"), f"expected another: {name} is no list: {said}")


def _texts(step: Step, text: str, at: Path, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield each value that the file itself gives, and where it says so."""
    if "{" not in text:
        yield at, text
    param = BRACES.fullmatch(text)
    for index, one in enumerate(step.params if param is not None else ()):
        if param is not None and one.name == param[1]:
            if one.default is not None:
                yield (*path, "params", index, "default"), str(one.default)
            for place, choice in enumerate(one.choices):
                yield (*path, "params", index, "choices", place), choice


def _reads(step: Step, path: Path, rows: _Rows, report: Report) -> None:
    """Report a program that is run to look, though it is one that changes something.

    It is run whenever the step is planned, unasked.
    """
    name = step.args.get("reads")
    if name is None or not STEP_KINDS[step.kind].runs_programs:
        return
    for place, other in rows.found.items():
        if isinstance(other, Step) and place[:2] == path[:2] and other.id == name:
            changes = other.dangerous or other.relaxes or other.holds or not other.args.keys().isdisjoint(_OF_CHANGES)
            if place == path or changes:
                report((*path, "args", "reads"), f"expected a command that only reads, {name!r} changes something")


_OF_CHANGES = ("reads", "expect", "undo", "becomes", "enables")


def one_moment(query: object) -> bool:
    """Tell whether parsed PromQL gives numbers at one time, which a range and a word do not."""
    kind = type(query).__name__
    if kind == "ParenExpr":
        return one_moment(getattr(query, "expr", None))
    return kind not in ("MatrixSelector", "SubqueryExpr", "StringLiteral")


def twice_or_misspelt(
    name: object, runbook: Mapping[str, object], packaged: list[str], at: Path, report: Report
) -> None:
    """Report a runbook that is no packaged one, though it can be meant for nothing else."""
    if not isinstance(name, str):
        return
    if name in packaged:
        report((*at, "id"), f"expected each id once, {name!r} is there twice")
    elif "number" not in runbook and (near := nearest(name, packaged)):
        report((*at, "id"), f"expected the id of a packaged runbook, or `number` and `title` of a new one{near}")
