"""`set-env` patches one container's env by a strategic merge.

Arguments: {"container": name, "env": {NAME: {"value": …} | {"valueFrom": …} | None to remove}}. The
order of containers and variables is kept by `$setElementOrder`, new names last: without it the
template, and so the pods, would differ from what kubectl makes. A variable named twice cannot be
told apart by a strategic merge and is refused.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from cockpit.canonical_json import canonical
from cockpit.mitigation import copied
from cockpit.mitigation.cluster.objects import (
    RESOURCES,
    SHORT,
    Subject,
    container_names,
    env_entries,
    find_container,
    own_container,
)
from cockpit.mitigation.kind import Draft, Patch, RawInverse, kubectl_prefix
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.parameters import filled
from cockpit.mitigation.steps.patch import PatchContext, WorkloadStep
from cockpit.mitigation.steps.toggles import dangers_of, owes, relaxing
from cockpit.mitigation.steps.workload import template
from cockpit.model.plan import Change, GuardResult, Verdict
from cockpit.model.runbook import Runbooks, Step
from cockpit.secrets import display_env, display_value, env_value, fingerprint, safe_to_journal
from cockpit.text import safe

Values = Mapping[str, Mapping[str, Any] | None]


class SetEnv(WorkloadStep):
    def arguments(self, step: Step, values: Mapping[str, str], subject: Subject) -> dict[str, Any]:
        if not step.env:
            raise PlanProblem(f"step {step.id} names no variable", "correct runbooks.toml: env")
        container = own_container(subject.obj, step.container, subject.name)
        env = {n: {"value": filled(v, values, f"step {step.id}: env.{n}")} for n, v in step.env.items()}
        return {"container": container, "env": env}

    def relevant(self, obj: Mapping[str, Any], scope: Mapping[str, Any], salt: str) -> dict[str, Any]:
        found = find_container(obj, str(scope["container"]))
        fields = template.context_fields(obj, scope)
        fields["containers"] = container_names(obj)
        env = list(env_entries(found[1])) if found is not None else []
        fields["env order"] = [str(e["name"]) for e in env] if found is not None else None
        for entry in env:
            fields[f"env {entry['name']}"] = fingerprint(salt, env_value(entry))
        return fields

    def draft_patch(self, subject: Subject, arguments: Mapping[str, Any], around: PatchContext) -> Draft:
        container = str(arguments["container"])
        env: Values = arguments["env"]
        found = find_container(subject.obj, container)
        if found is None:
            names = ", ".join(container_names(subject.obj))
            raise PlanProblem(f"{subject.name} has no container {container}", f"it has: {names}")
        where, spec = found
        entries = env_entries(spec)
        order = [str(e["name"]) for e in entries]
        for name in order:
            if order.count(name) > 1:
                raise PlanProblem(
                    f"container {container} names {name} twice; a patch cannot tell them apart",
                    "remove one by hand first",
                )
        now: dict[str, dict[str, Any] | None] = {str(e["name"]): env_value(e) for e in entries}
        _check(around.runbooks, env)
        wanted = {name: value for name, value in env.items() if now.get(name) != value}
        scope = {"container": container, "singleton": subject.service.singleton}
        relevant = self.relevant(subject.obj, scope, around.salt)
        after_order = [n for n in order if n not in env or env[n] is not None]
        after_order += [n for n, value in env.items() if value is not None and n not in order]
        expected = {k: v for k, v in relevant.items() if not (k.startswith("env ") and k[4:] in wanted)}
        expected["env order"] = after_order
        expected |= {f"env {n}": fingerprint(around.salt, dict(v)) for n, v in wanted.items() if v is not None}
        before = {name: now.get(name) for name in wanted}
        patch = Patch(
            subject=subject,
            body=template.body(
                _patch(
                    subject=subject, where=where, container=container, order=after_order, wanted=wanted, before=before
                ),
                _cause(subject, wanted),
            ),
            container=container,
            template=True,
        )
        return Draft(
            effect=patch.request,
            target=patch.target,
            patch=patch,
            scope=scope,
            relevant=relevant,
            expected=expected,
            changes=_changes(around, wanted, before, spec),
            kubectl=_line(subject, container, wanted, around),
            blast=template.blast(subject, container),
            guards=(*template.replacing(subject), *_left(around, wanted)) if wanted else (),
            inverse=_inverse(subject, container, before, around),
            dangers=dangers_of(around.runbooks, wanted, before),
            relaxing=relaxing(around.runbooks, wanted, before),
            owes=owes(around.runbooks, wanted, before),
            hidden=_hidden(around, wanted, before),
        )


KIND = SetEnv()


def _hidden(around: PatchContext, wanted: Values, before: Values) -> tuple[str, ...]:
    """Return the raw values, of before and after, that are not shown whole."""
    pairs = [(n, v) for values in (wanted, before) for n, v in values.items() if v is not None]
    return tuple(
        str(v["value"])
        for n, v in pairs
        if not safe_to_journal(around.runbooks, n, v, secret=n in around.secrets) and v.get("value")
    )


def _check(runbooks: Runbooks, env: Values) -> None:
    for name, value in env.items():
        known = runbooks.variable(name)
        if known is None or value is None or "value" not in value:
            continue
        wrong = known.wrong(value["value"])
        if wrong:
            raise PlanProblem(f"{name}={display_value(runbooks, name, value['value'])}: not a value of {name}", wrong)


def _patch(
    subject: Subject, where: str, container: str, order: list[str], wanted: Values, before: Values
) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    # The API server wants the entries in the order that $setElementOrder gives, and refuses the
    # patch otherwise.
    place = {name: at for at, name in enumerate(order)}
    for name, value in sorted(wanted.items(), key=lambda item: place.get(item[0], len(order))):
        old = before[name]
        if value is None:
            entries.append({"name": name, "$patch": "delete"})
        elif "valueFrom" in value:
            literal = {"value": None} if old is not None and "value" in old else {}
            entries.append({"name": name, **literal, "valueFrom": value["valueFrom"]})
        else:
            reference = {"valueFrom": None} if old is not None and "valueFrom" in old else {}
            entries.append({"name": name, "value": value["value"], **reference})
    changed = {"name": container, "$setElementOrder/env": [{"name": n} for n in order], "env": entries}
    names = container_names(subject.obj, where)
    return {"spec": {f"$setElementOrder/{where}": [{"name": n} for n in names], where: [changed]}}


def _cause(subject: Subject, wanted: Values) -> str | None:
    """Return names only: the annotation is copied to every ReplicaSet and read by many."""
    return f"m0-cockpit set-env {subject.name}: {', '.join(wanted)}" if wanted else None


def _changes(around: PatchContext, wanted: Values, before: Values, spec: Mapping[str, Any]) -> tuple[Change, ...]:
    changes = []
    for name, value in wanted.items():
        secret = name in around.secrets
        note = ""
        known = around.known.get(name)
        gone = _left_out(before[name], value) if known else []
        if gone:
            note = f"{', '.join(gone)} not in it any more"
        elif known and value is not None and not set(_listed(value)) <= {*known, *_listed(before[name])}:
            note = "not among those known now"
        elif before[name] is None and spec.get("envFrom"):
            note = "new here; it may have come from envFrom so far"
        elif before[name] is not None and "valueFrom" in (before[name] or {}):
            note = "a literal replaces the reference"
        old, new = (display_env(around.runbooks, name, v, secret=secret) for v in (before[name], value))
        if old == new:
            note = (note + "; " if note else "") + "another value behind the same shown part"
        changes.append(Change(name, old, new, note))
    return tuple(changes)


def _left(around: PatchContext, wanted: Values) -> Iterator[GuardResult]:
    """Hold up a step that switches off the last of what a live list holds."""
    for name, value in wanted.items() if around.adds else ():
        known = around.known.get(name)
        left = sorted(set(known or ()) - set(_listed(value)))
        if known is None:
            reason = f"which there are is not known now, so whether {name} leaves one cannot be told"
            yield GuardResult("left", Verdict.UNKNOWN, reason)
        elif not left:
            reason = f"{name} would name all that there are ({len(known)}): none is left"
            yield GuardResult("left", Verdict.CONFIRM, reason)
        else:
            yield GuardResult("left", Verdict.PASS, f"{safe(', '.join(left), 120)} stay on")


def _listed(value: Mapping[str, Any] | None) -> list[str]:
    """Return the words of a value that is a list, parted by commas; one word is a list of one."""
    return [word.strip() for word in str((value or {}).get("value", "")).split(",") if word.strip()]


def _left_out(before: Mapping[str, Any] | None, value: Mapping[str, Any] | None) -> list[str]:
    """Return what a list held, and holds no more.

    Say, a connector that is polled again because another was named.
    """
    kept = _listed(value)
    return [word for word in _listed(before) if word not in kept] if kept else []


def _line(subject: Subject, container: str, wanted: Values, around: PatchContext) -> str:
    """Return the kubectl line; hidden values are variables of the operator's shell.

    A reference needs a patch: `set env` has no spelling for one.
    """
    name = shlex.quote(f"{SHORT[subject.kind]}/{subject.name}")
    if any(value is not None and "valueFrom" in value for value in wanted.values()):
        env = [
            {"name": n, **(v if v is None or "valueFrom" in v else {"value": _copied(around, n, v)})}
            if v is not None
            else {"name": n, "$patch": "delete"}
            for n, v in wanted.items()
        ]
        patch = canonical({"spec": {"template": {"spec": {"containers": [{"name": container, "env": env}]}}}})
        resource = f"{RESOURCES[subject.kind]} {shlex.quote(subject.name)}"
        return f"{kubectl_prefix(subject)} patch {resource} -p {copied.word(patch)}"
    words = [f"{n}-" if v is None else f"{n}={_copied(around, n, v)}" for n, v in wanted.items()]
    return f"{kubectl_prefix(subject)} set env {name} -c {shlex.quote(container)} {copied.line(words)}"


def _copied(around: PatchContext, name: str, value: Mapping[str, Any]) -> str:
    shown = safe_to_journal(around.runbooks, name, value, secret=name in around.secrets)
    return str(value["value"]) if shown else copied.hidden(name)


def _inverse(subject: Subject, container: str, before: Values, around: PatchContext) -> RawInverse | None:
    if not before:
        return None
    kept: dict[str, Any] = {}
    words = []
    for name, value in before.items():
        secret = name in around.secrets
        shown = display_env(around.runbooks, name, value, secret=secret)
        if safe_to_journal(around.runbooks, name, value, secret=secret):
            kept[name] = value
        else:
            kept[name] = {"hidden": fingerprint(around.salt, value)}
        words.append(f"remove {name}" if value is None else f"set {name} back to {shown or 'empty'}")
    return RawInverse(
        {"container": container, "env": dict(before)},
        {"container": container, "env": kept},
        "; ".join(words),
        _line(subject, container, before, around),
    )
