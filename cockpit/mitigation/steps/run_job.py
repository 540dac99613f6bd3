"""`run-job` makes a Job from a CronJob, or from a template.

As `kubectl create job NAME --from=cronjob/NAME` makes it.

Keys: `args.cronjob` (a name), or `args.template` (the `spec` of a Job as JSON; texts in it may hold
"{param}") with `args.name`. The name is made when it is planned, so that what was made can be found
again: nothing is ever made twice. Its inverse deletes it while it runs; what it did stays done.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from cockpit.canonical_json import canonical
from cockpit.kubeapi.access_review import review
from cockpit.kubeapi.errors import (
    Conflict,
    KubeError,
    NotFound,
    NotServed,
)
from cockpit.mitigation.cluster import dryrun, jobs
from cockpit.mitigation.cluster.differences import beyond, outcome_of
from cockpit.mitigation.cluster.objects import collection_path, object_path
from cockpit.mitigation.cluster.patches import FIELD_MANAGER, JSON
from cockpit.mitigation.cluster.revisions import short
from cockpit.mitigation.cluster.rights import permitted
from cockpit.mitigation.kind import Draft, RawInverse, Ready, kubectl_at
from cockpit.mitigation.outcome import Judgement, Outcome
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.sending.send import Waits
from cockpit.mitigation.sending.unanswered import not_carried_out, read_back
from cockpit.mitigation.steps.parameters import filled
from cockpit.mitigation.worse import worse
from cockpit.model.plan import Change, DryRun, DryRunState, Request, Rollout
from cockpit.secrets import fingerprint
from cockpit.text import clean, safe

if TYPE_CHECKING:
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.kind import Intent, PlanRequest, Prepared

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_PREFIX = 40  # characters: a Job's name is a label value of its pods, 63 at most
BY = "m0-cockpit/by"


class RunJob:
    async def draft(self, request: PlanRequest, context: StepContext, salt: str) -> Draft:
        if request.arguments is not None:
            return await self._deleting(str(request.arguments["delete"]), context)
        step = request.step
        assert step is not None
        source = filled(step.args.get("cronjob", ""), request.values, f"step {step.id}: args.cronjob")
        if source:
            cronjob = await _cronjob(source, context)
            body = _from_cronjob(source, cronjob)
            return await self._making(context, _name(source), body, cronjob, salt)
        prefix = step.args.get("name", "") or step.id
        spec = _from_template(step.args.get("template", ""), request.values, step.id)
        return await self._making(context, _name(prefix), {"spec": spec}, {}, salt)

    async def _making(
        self,
        context: StepContext,
        name: str,
        body: dict[str, Any],
        cronjob: Mapping[str, Any],
        salt: str,
    ) -> Draft:
        namespace, relevant = context.namespace, _relevant(cronjob, salt) if cronjob else {}
        annotations = {**((body.get("metadata") or {}).get("annotations") or {}), BY: FIELD_MANAGER}
        metadata = {**(body.get("metadata") or {}), "name": name, "namespace": namespace, "annotations": annotations}
        full = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": body["spec"]}
        request = Request(
            "POST",
            collection_path("Job", namespace),
            {"fieldManager": FIELD_MANAGER},
            JSON,
            json.dumps(full, ensure_ascii=False),
        )
        allowed = await review(context.client, namespace, "create", "batch", "jobs")
        dry_run, foreseen = await _dry_run(context, request)
        source = str(relevant.get("source") or "")
        scope = {"make": name, "source": source, "uid": relevant.get("uid", "")}
        if body["spec"].get("ttlSecondsAfterFinished") is not None:
            scope["vanishes"] = True
        beside = jobs.beside(*await jobs.running(scope, cronjob, context))
        line = (
            f"create job {name} --from=cronjob/{source}" if source else f"create -f - <<< {shlex.quote(_shown(full))}"
        )
        return Draft(
            scope=scope,
            relevant=relevant,
            expected={**relevant, "made": True},
            changes=(Change("job", None, name, f"from cronjob {source}" if source else "from a template"),),
            kubectl=f"{kubectl_at(context.place)} {line}",
            blast=_blast(body["spec"]),
            inverse=RawInverse(
                {"delete": name},
                {"delete": name},
                "delete the job while it runs; what it did stays done",
                f"{kubectl_at(context.place)} delete job {name}",
            ),
            effect=request,
            target=context.target("Job", name),
            guards=(permitted(allowed, "in " + namespace), *beside, *jobs.held_back(body["spec"])),
            dry_run=dry_run,
            foreseen=foreseen,
        )

    async def _deleting(self, name: str, context: StepContext) -> Draft:
        namespace = context.namespace
        try:
            job = await context.client.get(object_path("Job", namespace, name))
        except NotFound:
            raise PlanProblem(f"job {name} is gone", "there is nothing to take back") from None
        over = jobs.ended(job)
        if over is not None:
            raise PlanProblem(f"job {name} has ended ({over['type']})", "what it did stays done")
        uid = str(job["metadata"]["uid"])
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": "Background",
        }
        request = Request("DELETE", object_path("Job", namespace, name), {}, JSON, json.dumps(options))
        allowed = await review(
            client=context.client, namespace=namespace, verb="delete", group="batch", resource="jobs", name=name
        )
        active = int((job.get("status") or {}).get("active") or 0)
        return Draft(
            scope={"delete": name},
            relevant={"running": uid},
            expected={"running": None},
            changes=(Change("job", name, None, "stopped; what it did so far stays done"),),
            kubectl=f"{kubectl_at(context.place)} delete job {name}",
            blast=(f"{active} pod{'s' if active != 1 else ''} end",),
            effect=request,
            target=context.target("Job", name, uid),
            guards=(permitted(allowed, name),),
            dry_run=(await _dry_run(context, request))[0],
        )

    async def recheck(self, prepared: Prepared, context: StepContext) -> Ready | Outcome:
        scope, cronjob = prepared.draft.scope, dict[str, Any]()
        try:
            if "delete" in scope:
                job = await context.client.get(object_path("Job", context.namespace, scope["delete"]))
                over = jobs.ended(job)
                if over is not None:
                    return Outcome("stale", f"the job has ended ({over['type']})")
            elif scope["source"]:
                cronjob = await context.client.get(object_path("CronJob", context.namespace, scope["source"]))
                if _relevant(cronjob, prepared.salt) != prepared.draft.relevant:
                    return Outcome("stale", f"cronjob {scope['source']} changed since the plan was made")
            if "make" in scope:
                now = jobs.beside(*await jobs.running(scope, cronjob, context))
                if news := worse(prepared.plan.guards, now):
                    return Outcome("stale", f"worse than it was shown: {news}")
        except NotFound:
            return Outcome("stale", f"{scope.get('delete') or scope.get('source')} is gone")
        except KubeError as error:
            return Outcome("not sent", f"it cannot be read again: {error.line()}")
        return Ready(prepared.plan.request)

    async def send(
        self, prepared: Prepared, ready: Ready, context: StepContext, intent: Intent, on_progress: OnProgress
    ) -> Outcome:
        waits = Waits(on_progress)
        outcome = await self._send_once(prepared, ready, context, intent, waits)
        return replace(outcome, notes=waits.notes)

    async def _send_once(
        self, prepared: Prepared, ready: Ready, context: StepContext, intent: Intent, waits: Waits
    ) -> Outcome:
        intent(ready.effect)
        request = ready.effect
        assert isinstance(request, Request)
        try:
            answer = await waits.send(context.client, request)
        except Conflict as error:  # it may be there already, by a request whose answer was lost
            return await self._read_back(prepared, context, error)
        except NotFound as error:
            return Outcome("stale", error.line())
        except KubeError as error:
            return not_carried_out(error) or await self._read_back(prepared, context, error)
        if request.method == "DELETE":
            return Outcome("sent", "deleted", warnings=answer.warnings)
        foreseen = prepared.draft.foreseen
        more: tuple[str, ...] = ()
        with contextlib.suppress(KubeError):
            more = beyond(foreseen, outcome_of({}, answer.json())) if foreseen is not None else ()
        return Outcome("sent", "made", warnings=answer.warnings, beyond=tuple(clean(path, 300) for path in more))

    async def _read_back(self, prepared: Prepared, context: StepContext, error: KubeError) -> Outcome:
        judge = partial(self._judge, prepared.draft.scope, context)
        return await read_back(error, judge, context.sleep, done="done", what="job")

    async def watch(
        self, prepared: Prepared, outcome: Outcome, context: StepContext, on_progress: OnProgress
    ) -> Rollout:
        scope = prepared.draft.scope
        if "delete" in scope:
            return await jobs.follow_to_gone(context, str(scope["delete"]), on_progress)
        return await jobs.follow(context, str(scope["make"]), on_progress)

    async def judge(self, intent: Mapping[str, Any], context: StepContext) -> Judgement:
        return await self._judge(intent["scope"], context)

    async def _judge(self, scope: Mapping[str, Any], context: StepContext) -> Judgement:
        name = str(scope.get("delete") or scope["make"])
        try:
            job = await context.client.get(object_path("Job", context.namespace, name))
        except NotFound:
            if "delete" in scope:
                return Judgement("applied", f"job {name} is gone")
            missing = f"there is no job {name}: it was not made, or was removed since"
            if scope.get("vanishes"):
                return Judgement("unknown", f"{missing}, as its time to live says", final=True)
            return Judgement("not applied", missing)
        if "delete" in scope:
            going = bool(job["metadata"].get("deletionTimestamp"))
            return Judgement(
                "applied" if going else "not applied", f"job {name} {'is being deleted' if going else 'is there'}"
            )
        over = jobs.ended(job)
        return Judgement("applied", f"job {name} {'ended: ' + over['type'] if over is not None else 'runs'}")


KIND = RunJob()


async def _cronjob(source: str, context: StepContext) -> dict[str, Any]:
    """Read it.

    Raises PlanProblem, KubeError.
    """
    namespace = context.namespace
    try:
        found: dict[str, Any] = await context.client.get(object_path("CronJob", namespace, source))
    except NotServed as missing:
        raise PlanProblem(missing.reason, "Kubernetes 1.21 and later have it") from None
    except NotFound:
        raise PlanProblem(f"no cronjob {source} in {namespace}", "check the step's args.cronjob") from None
    return found


def _from_cronjob(source: str, cronjob: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a Job of it is made of."""
    template = cronjob["spec"]["jobTemplate"]
    own = template.get("metadata") or {}
    metadata: dict[str, Any] = {
        "annotations": {**(own.get("annotations") or {}), "cronjob.kubernetes.io/instantiate": "manual"},
        "ownerReferences": [
            {
                "apiVersion": "batch/v1",
                "kind": "CronJob",
                "name": source,
                "uid": cronjob["metadata"]["uid"],
                "controller": True,
            }
        ],
    }
    if own.get("labels"):
        metadata["labels"] = own["labels"]
    return {"metadata": metadata, "spec": template["spec"]}


