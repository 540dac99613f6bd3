"""Finds who reads a ConfigMap's key, and whether they see a change without a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation.cluster.objects import WORKLOADS, collection_path, pod_spec


@dataclass(frozen=True, slots=True)
class Consumer:
    """Describes a workload that reads the key.

    `restart`: its pods see the new value only after a restart.
    """

    kind: str
    name: str
    how: str
    restart: bool

    @property
    def words(self) -> str:
        tail = (
            "needs a restart to see it" if self.restart else "sees it within about a minute, if it reads the file again"
        )
        return f"{self.name} takes it {self.how}: {tail}"


Workloads = tuple[tuple[str, Mapping[str, Any]], ...]


async def workloads(client: KubeClient, namespace: str) -> Workloads:
    """Return (kind, object) of every Deployment and StatefulSet.

    Raises KubeError.
    """
    listed = await asyncio.gather(*(client.get(collection_path(kind, namespace)) for kind in WORKLOADS))
    return tuple(
        (kind, obj) for kind, answer in zip(WORKLOADS, listed, strict=True) for obj in answer.get("items") or []
    )


def consumers(found: Workloads, configmap: str, key: str) -> tuple[Consumer, ...]:
    """Return the workloads whose template takes the key."""
    return tuple(
        Consumer(kind, str(obj["metadata"]["name"]), how, restart)
        for kind, obj in found
        for how, restart in dict.fromkeys(_takes(pod_spec(obj), configmap, key))
    )


def _takes(spec: Mapping[str, Any], configmap: str, key: str) -> Iterator[tuple[str, bool]]:
    mounted = {str(v["name"]): v for v in spec.get("volumes") or [] if _holds(v, configmap, key)}
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        for source in container.get("envFrom") or []:
            if (source.get("configMapRef") or {}).get("name") == configmap:
                yield "as environment (envFrom)", True
        for variable in container.get("env") or []:
            ref = (variable.get("valueFrom") or {}).get("configMapKeyRef") or {}
            if (ref.get("name"), ref.get("key")) == (configmap, key):
                yield f"as environment ({variable.get('name')})", True
        for mount in container.get("volumeMounts") or []:
            if mount.get("name") in mounted:
                # a subPath mount is a copy made when the container started (Kubernetes docs,
                # "ConfigMaps")
                whole = not (mount.get("subPath") or mount.get("subPathExpr"))
                yield ("as a file", False) if whole else ("as a file by subPath", True)


def _holds(volume: Mapping[str, Any], configmap: str, key: str) -> bool:
    sources = [volume.get("configMap") or {}]
    sources += [s.get("configMap") or {} for s in (volume.get("projected") or {}).get("sources") or []]
    return any(
        s.get("name") == configmap and (not s.get("items") or any(i.get("key") == key for i in s["items"]))
        for s in sources
    )
