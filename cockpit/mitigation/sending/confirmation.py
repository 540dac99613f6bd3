"""Holds what was confirmed against the plan that was shown."""

from __future__ import annotations

from cockpit.mitigation.problem import PlanProblem
from cockpit.model.plan import PLAN_EXPIRES_S, Confirmation, Plan


def check_confirmation(plan: Plan, confirmation: Confirmation, mono: float, read_only: bool) -> None:
    """Check that the operator said yes to this very plan, in time, and typed what was asked.

    Raises PlanProblem.
    """
    if read_only and not plan.harmless:
        raise PlanProblem("the cockpit is read-only", "start it without --read-only")
    if confirmation.plan_id != plan.id or confirmation.digest != plan.digest:
        raise PlanProblem("the confirmation is for another plan: nothing was sent", "plan again")
    if max(mono, confirmation.mono) - plan.created_mono > PLAN_EXPIRES_S:
        raise PlanProblem(f"the plan is older than {PLAN_EXPIRES_S:.0f} s: nothing was sent", "plan again")
    if plan.nothing_to_do:
        raise PlanProblem("nothing would change: nothing was sent", "it is already as the step makes it")
    if plan.blocked:
        raise PlanProblem(f"blocked by {plan.blocked[0].guard}: {plan.blocked[0].reason}", "nothing was sent")
    if plan.typed is not None and confirmation.typed != plan.typed:
        raise PlanProblem(f"{plan.typed} was not typed: nothing was sent", f"type {plan.typed} to go on")
