"""`undo-rollout` goes back to the pod template of a pinned older revision.

A JSON patch, whose first operation tests the resourceVersion.

Keys: `service`; optional `args.revision` (a number, usually "{revision}" with `choices-from =
"revisions:SERVICE"`), else the one before the current, and a second time that may be the bad one
again, which is said. Arguments: {"name", "uid", "revision"} of the ReplicaSet that keeps it, so
that inverse the undo goes to the revision that was current, wherever its number went. The
deployment's own annotations stay (kubectl drops them).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError
from cockpit.mitigation.cluster.differences import differing
from cockpit.mitigation.cluster.objects import SHORT, Subject, env_entries, paused
from cockpit.mitigation.cluster.patches import JSON_PATCH
from cockpit.mitigation.cluster.revisions import Revision, revisions, template_of
from cockpit.mitigation.cluster.times import unix
from cockpit.mitigation.kind import Draft, Patch, RawInverse, kubectl_prefix
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.parameters import filled
from cockpit.mitigation.steps.patch import PatchContext, WorkloadStep
from cockpit.mitigation.steps.toggles import dangers_of, owes, relaxing
from cockpit.mitigation.steps.workload import template
from cockpit.model.plan import Change, GuardResult, Verdict
from cockpit.model.runbook import Step
from cockpit.secrets import display_env, env_value, fingerprint, hide_arguments, safe_to_journal, secret_arguments
from cockpit.text import clean, safe

_SHOWN = 24  # changes: a template that differs in more is counted only
Env = Mapping[str, Mapping[str, Any] | None]


class UndoRollout(WorkloadStep):
    async def survey(self, client: KubeClient, subject: Subject) -> tuple[Revision, ...]:
        try:
            return await revisions(client, subject)
        except KubeError as error:
            raise PlanProblem(
                f"the revisions of {subject.name} cannot be read: {error.reason}",
                "going back needs the right to list replicasets (controllerrevisions of a statefulset)",
            ) from error

    def arguments(self, step: Step, values: Mapping[str, str], subject: Subject) -> dict[str, Any]:
        wanted = filled(step.args.get("revision", ""), values, f"step {step.id}: args.revision").rpartition(":")[2]
        if wanted and not wanted.isdecimal():
            raise PlanProblem(f"revision {clean(wanted, 40)}: expected a number", "see the choices of the step")
        return {"revision": int(wanted)} if wanted else {}

    def relevant(self, obj: Mapping[str, Any], scope: Mapping[str, Any], salt: str) -> dict[str, Any]:
        return {**template.context_fields(obj, scope), "template": fingerprint(salt, obj["spec"]["template"])}

    def draft_patch(self, subject: Subject, arguments: Mapping[str, Any], around: PatchContext) -> Draft:
        if paused(subject.obj):
            raise PlanProblem(
                f"{subject.name} is paused: going back would not begin",
                f"resume it first (kubectl -n {subject.namespace} rollout resume {SHORT[subject.kind]}/{subject.name})",
            )
        kept: tuple[Revision, ...] = around.seen or ()
        wanted = _chosen(subject, kept, arguments)
        now = next((r for r in kept if r.current), None)
        before, after = template_of(subject), wanted.template
        scope = {"singleton": subject.service.singleton}
        relevant = self.relevant(subject.obj, scope, around.salt)
        old_env, new_env = _env(before), _env(after)
        changed = {n: new_env.get(n) for n in {**old_env, **new_env} if old_env.get(n) != new_env.get(n)}
        changes = _changes(before, after, old_env, new_env, around)
        images = tuple(image for image in wanted.images if image not in _images(before))
        names = {name.partition("/")[2]: value for name, value in changed.items()}
        was = {name.partition("/")[2]: old_env.get(name) for name in changed}
        line = _line(subject, wanted.number)
        cause = f"m0-cockpit undo-rollout {subject.name}: back to revision {wanted.number}"
        patch = Patch(
            subject=subject,
            body=_operations(subject, after, cause),
            content_type=JSON_PATCH,
            images=images,
            ran_before=True,
            template=True,
        )
        return Draft(
            effect=patch.request,
            target=patch.target,
            patch=patch,
            scope=scope,
            relevant=relevant,
            expected={**relevant, "template": fingerprint(around.salt, after)},
            changes=changes,
            kubectl=line,
            blast=(f"back to {wanted.words}{_age(wanted, around)}", *template.blast(subject, None)),
            inverse=_inverse(subject, now),
            dangers=(
                *(("replaces the image that runs",) if images else ()),
                *dangers_of(around.runbooks, names, was),
            ),
            relaxing=relaxing(around.runbooks, names, was),
            owes=owes(around.runbooks, names, was),
            guards=(*_noted(wanted, now, arguments), *template.replacing(subject)),
            hidden=_hidden(around, old_env, new_env) + _arguments(before) + _arguments(after),
        )


KIND = UndoRollout()


def _chosen(subject: Subject, kept: tuple[Revision, ...], arguments: Mapping[str, Any]) -> Revision:
    """Find the pinned revision by its uid or number, else the newest that is not current.

    Raises PlanProblem.
    """
    uid, number = arguments.get("uid"), arguments.get("revision")
    there = ", ".join(f"{r.number}{' (current)' if r.current else ''}" for r in kept) or "none"
    if uid is not None or number is not None:
        found = next((r for r in kept if (r.uid == uid if uid is not None else r.number == number)), None)
        if found is None:
            raise PlanProblem(
                f"revision {number} of {subject.name} is gone", f"it is not kept any more; there are: {there}"
            )
        return found
    older = [r for r in kept if not r.current]
    if not older:
        raise PlanProblem(f"{subject.name} has no older revision to go back to", f"there are: {there}")
    return older[0]


def _noted(wanted: Revision, now: Revision | None, arguments: Mapping[str, Any]) -> tuple[GuardResult, ...]:
    """Ask for a look at a revision that was left behind once already.

    It is the one before the current, which nobody named, and was gone back from.
    """
    if arguments or now is None or not 0 < now.before < wanted.number:
        return ()
    reason = f"{wanted.words} was left behind when it was gone back to {now.words}: see that it is the one you want"
    return (GuardResult("revision", Verdict.CONFIRM, reason),)


def _inverse(subject: Subject, now: Revision | None) -> RawInverse | None:
    if now is None:
        return None
    arguments = {"name": now.name, "uid": now.uid, "revision": now.number}
    return RawInverse(arguments, arguments, f"go back to {now.words}, which runs now", _line(subject, now.number))


def _operations(subject: Subject, wanted: Mapping[str, Any], cause: str) -> list[dict[str, Any]]:
    """Return the operations; beside the template only our own note is written."""
    note: dict[str, Any] = {"op": "add", "path": "/metadata/annotations", "value": {template.CHANGE_CAUSE: cause}}
    if subject.obj["metadata"].get("annotations"):
        escaped = template.CHANGE_CAUSE.replace("~", "~0").replace("/", "~1")
        note = {"op": "add", "path": f"/metadata/annotations/{escaped}", "value": cause}
    return [{"op": "replace", "path": "/spec/template", "value": wanted}, note]


def _images(wanted: Mapping[str, Any]) -> list[str]:
    return [str(c.get("image") or "") for c in (wanted.get("spec") or {}).get("containers") or []]


def _env(wanted: Mapping[str, Any]) -> dict[str, dict[str, Any] | None]:
    """Return "container/VARIABLE" → value, of all containers."""
    spec = wanted.get("spec") or {}
    return {
        f"{container['name']}/{entry['name']}": env_value(entry)
        for field in ("initContainers", "containers")
        for container in spec.get(field) or []
        for entry in env_entries(container)
    }


def _changes(
    before: Mapping[str, Any], after: Mapping[str, Any], old_env: Env, new_env: Env, around: PatchContext
) -> tuple[Change, ...]:
    """Name images and variables in an operator's words; anything else by its path."""
    found: list[Change] = []
    several = len(_images(after)) > 1
    for path, old, new in differing(before, after):
        if any(part == "env" or part.startswith(("env[", "env (")) for part in path):
            continue
        name = ".".join(path).removeprefix("spec.").removeprefix("metadata.")
        if path[-1] == "image":
            name = f"image of {path[-2].partition('[')[2].removesuffix(']')}" if several else "image"
        found.append(Change(clean(name, 120), _redacted(old), _redacted(new)))
    for name in sorted({**old_env, **new_env}):
        if old_env.get(name) != new_env.get(name):
            variable = name.partition("/")[2]
            shown = (display_env(around.runbooks, variable, values.get(name)) for values in (old_env, new_env))
            old, new = shown
            note = "another value behind the same shown part" if old == new else ""
            found.append(Change(variable, old, new, note))
    if not found and before != after:
        found.append(Change("template", "as it is", "as in the revision", "only the order of its fields differs"))
    if len(found) > _SHOWN:
        found = [*found[:_SHOWN], Change("more fields", None, f"{len(found) - _SHOWN} more differ")]
    return tuple(found)


