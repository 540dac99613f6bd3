"""Compares metrics with the chain: the submitter's own count and what was confirmed must agree.

Both are rates over about a minute, and their windows end at different moments; so a disagreement
counts once it has lasted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from cockpit.model.observed.chain import ProgramActivity
from cockpit.model.observed.crosscheck import RateMismatch
from cockpit.model.observed.metrics import QueryResult
from cockpit.model.reading import Known, Reading, Unknown, believed

#: They disagree when they differ by more than both of these ...
SHARE, PER_MINUTE = 0.10, 3.0
#: ... for longer than this.
FOR_S = 15.0

#: What is compared → the query of the metrics.
QUERIES: Mapping[str, str] = {"commits": "commits-ok", "reveals": "reveals-ok"}


#: A minute of the metrics is one of their server's clock: in a drill that runs fast, a shorter one
#: than ours. Told apart from 1 over so many seconds, and by so much: an HTTP Date has whole
#: seconds.
PACE_S, OFF_PACE = 12.0, 0.25


class CrossCheck:
    """Remembers since when each pair has disagreed.

    What is not known on either side disagrees with nothing.
    """

    def __init__(self) -> None:
        self._since: dict[str, float] = {}
        self._clock: deque[tuple[float, float]] = deque()  # the metrics' server's clock, and ours (monotonic) then

    def update(
        self, queries: Mapping[str, Reading[QueryResult]], program: Reading[Any] | None, wall: float, mono: float
    ) -> tuple[RateMismatch, ...]:
        """Return the rates that have disagreed for too long.

        `wall`: unix seconds; `mono`: monotonic seconds.
        """
        found: list[RateMismatch] = []
        activity = _activity(program, mono)
        pace = self._pace(queries, mono)
        for what, query in QUERIES.items():
            metrics = _metric(queries.get(query), mono)
            chain = getattr(activity, what).per_minute if activity is not None else None
            chain = chain / pace if chain is not None else None
            if metrics is None or chain is None or not _differ(metrics, chain):
                self._since.pop(what, None)
                continue
            since = self._since.setdefault(what, mono)
            if mono - since > FOR_S:
                found.append(RateMismatch(what, metrics, chain, since, _words(what, metrics, chain)))
        return tuple(found)

    def _pace(self, queries: Mapping[str, Reading[QueryResult]], mono: float) -> float:
        """Return seconds of the metrics' server in one of ours; 1.0 until another pace is known."""
        reading = next((queries[name] for name in QUERIES.values() if name in queries), None)
        clock = reading.server_clock(mono) if reading is not None else None
        if clock is not None and (not self._clock or mono - clock[1] > self._clock[-1][1]):
            server_now, ago = clock
            self._clock.append((server_now - ago, mono - ago))
        while len(self._clock) > 2 and self._clock[-1][1] - self._clock[1][1] >= PACE_S:
            self._clock.popleft()
        if len(self._clock) < 2 or self._clock[-1][1] - self._clock[0][1] < PACE_S:
            return 1.0
        (first, then), (last, now) = self._clock[0], self._clock[-1]
        pace = (last - first) / (now - then)
        return pace if abs(pace - 1.0) > OFF_PACE and pace > 0.0 else 1.0


def _differ(metrics: float, chain: float) -> bool:
    gap = abs(metrics - chain)
    return gap > PER_MINUTE and gap > SHARE * max(metrics, chain)


def _words(what: str, metrics: float, chain: float) -> str:
    more, less = ("metrics", "the chain") if metrics > chain else ("the chain", "metrics")
    verb = "have" if more == "metrics" else "has"
    return f"{what}: {more} {verb} {abs(metrics - chain):.0f}/min more than {less} ({metrics:.0f} and {chain:.0f})"


def _activity(reading: Reading[Any] | None, mono: float) -> ProgramActivity | None:
    """Return activity that can contradict anybody: live, and whole for the last minute."""
    found = believed(reading, mono, ProgramActivity)
    return found.data if isinstance(found, Known) and not found.data.doubtful else None


def _metric(reading: Reading[QueryResult] | None, mono: float) -> float | None:
    found = believed(reading, mono)
    if isinstance(found, Unknown):
        return None
    values = [sample.value for sample in found.data.samples]
    return values[0] if len(values) == 1 and values[0] == values[0] else None
