"""Presets what a step asks for: the safe choice by what holds now; form and command line alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cockpit.mitigation.choices.effects import effect
from cockpit.mitigation.choices.live import choices, joined
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
        source = param.choices_from or ""
        listed = choices(param, runbooks, endpoints, situation) if source in WORKED_OUT or BEFORE in source else []
        value = next((one for one, _ in listed if _goes_on(step, param, one, situation)), None)
        if value is None:
            value = preset(step, param, situation)
        if value is None and param.default is None:
            offered = [one for one, _ in choices(param, runbooks, endpoints, situation)]
            value = next((one for one in offered if _goes_on(step, param, one, situation)), None)
        if value is not None:
            found[param.name] = value
    return found


#: Live lists of numbers that are worked out: the first is a default without a screen, too.
WORKED_OUT = ("agents-for-keys", "next-signer-set", "signer-threshold")
#: The head of the list of what the journal knows of before: it goes before the runbook's default.
BEFORE = "before:"
_FURTHER = 2  # more values that a form offers beyond the preset


def defaults(step: Step, runbooks: Runbooks, situation: Situation | None) -> dict[str, str]:
    """Return what stands for parameters that are not given: never which market or image."""
    found = presets(step, runbooks, (), situation)
    known = {p.name for p in step.params if p.default is not None or p.choices_from in WORKED_OUT}
    return {name: value for name, value in found.items() if name in known}


def exhausted(step: Step, given: Mapping[str, str], runbooks: Runbooks, situation: Situation | None) -> str:
    """Say why nothing can be put for a parameter that is not given: its target went all the way.

    Then the runbook's default would move it the other way; "" where something can.
    """
    found = presets(step, runbooks, (), situation)
    for param in step.params:
        now = _now(step, param, situation)
        if param.default is None or param.name in given or param.name in found or now is None:
            continue
        bound = param.minimum if step.direction == "lowers" else param.maximum
        end = "" if bound is None else f" ({'at least' if step.direction == 'lowers' else 'at most'} {bound})"
        what = param.title or param.name
        return f"{what} {'is' if now else 'are'} {now or 'empty'} already: nothing {step.direction} it further{end}"
    return ""


def offers(
    step: Step, param: Param, runbooks: Runbooks, endpoints: Sequence[RpcEndpoint], situation: Situation | None
) -> list[tuple[str, str]]:
    """Return what a form offers: live or fixed values, each with what it would do now."""
    now = _now(step, param, situation)
    listed = choices(param, runbooks, endpoints, situation)
    if now is None or step.direction is None:
        return listed
    if listed:
        return [(value, joined(_would(step, param, now, value), note)) for value, note in listed]
    first = preset(step, param, situation)
    if param.type != "int" or first is None or step.direction not in ("raises", "lowers"):
        return []
    values = [first]
    for _ in range(_FURTHER):
        further = safe_value(step.direction, values[-1], int(values[-1]), param.minimum, param.maximum)
        if further is not None and str(further) not in values:
            values.append(str(further))
    return [(value, joined(f"{now} → {value}", effect(step, value, situation))) for value in values]


def _would(step: Step, param: Param, now: str, value: str) -> str:
    if value == now:
        return "as now"
    against = step.direction is not None and way(step.direction, now, value, param.choices) is Way.AGAINST
    return f"the wrong way: now {now}" if against else ""


def now_of(step: Step, situation: Situation | None) -> dict[str, str]:
    """Return what each parameter's target is now, where that is known."""
    known = {param.name: _now(step, param, situation) for param in step.params}
    return {name: value for name, value in known.items() if value is not None}


def _goes_on(step: Step, param: Param, value: str, situation: Situation | None) -> bool:
    """Tell whether a value on offer goes the step's way, as far as that is known."""
    now = _now(step, param, situation)
    if now is None or step.direction is None:
        return True
    found = way(step.direction, now, value)
    return found is Way.ALONG if step.direction in ("raises", "lowers") else found is not Way.AGAINST


def _now(step: Step, param: Param, situation: Situation | None) -> str | None:
    """Return the value now of what the parameter sets; None: not known."""
    name = next((name for name, text in values_set(step).items() if text == "{" + param.name + "}"), None)
    return value_now(step, name, situation) if name is not None and situation is not None else None


def preset(step: Step, param: Param, situation: Situation | None) -> str | None:
    """Return the runbook's default, or what goes the step's way from the value now instead.

    None where there is no default, or nothing goes that way any more.
    """
    if param.default is None or situation is None or step.direction is None:
        return None if param.default is None else str(param.default)
    now = _now(step, param, situation)
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
