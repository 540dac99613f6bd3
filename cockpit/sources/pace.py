"""How often a source tries, waits and publishes. Operators never see these; tests shorten them."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """All in seconds."""

    publish_s: float = 0.25  # at most so often a topic, when something changed
    pages_s: float = (
        1.0  # the first page of a long first list shows at once, the rest so often: showing costs more than reading
    )
    refresh_s: float = 2.0  # at least so often while live, so that ages stay honest
    watch_s: int = 12  # timeoutSeconds: short, so that each watch proves itself (a bookmark comes 2 s before its end)
    silence_s: float = 13.5  # no byte for so long on a watch: the connection is dead, whatever TCP says
    probe_s: float = 4.0
    probe_timeout_s: float = 5.0
    denied_s: float = 30.0
    absent_s: float = 60.0  # an API that the cluster does not serve
    namespace_s: float = 15.0
    backoff_s: float = 0.5
    backoff_cap_s: float = 15.0

    def backoff(self, attempt: int, rng: random.Random) -> float:
        """Exponential with jitter (half to whole), capped; `attempt` counts from 0."""
        whole = min(self.backoff_cap_s, self.backoff_s * 2.0 ** min(attempt, 10))
        return whole * (0.5 + 0.5 * rng.random())
