"""Stages of a change to a singleton whose rolling update would run two at once.

Stop, wait until it is gone, change, start: each stage is a step of its own, confirmed on its own.
"""

from __future__ import annotations

from typing import Any

from cockpit.mitigation.cluster.objects import replicas, surge_of
from cockpit.mitigation.kind import Draft
from cockpit.model.runbook import Step

STOP, START = "stop", "start"


def stages_of(draft: Draft, kind: str) -> str:
    """Say how it would be done in stages; "" when it need not or cannot be."""
    patch = draft.patch
    if patch is None or not (patch.subject.service.singleton and patch.template and draft.changes):
        return ""
    count = replicas(patch.subject.obj)
    if count != 1 or surge_of(patch.subject.obj, count).surge == 0:
        return ""
    change = "" if kind == "restart" else "change it, "
    return f"scale {patch.subject.name} to 0, wait until no pod is left, {change}scale to 1"


def staged(step: Step) -> tuple[Step, ...]:
    """Return the stages as steps.

    A restart needs no change between: the new pod is one.
    """
    common: dict[str, Any] = {"service": step.service, "kind": "scale", "signals": step.signals}
    name = step.service
    if step.names_service_by_value:
        common, name = {**common, "params": step.params}, "its service"
    stop = Step(id=f"{step.id}.{STOP}", title=f"Stop {name}, for: {step.title}", replicas=0, **common)
    start = Step(id=f"{step.id}.{START}", title=f"Start {name} again", replicas=1, **common)
    return (stop, start) if step.kind == "restart" else (stop, step, start)
