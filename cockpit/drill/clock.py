"""Keeps the drill's own time: simulated unix seconds that move only when someone advances them."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache


class SimClock:
    """Holds simulated time.

    `speed` is simulated seconds per real second: whoever drives the world multiplies by it.

    It also answers as `cockpit.clock.Clock` (`wall` and `mono`), so that the cockpit's parts can
    run on it in tests.
    """

    __slots__ = ("_now", "_start", "speed")

    def __init__(self, start: float, speed: float = 1.0) -> None:
        self._start = start
        self._now = start
        self.speed = speed

    def now(self) -> float:
        """Return simulated unix seconds."""
        return self._now

    def advance(self, dt_sim: float) -> None:
        """Move on by `dt_sim` simulated seconds.

        Raises ValueError for a step back: the world never relives a moment.
        """
        if dt_sim < 0:
            raise ValueError(f"the drill's clock does not go back: {dt_sim}")
        self._now += dt_sim

    def wall(self) -> float:
        return self._now

    def mono(self) -> float:
        return self._now - self._start


def rfc3339(seconds: float) -> str:
    """Format a time as metav1.Time is written: whole seconds, UTC, `Z`."""
    return _second(int(seconds))


@lru_cache(maxsize=4096)  # every status says the same few moments again and again
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(seconds: float) -> str:
    """Format a time as metav1.MicroTime is written: six digits, UTC, `Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def rfc3339_nano(seconds: float) -> str:
    """Format a time as the kubelet stamps log lines: nine digits (the last three zero), UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")


def http_date(seconds: float) -> str:
    """Format a time as HTTP's `Date` header has it (RFC 9110, 5.6.7)."""
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC), usegmt=True)


def parse_rfc3339(text: str) -> float:
    """Return the unix seconds of an RFC 3339 time; fractions beyond microseconds are cut.

    Raises ValueError.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"no time zone: {text!r}")
    return moment.timestamp()
