"""From a step and its parameters to an immutable plan: nothing is changed here, and nothing is sent but questions.

The digest that a confirmation is bound to covers target, relevant fields before and after, changes, and the request but for
`metadata.resourceVersion`: that is a precondition, and follows the object when only irrelevant fields (status) changed.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from cockpit.clock import Clock
from cockpit.incident.chain import canonical
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Conflict
from cockpit.mitigation import dryrun, guards
from cockpit.mitigation.draft import Draft, Setting, StepKind
from cockpit.mitigation.facts import gather
from cockpit.mitigation.objects import Subject, annotations_of, fetch
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.shown import masked
from cockpit.mitigation.steps import KINDS
from cockpit.mitigation.steps.parameters import placed, resolve
from cockpit.mitigation.times import rfc3339
from cockpit.model.plan import DryRun, DryRunState, GuardResult, Inverse, Plan, Request, Target
from cockpit.model.runbook import Runbook, Runbooks, Service, Step
from cockpit.model.situation import Situation

_TRIES = 4  # a rollout under way changes the object several times a second
REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with what must not leave the executor: the draft, raw inverse arguments among it."""

    plan: Plan
    draft: Draft
    subject: Subject
    kind: StepKind
    salt: str
    revision: str  # of the Deployment before the change: its ReplicaSet holds the values of before


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted, whoever wants it. `arguments` is for the kind; None: made from `step` and `values`."""

    service: str
    kind: str
    title: str
    runbook: Runbook | None
    step: Step | None
    values: Mapping[str, str]
    arguments: Mapping[str, Any] | None = None
    undoes: int | None = None
    check: Callable[[Subject], None] | None = None  # raises PlanProblem when the object is not as it must be
    journal_problems: tuple[str, ...] = ()


def wish_of(runbook: Runbook | None, step: Step, given: Mapping[str, str], runbooks: Runbooks) -> Wish:
    """Raises PlanProblem for a kind that changes nothing, a missing service, or wrong parameters."""
    if step.kind not in KINDS:
        raise PlanProblem(
            f"a step of kind {step.kind} is not carried out here",
            "it opens, asks or checks something"
            if step.kind in ("view", "check", "manual")
            else "this version cannot yet",
        )
    if not step.service:
        raise PlanProblem(f"step {step.id} names no service", "correct runbooks.toml: service")
    return Wish(step.service, step.kind, step.title, runbook, step, resolve(step, given, runbooks))


class Planner:
    """Makes plans for one context and namespace."""

    def __init__(
        self, client: KubeClient, runbooks: Runbooks, clock: Clock, *, context: str, namespace: str, read_only: bool,
        identity: str,
    ) -> None:  # fmt: skip
        self._client = client
        self._runbooks = runbooks
        self._clock = clock
        self._context = context
        self._namespace = namespace
        self._read_only = read_only
        self._identity = identity

    def now(self) -> float:
        """Unix seconds on the cluster's clock, ours before its first answer."""
        return self._client.server_time() or self._clock.wall()

    async def subject(self, name: str) -> Subject:
        kind, obj = await fetch(self._client, self._namespace, name)
        return Subject(self._context, self._namespace, kind, name, obj, self._runbooks.services.get(name) or Service())

    async def prepare(self, wish: Wish, situation: Situation | None) -> Prepared:
        """Read, draft, ask for a dry run, judge. Raises PlanProblem, KubeError."""
        salt = secrets.token_hex(16)
        for attempt in range(1, _TRIES + 1):
            subject = await self.subject(wish.service)
            if wish.check is not None:
                wish.check(subject)
            draft = self._draft(wish, subject, salt, situation)
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
            self._client, subject, draft.subresource, situation=situation, identity=self._identity, now=self.now,
            count_pods=subject.service.singleton,
        )  # fmt: skip
        case = guards.Case(
            draft, subject, facts, dry_run, situation, self._runbooks, _signals(wish), self._read_only,
            wish.undoes is not None, self._clock.mono(), wish.journal_problems,
        )  # fmt: skip
        plan = self._plan(wish, subject, draft, request, dry_run, guards.judge(case) if draft.changes else ())
        return Prepared(
            plan, draft, subject, KINDS[wish.kind], salt, str(annotations_of(subject.obj).get(REVISION) or "")
        )

    def _draft(self, wish: Wish, subject: Subject, salt: str, situation: Situation | None) -> Draft:
        kind = KINDS[wish.kind]
        step = wish.step
        arguments = wish.arguments
        if arguments is None:
            assert step is not None
            arguments = kind.arguments(step, wish.values, subject)
        setting = Setting(
            self._runbooks, salt, rfc3339(self.now()), _known(step, situation),
            frozenset(n for n, v in (step.env if step else {}).items() if placed(v) & _secrets(step)),
        )  # fmt: skip
        return kind.draft(subject, arguments, setting)

    async def _dry_run(self, subject: Subject, draft: Draft, request: Request, salt: str, kind: str) -> DryRun:
        if not draft.changes:
            return DryRun(DryRunState.OK)
        if self._read_only:
            return DryRun(DryRunState.UNKNOWN, "not asked: read-only")
        verdict, after = await dryrun.ask(self._client, request, subject.obj)
        verdict = replace(verdict, reason=masked(verdict.reason, draft.hidden))
        if after is not None and KINDS[kind].relevant(after, draft.scope, salt) != draft.expected:
            return replace(
                verdict, reason="the server would make something else of it than was asked (an admission webhook?)"
            )
        return verdict

    def _plan(
        self, wish: Wish, subject: Subject, draft: Draft, request: Request, dry_run: DryRun,
        verdicts: tuple[GuardResult, ...],
    ) -> Plan:  # fmt: skip
        step, runbook, undoing = wish.step, wish.runbook, draft.undoing
        dangers = list(draft.dangers)
        if step is not None and step.dangerous and not dangers:
            dangers.append("marked dangerous in the runbook")
        target = Target(subject.context, subject.namespace, subject.kind, subject.name, subject.uid, draft.container)
        plan = Plan(
            id=secrets.token_hex(4), runbook=runbook.id if runbook else "", runbook_number=runbook.number if runbook else None,
            step=step.id if step else "undo" if wish.undoes is not None else wish.kind, item=step.item if step else None,
            title=wish.title, kind=wish.kind, target=target, resource_version=subject.resource_version,
            generation=subject.generation, relevant=draft.relevant, changes=draft.changes, request=request,
            kubectl=draft.kubectl,
            inverse=Inverse(wish.kind, undoing.kept, undoing.words, undoing.kubectl) if undoing and draft.changes else None,
            blast=draft.blast, dangerous=bool(dangers), danger_reasons=tuple(dangers),
            relaxes=draft.owes or bool(step and step.relaxes and draft.changes), dry_run=dry_run, guards=verdicts,
            parameters=dict(wish.values), created_wall=self._clock.wall(), created_mono=self._clock.mono(),
            undoes=wish.undoes,
        )  # fmt: skip
        return replace(plan, digest=digest_of(plan, draft.expected))


