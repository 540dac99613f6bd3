"""Guards a restore by its bounds: what is outside of them cannot be restored."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.mitigation.choices.restore import bounds, moment, spelt
from cockpit.mitigation.planning.result import result
from cockpit.model.held import judged_by
from cockpit.model.plan import GuardResult, Verdict
from cockpit.model.runbook import Step
from cockpit.model.situation import Situation
from cockpit.text import clean

TIMES = "restore-times"


def restorable(
    step: Step | None, values: Mapping[str, str], situation: Situation | None, mono: float
) -> GuardResult | None:
    """Judge the time that a step restores to; None for a step that restores nothing."""
    name = next((p.name for p in step.params if p.choices_from == TIMES), None) if step is not None else None
    if name is None:
        return None
    text = values.get(name, "")
    at = moment(text)
    if at is None:
        return result("bounds", Verdict.BLOCK, f"{clean(text, 60)} is no time with its zone")
    situation = judged_by(situation, mono)
    if situation is None:
        return result("bounds", Verdict.UNKNOWN, "not known to which times the database can be restored")
    if at > situation.cluster_now:
        return result("bounds", Verdict.BLOCK, f"{spelt(at)} is in the future: it is {spelt(situation.cluster_now)}")
    known = bounds(situation)
    if known.archived is not None and at > known.archived:
        return result(
            "bounds", Verdict.BLOCK, f"the archive ends at {spelt(known.archived)}: {spelt(at)} cannot be restored"
        )
    if known.backup is not None and at < known.backup:
        reason = f"{spelt(at)} is before the last good backup ({spelt(known.backup)}): it needs an older one"
        return result("bounds", Verdict.UNKNOWN, f"{reason}, of which nothing is known")
    if known.archived is None or known.backup is None:
        return result("bounds", Verdict.UNKNOWN, f"not known whether {spelt(at)} can be restored: {known.why}")
    words = f"between the last good backup ({spelt(known.backup)}) and the end of the archive"
    return result("bounds", Verdict.PASS, f"{spelt(at)} is {words} ({spelt(known.archived)})")
