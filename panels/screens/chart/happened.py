"""Gathers what happened during a chart's time: steps of our journal, alerts, other changes."""

from __future__ import annotations

from collections import Counter

from cockpit.model.observed.chart import Mark
from cockpit.model.situation import Situation

MOST_MARKS = 60


def marks_of(situation: Situation, start: float, end: float, behind_s: float) -> tuple[Mark, ...]:
    """Return the marks between two times of Prometheus' clock, oldest first.

    `behind_s`: how far this machine's clock, by which the journal is written, is behind it.
    """
    found = [
        Mark(line.wall + behind_s, "step", f"#{line.number} {line.operator}: {line.title}  {line.outcome}")
        for line in situation.journal
    ]
    alerts = Counter((alert.since, alert.name, alert.state) for alert in situation.alerts if alert.since is not None)
    found += [
        Mark(at, "alert", f"alert {name} {state}{f' ({count} of them)' if count > 1 else ''}")
        for (at, name, state), count in alerts.items()
        if at is not None
    ]
    found += [
        Mark(one.change.at, "change", f"{one.change.place} {one.change.words}")
        for one in situation.changes.ranked
        if one.change.kind not in ("alert", "step", "workload")
    ]
    return tuple(sorted((mark for mark in found if start <= mark.at <= end), key=lambda mark: mark.at))[-MOST_MARKS:]
