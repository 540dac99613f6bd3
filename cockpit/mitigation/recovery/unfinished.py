"""Compares each intent without an outcome with the cluster, after a crash or hang-up.

What is found is journalled.

A command or a statement that cannot be read back is "unknown: it may have run": looking again would
tell no more, so that is journalled too, once. What only could not be read now stays open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.journal.entries import PUT_BACK, changes_of, entries_of, target_of
from cockpit.journal.journal import Journal, JournalProblem
from cockpit.kubeapi.errors import KubeError
from cockpit.mitigation.context import StepContext
from cockpit.mitigation.outcome import Judgement
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.sending import records
from cockpit.mitigation.steps.registry import KINDS
from cockpit.model.plan import Unfinished
from cockpit.secrets import KeyMissing

_JUDGEMENTS = {"applied": "applied", "not applied": "not applied", "changed": "changed since", "gone": "changed since"}


async def judge_all(context: StepContext, journal: Journal) -> tuple[Unfinished, ...]:
    """Judge those of this context and namespace; others stay for a cockpit that looks there.

    What cannot be read stays too.
    """
    found = []
    for intent in journal.unfinished():
        target = target_of(intent)
        if (target.context, target.namespace) != context.place:
            continue
        judged = await judge(context, intent)
        judgement = _JUDGEMENTS.get(judged.state, "unknown")
        entry = entries_of(journal.records()).get(int(intent["number"]))
        if judgement == "not applied" and entry is not None and entry.applied:
            judgement, judged = PUT_BACK, Judgement(judged.state, f"it was applied, and put back since: {judged.words}")
        if judgement != "unknown" or judged.final:
            try:
                journal.append(records.judged(int(intent["number"]), judgement, judged.words))
            except JournalProblem as problem:
                judged = Judgement(judged.state, f"{judged.words} (not journalled: {problem.line()})")
        found.append(
            Unfinished(
                number=int(intent["number"]),
                title=str(intent["title"]),
                target=target.words,
                judgement=judgement,
                explanation=judged.words,
                changes=changes_of(intent),
            )
        )
    return tuple(found)


async def judge_uncertain(context: StepContext, journal: Journal, number: int) -> None:
    """Look again at one whose outcome nobody knew, because it shall be taken back.

    Only "applied" is journalled: what is not there so far may still come. Raises PlanProblem.
    """
    entry = entries_of(journal.records()).get(number)
    if entry is None or entry.judged is not None or entry.outcome is None or entry.outcome["result"] != "uncertain":
        return
    judged = await judge(context, entry.intent)
    if judged.state == "applied":
        journal.append(records.judged(number, "applied", judged.words))
    elif judged.state != "unknown":
        raise PlanProblem(f"step {number} is not there to be taken back: {judged.words}", "look again in a moment")


async def judge(context: StepContext, intent: Mapping[str, Any]) -> Judgement:
    """Ask the intent's kind of step what became of it."""
    kind = KINDS.get(str(intent["step_kind"]))
    if kind is None:
        return Judgement("unknown", f"this version knows no step of kind {intent['step_kind']}")
    try:
        return await kind.judge(intent, context)
    except (KubeError, PlanProblem, KeyMissing) as error:
        return Judgement("unknown", f"it may have run; it cannot be read back: {error.line()}")
