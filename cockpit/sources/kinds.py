"""Which kinds the cockpit watches, where their API lives, and how one object becomes an entry of the topic's data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from cockpit.kubeapi import convert, wire


def _by_uid(value: Any) -> Any:
    return value.uid


def _by_name(value: Any) -> Any:
    return (value.namespace, value.name)


@dataclass(frozen=True)
class Kind:
    """One kind of object. `base` is the API's path; `key` and `convert` shape the topic's data; `optional` APIs may be absent."""

    plural: str
    base: str
    decoder: msgspec.json.Decoder[Any]
    convert: Callable[[Any], Any]
    key: Callable[[Any], Any] = _by_name
    optional: bool = False
    bound: int | None = None  # keep the newest so many (by `last_seen`)

    def path(self, namespace: str) -> str:
        return f"{self.base}/namespaces/{namespace}/{self.plural}"


_WORKLOAD = msgspec.json.Decoder(wire.WorkloadW)

PODS = Kind("pods", "/api/v1", msgspec.json.Decoder(wire.PodW), convert.pod, _by_uid)
CONFIGMAPS = Kind("configmaps", "/api/v1", msgspec.json.Decoder(wire.ConfigMapW), convert.configmap)
KINDS = (
    PODS,
    Kind("deployments", "/apis/apps/v1", _WORKLOAD, convert.deployment),
    Kind("statefulsets", "/apis/apps/v1", _WORKLOAD, convert.statefulset),
    Kind("replicasets", "/apis/apps/v1", _WORKLOAD, convert.replicaset),
    Kind("events", "/api/v1", msgspec.json.Decoder(wire.EventW), convert.event, _by_uid, bound=5000),
    Kind(
        "horizontalpodautoscalers", "/apis/autoscaling/v2", msgspec.json.Decoder(wire.AutoscalerW), convert.autoscaler,
        optional=True,
    ),
)  # fmt: skip
