"""Guards a restore by its bounds: what is outside of them cannot be restored."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.mitigation.choices.restore import bounds, moment, spelt
from cockpit.mitigation.planning.result import result
from cockpit.model.held import judged_by
from cockpit.model.observed.postgres import Connections
from cockpit.model.plan import GuardResult, Verdict
from cockpit.model.reading import Unknown, believed, kind_unknown
from cockpit.model.runbook import Step
from cockpit.model.situation import Situation
from cockpit.text import clean

TIMES = "restore-times"
RESTORE = "restore"  # what the operator's own command is of ([restore] argv)


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


def writers_off(step: Step | None, situation: Situation | None, mono: float) -> GuardResult | None:
    """Judge whether what writes is stopped (14.restore.1); None for a step that restores nothing.

    What writes are the services that the same runbook scales to 0. Whose sessions are open is said.
    """
    if step is None or step.args.get("kind") != RESTORE:
        return None
    situation = judged_by(situation, mono)
    if situation is None:
        return result("writers", Verdict.UNKNOWN, "not known whether the writers are stopped")
    blind = kind_unknown(situation.kinds, "pods", situation.mono)
    if blind:
        return result("writers", Verdict.UNKNOWN, f"not known whether the writers are stopped: {blind}")
    own = next((r.mitigations for r in situation.runbooks.runbooks if any(s.id == step.id for s in r.mitigations)), ())
    writers = list(dict.fromkeys(s.service for s in own if s.kind == "scale" and s.replicas == 0 and s.service))
    namespace = situation.namespaces[0] if situation.namespaces else ""
    running = [name for name in writers if _pods(situation, namespace, name)]
    sessions = _sessions(situation)
    if running:
        return result("writers", Verdict.CONFIRM, f"{', '.join(running)} still run and may write; {sessions}")
    return result("writers", Verdict.PASS, f"{', '.join(writers)} are stopped; {sessions}")


def _pods(situation: Situation, namespace: str, service: str) -> int:
    """Count pods that may still write, terminating ones included."""
    found = situation.cluster.pods_of(namespace, service)
    return sum(pod.phase not in ("Succeeded", "Failed") for pod in found)


def _sessions(situation: Situation) -> str:
    if "postgres" not in situation.configured:
        return "open sessions are not known: [postgres] is not configured"
    found = believed(situation.postgres.get("connections"), situation.mono, Connections)
    if isinstance(found, Unknown):
        return f"open sessions are not known: {found.reason}"
    named = ", ".join(f"{clean(each.name, 40)} {each.count}" for each in found.data.by_application[:_SHOWN])
    return f"open sessions: {found.data.total}{f' ({named})' if named else ''}"


_SHOWN = 6
