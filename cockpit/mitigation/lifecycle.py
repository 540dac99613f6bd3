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

from msgspec.structs import replace

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
from cockpit.mitigation.problem import PlanProblem
from cockpit.mitigation.proof.chain_silence import ChainSilence, stops_publishing
from cockpit.mitigation.proof.measured import Measuring
from cockpit.mitigation.proof.sharing import shared_words, sharers, undone_meanwhile
from cockpit.mitigation.proof.verify import Baseline, Verification
from cockpit.mitigation.recovery.unfinished import judge
from cockpit.mitigation.sending import records
from cockpit.model.plan import (
    PLAN_EXPIRES_S,
    CommandRun,
    Confirmation,
    Effect,
    Phase,
    Plan,
    Progress,
    Proof,
    Request,
    Rollout,
    SqlRun,
)
from cockpit.model.runbook import Runbooks, Step, Validation
from cockpit.model.situation import Situation
from cockpit.secrets import mask_secrets
from cockpit.text import safe

VERIFY_EVERY_S = 0.5
STANDS_EVERY_S = 5.0


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


def check_confirmation(plan: Plan, confirmation: Confirmation, mono: float, read_only: bool) -> None:
    """Check that the operator said yes to this very plan, in time, and typed what was asked.

    Raises PlanProblem.
    """
    if read_only and not plan.harmless:
        raise PlanProblem("the cockpit is read-only", "start it without --read-only")
    if confirmation.plan_id != plan.id or confirmation.digest != plan.digest:
        raise PlanProblem("the confirmation is for another plan: nothing was sent", "plan again")
    if max(mono, confirmation.mono) - plan.created_mono > PLAN_EXPIRES_S:
        raise PlanProblem(f"the plan is older than {PLAN_EXPIRES_S:.0f} s: nothing was sent", "plan again")
    if plan.nothing_to_do:
        raise PlanProblem("nothing would change: nothing was sent", "it is already as the step makes it")
    if plan.blocked:
        raise PlanProblem(f"blocked by {plan.blocked[0].guard}: {plan.blocked[0].reason}", "nothing was sent")
    if plan.typed is not None and confirmation.typed != plan.typed:
        raise PlanProblem(f"{plan.typed} was not typed: nothing was sent", f"type {plan.typed} to go on")


def _generations(situation: Situation, runbooks: Runbooks) -> dict[tuple[str, str], int]:
    """Return how often the specification of each service was changed, as far as it is known."""
    return {key: w.generation for key, w in situation.cluster.workloads.items() if key[1] in runbooks.services}


