"""Sends a confirmed patch: with a precondition, and never blindly a second time.

After a conflict it is sent once more, if what it depends on is unchanged. After an answer that does
not tell (none, or a 5xx) the object is read and judged: applied, not applied, or unknown.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cockpit.kubeapi.client import ApiAnswer, KubeClient
from cockpit.kubeapi.errors import Conflict, Invalid, KubeError, NotFound, ServerFault
from cockpit.mitigation.cluster.differences import beyond, outcome_of
from cockpit.mitigation.cluster.objects import object_path, owner_of
from cockpit.mitigation.cluster.patches import JSON_PATCH, at_version
from cockpit.mitigation.cluster.rollout_state import stood_at
from cockpit.mitigation.cluster.times import SEND_TIMEOUT_S, SETTLE_S, THROTTLED_S
from cockpit.mitigation.kind import Draft, Ready
from cockpit.mitigation.outcome import Judgement, Outcome
from cockpit.mitigation.sending.unanswered import not_carried_out, settled
from cockpit.model.plan import Request, Target
from cockpit.text import clean


class Waits:
    """Tells of each time that the server asked to wait, and keeps it for the journal."""

    def __init__(self, on_progress: Callable[[str], None]) -> None:
        self._on_progress = on_progress
        self._waited: list[float] = []

    async def send(self, client: KubeClient, request: Request) -> ApiAnswer:
        """Send a request, which waits as long as the server asks; raises KubeError."""
        return await client.send(
            request.method,
            request.path,
            params=request.params,
            body=request.body,
            content_type=request.content_type,
            timeout_s=SEND_TIMEOUT_S,
            patience_s=THROTTLED_S,
            on_wait=self._hear,
        )

    def _hear(self, seconds: float) -> None:
        self._waited.append(seconds)
        self._on_progress(f"the API server asks to wait {seconds:.3g} s (429): it is sent again then")

    @property
    def notes(self) -> tuple[str, ...]:
        if not self._waited:
            return ()
        times = "once" if len(self._waited) == 1 else f"{len(self._waited)} times"
        return (f"the API server asked {times} to wait (429), {sum(self._waited):.3g} s in all, and did nothing then",)


class Sender:
    """Sends one patch of `target`.

    `relevant` takes the fields that the draft depends on from any reading of the object.
    """

    def __init__(
        self,
        client: KubeClient,
        target: Target,
        draft: Draft,
        relevant: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        judge_again: Callable[[Mapping[str, Any]], Awaitable[str]] | None = None,
    ) -> None:
        """Make it; `judge_again` says what is worse by now than it was shown."""
        self._judge_again = judge_again
        self._client = client
        self._target = target
        self._path = object_path(target.kind, target.namespace, target.name)
        self._draft = draft
        self._relevant = relevant
        self._sleep = sleep

    async def recheck(self) -> Ready | Outcome:
        """Read the object again; an Outcome says why the plan does not fit it any more."""
        try:
            obj = await self._client.get(self._path)
        except NotFound:
            return Outcome("stale", f"{self._target.name} is gone")
        except KubeError as error:
            return Outcome("not sent", f"the target cannot be read again: {error.line()}")
        changed = self._changed_since(obj)
        if changed:
            return Outcome("stale", changed)
        worse = await self._judge_again(obj) if self._judge_again is not None else ""
        if worse:
            return Outcome("stale", f"worse than it was shown: {worse}")
        assert isinstance(self._draft.effect, Request)
        return Ready(at_version(self._draft.effect, str(obj["metadata"]["resourceVersion"])), obj)

    async def send(
        self, ready: Ready, intent: Callable[[Request], None], on_progress: Callable[[str], None] = lambda words: None
    ) -> Outcome:
        """Send the PATCH, with the resourceVersion of the object as it was read again.

        `intent` hears of each request just before it leaves.
        """
        waits = Waits(on_progress)
        outcome = await self._send_at_most_twice(ready, intent, waits)
        return replace(outcome, notes=(*outcome.notes, *waits.notes))

    async def _send_at_most_twice(self, ready: Ready, intent: Callable[[Request], None], waits: Waits) -> Outcome:
        for last in (False, True):
            request = ready.effect
            assert isinstance(request, Request)
            intent(request)
            answered = await self._send_once(request, ready, last, waits)
            if isinstance(answered, Outcome):
                return answered
            ready = answered
        raise AssertionError("unreachable")

    async def _send_once(self, request: Request, ready: Ready, last: bool, waits: Waits) -> Ready | Outcome:
        """Send one request; Ready when it met a conflict that may be tried once more."""
        try:
            answer = await waits.send(self._client, request)
        except Conflict as conflict:
            return await self._after_conflict(ready, conflict, last)
        except Invalid as refused:
            return await self._after_failed_test(ready, refused, last)
        except KubeError as error:
            return not_carried_out(error) or await self._after_silence(error, ready)
        accepted = _accepted(answer.body)
        if accepted is not None:
            stood = accepted.stood or stood_at(ready.obj)
            return replace(accepted, warnings=answer.warnings, beyond=self._beyond(ready, answer.body), stood=stood)
        return await self._after_silence(ServerFault(f"the answer ({answer.status}) is no object"), ready)

    def _beyond(self, ready: Ready, body: bytes) -> tuple[str, ...]:
        """Return what the server made of it otherwise than the dry run had shown."""
        made = json.loads(body)
        if made.get("kind") == "Scale":
            count = int((made.get("spec") or {}).get("replicas") or 0)
            return () if count == self._draft.expected.get("spec.replicas", count) else (f"spec.replicas is {count}",)
        if self._draft.foreseen is not None:
            return tuple(clean(path, 300) for path in beyond(self._draft.foreseen, outcome_of(ready.obj, made)))
        fields, expected = self._relevant(made), self._draft.expected
        return tuple(clean(key, 300) for key in self._draft.touched if fields.get(key) != expected.get(key))

    async def _after_conflict(self, ready: Ready, conflict: Conflict, last: bool) -> Ready | Outcome:
        """Judge a 409: with the same generation and relevant fields it may be sent once more."""
        again = await self.recheck()
        if isinstance(again, Outcome):
            return again if again.result == "stale" else Outcome("rejected", f"{conflict.reason}; {again.words}")
        before, now = ready.obj["metadata"].get("generation"), again.obj["metadata"].get("generation")
        if before != now:
            return Outcome("stale", f"the object was changed meanwhile (generation {before} → {now})")
        if last:
            return Outcome("stale", "the object changes faster than it can be patched")
        return again

    async def _after_failed_test(self, ready: Ready, refused: Invalid, last: bool) -> Ready | Outcome:
        """Judge a 422 to a JSON patch by the object: the answer does not say which part failed."""
        request = ready.effect
        if isinstance(request, Request) and request.content_type == JSON_PATCH and refused.status == 422:
            again = await self.recheck()
            if isinstance(again, Outcome):
                return again if again.result == "stale" else Outcome("rejected", f"{refused.reason}; {again.words}")
            if again.obj["metadata"]["resourceVersion"] != ready.obj["metadata"]["resourceVersion"]:
                return await self._after_conflict(ready, Conflict(refused.reason), last)
        return Outcome("rejected", refused.reason)

    async def _after_silence(self, error: KubeError, ready: Ready) -> Outcome:
        """Read what happened."""
        judged = await settled(self._judge, self._sleep)
        if judged.state == "applied":
            assert judged.obj is not None
            words = f"applied (no answer came: {error.reason}; the object was read)"
            metadata = judged.obj["metadata"]
            version = str(metadata["resourceVersion"])
            return Outcome("sent", words, metadata.get("generation"), version, stood=stood_at(ready.obj))
        if judged.state == "not applied":
            return Outcome("not sent", f"not applied ({error.reason}; the object was read {len(SETTLE_S)} times since)")
        return Outcome("uncertain", f"{error.reason}; {judged.words}")

    async def _judge(self) -> Judgement:
        """Read the object and compare it with the plan."""
        try:
            obj = await self._client.get(self._path)
        except NotFound:
            return Judgement("gone", f"{self._target.name} is gone")
        except KubeError as error:
            return Judgement("unknown", f"the object cannot be read: {error.line()}")
        return self._compare(obj)

    def overtaken(self, obj: Mapping[str, Any]) -> str:
        """Say why the object is no longer as this step left it; "" while it is."""
        judged = self._compare(obj)
        if judged.state == "applied":
            return ""
        return "someone put it back during the rollout" if judged.state == "not applied" else judged.words

    def _compare(self, obj: Mapping[str, Any]) -> Judgement:
        draft = self._draft
        return compare(
            obj=obj,
            fields=self._relevant(obj),
            uid=self._target.uid,
            before=draft.relevant,
            after=draft.expected,
            touched=draft.touched,
        )

    def _changed_since(self, obj: Mapping[str, Any]) -> str:
        """Say which of the plan's relevant fields is different now; "" when none is."""
        if obj["metadata"]["uid"] != self._target.uid:
            return f"{self._target.name} was deleted and made anew: it is another object now"
        before, now = self._draft.relevant, self._relevant(obj)
        keys = sorted(k for k in {*now, *before} if now.get(k) != before.get(k))
        return f"{named(keys)} changed since the plan was made{_by(obj, keys)}" if keys else ""


