"""Says which validation lines judge a step, of whatever part of a sequence it is."""

from __future__ import annotations

import contextlib

from cockpit.model.plan import Plan
from cockpit.model.runbook import Runbooks, Step, Validation


def step_of(plan: Plan, runbooks: Runbooks) -> Step | None:
    """Return the runbook's step that was planned; None when the runbooks have none such."""
    with contextlib.suppress(KeyError):
        return runbooks.step(plan.runbook, plan.step)[1]
    return None


def continues(plan: Plan) -> bool:
    """Tell whether other parts of a sequence follow.

    The runbook's signals cannot hold before the last of them.
    """
    return plan.part is not None and plan.part.index + 1 < plan.part.of


def validation(plan: Plan, runbooks: Runbooks) -> tuple[Validation, ...]:
    """Return the lines of the step, of its sequence, else of its runbook."""
    if not plan.runbook or plan.undoes is not None or plan.harmless:
        return ()
    with contextlib.suppress(KeyError):
        runbook, step = runbooks.runbook(plan.runbook), step_of(plan, runbooks)
        if step is not None and step.observes:
            return ()
        own = step
        if plan.part is not None:
            with contextlib.suppress(KeyError):
                own = runbooks.step(plan.part.runbook, plan.part.sequence)[1]
                own = own if own.validation or own.holds else step
        if own is not None and (own.validation or own.holds):
            return own.validation
        return runbook.validation
    return ()


def judged(plan: Plan, runbooks: Runbooks) -> tuple[Validation, ...]:
    """Return the lines that are judged once this step is carried out."""
    return () if continues(plan) else validation(plan, runbooks)


def beside_a_stop(plan: Plan, runbooks: Runbooks) -> tuple[Validation, ...]:
    """Return the lines that still mean something once publishing is stopped.

    The metrics of what was stopped say nothing any more: the chain and the cluster do.
    """
    metrics = {name for name, signal in runbooks.signals.items() if signal.promql is not None}
    return tuple(line for line in judged(plan, runbooks) if line.signal not in metrics)
