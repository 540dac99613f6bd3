"""`scale` sends PATCH …/scale, merge-patch `{"spec":{"replicas":N}}`.

Arguments: {"replicas": int}.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any

from cockpit.mitigation.cluster.objects import SHORT, Subject, grace_s, paused, replicas, strategy
from cockpit.mitigation.cluster.patches import MERGE
from cockpit.mitigation.kind import Draft, Patch, RawInverse, kubectl_prefix
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.parameters import filled
from cockpit.mitigation.steps.patch import PatchContext, WorkloadStep
from cockpit.model.plan import Change
from cockpit.model.runbook import Step

_MOST = 1000  # replicas: more is a typing error, whatever the runbook allows


class Scale(WorkloadStep):
    def arguments(self, step: Step, values: Mapping[str, str], subject: Subject) -> dict[str, Any]:
        if step.replicas is None:
            raise PlanProblem(f"step {step.id} does not say to how many replicas", "correct runbooks.toml: replicas")
        text = filled(str(step.replicas), values, f"step {step.id}: replicas")
        if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) > _MOST:
            raise PlanProblem(f"replicas {text}: expected a whole number from 0 to {_MOST}", "correct the parameter")
        return {"replicas": int(text)}

    def relevant(self, obj: Mapping[str, Any], scope: Mapping[str, Any], salt: str) -> dict[str, Any]:
        return {"spec.replicas": replicas(obj), "spec.paused": paused(obj), "spec.strategy": strategy(obj)}

    def draft_patch(self, subject: Subject, arguments: Mapping[str, Any], around: PatchContext) -> Draft:
        before, after = replicas(subject.obj), int(arguments["replicas"])
        relevant = self.relevant(subject.obj, {}, around.salt)
        inverse = RawInverse(
            {"replicas": before}, {"replicas": before}, f"scale back to {before}", _line(subject, before)
        )
        stops = subject.service.publishes and after == 0 and before > 0
        starts = subject.service.publishes and before == 0 and after > 0
        dangers: tuple[str, ...] = ()
        if stops:
            dangers = ("stops publishing: no pod of it will be left",)
        elif starts:
            dangers = ("enables publishing",)
        patch = Patch(
            subject=subject,
            body={"spec": {"replicas": after}},
            subresource="scale",
            content_type=MERGE,
            params={},
            replicas_after=after,
        )
        return Draft(
            effect=patch.request,
            target=patch.target,
            patch=patch,
            relevant=relevant,
            expected={**relevant, "spec.replicas": after},
            changes=(Change("replicas", str(before), str(after)),) if before != after else (),
            kubectl=_line(subject, after),
            blast=_blast(subject, before, after),
            inverse=inverse,
            dangers=dangers,
            relaxing=(f"it enables publishing ({subject.name} {before} → {after})",) if starts else (),
        )


KIND = Scale()


def _line(subject: Subject, count: int) -> str:
    name = shlex.quote(f"{SHORT[subject.kind]}/{subject.name}")
    return f"{kubectl_prefix(subject)} scale {name} --replicas={count}"


def _blast(subject: Subject, before: int, after: int) -> tuple[str, ...]:
    lines = [f"replicas {before} → {after}"]
    if after > before:
        lines.append(f"{after - before} pod{'s' if after - before > 1 else ''} more; the running ones are left alone")
    elif after < before:
        ending = before - after
        share = "all of it" if after == 0 else f"{ending * 100 // before} % of {subject.name}"
        lines.append(
            f"{ending} {'pod ends' if ending == 1 else 'pods end'} ({share}); "
            f"each has {grace_s(subject.obj)} s to do so"
        )
    if subject.service.publishes and after == 0:
        lines.append("the network publishes nothing until it is scaled up again")
    return tuple(lines)
