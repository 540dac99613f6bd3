"""Watches what a step did until its proof is decided, and says the verdict in words.

What was read before the sending and what the step found itself come in; a verdict comes out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from cockpit.clock import Clock
from cockpit.journal.incidents import Record
from cockpit.mitigation.context import Measure
from cockpit.mitigation.kind import Draft
from cockpit.mitigation.proof.before import Baseline
from cockpit.mitigation.proof.chain_silence import WITHIN_S, ChainSilence, stops_publishing
from cockpit.mitigation.proof.lines import beside_a_stop, continues, judged, step_of, validation
from cockpit.mitigation.proof.measured import Measuring
from cockpit.mitigation.proof.sharing import generations_of, others_changed, shared_words, sharers, undone_meanwhile
from cockpit.mitigation.proof.verify import Verification, deadline
from cockpit.model.plan import Gauge, Plan, Proof
from cockpit.model.runbook import Runbooks, Validation
from cockpit.model.situation import Situation

VERIFY_EVERY_S = 0.5
STANDS_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Before:
    """Holds what was read before the step was sent.

    `generations`: how often the specification of each service had been changed.
    """

    baseline: Baseline
    generations: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Says how it ended; `gauges` None: no line was watched."""

    proof: Proof
    words: str
    gauges: tuple[Gauge, ...] | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Holds what a proof reads while it is watched.

    `records`: the journal's. `stands`: why the object is not as the step left it, "" when it is.
    """

    runbooks: Runbooks
    clock: Clock
    situation: Callable[[], Situation | None]
    records: Callable[[], Sequence[Record]]
    stands: Callable[[], Awaitable[str]]
    measure: Measure | None
    sleep: Callable[[float], Awaitable[None]]


def read_before(
    plan: Plan, runbooks: Runbooks, situation: Situation | None, mono: float, records: Sequence[Record]
) -> Before:
    """Read what the signals are before the step; of a sequence, before its first part."""
    generations = generations_of(situation, runbooks)
    if plan.part is not None and plan.part.index > 0:
        for record in records:
            if record.get("kind") == "intent" and (record.get("part") or {}).get("run") == plan.part.run:
                first = Baseline.from_record(record.get("baseline") or {}, record.get("before") or {})
                return Before(first, generations)
    return Before(Baseline.of(situation, validation(plan, runbooks), mono, runbooks), generations)


def expected(plan: Plan, draft: Draft, runbooks: Runbooks) -> tuple[float, float] | None:
    """Return how long its proof takes at least and at most (seconds); None: it has none."""
    stops = stops_publishing(draft)
    lines = beside_a_stop(plan, runbooks) if stops else judged(plan, runbooks)
    at_most = [deadline(line, runbooks) for line in lines] + ([WITHIN_S] if stops else [])
    return (max((line.hold for line in lines), default=0.0), max(at_most)) if at_most else None


class ProofWatch:
    """Watches one step that was sent; `verdict` ends when it is decided.

    `hear` is told the gauges and the words of each turn. `way_back` is said when the proof fails.
    """

    def __init__(
        self,
        plan: Plan,
        draft: Draft,
        number: int,
        before: Before,
        around: Surroundings,
        *,
        hear: Callable[[tuple[Gauge, ...], str], None],
        way_back: str,
    ) -> None:
        self._plan = plan
        self._draft = draft
        self._number = number
        self._before = before
        self._around = around
        self._hear = hear
        self._way_back = way_back

    async def verdict(self, said: str, checked: Proof) -> Verdict:
        """Return what is proven.

        `said`: how the rollout ended; `checked`: what the step read back itself.
        """
        plan, runbooks = self._plan, self._around.runbooks
        quiet, unasked = self._chain_quiet()
        if unasked:  # what was not asked is unknown: no other line can prove a stop
            return Verdict(Proof.UNKNOWN, f"{said}; {unasked}")
        lines = judged(plan, runbooks) if quiet is None else beside_a_stop(plan, runbooks)
        if quiet is None and not lines:
            return self._without_lines(said, checked)
        return await self._watch(lines, quiet, said)

    def _without_lines(self, said: str, checked: Proof) -> Verdict:
        """Judge what the signals do not: by what it read back, or with no verdict at all."""
        plan = self._plan
        if continues(plan):
            assert plan.part is not None
            words = f"{said}; part {plan.part.index + 1} of {plan.part.of}: the signals prove the last one"
            return Verdict(Proof.NONE, words)
        step = step_of(plan, self._around.runbooks)
        if step is not None and step.observes:
            return Verdict(Proof.NONE, f"{said}; it changes nothing: nothing to prove")
        holds = step is not None and step.holds
        if checked is not Proof.PENDING:
            return Verdict(checked, f"{said}; no verdict on the incident" if holds and plan.undoes is None else said)
        if plan.undoes is not None:
            return Verdict(Proof.NONE, f"{said}; the fields are back as they were")
        if holds:
            return Verdict(Proof.NONE, f"{said}; it stops harm and cures nothing: no verdict on the incident")
        return Verdict(Proof.UNKNOWN, f"{said}; the runbook has no validation line to prove it by")

    async def _watch(self, lines: tuple[Validation, ...], quiet: ChainSilence | None, said: str) -> Verdict:
        """Watch the signals until it is decided."""
        around, mono = self._around, self._around.clock.mono
        verification = Verification(
            lines, around.runbooks, self._before.baseline, mono(), quiet, mark=lambda: len(around.records())
        )
        stood_at = mono()
        measuring = (
            Measuring(around.measure, lines, around.runbooks, around.clock) if around.measure is not None else None
        )
        while True:
            measured = await measuring.poll(around.situation()) if measuring is not None else {}
            verification.update(around.situation(), mono(), measured)
            if verification.proof is Proof.PASS:
                why = await self._doubt(verification, quiet)
                if why:
                    verification.doubt(why)
            elif verification.proof is Proof.PENDING and mono() - stood_at >= STANDS_EVERY_S:
                stood_at = mono()
                undone = undone_meanwhile(around.records(), self._number)
                if undone is not None:
                    verification.doubt(f"#{undone} takes it back: nothing more can be known of it")
            passed = sum(gauge.proof is Proof.PASS for gauge in verification.gauges)
            words = f"{said}; proof: {passed} of {len(verification.gauges)} hold"
            if verification.proof is not Proof.PENDING:
                return self._decided(verification, words)
            self._hear(verification.gauges, words)
            await around.sleep(VERIFY_EVERY_S)

    def _decided(self, verification: Verification, words: str) -> Verdict:
        proof, gauges = verification.proof, verification.gauges
        if proof is not Proof.PASS:
            verb = "failed" if proof is Proof.FAIL else "is unknown"
            words = f"the proof {verb}: " + "; ".join(f"{g.text}: {g.reason}" for g in gauges if g.proof is proof)
            words += self._way_back if proof is Proof.FAIL else ""
        return Verdict(proof, words, gauges)

    async def _doubt(self, verification: Verification, quiet: ChainSilence | None) -> str:
        """Say why what holds now is not this step's doing; "" when nothing speaks against it.

        The object must be as the step left it, and no other step may have been under way.
        """
        around = self._around
        gone = await around.stands() if self._draft.patch is not None else ""
        if gone or quiet is not None:
            return gone
        others = sharers(around.records(), self._number, verification.moved_at)
        if others:
            return f"holds, but shared with {shared_words(others)}: which of them did it is not known"
        strangers = others_changed(around.situation(), around.runbooks, self._plan.target, self._before.generations)
        return f"holds, but {strangers} changed meanwhile: which of them did it is not known" if strangers else ""

    def _chain_quiet(self) -> tuple[ChainSilence | None, str]:
        """Return what proves on the chain that publishing stopped, or why the chain was not asked.

        For steps that stop publishing; others have no such proof.
        """
        if not stops_publishing(self._draft):
            return None, ""
        around = self._around
        unasked = ChainSilence.why_unavailable(around.situation())
        if unasked:
            return None, f"the chain was not asked, so that it stopped is not proven: {unasked}"
        return ChainSilence(self._plan, self._draft, around.runbooks, around.clock.mono()), ""
