"""Decodes network policies and converts them."""

from __future__ import annotations

from typing import Any

import msgspec

from cockpit.kubeapi import wire
from cockpit.kubeapi.convert import text, unix, written_of
from cockpit.model.observed import cluster as model


class Peer(msgspec.Struct, rename="camel", gc=False):
    pod_selector: wire.Selector | None = None
    namespace_selector: wire.Selector | None = None
    ip_block: Any = None


class PolicyRule(msgspec.Struct, gc=False):
    from_: list[Peer] | None = msgspec.field(default=None, name="from")
    to: list[Peer] | None = None


class PolicySpec(msgspec.Struct, rename="camel", gc=False):
    pod_selector: wire.Selector | None = None
    policy_types: list[str] | None = None
    ingress: list[PolicyRule] | None = None
    egress: list[PolicyRule] | None = None


class NetworkPolicyW(msgspec.Struct, gc=False):
    metadata: wire.ManagedMeta | None = None
    spec: PolicySpec | None = None


def network_policy(value: NetworkPolicyW) -> model.NetworkPolicy:
    """Convert a NetworkPolicy; without `policyTypes`: ingress, and egress if it has any."""
    meta, spec = value.metadata or wire.ManagedMeta(), value.spec or PolicySpec()
    types = spec.policy_types or ["Ingress", *(["Egress"] if spec.egress else [])]
    written = written_of(meta)
    times = [*(each.at for each in written), unix(meta.creation_timestamp)]
    return model.NetworkPolicy(
        namespace=text(meta.namespace),
        name=text(meta.name),
        selector=_selector(spec.pod_selector),
        changed_at=max((at for at in times if at is not None), default=None),
        admits=tuple(_peers(rule.from_) for rule in spec.ingress or ()) if "Ingress" in types else None,
        reaches=tuple(_peers(rule.to) for rule in spec.egress or ()) if "Egress" in types else None,
        created_at=unix(meta.creation_timestamp),
        written=written,
    )


def _selector(value: wire.Selector | None) -> model.LabelSelector:
    found = value or wire.Selector()
    expressions = [
        (text(each.key), text(each.operator), tuple(map(text, each.values or ())))
        for each in found.match_expressions or ()
    ]
    return model.LabelSelector(
        {text(key): text(each) for key, each in (found.match_labels or {}).items()}, tuple(expressions)
    )


def _peers(found: list[Peer] | None) -> tuple[model.PolicyPeer, ...]:
    return tuple(
        model.PolicyPeer(
            pods=_selector(peer.pod_selector) if peer.pod_selector is not None else None,
            elsewhere=peer.namespace_selector is not None or peer.ip_block is not None,
        )
        for peer in found or ()
    )
