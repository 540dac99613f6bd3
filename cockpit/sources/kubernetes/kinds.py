"""Lists the kinds that are watched: where their API lives, and how an object becomes an entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from cockpit.kubeapi import convert, wire
from cockpit.sources.kubernetes import network_policies as policies
from cockpit.sources.kubernetes.configmaps import configmap


def _by_uid(value: Any) -> Any:
    return value.uid


def _by_name(value: Any) -> Any:
    return (value.namespace, value.name)


@dataclass(frozen=True)
class Kind:
    """Describes one kind of object.

    `base` is the API's path; `shape` what is read of one; `key` and `convert` shape the topic's
    data; `optional` APIs may be absent. What is `spared` may be refused too: without it something
    is known less exactly, and nothing wrongly.
    """

    plural: str
    base: str
    shape: type[msgspec.Struct]
    convert: Callable[[Any], Any]
    key: Callable[[Any], Any] = _by_name
    optional: bool = False
    spared: bool = False
    bound: int | None = None  # keep the newest so many (by `last_seen`)

    @cached_property
    def decoder(self) -> msgspec.json.Decoder[Any]:
        """Decode one object."""
        return msgspec.json.Decoder(self.shape)

    @cached_property
    def lists(self) -> msgspec.json.Decoder[wire.Items[Any]]:
        """Decode one page of a list."""
        return msgspec.json.Decoder(wire.Items[self.shape])  # type: ignore[name-defined]

    @cached_property
    def events(self) -> msgspec.json.Decoder[wire.Change[Any]]:
        """Decode a watch event with its object: one pass over a line instead of two."""
        return msgspec.json.Decoder(wire.Change[self.shape])  # type: ignore[name-defined]

    def path(self, namespace: str) -> str:
        return f"{self.base}/namespaces/{namespace}/{self.plural}"


PODS = Kind("pods", "/api/v1", wire.PodW, convert.pod, _by_uid)
CONFIGMAPS = Kind("configmaps", "/api/v1", wire.ConfigMapW, configmap)
KINDS = (
    PODS,
    Kind("deployments", "/apis/apps/v1", wire.WorkloadW, convert.deployment),
    Kind("statefulsets", "/apis/apps/v1", wire.WorkloadW, convert.statefulset),
    Kind("replicasets", "/apis/apps/v1", wire.WorkloadW, convert.replicaset),
    Kind("events", "/api/v1", wire.EventW, convert.event, _by_uid, bound=5000),
    Kind(
        "horizontalpodautoscalers",
        "/apis/autoscaling/v2",
        wire.AutoscalerW,
        convert.autoscaler,
        optional=True,
    ),
    Kind(
        "networkpolicies",
        "/apis/networking.k8s.io/v1",
        policies.NetworkPolicyW,
        policies.network_policy,
        optional=True,
        spared=True,
    ),
    Kind("jobs", "/apis/batch/v1", wire.JobW, convert.job, optional=True, spared=True),
)
