"""What the kinds share that only look: nothing to check again, nothing to wait for, nothing to take
back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cockpit.mitigation.outcome import Judgement, Outcome
from cockpit.mitigation.steps.kind import Draft
from cockpit.model.plan import LocalCheck, Rollout, Target

if TYPE_CHECKING:
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.steps.kind import Prepared


class Local:
    async def fresh(self, prepared: Prepared, office: StepContext) -> Outcome | None:
        return None

    async def watch(self, prepared: Prepared, outcome: Outcome, office: StepContext, told: OnProgress) -> Rollout:
        return Rollout(done=True, failed=False, words=outcome.words, updated=0, desired=0, terminating=0)

    async def judge(self, intent: Mapping[str, Any], office: StepContext) -> Judgement:
        return Judgement("not applied", "it was cut off; it only looked, and changed nothing")


def local_draft(
    office: StepContext, kind: str, name: str, effect: LocalCheck, blast: tuple[str, ...], line: str
) -> Draft:
    context, namespace = office.place
    return Draft(
        scope={},
        relevant={},
        expected={},
        changes=(),
        body={},
        kubectl=line,
        blast=blast,
        undoing=None,
        template=False,
        effect=effect,
        target=Target(context, namespace, kind, name, ""),
    )