def compare(
    obj: Mapping[str, Any],
    fields: Mapping[str, Any],
    uid: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    touched: Sequence[str],
) -> Judgement:
    """Compare `fields` with those before and after a change, in what the change touches."""
    if obj["metadata"]["uid"] != uid:
        return Judgement("gone", "the object was deleted and made anew", obj)
    if all(fields.get(key) == after.get(key) for key in touched):
        return Judgement("applied", "the fields are as the step leaves them", obj)
    if all(fields.get(key) == before.get(key) for key in touched):
        return Judgement("not applied", "the fields are as before the step", obj)
    other = [k for k in touched if fields.get(k) not in (after.get(k), before.get(k))]
    return Judgement("changed", f"{named(other or touched)} changed since{_by(obj, other or touched)}", obj)


def named(keys: Sequence[str]) -> str:
    """Name relevant fields in an operator's words: "SOLANA_RPC_URL, replicas"."""
    words = [key.removeprefix("env ").removeprefix("spec.") for key in keys if key != "env order" or len(keys) == 1]
    return ", ".join(words[:6]) + (f" and {len(words) - 6} more" if len(words) > 6 else "")


def _by(obj: Mapping[str, Any], fields: Sequence[str]) -> str:
    who = owner_of(obj, fields)
    return f", last written by {who}" if who else ""


def _accepted(body: bytes) -> Outcome | None:
    """Return the outcome of a 2xx answer that is the changed object.

    None when it is something else (a login page of a proxy).
    """
    try:
        found = json.loads(body)
        metadata = found["metadata"]
        # a Scale tells no generation: the rollout watch takes it from the object
        version = str(metadata["resourceVersion"])
        return Outcome("sent", "sent", metadata.get("generation"), version, stood=stood_at(found))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
