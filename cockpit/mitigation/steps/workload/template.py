"""Holds what the kinds share that change the pod template.

The body's frame, the blast radius, the fields that decide a surge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.mitigation.cluster.objects import Subject, container_names, grace_s, paused, replicas, strategy, surge_of
from cockpit.model.plan import GuardResult, Verdict

CHANGE_CAUSE = "kubernetes.io/change-cause"


def body(template: Mapping[str, Any], cause: str | None) -> dict[str, Any]:
    """Return a strategic-merge patch of the template.

    `cause` goes into the same request, so that it is not a second change.
    """
    frame: dict[str, Any] = {"spec": {"template": template}}
    return {"metadata": {"annotations": {CHANGE_CAUSE: cause}}, **frame} if cause else frame


def context_fields(obj: Mapping[str, Any], scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the guards and the effect were judged by, beside the change itself."""
    fields: dict[str, Any] = {"spec.paused": paused(obj), "spec.strategy": strategy(obj)}
    if scope.get("singleton"):
        fields["spec.replicas"] = replicas(obj)
    return fields


def replaced_of(obj: Mapping[str, Any], count: int) -> tuple[int, str]:
    """Return how many pods a change of the template replaces, and what holds the others back."""
    if obj.get("kind") != "StatefulSet":
        return count, ""
    update = strategy(obj)
    if str(update.get("type") or "RollingUpdate") == "OnDelete":
        return 0, "its update strategy is OnDelete, each changes only when it is deleted by hand"
    partition = int((update.get("rollingUpdate") or {}).get("partition") or 0)
    left = max(0, count - partition)
    return left, f"partition {partition} holds {count - left} back" if partition and left < count else ""


def replacing(subject: Subject) -> tuple[GuardResult, ...]:
    """Ask for a look where a change of the template leaves pods as they are."""
    count = replicas(subject.obj)
    replaced, held = replaced_of(subject.obj, count)
    if not held or not count:
        return ()
    return (GuardResult("update-strategy", Verdict.CONFIRM, f"{replaced} of {count} pods are replaced: {held}"),)


def blast(subject: Subject, container: str | None) -> tuple[str, ...]:
    """Say how many pods are replaced and how, and what is left alone."""
    obj, count = subject.obj, replicas(subject.obj)
    if count == 0:
        lines = ["0 replicas: no pod is replaced now; it holds for the next pod that starts"]
    else:
        replaced, held = replaced_of(obj, count)
        lines = [f"{replaced} of {count} pod{'s' if count > 1 else ''} replaced: " + (held or f"all of {subject.name}")]
        kind = str(strategy(obj).get("type") or "RollingUpdate")
        surge = surge_of(obj, count)
        if subject.kind == "StatefulSet":
            if replaced:
                lines.append(f"statefulset, {kind}: one pod after the other, from the highest number down")
        elif kind == "Recreate":
            lines.append("strategy Recreate: every old pod ends before a new one starts; never two generations at once")
        else:
            lines.append(
                f"strategy {kind} ({surge.words}): up to {count + surge.surge} pods at once, "
                f"at least {max(0, count - surge.unavailable)} ready"
            )
        lines.append(f"each pod has {grace_s(obj)} s to end")
    if subject.service.publishes and count:
        lines.append("publishing pauses while the pods are replaced")
    others = [name for name in container_names(obj) if name != container]
    if container is not None and others:
        lines.append(f"only container {container}; {', '.join(others)} left alone (kubectl would touch every one)")
    return tuple(lines)