class MitigationRun:
    """Carries one confirmed plan through its life.

    `send` until the answer is journalled (never cancelled), then `watch`.
    """

    def __init__(self, shared: RunDependencies, prepared: Prepared, confirmation: Confirmation) -> None:
        self._shared = shared
        self._prepared = prepared
        self._plan = prepared.plan
        self._confirmation = confirmation
        self._number: int | None = None
        self._outcome: Outcome | None = None
        self._stopping = False
        self._notes: list[str] = []
        self._baseline = Baseline({})
        self._generations: Mapping[tuple[str, str], int] = {}
        self._checked = Proof.PENDING  # what a local check found
        self._context = dataclasses.replace(
            shared.planner.context, stopping=asyncio.Event(), judge_again=self._judge_again
        )
        self._facts: asyncio.Task[Facts | None] | None = None
        started = shared.clock.mono()
        self.progress = Progress(self._plan, Phase.SENDING, None, "checking the target again", started)

    @property
    def sent(self) -> bool:
        return self._outcome is not None and self._outcome.result == "sent"

    @property
    def number(self) -> int | None:
        return self._number

    async def send(self) -> Progress:
        """Raises JournalProblem when the intent cannot be journalled; nothing was sent then."""
        shared, plan = self._shared, self._plan
        self._report()
        self._baseline = self._take_baseline()
        before = shared.situation()
        self._generations = _generations(before, shared.runbooks) if before is not None else {}
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
            phase = Phase.FAILED if self._number is None else Phase.UNCERTAIN
            self._report(phase=phase, words=f"{type(error).__name__}: {safe(error, 200)}", ended=True)
            raise
        finally:
            if not self.sent:
                await self.release()
        return self.progress

    def stop(self, who: str) -> None:
        """End what runs, as far as it can be ended; the outcome says what is known of it then."""
        if self.progress.stoppable:
            self._append(records.note(f"{who} asked to stop it", self._shared.operator, self._number))
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
        assert self._number is not None
        why = await announce(
            shared.client, self._plan, shared.operator, self._number, shared.planner.now(), shared.runbooks
        )
        if why:
            self._notes.append(f"no Event: {why}")
            self._append(records.note(self._notes[-1], shared.operator, self._number))

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
        if self._number is not None:
            version = version_of(effect)
            self._append(
                records.note(
                    f"sent again after a conflict, at resourceVersion {version}", self._shared.operator, self._number
                )
            )
            return
        situation = self._shared.situation()
        self._number = self._shared.journal.append(
            mask_secrets(
                records.intent(
                    self._prepared,
                    effect,
                    self._confirmation,
                    self._shared.operator,
                    self._baseline,
                    clock_behind_s=situation.clock_behind_s if situation is not None else None,
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
        if self._number is not None:
            self._append(records.outcome(self._number, outcome, took_s))
            inherited = self._shared.lease.inherited
            taken = (f"took over the lease that a dead cockpit of this host left: {inherited}",) if inherited else ()
            for note in (*taken, *outcome.notes, *self._notes):
                self._append(records.note(note, self._shared.operator, self._number))
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
            phase=phase, words=self._with_notes(words), answered_s=took_s, ended=not self.sent, stoppable=False
        )
        self.progress = replace(self.progress, warnings=outcome.warnings, beyond=outcome.beyond)
        self._shared.on_progress(self.progress)

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
        assert outcome is not None and self._number is not None
        started = self._shared.clock.mono()
        self._report(phase=Phase.ROLLING_OUT, words=self._with_notes(outcome.words))
        rollout = await self._prepared.kind.watch(self._prepared, outcome, self._context, self._hear)
        self._append(records.rollout(self._number, rollout, self._shared.clock.mono() - started))
        return rollout

    async def _verify(self, rollout: Rollout) -> None:
        plan = self._plan
        if plan.harmless:
            self._end(Phase.DONE, self._checked, rollout.words)
            return
        quiet, unasked = self._chain_quiet()
        said = f"{rollout.words}; {unasked}" if unasked else rollout.words
        if unasked:  # what was not asked is unknown: no other line can prove a stop
            self._end(Phase.DONE, Proof.UNKNOWN, said)
            return
        lines = self._judged_lines() if quiet is None else self._lines_beside_a_stop()
        if quiet is None and not lines:
            self._end_without_lines(said)
            return
        proof, words = await self._watch_proof(lines, quiet, said)
        self._end(Phase.DONE, proof, words)

    def _end_without_lines(self, said: str) -> None:
        """End what the signals do not judge: by what it read back, or with no verdict at all."""
        plan = self._plan
        if self._continues:
            assert plan.part is not None
            words = f"{said}; part {plan.part.index + 1} of {plan.part.of}: the signals prove the last one"
            self._end(Phase.DONE, Proof.NONE, words)
        elif self._checked is not Proof.PENDING:
            self._end(Phase.DONE, self._checked, said)
        elif plan.undoes is not None:
            self._end(Phase.DONE, Proof.NONE, f"{said}; the fields are back as they were")
        elif self._holding:
            self._end(Phase.DONE, Proof.NONE, f"{said}; it stops harm and cures nothing: no verdict on the incident")
        else:
            self._end(Phase.DONE, Proof.UNKNOWN, f"{said}; the runbook has no validation line to prove it by")

    async def _watch_proof(
        self, lines: tuple[Validation, ...], quiet: ChainSilence | None, said: str
    ) -> tuple[Proof, str]:
        """Evidence at the signals until it is decided; return the verdict and its words."""
        shared = self._shared
        verification = Verification(
            lines, shared.runbooks, self._baseline, shared.clock.mono(), quiet, mark=lambda: len(self._records())
        )
        stood_at = shared.clock.mono()
        measure = self._context.backends.measure
        measuring = Measuring(measure, lines, shared.runbooks, shared.clock) if measure is not None else None
        while True:
            measured = await measuring.poll(shared.situation()) if measuring is not None else {}
            verification.update(shared.situation(), shared.clock.mono(), measured)
            if verification.proof is Proof.PASS:
                why = await self._doubt(verification, quiet)
                if why:
                    verification.doubt(why)
            elif verification.proof is Proof.PENDING and shared.clock.mono() - stood_at >= STANDS_EVERY_S:
                stood_at = shared.clock.mono()
                undone = undone_meanwhile(self._records(), self._number or 0)
                if undone is not None:
                    verification.doubt(f"#{undone} takes it back: nothing more can be known of it")
            proof = verification.proof
            passed = sum(g.proof is Proof.PASS for g in verification.gauges)
            words = f"{said}; proof: {passed} of {len(verification.gauges)} hold"
            if proof is not Proof.PENDING:
                break
            self._report(phase=Phase.VERIFYING, gauges=verification.gauges, words=self._with_notes(words))
            await shared.sleep(VERIFY_EVERY_S)
        self._report(gauges=verification.gauges)
        if proof is not Proof.PASS:
            bad = [g for g in verification.gauges if g.proof is proof]
            verb = "failed" if proof is Proof.FAIL else "is unknown"
            words = f"the proof {verb}: " + "; ".join(f"{g.text}: {g.reason}" for g in bad)
            words += self._way_back() if proof is Proof.FAIL else ""
        return proof, words

    async def _doubt(self, verification: Verification, quiet: ChainSilence | None) -> str:
        """Say why what holds now is not this step's doing; "" when nothing speaks against it.

        The object must be as the step left it, and no other step may have been under way.
        """
        if self._prepared.draft.patch is not None:
            entry = entries_of(self._records()).get(self._number or 0)
            judged = await judge(self._context, entry.intent) if entry is not None else None
            if judged is not None and judged.state != "applied":
                verb = "it is not known whether it still stands" if judged.state == "unknown" else "it no longer stands"
                return f"{verb}: {judged.words}"
        if quiet is not None:
            return ""
        others = sharers(self._records(), self._number or 0, verification.moved_at)
        if others:
            return f"holds, but shared with {shared_words(others)}: which of them did it is not known"
        strangers = self._others_changed()
        return f"holds, but {strangers} changed meanwhile: which of them did it is not known" if strangers else ""

    def _records(self) -> tuple[dict[str, Any], ...]:
        return self._shared.journal.records(wait=False)

    def _others_changed(self) -> str:
        """Name the services that somebody else changed since the sending; "" when there are none.

        An autoscaler's replicas are nobody's step.
        """
        situation, target = self._shared.situation(), self._plan.target
        if situation is None:
            return ""
        scaled = {(a.namespace, a.target_name) for a in situation.cluster.autoscalers.values()}
        changed = [
            name
            for (namespace, name), generation in _generations(situation, self._shared.runbooks).items()
            if namespace == target.namespace
            and name != target.name
            and (namespace, name) not in scaled
            and self._generations.get((namespace, name), generation) != generation
        ]
        return ", ".join(sorted(changed))

    def _chain_quiet(self) -> tuple[ChainSilence | None, str]:
        """Return what proves on the chain that publishing stopped, or why the chain was not asked.

        For steps that stop publishing; others have no such proof.
        """
        shared, draft = self._shared, self._prepared.draft
        if not stops_publishing(draft):
            return None, ""
        unasked = ChainSilence.why_unavailable(shared.situation())
        if unasked:
            return None, f"the chain was not asked, so that it stopped is not proven: {unasked}"
        return ChainSilence(self._plan, draft, shared.runbooks, shared.clock.mono()), ""

    @property
    def _continues(self) -> bool:
        """Tell whether other parts of a sequence follow.

        The runbook's signals cannot hold before the last of them.
        """
        part = self._plan.part
        return part is not None and part.index + 1 < part.of

    @property
    def _step(self) -> Step | None:
        with contextlib.suppress(KeyError):
            return self._shared.runbooks.step(self._plan.runbook, self._plan.step)[1]
        return None

    @property
    def _holding(self) -> bool:
        return self._step is not None and self._step.holds

    def _validation(self) -> tuple[Validation, ...]:
        """Return the lines that judge this step, of whatever part of a sequence it is."""
        plan = self._plan
        if not plan.runbook or plan.undoes is not None or plan.harmless:
            return ()
        with contextlib.suppress(KeyError):
            runbook, own = self._shared.runbooks.runbook(plan.runbook), self._step
            if plan.part is not None:
                with contextlib.suppress(KeyError):
                    own = self._shared.runbooks.step(plan.part.runbook, plan.part.sequence)[1]
                    own = own if own.validation or own.holds else self._step
            if own is not None and (own.validation or own.holds):
                return own.validation
            return runbook.validation
        return ()

    def _judged_lines(self) -> tuple[Validation, ...]:
        return () if self._continues else self._validation()

    def _lines_beside_a_stop(self) -> tuple[Validation, ...]:
        """Return the lines that still mean something once publishing is stopped.

        The metrics of what was stopped say nothing any more: the chain and the cluster do.
        """
        signals = self._shared.runbooks.signals
        metrics = {name for name, signal in signals.items() if signal.promql is not None}
        return tuple(line for line in self._judged_lines() if line.signal not in metrics)

    def _take_baseline(self) -> Baseline:
        """Read what the signals are before the step; of a sequence, before its first part."""
        shared, part = self._shared, self._plan.part
        if part is not None and part.index > 0:
            for record in self._records():
                if record.get("kind") == "intent" and (record.get("part") or {}).get("run") == part.run:
                    return Baseline.from_record(record.get("baseline") or {}, record.get("before") or {})
        return Baseline.of(shared.situation(), self._validation(), shared.clock.mono(), shared.runbooks)

    def _way_back(self) -> str:
        """Offer the inverse; never towards what was just left: publishing, a bad revision."""
        inverse, plan = self._plan.inverse, self._plan
        left = stops_publishing(self._prepared.draft) or plan.kind == "undo-rollout" or plan.undoes is not None
        stuck = self._outcome is not None and self._outcome.stood.startswith("ProgressDeadlineExceeded|")
        if inverse is None or left or stuck:
            return ""
        return f"; to take it back: {inverse.words} (u, or `m0-cockpit journal undo {self._number}`)"

    def _end(self, phase: Phase, proof: Proof, words: str) -> None:
        assert self._number is not None
        self._append(records.proof(self._number, proof, self.progress.gauges, words))
        self._report(phase=phase, proof=proof, words=self._with_notes(words), ended=True)

    def _stopped(self) -> None:
        """End it unproven: watching was stopped, and what was sent stays sent."""
        words = "sent; no longer watched, so nothing is proven"
        if self._number is not None:
            self._append(records.proof(self._number, Proof.UNKNOWN, self.progress.gauges, words))
        self._report(phase=Phase.DONE, proof=Proof.UNKNOWN, words=words, ended=True)

    def _with_notes(self, words: str) -> str:
        return "; ".join((words, *self._notes))

    def _report(
        self,
        *,
        phase: Phase | None = None,
        words: str | None = None,
        rollout: Rollout | None = None,
        gauges: tuple[Any, ...] | None = None,
        proof: Proof | None = None,
        answered_s: float | None = None,
        ended: bool = False,
        output: tuple[str, ...] | None = None,
        dropped: str | None = None,
        stoppable: bool | None = None,
    ) -> None:
        now, hidden = self.progress, self._prepared.draft.hidden
        words = mask_secrets(words, hidden)
        if rollout is not None:
            rollout = replace(
                rollout, words=mask_secrets(rollout.words, hidden), blocking=mask_secrets(rollout.blocking, hidden)
            )
        self.progress = replace(
            now,
            journal=self._number,
            phase=phase or now.phase,
            words=words if words is not None else now.words,
            rollout=rollout or now.rollout,
            gauges=gauges if gauges is not None else now.gauges,
            proof=proof or now.proof,
            answered_s=answered_s if answered_s is not None else now.answered_s,
            ended_mono=self._shared.clock.mono() if ended else now.ended_mono,
            output=mask_secrets(output, hidden) if output is not None else now.output,
            dropped=dropped if dropped is not None else now.dropped,
            stoppable=stoppable if stoppable is not None else now.stoppable and not ended,
        )
        self._shared.on_progress(self.progress)
