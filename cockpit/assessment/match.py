"""Ranks runbooks by the symptoms that hold.

Unknown is counted apart: it speaks neither for a runbook nor against it.
"""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.model.runbook import Match, Runbook, Runbooks, Symptom, SymptomStatus
from cockpit.model.signal import Level, SignalStatus


def match(runbooks: Runbooks, signals: Mapping[str, SignalStatus]) -> tuple[Match, ...]:
    """Return every runbook, best first.

    By the share of weight that holds, then by symptoms that hold, then by number.
    """
    matches = [_match(runbook, signals) for runbook in runbooks.runbooks]
    return tuple(sorted(matches, key=_rank))


def _rank(match: Match) -> tuple[float, int, int, int]:
    held = match.held if match.score else 0
    return -match.score, -held, -match.unknown if held else 0, match.runbook.number


def _match(runbook: Runbook, signals: Mapping[str, SignalStatus]) -> Match:
    configured = [symptom for symptom in runbook.symptoms if not _off(signals.get(symptom.signal))]
    # what is not configured counts for nothing; when nothing else is left, that is unknown
    statuses = tuple(held(symptom, signals.get(symptom.signal)) for symptom in configured or runbook.symptoms)
    weight = sum(s.symptom.weight for s in statuses)
    holding = sum(s.symptom.weight for s in statuses if s.held)
    if all(s.symptom.at == "ok" for s in statuses if s.held):
        holding = 0.0  # "commits are confirmed" alone, on a calm day, speaks for no runbook
    return Match(
        runbook=runbook,
        symptoms=statuses,
        held=sum(1 for s in statuses if s.held),
        unknown=sum(1 for s in statuses if s.held is None),
        total=len(statuses),
        score=holding / weight if weight > 0 else 0.0,
    )


def _off(status: SignalStatus | None) -> bool:
    return status is not None and status.off


def held(symptom: Symptom, status: SignalStatus | None) -> SymptomStatus:
    """Say whether a symptom holds; None when its signal is unknown, also when it asks for OK."""
    if status is None:
        return SymptomStatus(symptom, None, f"there is no signal {symptom.signal}")
    because = status.reason or status.level.value
    if status.level is Level.UNKNOWN:
        return SymptomStatus(symptom, None, because)
    if symptom.at == "ok":
        return SymptomStatus(symptom, status.level is Level.OK, because)
    return SymptomStatus(symptom, status.level.rank >= Level(symptom.at).rank, because)
