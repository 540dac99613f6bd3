"""`evidence` writes a redacted bundle of what is known now into a file of its own.

It changes nothing in the world.

Keys: none. What is collected is for `Backends.evidence` to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.mitigation.kind import Draft
from cockpit.mitigation.outcome import Outcome
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.local import LocalStep, local_draft
from cockpit.model.plan import LocalCheck, Proof
from cockpit.text import safe

if TYPE_CHECKING:
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.kind import Intent, PlanRequest, Prepared, Ready


class EvidenceBundle(LocalStep):
    async def draft(self, request: PlanRequest, context: StepContext, salt: str) -> Draft:
        if context.backends.evidence is None:
            raise PlanProblem("nothing here can capture evidence", "use `m0-cockpit incident evidence`")
        effect = LocalCheck("captures evidence", {"for": safe(request.title, 200)})
        blast = "reads pods, logs, signals, the chain and the configuration; writes one redacted file here"
        target = context.target("Evidence", request.step.id if request.step else "evidence")
        return local_draft(effect, target, "m0-cockpit incident evidence", blast)

    async def send(
        self, prepared: Prepared, ready: Ready, context: StepContext, intent: Intent, on_progress: OnProgress
    ) -> Outcome:
        intent(ready.effect)
        collect = context.backends.evidence
        assert collect is not None
        on_progress("collecting")
        try:
            captured = await collect(prepared.plan.title)
        except Exception as error:  # whatever a collector meets: it is the answer
            on_progress(proof=Proof.FAIL)
            return Outcome("rejected", f"no evidence: {safe(error, 300) or type(error).__name__}")
        on_progress(output=(safe(str(captured.path), 300),), proof=Proof.NONE)
        return Outcome("sent", safe(captured.words, 500))


KIND = EvidenceBundle()
