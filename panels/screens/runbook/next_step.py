"""Finds what to do next in a runbook, and what each step would change now.

Pure: a match and a situation in, words out.
"""

from __future__ import annotations

from cockpit.model.plan import Phase, Proof
from cockpit.model.runbook import PUBLISH_TOGGLE, Match, Runbook, Step
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation
from cockpit.model.step_kinds import STEP_KINDS


def bad(names: tuple[str, ...], situation: Situation) -> list[SignalStatus]:
    """Return those of the signals that are warn or crit now, worst first."""
    found = [situation.signals[name] for name in names if name in situation.signals]
    return sorted((s for s in found if s.level.bad), key=lambda s: -s.level.rank)


def likeliest(runbook: Runbook, situation: Situation) -> int | None:
    """Return the index of the cause whose signals are worst; None when no cause has a bad one.

    Most crit, then most warn.
    """
    scores = [sum(s.level.rank for s in bad(cause.signals, situation)) for cause in runbook.causes]
    best = max(scores, default=0)
    return scores.index(best) if best else None


def already_so(step: Step, situation: Situation) -> bool:
    """Tell whether the step would change nothing now."""
    return STEP_KINDS[step.kind].holds(step, situation)


def _only_reads(step: Step) -> bool:
    """Tell whether it changes nothing: never "the" mitigation while a real one fits."""
    return STEP_KINDS[step.kind].only_reads


def hindered(step: Step, situation: Situation) -> str:
    """Say why the step is not to be taken now; empty when nothing is known against it.

    The guards decide in the end.
    """
    if situation.read_only and not _only_reads(step):
        return "read-only"
    if already_so(step, situation):
        return "already so"
    unsafe = [
        s
        for name, s in situation.signals.items()
        if name in situation.runbooks.signals and situation.runbooks.signals[name].dangerous
    ]
    if step.relaxes and any(s.level.bad or s.level is Level.RECOVERING for s in unsafe):
        return "invalid signatures hold"
    if enables(step, situation) and _unproved(situation):
        return "not before what is published is known to be safe"
    if under_way(step, situation):
        return "under way"
    return ""


def enables(step: Step, situation: Situation) -> bool:
    """Tell whether it lets publish what does not now: the submitter, its toggle, a market."""
    service = situation.runbooks.services.get(step.service or "")
    if step.kind == "scale" and service is not None and service.publishes:
        return step.replicas not in (0, "0") and situation.publishing.stopped
    if step.env.get(PUBLISH_TOGGLE, "").lower() == "true" or step.args.get("enables"):
        return True
    if step.kind != "sequence":
        return False
    own = next((r.mitigations for r in situation.runbooks.runbooks if step in r.mitigations), ())
    return any(enables(part, situation) for part in own if part.id in step.steps)


def _unproved(situation: Situation) -> bool:
    """Tell whether it is not known that what would be published is safe.

    A bundle that was verified here since is proof where no signal can tell any more.
    """
    known = situation.runbooks.signals
    dangerous = [s for name, s in situation.signals.items() if name in known and known[name].dangerous and not s.off]
    if any(s.level.bad for s in dangerous):
        return True
    verified = any(p.plan.kind == "verify-signatures" and p.proof is Proof.PASS for p in situation.progress)
    return not verified and any(s.level is Level.UNKNOWN for s in dangerous)


def under_way(step: Step, situation: Situation) -> bool:
    return any(p.plan.step == step.id and p.running for p in situation.progress)


def tried(step: Step, situation: Situation) -> bool:
    """Tell whether it was carried out in this session and did not prove itself."""
    return any(
        p.plan.step == step.id
        and (p.phase is Phase.FAILED or (p.phase is Phase.DONE and p.proof in (Proof.FAIL, Proof.UNKNOWN)))
        for p in situation.progress
    )


def immediate(step: Step) -> bool:
    """Tell whether the runbook wants it done at once, before a cause is looked for."""
    return step.item is not None and ".immediate." in step.item


def _done(step: Step, situation: Situation) -> bool:
    """Tell whether it was carried out in this session, as far as it can be.

    What only looks has its answer, whatever it is.
    """
    return any(
        p.plan.step == step.id and p.phase is Phase.DONE and (p.proof is Proof.PASS or _only_reads(step))
        for p in situation.progress
    )


def _reads(step: Step, runbook: Runbook) -> bool:
    """Tell whether it changes nothing: by its kind, or as the command that reads another back."""
    return _only_reads(step) or any(other.args.get("reads") == step.id for other in runbook.mitigations)


def _justified(step: Step, runbook: Runbook, situation: Situation) -> bool:
    """Tell whether its signals are bad.

    A step that names none may always be taken, but one that only looks then answers nothing that
    holds. A check tells what the validation shows anyway.
    """
    if STEP_KINDS[step.kind].judges_signals:
        return False
    return bool(bad(step.signals, situation)) if step.signals else not _reads(step, runbook)


def _mere_part(step: Step, runbook: Runbook, situation: Situation) -> bool:
    """Tell whether it is harmless, and only a later part of a dangerous sequence.

    Alone it is not the mitigation: a backup into an archive that nobody has made room in.
    """
    within = {s.id: s.steps for s in runbook.mitigations}
    return not step.dangerous and any(
        other.dangerous
        and any(step.id in (name, *within.get(name, ())) for name in other.steps[1:])
        and (not other.signals or bad(other.signals, situation))
        for other in runbook.mitigations
    )


def next_step(match: Match, situation: Situation) -> Step | None:
    """Return the next sensible step.

    What is to be done at once, in its order; then for the likeliest cause, not hindered, the least
    dangerous first. None when no symptom holds, when a step of this runbook is under way, or when
    one of it has just proved itself.
    """
    runbook = match.runbook
    mine = [p for p in situation.progress if p.plan.runbook == runbook.id]
    if not match.score or any(p.running for p in mine):
        return None
    for step in runbook.mitigations:
        if immediate(step) and not hindered(step, situation) and not _done(step, situation):
            return step
    if (
        mine
        and mine[0].proof is Proof.PASS
        and not any(immediate(s) for s in runbook.mitigations if s.id == mine[0].plan.step)
    ):
        return None
    causes = {
        cause.item: sum(s.level.rank for s in bad(cause.signals, situation)) for cause in runbook.causes if cause.item
    }

    def order(step: Step) -> tuple[bool, bool, int, bool, bool, int]:
        weight = causes.get(step.cause, 0) if step.cause else 0
        justified = sum(s.level.rank for s in bad(step.signals, situation))
        return tried(step, situation), step.dangerous, -weight, not justified, _reads(step, runbook), -justified

    open_steps = [
        s
        for s in runbook.mitigations
        if not immediate(s) and not hindered(s, situation) and not _mere_part(s, runbook, situation)
    ]
    fitting = [
        step
        for step in open_steps
        if (step.cause and causes.get(step.cause)) or (not step.cause and _justified(step, runbook, situation))
    ]
    chosen = fitting or [step for step in open_steps if _only_reads(step)]
    return min(chosen, key=order) if chosen else None


def preview(step: Step, situation: Situation) -> str:
    """Say in one line what the step would change now."""
    return STEP_KINDS[step.kind].preview(step, situation)
