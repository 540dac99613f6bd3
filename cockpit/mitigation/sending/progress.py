"""Keeps what the operator is shown of one mitigation that is under way; nothing hidden is in it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from cockpit.clock import Clock
from cockpit.model.plan import Gauge, Phase, Plan, Progress, Proof, Rollout
from cockpit.secrets import mask_secrets


class ProgressKeeper:
    """Holds the newest `progress` and hands each on.

    `notes` are said behind the words of whoever asks for it; `hidden` are values that are masked.
    """

    def __init__(
        self,
        plan: Plan,
        hidden: tuple[str, ...],
        clock: Clock,
        on_progress: Callable[[Progress], None],
        proof_s: tuple[float, float] | None = None,
    ) -> None:
        """Start with `checking the target again`; `proof_s`: how long its proof can take."""
        self._hidden = hidden
        self._clock = clock
        self._on_progress = on_progress
        self.number: int | None = None  # of the intent in the journal
        self.notes: list[str] = []
        words = "checking the target again"
        self.progress = Progress(plan, Phase.SENDING, None, words, clock.mono(), proof_s=proof_s)

    def with_notes(self, words: str) -> str:
        return "; ".join((words, *self.notes))

    def report(
        self,
        *,
        phase: Phase | None = None,
        words: str | None = None,
        rollout: Rollout | None = None,
        gauges: tuple[Gauge, ...] | None = None,
        proof: Proof | None = None,
        answered_s: float | None = None,
        ended: bool = False,
        output: tuple[str, ...] | None = None,
        dropped: str | None = None,
        stoppable: bool | None = None,
        warnings: tuple[str, ...] | None = None,
        beyond: tuple[str, ...] | None = None,
    ) -> None:
        """Change what is given, and hand it on."""
        now, hidden = self.progress, self._hidden
        words = mask_secrets(words, hidden)
        if rollout is not None:
            rollout = replace(
                rollout, words=mask_secrets(rollout.words, hidden), blocking=mask_secrets(rollout.blocking, hidden)
            )
        self.progress = replace(
            now,
            journal=self.number,
            phase=phase or now.phase,
            words=words if words is not None else now.words,
            rollout=rollout or now.rollout,
            gauges=gauges if gauges is not None else now.gauges,
            proof=proof or now.proof,
            answered_s=answered_s if answered_s is not None else now.answered_s,
            ended_mono=self._clock.mono() if ended else now.ended_mono,
            output=mask_secrets(output, hidden) if output is not None else now.output,
            dropped=dropped if dropped is not None else now.dropped,
            stoppable=stoppable if stoppable is not None else now.stoppable and not ended,
            warnings=warnings if warnings is not None else now.warnings,
            beyond=beyond if beyond is not None else now.beyond,
        )
        self._on_progress(self.progress)
