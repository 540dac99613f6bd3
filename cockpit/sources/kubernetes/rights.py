"""Says which rights the cockpit needs on a cluster: the screen's, and each step's on its target.

A kind of step has the rights of its row in `model/step_kinds.py`. `deploy/rbac.yaml` grants
all of them; tests/commands/test_doctor_rights.py and tests/house/test_step_kinds.py hold that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cockpit.model.runbook import Runbooks, Step
from cockpit.model.step_kinds import STEP_KINDS, value_at

SCREEN = "screen"
ANY_STEP = "any step"
LEASE = "m0-cockpit"
#: What "{workloads}" and "{revisions}" of a step's right stand for, by kind of workload.
_PLACES: Mapping[str, Mapping[str, str]] = {
    "Deployment": {"workloads": "deployments", "revisions": "replicasets"},
    "StatefulSet": {"workloads": "statefulsets", "revisions": "controllerrevisions"},
}
#: Each resource that is listed and watched, by API group; configmaps are watched one by one, by
#: name.
_WATCHED = (
    ("", "pods"),
    ("", "events"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "replicasets"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("batch", "jobs"),
    ("networking.k8s.io", "networkpolicies"),
)


@dataclass(frozen=True, slots=True)
class Right:
    """Names in `purpose` what a right is for: "screen", "any step", or the kind of step."""

    purpose: str
    verb: str
    group: str
    resource: str  # with its subresource: "deployments/scale"
    name: str = ""

    @property
    def words(self) -> str:
        return f"{self.verb} {self.resource}" + (f" {self.name}" if self.name else "")


def looking(runbooks: Runbooks) -> list[Right]:
    """Return the rights that are needed in every watched namespace."""
    rights = [Right(SCREEN, "get", "", "namespaces")]
    for verb in ("list", "watch"):
        rights += [Right(SCREEN, verb, group, resource) for group, resource in _WATCHED]
        maps = sorted({t.configmap for t in runbooks.toggles.values() if t.configmap})
        rights += [Right(SCREEN, verb, "", "configmaps", name) for name in maps]
    return [*rights, Right(SCREEN, "get", "", "pods"), Right(SCREEN, "get", "", "pods/log")]


def acting(runbooks: Runbooks, kinds: Mapping[str, str]) -> list[Right]:
    """Return the rights that are needed in the namespace that steps act in.

    `kinds`: name of each workload that is there → "Deployment" or "StatefulSet"; a step whose
    target is not there counts as a Deployment's.
    """
    rights = [
        Right(ANY_STEP, "create", "coordination.k8s.io", "leases"),
        Right(ANY_STEP, "get", "coordination.k8s.io", "leases", LEASE),
        Right(ANY_STEP, "update", "coordination.k8s.io", "leases", LEASE),
        Right(ANY_STEP, "create", "", "events"),
    ]
    for runbook in runbooks.runbooks:
        for step in runbook.mitigations:
            rights += _of_step(step, kinds)
    return list(dict.fromkeys(rights))


def _of_step(step: Step, kinds: Mapping[str, str]) -> Iterator[Right]:
    places = _PLACES[kinds.get(step.service or "", "Deployment")]
    for right in STEP_KINDS[step.kind].rights:
        name = value_at(step, right.of) if right.of else ""
        if name is not None:
            resource = right.resource.format(**places)
            yield Right(step.kind, right.verb, right.group, resource, "" if "{" in name else name)
