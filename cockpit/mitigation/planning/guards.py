"""Judges a draft by guards: each is a small function that says what it thinks, and why.

None of them sends anything.

A guard that does not apply answers None. Reasons are one line for the operator; BLOCK cannot be
overridden, CONFIRM and UNKNOWN want the target's name typed, and the override is journalled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from cockpit.assessment.stopped import Stop, stopped
from cockpit.mitigation.cluster.guard_facts import Facts
from cockpit.mitigation.cluster.objects import WORKLOADS, annotations_of, paused, replicas, strategy, surge_of
from cockpit.mitigation.cluster.rights import permitted
from cockpit.mitigation.kind import Draft, Patch
from cockpit.mitigation.planning import direction as of_direction
from cockpit.mitigation.planning.comes_back import endpoint_back, symptoms_back
from cockpit.mitigation.planning.restorable import restorable, writers_off
from cockpit.mitigation.planning.result import result
from cockpit.mitigation.planning.rotation import rotation
from cockpit.mitigation.steps.parameters import DIGEST
from cockpit.model.held import judged_by
from cockpit.model.plan import DryRunState, GuardResult, Verdict
from cockpit.model.runbook import Runbooks, Step
from cockpit.model.signal import Level
from cockpit.model.situation import Situation


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardInput:
    """Holds all that a guard may look at.

    `signals` justify the step; an `undo` is justified by the journal, which holds how what it takes
    back was `proven`.
    """

    draft: Draft
    facts: Facts
    situation: Situation | None
    runbooks: Runbooks
    signals: tuple[str, ...]
    read_only: bool
    undo: bool
    mono: float
    journal_problems: tuple[str, ...] = ()
    proven: Mapping[str, Any] | None = None
    step: Step | None = None
    values: Mapping[str, str] = field(default_factory=dict)


Guard = Callable[[GuardInput], GuardResult | None]


def of_object(guard: Callable[[GuardInput, Patch], GuardResult | None]) -> Guard:
    """Make a guard of one that judges a patch of an object; it does not apply to anything else."""

    @wraps(guard)
    def judged(given: GuardInput) -> GuardResult | None:
        return guard(given, given.draft.patch) if given.draft.patch is not None else None

    return judged


def read_only(given: GuardInput) -> GuardResult | None:
    if given.read_only:
        return GuardResult("read-only", Verdict.BLOCK, "the cockpit was started with --read-only")
    return None


@of_object
def permission(given: GuardInput, patch: Patch) -> GuardResult | None:
    return permitted(given.facts.review, patch.subject.name)


def dry_run(given: GuardInput) -> GuardResult | None:
    """Block what the server refuses.

    Where it does no dry runs, the dialog says so by itself.
    """
    if given.draft.dry_run.state is DryRunState.FAILED:
        return result("dry-run", Verdict.BLOCK, f"the server would reject it: {given.draft.dry_run.reason}")
    if given.draft.dry_run.state is DryRunState.UNKNOWN:
        reason = f"the dry run gave no answer: {given.draft.dry_run.reason}"
        return None if given.read_only else result("dry-run", Verdict.UNKNOWN, reason)
    if given.draft.dry_run.state is DryRunState.OK and given.draft.dry_run.reason:
        return result("dry-run", Verdict.CONFIRM, given.draft.dry_run.reason)
    return None


def fresh(given: GuardInput) -> GuardResult | None:
    """Demand that the signals which justify the step are known now.

    Those of a source that nobody has configured count for nothing, unless there are no others.
    """
    if given.undo:
        return result("fresh", Verdict.PASS, "an undo is justified by the journal")
    if not given.signals:
        return result("fresh", Verdict.NOTE, "no signal justifies this step: it is your judgement")
    situation = judged_by(given.situation, given.mono)
    if situation is None:
        return result("fresh", Verdict.CONFIRM, "nothing is known of the signals that justify this step")
    unknown, oldest = [], 0.0
    configured_signals = [
        name for name in given.signals if (known := situation.signals.get(name)) is None or not known.off
    ]
    for name in configured_signals or given.signals:
        status = situation.signals.get(name)
        if status is None or status.level is Level.UNKNOWN:
            unknown.append(f"{name} ({status.reason or 'unknown' if status else 'not evaluated'})")
        elif status.age_s is not None:
            oldest = max(oldest, status.age_s)
    if unknown:
        names = [name.partition(" (")[0] for name in unknown]
        return result("fresh", Verdict.CONFIRM, "unknown or stale: " + ", ".join(unknown), *names)
    return result("fresh", Verdict.PASS, f"{oldest:.0f} s old")


@of_object
def singleton(given: GuardInput, patch: Patch) -> GuardResult | None:
    """Allow one leader at most.

    Never a second replica, never a rolling update that surges, never while an old pod is left.
    """
    if not patch.subject.service.singleton:
        return None
    name = patch.subject.name
    count = replicas(patch.subject.obj)
    after = count if patch.replicas_after is None else patch.replicas_after
    if after > 1:
        tail = f"it stays at {after}" if patch.template else f"{after} would run at once"
        return result("singleton", Verdict.BLOCK, f"{name} must never have more than one replica: {tail}")
    if patch.template and count >= 1:
        surge = surge_of(patch.subject.obj, count)
        if surge.surge > 0 and given.facts.runs_already >= count:
            return result(
                "singleton",
                Verdict.NOTE,
                f"no pod starts: {given.facts.runs_already} of {count} run with that template already, "
                "and what is left of the stuck rollout ends",
            )
        if surge.surge > 0:
            return result(
                "singleton",
                Verdict.BLOCK,
                f"its rolling update ({surge.words}) would run {count + surge.surge} {name} at once: "
                "set strategy Recreate, or scale to 0, wait until no pod is left, change it, scale to 1",
            )
    if not patch.template and count == 0 and after == 1:
        left = given.facts.pods_left
        if left is None:
            return result(
                "singleton", Verdict.UNKNOWN, f"old pods of {name} cannot be counted: {given.facts.pods_reason}"
            )
        if left:
            some = "a pod is" if left == 1 else f"{left} pods are"
            return result("singleton", Verdict.BLOCK, f"{some} still there, terminating: wait until none is left")
    how = str(strategy(patch.subject.obj).get("type") or "RollingUpdate")
    if given.facts.others and count == 0 and after == 1:
        return result("singleton", Verdict.CONFIRM, f"others may publish too: {given.facts.others}")
    return result("singleton", Verdict.PASS, f"{after} replica{'s' if after != 1 else ''}, {how}")


@of_object
def digest(given: GuardInput, patch: Patch) -> GuardResult | None:
    """Demand images by digest: a tag may be another image tomorrow.

    An undo may go back to the tag that ran before.
    """
    loose = [image for image in patch.images if not DIGEST.fullmatch(image)]
    if not loose:
        return result("digest", Verdict.PASS, "by digest") if patch.images else None
    if given.undo or patch.ran_before:
        return result("digest", Verdict.CONFIRM, f"{loose[0]} has no digest: the tag may name another image by now")
    return result("digest", Verdict.BLOCK, f"{loose[0]} has no digest: give NAME@sha256:… (64 hex digits)")


def direction(given: GuardInput) -> GuardResult | None:
    """Demand, of what relaxes something, that no dangerous signal holds or is unknown."""
    if not given.draft.relaxing:
        return None
    why = "; ".join(given.draft.relaxing)
    names = [name for name, signal in given.runbooks.signals.items() if signal.dangerous]
    situation = judged_by(given.situation, given.mono)
    known = situation.signals if situation is not None else {}
    bad = [n for n in names if n in known and (known[n].level.bad or known[n].level is Level.RECOVERING)]
    unknown = [n for n in names if n not in known or known[n].level is Level.UNKNOWN]
    if bad:
        bad_signals = ", ".join(f"{n} is {known[n].level.value}" for n in bad)
        about = [*(f"{n} {known[n].level.value}" for n in bad), *(f"{n} unknown" for n in unknown)]
        return result("direction", Verdict.CONFIRM, f"{why}, while {bad_signals}", *about)
    if unknown:
        verb = "is" if len(unknown) == 1 else "are"
        about = [f"{n} unknown" for n in unknown]
        return result("direction", Verdict.CONFIRM, f"{why}, while {', '.join(unknown)} {verb} unknown", *about)
    return result("direction", Verdict.NOTE, why)


def backwards(given: GuardInput) -> GuardResult | None:
    return of_direction.backwards(given.step, given.draft, given.runbooks, given.situation)


def only_if(given: GuardInput) -> GuardResult | None:
    return of_direction.allowed(given.step, given.runbooks, given.situation, given.mono)


def restore_bounds(given: GuardInput) -> GuardResult | None:
    return restorable(given.step, given.values, given.situation, given.mono)


def restore_writers(given: GuardInput) -> GuardResult | None:
    return writers_off(given.step, given.situation, given.mono)


@of_object
def pausing(given: GuardInput, patch: Patch) -> GuardResult | None:
    if patch.template and paused(patch.subject.obj):
        return result("paused", Verdict.CONFIRM, f"{patch.subject.name} is paused: no pod changes until it is resumed")
    return None


@of_object
def deleting(given: GuardInput, patch: Patch) -> GuardResult | None:
    """Refuse to start anything of an object that is being deleted: its controller has let go."""
    since = patch.subject.obj["metadata"].get("deletionTimestamp")
    if not since or patch.subject.kind not in WORKLOADS:
        return None
    reason = f"{patch.subject.name} is being deleted since {since}: its controller makes and ends no pod any more"
    return result("deleting", Verdict.NOTE if patch.replicas_after == 0 else Verdict.BLOCK, reason)


@of_object
def namesake(given: GuardInput, patch: Patch) -> GuardResult | None:
    """Say that a Deployment and a StatefulSet share the name: the step changes one alone."""
    facts = given.facts
    if facts.namesake:
        reason = f"there is a {facts.namesake} too: this changes the {patch.subject.kind.lower()} alone"
        return result("namesake", Verdict.CONFIRM, reason, facts.namesake)
    return result("namesake", Verdict.NOTE, facts.namesake_reason) if facts.namesake_reason else None


@of_object
def autoscaler(given: GuardInput, patch: Patch) -> GuardResult | None:
    if patch.subject.kind not in WORKLOADS:
        return None
    scalers = given.facts.autoscalers
    scaling = patch.replicas_after is not None
    if scalers is None:
        verdict = Verdict.UNKNOWN if scaling else Verdict.NOTE
        return result("autoscaler", verdict, f"not known whether there is one: {given.facts.autoscalers_reason}")
    if not scalers:
        return result("autoscaler", Verdict.PASS, "none")
    autoscaler_names = ", ".join(f"{s.name} ({s.min_replicas} to {s.max_replicas})" for s in scalers)
    if not scaling:
        return result("autoscaler", Verdict.NOTE, f"HPA {autoscaler_names} sets the replicas")
    if patch.replicas_after == 0:
        return result("autoscaler", Verdict.NOTE, f"HPA {autoscaler_names} does nothing at 0 replicas")
    bounds = [f"{s.name} {s.min_replicas} {s.max_replicas}" for s in scalers]
    return result("autoscaler", Verdict.CONFIRM, f"HPA {autoscaler_names} will undo it", *bounds)


@of_object
def gitops(given: GuardInput, patch: Patch) -> GuardResult | None:
    """Say who puts back what is changed by hand: Argo CD, Flux.

    Helm and the like change it at their next release.
    """
    metadata = patch.subject.obj["metadata"]
    marks = {**(metadata.get("labels") or {}), **annotations_of(patch.subject.obj)}
    for key in sorted(marks):
        owner = next((who for prefix, who in _GITOPS if key.startswith(prefix)), None)
        if owner is not None:
            return result("gitops", Verdict.CONFIRM, f"managed by {owner} ({key}): it may be reverted", owner)
    manager = str(marks.get("app.kubernetes.io/managed-by") or "")
    if any(word in manager.lower() for word in ("argo", "flux", "kustomize-controller", "helm-controller", "gitops")):
        return result("gitops", Verdict.CONFIRM, f"managed by {manager}: it may be reverted")
    if manager:
        return result("gitops", Verdict.NOTE, f"managed by {manager}: its next release sets its own values")
    return None


_GITOPS = (
    ("argocd.argoproj.io/", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/", "Flux"),
    ("helm.toolkit.fluxcd.io/", "Flux"),
)


def lease(given: GuardInput) -> GuardResult:
    held = given.facts.lease
    if held.problem:
        return result("lease", Verdict.UNKNOWN, f"not known whether someone else is acting: {held.problem}")
    if held.by_other(given.facts.identity):
        return result("lease", Verdict.CONFIRM, f"someone else is acting: {held.words}", held.holder)
    if held.holder == given.facts.identity and not held.expired:
        return result("lease", Verdict.NOTE, f"you have another mitigation under way: {held.doing}")
    if held.left_over(given.facts.identity):
        return result(
            "lease", Verdict.NOTE, f"left by a cockpit of this host that is dead, and taken over: {held.words}"
        )
    return result("lease", Verdict.PASS, "free")


def comes_back(given: GuardInput) -> GuardResult | None:
    """Say what an undo brings back, with the figure of now; what cured wants more than a `y`."""
    if not given.undo:
        return None
    situation = judged_by(given.situation, given.mono)
    found = [back for change in given.draft.changes if (back := endpoint_back(change.after, situation)) is not None]
    cured = symptoms_back(given.proven, situation, given.runbooks)
    words = "; ".join(filter(None, (*(back.words for back in found), cured)))
    if not words:
        return None
    verdict = max((back.verdict for back in found), key=_GRAVE.index, default=Verdict.NOTE)
    about = [back.name for back in found] + (["proven"] if cured else [])
    return result("comes back", Verdict.CONFIRM if cured else verdict, words, *about)


_GRAVE = (Verdict.NOTE, Verdict.UNKNOWN, Verdict.CONFIRM)


def journal(given: GuardInput) -> GuardResult | None:
    """Say that the journal was tampered with, which an undo trusts."""
    if given.undo and given.journal_problems:
        return result("journal", Verdict.CONFIRM, f"the journal is not intact: {given.journal_problems[0]}")
    return None


def sender(given: GuardInput) -> GuardResult | None:
    """Say that nobody says as whom it is sent."""
    if not given.facts.unnamed:
        return None
    return result("sender", Verdict.NOTE, "the server does not say who we are: with other credentials nothing is sent")


GUARDS: tuple[Guard, ...] = (
    read_only,
    permission,
    dry_run,
    fresh,
    singleton,
    digest,
    direction,
    backwards,
    only_if,
    restore_bounds,
    restore_writers,
    pausing,
    deleting,
    namesake,
    autoscaler,
    gitops,
    lease,
    sender,
    comes_back,
    journal,
)


@of_object
def already_stopped(given: GuardInput, patch: Patch) -> GuardResult | None:
    """Say what the chain knows of publishing, where the service is at 0 already.

    Somebody else may publish.
    """
    if patch.replicas_after != 0 or not patch.subject.service.publishes:
        return None
    situation = judged_by(given.situation, given.mono)
    if situation is None:
        return result(
            "stopped", Verdict.NOTE, "whether publishing has stopped is NOT KNOWN: nothing is known of the chain"
        )
    names = tuple(dict.fromkeys((patch.subject.name, *(n for n, s in given.runbooks.services.items() if s.publishes))))
    found = stopped(situation, patch.subject.namespace, names)
    if found.verdict is Stop.PROVEN:
        return result("stopped", Verdict.PASS, f"no pod is left, and {found.words}")
    if found.verdict is Stop.UNKNOWN:
        return result("stopped", Verdict.NOTE, f"whether publishing has stopped is NOT KNOWN: {found.words}")
    return result("stopped", Verdict.NOTE, f"PUBLISHING MAY GO ON all the same: {found.words}")


def judge_idle(given: GuardInput) -> tuple[GuardResult, ...]:
    """Judge a plan that would change nothing."""
    found = already_stopped(given)
    return (found,) if found is not None else ()


def judge(given: GuardInput) -> tuple[GuardResult, ...]:
    found = tuple(each for guard in GUARDS if (each := guard(given)) is not None)
    sets = rotation(given.step, given.values, given.situation, given.mono)
    return (*found, *sets, *given.draft.guards)
