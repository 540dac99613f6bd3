"""A singleton whose rolling update would run two at once, changed in stages: stop, wait until gone,
change, start.

Facts: "Roles and who may run more than one". Each stage is a step of its own, confirmed on its own.
"""

from __future__ import annotations

from cockpit.mitigation.cluster.objects import Subject, replicas, surge_of
from cockpit.mitigation.steps.kind import Draft
from cockpit.model.runbook import Step

STOP, START = "stop", "start"


def stages_of(draft: Draft, subject: Subject, kind: str) -> str:
    """How it would be done in stages, in words; "" when it need not or cannot be."""
    count = replicas(subject.obj) if subject.service.singleton and draft.template and draft.changes else 0
    if count != 1 or surge_of(subject.obj, count).surge == 0:
        return ""
    change = "" if kind == "restart" else "change it, "
    return f"scale {subject.name} to 0, wait until no pod is left, {change}scale to 1"


def staged(step: Step) -> tuple[Step, ...]:
    """The stages as steps.

    A restart needs no change between: the new pod is one.
    """
    common = {"service": step.service, "kind": "scale", "signals": step.signals}
    stop = Step(id=f"{step.id}.{STOP}", title=f"Stop {step.service}, for: {step.title}", replicas=0, **common)  # type: ignore[arg-type]
    start = Step(id=f"{step.id}.{START}", title=f"Start {step.service} again", replicas=1, **common)  # type: ignore[arg-type]
    return (stop, start) if step.kind == "restart" else (stop, step, start)
