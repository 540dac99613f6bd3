"""Works out what a number of workers would do, where today's rates are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cockpit.model.runbook import Step
    from cockpit.model.situation import Situation

#: The events that wait, and those that are taken, per second: queries of runbooks.toml.
WAITING, TAKEN = "eventlog-backlog", "events-taken"
INGESTOR = "m0-ingestor"
BUSY = "ingest-saturation"


def effect(step: Step, value: str, situation: Situation | None) -> str:
    """Return when the backlog would be gone with so many workers; "" where it cannot be told.

    Only while workers are saturated is what they take what they can take.
    """
    if situation is None or step.service != INGESTOR or step.replicas is None or not value.isdecimal():
        return ""
    service = next((s for s in situation.services if s.name == INGESTOR), None)
    busy = situation.signals.get(BUSY)
    waiting, taken, growth = _sum(WAITING, situation), _sum(TAKEN, situation), _growth(WAITING, situation)
    if service is None or not service.ready or busy is None or not busy.level.bad:
        return ""
    if waiting is None or not taken or growth is None:
        return "how soon it drains is not known"
    comes, could = taken + growth, int(value) * taken / service.ready
    if could <= comes:
        return f"never drains at today's rate: {comes:,.0f} /s come, {could:,.0f} /s are taken"
    return f"drains in {_span(waiting / (could - comes))} at today's rate"


def _sum(query: str, situation: Situation) -> float | None:
    result = situation.answer(query)
    values = [sample.value for sample in result.samples if sample.value == sample.value] if result is not None else []
    return sum(values) if values else None


def _growth(query: str, situation: Situation) -> float | None:
    """Return by how much a second it grew, over the last minutes that its history holds."""
    result = situation.answer(query)
    rates = []
    for line in result.history if result is not None else ():
        points = [(at, value) for at, value in line.points if value == value][-_POINTS:]
        if len(points) > 1 and points[-1][0] > points[0][0]:
            rates.append((points[-1][1] - points[0][1]) / (points[-1][0] - points[0][0]))
    return sum(rates) if rates else None


_POINTS = 8


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min" if seconds < 7200 else "hours"
