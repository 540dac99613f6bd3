"""Makes traces of what was answered: the worst series first, no more than can be shown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cockpit.model.observed.chart import MOST_TRACES, RANGES, Trace
from cockpit.model.observed.metrics import History
from cockpit.text import safe

#: Series that are kept, so that one of them that becomes worse is seen.
MOST_SERIES = 64
_NAME = 48


@dataclass(frozen=True, slots=True)
class Kept:
    """Holds series by their labels, of `count` in all; `notes`: what was left out."""

    series: Mapping[frozenset[tuple[str, str]], History]
    count: int
    notes: tuple[str, ...] = ()


def keep(histories: Sequence[History], range_: str, direction: str) -> Kept:
    """Return the worst series, none with more points than were asked for."""
    most = points_of(range_)
    notes = []
    found = []
    for one in sorted(histories, key=lambda h: _badness(h, direction))[:MOST_SERIES]:
        if len(one.points) > most:
            every = math.ceil(len(one.points) / most)
            notes.append(f"{len(one.points):,} points came, {most:,} were asked for: each {every}th is shown")
            one = History(one.labels, one.points[::every])
        found.append(one)
    return Kept({_same(one): one for one in found}, len(histories), tuple(dict.fromkeys(notes))[:3])


def grown(kept: Kept, more: Sequence[History], range_: str, times: tuple[float, float], direction: str) -> Kept:
    """Add what is new.

    `times`: what is older than the first is dropped, from the second on all is said anew.
    """
    oldest, anew = times
    series = {
        same: History(one.labels, tuple(point for point in one.points if oldest <= point[0] < anew))
        for same, one in kept.series.items()
    }
    for same, one in keep(more, range_, direction).series.items():
        if same in series or len(series) < MOST_SERIES:
            before = series[same].points if same in series else ()
            series[same] = History(one.labels, (*before, *(point for point in one.points if point[0] >= anew)))
    unseen = max(0, kept.count - len(kept.series))
    series = {same: one for same, one in series.items() if one.points}
    return Kept(series, len(series) + unseen, kept.notes)


def traces(kept: Kept, direction: str, before: Iterable[str] = ()) -> tuple[Trace, ...]:
    """Return the worst ones by their newest value; those that were shown stay in their order."""
    ranked = sorted(kept.series.values(), key=lambda one: _badness(one, direction))[:MOST_TRACES]
    shared = _shared([one.labels for one in kept.series.values()])
    named = [Trace(_name(one.labels, shared), one.points) for one in ranked]
    shown = list(before)
    if {one.name for one in named} == set(shown):
        named.sort(key=lambda one: shown.index(one.name))
    return tuple(named)


def points_of(range_: str) -> int:
    """Return how many points of a series are kept at most."""
    span, step = RANGES[range_]
    return math.ceil(span * 1.25 / step) + 2


def not_numbers(shown: Sequence[Trace]) -> str:
    """Say how many values are NaN or infinite: they are drawn as gaps."""
    odd = sum(not math.isfinite(value) for one in shown for _, value in one.points)
    return f"{odd:,} of the values are no numbers (NaN, Inf): gaps" if odd else ""


def _same(one: History) -> frozenset[tuple[str, str]]:
    return frozenset(one.labels.items())


def _badness(one: History, direction: str) -> tuple[bool, float]:
    """Return what sorts the worst first; a series without any number comes last."""
    newest = next((value for _, value in reversed(one.points) if math.isfinite(value)), None)
    if newest is None:
        return True, 0.0
    return False, newest if direction == "below" else -newest


def _shared(every: Sequence[Mapping[str, str]]) -> frozenset[tuple[str, str]]:
    """Return the labels that all of several series have: they tell none from another."""
    if len(every) < 2:
        return frozenset()
    return frozenset.intersection(*(frozenset(labels.items()) for labels in every))


def _name(labels: Mapping[str, str], shared: frozenset[tuple[str, str]]) -> str:
    own = [value for key, value in sorted(labels.items()) if (key, value) not in shared and key != "__name__"]
    return safe(" ".join(own), _NAME)
