"""Says whether a number that a proof watches has become better or worse of late."""

from __future__ import annotations

import math
from collections import deque

SPAN_S = 30.0  # compared with what it was so long ago …
LEAST_S = 10.0  # … or since it is watched, when that is this long at least
CLEARLY = 0.05  # as a ratio: less is steady


class Trend:
    """Remembers half a minute of one number; `rising`: more of it is better."""

    def __init__(self, rising: bool) -> None:
        self._rising = rising
        self._seen: deque[tuple[float, float]] = deque()

    def take(self, value: float | None, mono: float) -> str:
        """Return "better", "worse" or "steady"; "" where too little is known."""
        if value is None or not math.isfinite(value):
            self._seen.clear()
            return ""
        while len(self._seen) > 1 and mono - self._seen[1][0] >= SPAN_S:
            self._seen.popleft()
        self._seen.append((mono, value))
        since, before = self._seen[0]
        if mono - since < LEAST_S:
            return ""
        if abs(value - before) <= CLEARLY * max(abs(before), abs(value)):
            return "steady"
        return "better" if (value > before) is self._rising else "worse"
