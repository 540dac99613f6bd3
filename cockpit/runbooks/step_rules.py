"""The rules of one step: what its kind needs, and parameters that are declared, bounded and used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from cockpit.model.runbook import Param, Step
from cockpit.runbooks.lines import Path
from cockpit.runbooks.references import BRACES, Names, check_names, check_pattern, check_view
from cockpit.runbooks.shape import Report, nearest

#: Which keys a kind of step needs.
NEEDS: Mapping[str, tuple[str, ...]] = {
    "scale": ("service", "replicas"), "set-env": ("service", "env"), "set-image": ("service", "image"),
    "restart": ("service",), "undo-rollout": ("service",), "view": ("view",), "check": ("signals",),
    "manual": ("question",), "sequence": ("steps",), "command": ("argv",), "sql": ("args.statement",),
    "run-job": ("args.cronjob",), "set-config": ("args.configmap", "args.key", "args.value"),
}  # fmt: skip
_PARAM_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def check_step(step: Step, path: Path, names: Names, report: Report) -> None:
    for key in NEEDS.get(step.kind, ()):
        top, _, sub = key.partition(".")
        value = step.args.get(sub) if sub else getattr(step, top)
        if value is None or value in ("", (), {}):
            report((*path, top, *([sub] if sub else [])), f"missing: a step of kind {step.kind} needs it")
    if step.service is not None:
        check_names((step.service,), (*path, "service"), names.services, "service", report, single=True)
    check_names(step.signals, (*path, "signals"), names.signals, "signal", report)
    check_view(step.view, step.args, path, names, report)
    if isinstance(step.replicas, int) and step.replicas < 0:
        report((*path, "replicas"), "expected 0 or more")
    if isinstance(step.replicas, str) and not BRACES.fullmatch(step.replicas):
        report((*path, "replicas"), 'expected a number or "{param}"')
    for name in step.env:
        if not _ENV_NAME.fullmatch(name):
            report((*path, "env", name), "expected the name of an environment variable")
    declared = [param.name for param in step.params]
    for at, text in _texts(step):
        for name in BRACES.findall(text):
            if name not in declared:
                report((*path, *at), f"{{{name}}} is not declared in `params`{nearest(name, declared)}")
    for index, param in enumerate(step.params):
        _param(param, (*path, "params", index), names, report)
        if param.name in declared[:index]:
            report((*path, "params", index, "name"), f"expected each name once, {param.name!r} is there twice")


def _texts(step: Step) -> Iterator[tuple[Path, str]]:
    """Every text of a step that may hold "{param}"."""
    if isinstance(step.replicas, str):
        yield ("replicas",), step.replicas
    if step.image is not None:
        yield ("image",), step.image
    for name, text in step.env.items():
        yield ("env", name), text
    for name, text in step.args.items():
        if name != "filter":  # a regular expression has braces of its own
            yield ("args", name), text
    for index, text in enumerate(step.argv):
        yield ("argv", index), text


def _param(param: Param, path: Path, names: Names, report: Report) -> None:
    if not _PARAM_NAME.fullmatch(param.name):
        report((*path, "name"), "expected lower-case letters, digits and _")
    low, high = param.minimum, param.maximum
    if param.type != "int" and (low is not None or high is not None):
        report((*path, "minimum" if low is not None else "maximum"), 'expected only with type = "int"')
    if low is not None and high is not None and low > high:
        report((*path, "minimum"), f"expected at most `maximum` ({high})")
    if param.default is not None:
        default: str | int = param.default
        if (param.type == "int") != isinstance(default, int):
            report((*path, "default"), f"expected {'a whole number' if param.type == 'int' else 'a string'}")
        elif isinstance(default, int) and not (low if low is not None else default) <= default <= (
            high if high is not None else default
        ):
            report((*path, "default"), f"expected from {low} to {high}, got {default}")
        elif param.choices and str(default) not in param.choices:
            report((*path, "default"), f"expected one of {', '.join(param.choices)}")
    if param.pattern is not None:
        check_pattern(param.pattern, (*path, "pattern"), report)
    if param.type == "choice" and not param.choices and param.choices_from is None:
        report((*path, "choices"), "missing: a parameter of type choice needs `choices` or `choices-from`")
    if param.choices_from is not None:
        _choices_from(param.choices_from, (*path, "choices-from"), names, report)


def _choices_from(source: str, path: Path, names: Names, report: Report) -> None:
    parts = source.split(":")
    match parts:
        case ["rpc-endpoints"]:
            return
        case ["toggle", name]:
            check_names((name,), path, names.toggles, "toggle", report, single=True)
        case ["images", name]:
            check_names((name,), path, names.services, "service", report, single=True)
        case ["label", name, label] if label:
            check_names((name,), path, names.queries, "query", report, single=True)
        case _:
            report(path, f"expected rpc-endpoints, toggle:NAME, images:SERVICE or label:QUERY:LABEL, got {source!r}")
