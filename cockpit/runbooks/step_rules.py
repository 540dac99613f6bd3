"""Checks one step: it has what its kind needs, its parameters are declared, bounded and used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from cockpit.errors import nearest
from cockpit.model.runbook import Param, Step
from cockpit.model.step_kinds import STEP_KINDS, StepSpec, value_at
from cockpit.runbooks.conditions import check_direction
from cockpit.runbooks.lines import Path
from cockpit.runbooks.references import BRACES, Names, check_names, check_pattern, check_view
from cockpit.runbooks.shape import Report
from cockpit.text import clean

#: What stands for the network's cluster in a program's words, without being declared.
CLUSTER = "cluster"
ANSWERS = ("text", "yes-no")
SPREAD = re.compile(r"\{([a-z][a-z0-9_]*)\*\}")  # a "{param*}" in argv
_PARAM_NAME = re.compile(r"[a-z][a-z0-9_]*")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def check_step(step: Step, path: Path, names: Names, report: Report) -> None:
    spec = STEP_KINDS[step.kind]
    _check_keys(step, spec, path, report)
    _own_rules(step, path, report)
    if step.names_service_by_value:
        _service_by_value(step, path, report)
    elif step.service is not None:
        check_names((step.service,), (*path, "service"), names.services, "service", report, single=True)
    check_names(step.signals, (*path, "signals"), names.signals, "signal", report)
    check_direction(step, path, names, report)
    check_view(step.view, step.args, path, names, report)
    if isinstance(step.replicas, str) and not BRACES.fullmatch(step.replicas):
        report((*path, "replicas"), 'expected a number or "{param}"')
    if step.observes and not spec.runs_programs:
        report((*path, "observes"), f"expected only of a program, not of kind {step.kind}")
    for name in step.env:
        if not _ENV_NAME.fullmatch(name):
            report((*path, "env", name), "expected the name of an environment variable")
    declared = [param.name for param in step.params]
    declared += [CLUSTER] if spec.runs_programs else []
    declared += [step.args["each"]] if "each" in (spec.knows or ()) and "each" in step.args else []
    for at, text in _texts(step):
        for name in [*BRACES.findall(text), *SPREAD.findall(text)]:
            if name not in declared:
                report((*path, *at), f"{{{name}}} is not declared in `params`{nearest(name, declared)}")
    used = {name for _, text in _texts(step) for name in (*BRACES.findall(text), *SPREAD.findall(text))}
    for index, param in enumerate(step.params):
        _param(param, (*path, "params", index), names, report)
        if param.name not in used:
            report((*path, "params", index), f"expected to be used: nothing of the step says {{{param.name}}}")
        if param.name in declared[:index]:
            report((*path, "params", index, "name"), f"expected each name once, {param.name!r} is there twice")


def _check_keys(step: Step, spec: StepSpec, path: Path, report: Report) -> None:
    """Report what the step lacks, and keys of `args` that its kind does not know."""
    for key in spec.needs:
        if "|" in key:
            others = key.split("|")
            if sum(value_at(step, other) is not None for other in others) != 1:
                names = " and ".join(f"`{other.removeprefix('args.')}`" for other in others)
                report((*path, "args"), f"expected exactly one of {names}")
        elif value_at(step, key) in (None, "", (), {}):
            report((*path, *key.split(".")), f"missing: a step of kind {step.kind} needs it")
    if spec.knows is not None:
        for key in step.args:
            if key not in spec.knows:
                report((*path, "args", key), f"unknown for kind {step.kind}{nearest(key, list(spec.knows))}")


def _own_rules(step: Step, path: Path, report: Report) -> None:
    """Report values of keys of `args` that mean the same in every kind that knows them."""
    args, knows = step.args, STEP_KINDS[step.kind].knows or ()
    for key in ("timeout", "lock-timeout"):
        if key in args and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", args[key]):
            report((*path, "args", key), "expected seconds")
    if "template" in knows and "template" in args and "cronjob" not in args:
        _job_template(args["template"], (*path, "args", "template"), report)
    if "expect" in knows:
        if ("reads" in args) != ("expect" in args):
            report((*path, "args"), "expected `reads` and `expect` together")
        for key in ("expect", "absent"):
            if key in args:
                check_pattern(args[key], (*path, "args", key), report)
        for key in ("absent", "with"):
            if key in args and "reads" not in args:
                report((*path, "args", key), "expected only with `reads`")
    if "statement" in knows and args.get("statement"):
        _statement(args["statement"], (*path, "args", "statement"), report)
    if "opens" in knows and args.get("opens", "incident") != "incident":
        report((*path, "args", "opens"), "expected incident: what follows the answer when none is open")
    if "answer" in knows and args.get("answer", "text") not in ANSWERS:
        report((*path, "args", "answer"), f"expected one of {', '.join(ANSWERS)}")


def _job_template(text: str, path: Path, report: Report) -> None:
    try:
        spec = json.loads(text)
        spec["template"]["spec"]["containers"][0]["image"]
    except ValueError as error:
        report(path, f"expected the spec of a Job as JSON: {error}")
    except (KeyError, IndexError, TypeError):
        report(path, "expected the spec of a Job with template.spec.containers, each with an image")


def _statement(text: str, path: Path, report: Report) -> None:
    """Report a statement of no allowed shape, with a name or number where a parameter goes."""
    from cockpit.mitigation.problem import PlanProblem
    from cockpit.mitigation.sql.shapes import parse

    problem: PlanProblem | None = None
    for stand_in in ("x", "1"):
        try:
            parse(BRACES.sub(stand_in, text))
            return
        except PlanProblem as error:
            problem = problem or error
    if problem is not None:
        report(path, f"{problem.reason} ({problem.remedy})")


def _service_by_value(step: Step, path: Path, report: Report) -> None:
    sources = {"{" + param.name + "}": param.choices_from for param in step.params}
    if sources.get(step.service or "") not in OF_ANY:
        report((*path, "service"), f"expected {{param}} of a parameter with choices-from {' or '.join(OF_ANY)}")
    if step.container is not None:
        report((*path, "container"), "expected none: the service is that of what is chosen")


#: Live lists over all services: what is chosen names its service.
OF_ANY = ("images:*", "revisions:*")


def _texts(step: Step) -> Iterator[tuple[Path, str]]:
    """Yield every text of a step that may hold "{param}"."""
    if isinstance(step.replicas, str):
        yield ("replicas",), step.replicas
    if step.image is not None:
        yield ("image",), step.image
    if step.names_service_by_value:
        yield ("service",), step.service or ""
    for name, text in step.env.items():
        yield ("env", name), text
    for name, text in step.args.items():
        if name not in ("filter", "absent"):  # a regular expression has braces of its own
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
            report((*path, "default"), f"expected {_bounds(low, high)}, got {default}")
        elif param.choices and str(default) not in param.choices:
            report((*path, "default"), f"expected one of {', '.join(param.choices)}")
    if param.pattern is not None:
        check_pattern(param.pattern, (*path, "pattern"), report)
    if param.type == "choice" and not param.choices and param.choices_from is None:
        report((*path, "choices"), "missing: a parameter of type choice needs `choices` or `choices-from`")
    if param.choices_from is not None:
        _choices_from(param.choices_from, (*path, "choices-from"), names, report)


def _bounds(low: int | None, high: int | None) -> str:
    if low is not None and high is not None:
        return f"from {low} to {high}"
    return f"at least {low}" if low is not None else f"at most {high}"


#: Live lists that need no more to be named.
_LISTS = (
    "markets",
    "canary-markets",
    "connectors",
    "signers",
    "signer-keys",
    "signer-threshold",
    "next-signer-set",
    "signer-sets",
    "restore-times",
    "agents-for-keys",
    "stuck-pods",
    "rpc-endpoints",
    "served-bundles",
    "pg-sessions",
)


def _choices_from(source: str, path: Path, names: Names, report: Report) -> None:
    parts = source.split(":")
    match parts:
        case [plain] if plain in _LISTS:
            return
        case ["pg-missing-indexes", "table" | "columns" | "index"] | ["pg-tables", "vacuum" | "analyze"]:
            return
        case ["signer-keys", "new"]:
            return
        case ["unusual-keys" | "usual-values", name] if name:
            return
        case ["before", name]:
            check_names((name,), path, names.services, "service", report, single=True)
        case ["markets", name]:
            check_names((name,), path, names.signals, "signal", report, single=True)
        case ["toggle", name]:
            check_names((name,), path, names.toggles, "toggle", report, single=True)
        case ["images" | "revisions", "*"]:
            return
        case ["images" | "revisions", name]:
            check_names((name,), path, names.services, "service", report, single=True)
        case ["ran-with", name, variable] if variable:
            check_names((name,), path, names.services, "service", report, single=True)
        case ["label", name, label] if label:
            check_names((name,), path, names.queries, "query", report, single=True)
        case ["limited", variable, name, label] if variable and label:
            check_names((name,), path, names.queries, "query", report, single=True)
        case ["joined", toggle, name, label] if label:
            check_names((toggle,), path, names.toggles, "toggle", report, single=True)
            check_names((name,), path, names.queries, "query", report, single=True)
        case _:
            report(path, f"expected one of {', '.join((*_LISTS, *_NAMED))}, got {clean(source, 40)!r}")


#: Live lists that are of something that is named.
_NAMED = (
    "toggle:NAME",
    "images:SERVICE",
    "revisions:SERVICE",
    "before:SERVICE",
    "ran-with:SERVICE:VARIABLE",
    "unusual-keys:CONFIGMAP",
    "usual-values:CONFIGMAP",
    "signer-keys:new",
    "markets:SIGNAL",
    "pg-missing-indexes:table|columns|index",
    "pg-tables:vacuum|analyze",
    "label:QUERY:LABEL",
    "joined:TOGGLE:QUERY:LABEL",
    "limited:VARIABLE:QUERY:LABEL",
)
