"""Metrics against the chain: the submitter's own count and what was confirmed must agree, or one of them is wrong.

Both are rates over about a minute, and their windows end at different moments; so a disagreement counts once it has lasted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.model.chain import ProgramActivity
from cockpit.model.crosscheck import RateMismatch
from cockpit.model.metrics import QueryResult
from cockpit.model.reading import Reading, SourceState

#: They disagree when they differ by more than both of these ...
SHARE, PER_MINUTE = 0.10, 3.0
#: ... for longer than this.
FOR_S = 15.0

#: What is compared → the query of the metrics.
QUERIES: Mapping[str, str] = {"commits": "commits-ok", "reveals": "reveals-ok"}


class CrossCheck:
    """Remembers since when each pair has disagreed. What is not known on either side disagrees with nothing."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def update(
        self, queries: Mapping[str, Reading[QueryResult]], program: Reading[Any] | None, wall: float, mono: float
    ) -> tuple[RateMismatch, ...]:
        """`wall`: unix seconds; `mono`: monotonic seconds."""
        found: list[RateMismatch] = []
        activity = _activity(program, mono)
        for what, query in QUERIES.items():
            metrics = _metric(queries.get(query), mono)
            chain = getattr(activity, what).per_minute if activity is not None else None
            if metrics is None or chain is None or not _differ(metrics, chain):
                self._since.pop(what, None)
                continue
            since = self._since.setdefault(what, mono)
            if mono - since > FOR_S:
                found.append(RateMismatch(what, metrics, chain, since, _words(what, metrics, chain)))
        return tuple(found)


def _differ(metrics: float, chain: float) -> bool:
    gap = abs(metrics - chain)
    return gap > PER_MINUTE and gap > SHARE * max(metrics, chain)


def _words(what: str, metrics: float, chain: float) -> str:
    more, less = ("metrics", "the chain") if metrics > chain else ("the chain", "metrics")
    verb = "have" if more == "metrics" else "has"
    return f"{what}: {more} {verb} {abs(metrics - chain):.0f}/min more than {less} ({metrics:.0f} and {chain:.0f})"


def _activity(reading: Reading[Any] | None, mono: float) -> ProgramActivity | None:
    """Only what is live and complete, for all of the last minute, can contradict anybody."""
    if reading is None or reading.state(mono) is not SourceState.LIVE or not isinstance(reading.data, ProgramActivity):
        return None
    return None if reading.data.doubtful else reading.data


def _metric(reading: Reading[QueryResult] | None, mono: float) -> float | None:
    if reading is None or reading.state(mono) is not SourceState.LIVE or reading.data is None:
        return None
    values = [sample.value for sample in reading.data.samples]
    return values[0] if len(values) == 1 and values[0] == values[0] else None
