"""Tells which deployments run an image that another one preceded, and since when."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from cockpit.model.observed.cluster import Cluster
from cockpit.model.reading import spell


@dataclass(frozen=True, slots=True)
class Release:
    """Describes the newest change of a deployment's image."""

    namespace: str
    name: str
    age_s: float

    @property
    def words(self) -> str:
        """Return "m0-submitter 12 min ago", for example."""
        return f"{self.name} {spell(self.age_s)} ago"


def releases(cluster: Cluster, now: float, names: Collection[str] = ()) -> list[Release]:
    """Return the newest release of each deployment (of `names`, when given), the newest first.

    Revisions that changed something else since (a restart, a variable) do not hide it. `now`: unix
    seconds on the cluster's clock.
    """
    owned: dict[tuple[str, str], list[tuple[int, float | None, tuple[str, ...]]]] = {}
    for one in cluster.replicasets.values():
        owned.setdefault((one.namespace, one.owner_name), []).append((one.revision, one.created_at, tuple(one.images)))
    found: list[Release] = []
    for workload in cluster.workloads.values():
        if workload.kind != "Deployment" or (names and workload.name not in names):
            continue
        own = sorted(owned.get((workload.namespace, workload.name), []), key=lambda each: each[0])
        first = next((place for place in range(len(own) - 1, 0, -1) if own[place - 1][2] != own[-1][2]), 0)
        began = own[first][1] if first else None
        if began is not None:
            found.append(Release(workload.namespace, workload.name, max(0.0, now - began)))
    return sorted(found, key=lambda each: (each.age_s, each.name))
