"""Sending a confirmed plan: the precondition, one repeat after a conflict, and never a blind
resend.

After an answer that does not tell (none, or a 5xx), the object is read and judged: applied, not
applied, or not to be told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import Conflict, Invalid, KubeError, NotFound, ServerFault, Unreachable
from cockpit.mitigation.cluster.objects import last_writer
from cockpit.mitigation.cluster.times import SEND_TIMEOUT_S, SETTLE_S
from cockpit.mitigation.outcome import Judgement, Outcome
from cockpit.mitigation.sending.request import request_of
from cockpit.mitigation.steps.kind import JSON_PATCH, Prepared
from cockpit.model.plan import Request


class Sender:
    def __init__(self, client: KubeClient, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._client = client
        self._sleep = sleep

    async def fresh(self, prepared: Prepared) -> Outcome | Mapping[str, Any]:
        """The object again, if it is still what the plan was made from; else why nothing may be
        sent.
        """
        try:
            obj = await self._client.get(prepared.object.path)
        except NotFound:
            return Outcome("stale", f"{prepared.object.name} is gone")
        except KubeError as error:
            return Outcome("not sent", f"the target cannot be read again: {error.reason}")
        changed = changed_since(prepared, obj)
        return Outcome("stale", changed) if changed else obj

    async def send(self, prepared: Prepared, obj: Mapping[str, Any], sending: Callable[[Request], None]) -> Outcome:
        """PATCH, with the resourceVersion of `obj`.

        `sending` is told of each request just before it leaves.
        """
        for last in (False, True):
            subject = prepared.object
            request = request_of(subject, prepared.draft, str(obj["metadata"]["resourceVersion"]))
            sending(request)
            try:
                answer = await self._client.send(
                    request.method,
                    request.path,
                    params=request.params,
                    body=request.body,
                    content_type=request.content_type,
                    timeout_s=SEND_TIMEOUT_S,
                )
            except Conflict as conflict:
                again = await self._after_conflict(prepared, obj, conflict, last)
                if isinstance(again, Outcome):
                    return again
                obj = again
                continue
            except Unreachable as error:
                if not error.maybe_sent:
                    return Outcome("not sent", f"the server was not reached: {error.reason}")
                return await self._after_silence(prepared, error)
            except ServerFault as error:
                return await self._after_silence(prepared, error)
            except Invalid as refused:
                again = await self._after_failed_test(prepared, obj, refused, last)
                if isinstance(again, Outcome):
                    return again
                obj = again
                continue
            except KubeError as error:
                return Outcome("rejected", error.reason)
            accepted = _accepted(answer.body)
            if accepted is not None:
                return accepted
            return await self._after_silence(prepared, ServerFault(f"the answer ({answer.status}) is no object"))
        raise AssertionError("unreachable")

    async def _after_conflict(
        self, prepared: Prepared, obj: Mapping[str, Any], conflict: Conflict, last: bool
    ) -> Outcome | Mapping[str, Any]:
        """409: same generation and same relevant fields → once more; else the plan is stale."""
        again = await self.fresh(prepared)
        if isinstance(again, Outcome):
            return again if again.result == "stale" else Outcome("rejected", f"{conflict.reason}; {again.words}")
        before, now = obj["metadata"].get("generation"), again["metadata"].get("generation")
        if before != now:
            return Outcome("stale", f"the object was changed meanwhile (generation {before} → {now}{_by(again)})")
        if last:
            return Outcome("stale", "the object changes faster than it can be patched")
        return again

    async def _after_failed_test(
        self, prepared: Prepared, obj: Mapping[str, Any], refused: Invalid, last: bool
    ) -> Outcome | Mapping[str, Any]:
        """422 to a JSON patch: a `test` that failed is told like any other fault of the request, so
        the object decides.
        """
        if prepared.draft.content_type == JSON_PATCH and refused.status == 422:
            again = await self.fresh(prepared)
            if isinstance(again, Outcome):
                return again if again.result == "stale" else Outcome("rejected", f"{refused.reason}; {again.words}")
            if again["metadata"]["resourceVersion"] != obj["metadata"]["resourceVersion"]:
                return await self._after_conflict(prepared, obj, Conflict(refused.reason), last)
        return Outcome("rejected", refused.reason)

    async def _after_silence(self, prepared: Prepared, error: KubeError) -> Outcome:
        """Read what happened.

        Not applied is said only after several looks: the request may have been slow.
        """
        judged = Judgement("unknown", error.reason)
        for pause_s in SETTLE_S:
            await self._sleep(pause_s)
            judged = await self.judge(prepared)
            if judged.state == "applied":
                assert judged.obj is not None
                told = f"applied (no answer came: {error.reason}; the object was read)"
                metadata = judged.obj["metadata"]
                return Outcome("sent", told, metadata.get("generation"), str(metadata["resourceVersion"]))
        if judged.state == "not applied":
            return Outcome("not sent", f"not applied ({error.reason}; the object was read {len(SETTLE_S)} times since)")
        return Outcome("uncertain", f"{error.reason}; {judged.words}")

    async def judge(self, prepared: Prepared) -> Judgement:
        """Read the object and compare."""
        try:
            obj = await self._client.get(prepared.object.path)
        except NotFound:
            return Judgement("gone", f"{prepared.object.name} is gone")
        except KubeError as error:
            return Judgement("unknown", f"the object cannot be read: {error.reason}")
        fields = prepared.step_kind.relevant(obj, prepared.draft.scope, prepared.salt)
        return compare(
            obj=obj,
            fields=fields,
            uid=prepared.object.uid,
            before=prepared.draft.relevant,
            after=prepared.draft.expected,
            touched=prepared.draft.touched,
        )


def compare(
    obj: Mapping[str, Any],
    fields: Mapping[str, Any],
    uid: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    touched: Sequence[str],
) -> Judgement:
    """`fields` (as they are) against the fields before and after a change, in what the change
    touches.
    """
    if obj["metadata"]["uid"] != uid:
        return Judgement("gone", "the object was deleted and made anew", obj)
    if all(fields.get(key) == after.get(key) for key in touched):
        return Judgement("applied", "the fields are as the step leaves them", obj)
    if all(fields.get(key) == before.get(key) for key in touched):
        return Judgement("not applied", "the fields are as before the step", obj)
    other = [k for k in touched if fields.get(k) not in (after.get(k), before.get(k))]
    return Judgement("changed", f"{named(other or touched)} changed since{_by(obj)}", obj)


def changed_since(prepared: Prepared, obj: Mapping[str, Any]) -> str:
    """What of a plan's relevant fields is different now, in words; "" when nothing."""
    if obj["metadata"]["uid"] != prepared.object.uid:
        return f"{prepared.object.name} was deleted and made anew: it is another object now"
    now = prepared.step_kind.relevant(obj, prepared.draft.scope, prepared.salt)
    before = prepared.draft.relevant
    keys = sorted(k for k in {*now, *before} if now.get(k) != before.get(k))
    return f"{named(keys)} changed since the plan was made{_by(obj)}" if keys else ""


def named(keys: Sequence[str]) -> str:
    """Relevant fields in an operator's words: "SOLANA_RPC_URL, replicas"."""
    words = [key.removeprefix("env ").removeprefix("spec.") for key in keys if key != "env order" or len(keys) == 1]
    return ", ".join(words[:6]) + (f" and {len(words) - 6} more" if len(words) > 6 else "")


def _by(obj: Mapping[str, Any]) -> str:
    who = last_writer(obj)
    return f", last written by {who}" if who else ""


def _accepted(body: bytes) -> Outcome | None:
    """A 2xx answer that is the changed object; None when it is something else (a login page of a
    proxy).
    """
    try:
        metadata = json.loads(body)["metadata"]
        # a Scale tells no generation: the rollout watch takes it from the object
        return Outcome("sent", "sent", metadata.get("generation"), str(metadata["resourceVersion"]))
    except (ValueError, KeyError, TypeError):
        return None
