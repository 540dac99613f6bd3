"""`delete-pod` deletes one pod that nothing else will replace; its controller then makes another.

Keys: `args.pod` (a name, usually "{pod}" with `choices-from = "stuck-pods"`). Only a pod whose
controller is there and wants it; a disruption budget that has nothing left is kept. The request is
bound to the pod as it was read (uid and resourceVersion). It has no inverse. Proven when that pod
is gone and another, ready, has taken its place.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cockpit.kubeapi.access_review import review
from cockpit.kubeapi.errors import Conflict, KubeError, NotFound
from cockpit.mitigation.cluster import dryrun
from cockpit.mitigation.cluster.objects import collection_path, object_path, replicas, selector
from cockpit.mitigation.cluster.patches import JSON
from cockpit.mitigation.cluster.refusals import refused
from cockpit.mitigation.cluster.rights import permitted
from cockpit.mitigation.cluster.rollout import TIMEOUT_S, reason_of
from cockpit.mitigation.cluster.rollout_state import is_ready
from cockpit.mitigation.kind import Draft, Ready, kubectl_at
from cockpit.mitigation.outcome import Judgement, Outcome
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.sending.send import Waits
from cockpit.mitigation.sending.unanswered import not_carried_out, read_back
from cockpit.mitigation.steps.budgets import budget
from cockpit.mitigation.steps.parameters import filled
from cockpit.mitigation.worse import worse
from cockpit.model.plan import Change, DryRun, DryRunState, GuardResult, Proof, Request, Rollout, Verdict
from cockpit.text import clean, safe

if TYPE_CHECKING:
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.kind import Intent, PlanRequest, Prepared

POLL_S = 1.0
_TRIES = 3  # a pod that crashes changes at each restart: it is read again, and sent again if it is the same
_HASH, _REVISION = "pod-template-hash", "controller-revision-hash"


@dataclass(frozen=True, slots=True)
class _Found:
    """Holds one pod as it was read, its controller, and the workload that it belongs to."""

    pod: Mapping[str, Any]
    controller: Mapping[str, Any]  # the StatefulSet or ReplicaSet
    workload: str  # the name that the runbooks know

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def uid(self) -> str:
        return str(self.pod["metadata"]["uid"])

    @property
    def kind(self) -> str:
        return str(self.controller["kind"])

    @property
    def ready(self) -> bool:
        return is_ready(self.pod)

    @property
    def runs(self) -> bool:
        statuses = (self.pod.get("status") or {}).get("containerStatuses") or []
        return any("running" in (one.get("state") or {}) for one in statuses)

    @property
    def relevant(self) -> dict[str, Any]:
        """Return what the plan was made from; its resourceVersion changes with every restart."""
        labels = self.pod["metadata"].get("labels") or {}
        return {
            "uid": self.uid,
            "ready": self.ready,
            "revision": labels.get(_REVISION) or labels.get(_HASH),
            "controller": str(self.controller["metadata"]["uid"]),
        }

    def request(self, namespace: str) -> Request:
        bound = {"uid": self.uid, "resourceVersion": str(self.pod["metadata"]["resourceVersion"])}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": bound}
        return Request("DELETE", object_path("Pod", namespace, self.name), {}, JSON, json.dumps(options))


class DeletePod:
    async def draft(self, request: PlanRequest, context: StepContext, salt: str) -> Draft:
        step = request.step
        if step is None:
            raise PlanProblem("a pod that was deleted does not come back", "its controller has made another")
        name = filled(step.args.get("pod", ""), request.values, f"step {step.id}: args.pod")
        if not re.fullmatch(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", name) or len(name) > 253:
            raise PlanProblem(f"{clean(name, 60) or 'nothing'}: not a pod's name", "see the choices of the step")
        found = await _find(context, name)
        namespace = context.namespace
        allowed = await review(context.client, namespace, "delete", "", "pods", name)
        effect = found.request(namespace)
        return Draft(
            scope={"pod": name, "kind": found.kind, "controller": str(found.controller["metadata"]["name"])},
            relevant=found.relevant,
            expected={**found.relevant, "uid": None},
            changes=(Change("pod", name, None, _instead(found)),),
            kubectl=f"{kubectl_at(context.place)} delete pod {shlex.quote(name)}",
            blast=_blast(found),
            effect=effect,
            target=context.target("Pod", name, found.uid),
            dangers=("the pod is ready: it serves now",) if found.ready else (),
            guards=(permitted(allowed, name), *await _guards(found, context)),
            dry_run=await _dry_run(context, effect),
        )

    async def recheck(self, prepared: Prepared, context: StepContext) -> Ready | Outcome:
        try:
            found = await _find(context, str(prepared.draft.scope["pod"]))
            now = await _guards(found, context)
        except PlanProblem as problem:
            return Outcome("stale", problem.line())
        except KubeError as error:
            return Outcome("not sent", f"it cannot be read again: {error.line()}")
        news = _news(prepared.draft.relevant, found)
        if news:
            return Outcome("stale", f"pod {found.name} is not as it was shown: {news}")
        if news := worse(prepared.plan.guards, now):
            return Outcome("stale", f"worse than it was shown: {news}")
        return Ready(found.request(context.namespace))

    async def send(
        self, prepared: Prepared, ready: Ready, context: StepContext, intent: Intent, on_progress: OnProgress
    ) -> Outcome:
        waits = Waits(on_progress)
        try:
            there = await _uids(context, prepared.draft.scope)
        except KubeError as error:
            return Outcome("not sent", f"the pods beside it cannot be read: {error.line()}")
        intent(ready.effect)
        outcome = await self._send_once(prepared, ready, context, waits)
        return replace(outcome, notes=waits.notes, stood=" ".join(sorted(there)))

    async def _send_once(self, prepared: Prepared, ready: Ready, context: StepContext, waits: Waits) -> Outcome:
        for last in (*([False] * (_TRIES - 1)), True):
            request = ready.effect
            assert isinstance(request, Request)
            try:
                answer = await waits.send(context.client, request)
                return Outcome("sent", "deleted", warnings=answer.warnings)
            except Conflict as error:  # it changed since it was read a moment ago: nothing was done
                again = await self.recheck(prepared, context)
                if isinstance(again, Outcome):
                    return again
                if last:
                    return Outcome("not sent", f"it changes faster than it can be read: {error.line()}")
                ready = again
            except NotFound as error:
                return Outcome("stale", error.line())
            except KubeError as error:
                return not_carried_out(error) or await self._read_back(prepared, context, error)
        raise AssertionError("the last try has returned")

    async def _read_back(self, prepared: Prepared, context: StepContext, error: KubeError) -> Outcome:
        target = prepared.plan.target
        judge = partial(_judge, target.name, target.uid, context)
        return await read_back(error, judge, context.sleep, done="deleted", what="pod")

    async def watch(
        self, prepared: Prepared, outcome: Outcome, context: StepContext, on_progress: OnProgress
    ) -> Rollout:
        target, scope = prepared.plan.target, prepared.draft.scope
        started = context.clock.mono()
        there = set(outcome.stood.split())
        while True:
            try:
                now = await _replaced(context, scope, target.name, target.uid, there)
            except KubeError as error:
                now = Rollout(False, False, f"cannot read whether it was replaced: {error.line()}", desired=1)
            if not (now.done or now.failed) and context.clock.mono() - started >= TIMEOUT_S:
                now = Rollout(False, True, f"not within {TIMEOUT_S:.0f} s: {now.words}", desired=1)
            on_progress(rollout=now, proof=Proof.PASS if now.done else None)
            if now.done or now.failed:
                return now
            await context.sleep(POLL_S)

    async def judge(self, intent: Mapping[str, Any], context: StepContext) -> Judgement:
        return await _judge(str(intent["scope"]["pod"]), str(intent["relevant"]["uid"]), context)


KIND = DeletePod()


async def _find(context: StepContext, name: str) -> _Found:
    """Read a pod and who will replace it.

    Raises PlanProblem where nobody will, KubeError.
    """
    namespace = context.namespace
    try:
        pod = await context.client.get(object_path("Pod", namespace, name))
    except NotFound:
        raise PlanProblem(f"no pod {name} in {namespace}", "it may be gone already: look at the pods again") from None
    if pod["metadata"].get("deletionTimestamp"):
        raise PlanProblem(f"pod {name} is being deleted already", "wait until it is gone")
    owner = next((r for r in pod["metadata"].get("ownerReferences") or [] if r.get("controller")), None)
    if owner is None:
        raise PlanProblem(f"pod {name} has no controller: nothing would take its place", "delete it by kubectl if so")
    kind, controller_name = str(owner.get("kind")), str(owner.get("name"))
    if kind not in ("StatefulSet", "ReplicaSet"):
        words = f"pod {name} is of a {clean(kind, 40)}: what would take its place is not known here"
        raise PlanProblem(words, "for pods of Deployments and StatefulSets")
    try:
        controller = await context.client.get(object_path(kind, namespace, controller_name))
    except NotFound:
        controller = {}
    if not controller or controller["metadata"]["uid"] != owner.get("uid"):
        raise PlanProblem(
            f"the {kind} {controller_name} of pod {name} is gone: nothing would take its place",
            "look at what owns it",
        )
    controller = {**controller, "kind": kind}
    if controller["metadata"].get("deletionTimestamp"):
        words = f"the {kind} {controller_name} of pod {name} is being deleted: it makes no pod any more"
        raise PlanProblem(words, "look at who deletes it")
    if not _wanted(controller, name):
        words = f"{kind} {controller_name} is scaled to {replicas(controller)}: nothing would take the pod's place"
        raise PlanProblem(words, "it goes by itself")
    above = next((r for r in controller["metadata"].get("ownerReferences") or [] if r.get("controller")), None)
    return _Found(pod, controller, str(above["name"]) if above is not None else controller_name)


def _wanted(controller: Mapping[str, Any], name: str) -> bool:
    wanted = replicas(controller)
    if controller["kind"] != "StatefulSet":
        return wanted > 0
    start = int(((controller["spec"].get("ordinals") or {}).get("start")) or 0)
    ordinal = name.rpartition("-")[2]
    return ordinal.isdecimal() and start <= int(ordinal) < start + wanted


async def _guards(found: _Found, context: StepContext) -> tuple[GuardResult, ...]:
    guards = [GuardResult("owner", Verdict.PASS, f"{found.kind} {found.controller['metadata']['name']} makes another")]
    service = context.runbooks.services.get(found.workload)
    if service is not None and service.singleton and found.kind == "ReplicaSet" and found.runs:
        words = f"{found.workload} runs once, and another would start before this one has ended: scale to 0 instead"
        guards.append(GuardResult("singleton", Verdict.BLOCK, words))
    labels = found.pod["metadata"].get("labels") or {}
    return (*guards, await budget(context, labels, found.ready))


def _instead(found: _Found) -> str:
    where = f"{found.kind} {found.controller['metadata']['name']}"
    newest = (found.controller.get("status") or {}).get("updateRevision")
    mine = (found.pod["metadata"].get("labels") or {}).get(_REVISION)
    older = f", not of its old revision {clean(mine, 80)}" if newest and mine and mine != newest else ""
    return f"{clean(where, 160)} makes another{older}"


def _blast(found: _Found) -> tuple[str, ...]:
    count = replicas(found.controller)
    why = reason_of(found.pod) or ("ready" if found.ready else "not ready")
    name = "one of its name" if found.kind == "StatefulSet" else "one of another name"
    return (
        f"{clean(found.name, 120)} ends: 1 of {count} pod{'s' if count != 1 else ''} of {clean(found.workload, 80)}",
        f"it is: {why}",
        f"{name} takes its place; what it held in memory and on its own disk is lost",
    )


def _news(was: Mapping[str, Any], found: _Found) -> str:
    """Say what is otherwise than it was shown; one that crashed again is no news."""
    now = found.relevant
    if was["uid"] != now["uid"]:
        return "another pod bears its name now"
    if now["ready"] and not was["ready"]:
        return "it is ready now"
    return "" if {**was, "ready": now["ready"]} == now else "its owner or revision changed"


async def _dry_run(context: StepContext, request: Request) -> DryRun:
    if context.read_only:
        return DryRun(DryRunState.UNKNOWN, "not asked: read-only")
    try:
        return (await dryrun.ask(context.client, request))[0]
    except Conflict:
        return DryRun(DryRunState.OK)  # it changed meanwhile: what is sent is bound to a newer reading


async def _judge(name: str, uid: str, context: StepContext) -> Judgement:
    try:
        pod = await context.client.get(object_path("Pod", context.namespace, name))
    except NotFound:
        return Judgement("applied", f"pod {name} is gone")
    if pod["metadata"]["uid"] != uid:
        return Judgement("applied", f"another pod {name} has taken its place")
    going = bool(pod["metadata"].get("deletionTimestamp"))
    words = f"pod {name} {'is being deleted' if going else 'is there'}"
    return Judgement("applied" if going else "not applied", words)


async def _pods_of(context: StepContext, controller: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    path = collection_path("Pod", context.namespace)
    listed = await context.client.get(path, {"labelSelector": selector(controller)})
    uid = controller["metadata"]["uid"]
    return [
        pod
        for pod in listed.get("items") or []
        if any(ref.get("uid") == uid and ref.get("controller") for ref in pod["metadata"].get("ownerReferences") or [])
    ]


async def _uids(context: StepContext, scope: Mapping[str, Any]) -> set[str]:
    """Return which pods the controller has: what is none of them later has come since."""
    path = object_path(str(scope["kind"]), context.namespace, str(scope["controller"]))
    return {str(pod["metadata"]["uid"]) for pod in await _pods_of(context, await context.client.get(path))}


async def _replaced(context: StepContext, scope: Mapping[str, Any], name: str, uid: str, there: set[str]) -> Rollout:
    """Tell whether that very pod is gone, and another, ready, is in its place."""
    controller_name = str(scope["controller"])
    try:
        controller = await context.client.get(object_path(str(scope["kind"]), context.namespace, controller_name))
    except NotFound:
        return Rollout(False, True, f"{scope['kind']} {controller_name} is gone: nothing takes its place", desired=1)
    controller = {**controller, "kind": scope["kind"]}
    pods = await _pods_of(context, controller)
    if any(pod["metadata"]["uid"] == uid for pod in pods):
        return Rollout(False, False, f"{name} is terminating", desired=1, terminating=1)
    if not _wanted(controller, name):
        words = f"{name} is gone; {controller_name} was scaled to {replicas(controller)}: nothing takes its place"
        return Rollout(False, True, words, desired=1)
    staying = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    if scope["kind"] == "StatefulSet":
        new = [pod for pod in staying if pod["metadata"]["name"] == name]
    else:
        new = [pod for pod in staying if pod["metadata"]["uid"] not in there]
    if any(map(is_ready, new)):
        fresh = next(pod for pod in new if is_ready(pod))["metadata"]["name"]
        words = f"{name} is gone; {'a new one' if fresh == name else safe(fresh, 120)} is ready in its place"
        return Rollout(True, False, words, updated=1, desired=1)
    why = "" if new else await refused(context.client, context.namespace, controller)
    words = f"{name} is gone; " + (
        f"another is made: {reason_of(new[0]) or 'starting'}" if new else "no other is made yet"
    )
    return Rollout(False, False, f"{words}: {why}" if why else words, desired=1)
