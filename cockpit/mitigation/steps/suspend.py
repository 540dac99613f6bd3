"""`suspend` suspends a CronJob, or lets it run on its schedule again, by merge patch.

Keys: `args.cronjob`, `args.suspend` ("true" or "false"). Arguments: {"suspend": bool}. Jobs that it
started already go on, and are said.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from cockpit.canonical_json import canonical
from cockpit.kubeapi.errors import NotFound
from cockpit.mitigation.cluster.objects import Subject, object_path
from cockpit.mitigation.cluster.patches import MERGE
from cockpit.mitigation.context import StepContext
from cockpit.mitigation.kind import Draft, Patch, RawInverse, kubectl_prefix
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.parameters import filled
from cockpit.mitigation.steps.patch import PatchContext, PatchStep
from cockpit.model.plan import Change
from cockpit.model.runbook import Service, Step
from cockpit.text import clean, counted

WORDS = {True: "true", False: "false"}


class Suspend(PatchStep):
    rolls = False

    def target_name(self, step: Step, values: Mapping[str, str]) -> str:
        return filled(step.args.get("cronjob", ""), values, f"step {step.id}: args.cronjob")

    async def fetch(self, context: StepContext, name: str, kind: str) -> Subject:
        try:
            obj = await context.client.get(object_path("CronJob", context.namespace, name))
        except NotFound as missing:
            raise PlanProblem(f"no cronjob {name} in {context.namespace}", "check the step's cronjob") from missing
        return Subject(*context.place, kind="CronJob", name=name, obj=obj, service=Service())

    def arguments(self, step: Step, values: Mapping[str, str], subject: Subject) -> dict[str, Any]:
        text = filled(step.args.get("suspend", ""), values, f"step {step.id}: args.suspend")
        if text not in WORDS.values():
            raise PlanProblem(f"suspend {clean(text, 20)}: expected true or false", "correct runbooks.toml")
        return {"suspend": text == "true"}

    def relevant(self, obj: Mapping[str, Any], scope: Mapping[str, Any], salt: str) -> dict[str, Any]:
        return {"suspend": _suspended(obj)}

    def draft_patch(self, subject: Subject, arguments: Mapping[str, Any], around: PatchContext) -> Draft:
        before, after = _suspended(subject.obj), bool(arguments["suspend"])
        patch = Patch(subject=subject, body={"spec": {"suspend": after}}, content_type=MERGE)
        return Draft(
            effect=patch.request,
            target=patch.target,
            patch=patch,
            relevant={"suspend": before},
            expected={"suspend": after},
            changes=(Change("suspend", WORDS[before], WORDS[after]),) if before != after else (),
            kubectl=_line(subject, after),
            blast=_blast(subject.obj, after),
            owes=after and not before,
            inverse=RawInverse(
                {"suspend": before}, {"suspend": before}, f"set suspend back to {WORDS[before]}", _line(subject, before)
            ),
        )


KIND = Suspend()


def _suspended(obj: Mapping[str, Any]) -> bool:
    return bool((obj.get("spec") or {}).get("suspend"))


def _blast(obj: Mapping[str, Any], after: bool) -> tuple[str, ...]:
    schedule = clean(str((obj.get("spec") or {}).get("schedule") or "?"), 80)
    active = len((obj.get("status") or {}).get("active") or [])
    lines = [f"its schedule ({schedule}) starts {'no job any more' if after else 'jobs again'}"]
    if active and after:
        lines.append(f"{counted(active, 'job')} of it {'goes' if active == 1 else 'go'} on")
    return tuple(lines)


def _line(subject: Subject, suspend: bool) -> str:
    patch = shlex.quote(canonical({"spec": {"suspend": suspend}}))
    return f"{kubectl_prefix(subject)} patch cronjob {shlex.quote(subject.name)} --type merge -p {patch}"
