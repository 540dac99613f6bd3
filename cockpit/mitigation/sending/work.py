"""How a confirmed plan is done: one small thing with three moments (looked at again, sent,
watched), whatever is sent.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from cockpit.clock import Clock
from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation.cluster.rollout import Watched, Watcher, timeout_of
from cockpit.mitigation.context import OnProgress, StepContext
from cockpit.mitigation.outcome import Outcome
from cockpit.mitigation.sending.send import Sender, compare
from cockpit.mitigation.steps.kind import Prepared
from cockpit.model.plan import CommandRun, Effect, Rollout, SqlRun

#: Called with what leaves, just before it leaves; raises JournalProblem when that cannot be
#: journalled.
Intent = Callable[[Effect], None]


class Work(Protocol):
    stoppable: bool  # what runs can be ended half-way by `stop`

    def stop(self) -> None:
        """The operator wants what runs to end.

        What it has done so far stays done; the outcome says what is known of that.
        """

    async def fresh(self) -> Outcome | None:
        """Why nothing may be sent any more; None: it may."""

    async def send(self, intent: Intent, told: OnProgress) -> Outcome:
        """Once, after `intent`.

        Only after `fresh` said None.
        """

    async def watch(self, outcome: Outcome, told: OnProgress) -> Rollout: ...


class PatchWork:
    """A patch of one object of the cluster, and the rollout that follows."""

    stoppable = False

    def stop(self) -> None:
        """One request: there is nothing to end half-way."""

    def __init__(
        self, prepared: Prepared, client: KubeClient, clock: Clock, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._prepared = prepared
        self._client = client
        self._clock = clock
        self._sleep = sleep
        self._sender = Sender(client, sleep)
        self._obj: Mapping[str, Any] | None = None

    async def fresh(self) -> Outcome | None:
        found = await self._sender.fresh(self._prepared)
        if isinstance(found, Outcome):
            return found
        self._obj = found
        return None

    async def send(self, intent: Intent, told: OnProgress) -> Outcome:
        assert self._obj is not None
        return await self._sender.send(self._prepared, self._obj, intent)

    async def watch(self, outcome: Outcome, told: OnProgress) -> Rollout:
        prepared, target = self._prepared, self._prepared.plan.target
        if not prepared.step_kind.rolls:
            return Rollout(
                done=True,
                failed=False,
                words=f"{target.kind.lower()} {target.name} is set",
                updated=0,
                desired=0,
                terminating=0,
            )
        scaled = prepared.draft.subresource == "scale"
        watched = Watched(
            kind=target.kind,
            namespace=target.namespace,
            name=target.name,
            uid=target.uid,
            generation=None if scaled else outcome.generation,
            timeout_s=timeout_of(prepared.object.obj),
            scaled=scaled,
        )

        def hear(rollout: Rollout) -> None:
            told(rollout=rollout)

        return await Watcher(self._client, self._clock, sleep=self._sleep).follow(watched, hear, self._overtaken)

    def _overtaken(self, obj: Mapping[str, Any]) -> str:
        """Why the object is no longer as this step left it."""
        prepared = self._prepared
        fields = prepared.step_kind.relevant(obj, prepared.draft.scope, prepared.salt)
        judged = compare(
            obj=obj,
            fields=fields,
            uid=prepared.object.uid,
            before=prepared.draft.relevant,
            after=prepared.draft.expected,
            touched=prepared.draft.touched,
        )
        if judged.state == "applied":
            return ""
        return "someone put it back during the rollout" if judged.state == "not applied" else judged.words


class ActWork:
    """Anything else: the kind does it itself."""

    def __init__(self, prepared: Prepared, office: StepContext) -> None:
        assert prepared.act is not None
        self._prepared = prepared
        self._act = prepared.act
        self._office = dataclasses.replace(office, stopping=asyncio.Event())
        self.stoppable = isinstance(prepared.plan.request, CommandRun | SqlRun)

    def stop(self) -> None:
        self._office.stopping.set()

    async def fresh(self) -> Outcome | None:
        return await self._act.fresh(self._prepared, self._office)

    async def send(self, intent: Intent, told: OnProgress) -> Outcome:
        intent(self._prepared.plan.request)
        return await self._act.perform(self._prepared, self._office, told)

    async def watch(self, outcome: Outcome, told: OnProgress) -> Rollout:
        return await self._act.watch(self._prepared, outcome, self._office, told)
