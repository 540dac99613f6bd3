"""What the doctor asks for and what deploy/rbac.yaml grants are the same."""

from __future__ import annotations

from typing import Any

import yaml

from cockpit.drill.kubernetes import Rule
from cockpit.runbooks import schema
from cockpit.sources.kubernetes.rights import Right, acting, looking
from tests.support.paths import ROOT

RBAC = ROOT / "deploy" / "rbac.yaml"


def granted(role: str) -> list[Rule]:
    documents: list[Any] = list(yaml.safe_load_all(RBAC.read_text("utf-8")))
    (found,) = [d for d in documents if d["kind"] == "ClusterRole" and d["metadata"]["name"] == role]
    return [
        Rule(tuple(r["verbs"]), tuple(r["apiGroups"]), tuple(r["resources"]), tuple(r.get("resourceNames") or ()))
        for r in found["rules"]
    ]


def asked() -> list[Right]:
    """Return the packaged runbooks' rights, each service once as either kind of workload."""
    runbooks = schema.load()
    sets = dict.fromkeys(runbooks.services, "StatefulSet")
    return [*looking(runbooks), *acting(runbooks, {}), *acting(runbooks, sets)]


def test_every_right_that_is_asked_for_is_granted() -> None:
    rules = [*granted("m0-cockpit-view"), *granted("m0-cockpit-act")]
    missing = [
        right.words
        for right in dict.fromkeys(asked())
        if not any(rule.allows(right.verb, right.group, right.resource, "m0-prod", right.name) for rule in rules)
    ]
    assert missing == []


def test_every_right_that_is_granted_is_asked_for() -> None:
    rights = asked()
    idle = [
        f"{verb} {resource}"
        for role in ("m0-cockpit-view", "m0-cockpit-act")
        for rule in granted(role)
        for verb in rule.verbs
        for resource in rule.resources
        if not any((right.verb, right.group, right.resource) == (verb, rule.groups[0], resource) for right in rights)
    ]
    assert idle == []


def test_a_target_that_is_a_parameter_or_not_there_is_asked_as_a_deployment() -> None:
    rights = acting(schema.load(), {"m0-signer-agent": "StatefulSet"})
    assert Right("restart", "patch", "apps", "statefulsets", "m0-signer-agent") in rights
    assert Right("scale", "patch", "apps", "deployments/scale", "m0-ingestor") in rights
    assert not [right for right in rights if "{" in right.name]
    assert len(rights) == len(set(rights))
