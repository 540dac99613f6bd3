"""How often the Solana source asks, waits and publishes. Operators never see these; tests shorten them."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class SolanaPace:
    """In seconds, or slots where it says so."""

    request_timeout_s: float = 5.0
    rarely_s: float = 600.0  # genesis hash, version
    fees_s: float = 30.0
    publish_s: float = 1.0  # the program's activity
    silence_s: float = 10.0  # no frame for so long on a subscription: it is dead, whatever TCP says
    ping_s: float = 5.0
    connect_s: float = 5.0
    audit_s: float = 60.0  # the listing is compared with what was counted
    audit_busy_s: float = 20.0  # the same, when so many signatures are kept that memory matters
    paging_s: float = 5.0  # without any stream, the listing is the only witness
    retry_s: float = 0.7  # a transaction that is listed and not yet readable
    settle_slots: int = 64  # a node lists for certain what is so far behind its confirmed slot
    past_slots: int = 450  # how much of the past is read at start (three minutes)
    accounts_s: float = 10.0
    markets_s: float = 10.0
    recheck_s: float = 1.0  # accounts that differ are read again before it is said
    bad_slots: int = 50  # an endpoint so far behind is left for a better one
    backoff_s: float = 0.5
    backoff_cap_s: float = 15.0

    def backoff(self, attempt: int, rng: random.Random) -> float:
        """Exponential with jitter (half to whole), capped; `attempt` counts from 0."""
        whole = min(self.backoff_cap_s, self.backoff_s * 2.0 ** min(attempt, 10))
        return whole * (0.5 + 0.5 * rng.random())
