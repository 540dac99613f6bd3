"""Finds what to do next in a runbook, and what each step would change now.

Pure: a match and a situation in, words out.
"""

from __future__ import annotations

from dataclasses import dataclass

from cockpit.model.plan import JournalLine, Phase, Progress, Proof
from cockpit.model.runbook import PUBLISH_TOGGLE, Match, Runbook, Step
from cockpit.model.sections.order import Way, against_words, safe_value, way
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation
from cockpit.model.step_kinds import STEP_KINDS
from cockpit.model.step_previews import value_now, values_set


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
    return backwards(step, situation) or not_allowed(step, situation)


def not_allowed(step: Step, situation: Situation) -> str:
    """Say which of its conditions does not hold, or is not known."""
    for names, wanted in ((step.requires, True), (step.unless, False)):
        for name in names:
            status = situation.conditions.get(name)
            if status is None or status.held is not wanted:
                known = "not known" if status is None or status.held is None else status.because
                return f"{'only' if wanted else 'not'} if {situation.runbooks.conditions[name].text}: {known}"
    return ""


def backwards(step: Step, situation: Situation) -> str:
    """Say that it would move what it sets the other way, or cannot move it on."""
    if step.direction is None:
        return ""
    for name, text in values_set(step).items():
        now = value_now(step, name, situation)
        param = next((p for p in step.params if text == "{" + p.name + "}"), None)
        if now is None or (param is not None and not isinstance(param.default, int)):
            continue
        if param is not None and isinstance(param.default, int):
            if safe_value(step.direction, now, param.default, param.minimum, param.maximum) is None:
                return f"now {now}: it cannot be {_DONE.get(step.direction, 'moved')} further"
            continue
        variable = situation.runbooks.variable(name)
        if way(step.direction, now, text, variable.values if variable is not None else ()) is Way.AGAINST:
            return against_words(name, step.direction, now, text)
    return ""


_DONE = {"raises": "raised", "lowers": "lowered"}


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


def _mine(step: Step, situation: Situation) -> list[Progress]:
    """Return what of it was carried out in this session, or of its parts, the newest first."""
    number = next((r.id for r in situation.runbooks.runbooks if step in r.mitigations), None)
    return [
        p
        for p in situation.progress
        if (number is None or p.plan.runbook == number)
        and (p.plan.step == step.id or (p.plan.part is not None and p.plan.part.sequence == step.id))
    ]


def under_way(step: Step, situation: Situation) -> bool:
    return any(p.running for p in _mine(step, situation))


def tried(step: Step, situation: Situation) -> bool:
    """Tell whether it was carried out in this incident and did not prove itself."""
    return any(
        p.phase is Phase.FAILED or (p.phase is Phase.DONE and p.proof in (Proof.FAIL, Proof.UNKNOWN))
        for p in _mine(step, situation)
    ) or any(
        line.proof in (Proof.FAIL.value, Proof.UNKNOWN.value) and not line.undone
        for line in _journalled(step, situation)
    )


def immediate(step: Step) -> bool:
    """Tell whether the runbook wants it done at once, before a cause is looked for."""
    return step.item is not None and ".immediate." in step.item


def _done(step: Step, situation: Situation) -> bool:
    """Tell whether it was carried out in this incident, as far as it can be.

    What only looks has its answer, whatever it is; what stops harm has stopped it; of a sequence
    the last part counts.
    """
    return any(
        p.phase is Phase.DONE
        and (p.proof in (Proof.PASS, Proof.NONE) or _only_reads(step))
        and (p.plan.part is None or p.plan.step == step.id or p.plan.part.index == p.plan.part.of - 1)
        for p in _mine(step, situation)
    ) or any(
        (line.number == 0 or line.proof in (Proof.PASS.value, Proof.NONE.value)) and not line.undone
        for line in _journalled(step, situation)
    )


#: What the journal has of a step, or of an answer, of this long ago is of this incident.
OF_NOW_S = 3600.0


def _journalled(step: Step, situation: Situation) -> list[JournalLine]:
    """Return what the journal has of it that this session does not: of another cockpit, or before.

    A part of a sequence is no whole one.
    """
    runbook = next((r.id for r in situation.runbooks.runbooks if step in r.mitigations), None)
    seen = {p.journal for p in situation.progress}
    return [
        line
        for line in situation.journal
        if (line.runbook, line.step) == (runbook, step.id)
        and (line.number == 0 or line.number not in seen)
        and situation.wall - line.wall <= OF_NOW_S
    ]


def _reads(step: Step, runbook: Runbook) -> bool:
    """Tell whether it changes nothing: by its kind, or as the command that reads another back."""
    return _only_reads(step) or any(other.args.get("reads") == step.id for other in runbook.mitigations)


def _mere_part(step: Step, runbook: Runbook) -> bool:
    """Tell whether it is a later part of a sequence: alone it is not the mitigation.

    Say, a backup into an archive that nobody has made room in.
    """
    within = {s.id: s.steps for s in runbook.mitigations}
    return any(step.id in (name, *within.get(name, ())) for other in runbook.mitigations for name in other.steps[1:])


@dataclass(frozen=True, slots=True)
class Called:
    """Holds the step that the situation calls for, or None and why there is none."""

    step: Step | None
    reason: str = ""
    runbook: Runbook | None = None


def next_step(match: Match, situation: Situation) -> Step | None:
    """Return the step of this runbook that the situation calls for; None when there is none."""
    return called(match, situation).step


def called_for(situation: Situation) -> Called:
    """Return what the best match calls for."""
    if not situation.matches:
        return Called(None, "no runbook matches")
    return called(situation.matches[0], situation)