def request_of(subject: Subject, draft: Draft, resource_version: str) -> Request:
    """The request with its precondition: metadata.resourceVersion inside the body gives 409 when the object moved on."""
    body = dict(draft.body)
    body["metadata"] = {**body.get("metadata", {}), "resourceVersion": resource_version}
    path = subject.path + (f"/{draft.subresource}" if draft.subresource else "")
    text = json.dumps({key: body[key] for key in ("metadata", "spec")}, ensure_ascii=False)
    return Request("PATCH", path, draft.params, draft.content_type, text)


def digest_of(plan: Plan, expected: Mapping[str, Any]) -> str:
    """sha256 over canonical JSON: see the module's text for what it covers."""
    body = json.loads(plan.request.body)
    body["metadata"].pop("resourceVersion", None)
    request = plan.request
    covered = {
        "id": plan.id,
        "target": [plan.target.context, plan.target.namespace, plan.target.kind, plan.target.name, plan.target.uid],
        "relevant": plan.relevant, "expected": expected,
        "changes": [[c.field, c.before, c.after] for c in plan.changes],
        "request": [request.method, request.path, dict(request.params), request.content_type, body],
    }  # fmt: skip
    return hashlib.sha256(canonical(covered).encode()).hexdigest()


def _signals(wish: Wish) -> tuple[str, ...]:
    if wish.step is not None and wish.step.signals:
        return wish.step.signals
    return tuple(dict.fromkeys(s.signal for s in wish.runbook.symptoms)) if wish.runbook is not None else ()


def _secrets(step: Step | None) -> frozenset[str]:
    return frozenset(p.name for p in step.params if p.secret) if step is not None else frozenset()


def _known(step: Step | None, situation: Situation | None) -> dict[str, tuple[str, ...]]:
    """Variable → the values that a live list (`label:QUERY:LABEL`) holds now, to say when a value is not among them."""
    known: dict[str, tuple[str, ...]] = {}
    for param in step.params if step is not None and situation is not None else ():
        kind, _, rest = (param.choices_from or "").partition(":")
        query, _, label = rest.partition(":")
        reading = situation.queries.get(query) if kind == "label" and situation is not None else None
        if reading is None or reading.data is None or step is None:
            continue
        values = tuple(reading.data.by(label))
        for name, template in step.env.items():
            if template == f"{{{param.name}}}" and values:
                known[name] = values
    return known
