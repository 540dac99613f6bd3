"""Checks named conditions, and what a step says of its direction and of what allows it."""

from __future__ import annotations

import re

from cockpit.model.runbook import Condition, Step, Variable
from cockpit.model.sections.variable import UNLIMITED
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.runbooks.lines import Path
from cockpit.runbooks.references import Names, check_names, check_value_name
from cockpit.runbooks.shape import Report

#: A value behind a key of a ConfigMap, as a variable's source is spelt.
CONFIGMAP = re.compile(r"configmap [a-z0-9]([-a-z0-9.]*[a-z0-9])?/[-._a-zA-Z0-9]+")


def check_condition(condition: Condition, path: Path, names: Names, report: Report) -> None:
    given = [key for key in Condition.SOURCES if getattr(condition, key)]
    spelt = ", ".join(key.replace("_", "-") for key in Condition.SOURCES)
    if len(given) != 1:
        got = " and ".join(key.replace("_", "-") for key in given) or "none"
        report(path, f"expected exactly one of {spelt}, got {got}")
    if not condition.text:
        report((*path, "text"), 'expected words that go on from "only if"')
    check_names(condition.signals, (*path, "signals"), names.signals, "signal", report)
    check_names(condition.one_of, (*path, "one-of"), names.signals, "signal", report)
    if condition.hold and not (condition.signals or condition.one_of):
        report((*path, "for"), "expected only with `signals` or `one-of`")
    _value(condition, path, names, report)
    if condition.toggle is not None:
        heads = [name[:-1] for name in names.toggles if name.endswith("*")]
        if not any(condition.toggle.startswith(head) for head in heads):
            check_names((condition.toggle,), (*path, "toggle"), names.toggles, "toggle", report, single=True)
    if (condition.toggle is not None) != bool(condition.values):
        report((*path, "is"), "expected `toggle` and `is` together")
    for key in ("capability", "changed", "sets"):
        text = getattr(condition, key)
        if text is None:
            continue
        service, colon, name = text.partition(":")
        if not colon or not name:
            report((*path, key), f"expected SERVICE:{'NAME' if key == 'capability' else 'VARIABLE'}, got {text!r}")
        else:
            check_names((service,), (*path, key), names.services, "service", report, single=True)
    if condition.among is not None:
        query, colon, label = condition.among.partition(":")
        if condition.sets is None:
            report((*path, "among"), "expected only with `sets`")
        if not colon or not label:
            report((*path, "among"), f"expected QUERY:LABEL, got {condition.among!r}")
        else:
            check_names((query,), (*path, "among"), names.queries, "query", report, single=True)
    if condition.scales is not None:
        check_names((condition.scales,), (*path, "scales"), names.services, "service", report, single=True)


def _value(condition: Condition, path: Path, names: Names, report: Report) -> None:
    bounds = (("at-least", condition.at_least), ("at-most", condition.at_most))
    for key, number in bounds:
        if number is not None and condition.value is None:
            report((*path, key), "expected only with `value`")
    if condition.value is None:
        return
    check_value_name(condition.value, (*path, "value"), names, report)
    if condition.at_least is None and condition.at_most is None:
        report((*path, "at-least"), "missing: expected `at-least` or `at-most`")
    elif condition.at_least is not None and condition.at_most is not None and condition.at_least > condition.at_most:
        report((*path, "at-least"), f"expected at most `at-most` ({condition.at_most:g})")


def check_direction(step: Step, path: Path, names: Names, report: Report) -> None:
    """Report a direction of what sets nothing or contradicts its value, and unknown names."""
    spec = STEP_KINDS[step.kind]
    if step.direction is not None and not spec.sets_value:
        report((*path, "direction"), f"expected none: a step of kind {step.kind} sets no value")
    if step.kind == "scale" and step.direction in ("adds", "changes"):
        report((*path, "direction"), f"expected raises or lowers for replicas, got {step.direction!r}")
    if step.kind == "scale" and step.replicas == 0 and step.direction == "raises":
        report((*path, "direction"), "expected lowers: nothing can be raised to 0 replicas")
    for key, used in (("requires", step.requires), ("unless", step.unless)):
        check_names(used, (*path, key), names.conditions, "condition", report)
        for index, name in enumerate(used):
            if name in used[:index]:
                report((*path, key, index), f"expected each condition once, {name!r} is there twice")
    for index, name in enumerate(step.unless):
        if name in step.requires:
            report((*path, "unless", index), f"expected either `requires` or `unless`, {name!r} is in both")
    check_names(step.proves, (*path, "proves"), names.signals, "signal", report)


def check_unset(row: Variable, path: Path, report: Report) -> None:
    """Report what a variable means unset, where it could not be set to that."""
    text = row.unset
    if text is None or text == UNLIMITED:
        return
    if text.startswith("configmap "):
        if not CONFIGMAP.fullmatch(text):
            report((*path, "unset"), "expected configmap NAME/KEY")
    elif text and row.wrong(text):
        report((*path, "unset"), row.wrong(text))
