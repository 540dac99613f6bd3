"""Makes an immutable plan of a step and its parameters; nothing is changed by that.

The digest that a confirmation is bound to covers target, relevant fields before and after, changes,
and the request but for `metadata.resourceVersion`: that is a precondition, and follows the object
when only irrelevant fields (status) changed. Of a command it covers every word and the names of its
variables, of a statement its text and its server.
"""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec.structs import replace

from cockpit.clock import Clock
from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation.cluster.guard_facts import Facts
from cockpit.mitigation.cluster.objects import WORKLOADS
from cockpit.mitigation.cluster.patches import spelled, version_of
from cockpit.mitigation.context import NO_BACKENDS, Backends, StepContext
from cockpit.mitigation.kind import Draft, PlanRequest, Prepared
from cockpit.mitigation.planning import guards
from cockpit.mitigation.planning.again import grown, with_object
from cockpit.mitigation.planning.aim import aimed
from cockpit.mitigation.planning.facts import gather
from cockpit.mitigation.planning.stages import stages_of
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.proof.chain_silence import stops_publishing
from cockpit.mitigation.steps.parameters import resolve
from cockpit.mitigation.steps.registry import KINDS
from cockpit.mitigation.worse import worse
from cockpit.model.plan import GuardResult, Inverse, LocalCheck, Plan, Target
from cockpit.model.reading import Unknown, believed
from cockpit.model.runbook import Runbook, Runbooks, Step
from cockpit.model.situation import Situation
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.secrets import fingerprint, new_salt


def unguarded(draft: Draft) -> bool:
    """Tell whether it only looks, or is done already."""
    return isinstance(draft.effect, LocalCheck) or draft.idle


def _place(target: Target) -> tuple[str, str, str]:
    return target.namespace, target.kind, target.name


def takes_back(runbook: Runbook | None, step: Step, values: Mapping[str, str], situation: Situation) -> bool:
    """Tell whether it sets again just what was there before a change that explains what is bad.

    Then the runbook's mark alone asks for no name: what the change itself is may still.
    """
    ways = [one.back for one in situation.changes.ranked if one.explains and one.back is not None]
    return runbook is not None and any(
        (way.runbook, way.step) == (runbook.id, step.id) and dict(way.parameters) == dict(values) for way in ways
    )


def plan_request(
    runbook: Runbook | None,
    step: Step,
    given: Mapping[str, str],
    runbooks: Runbooks,
    situation: Situation | None = None,
) -> PlanRequest:
    """Return the request for a step with its parameters.

    Raises PlanProblem for a kind that is not planned, or wrong parameters.
    """
    unplanned = STEP_KINDS[step.kind].unplanned
    if unplanned:
        raise PlanProblem(f"a step of kind {step.kind} is not carried out here", unplanned)
    values = resolve(step, given, runbooks)
    step = aimed(step, values, runbooks, situation)
    returns = situation is not None and takes_back(runbook, step, values, situation)
    return PlanRequest(kind=step.kind, title=step.title, runbook=runbook, step=step, values=values, takes_back=returns)


