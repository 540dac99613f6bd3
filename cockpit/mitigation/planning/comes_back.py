"""Says what comes back when a step is undone: an endpoint as it is now, a symptom as it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cockpit.assessment.baseline import with_unit
from cockpit.mitigation.choices.live import measured
from cockpit.model.plan import Proof, Verdict
from cockpit.model.reading import Unknown, believed, last_known
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation
from cockpit.redaction.addresses import parts_of
from cockpit.sources.solana.values import BAD_ERROR_RATIO, unfit
from cockpit.text import clean

_MOST_LINES = 2


@dataclass(frozen=True, slots=True)
class Back:
    """Says what is known now of an RPC endpoint that would be used again."""

    name: str
    verdict: Verdict
    words: str


def endpoint_back(value: str | None, situation: Situation | None) -> Back | None:
    """Return what is known of the endpoint that a value names; None: of none that is watched."""
    parts = parts_of(value or "")
    if situation is None or parts is None:
        return None
    for topic, reading in situation.solana.items():
        status = last_known(reading.believed(situation.mono)) if topic.startswith("endpoint/") else None
        if status is None or status.host != parts[2].lower():
            continue
        figures = measured(status.name, situation)
        bad = unfit(reading, situation.mono)
        words = f"{status.name} comes back: {', '.join(figures) or bad or 'no measurements'}"
        if bad or _fails(status.name, situation):
            return Back(status.name, Verdict.CONFIRM, words)
        return Back(status.name, Verdict.NOTE if figures else Verdict.UNKNOWN, words)
    return None


def _fails(name: str, situation: Situation) -> bool:
    """Tell whether too many of the submitter's own requests to an endpoint fail now."""
    found = believed(situation.queries.get("rpc-error-ratio"), situation.mono)
    share = None if isinstance(found, Unknown) else found.data.by("endpoint").get(name)
    signal = situation.signals.get("rpc-errors")
    if share is None or signal is None or signal.warn is None:
        return share is not None and share >= BAD_ERROR_RATIO
    return share * (100.0 if signal.unit == "%" else 1.0) >= signal.warn


def symptoms_back(proven: Mapping[str, Any] | None, situation: Situation | None, runbooks: Runbooks) -> str:
    """Say what a step cured that was proven to, then and now; "" where nothing was proven of it."""
    if proven is None or proven.get("proof") != Proof.PASS.value:
        return ""
    lines = [_line(gauge, situation, runbooks) for gauge in proven.get("gauges") or () if isinstance(gauge, Mapping)]
    more = f" and {len(lines) - _MOST_LINES} more" if len(lines) > _MOST_LINES else ""
    known = f": {'; '.join(lines[:_MOST_LINES])}{more}" if lines else ""
    return f"what it was proven to cure may come back{known}"


def _line(gauge: Mapping[str, Any], situation: Situation | None, runbooks: Runbooks) -> str:
    name = str(gauge.get("signal") or "")
    signal = runbooks.signals.get(name)
    unit, was = signal.unit if signal is not None else "", gauge.get("baseline")
    status = situation.signals.get(name) if situation is not None else None
    now = status.newest if status is not None else None
    then = f", {with_unit(float(was), unit)} before it" if isinstance(was, int | float) else ""
    known = "not known" if now is None else with_unit(now, unit)
    return f"{clean(str(gauge.get('text') or name), 60)} ({known} now{then})"
