"""`evidence`: a redacted bundle of what is known now, in a file of its own.

It changes nothing in the world.

Keys: none. What is collected is for `Backends.evidence` to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cockpit.mitigation.outcome import Outcome
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.steps.kind import Draft
from cockpit.mitigation.steps.local import Local, local_draft
from cockpit.model.plan import LocalCheck, Proof
from cockpit.text import safe

if TYPE_CHECKING:
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.steps.kind import PlanRequest, Prepared


class EvidenceBundle(Local):
    kind = "evidence"

    async def draft(self, wish: PlanRequest, office: StepContext) -> Draft:
        if office.backends.evidence is None:
            raise PlanProblem("nothing here can capture evidence", "use `m0-cockpit incident evidence`")
        effect = LocalCheck("captures evidence", {"for": safe(wish.title, 200)})
        blast = ("reads pods, logs, signals, the chain and the configuration; writes one redacted file here",)
        return local_draft(
            office=office,
            kind="Evidence",
            name=wish.step.id if wish.step else "evidence",
            effect=effect,
            blast=blast,
            line="m0-cockpit incident evidence",
        )

    async def perform(self, prepared: Prepared, office: StepContext, told: OnProgress) -> Outcome:
        collect = office.backends.evidence
        assert collect is not None
        told("collecting")
        try:
            captured = await collect(prepared.plan.title)
        except Exception as error:  # whatever a collector meets: it is the answer
            told(proof=Proof.FAIL)
            return Outcome("rejected", f"no evidence: {safe(error, 300) or type(error).__name__}")
        told(output=(safe(str(captured.path), 300),), proof=Proof.UNKNOWN if captured.missing else Proof.PASS)
        return Outcome("sent", safe(captured.words, 500))
