"""Names what a signal's value is bad of: every one that is, not the worst alone."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.assessment.baseline import judge
from cockpit.model.observed.metrics import Sample
from cockpit.model.runbook import SignalDef
from cockpit.model.signal import Level

SHOWN = 3


def culprits(signal: SignalDef, samples: Sequence[Sample], warn: float | None, crit: float | None) -> str:
    """Return "all 4 connectors", or "politics, crypto and 1 more", the worst first; "" for none.

    Samples without labels are of nothing that has a name.
    """
    bad = [sample for sample in samples if judge(sample.value, signal.direction, warn, crit) is not Level.OK]
    bad.sort(key=lambda sample: sample.value, reverse=signal.direction == "above")
    names = list(dict.fromkeys(", ".join(sample.labels.values()) for sample in bad if sample.labels))
    if not names:
        return ""
    kinds = {key for sample in samples for key in sample.labels}
    if len(bad) == len(samples) == len(names) > 1 and len(kinds) == 1:
        return f"all {len(names)} {kinds.pop()}s"
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")
