"""Builds objects of a cluster that is well, for tests to change what they are about."""

from __future__ import annotations

from typing import Any

from cockpit.model.observed.cluster import Workload


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
