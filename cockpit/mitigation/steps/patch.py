"""Holds what the kinds share that patch one object of the cluster.

Such a kind says which object it reads, what it would patch there and which fields that depends on.
Asking for a dry run, sending with a precondition, watching the rollout and judging after a crash
are the same for all of them, and are here.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from msgspec.structs import replace

from cockpit.journal.entries import target_of
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Conflict, KubeError, NotFound
from cockpit.mitigation.cluster import dryrun
from cockpit.mitigation.cluster.differences import outcome_of
from cockpit.mitigation.cluster.objects import WORKLOADS, Subject, annotations_of, fetch, object_path
from cockpit.mitigation.cluster.rollout import Watched, Watcher
from cockpit.mitigation.cluster.times import rfc3339
from cockpit.mitigation.context import OnProgress, StepContext
from cockpit.mitigation.kind import Draft, Intent, PlanRequest, Prepared, Ready, touched
from cockpit.mitigation.outcome import Judgement, Outcome
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.sending.send import Sender, compare, named
from cockpit.mitigation.steps.parameters import placed
from cockpit.model.plan import DryRun, DryRunState, Request, Rollout
from cockpit.model.runbook import Runbooks, Service, Step
from cockpit.model.situation import Situation
from cockpit.secrets import mask_secrets

_TRIES = 4  # a rollout under way changes the object several times a second
REVISION = "deployment.kubernetes.io/revision"


@dataclass(frozen=True, slots=True)
class PatchContext:
    """Holds what a kind may look at beside its object."""

    runbooks: Runbooks
    salt: str
    restarted_at: str  # RFC 3339, for restart
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # variable → the values that a live list holds
    secrets: frozenset[str] = frozenset()  # variables given by a secret parameter
    adds: bool = False  # the step adds to a list of what is switched off
    seen: Any = None  # what the kind's `survey` found


class PatchStep(ABC):
    """Describes a kind of step that patches one object.

    `arguments` are plain JSON; their shape is the kind's own.
    """

    rolls: ClassVar[bool] = True  # the pods are replaced or counted anew: there is a rollout to watch

    # what a kind says

    @abstractmethod
    def target_name(self, step: Step, values: Mapping[str, str]) -> str:
        """Return the name of its object; "" when the step names none."""

    @abstractmethod
    async def fetch(self, context: StepContext, name: str, kind: str) -> Subject:
        """Read the object; `kind` is that of the step which is taken back, else "".

        Raises PlanProblem, KubeError.
        """

    async def survey(self, client: KubeClient, subject: Subject) -> Any:
        """Read what it must know beside its object, for `PatchContext.seen`.

        Raises PlanProblem, KubeError.
        """
        return None

    @abstractmethod
    def arguments(self, step: Step, values: Mapping[str, str], subject: Subject) -> dict[str, Any]:
        """Return its arguments, from the step and its resolved parameters.

        Raises PlanProblem.
        """

    @abstractmethod
    def draft_patch(self, subject: Subject, arguments: Mapping[str, Any], around: PatchContext) -> Draft:
        """Work out the change of that object.

        Raises PlanProblem, before anything is sent.
        """

    @abstractmethod
    def relevant(self, obj: Mapping[str, Any], scope: Mapping[str, Any], salt: str) -> dict[str, Any]:
        """Read the fields that the change depends on from any reading of the object.

        Never raises for a changed object: what is gone is None.
        """

    # what is the same for all

    async def draft(self, request: PlanRequest, context: StepContext, salt: str) -> Draft:
        if request.undone is not None:
            name, kind = target_of(request.undone).name, target_of(request.undone).kind
        else:
            assert request.step is not None
            name, kind = self.target_name(request.step, request.values), ""
            if not name:
                raise PlanProblem(f"step {request.step.id} names no service", "correct runbooks.toml: service")
        for last in (*([False] * (_TRIES - 1)), True):
            subject = await self.fetch(context, name, kind)
            draft = await self._draft_once(request, subject, context, salt)
            try:
                dry_run, foreseen = await self._dry_run(subject, draft, context, salt)
            except Conflict as conflict:
                if last:
                    raise PlanProblem(
                        f"{subject.name} changes faster than it can be read: {conflict.reason}",
                        "plan again in a moment",
                    ) from conflict
                continue
            break
        return dataclasses.replace(
            draft,
            dry_run=dry_run,
            foreseen=foreseen,
            generation=subject.generation,
            revision=str(annotations_of(subject.obj).get(REVISION) or ""),
        )

    async def _draft_once(self, request: PlanRequest, subject: Subject, context: StepContext, salt: str) -> Draft:
        if request.undone is not None:
            self._check_unchanged(request, subject)
        seen = await self.survey(context.client, subject)
        step = request.step
        arguments = request.arguments
        if arguments is None:
            assert step is not None
            arguments = self.arguments(step, request.values, subject)
        around = PatchContext(
            runbooks=context.runbooks,
            salt=salt,
            restarted_at=rfc3339(context.now()),
            known=_known(step, context.situation()),
            adds=step is not None and step.direction == "adds",
            secrets=_secret_variables(step),
            seen=seen,
        )
        return self.draft_patch(subject, arguments, around)

    def _check_unchanged(self, request: PlanRequest, subject: Subject) -> None:
        """Raise PlanProblem unless the object is as the step left it that shall be taken back."""
        intent = request.undone or {}
        judged = self._compare(intent, subject.obj)
        if judged.state == "applied":
            return
        if judged.state in ("gone", "changed"):
            why = judged.words
        else:
            why = f"{named(touched(intent['relevant'], intent['expected']))} is as before it already"
        raise PlanProblem(
            f"{subject.name} is no longer as step {request.undoes} left it: {why}",
            "someone changed it since: look at it, then plan what is right now",
        )

    async def _dry_run(
        self, subject: Subject, draft: Draft, context: StepContext, salt: str
    ) -> tuple[DryRun, Mapping[str, Any] | None]:
        if draft.nothing_to_do:
            return DryRun(DryRunState.OK), None
        if context.read_only:
            return DryRun(DryRunState.UNKNOWN, "not asked: read-only"), None
        assert isinstance(draft.effect, Request)
        verdict, after = await dryrun.ask_for_patch(context.client, draft.effect, subject.obj)
        verdict = replace(verdict, reason=mask_secrets(verdict.reason, draft.hidden))
        if after is None:
            return verdict, None
        foreseen = outcome_of(subject.obj, after)
        if self.relevant(after, draft.scope, salt) != draft.expected:
            return replace(
                verdict, reason="the server would make something else of it than was asked (an admission webhook?)"
            ), foreseen
        return verdict, foreseen

    def _sender(self, prepared: Prepared, context: StepContext) -> Sender:
        def relevant(obj: Mapping[str, Any]) -> dict[str, Any]:
            return self.relevant(obj, prepared.draft.scope, prepared.salt)

        return Sender(
            context.client, prepared.plan.target, prepared.draft, relevant, context.sleep, context.judge_again
        )

    async def recheck(self, prepared: Prepared, context: StepContext) -> Ready | Outcome:
        return await self._sender(prepared, context).recheck()

    async def send(
        self, prepared: Prepared, ready: Ready, context: StepContext, intent: Intent, on_progress: OnProgress
    ) -> Outcome:
        return await self._sender(prepared, context).send(ready, intent, on_progress)

    async def watch(
        self, prepared: Prepared, outcome: Outcome, context: StepContext, on_progress: OnProgress
    ) -> Rollout:
        target, effect = prepared.plan.target, prepared.plan.request
        if not self.rolls:
            return Rollout(done=True, failed=False, words=f"{target.kind.lower()} {target.name} is set")
        scaled = isinstance(effect, Request) and effect.path.endswith("/scale")
        watched = Watched(
            kind=target.kind,
            namespace=target.namespace,
            name=target.name,
            uid=target.uid,
            generation=None if scaled else outcome.generation,
            scaled=scaled,
            stood=outcome.stood,
            deletes=_deletes(context.runbooks),
        )
        sender = self._sender(prepared, context)
        watcher = Watcher(context.client, context.clock, sleep=context.sleep)
        return await watcher.follow(watched, lambda rollout: on_progress(rollout=rollout), sender.overtaken)

    async def judge(self, intent: Mapping[str, Any], context: StepContext) -> Judgement:
        target = target_of(intent)
        try:
            obj = await context.client.get(object_path(target.kind, target.namespace, target.name))
        except NotFound:
            return Judgement("gone", f"{target.name} is gone")
        except KubeError as error:
            return Judgement("unknown", f"the target cannot be read: {error.line()}")
        return self._compare(intent, obj)

    def _compare(self, intent: Mapping[str, Any], obj: Mapping[str, Any]) -> Judgement:
        """Compare the object with a journalled intent."""
        before, after = intent["relevant"], intent["expected"]
        return compare(
            obj=obj,
            fields=self.relevant(obj, intent["scope"], str(intent["salt"])),
            uid=target_of(intent).uid,
            before=before,
            after=after,
            touched=touched(before, after),
        )


class WorkloadStep(PatchStep):
    """Describes a kind that patches a Deployment or StatefulSet, named by `service`."""

    def target_name(self, step: Step, values: Mapping[str, str]) -> str:
        return step.service or ""

    async def fetch(self, context: StepContext, name: str, kind: str) -> Subject:
        kind, obj = await fetch(context.client, context.namespace, name, *([kind] if kind else WORKLOADS))
        service = context.runbooks.services.get(name) or Service()
        return Subject(*context.place, kind=kind, name=name, obj=obj, service=service)


def _deletes(runbooks: Runbooks) -> str:
    """Name the first step that deletes a pod, as the command line takes it."""
    steps = ((runbook, step) for runbook in runbooks.runbooks for step in runbook.mitigations)
    return next((f"step {runbook.number} {step.id}" for runbook, step in steps if step.kind == "delete-pod"), "")


def _secret_variables(step: Step | None) -> frozenset[str]:
    if step is None:
        return frozenset()
    secret = frozenset(param.name for param in step.params if param.secret)
    return frozenset(name for name, value in step.env.items() if placed(value) & secret)


def _known(step: Step | None, situation: Situation | None) -> dict[str, tuple[str, ...]]:
    """Return, by variable, the values that a live list (`label:…`, or `joined:…`) holds now.

    By them a value that is not among those known is said to be so.
    """
    known: dict[str, tuple[str, ...]] = {}
    if step is None or situation is None:
        return known
    for param in step.params:
        kind, *rest = (param.choices_from or "").split(":")
        if kind not in ("label", "joined"):
            continue
        *_, query, label = rest
        found = situation.answer(query)
        values = tuple(found.by(label)) if found is not None else ()
        for name, template in step.env.items():
            if template == f"{{{param.name}}}" and values:
                known[name] = values
    return known
