"""One mitigation from the operator's yes to the proof. The order is the guarantee:

confirmation holds → target unchanged → lease → intent journalled → sent → outcome journalled → watched → verified.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from cockpit.clock import Clock
from cockpit.incident.journal import Journal, JournalProblem
from cockpit.incident.operator import Operator
from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation import records
from cockpit.mitigation.announce import announce
from cockpit.mitigation.lease import RENEW_EVERY_S, Lease
from cockpit.mitigation.plan import Planner, Prepared
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.rollout import Watched, Watcher, timeout_of
from cockpit.mitigation.send import Outcome, Sender, compare
from cockpit.mitigation.shown import masked
from cockpit.mitigation.verify import Baseline, Verification
from cockpit.model.plan import PLAN_EXPIRES_S, Confirmation, Phase, Plan, Progress, Proof, Request, Rollout
from cockpit.model.runbook import Runbooks, Validation
from cockpit.model.situation import Situation
from cockpit.text import safe

VERIFY_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Tools:
    """What every mitigation of one executor shares. `lease` is one per process."""

    client: KubeClient
    journal: Journal
    planner: Planner
    lease: Lease
    clock: Clock
    runbooks: Runbooks
    operator: Operator
    situation: Callable[[], Situation | None]
    told: Callable[[Progress], None]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


def check_confirmation(plan: Plan, confirmation: Confirmation, mono: float, read_only: bool) -> None:
    """Raises PlanProblem unless the operator said yes to this very plan, in time, and typed what was asked."""
    if read_only:
        raise PlanProblem("the cockpit is read-only", "start it without --read-only")
    if confirmation.plan_id != plan.id or confirmation.digest != plan.digest:
        raise PlanProblem("the confirmation is for another plan: nothing was sent", "plan again")
    if max(mono, confirmation.mono) - plan.created_mono > PLAN_EXPIRES_S:
        raise PlanProblem(f"the plan is older than {PLAN_EXPIRES_S:.0f} s: nothing was sent", "plan again")
    if plan.nothing_to_do:
        raise PlanProblem("nothing would change: nothing was sent", "")
    if plan.blocked:
        raise PlanProblem(f"blocked by {plan.blocked[0].guard}: {plan.blocked[0].reason}", "nothing was sent")
    if plan.typed is not None and confirmation.typed != plan.typed:
        raise PlanProblem(f"{plan.typed} was not typed: nothing was sent", f"type {plan.typed} to go on")


class Carrying:
    """The life of one confirmed plan. `send` until the answer is journalled (never cancelled), then `watch`."""

    def __init__(self, tools: Tools, prepared: Prepared, confirmation: Confirmation) -> None:
        self._tools = tools
        self._prepared = prepared
        self._plan = prepared.plan
        self._confirmation = confirmation
        self._number: int | None = None
        self._outcome: Outcome | None = None
        self._notes: list[str] = []
        self._baseline = Baseline({})
        started = tools.clock.mono()
        self.progress = Progress(self._plan, Phase.SENDING, None, "checking the target again", started)

    @property
    def sent(self) -> bool:
        return self._outcome is not None and self._outcome.result == "sent"

    @property
    def number(self) -> int | None:
        return self._number

    async def send(self) -> Progress:
        """Raises JournalProblem when the intent cannot be journalled; nothing was sent then."""
        tools, plan = self._tools, self._plan
        self._tell()
        lines = self._validation()
        self._baseline = Baseline.of(tools.situation(), lines, tools.clock.mono())
        sender = Sender(tools.client, tools.sleep)
        doing = f"{plan.title} on {plan.target.kind.lower()} {plan.target.name}"
        fresh, refused = await asyncio.gather(sender.fresh(self._prepared), tools.lease.acquire(doing))
        try:
            outcome = fresh if isinstance(fresh, Outcome) else self._lease_taken(refused)
            if outcome is None:
                assert not isinstance(fresh, Outcome)
                outcome = await sender.send(self._prepared, fresh, self._journal_intent)
            self._outcome = outcome
            self._after_send(outcome)
        except JournalProblem as problem:
            self._tell(phase=Phase.FAILED, words=f"nothing was sent: {problem.reason}", ended=True)
            raise
        except Exception as error:  # a fault of ours: what is not known is said, never left "sending"
            phase = Phase.FAILED if self._number is None else Phase.UNCERTAIN
            self._tell(phase=phase, words=f"{type(error).__name__}: {safe(error, 200)}", ended=True)
            raise
        finally:
            if not self.sent:
                await tools.lease.release()
        return self.progress

    async def _announce(self) -> None:
        tools = self._tools
        assert self._number is not None
        why = await announce(tools.client, self._plan, tools.operator, self._number, tools.planner.now())
        if why:
            self._notes.append(f"no Event: {why}")
            self._append(records.note(self._notes[-1], tools.operator, self._number))

    def _lease_taken(self, refused: str) -> Outcome | None:
        """Someone who took the lease since the plan was made was not shown: plan again. What was shown was overridden."""
        if not refused:
            return None
        shown = {g.guard for g in self._plan.overrides}
        if "lease" not in shown and refused.startswith("someone else"):
            return Outcome("stale", refused)
        self._notes.append(refused)
        return None

    def _journal_intent(self, request: Request) -> None:
        """Write-ahead: once for the mitigation; a repeat after a 409 changes only the precondition."""
        self._tell(phase=Phase.SENDING, words="sending")
        if self._number is not None:
            version = records.request_version(request)
            self._append(records.note(f"sent again after a conflict, at resourceVersion {version}", self._tools.operator, self._number))  # fmt: skip
            return
        self._number = self._tools.journal.append(
            records.intent(self._prepared, request, self._confirmation, self._tools.operator, self._baseline.values)
        )
        self._tell(words="sending")

    def _after_send(self, outcome: Outcome) -> None:
        took_s = self._tools.clock.mono() - self.progress.started_mono
        if self._number is not None:
            self._append(records.outcome(self._number, outcome, took_s))
            for note in tuple(self._notes):
                self._append(records.note(note, self._tools.operator, self._number))
        phase = {"sent": Phase.SENT, "stale": Phase.STALE, "uncertain": Phase.UNCERTAIN}.get(
            outcome.result, Phase.FAILED
        )
        words = {
            "sent": outcome.words, "stale": f"nothing was changed: {outcome.words}; plan again",
            "rejected": f"rejected by the server: {outcome.words}", "not sent": f"not done: {outcome.words}",
            "uncertain": f"not known whether it was applied: {outcome.words}",
        }[outcome.result]  # fmt: skip
        self._tell(phase=phase, words=self._with_notes(words), answered_s=took_s, ended=not self.sent)

    def _append(self, record: Mapping[str, Any]) -> None:
        """What is recorded after the fact: a full disk then is said, and the next start judges by the cluster."""
        try:
            self._tools.journal.append(masked(record, self._prepared.draft.hidden))
        except JournalProblem as problem:
            lost = f"NOT JOURNALLED: {problem.reason}"
            if lost not in self._notes:
                self._notes.append(lost)

    # ------------------------------------------------------------------------------------------------------ watching

    async def watch(self) -> None:
        """Rollout, then proof. Cancelling it only stops the watching."""
        renewing, announcing = asyncio.create_task(self._renew()), asyncio.create_task(self._announce())
        try:
            rollout = await self._watch_rollout()
            if rollout.failed:
                self._end(Phase.FAILED, Proof.FAIL, f"rollout failed: {rollout.words}{self._way_back()}")
            else:
                await self._verify(rollout)
        except asyncio.CancelledError:
            self._stopped()
            raise
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing
            await announcing

    async def _renew(self) -> None:
        """While the rollout and the proof last; what goes wrong with the lease never stops them."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            lost = await self._tools.lease.renew()
            if lost and lost not in self._notes:
                self._notes.append(lost)

    async def _watch_rollout(self) -> Rollout:
        tools, plan, outcome = self._tools, self._plan, self._outcome
        assert outcome is not None and self._number is not None
        target = plan.target
        scaled = self._prepared.draft.subresource == "scale"
        watched = Watched(
            target.kind, target.namespace, target.name, target.uid, None if scaled else outcome.generation,
            timeout_of(self._prepared.subject.obj), scaled,
        )  # fmt: skip
        started = tools.clock.mono()
        self._tell(phase=Phase.ROLLING_OUT, words="rolling out")

        def told(rollout: Rollout) -> None:
            self._tell(rollout=rollout, words=self._with_notes(rollout.words))

        watcher = Watcher(tools.client, tools.clock, sleep=tools.sleep)
        rollout = await watcher.follow(watched, told, self._overtaken)
        self._append(records.rollout(self._number, rollout, tools.clock.mono() - started))
        return rollout

    def _overtaken(self, obj: Mapping[str, Any]) -> str:
        """Why the object is no longer as this step left it."""
        prepared = self._prepared
        fields = prepared.kind.relevant(obj, prepared.draft.scope, prepared.salt)
        judged = compare(
            obj, fields, prepared.subject.uid, prepared.draft.relevant, prepared.draft.expected, prepared.draft.touched
        )
        if judged.state == "applied":
            return ""
        return "someone put it back during the rollout" if judged.state == "not applied" else judged.words

    async def _verify(self, rollout: Rollout) -> None:
        tools, plan = self._tools, self._plan
        lines = self._validation()
        if plan.undoes is not None:
            self._end(Phase.DONE, Proof.PASS, f"{rollout.words}; the fields are back as they were")
            return
        if not lines:
            self._end(Phase.DONE, Proof.UNKNOWN, f"{rollout.words}; the runbook has no validation line to prove it by")
            return
        verification = Verification(lines, tools.runbooks, self._baseline, tools.clock.mono())
        while True:
            verification.update(tools.situation(), tools.clock.mono())
            proof = verification.proof
            passed = sum(g.proof is Proof.PASS for g in verification.gauges)
            words = f"{rollout.words}; proof: {passed} of {len(lines)} hold"
            if proof is not Proof.PENDING:
                break
            self._tell(phase=Phase.VERIFYING, gauges=verification.gauges, words=self._with_notes(words))
            await tools.sleep(VERIFY_EVERY_S)
        self._tell(gauges=verification.gauges)
        bad = [g for g in verification.gauges if g.proof is proof]
        if proof is not Proof.PASS:
            verb = "failed" if proof is Proof.FAIL else "is unknown"
            words = f"the proof {verb}: " + "; ".join(f"{g.text}: {g.reason}" for g in bad) + self._way_back()
        self._end(Phase.DONE, proof, words)

    def _validation(self) -> tuple[Validation, ...]:
        plan = self._plan
        if not plan.runbook or plan.undoes is not None:
            return ()
        with contextlib.suppress(KeyError):
            return self._tools.runbooks.runbook(plan.runbook).validation
        return ()

    def _way_back(self) -> str:
        inverse = self._plan.inverse
        if inverse is None:
            return ""
        return f"; to take it back: {inverse.words} (u, or `m0-cockpit journal undo {self._number}`)"

    def _end(self, phase: Phase, proof: Proof, words: str) -> None:
        assert self._number is not None
        self._append(records.proof(self._number, proof, self.progress.gauges, words))
        self._tell(phase=phase, proof=proof, words=self._with_notes(words), ended=True)

    def _stopped(self) -> None:
        """Watching was stopped: what was sent stays sent, and nothing is proven."""
        words = "sent; no longer watched, so nothing is proven"
        if self._number is not None:
            self._append(records.proof(self._number, Proof.UNKNOWN, self.progress.gauges, words))
        self._tell(phase=Phase.DONE, proof=Proof.UNKNOWN, words=words, ended=True)

    def _with_notes(self, words: str) -> str:
        return "; ".join((words, *self._notes))

    def _tell(
        self, *, phase: Phase | None = None, words: str | None = None, rollout: Rollout | None = None,
        gauges: tuple[Any, ...] | None = None, proof: Proof | None = None, answered_s: float | None = None,
        ended: bool = False,
    ) -> None:  # fmt: skip
        now, hidden = self.progress, self._prepared.draft.hidden
        words = masked(words, hidden)
        if rollout is not None:
            rollout = replace(rollout, words=masked(rollout.words, hidden), blocking=masked(rollout.blocking, hidden))
        self.progress = replace(
            now, journal=self._number, phase=phase or now.phase, words=words if words is not None else now.words,
            rollout=rollout or now.rollout, gauges=gauges if gauges is not None else now.gauges, proof=proof or now.proof,
            answered_s=answered_s if answered_s is not None else now.answered_s,
            ended_mono=self._tools.clock.mono() if ended else now.ended_mono,
        )  # fmt: skip
        self._tools.told(self.progress)