def _redacted(value: Any) -> str | None:
    """Return a value of the template, short and redacted."""
    if value is None:
        return None
    return safe(value if isinstance(value, str) else json.dumps(hide_arguments(value), sort_keys=True), 160)


def _hidden(around: PatchContext, *envs: Env) -> tuple[str, ...]:
    return tuple(
        str(value["value"])
        for env in envs
        for name, value in env.items()
        if value is not None
        and value.get("value")
        and not safe_to_journal(around.runbooks, name.partition("/")[2], value)
    )


def _arguments(wanted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the secret words of all command lines, which the server's answers repeat."""
    spec = wanted.get("spec") or {}
    return tuple(
        word
        for field in ("initContainers", "containers")
        for container in spec.get(field) or []
        for word in secret_arguments(
            [*map(str, container.get("command") or []), *map(str, container.get("args") or [])]
        )
    )


def _age(wanted: Revision, around: PatchContext) -> str:
    now = unix(around.restarted_at)
    if wanted.created_at is None or now is None:
        return ""
    hours = max(0.0, now - wanted.created_at) / 3600
    return f", made {hours / 24:.0f} d ago" if hours >= 48 else f", made {hours:.1f} h ago"


def _line(subject: Subject, number: int) -> str:
    name = shlex.quote(f"{SHORT[subject.kind]}/{subject.name}")
    return f"{kubectl_prefix(subject)} rollout undo {name} --to-revision={number}"
