"""`check` judges the signals that a step names, now, and journals the answer.

It changes nothing.

Keys: `signals`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.mitigation.kind import Draft
from cockpit.mitigation.outcome import Outcome
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.local import LocalStep, local_draft
from cockpit.model.held import judged_by
from cockpit.model.plan import LocalCheck, Proof
from cockpit.model.runbook import Step
from cockpit.model.signal import Level
from cockpit.model.situation import Situation

if TYPE_CHECKING:
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.kind import Intent, PlanRequest, Prepared, Ready


class Check(LocalStep):
    async def draft(self, request: PlanRequest, context: StepContext, salt: str) -> Draft:
        step = request.step
        if step is None or not step.signals:
            raise PlanProblem("the step names no signal", "correct runbooks.toml: signals")
        effect = LocalCheck("evaluates signals now", {"signals": ", ".join(step.signals)})
        target = context.target("Signals", step.id)
        return local_draft(effect, target, "m0-cockpit status", "reads what is known; changes nothing")

    async def send(
        self, prepared: Prepared, ready: Ready, context: StepContext, intent: Intent, on_progress: OnProgress
    ) -> Outcome:
        effect = ready.effect
        intent(effect)
        assert isinstance(effect, LocalCheck)
        situation = judged_by(context.situation(), context.clock.mono())
        proof, lines = evaluate(effect.inputs["signals"].split(", "), situation)
        words = "; ".join(
            f"{name} {level.value}" + (f" ({why})" if why and level is not Level.OK else "")
            for name, level, why in lines
        )
        on_progress(output=tuple(f"{level.value.upper():<8} {name}: {why}" for name, level, why in lines), proof=proof)
        return Outcome("sent", words)


KIND = Check()


def evaluate(
    signals: Step | list[str], situation: Situation | None
) -> tuple[Proof, tuple[tuple[str, Level, str], ...]]:
    """Judge signals, and return the verdict with (signal, level, words) of each.

    PASS when every signal is OK, FAIL when one is bad, else UNKNOWN.
    """
    lines: list[tuple[str, Level, str]] = []
    for name in signals.signals if isinstance(signals, Step) else signals:
        status = situation.signals.get(name) if situation is not None else None
        if status is None:
            lines.append((name, Level.UNKNOWN, "nothing is known of it"))
        else:
            value = "" if status.value is None else f"{status.value:.4g} {status.unit}".rstrip()
            lines.append((name, status.level, status.reason or f"{status.title} {value}".rstrip()))
    levels = {level for _, level, _ in lines}
    if levels & {Level.WARN, Level.CRIT}:
        return Proof.FAIL, tuple(lines)
    return (Proof.PASS if levels == {Level.OK} else Proof.UNKNOWN), tuple(lines)
