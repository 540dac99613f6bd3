"""Holds what the kinds share that only look.

Nothing to check again, to wait for, or to take back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cockpit.mitigation.kind import Draft, Ready
from cockpit.mitigation.outcome import Judgement, Outcome
from cockpit.model.plan import LocalCheck, Rollout, Target

if TYPE_CHECKING:
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.kind import Prepared


class LocalStep:
    async def recheck(self, prepared: Prepared, context: StepContext) -> Ready | Outcome:
        return Ready(prepared.plan.request)

    async def watch(
        self, prepared: Prepared, outcome: Outcome, context: StepContext, on_progress: OnProgress
    ) -> Rollout:
        return Rollout(done=True, failed=False, words=outcome.words)

    async def judge(self, intent: Mapping[str, Any], context: StepContext) -> Judgement:
        return Judgement("not applied", "it was cut off; it only looked, and changed nothing")


def local_draft(effect: LocalCheck, target: Target, line: str, *blast: str) -> Draft:
    """Return the draft of a look: `line` is the command that does the same."""
    return Draft(effect=effect, target=target, kubectl=line, blast=blast)