def _relevant(cronjob: Mapping[str, Any], salt: str) -> dict[str, Any]:
    metadata = cronjob["metadata"]
    template = fingerprint(salt, cronjob["spec"]["jobTemplate"])
    return {"source": str(metadata["name"]), "uid": str(metadata["uid"]), "jobTemplate": template}


def _from_template(text: str, values: Mapping[str, str], step: str) -> dict[str, Any]:
    """Parse the template, then fill it: a parameter is text in it and nothing else.

    Raises PlanProblem.
    """
    try:
        spec = json.loads(text)
        spec["template"]["spec"]["containers"][0]["image"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise PlanProblem(
            f"step {step}: args.template is no spec of a Job: {safe(error, 120)}",
            "give JSON with template.spec.containers, or args.cronjob",
        ) from error
    result: dict[str, Any] = _fill(spec, values, step)
    result["template"]["spec"].setdefault("restartPolicy", "Never")
    return result


def _fill(value: Any, values: Mapping[str, str], step: str) -> Any:
    if isinstance(value, str):
        return filled(value, values, f"step {step}: args.template")
    if isinstance(value, dict):
        return {key: _fill(item, values, step) for key, item in value.items()}
    return [_fill(item, values, step) for item in value] if isinstance(value, list) else value


def _name(prefix: str) -> str:
    prefix = prefix[:_PREFIX].strip("-.").replace(".", "-").lower()
    if not _NAME.fullmatch(prefix):
        raise PlanProblem(f"{clean(prefix, 60)}: not the beginning of a Job's name", "correct args.name")
    return f"{prefix}-manual-{secrets.token_hex(3)}"


def _shown(full: Mapping[str, Any]) -> str:
    return safe(canonical(full), 600)


def _blast(spec: Mapping[str, Any]) -> tuple[str, ...]:
    containers = spec["template"]["spec"]["containers"]
    pods = int(spec.get("parallelism") or 1)
    images = ", ".join(short(str(container.get("image"))) for container in containers)
    lines = [f"{pods} pod{'s' if pods != 1 else ''} of {clean(images, 160)}"]
    command = [*(containers[0].get("command") or []), *(containers[0].get("args") or [])]
    if command:
        lines.append(f"runs {safe(shlex.join(str(word) for word in command), 200)}")
    lines.append(
        f"tries again {spec.get('backoffLimit', 6)} times if it fails; "
        f"watched for {jobs.timeout_of(spec):.0f} s at most"
    )
    return tuple(lines)


async def _dry_run(context: StepContext, request: Request) -> tuple[DryRun, Mapping[str, Any] | None]:
    """Return the verdict, and what the server would make, path by path."""
    if context.read_only:
        return DryRun(DryRunState.UNKNOWN, "not asked: read-only"), None
    try:
        verdict, made = await dryrun.ask(context.client, request)
    except Conflict as conflict:
        return DryRun(DryRunState.FAILED, conflict.line()), None
    return verdict, outcome_of({}, made) if made is not None else None
