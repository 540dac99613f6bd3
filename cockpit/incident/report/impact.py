"""Measures how bad it was and for how long, from the flight recorder.

Pure. Time in which no cockpit watched counts for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cockpit.incident.flight_recorder import RecordedChange

_BAD = ("warn", "crit")
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Impact:
    """Describes one signal that was bad.

    Seconds are of watched time; `worst` None when no value was known.
    """

    name: str
    title: str
    unit: str
    warn_s: float
    crit_s: float
    unknown_s: float
    worst: float | None
    first: float  # wall: when it left its normal band, as its history tells, else when it was first seen bad
    last: float  # wall: until when it was
    still: str  # the level last seen


def began(changes: Iterable[RecordedChange], opened: float, end: float) -> list[str]:
    """Say when it began, by what, and which changes were found to explain it."""
    own = [change for change in changes if opened - 86400.0 <= change.at <= end]
    onsets = sorted((change for change in own if change.kind == "onset"), key=lambda change: change.at)
    lines = []
    if onsets:
        first = onsets[0]
        at = datetime.fromtimestamp(first.at, UTC)
        lines.append(f"It began at {at:%H:%M:%S} UTC: {first.title or first.name} left its normal band.")
    for change in (change for change in own if change.kind == "change"):
        at = datetime.fromtimestamp(change.at, UTC)
        lines.append(f"What may explain it: {change.name}: {change.words}, at {at:%H:%M:%S} UTC.")
    return lines


def impacts(changes: Iterable[RecordedChange], start: float, end: float) -> list[Impact]:
    """Return the signals that were WARN or CRIT between two wall times, longest CRIT first.

    Several cockpits that watched at the same time count once.
    """
    own: dict[str, list[RecordedChange]] = {}
    onsets: dict[str, float] = {}
    watches: dict[str, list[float]] = {}  # cockpit → when it began or ended to watch
    for change in sorted(changes, key=lambda f: f.at):
        if change.at > end:
            break
        if change.kind in ("signal", "worst"):
            own.setdefault(change.name, []).append(change)
        elif change.kind == "onset":
            onsets.setdefault(change.name, change.at)
        elif change.kind in ("start", "stop"):
            watches.setdefault(change.by, []).append(change.at)
    seen = [impact for each in own.values() if (impact := _impact(each, watches, start, end)) is not None]
    found = [replace(impact, first=min(impact.first, onsets.get(impact.name, impact.first))) for impact in seen]
    return sorted(found, key=lambda impact: (-impact.crit_s, -impact.warn_s, impact.name))


def _impact(
    changes: Sequence[RecordedChange], watches: dict[str, list[float]], start: float, end: float
) -> Impact | None:
    spans: dict[str, list[Span]] = {"warn": [], "crit": [], "unknown": []}
    for by in dict.fromkeys(change.by for change in changes):
        turns = [change for change in changes if change.by == by and change.kind == "signal"]
        for change, following in zip(turns, [*(f.at for f in turns[1:]), end], strict=True):
            cut = min((at for at in watches.get(by, ()) if change.at < at <= following), default=following)
            begin, finish = max(change.at, start), min(cut, end)
            if change.now in spans and finish > begin:
                spans[change.now].append((begin, finish))
    bad = [span for level in _BAD for span in spans[level]]
    if not bad:
        return None
    last = changes[-1]
    unit = next((f.unit for f in changes if f.unit), "")
    return Impact(
        name=last.name,
        title=last.title or last.name,
        unit=unit,
        warn_s=_covered_s(spans["warn"]),
        crit_s=_covered_s(spans["crit"]),
        unknown_s=_covered_s(spans["unknown"]),
        worst=_worst(changes, start),
        first=min(begin for begin, _ in bad),
        last=max(finish for _, finish in bad),
        still=last.now,
    )


def _covered_s(spans: Sequence[Span]) -> float:
    """Return the seconds covered by the spans, overlaps counted once."""
    total, reached = 0.0, float("-inf")
    for begin, finish in sorted(spans):
        total += max(0.0, finish - max(begin, reached))
        reached = max(reached, finish)
    return total


def _worst(changes: Sequence[RecordedChange], start: float) -> float | None:
    """Return the value farthest from its good days', at the worst level that the signal had.

    Without a good day: farthest from its first bad value.
    """
    values: list[tuple[str, float]] = []
    for change in changes:
        if change.at < start:
            continue
        if change.was in _BAD and change.worst is not None:
            values.append((change.was or "", change.worst))
        if change.now in _BAD and change.value is not None:
            values.append((change.now, change.value))
    wanted = [v for level, v in values if level == "crit"] or [v for _, v in values]
    if not wanted:
        return None
    usual = next((f.value for f in changes if f.now == "ok" and f.value is not None), wanted[0])
    return max(wanted, key=lambda v: abs(v - usual))
