"""Which network policies keep the submitter from the signers (3.triage.2), read off the wire."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from cockpit.kubeapi.convert import unix
from cockpit.model.observed.cluster import Cluster, NetworkPolicy
from cockpit.sources.kubernetes import network_policies as policies
from cockpit.sources.kubernetes.policies import cut_off
from tests.support.samples.cluster import sample_pod

SIGNER, SUBMITTER = "m0-signer-agent", "m0-submitter"
NOW = 1_790_000_000.0
OURS = {"podSelector": {"matchLabels": {"app": SUBMITTER}}}
SIGNERS = {"matchLabels": {"app": SIGNER}}


def policy(name: str, spec: dict[str, Any], changed: str = "2026-09-21T14:10:00Z") -> NetworkPolicy:
    body = {
        "metadata": {
            "name": name,
            "namespace": "m0-prod",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "managedFields": [{"manager": "kubectl", "time": changed}],
        },
        "spec": spec,
    }
    return policies.network_policy(msgspec.json.decode(msgspec.json.encode(body), type=policies.NetworkPolicyW))


def cluster(*policies: NetworkPolicy) -> Cluster:
    pods = [
        replace(
            sample_pod(name=f"{service}-{n}", uid=f"{service}{n}"), service=service, labels={"app": service, **more}
        )
        for service, n, more in (
            (SUBMITTER, 0, {}),
            (SIGNER, 0, {}),
            (SIGNER, 1, {}),
            (SIGNER, 2, {"pool": "edge"}),
        )
    ]
    return Cluster(
        pods={pod.uid: pod for pod in pods}, policies={(each.namespace, each.name): each for each in policies}
    )


@pytest.mark.parametrize(
    ("spec", "cut"),
    [
        ({"podSelector": SIGNERS, "ingress": [{"from": [OURS]}]}, 0),
        ({"podSelector": SIGNERS}, 3),
        ({"podSelector": {}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "other"}}}]}]}, 3),
        ({"podSelector": {"matchLabels": {"pool": "edge"}}, "policyTypes": ["Ingress"]}, 1),
        ({"podSelector": {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}}, 1),
        ({"podSelector": {"matchExpressions": [{"key": "pool", "operator": "NotIn", "values": ["edge"]}]}}, 2),
        ({"podSelector": SIGNERS, "ingress": [{}]}, 0),
        ({"podSelector": SIGNERS, "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}, 0),
        ({"podSelector": SIGNERS, "policyTypes": ["Egress"]}, 0),
        ({"podSelector": {"matchLabels": {"app": SUBMITTER}}, "policyTypes": ["Egress"]}, 3),
        ({"podSelector": {"matchLabels": {"app": SUBMITTER}}, "egress": [{"to": [{"podSelector": SIGNERS}]}]}, 0),
    ],
)
def test_it_is_judged_by_the_rules_of_network_policies(spec: dict[str, Any], cut: int) -> None:
    """3.triage.2: labels, expressions, both directions; an address cannot be judged."""
    found = cut_off(cluster(policy("p", spec)), SUBMITTER, SIGNER)
    assert len(found.pods) == cut
    assert [each.name for each in found.by] == (["p"] if cut else [])


def test_the_one_that_cuts_off_is_named_with_its_change_and_another_rule_may_admit() -> None:
    """3.triage.2: the newest change is named, and how many select them."""
    closed = policy("deny", {"podSelector": SIGNERS}, "2026-09-21T14:09:20Z")
    found = cut_off(
        cluster(policy("old", {"podSelector": SIGNERS, "ingress": [{"from": []}]}), closed), SUBMITTER, SIGNER
    )
    assert not found.pods  # policies add up: one admits everybody
    alone = cut_off(cluster(closed, policy("edge", {"podSelector": {"matchLabels": {"pool": "x"}}})), SUBMITTER, SIGNER)
    assert len(alone.pods) == 3
    assert alone.words(unix("2026-09-21T14:13:20Z") or 0.0) == "policy deny, changed 4:00 ago"
    assert cut_off(cluster(), SUBMITTER, SIGNER).words(NOW) == "no policy selects them"
