"""From a step and its parameters to an immutable plan: nothing is changed here, and nothing is sent
but questions.

The digest that a confirmation is bound to covers target, relevant fields before and after, changes,
and the request but for `metadata.resourceVersion`: that is a precondition, and follows the object
when only irrelevant fields (status) changed. Of a command it covers every word and the names of its
variables, of a statement its text and its server.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec.structs import replace

from cockpit.canonical_json import canonical
from cockpit.clock import Clock
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Conflict
from cockpit.mitigation.cluster.objects import Subject, annotations_of
from cockpit.mitigation.cluster.times import rfc3339
from cockpit.mitigation.context import NO_BACKENDS, Backends, StepContext
from cockpit.mitigation.planning import dryrun, guards
from cockpit.mitigation.planning.facts import Facts, facts_of_act, gather
from cockpit.mitigation.planning.stages import stages_of
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.sending.request import request_of, spelled
from cockpit.mitigation.steps import ACTS, KINDS
from cockpit.mitigation.steps.kind import ActKind, Draft, PatchContext, PlanRequest, Prepared
from cockpit.mitigation.steps.parameters import placed, resolve
from cockpit.model.plan import (
    DryRun,
    DryRunState,
    Effect,
    GuardResult,
    Inverse,
    LocalCheck,
    Plan,
    Request,
    Target,
)
from cockpit.model.reading import believed
from cockpit.model.runbook import Runbook, Runbooks, Step
from cockpit.model.situation import Situation
from cockpit.secrets import mask_secrets

_TRIES = 4  # a rollout under way changes the object several times a second
REVISION = "deployment.kubernetes.io/revision"


def plan_request(runbook: Runbook | None, step: Step, given: Mapping[str, str], runbooks: Runbooks) -> PlanRequest:
    """Raises PlanProblem for a kind that is not planned, a missing object, or wrong parameters."""
    if step.kind in ACTS:
        return PlanRequest(
            service="",
            kind=step.kind,
            title=step.title,
            runbook=runbook,
            step=step,
            values=resolve(step, given, runbooks),
        )
    if step.kind not in KINDS:
        told = "its steps are planned one by one" if step.kind == "sequence" else "it opens or asks something"
        raise PlanProblem(f"a step of kind {step.kind} is not carried out here", told)
    values = resolve(step, given, runbooks)
    name = KINDS[step.kind].about(step, values)
    if not name:
        raise PlanProblem(f"step {step.id} names no service", "correct runbooks.toml: service")
    return PlanRequest(service=name, kind=step.kind, title=step.title, runbook=runbook, step=step, values=values)


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
    ) -> None:
        self._client = client
        self._runbooks = runbooks
        self._clock = clock
        self._context = context
        self._namespace = namespace
        self._read_only = read_only
        self._identity = identity
        self.office = StepContext(
            client=client,
            runbooks=runbooks,
            clock=clock,
            place=(context, namespace),
            backends=backends,
            situation=situation,
            sleep=sleep,
            now=self.now,
        )

    def now(self) -> float:
        """Unix seconds on the cluster's clock, ours before its first answer."""
        return self._client.server_time() or self._clock.wall()

    async def prepare(self, wish: PlanRequest, situation: Situation | None) -> Prepared:
        """Read, draft, ask for a dry run, judge.

        Raises PlanProblem, KubeError.
        """
        if wish.kind in ACTS:
            return await self._prepare_act(ACTS[wish.kind], wish, situation)
        salt = secrets.token_hex(16)
        kind = KINDS[wish.kind]
        for attempt in range(1, _TRIES + 1):
            subject = await kind.subject(self._client, (self._context, self._namespace), wish.service, self._runbooks)
            if wish.check is not None:
                wish.check(subject)
            draft = self._draft(wish, subject, salt, situation, await kind.look(self._client, subject))
            request = request_of(subject, draft, subject.resource_version)
            try:
                dry_run = await self._dry_run(subject, draft, request, salt, wish.kind)
            except Conflict as conflict:
                if attempt < _TRIES:
                    continue
                raise PlanProblem(
                    f"{subject.name} changes faster than it can be read: {conflict.reason}", "plan again in a moment"
                ) from conflict
            break
        facts = await gather(
            self._client,
            subject,
            draft.subresource,
            situation=situation,
            identity=self._identity,
            now=self.now,
            count_pods=subject.service.singleton,
        )
        case = self._case(wish, draft, subject, facts, dry_run, situation)
        verdicts = guards.judge(case) if draft.changes else guards.judge_idle(case)
        plan = self._plan(wish, draft, request, dry_run, verdicts, subject)
        return Prepared(
            plan=plan,
            draft=draft,
            subject=subject,
            kind=kind,
            salt=salt,
            revision=str(annotations_of(subject.obj).get(REVISION) or ""),
        )

    async def _prepare_act(self, kind: ActKind, wish: PlanRequest, situation: Situation | None) -> Prepared:
        draft = await kind.draft(wish, self.office)
        dry_run = draft.dry_run or DryRun(DryRunState.OK)
        assert draft.effect is not None
        verdicts: tuple[GuardResult, ...] = ()
        if not isinstance(draft.effect, LocalCheck) and not draft.idle:
            facts = await facts_of_act(self._client, self._namespace, self._identity, self.now)
            verdicts = guards.judge_act(self._case(wish, draft, None, facts, dry_run, situation))
        plan = self._plan(wish, draft, draft.effect, dry_run, verdicts, None)
        return Prepared(plan=plan, draft=draft, subject=None, kind=kind, salt=secrets.token_hex(16), revision="")

    def _case(
        self,
        wish: PlanRequest,
        draft: Draft,
        subject: Subject | None,
        facts: Facts,
        dry_run: DryRun,
        situation: Situation | None,
    ) -> guards.GuardInput:
        return guards.GuardInput(
            draft=draft,
            subject=subject,
            facts=facts,
            dry_run=dry_run,
            situation=situation,
            runbooks=self._runbooks,
            signals=_signals(wish),
            read_only=self._read_only,
            undo=wish.undoes is not None,
            mono=self._clock.mono(),
            journal_problems=wish.journal_problems,
        )

    def _draft(self, wish: PlanRequest, subject: Subject, salt: str, situation: Situation | None, seen: Any) -> Draft:
        kind = KINDS[wish.kind]
        step = wish.step
        arguments = wish.arguments
        if arguments is None:
            assert step is not None
            arguments = kind.arguments(step, wish.values, subject)
        setting = PatchContext(
            runbooks=self._runbooks,
            salt=salt,
            restarted_at=rfc3339(self.now()),
            known=_known(step, situation),
            secrets=frozenset(n for n, v in (step.env if step else {}).items() if placed(v) & _secrets(step)),
            seen=seen,
        )
        return kind.draft(subject, arguments, setting)

    async def _dry_run(self, subject: Subject, draft: Draft, request: Request, salt: str, kind: str) -> DryRun:
        if not draft.changes:
            return DryRun(DryRunState.OK)
        if self._read_only:
            return DryRun(DryRunState.UNKNOWN, "not asked: read-only")
        verdict, after = await dryrun.ask(self._client, request, subject.obj)
        verdict = replace(verdict, reason=mask_secrets(verdict.reason, draft.hidden))
        if after is not None and KINDS[kind].relevant(after, draft.scope, salt) != draft.expected:
            return replace(
                verdict, reason="the server would make something else of it than was asked (an admission webhook?)"
            )
        return verdict

    def _plan(
        self,
        wish: PlanRequest,
        draft: Draft,
        effect: Effect,
        dry_run: DryRun,
        verdicts: tuple[GuardResult, ...],
        subject: Subject | None,
    ) -> Plan:
        step, runbook, undoing = wish.step, wish.runbook, draft.undoing
        dangers = list(draft.dangers)
        if step is not None and step.dangerous and not dangers:
            dangers.append("marked dangerous in the runbook")
        if wish.danger and not dangers:
            dangers.append(wish.danger)
        target = draft.target
        if target is None:
            assert subject is not None
            target = Target(
                context=subject.context,
                namespace=subject.namespace,
                kind=subject.kind,
                name=subject.name,
                uid=subject.uid,
                container=draft.container,
            )
        acts = not draft.idle and (subject is None or bool(draft.changes))
        plan = Plan(
            id=secrets.token_hex(4),
            runbook=runbook.id if runbook else "",
            runbook_number=runbook.number if runbook else None,
            step=step.id if step else "undo" if wish.undoes is not None else wish.kind,
            item=step.item if step else None,
            title=wish.title,
            kind=wish.kind,
            target=target,
            resource_version=subject.resource_version if subject else "",
            generation=subject.generation if subject else 0,
            relevant=draft.relevant,
            changes=draft.changes,
            request=effect,
            kubectl=draft.kubectl,
            inverse=Inverse(wish.kind, undoing.kept, undoing.words, undoing.kubectl) if undoing and acts else None,
            blast=draft.blast,
            dangerous=bool(dangers),
            danger_reasons=tuple(dangers),
            relaxes=draft.owes or (acts and (step.relaxes if step is not None else wish.relaxes)),
            dry_run=dry_run,
            guards=verdicts,
            parameters=dict(wish.values),
            created_wall=self._clock.wall(),
            created_mono=self._clock.mono(),
            undoes=wish.undoes,
            idle=draft.idle,
            part=wish.part,
            staged=stages_of(draft, subject, wish.kind) if subject is not None and step is not None else "",
        )
        return replace(plan, digest=digest_of(plan, draft.expected))


