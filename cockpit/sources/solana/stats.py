"""Keeps what an endpoint's own requests were like in the last two minutes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from cockpit.clock import Clock

WINDOW_S = 120.0
_MOST = 10_000


@dataclass(slots=True)
class _Request:
    at: float
    took_ms: float | None  # None: it failed
    timed: bool
    throttled: bool


class RequestStats:
    """Keeps a bounded number of requests; older ones fall out as time goes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._requests: deque[_Request] = deque(maxlen=_MOST)

    def add(self, took_ms: float | None, *, timed: bool = True, throttled: bool = False) -> None:
        """Note one request that ended now; `took_ms` None: it failed.

        Not `timed`: a heavy one, whose latency says nothing.
        """
        self._requests.append(_Request(self._clock.mono(), took_ms, timed, throttled))

    def failed(self, *, throttled: bool = False) -> None:
        """Note that the newest request turned out to be unusable after all."""
        if self._requests:
            self._requests[-1].took_ms = None
            self._requests[-1].throttled |= throttled

    def _recent(self) -> deque[_Request]:
        since = self._clock.mono() - WINDOW_S
        while self._requests and self._requests[0].at < since:
            self._requests.popleft()
        return self._requests

    @property
    def requests(self) -> int:
        return len(self._recent())

    @property
    def throttled(self) -> int:
        return sum(1 for each in self._recent() if each.throttled)

    @property
    def error_ratio(self) -> float | None:
        """Return the share of requests that failed, 0..1; None without requests."""
        recent = self._recent()
        return sum(1 for each in recent if each.took_ms is None) / len(recent) if recent else None

    def latency_ms(self, quantile: float) -> float | None:
        """Return the nearest rank over the good, timed requests."""
        took = sorted(each.took_ms for each in self._recent() if each.took_ms is not None and each.timed)
        return took[min(len(took) - 1, int(len(took) * quantile))] if took else None
