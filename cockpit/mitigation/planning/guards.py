"""The guards: each a small function that says what it thinks of a draft, and why.

None of them sends anything.

A guard that does not apply answers None. Reasons are one line for the operator; BLOCK cannot be
overridden, CONFIRM and UNKNOWN want the target's name typed, and the override is journalled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cockpit.assessment.stopped import Stop, stopped
from cockpit.mitigation.cluster.objects import WORKLOADS, Subject, annotations_of, paused, replicas, strategy, surge_of
from cockpit.mitigation.cluster.rights import permitted
from cockpit.mitigation.planning.facts import Facts
from cockpit.mitigation.steps.kind import Draft
from cockpit.mitigation.steps.parameters import DIGEST
from cockpit.model.plan import DryRun, DryRunState, GuardResult, Verdict
from cockpit.model.runbook import Runbooks
from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from cockpit.text import safe

OLD_SITUATION_S = 15.0


@dataclass(frozen=True, slots=True)
class GuardInput:
    """All that a guard may look at.

    `signals` justify the step; `undo` steps are justified by the journal.

    `subject` None: an act, that patches no object; only `ACT_GUARDS` look at it.
    """

    draft: Draft
    subject: Subject | None
    facts: Facts
    dry_run: DryRun
    situation: Situation | None
    runbooks: Runbooks
    signals: tuple[str, ...]
    read_only: bool
    undo: bool
    mono: float
    journal_problems: tuple[str, ...] = ()

    @property
    def object(self) -> Subject:
        assert self.subject is not None, "an act has no object"
        return self.subject


Guard = Callable[[GuardInput], GuardResult | None]


def read_only(case: GuardInput) -> GuardResult | None:
    if case.read_only:
        return GuardResult("read-only", Verdict.BLOCK, "the cockpit was started with --read-only")
    return None


def permission(case: GuardInput) -> GuardResult:
    return permitted(case.facts.review, case.object.name)


def dry_run(case: GuardInput) -> GuardResult | None:
    """What the server refuses is not sent.

    Where it does no dry runs, the dialog says so by itself.
    """
    if case.dry_run.state is DryRunState.FAILED:
        return _result("dry-run", Verdict.BLOCK, f"the server would reject it: {case.dry_run.reason}")
    if case.dry_run.state is DryRunState.UNKNOWN:
        told = f"the dry run gave no answer: {case.dry_run.reason}"
        return None if case.read_only else _result("dry-run", Verdict.UNKNOWN, told)
    if case.dry_run.state is DryRunState.OK and case.dry_run.reason:
        return _result("dry-run", Verdict.CONFIRM, case.dry_run.reason)
    return None


def fresh(case: GuardInput) -> GuardResult | None:
    """The signals that justify the step must be known now.

    Those of a source that nobody has configured count for nothing, unless there are no others.
    """
    if case.undo:
        return _result("fresh", Verdict.PASS, "an undo is justified by the journal")
    if not case.signals:
        return _result("fresh", Verdict.NOTE, "no signal justifies this step: it is your judgement")
    situation = case.situation
    if situation is None or case.mono - situation.mono > OLD_SITUATION_S:
        return _result("fresh", Verdict.CONFIRM, "nothing is known of the signals that justify this step")
    unknown, oldest = [], 0.0
    told = [name for name in case.signals if (known := situation.signals.get(name)) is None or not known.off]
    for name in told or case.signals:
        status = situation.signals.get(name)
        if status is None or status.level is Level.UNKNOWN:
            unknown.append(f"{name} ({status.reason or 'unknown' if status else 'not evaluated'})")
        elif status.age_s is not None:
            oldest = max(oldest, status.age_s)
    if unknown:
        return _result("fresh", Verdict.CONFIRM, "unknown or stale: " + ", ".join(unknown))
    return _result("fresh", Verdict.PASS, f"{oldest:.0f} s old")


def singleton(case: GuardInput) -> GuardResult | None:
    """One leader at most: never a second replica, never a rolling update that surges, never while
    an old pod is left.
    """
    if not case.object.service.singleton:
        return None
    name, draft = case.object.name, case.draft
    count = replicas(case.object.obj)
    after = count if draft.replicas_after is None else draft.replicas_after
    if after > 1:
        tail = f"it stays at {after}" if draft.template else f"{after} would run at once"
        return _result("singleton", Verdict.BLOCK, f"{name} must never have more than one replica: {tail}")
    if draft.template and count >= 1:
        surge = surge_of(case.object.obj, count)
        if surge.surge > 0:
            return _result(
                "singleton",
                Verdict.BLOCK,
                f"its rolling update ({surge.words}) would run {count + surge.surge} {name} at once: set strategy Recreate, "
                "or scale to 0, wait until no pod is left, change it, scale to 1",
            )
    if not draft.template and count == 0 and after == 1:
        left = case.facts.pods_left
        if left is None:
            return _result(
                "singleton", Verdict.UNKNOWN, f"old pods of {name} cannot be counted: {case.facts.pods_reason}"
            )
        if left:
            some = "a pod is" if left == 1 else f"{left} pods are"
            return _result("singleton", Verdict.BLOCK, f"{some} still there, terminating: wait until none is left")
    how = str(strategy(case.object.obj).get("type") or "RollingUpdate")
    return _result("singleton", Verdict.PASS, f"{after} replica{'s' if after != 1 else ''}, {how}")


def digest(case: GuardInput) -> GuardResult | None:
    """Images by digest only: a tag may be another image tomorrow.

    An undo may go back to the tag that ran before.
    """
    loose = [image for image in case.draft.images if not DIGEST.fullmatch(image)]
    if not loose:
        return _result("digest", Verdict.PASS, "by digest") if case.draft.images else None
    if case.undo or case.draft.ran_before:
        return _result("digest", Verdict.CONFIRM, f"{loose[0]} has no digest: the tag may name another image by now")
    return _result("digest", Verdict.BLOCK, f"{loose[0]} has no digest: give NAME@sha256:… (64 hex digits)")


def direction(case: GuardInput) -> GuardResult | None:
    """Relaxing a guardrail or enabling publishing asks that no dangerous signal holds or is
    unknown.
    """
    if not case.draft.relaxing:
        return None
    why = "; ".join(case.draft.relaxing)
    names = [name for name, signal in case.runbooks.signals.items() if signal.dangerous]
    situation = case.situation
    old = situation is None or case.mono - situation.mono > OLD_SITUATION_S
    known = {} if situation is None or old else situation.signals
    bad = [n for n in names if n in known and known[n].level in (Level.WARN, Level.CRIT)]
    unknown = [n for n in names if n not in known or known[n].level is Level.UNKNOWN]
    if bad:
        told = ", ".join(f"{n} is {known[n].level.value}" for n in bad)
        return _result("direction", Verdict.CONFIRM, f"{why}, while {told}")
    if unknown:
        verb = "is" if len(unknown) == 1 else "are"
        return _result("direction", Verdict.CONFIRM, f"{why}, while {', '.join(unknown)} {verb} unknown")
    return _result("direction", Verdict.NOTE, why)


def pausing(case: GuardInput) -> GuardResult | None:
    if case.draft.template and paused(case.object.obj):
        return _result("paused", Verdict.CONFIRM, f"{case.object.name} is paused: no pod changes until it is resumed")
    return None


def autoscaler(case: GuardInput) -> GuardResult | None:
    if case.object.kind not in WORKLOADS:
        return None
    scalers = case.facts.autoscalers
    scaling = case.draft.replicas_after is not None
    if scalers is None:
        verdict = Verdict.UNKNOWN if scaling else Verdict.NOTE
        return _result("autoscaler", verdict, f"not known whether there is one: {case.facts.autoscalers_reason}")
    if not scalers:
        return _result("autoscaler", Verdict.PASS, "none")
    told = ", ".join(f"{s.name} ({s.min_replicas} to {s.max_replicas})" for s in scalers)
    if not scaling:
        return _result("autoscaler", Verdict.NOTE, f"HPA {told} sets the replicas")
    if case.draft.replicas_after == 0:
        return _result("autoscaler", Verdict.NOTE, f"HPA {told} does nothing at 0 replicas")
    return _result("autoscaler", Verdict.CONFIRM, f"HPA {told} will undo it")


def gitops(case: GuardInput) -> GuardResult | None:
    """Argo CD, Flux: what is changed by hand is put back.

    Helm and the like change it at their next release.
    """
    metadata = case.object.obj["metadata"]
    marks = {**(metadata.get("labels") or {}), **annotations_of(case.object.obj)}
    for key in sorted(marks):
        owner = next((who for prefix, who in _GITOPS if key.startswith(prefix)), None)
        if owner is not None:
            return _result("gitops", Verdict.CONFIRM, f"managed by {owner} ({key}): it may be reverted")
    manager = str(marks.get("app.kubernetes.io/managed-by") or "")
    if any(word in manager.lower() for word in ("argo", "flux", "kustomize-controller", "helm-controller", "gitops")):
        return _result("gitops", Verdict.CONFIRM, f"managed by {manager}: it may be reverted")
    if manager:
        return _result("gitops", Verdict.NOTE, f"managed by {manager}: its next release sets its own values")
    return None


_GITOPS = (
    ("argocd.argoproj.io/", "Argo CD"),
    ("kustomize.toolkit.fluxcd.io/", "Flux"),
    ("helm.toolkit.fluxcd.io/", "Flux"),
)


def lease(case: GuardInput) -> GuardResult:
    held = case.facts.lease
    if held.problem:
        return _result("lease", Verdict.UNKNOWN, f"not known whether someone else is acting: {held.problem}")
    if held.by_other(case.facts.identity):
        return _result("lease", Verdict.CONFIRM, f"someone else is acting: {held.words}")
    if held.holder == case.facts.identity and not held.expired:
        return _result("lease", Verdict.NOTE, f"you have another mitigation under way: {held.doing}")
    if held.left_over(case.facts.identity):
        return _result(
            "lease", Verdict.NOTE, f"left by a cockpit of this host that is dead, and taken over: {held.words}"
        )
    return _result("lease", Verdict.PASS, "free")


def journal(case: GuardInput) -> GuardResult | None:
    """An undo trusts the journal: one that was tampered with is said."""
    if case.undo and case.journal_problems:
        return _result("journal", Verdict.CONFIRM, f"the journal is not intact: {case.journal_problems[0]}")
    return None


GUARDS: tuple[Guard, ...] = (
    read_only,
    permission,
    dry_run,
    fresh,
    singleton,
    digest,
    direction,
    pausing,
    autoscaler,
    gitops,
    lease,
    journal,
)


#: For what patches no object of the cluster. Its kind adds what it alone can judge
#: (`Draft.guards`).
ACT_GUARDS: tuple[Guard, ...] = (read_only, dry_run, fresh, direction, lease, journal)


def already_stopped(case: GuardInput) -> GuardResult | None:
    """Scaled to nothing already: whether publishing has stopped by that is for the chain to say.

    Somebody else may publish.
    """
    if case.draft.replicas_after != 0 or not case.object.service.publishes:
        return None
    situation = case.situation
    if situation is None or case.mono - situation.mono > OLD_SITUATION_S:
        return _result(
            "stopped", Verdict.NOTE, "whether publishing has stopped is NOT KNOWN: nothing is known of the chain"
        )
    names = tuple(dict.fromkeys((case.object.name, *(n for n, s in case.runbooks.services.items() if s.publishes))))
    found = stopped(situation, case.object.namespace, names)
    if found.verdict is Stop.PROVEN:
        return _result("stopped", Verdict.PASS, f"no pod is left, and {found.words}")
    if found.verdict is Stop.UNKNOWN:
        return _result("stopped", Verdict.NOTE, f"whether publishing has stopped is NOT KNOWN: {found.words}")
    return _result("stopped", Verdict.NOTE, f"PUBLISHING MAY GO ON all the same: {found.words}")


def judge_idle(case: GuardInput) -> tuple[GuardResult, ...]:
    """Of a plan that would change nothing."""
    found = already_stopped(case)
    return (found,) if found is not None else ()


def judge(case: GuardInput) -> tuple[GuardResult, ...]:
    found = tuple(result for guard in GUARDS if (result := guard(case)) is not None)
    return (*found, *case.draft.guards)


def judge_act(case: GuardInput) -> tuple[GuardResult, ...]:
    found = tuple(result for guard in ACT_GUARDS if (result := guard(case)) is not None)
    return (*found, *case.draft.guards)


def _result(guard: str, verdict: Verdict, reason: str) -> GuardResult:
    return GuardResult(guard, verdict, safe(reason, 400))
