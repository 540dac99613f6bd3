"""`set-image` patches one container's image by a strategic merge.

Arguments: {"container": name, "image": reference}.

Only references with a digest (the guard `digest` blocks others). Init containers are touched only
when named.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from cockpit.mitigation.cluster.objects import SHORT, Subject, container_names, find_container, own_container
from cockpit.mitigation.kind import Draft, Patch, RawInverse, kubectl_prefix
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.parameters import filled
from cockpit.mitigation.steps.patch import PatchContext, WorkloadStep
from cockpit.mitigation.steps.workload import template
from cockpit.model.plan import Change
from cockpit.model.runbook import Step
from cockpit.text import clean


class SetImage(WorkloadStep):
    def arguments(self, step: Step, values: Mapping[str, str], subject: Subject) -> dict[str, Any]:
        if not step.image:
            raise PlanProblem(f"step {step.id} names no image", "correct runbooks.toml: image")
        image = filled(step.image, values, f"step {step.id}: image")
        return {"container": own_container(subject.obj, step.container, subject.name), "image": image}

    def relevant(self, obj: Mapping[str, Any], scope: Mapping[str, Any], salt: str) -> dict[str, Any]:
        found = find_container(obj, str(scope["container"]))
        fields = template.context_fields(obj, scope)
        fields["containers"] = container_names(obj)
        fields["image"] = None if found is None else str(found[1].get("image") or "")
        return fields

    def draft_patch(self, subject: Subject, arguments: Mapping[str, Any], around: PatchContext) -> Draft:
        container, image = str(arguments["container"]), str(arguments["image"])
        found = find_container(subject.obj, container)
        if found is None:
            names = ", ".join(container_names(subject.obj))
            raise PlanProblem(f"{subject.name} has no container {container}", f"it has: {names}")
        where, spec = found
        before = str(spec.get("image") or "")
        scope = {"container": container, "singleton": subject.service.singleton}
        relevant = self.relevant(subject.obj, scope, around.salt)
        order = [{"name": n} for n in container_names(subject.obj, where)]
        body = {
            "spec": {
                f"$setElementOrder/{where}": order,
                where: [{"name": container, "image": image}],
            }
        }
        back = {"container": container, "image": before}
        changed = before != image
        patch = Patch(
            subject=subject,
            body=template.body(body, f"m0-cockpit set-image {subject.name}: {container}={clean(image)}"),
            container=container,
            images=(image,),
            template=True,
        )
        return Draft(
            effect=patch.request,
            target=patch.target,
            patch=patch,
            scope=scope,
            relevant=relevant,
            expected={**relevant, "image": image},
            changes=(Change("image", clean(before), clean(image)),) if changed else (),
            kubectl=_line(subject, container, image),
            blast=template.blast(subject, container),
            guards=template.replacing(subject) if changed else (),
            inverse=RawInverse(back, back, f"set the image back to {clean(before)}", _line(subject, container, before)),
            dangers=("replaces the image that runs",) if changed else (),
        )


KIND = SetImage()


def _line(subject: Subject, container: str, image: str) -> str:
    name = shlex.quote(f"{SHORT[subject.kind]}/{subject.name}")
    return f"{kubectl_prefix(subject)} set image {name} {shlex.quote(f'{container}={clean(image)}')}"
