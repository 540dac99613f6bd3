"""Holds what the guards are told of the cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cockpit.kubeapi.access_review import Review
from cockpit.mitigation.cluster import lease
from cockpit.model.observed.cluster import Autoscaler


@dataclass(frozen=True, slots=True)
class Facts:
    review: Review
    autoscalers: Sequence[Autoscaler] | None  # that target the subject; None: not known
    autoscalers_reason: str
    lease: lease.Held
    identity: str
    pods_left: int | None  # of the subject, terminating ones included; None: not asked or not known
    pods_reason: str
    others: str = ""  # pods of other owners that bear the subject's labels
    runs_already: int = 0  # pods that run with the template that the change leads to
    namesake: str = ""  # the workload of the other kind and the same name, "" where there is none
    namesake_reason: str = ""  # why it cannot be told
    unnamed: bool = False  # the server does not say as whom it knows us