def called(match: Match, situation: Situation) -> Called:
    """Return the step of a runbook that the situation calls for, or why there is none.

    What is to be done at once, in its order. Then what answers a cause that shows, and is not
    hindered: what its condition calls for first, then the worst cause's, the least dangerous. None
    while a step is under way, or one has just proved itself; no dangerous one while no cause is
    known.
    """
    runbook = match.runbook
    mine = [p for p in situation.progress if p.plan.runbook == runbook.id]
    if not match.score:
        return Called(None, "no symptom of this runbook holds", runbook)
    running = next((p for p in mine if p.running), None)
    if running is not None:
        return Called(None, f"{running.plan.title}: {running.phase.value}", runbook)
    for step in runbook.mitigations:
        if immediate(step) and not hindered(step, situation) and not _done(step, situation):
            return Called(step, "at once, before a cause is looked for", runbook)
    newest = mine[0] if mine else None
    if newest is not None and newest.proof is Proof.PASS and _fades(newest, runbook, situation):
        return Called(None, f"{newest.plan.title} proved itself", runbook)
    weights = _weights(runbook, situation)
    causes = [s for cause in runbook.causes for n in cause.signals if (s := situation.signals.get(n)) is not None]
    blind = bool(causes) and all(s.level is Level.UNKNOWN for s in causes)
    open_steps: list[Step] = []
    against: list[str] = []
    for step in runbook.mitigations:
        if immediate(step) or not _answers(step, runbook, weights, situation):
            continue
        why = _against(step, runbook, situation, blind)
        if why:
            against.append(f"{step.title}: {why}")
        else:
            open_steps.append(step)

    def order(step: Step) -> tuple[bool, int, int, bool, int]:
        justified = sum(s.level.rank for s in bad(step.signals, situation))
        rank = _rank(step, runbook)
        return rank == _LAST, -_weight(step, weights, situation), rank, not step.requires, -justified

    if open_steps:
        return Called(min(open_steps, key=order), "", runbook)
    if situation.publishing.stopped and (back := _back_on(runbook, situation)) is not None:
        return back
    return Called(None, against[0] if against else "no step of this runbook answers what shows", runbook)


def _back_on(runbook: Runbook, situation: Situation) -> Called | None:
    """Return what leads back from a stop: proof of a bundle first, then what enables publishing."""
    enabling = [s for s in runbook.mitigations if enables(s, situation) and not _mere_part(s, runbook)]
    if not enabling:
        return None
    why = hindered(enabling[0], situation)
    if not why and not _done(enabling[0], situation):
        return Called(enabling[0], "publishing is stopped, and nothing speaks against it any more", runbook)
    proof = next((s for s in runbook.mitigations if s.kind == "verify-signatures"), None)
    if why and proof is not None and not _done(proof, situation) and not hindered(proof, situation):
        return Called(proof, "publishing is stopped: a bundle is verified before it is enabled", runbook)
    return Called(None, f"{enabling[0].title}: {why or 'it was done'}", runbook)


def _against(step: Step, runbook: Runbook, situation: Situation, blind: bool) -> str:
    if why := hindered(step, situation):
        return why
    if tried(step, situation):
        return "it was tried, and did not prove itself"
    if _done(step, situation):
        return "it was done"
    if blind and step.dangerous:
        return "dangerous, and no cause is known"
    return "only a later part" if _mere_part(step, runbook) else ""


def _fades(progress: Progress, runbook: Runbook, situation: Situation) -> bool:
    """Tell whether what has proved itself is given its time: symptoms fade after it."""
    if any(immediate(step) for step in runbook.mitigations if step.id == progress.plan.step):
        return False
    return progress.ended_mono is None or situation.mono - progress.ended_mono < FADES_S


#: After a step has proved itself, nothing else is called for so long: windows of minutes fade.
FADES_S = 600.0


def _weights(runbook: Runbook, situation: Situation) -> dict[str, int]:
    """Return by id and item how much each cause shows: as its worst signal does."""
    found: dict[str, int] = {}
    for cause in runbook.causes:
        for name in (cause.id, cause.item):
            if name:
                found[name] = max((s.level.rank for s in bad(cause.signals, situation)), default=0)
    return found


def _weight(step: Step, weights: dict[str, int], situation: Situation) -> int:
    """Return how badly what it answers shows: its causes, or what justifies it and it must move."""
    if step.causes:
        return max(weights.get(cause, 0) for cause in step.causes)
    return max((s.level.rank for s in bad((*step.signals, *step.proves), situation)), default=0)


_LAST = 5


def _rank(step: Step, runbook: Runbook) -> int:
    """Return in which order steps come that answer what shows as badly: the safer first.

    What acts, and is safe or measured to be; what holds; a look; what is dangerous; questions.
    """
    if _reads(step, runbook):
        return 2 if step.causes and STEP_KINDS[step.kind].opens_view else _LAST
    if step.holds:
        return 4 if step.dangerous else 1
    return 3 if step.dangerous and not step.requires else 0


def _answers(step: Step, runbook: Runbook, weights: dict[str, int], situation: Situation) -> bool:
    """Tell whether it answers what shows: its cause, or without one what it must move."""
    if step.causes:
        return _weight(step, weights, situation) > 0
    if STEP_KINDS[step.kind].judges_signals:
        return False
    if step.signals or step.proves:
        return bool(bad((*step.signals, *step.proves), situation))
    return not _reads(step, runbook)


def preview(step: Step, situation: Situation) -> str:
    """Say in one line what the step would change now."""
    return STEP_KINDS[step.kind].preview(step, situation)
