"""Says when a source asks, waits and publishes: timings, backoff, the common beat.

Operators never see these numbers; tests shorten them. What is asked in one burst costs a third of
the same questions spread over the interval (each would wake a cold process), so rests end on a
common grid of the monotonic clock instead of wherever the last answer came.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass

from cockpit.clock import Clock

CALM_FACTOR = 2.0  # times the interval, while all is well


@dataclass(frozen=True)
class Backoff:
    """Waits ever longer after failures, in seconds.

    What is well again is to be seen within 15 s, the question and its answer included.
    """

    backoff_s: float = 0.5
    backoff_cap_s: float = 10.0

    def backoff(self, attempt: int, rng: random.Random) -> float:
        """Return an exponential wait with jitter (half to whole); `attempt` counts from 0."""
        whole = min(self.backoff_cap_s, self.backoff_s * 2.0 ** min(attempt, 10))
        return whole * (0.5 + 0.5 * rng.random())


@dataclass(frozen=True)
class Timings(Backoff):
    """Says how often and how long, all in seconds."""

    publish_s: float = 0.25  # at most so often a topic, when something changed
    #: the first page of a long first list shows at once, the rest so often: showing costs more than
    #: reading
    pages_s: float = 1.0
    refresh_s: float = 2.0  # at least so often while live, so that ages stay honest
    watch_s: int = 12  # timeoutSeconds: short, so that each watch proves itself (a bookmark comes 2 s before its end)
    silence_s: float = 13.5  # no byte for so long on a watch: the connection is dead, whatever TCP says
    probe_s: float = 4.0
    probe_timeout_s: float = 5.0
    denied_s: float = 12.0  # what is granted meanwhile is to be seen within 15
    absent_s: float = 60.0  # an API that the cluster does not serve
    namespace_s: float = 15.0


@dataclass(frozen=True)
class SolanaTimings(Backoff):
    """Says how often and how long, in seconds, or in slots where it says so."""

    request_timeout_s: float = 5.0
    rarely_s: float = 600.0  # genesis hash, version
    fees_s: float = 30.0
    publish_s: float = 1.0  # the program's activity
    silence_s: float = 10.0  # no frame for so long on a subscription: it is dead, whatever TCP says
    ping_s: float = 5.0
    reopen_s: float = 3.0  # a change of endpoint may take so long
    connect_s: float = 5.0
    audit_s: float = 60.0  # the listing is compared with what was counted
    audit_busy_s: float = 20.0  # the same, when so many signatures are kept that memory matters
    paging_s: float = 5.0  # without any stream, the listing is the only witness
    retry_s: float = 0.7  # a transaction that is listed and not yet readable
    settle_slots: int = 64  # a node lists for certain what is so far behind its confirmed slot
    past_slots: int = 450  # how much of the past is read at start (three minutes)
    accounts_s: float = 10.0
    markets_s: float = 10.0
    refusals_s: float = 5.0  # refused reveals are examined, while there are any
    recheck_s: float = 1.0  # accounts that differ are read again before it is said
    bad_slots: int = 50  # an endpoint so far behind is left for a better one


class PollSchedule:
    """Gives all sources of a loop one common beat.

    `relaxed` is set by whoever judges the situation; at the start nothing is known to be well.
    `phase_s` shifts the beats, at random by default: in an incident several cockpits look from one
    bastion.
    """

    def __init__(self, phase_s: float | None = None) -> None:
        self._phase_s = random.random() if phase_s is None else phase_s
        self._relaxed = False
        self._turned = asyncio.Event()

    @property
    def relaxed(self) -> bool:
        return self._relaxed

    @relaxed.setter
    def relaxed(self, relaxed: bool) -> None:
        """Return whether all is well, so that everybody may ask less often.

        When it ends, who rests is woken as soon as its quicker interval is over.
        """
        if relaxed is not self._relaxed:
            self._relaxed = relaxed
            turned, self._turned = self._turned, asyncio.Event()
            turned.set()

    async def rest(self, clock: Clock, since: float, interval_s: float) -> None:
        """Rest until the next beat after `since` (monotonic seconds).

        `interval_s` is meant for when something is not well.
        """
        while True:
            every = interval_s * (CALM_FACTOR if self._relaxed else 1.0)
            left = ((since - self._phase_s) // every + 1.0) * every + self._phase_s - clock.mono()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._turned.wait()
