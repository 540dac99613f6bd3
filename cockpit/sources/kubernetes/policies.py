"""Says which network policies keep one service from another, by the rules of NetworkPolicy.

Policies that select a pod for a direction isolate it; then it needs a rule of one of them that
admits the other. A rule by namespace or address cannot be judged here, and counts as admitting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cockpit.model.observed.cluster import Cluster, NetworkPolicy, Pod, PolicyPeer
from cockpit.model.reading import spell

Rules = tuple[tuple[PolicyPeer, ...], ...]


@dataclass(frozen=True, slots=True)
class CutOff:
    """Holds the pods of a service that another cannot reach, and the policies of both.

    `policies`: those that select any pod of either in the direction that matters, the newest change
    first; `by`: those of them that cut pods off.
    """

    pods: tuple[str, ...]
    policies: tuple[NetworkPolicy, ...]
    by: tuple[NetworkPolicy, ...]

    def words(self, now: float) -> str:
        """Name what cuts them off, else the newest change; `now`: unix seconds."""
        shown = self.by or self.policies
        if not shown:
            return "no policy selects them"
        changed = shown[0].changed_at
        since = f", changed {spell(max(0.0, now - changed))} ago" if changed is not None else ""
        more = f" (of {len(self.policies)} that select them)" if len(self.policies) > 1 else ""
        return f"policy {shown[0].name}{since}{more}"


def cut_off(cluster: Cluster, source: str, target: str) -> CutOff:
    """Say which pods of `target` the pods of `source` are kept from."""
    senders = [pod for pod in cluster.pods.values() if pod.service == source]
    policies = sorted(cluster.policies.values(), key=lambda each: (-(each.changed_at or 0.0), each.name))
    own: dict[tuple[str, str], NetworkPolicy] = {}
    by: dict[tuple[str, str], NetworkPolicy] = {}
    cut: list[str] = []
    for pod in sorted(cluster.pods.values(), key=lambda each: each.name):
        if pod.service != target or pod.terminating:
            continue
        inward = [each for each in policies if each.admits is not None and _selects(each, pod)]
        own |= {(each.namespace, each.name): each for each in inward}
        for sender in senders:
            outward = [each for each in policies if each.reaches is not None and _selects(each, sender)]
            own |= {(each.namespace, each.name): each for each in outward}
            closed = [
                *(inward if not _open([each.admits or () for each in inward], sender, pod) else []),
                *(outward if not _open([each.reaches or () for each in outward], pod, sender) else []),
            ]
            if closed:
                by |= {(each.namespace, each.name): each for each in closed}
                cut.append(pod.name)
                break

    def newest(found: dict[tuple[str, str], NetworkPolicy]) -> tuple[NetworkPolicy, ...]:
        return tuple(each for each in policies if (each.namespace, each.name) in found)

    return CutOff(tuple(cut), newest(own), newest(by))


def _selects(policy: NetworkPolicy, pod: Pod) -> bool:
    return policy.namespace == pod.namespace and policy.selector.selects(pod.labels)


def _open(rules: Sequence[Rules], other: Pod, own: Pod) -> bool:
    """Tell whether any rule lets `other` through; without a policy everything is open."""
    return not rules or any(
        not peers or any(_is(peer, other, own) for peer in peers) for each in rules for peers in each
    )


def _is(peer: PolicyPeer, other: Pod, own: Pod) -> bool:
    if peer.elsewhere:
        return peer.pods is None or peer.pods.selects(other.labels)
    return peer.pods is not None and other.namespace == own.namespace and peer.pods.selects(other.labels)
