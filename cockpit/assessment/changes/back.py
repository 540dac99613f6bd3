"""Finds the step of the runbooks that takes a change back, and fills it in with what was before.

Only where what was before is known whole: nothing is filled in that was not seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from cockpit.model.observed.changes import Back, Change
from cockpit.model.runbook import Runbook, Runbooks, Step

#: A step that goes one way only is none that goes back.
_ONE_WAY = ("raises", "lowers", "adds")


def back(change: Change, runbooks: Runbooks, lead: str = "") -> Back | None:
    """Return the step, one of the runbook `lead` before those of others; None: there is none."""
    found = [
        (runbook.id != lead, Back(runbook.id, step.id, parameters, step.title))
        for runbook in runbooks.runbooks
        for step in runbook.mitigations
        if (parameters := _filled(change, runbook, step)) is not None
    ]
    return min(found, key=lambda one: one[0])[1] if found else _whole_revision(change, runbooks)


def _filled(change: Change, runbook: Runbook, step: Step) -> dict[str, str] | None:
    """Return the parameters with which this very step sets what was before; None: it cannot."""
    before = change.before
    if before is None or not change.whole or step.direction in _ONE_WAY:
        return None
    match change.kind:
        case "image":
            fits = step.kind == "set-image" and change.field == "image" and "@sha256:" in before
            own = step.names_service_by_value or step.service == change.name
            return _given(step, {step.image or "": before}) if fits and own else None
        case "variable":
            if step.kind != "set-env" or step.service != change.name or list(step.env) != [change.field]:
                return None
            return _given(step, {step.env[change.field]: before})
        case "config":
            if step.kind != "set-config" or step.args.get("configmap") != change.name:
                return None
            wanted = {step.args.get("key", ""): change.field, step.args.get("value", ""): before}
            return _given(step, wanted)
        case "replicas":
            if step.kind != "scale" or step.service != change.name:
                return None
            return _given(step, {str(step.replicas): before})
        case "market":
            verb = "unpause" if before == "yes" else "pause"
            if step.kind != "command" or verb not in step.argv or step.args.get("kind") not in ("market", None):
                return None
            return _given(step, {"{market}": change.name}) if "{market}" in step.argv else None
    return None


def _given(step: Step, wanted: dict[str, str]) -> dict[str, str] | None:
    """Match what the step's texts must become: "{param}" is given, a literal must be it."""
    names = {param.name for param in step.params}
    values: dict[str, str] = {}
    for text, value in wanted.items():
        name = text[1:-1] if text[:1] == "{" and text[-1:] == "}" else ""
        if name in names:
            values[name] = value
        elif text != value:
            return None
    return values if names <= {*values, *_defaulted(step)} else None


def _defaulted(step: Step) -> Iterator[str]:
    return (param.name for param in step.params if param.default is not None)


def _whole_revision(change: Change, runbooks: Runbooks) -> Back | None:
    """Go back to the revision before, for what no step sets by itself."""
    if not change.revision or change.owner != "Deployment":
        return None
    for runbook in runbooks.runbooks:
        for step in runbook.mitigations:
            if step.kind == "undo-rollout" and step.names_service_by_value and len(step.params) == 1:
                return Back(runbook.id, step.id, {step.params[0].name: f"{change.name}:{change.revision}"}, step.title)
    return None
