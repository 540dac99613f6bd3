"""Measures what an incident and the operator's steps have cost since the drill started.

Counted from the physics, never from metrics.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from cockpit.drill.names import MARKETS

if TYPE_CHECKING:
    from cockpit.drill.physics.plant import Plant

GAP_AFTER_S = 10.0  # without a reveal
USUAL_DEGRADED = 0.02
STALE_S = 60.0  # outputs older than this: the network's own target


@dataclass(slots=True)
class Harm:
    publishing_gap_s: float = 0.0  # time without a reveal for more than 10 s
    stale_s: float = 0.0  # time in which some market's output was older than 60 s
    misleading_outputs: int = 0  # published with a larger error than their decision admits, or past every decision
    failed_requests: int = 0  # of API clients, above 1 %
    replay_violations: int = 0
    threshold_misses: int = 0
    rate_limited: int = 0  # 429s from providers
    degraded_outputs: int = 0  # published with a DEGRADE decision, above the 2 % of any day

    @property
    def words(self) -> str:
        """Describe all of it in one line; "none" when there is none."""
        parts = [
            f"publishing gap {self.publishing_gap_s:.0f} s" if self.publishing_gap_s >= 0.5 else "",
            f"stale outputs {self.stale_s:.0f} s" if self.stale_s >= 0.5 else "",
            f"{self.misleading_outputs} misleading outputs" if self.misleading_outputs else "",
            f"{self.degraded_outputs} degraded outputs" if self.degraded_outputs else "",
            f"{self.failed_requests} failed API requests" if self.failed_requests else "",
            f"{self.replay_violations} replay violations" if self.replay_violations else "",
            f"{self.threshold_misses} threshold misses" if self.threshold_misses else "",
            f"{self.rate_limited} × 429" if self.rate_limited else "",
        ]
        return ", ".join(part for part in parts if part) or "none"

    def since(self, before: Harm) -> Harm:
        """Return what was added since `before`, a copy of an earlier moment."""
        then = asdict(before)
        return Harm(**{name: value - then[name] for name, value in asdict(self).items()})

    def copy(self) -> Harm:
        return Harm(**asdict(self))


class Meter:
    """Counts harm while the world moves; `start` makes now the beginning."""

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.harm = Harm()
        self.start()

    def start(self) -> None:
        plant = self.plant
        self.harm = Harm()
        self._epochs = dict(plant.publish.epochs)
        self._forged = plant.publish.forged
        self._outputs = self._degraded = 0
        self._base = (plant.publish.replays, plant.sign.misses, plant.ingest.rate_limited, plant.serve.failed_requests)

    def count(self, dt: float) -> None:
        plant, harm = self.plant, self.harm
        if plant.clock.now() - plant.publish.last_reveal > GAP_AFTER_S:
            harm.publishing_gap_s += dt
        if any(plant.serve.age_s(market) > STALE_S for market in MARKETS):
            harm.stale_s += dt
        for market, epoch in plant.publish.epochs.items():
            self._outputs += max(0, epoch - self._epochs[market])
            if market in plant.quant.degraded:
                self._degraded += max(0, epoch - self._epochs[market])
            if market in plant.quant.misleading:
                harm.misleading_outputs += max(0, epoch - self._epochs[market])
            self._epochs[market] = epoch
        harm.degraded_outputs = max(harm.degraded_outputs, int(self._degraded - USUAL_DEGRADED * self._outputs))
        harm.misleading_outputs += plant.publish.forged - self._forged
        self._forged = plant.publish.forged
        replays, misses, refused, failed = self._base
        harm.replay_violations = plant.publish.replays - replays
        harm.threshold_misses = plant.sign.misses - misses
        harm.rate_limited = plant.ingest.rate_limited - refused
        harm.failed_requests = int(plant.serve.failed_requests - failed)