class Planner:
    """Makes plans for one context and namespace."""

    def __init__(
        self,
        client: KubeClient,
        runbooks: Runbooks,
        clock: Clock,
        *,
        context: str,
        namespace: str,
        read_only: bool,
        identity: str,
        backends: Backends = NO_BACKENDS,
        situation: Callable[[], Situation | None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        key: str,
    ) -> None:
        """Make it; `key` names the key of its fingerprints (`cockpit.secrets.learn_key`)."""
        self._key = key
        self._client = client
        self._clock = clock
        self._identity = identity
        self.context = StepContext(
            client=client,
            runbooks=runbooks,
            clock=clock,
            place=(context, namespace),
            read_only=read_only,
            backends=backends,
            situation=situation,
            sleep=sleep,
            now=self.now,
        )

    def now(self) -> float:
        """Return unix seconds on the cluster's clock, ours before its first answer."""
        return self._client.server_time() or self._clock.wall()

    async def prepare(self, request: PlanRequest) -> Prepared:
        """Read, draft, ask for a dry run, judge.

        Raises PlanProblem, KubeError.
        """
        kind, salt = KINDS[request.kind], new_salt(self._key)
        draft = await kind.draft(request, self.context, salt)
        facts = None
        if not unguarded(draft):
            facts, named = await asyncio.gather(gather(self.context, draft, self._identity), self._client.pin_user())
            facts = dataclasses.replace(facts, unnamed=not named)
        plan = self._plan(request, draft, self._judge(request, draft, facts), salt)
        return Prepared(plan, draft, kind, salt, request, facts)

    async def judge_again(self, prepared: Prepared, obj: Mapping[str, Any], facts: Facts) -> str:
        """Say what is worse by now than it was shown, by fresh facts and the object as it is."""
        draft = prepared.draft
        if draft.patch is not None and (more := grown(draft.patch, obj)):
            return more
        found = self._judge(prepared.request, with_object(draft, obj) if obj else draft, facts)
        return worse(prepared.plan.guards, found, stops=stops_publishing(draft))

    async def facts_of(self, prepared: Prepared) -> Facts | None:
        """Ask the cluster again for what the guards judge by; None where none were asked."""
        return None if prepared.facts is None else await gather(self.context, prepared.draft, self._identity)

    def worse_now(self, prepared: Prepared) -> str:
        """Say what is worse by now than it was shown, by what is watched alone."""
        situation, facts, draft = self.context.situation(), prepared.facts, prepared.draft
        if facts is None or situation is None:
            return ""
        target = prepared.plan.target
        watched = situation.cluster.workloads.get((target.namespace, target.name))
        if draft.patch is not None and target.kind in WORKLOADS:
            listed = situation.kinds.get(f"horizontalpodautoscalers/{target.namespace}")
            if not isinstance(believed(listed, situation.mono), Unknown):
                scalers = situation.cluster.autoscalers.values()
                theirs = [s for s in scalers if (s.namespace, s.target_kind, s.target_name) == _place(target)]
                facts = dataclasses.replace(facts, autoscalers=theirs)
            if watched is not None and watched.uid == target.uid:
                obj = draft.patch.subject.obj
                marks = {"labels": watched.labels, "annotations": watched.annotations}
                draft = with_object(draft, {**obj, "metadata": {**obj["metadata"], **marks}})
        found = self._judge(prepared.request, draft, facts)
        return worse(prepared.plan.guards, found, stops=stops_publishing(draft))

    def _judge(self, request: PlanRequest, draft: Draft, facts: Facts | None) -> tuple[GuardResult, ...]:
        """Ask every guard; what only looks, or is done already, needs none."""
        if facts is None:
            return ()
        given = guards.GuardInput(
            draft=draft,
            facts=facts,
            situation=self.context.situation(),
            runbooks=self.context.runbooks,
            signals=_signals(request),
            read_only=self.context.read_only,
            undo=request.undoes is not None,
            mono=self._clock.mono(),
            journal_problems=request.journal_problems,
            proven=request.proven,
            step=request.step,
            values=request.values,
        )
        return guards.judge_idle(given) if draft.nothing_to_do else guards.judge(given)

    def _plan(self, request: PlanRequest, draft: Draft, verdicts: tuple[GuardResult, ...], salt: str) -> Plan:
        step, runbook = request.step, request.runbook
        dangers = _dangers(request, draft)
        acts = not draft.nothing_to_do
        inverse = None
        if draft.inverse is not None and acts:
            inverse = Inverse(request.kind, draft.inverse.kept, draft.inverse.words, draft.inverse.kubectl)
        relaxes = step.relaxes if step is not None else request.relaxes
        plan = Plan(
            id=secrets.token_hex(4),
            runbook=runbook.id if runbook else "",
            runbook_number=runbook.number if runbook else None,
            step=step.id if step else "undo" if request.undoes is not None else request.kind,
            item=step.item if step else None,
            title=request.title,
            kind=request.kind,
            target=draft.target,
            resource_version=version_of(draft.effect),
            generation=draft.generation,
            relevant=draft.relevant,
            changes=draft.changes,
            request=draft.effect,
            kubectl=draft.kubectl,
            inverse=inverse,
            blast=draft.blast,
            dangerous=bool(dangers),
            danger_reasons=dangers,
            relaxes=draft.owes or (acts and relaxes),
            dry_run=draft.dry_run,
            guards=verdicts,
            parameters=dict(request.values),
            created_wall=self._clock.wall(),
            created_mono=self._clock.mono(),
            undoes=request.undoes,
            idle=draft.idle,
            part=request.part,
            staged=stages_of(draft, request.kind) if step is not None else "",
        )
        return replace(plan, digest=digest_of(plan, draft.expected, salt))


def _dangers(request: PlanRequest, draft: Draft) -> tuple[str, ...]:
    """Say why the plan is dangerous: as the change tells, else as the runbook marks it.

    To go back to the image that ran before is not; what a toggle does is, whichever way it goes.
    """
    if draft.dangers and not (request.takes_back and request.kind == "set-image"):
        return draft.dangers
    if request.takes_back:
        return ()
    if request.step is not None and request.step.dangerous:
        return ("marked dangerous in the runbook",)
    return (request.danger,) if request.danger else ()


def digest_of(plan: Plan, expected: Mapping[str, Any], salt: str) -> str:
    """Return a keyed digest over canonical JSON; the module's text says what it covers."""
    covered = {
        "id": plan.id,
        "target": [plan.target.context, plan.target.namespace, plan.target.kind, plan.target.name, plan.target.uid],
        "relevant": plan.relevant,
        "expected": expected,
        "changes": [[c.field, c.before, c.after] for c in plan.changes],
        "request": spelled(plan.request),
    }
    return fingerprint(salt, covered).partition(":")[2]


def _signals(request: PlanRequest) -> tuple[str, ...]:
    """Return the signals that justify it: the step's own, else its runbook's symptoms."""
    if request.step is not None and request.step.signals:
        return request.step.signals
    symptoms = request.runbook.symptoms if request.runbook is not None else ()
    return tuple(dict.fromkeys(symptom.signal for symptom in symptoms))
