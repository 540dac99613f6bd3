"""Proves by the chain that publishing stopped: one gauge beside the runbook's own lines.

Without the chain the step is what it was, and the words say that the chain was not asked.
"""

from __future__ import annotations

from cockpit.assessment.stopped import SLOT_S, Stop, Stopped, chain_asked, chain_slot, stopped
from cockpit.mitigation.kind import Draft
from cockpit.model.plan import Gauge, Plan, Proof
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation

STOPS = "stops publishing"  # how the kinds of steps begin that danger
WITHIN_S = 180.0
_SIGNAL = "solana.program"


def stops_publishing(draft: Draft) -> bool:
    return any(danger.startswith(STOPS) for danger in draft.dangers)


class ChainSilence:
    """Gauges that proof; it is fed situations with `update`.

    Only those made after the last pod was gone count: `started_mono`.
    """

    def __init__(self, plan: Plan, draft: Draft, runbooks: Runbooks, started_mono: float) -> None:
        self._namespace = plan.target.namespace
        self._with_pods = draft.patch is not None and draft.patch.replicas_after == 0
        publishing = tuple(name for name, service in runbooks.services.items() if service.publishes)
        self._services = tuple(dict.fromkeys((plan.target.name, *publishing)))
        self._started = started_mono
        self._since_slot: int | None = None
        self._seen_after = False
        self.gauge = self._made(Proof.PENDING, None, "waiting for a look at the chain", WITHIN_S)

    @staticmethod
    def why_unavailable(situation: Situation | None) -> str:
        """Say why there is nothing to ask; "" when there is."""
        return "nothing is known" if situation is None else chain_asked(situation)

    def update(self, situation: Situation | None, mono: float) -> None:
        """Judge by the newest situation, until it is decided."""
        if self.gauge.proof is not Proof.PENDING:
            return
        found: Stopped | None = None
        if situation is not None and situation.mono >= self._started:
            if self._since_slot is None:
                self._since_slot = chain_slot(situation)
            found = stopped(
                situation, self._namespace, self._services, since_slot=self._since_slot, with_pods=self._with_pods
            )
            self._seen_after |= found.seen_after is not None
        if found is not None and found.verdict is Stop.PROVEN and self._since_slot is not None:
            self.gauge = self._made(Proof.PASS, found, found.words)
        elif found is not None and found.unread:  # it can no longer be known
            self.gauge = self._made(Proof.UNKNOWN, found, found.words)
        elif mono - self._started < WITHIN_S:
            words = found.words if found is not None else "nothing new is known"
            self.gauge = self._made(Proof.PENDING, found, words, WITHIN_S - (mono - self._started))
        else:
            # Too few slots without a single commit is a chain that stands still: that proves
            # nothing either way.
            still = found is not None and (
                (found.verdict is Stop.NOT and (self._seen_after or found.quiet is None))
                or found.seen_after is not None
            )
            words = found.words if found is not None else "nothing new is known"
            self.gauge = self._made(Proof.FAIL if still else Proof.UNKNOWN, found, words)

    def _made(self, proof: Proof, found: Stopped | None, why: str, gives_up_s: float | None = None) -> Gauge:
        needed = found.needed if found is not None else 0
        quiet = found.quiet if found is not None else None
        text = (
            f"no commit or reveal on the chain for {needed:,} slots" if needed else "no commit or reveal on the chain"
        )
        held_s = min(quiet or 0, needed) * SLOT_S
        return Gauge(
            text=text,
            signal=_SIGNAL,
            proof=proof,
            value=float(quiet) if quiet is not None else None,
            unit="slots",
            baseline=None,
            held_s=held_s,
            hold_s=needed * SLOT_S,
            reason=why,
            gives_up_s=gives_up_s,
        )
