"""Presets what a step asks for: the safe choice by what holds now; form and command line alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cockpit.mitigation.choices.live import choices
from cockpit.model.sections.order import Way, safe_value, way
from cockpit.model.step_previews import value_now, values_set

if TYPE_CHECKING:
    from cockpit.model.runbook import Param, Runbooks, Step
    from cockpit.model.situation import Situation
    from cockpit.sources.solana.settings import RpcEndpoint


def presets(
    step: Step, runbooks: Runbooks, endpoints: Sequence[RpcEndpoint], situation: Situation | None
) -> dict[str, str]:
    """Return what each parameter starts with; one of which nothing is known is left out."""
    found: dict[str, str] = {}
    for param in step.params:
        value = preset(step, param, situation)
        if value is None and param.default is None:
            value = next((one for one, _ in choices(param, runbooks, endpoints, situation)), None)
        if value is not None:
            found[param.name] = value
    return found


def preset(step: Step, param: Param, situation: Situation | None) -> str | None:
    """Return the runbook's default, or what goes the step's way from the value now instead.

    None where there is no default, or nothing goes that way any more.
    """
    if param.default is None or situation is None or step.direction is None:
        return None if param.default is None else str(param.default)
    name = next((name for name, text in values_set(step).items() if text == "{" + param.name + "}"), None)
    now = value_now(step, name, situation) if name is not None else None
    if now is None:
        return str(param.default)
    if param.choices:
        if way(step.direction, now, str(param.default), param.choices) is not Way.AGAINST:
            return str(param.default)
        return next((one for one in param.choices if way(step.direction, now, one, param.choices) is Way.ALONG), None)
    if not isinstance(param.default, int):
        return str(param.default)
    value = safe_value(step.direction, now, param.default, param.minimum, param.maximum)
    return None if value is None else str(value)
