"""Guards a step's own sense: which way it goes, and what the runbook allows it by.

Judged at the plan and again at the send. What cannot be known is unknown, never well.
"""

from __future__ import annotations

from cockpit.mitigation.kind import Draft
from cockpit.mitigation.planning.result import result
from cockpit.model.held import judged_by
from cockpit.model.plan import Change, GuardResult, Verdict
from cockpit.model.runbook import Runbooks, Step
from cockpit.model.sections.order import Way, against_words, way
from cockpit.model.situation import Situation
from cockpit.model.step_previews import value_behind


def backwards(step: Step | None, draft: Draft, runbooks: Runbooks, situation: Situation | None) -> GuardResult | None:
    """Stop a step that would move what it sets the other way, with the figure."""
    if step is None or step.direction is None or not draft.changes:
        return None
    against, unknown = [], []
    for change in draft.changes:
        before, why = _before(step, change, draft, runbooks, situation)
        variable = runbooks.variable(change.field)
        levels = variable.values if variable is not None else ()
        found = way(step.direction, before, change.after or "", levels)
        if found is Way.AGAINST:
            against.append(against_words(change.field, step.direction, before or "", change.after or ""))
        elif found is Way.UNKNOWN:
            shown = why or f"now {before or '(empty)'}"
            unknown.append(f"{change.field}: {shown}: not known whether {change.after} {_verb(step.direction)} it")
    if against:
        return result("backwards", Verdict.CONFIRM, "; ".join(against), *against)
    if unknown:
        return result("backwards", Verdict.UNKNOWN, "; ".join(unknown), *unknown)
    return None


def _verb(direction: str) -> str:
    return "adds to" if direction == "adds" else direction


def _before(
    step: Step, change: Change, draft: Draft, runbooks: Runbooks, situation: Situation | None
) -> tuple[str | None, str]:
    """Return the value now, or None and why it is not known.

    What is not set means what its variable says; a reference is followed to a ConfigMap.
    """
    if change.before is not None and not change.before.startswith(REFERENCES):
        return change.before, ""
    namespace = draft.target.namespace
    if change.before is not None:
        return value_behind(change.before, namespace, situation), f"now from {change.before}"
    if "envFrom" in change.note:
        return None, "now not set by itself, and may come from envFrom"
    return unset_value(change.field, namespace, runbooks, situation), "now not set"


#: How a variable's source is spelt where it is no literal.
REFERENCES = ("secret ", "configmap ", "field ", "reference ")


def unset_value(name: str, namespace: str, runbooks: Runbooks, situation: Situation | None) -> str | None:
    """Return what a variable means that is not set; None where nobody says."""
    toggle = runbooks.toggles.get(name)
    if toggle is not None and toggle.configmap is not None:
        found = value_behind(f"configmap {toggle.configmap}/{name}", namespace, situation)
        if found is not None:
            return found
    variable = runbooks.variable(name)
    if variable is None or variable.unset is None:
        return None
    if variable.unset.startswith("configmap "):
        return value_behind(variable.unset, namespace, situation)
    return variable.unset


def allowed(step: Step | None, runbooks: Runbooks, situation: Situation | None, mono: float) -> GuardResult | None:
    """Stop a step that the runbook allows only if something holds that does not, or is unknown."""
    if step is None or not (step.requires or step.unless):
        return None
    now = judged_by(situation, mono)
    known = now.conditions if now is not None else {}
    wrong, unknown, met = [], [], []
    for name, wanted in (*((n, True) for n in step.requires), *((n, False) for n in step.unless)):
        condition = runbooks.conditions.get(name)
        if condition is None:
            continue
        text = f"{'only if' if wanted else 'not if'} {condition.text}"
        status = known.get(name)
        if status is None or status.held is None:
            unknown.append((name, f"{text}: not known, {status.because if status else 'nothing is measured'}"))
        elif status.held is not wanted:
            wrong.append((name, f"{text}: {status.because}"))
        else:
            met.append(f"{text}: {status.because}")
    about = [*(f"{name} not met" for name, _ in wrong), *(f"{name} unknown" for name, _ in unknown)]
    if wrong:
        return result("only-if", Verdict.CONFIRM, "; ".join(words for _, words in (*wrong, *unknown)), *about)
    if unknown:
        return result("only-if", Verdict.UNKNOWN, "; ".join(words for _, words in unknown), *about)
    return result("only-if", Verdict.PASS, "; ".join(met))
