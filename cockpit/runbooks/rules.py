"""Checks runbooks.toml beyond its shape: thresholds, names, items that are there once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cockpit.errors import nearest
from cockpit.model.runbook import (
    Cause,
    ChecklistLine,
    Condition,
    Runbook,
    SignalDef,
    Stage,
    Step,
    Symptom,
    Toggle,
    Triage,
    Validation,
    Variable,
)
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.runbooks.bounds import check_bounds
from cockpit.runbooks.conditions import check_condition, check_unset
from cockpit.runbooks.lines import Path
from cockpit.runbooks.meant import check_meant
from cockpit.runbooks.references import Names, check_names, check_value_name, check_view
from cockpit.runbooks.shape import Report
from cockpit.runbooks.step_rules import check_step


def check_rules(found: Mapping[Path, msgspec.Struct], names: Names, report: Report, raw: Mapping[str, Any]) -> None:
    """Report what `found` (entries by path) says that cannot be meant."""
    for path, entry in found.items():
        match entry:
            case SignalDef():
                _signal(entry, path, names, report)
            case Stage():
                check_names((entry.headline,), (*path, "headline"), names.signals, "signal", report, single=True)
                check_names(entry.signals, (*path, "signals"), names.signals, "signal", report)
            case Toggle():
                check_names(entry.deployments, (*path, "deployments"), names.services, "service", report)
                if entry.safest and entry.wrong(entry.safest):
                    report((*path, "safest"), entry.wrong(entry.safest))
                _variable(entry, path, report)
            case Variable():
                _variable(entry, path, report)
                if not entry.said:
                    report((*path, "type"), "missing: expected `type` or `values`")
            case Condition():
                check_condition(entry, path, names, report)
            case Step():
                check_step(entry, path, names, report)
            case Symptom():
                check_names((entry.signal,), (*path, "signal"), names.signals, "signal", report, single=True)
                check_names(entry.one_of, (*path, "one-of"), names.signals, "signal", report)
                for index, name in enumerate(entry.one_of):
                    if name in (entry.signal, *entry.one_of[:index]):
                        report((*path, "one-of", index), f"expected each signal once, {name!r} is there twice")
            case Validation():
                check_names((entry.signal,), (*path, "signal"), names.signals, "signal", report, single=True)
                if entry.only_with is not None:
                    check_names((entry.only_with,), (*path, "only-with"), names.signals, "signal", report, single=True)
                if entry.expect == "near-baseline" and entry.signal in names.signals:
                    signal = found.get(("signals", entry.signal))
                    if isinstance(signal, SignalDef) and signal.normal_s is None:
                        words = f"expected a signal with `baseline` or `usual`: {entry.signal} has none"
                        report((*path, "expect"), words)
                if entry.hold >= entry.within:
                    report((*path, "hold"), "expected a number from 0 to below `within`")
            case Triage():
                check_names(entry.signals, (*path, "signals"), names.signals, "signal", report)
                check_names(entry.queries, (*path, "queries"), names.queries, "query", report)
                check_view(entry.view, entry.args, path, names, report)
            case Cause():
                check_names(entry.signals, (*path, "signals"), names.signals, "signal", report)
            case ChecklistLine():
                if entry.signal is not None:
                    check_names((entry.signal,), (*path, "signal"), names.signals, "signal", report, single=True)
            case _:
                pass
    check_bounds(found, report)
    _runbooks(found, report)
    check_meant(found, report)
    _items(raw, report)


def _signal(signal: SignalDef, path: Path, names: Names, report: Report) -> None:
    if (signal.promql is None) == (signal.value is None):
        got = "neither" if signal.promql is None else "both"
        report((*path, "value" if signal.promql else "promql"), f"expected either `promql` or `value`, got {got}")
    if signal.value is not None:
        check_value_name(signal.value, (*path, "value"), names, report)
    if signal.warn is None and signal.crit is None:
        report((*path, "warn"), "missing: expected at least one of `warn` and `crit`")
    elif signal.warn is not None and signal.crit is not None:
        wrong = signal.warn > signal.crit if signal.direction == "above" else signal.warn < signal.crit
        if wrong:
            side = "at most" if signal.direction == "above" else "at least"
            report((*path, "warn"), f'expected {side} `crit` ({signal.crit:g}), as direction is "{signal.direction}"')
    if signal.only_with is not None:
        check_names((signal.only_with,), (*path, "only-with"), names.signals, "signal", report, single=True)
    if signal.usual is not None and (signal.promql is None or signal.baseline is not None):
        report((*path, "usual"), "expected only with `promql`, and without `baseline`")
    if signal.baseline is not None:
        if signal.promql is None:
            report((*path, "baseline"), "expected only with `promql`: other values have no history")
        for key, number in (("warn", signal.warn), ("crit", signal.crit)):
            if number is not None and number <= 0:
                report((*path, key), "expected a multiple of the baseline, above 0")


def _variable(row: Variable, path: Path, report: Report) -> None:
    """Report bounds of what has none, and those that leave nothing."""
    low, high = row.minimum, row.maximum
    if row.type not in ("int", "number") and (low is not None or high is not None):
        report((*path, "minimum" if low is not None else "maximum"), 'expected only with type "int" or "number"')
    if low is not None and high is not None and low > high:
        report((*path, "minimum"), f"expected at most `maximum` ({high:g})")
    check_unset(row, path, report)
    if row.usual and row.wrong(row.usual):
        report((*path, "usual"), row.wrong(row.usual))
    if row.schemes and row.type != "url":
        report((*path, "schemes"), 'expected only with type "url"')


def _runbooks(found: Mapping[Path, msgspec.Struct], report: Report) -> None:
    ids: set[str] = set()
    numbers: set[int] = set()
    steps: dict[Path, dict[str, tuple[Path, Step]]] = {}
    for path, entry in found.items():
        if isinstance(entry, Runbook):
            if entry.number in numbers:
                report((*path, "number"), f"expected each number once, {entry.number} is there twice")
            if entry.id in ids:
                report((*path, "id"), f"expected each id once, {entry.id!r} is there twice")
            ids.add(entry.id)
            numbers.add(entry.number)
        elif isinstance(entry, Step):
            own = steps.setdefault(path[:2], {})
            if entry.id in own:
                report((*path, "id"), f"expected each step id once in a runbook, {entry.id!r} is there twice")
            else:
                own[entry.id] = (path, entry)
    for place, own in steps.items():
        causes = [e for p, e in found.items() if isinstance(e, Cause) and p[:2] == place]
        named = [name for cause in causes for name in (cause.id, cause.item) if name]
        for path, step in own.values():
            for index, cause in enumerate(step.causes):
                if cause not in named:
                    at = (*path, "cause") if isinstance(step.cause, str) else (*path, "cause", index)
                    report(at, f"expected a cause of this runbook, there is no {cause!r}{nearest(cause, named)}")
            for index, name in enumerate(step.steps):
                if name not in own:
                    known = list(own)
                    report(
                        (*path, "steps", index),
                        f"expected a step of this runbook, there is no {name!r}{nearest(name, known)}",
                    )
                elif _reaches(name, step.id, own):
                    report((*path, "steps", index), f"expected no circle: {name!r} leads back to {step.id!r}")
            for key in ("reads", "undo") if STEP_KINDS[step.kind].runs_programs else ():
                other, kind = step.args.get(key), step.kind if key == "undo" else "command"
                if other is not None and (other not in own or own[other][1].kind != kind):
                    known = [name for name, (_, one) in own.items() if one.kind == kind]
                    report(
                        (*path, "args", key),
                        f"expected a {kind} of this runbook, there is no {other!r}{nearest(other, known)}",
                    )


def _reaches(start: str, goal: str, own: Mapping[str, tuple[Path, Step]]) -> bool:
    seen: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name == goal:
            return True
        if name in seen or name not in own:
            continue
        seen.add(name)
        todo.extend(own[name][1].steps)
    return False


def _items(raw: Any, report: Report) -> None:
    """Report an `item` or `severity-item` that the file names twice."""
    seen: set[str] = set()
    todo: list[tuple[Path, Any]] = [((), raw)]
    while todo:
        path, value = todo.pop()
        if isinstance(value, dict):
            for key in ("item", "severity-item"):
                item = value.get(key)
                if isinstance(item, str):
                    if item in seen:
                        report((*path, key), f"expected each item once, {item!r} is there twice")
                    seen.add(item)
            todo.extend(((*path, key), each) for key, each in reversed(value.items()))
        elif isinstance(value, list):
            todo.extend(((*path, index), each) for index, each in reversed(list(enumerate(value))))
