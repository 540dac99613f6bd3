"""`restart` sets the pod template's restartedAt, as `kubectl rollout restart` does.

The annotation is kubectl.kubernetes.io/restartedAt.

Arguments: {}. Refused while the deployment is paused. It cannot be undone: the pods of before are
gone.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from cockpit.mitigation.cluster.objects import SHORT, Subject, paused, replicas
from cockpit.mitigation.kind import Draft, Patch, kubectl_prefix
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.patch import PatchContext, WorkloadStep
from cockpit.mitigation.steps.workload import template
from cockpit.model.plan import Change
from cockpit.model.runbook import Step
from cockpit.text import clean

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"


class Restart(WorkloadStep):
    def arguments(self, step: Step, values: Mapping[str, str], subject: Subject) -> dict[str, Any]:
        return {}

    def relevant(self, obj: Mapping[str, Any], scope: Mapping[str, Any], salt: str) -> dict[str, Any]:
        annotations = (obj["spec"]["template"].get("metadata") or {}).get("annotations") or {}
        return {**template.context_fields(obj, scope), "restartedAt": annotations.get(RESTARTED_AT)}

    def draft_patch(self, subject: Subject, arguments: Mapping[str, Any], around: PatchContext) -> Draft:
        if paused(subject.obj):
            raise PlanProblem(
                f"{subject.name} is paused: a restart would not begin",
                f"resume it first (kubectl -n {subject.namespace} rollout resume {SHORT[subject.kind]}/{subject.name})",
            )
        replaced, held = template.replaced_of(subject.obj, replicas(subject.obj))
        if held and not replaced:
            raise PlanProblem(
                f"a restart of {subject.name} would replace no pod: {held}",
                f"delete its pods one by one (kubectl -n {subject.namespace} delete pod NAME), or change its strategy",
            )
        scope = {"singleton": subject.service.singleton}
        relevant = self.relevant(subject.obj, scope, around.salt)
        before = relevant["restartedAt"]
        at = around.restarted_at
        if before == at:  # within the same second nothing would change, and nothing restart
            at = (datetime.fromisoformat(at) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        name = shlex.quote(f"{SHORT[subject.kind]}/{subject.name}")
        patch = Patch(
            subject=subject,
            body=template.body({"metadata": {"annotations": {RESTARTED_AT: at}}}, f"m0-cockpit restart {subject.name}"),
            template=True,
        )
        return Draft(
            effect=patch.request,
            target=patch.target,
            patch=patch,
            scope=scope,
            relevant=relevant,
            expected={**relevant, "restartedAt": at},
            changes=(Change("restartedAt", None if before is None else clean(str(before), 60), at),),
            kubectl=f"{kubectl_prefix(subject)} rollout restart {name}",
            blast=template.blast(subject, None),
            guards=template.replacing(subject),
        )


KIND = Restart()
