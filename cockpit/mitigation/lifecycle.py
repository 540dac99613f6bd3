"""Takes one mitigation from the operator's yes to the proof.

The order is the guarantee, whatever is sent:

confirmation holds → target unchanged → lease → intent journalled → sent → outcome journalled →
watched → verified.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cockpit.clock import Clock
from cockpit.journal.entries import entries_of
from cockpit.journal.journal import Journal, JournalProblem
from cockpit.journal.operator import Operator
from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation.cluster.announce import announce
from cockpit.mitigation.cluster.guard_facts import Facts
from cockpit.mitigation.cluster.lease import RENEW_EVERY_S, Lease
from cockpit.mitigation.cluster.objects import GROUPS
from cockpit.mitigation.cluster.patches import version_of
from cockpit.mitigation.kind import Prepared, Ready
from cockpit.mitigation.outcome import Outcome
from cockpit.mitigation.planning.planner import Planner
from cockpit.mitigation.proof.before import Baseline
from cockpit.mitigation.proof.chain_silence import stops_publishing
from cockpit.mitigation.proof.watching import Before, ProofWatch, Surroundings, expected, read_before
from cockpit.mitigation.recovery.unfinished import judge
from cockpit.mitigation.sending import records
from cockpit.mitigation.sending.progress import ProgressKeeper
from cockpit.model.plan import CommandRun, Confirmation, Effect, Gauge, Phase, Progress, Proof, Request, Rollout, SqlRun
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.secrets import mask_secrets
from cockpit.text import safe


@dataclass(frozen=True, slots=True)
class RunDependencies:
    """Holds what every mitigation of one executor shares.

    `lease` is one per process.
    """

    client: KubeClient
    journal: Journal
    planner: Planner
    lease: Lease
    clock: Clock
    runbooks: Runbooks
    operator: Operator
    situation: Callable[[], Situation | None]
    on_progress: Callable[[Progress], None]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class MitigationRun:
    """Carries one confirmed plan through its life.

    `send` until the answer is journalled (never cancelled), then `watch`.
    """

    def __init__(self, shared: RunDependencies, prepared: Prepared, confirmation: Confirmation) -> None:
        self._shared = shared
        self._prepared = prepared
        self._plan = prepared.plan
        self._confirmation = confirmation
        self._outcome: Outcome | None = None
        self._stopping = False
        self._before = Before(Baseline({}), {})
        self._checked = Proof.PENDING  # what a local check found
        self._context = dataclasses.replace(
            shared.planner.context, stopping=asyncio.Event(), judge_again=self._judge_again
        )
        self._facts: asyncio.Task[Facts | None] | None = None
        takes = expected(self._plan, prepared.draft, shared.runbooks)
        self._keeper = ProgressKeeper(self._plan, prepared.draft.hidden, shared.clock, shared.on_progress, takes)
        self._report, self._with_notes, self._notes = self._keeper.report, self._keeper.with_notes, self._keeper.notes

    @property
    def progress(self) -> Progress:
        return self._keeper.progress

    @property
    def sent(self) -> bool:
        return self._outcome is not None and self._outcome.result == "sent"

    @property
    def number(self) -> int | None:
        return self._keeper.number

    async def send(self) -> Progress:
        """Raises JournalProblem when the intent cannot be journalled; nothing was sent then."""
        shared, plan = self._shared, self._plan
        self._report()
        self._before = read_before(plan, shared.runbooks, shared.situation(), shared.clock.mono(), self._records())
        doing = f"{plan.title} on {plan.target.kind.lower()} {plan.target.name}"
        self._facts = asyncio.create_task(shared.planner.facts_of(self._prepared))
        ready, refused = await asyncio.gather(self._recheck(), self._acquire(doing))
        try:
            outcome = ready if isinstance(ready, Outcome) else self._lease_taken(refused)
            if outcome is None and isinstance(ready, Ready):
                outcome = await self._prepared.kind.send(
                    self._prepared, ready, self._context, self._journal_intent, self._hear
                )
            assert outcome is not None
            self._outcome = outcome
            self._after_send(outcome)
        except JournalProblem as problem:
            self._report(phase=Phase.FAILED, words=f"nothing was sent: {problem.line()}", ended=True)
            raise
        except Exception as error:  # a fault of ours: what is not known is said, never left "sending"
            phase = Phase.FAILED if self.number is None else Phase.UNCERTAIN
            self._report(phase=phase, words=f"{type(error).__name__}: {safe(error, 200)}", ended=True)
            raise
        finally:
            if not self.sent:
                await self.release()
        return self.progress

    def stop(self, who: str) -> None:
        """End what runs, as far as it can be ended; the outcome says what is known of it then."""
        if self.progress.stoppable:
            self._append(records.note(f"{who} asked to stop it", self._shared.operator, self.number))
            self._stopping = True
            self._context.stopping.set()
            self._report(words="stopping: it and all that it started is being ended", stoppable=False)

    async def release(self) -> None:
        """Give our hold on the lease back, if this one took it."""
        if not self._plan.harmless:
            await self._shared.lease.release()

    async def judge_again(self) -> str:
        """Say why it would not be sent now; "" when it would."""
        ready = await self._recheck()
        return ready.words if isinstance(ready, Outcome) and ready.result == "stale" else ""

    async def _recheck(self) -> Ready | Outcome:
        """Look at the target again, and at what the guards say by now."""
        ready = await self._prepared.kind.recheck(self._prepared, self._context)
        if isinstance(ready, Ready) and not ready.obj and (worse := await self._judge_again({})):
            return Outcome("stale", f"worse than it was shown: {worse}")
        return ready

    async def _judge_again(self, obj: Mapping[str, Any]) -> str:
        """Judge by fresh facts: those that were asked for meanwhile, after a conflict new ones."""
        planner, asked = self._shared.planner, self._facts
        self._facts = None
        facts = await (asked if asked is not None else planner.facts_of(self._prepared))
        return "" if facts is None else await planner.judge_again(self._prepared, obj, facts)

    async def _acquire(self, doing: str) -> str:
        """Take the lease, which says who changes the world; a look at it needs none."""
        return "" if self._plan.harmless else await self._shared.lease.acquire(doing)

    def _hear(
        self,
        words: str | None = None,
        *,
        rollout: Rollout | None = None,
        output: tuple[str, ...] | None = None,
        dropped: str | None = None,
        proof: Proof | None = None,
    ) -> None:
        """Report what the step says of itself while it goes on."""
        if proof is not None:
            self._checked = proof
        if words is None and rollout is not None:
            words = rollout.words
        if words is not None:
            if self._stopping and words.startswith("running"):
                words = f"stopping{words.removeprefix('running')}"
            words = self._with_notes(words)
        self._report(rollout=rollout, words=words, output=output, dropped=dropped)

    async def _announce(self) -> None:
        shared = self._shared
        if self._plan.target.kind not in GROUPS:
            return  # no object of the cluster: there is nothing to hang an Event on
        assert self.number is not None
        why = await announce(
            shared.client, self._plan, shared.operator, self.number, shared.planner.now(), shared.runbooks
        )
        if why:
            self._notes.append(f"no Event: {why}")
            self._append(records.note(self._notes[-1], shared.operator, self.number))

    def _lease_taken(self, refused: str) -> Outcome | None:
        """Return "stale" when someone took the lease since the plan was made.

        That was not shown, so the operator must plan again; what was shown was overridden.
        """
        if not refused:
            return None
        shown = {g.guard for g in self._plan.overrides}
        holders = [name for g in self._plan.overrides if g.guard == "lease" for name in g.about]
        another = "lease" not in shown or not any(name in refused for name in holders)
        if another and refused.startswith("someone else"):
            return Outcome("stale", refused)
        self._notes.append(refused)
        return None

    def _journal_intent(self, effect: Effect) -> None:
        """Journal the intent, once: a repeat after a 409 changes only the precondition."""
        self._report(phase=Phase.SENDING, words="looking" if self._plan.harmless else "sending")
        if self.number is not None:
            version = version_of(effect)
            self._append(
                records.note(
                    f"sent again after a conflict, at resourceVersion {version}", self._shared.operator, self.number
                )
            )
            return
        situation = self._shared.situation()
        self._keeper.number = self._shared.journal.append(
            mask_secrets(
                records.intent(
                    self._prepared,
                    effect,
                    self._confirmation,
                    self._shared.operator,
                    self._before.baseline,
                    clock_behind_s=situation.clock_behind_s if situation is not None else None,
                    without_lease="" if self._plan.harmless else self._shared.lease.trouble,
                ),
                self._prepared.draft.hidden,
            )
        )
        self._report(
            words="looking" if self._plan.harmless else "sending",
            stoppable=isinstance(self._plan.request, CommandRun | SqlRun),
        )

    def _after_send(self, outcome: Outcome) -> None:
        took_s = self._shared.clock.mono() - self.progress.started_mono
        if self.number is not None:
            self._append(records.outcome(self.number, outcome, took_s))
            inherited = self._shared.lease.inherited
            taken = (f"took over the lease that a dead cockpit of this host left: {inherited}",) if inherited else ()
            for note in (*taken, *outcome.notes, *self._notes):
                self._append(records.note(note, self._shared.operator, self.number))
        phase = {"sent": Phase.SENT, "stale": Phase.STALE, "uncertain": Phase.UNCERTAIN}.get(
            outcome.result, Phase.FAILED
        )
        if outcome.beyond:
            more = ", ".join(outcome.beyond[:6]) + (" and more" if len(outcome.beyond) > 6 else "")
            self._notes.append(f"THE SERVER MADE SOMETHING ELSE OF IT THAN WAS SHOWN: {more}")
        fresh = [w for w in outcome.warnings if w not in self._plan.dry_run.warnings]
        self._notes += [f"the server warns: {warning}" for warning in fresh[:3]]
        failed = "rejected by the server" if isinstance(self._plan.request, Request) else "failed"
        words = {
            "sent": outcome.words,
            "stale": f"nothing was changed: {outcome.words}; plan again",
            "rejected": f"{failed}: {outcome.words}",
            "not sent": f"not done: {outcome.words}",
            "uncertain": f"not known whether it was applied: {outcome.words}",
        }[outcome.result]
        self._report(
            phase=phase,
            words=self._with_notes(words),
            answered_s=took_s,
            ended=not self.sent,
            stoppable=False,
            warnings=outcome.warnings,
            beyond=outcome.beyond,
        )

    def _append(self, record: Mapping[str, Any]) -> None:
        """Journal what happened after the fact.

        A full disk then is said, and the next start judges by the cluster.
        """
        try:
            self._shared.journal.append(mask_secrets(record, self._prepared.draft.hidden))
        except JournalProblem as problem:
            lost = f"NOT JOURNALLED: {problem.line()}"
            if lost not in self._notes:
                self._notes.append(lost)

    # watching

    async def watch(self, cut_off: Callable[[], bool] = lambda: False) -> None:
        """Watch the rollout, then the proof.

        Cancelling it only stops the watching. `cut_off`: whether the line dropped, so that nobody
        chose to; then it stays open in the journal, for the next start.
        """
        renewing, announcing = asyncio.create_task(self._renew()), asyncio.create_task(self._announce())
        try:
            rollout = await self._watch_rollout()
            if rollout.failed:
                self._end(Phase.FAILED, Proof.FAIL, f"rollout failed: {rollout.words}{self._way_back()}")
            else:
                await self._verify(rollout)
        except asyncio.CancelledError:
            if not cut_off():
                self._stopped()
            raise
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing
            await announcing

    async def _renew(self) -> None:
        """Renew the lease during rollout and proof; what goes wrong never stops them."""
        said = self._shared.lease.trouble
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            lost = await self._shared.lease.renew()
            if lost != said and said in self._notes:
                self._notes.remove(said)
            if lost and lost not in self._notes:
                self._notes.append(lost)
            said = lost

    async def _watch_rollout(self) -> Rollout:
        outcome = self._outcome
        assert outcome is not None and self.number is not None
        started = self._shared.clock.mono()
        self._report(phase=Phase.ROLLING_OUT, words=self._with_notes(outcome.words))
        rollout = await self._prepared.kind.watch(self._prepared, outcome, self._context, self._hear)
        self._append(records.rollout(self.number, rollout, self._shared.clock.mono() - started))
        return rollout

    async def _verify(self, rollout: Rollout) -> None:
        if self._plan.harmless:
            self._end(Phase.DONE, self._checked, rollout.words)
            return
        assert self.number is not None
        shared = self._shared
        around = Surroundings(
            runbooks=shared.runbooks,
            clock=shared.clock,
            situation=shared.situation,
            records=self._records,
            stands=self._stands,
            measure=self._context.backends.measure,
            sleep=shared.sleep,
        )
        watch = ProofWatch(
            self._plan,
            self._prepared.draft,
            self.number,
            self._before,
            around,
            hear=self._hear_proof,
            way_back=self._way_back(),
        )
        verdict = await watch.verdict(rollout.words, self._checked)
        if verdict.gauges is not None:
            self._report(gauges=verdict.gauges)
        self._end(Phase.DONE, verdict.proof, verdict.words)

    def _hear_proof(self, gauges: tuple[Gauge, ...], words: str) -> None:
        self._report(phase=Phase.VERIFYING, gauges=gauges, words=self._with_notes(words))

    async def _stands(self) -> str:
        """Say why the object is not as the step left it; "" when it is."""
        entry = entries_of(self._records()).get(self.number or 0)
        judged = await judge(self._context, entry.intent) if entry is not None else None
        if judged is None or judged.state == "applied":
            return ""
        verb = "it is not known whether it still stands" if judged.state == "unknown" else "it no longer stands"
        return f"{verb}: {judged.words}"

    def _records(self) -> tuple[dict[str, Any], ...]:
        return self._shared.journal.records(wait=False)

    def _way_back(self) -> str:
        """Offer the inverse; never towards what was just left: publishing, a bad revision."""
        inverse, plan = self._plan.inverse, self._plan
        left = stops_publishing(self._prepared.draft) or plan.kind == "undo-rollout" or plan.undoes is not None
        stuck = self._outcome is not None and self._outcome.stood.startswith("ProgressDeadlineExceeded|")
        if inverse is None or left or stuck:
            return ""
        return f"; to take it back: {inverse.words} (u, or `m0-cockpit journal undo {self.number}`)"

    def _end(self, phase: Phase, proof: Proof, words: str) -> None:
        assert self.number is not None
        self._append(records.proof(self.number, proof, self.progress.gauges, words))
        self._report(phase=phase, proof=proof, words=self._with_notes(words), ended=True)

    def _stopped(self) -> None:
        """End it unproven: watching was stopped, and what was sent stays sent."""
        words = "sent; no longer watched, so nothing is proven"
        if self.number is not None:
            self._append(records.proof(self.number, Proof.UNKNOWN, self.progress.gauges, words))
        self._report(phase=Phase.DONE, proof=Proof.UNKNOWN, words=words, ended=True)
