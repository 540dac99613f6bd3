"""Counts how often something happens, and tells slots by this machine's clock."""

from __future__ import annotations

from collections import deque

from cockpit.model.observed.chain import Rate

WINDOW_S = 60
HISTORY_S = 900
STEP_S = 10
SLOT_S = 0.4  # Solana's target; what is measured replaces it
_SAMPLE_EVERY_S = 1.0


class EventCounter:
    """Counts events of one kind: exactly for ever, by the second for `HISTORY_S`."""

    def __init__(self) -> None:
        self.count = 0
        self.last_slot: int | None = None
        self._seconds: dict[int, int] = {}
        self._history: tuple[tuple[float, float], ...] = ()
        self._history_of = (0, 0)
        self._late = 0  # grows with each event older than the newest step: the history is made again

    def add(self, at: float, slot: int, *, counted: bool) -> None:
        """Count one event at wall time `at`.

        Not `counted`: from before the counting began, for rates only.
        """
        if counted:
            self.count += 1
        if self.last_slot is None or slot > self.last_slot:
            self.last_slot = slot
        second = int(at)
        self._seconds[second] = self._seconds.get(second, 0) + 1
        if second < self._history_of[0]:
            self._late += 1

    def per_minute(self, now: float) -> int:
        """Return the count of the last sixty full seconds."""
        last = int(now)
        get = self._seconds.get
        return sum(get(second, 0) for second in range(last - WINDOW_S, last))

    def rate(self, now: float, since: float) -> Rate:
        """Return the rate, unless less than a minute has passed since `since`.

        `since`: wall time from which every event is known.
        """
        known = now - since >= WINDOW_S
        return Rate(self.count, float(self.per_minute(now)) if known else None, self.last_slot, self._steps(now, since))

    def _steps(self, now: float, since: float) -> tuple[tuple[float, float], ...]:
        """Return events per minute, one point for each whole step of ten seconds."""
        end = int(now) // STEP_S * STEP_S
        if self._history_of != (end, self._late):
            self._history_of = (end, self._late)
            self._seconds = {s: n for s, n in self._seconds.items() if s > end - HISTORY_S - STEP_S}
            first = max(end - HISTORY_S, int(since) // STEP_S * STEP_S + STEP_S)
            get = self._seconds.get
            self._history = tuple(
                [
                    (float(at + STEP_S), 60.0 / STEP_S * sum(get(s, 0) for s in range(at, at + STEP_S)))
                    for at in range(first, end, STEP_S)
                ]
            )
        return self._history


class SlotClock:
    """Tells when slots were by this machine's clock: no node's clock need be right.

    Slots not seen are reckoned from those that were.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[int, float]] = deque(maxlen=HISTORY_S)

    def see(self, slot: int, wall: float) -> None:
        """Note that `slot` is the newest now.

        At most one sample a second is kept; a slot that goes back starts anew.
        """
        if self._samples:
            last, at = self._samples[-1]
            if slot < last - 1000 or wall < at:
                self._samples.clear()
            elif slot <= last or wall - at < _SAMPLE_EVERY_S:
                return
        self._samples.append((slot, wall))

    @property
    def pace_s(self) -> float:
        """Return seconds a slot takes, of the last minute or so."""
        if len(self._samples) < 2:
            return SLOT_S
        newest, now = self._samples[-1]
        oldest, then = self._samples[max(0, len(self._samples) - WINDOW_S)]
        measured = (now - then) / max(1, newest - oldest)
        return min(4.0, max(0.004, measured)) if newest - oldest >= 20 else SLOT_S

    def at(self, slot: int, now: float) -> float:
        """Return the wall time of `slot`, never later than `now`."""
        if not self._samples:
            return now
        after: tuple[int, float] | None = None
        for sample in reversed(self._samples):
            if sample[0] <= slot:
                if after is None:
                    return min(now, sample[1] + (slot - sample[0]) * self.pace_s)
                part = (slot - sample[0]) / max(1, after[0] - sample[0])
                return min(now, sample[1] + part * (after[1] - sample[1]))
            after = sample
        first, at = self._samples[0]
        return min(now, at - (first - slot) * self.pace_s)