def digest_of(plan: Plan, expected: Mapping[str, Any]) -> str:
    """sha256 over canonical JSON: see the module's text for what it covers."""
    covered = {
        "id": plan.id,
        "target": [plan.target.context, plan.target.namespace, plan.target.kind, plan.target.name, plan.target.uid],
        "relevant": plan.relevant,
        "expected": expected,
        "changes": [[c.field, c.before, c.after] for c in plan.changes],
        "request": spelled(plan.request),
    }
    return hashlib.sha256(canonical(covered).encode()).hexdigest()


def _signals(wish: PlanRequest) -> tuple[str, ...]:
    if wish.step is not None and wish.step.signals:
        return wish.step.signals
    return tuple(dict.fromkeys(s.signal for s in wish.runbook.symptoms)) if wish.runbook is not None else ()


def _secrets(step: Step | None) -> frozenset[str]:
    return frozenset(p.name for p in step.params if p.secret) if step is not None else frozenset()


def _known(step: Step | None, situation: Situation | None) -> dict[str, tuple[str, ...]]:
    """Variable → the values that a live list (`label:…`, or `joined:…`) holds now, to say when a
    value is not among them.
    """
    known: dict[str, tuple[str, ...]] = {}
    for param in step.params if step is not None and situation is not None else ():
        kind, *rest = (param.choices_from or "").split(":")
        if kind not in ("label", "joined"):
            continue
        *_, query, label = rest
        if situation is None or step is None:
            continue
        result = believed(situation.queries.get(query), situation.mono).last
        values = tuple(result.by(label)) if result is not None else ()
        for name, template in step.env.items():
            if template == f"{{{param.name}}}" and values:
                known[name] = values
    return known
