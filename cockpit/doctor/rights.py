"""Which rights the cockpit needs on a cluster, and for what: the screen's, and each kind of step's
on exactly its target.

`deploy/rbac.yaml` grants these; tests/commands/test_doctor_rights.py holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cockpit.model.runbook import Runbooks, Step

SCREEN = "screen"
ANY_STEP = "any step"
LEASE = "m0-cockpit"
_PLURAL = {"Deployment": "deployments", "StatefulSet": "statefulsets"}
_TEMPLATE_KINDS = ("set-env", "set-image", "restart", "undo-rollout")
#: Each resource that is listed and watched, by API group; configmaps are watched one by one, by
#: name.
_WATCHED = (
    ("", "pods"),
    ("", "events"),
    ("apps", "deployments"),
    ("apps", "statefulsets"),
    ("apps", "replicasets"),
    ("autoscaling", "horizontalpodautoscalers"),
)


@dataclass(frozen=True, slots=True)
class Right:
    """`purpose`: "screen", "any step", or the kind of step it is for."""

    purpose: str
    verb: str
    group: str
    resource: str  # with its subresource: "deployments/scale"
    name: str = ""

    @property
    def words(self) -> str:
        return f"{self.verb} {self.resource}" + (f" {self.name}" if self.name else "")


def looking(runbooks: Runbooks) -> list[Right]:
    """In every watched namespace."""
    rights = [Right(SCREEN, "get", "", "namespaces")]
    for verb in ("list", "watch"):
        rights += [Right(SCREEN, verb, group, resource) for group, resource in _WATCHED]
        maps = sorted({t.configmap for t in runbooks.toggles.values() if t.configmap})
        rights += [Right(SCREEN, verb, "", "configmaps", name) for name in maps]
    return [*rights, Right(SCREEN, "get", "", "pods"), Right(SCREEN, "get", "", "pods/log")]


def acting(runbooks: Runbooks, kinds: Mapping[str, str]) -> list[Right]:
    """In the namespace that steps act in.

    `kinds`: name of each workload that is there → "Deployment" or "StatefulSet"; a step whose
    target is not there counts as a Deployment's.
    """
    rights = [
        Right(ANY_STEP, "create", "coordination.k8s.io", "leases"),
        Right(ANY_STEP, "get", "coordination.k8s.io", "leases", LEASE),
        Right(ANY_STEP, "update", "coordination.k8s.io", "leases", LEASE),
        Right(ANY_STEP, "create", "", "events"),
    ]
    for book in runbooks.runbooks:
        for step in book.mitigations:
            rights += _of_step(step, kinds)
    return list(dict.fromkeys(rights))


def _of_step(step: Step, kinds: Mapping[str, str]) -> Iterator[Right]:
    kind, name = step.kind, step.service or ""
    if kind == "scale" or kind in _TEMPLATE_KINDS:
        if "{" in name:
            return
        workload = kinds.get(name, "Deployment")
        resource = _PLURAL.get(workload, "deployments")
        yield Right(kind, "get", "apps", resource, name)
        yield Right(kind, "patch", "apps", f"{resource}/scale" if kind == "scale" else resource, name)
        if kind == "undo-rollout":
            yield Right(kind, "list", "apps", "controllerrevisions" if workload == "StatefulSet" else "replicasets")
    elif kind == "set-config":
        configmap = step.args.get("configmap", "")
        configmap = "" if "{" in configmap else configmap
        yield Right(kind, "get", "", "configmaps", configmap)
        yield Right(kind, "patch", "", "configmaps", configmap)
    elif kind == "run-job":
        cronjob = step.args.get("cronjob", "")
        if cronjob and "{" not in cronjob:
            yield Right(kind, "get", "batch", "cronjobs", cronjob)
        for verb in ("create", "get", "delete"):
            yield Right(kind, verb, "batch", "jobs")
