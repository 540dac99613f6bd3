"""Builds objects of a cluster that is well, for tests to change what they are about."""

from __future__ import annotations

from typing import Any

from cockpit.model.observed.cluster import Cluster, Pod, Workload
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation


def sample_workload(**changes: Any) -> Workload:
    """Build a Deployment of one ready replica, with what `changes` says otherwise."""
    usual: dict[str, Any] = {
        "kind": "Deployment",
        "uid": "u",
        "namespace": "m0-prod",
        "name": "m0-submitter",
        "resource_version": "1",
        "generation": 1,
        "observed_generation": 1,
        "created_at": None,
        "labels": {},
        "annotations": {},
        "selector": {},
        "desired": 1,
        "replicas": 1,
        "ready": 1,
        "updated": 1,
        "available": 1,
        "unavailable": 0,
        "paused": False,
        "strategy": "Recreate",
        "max_surge": "",
        "max_unavailable": "",
        "containers": (),
        "conditions": (),
    }
    return Workload(**{**usual, **changes})


def sample_pod(**changes: Any) -> Pod:
    """Build a running pod of one ready container, with what `changes` says otherwise."""
    usual: dict[str, Any] = {
        "uid": "u",
        "namespace": "m0-prod",
        "name": "m0-submitter-1",
        "resource_version": "1",
        "created_at": None,
        "deleted_at": None,
        "labels": {},
        "owner_kind": "ReplicaSet",
        "owner_name": "rs",
        "service": "m0-submitter",
        "phase": "Running",
        "reason": "Running",
        "message": "",
        "ready": 1,
        "total": 1,
        "restarts": 0,
        "node": "",
        "containers": (),
        "conditions": (),
    }
    return Pod(**{**usual, **changes})


def sample_situation(*, wall: float, mono: float, **changes: Any) -> Situation:
    """Build a situation of an empty production namespace, with what `changes` says otherwise."""
    usual: dict[str, Any] = {
        "context": "prod-eu",
        "namespaces": ("m0-prod",),
        "production": True,
        "read_only": False,
        "cluster": Cluster(),
        "cluster_now": wall,
        "services": (),
        "kinds": {},
        "queries": {},
        "alerts": (),
        "sources": (),
        "signals": {},
        "stages": (),
        "matches": (),
        "toggles": (),
        "runbooks": Runbooks(queries={}, signals={}, stages=(), services={}, toggles={}, runbooks=()),
    }
    return Situation(wall=wall, mono=mono, **{**usual, **changes})
