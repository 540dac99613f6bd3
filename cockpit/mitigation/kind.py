"""Defines what every kind of step offers, and the values that it works with.

One protocol, whatever is done: a patch of one object (`steps/patch.py` has what those share), a
Job, a program, a statement, a look at what is known. All are guarded, confirmed, journalled and
judged after a crash alike.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cockpit.mitigation.cluster.objects import Subject
from cockpit.mitigation.cluster.patches import FIELD_MANAGER, STRATEGIC, PatchBody, patch_request
from cockpit.model.plan import Change, DryRun, DryRunState, Effect, GuardResult, Part, Plan, Request, Rollout, Target
from cockpit.model.runbook import Runbook, Step

if TYPE_CHECKING:
    from cockpit.mitigation.cluster.guard_facts import Facts
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.outcome import Judgement, Outcome

#: Called with what leaves, just before it leaves; raises JournalProblem when that cannot be
#: journalled.
Intent = Callable[[Effect], None]


#: Of what no server is asked about.
NOT_ASKED = DryRun(DryRunState.OK)


@dataclass(frozen=True, slots=True)
class RawInverse:
    """Holds an unworded inverse: arguments for the same kind of step, which may hold secrets.

    `kept` is the same as the journal may keep it: hidden values as {"hidden": fingerprint}.
    """

    arguments: Mapping[str, Any]
    kept: Mapping[str, Any]
    words: str
    kubectl: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """Holds one patch of one object: what is sent, and what the guards of an object judge.

    `body` lacks the resourceVersion: a patch, or the operations of a JSON patch.
    """

    subject: Subject
    body: PatchBody
    subresource: str = ""
    content_type: str = STRATEGIC
    params: Mapping[str, str] = field(default_factory=lambda: {"fieldManager": FIELD_MANAGER})
    container: str | None = None
    template: bool = False  # the pods are replaced
    replicas_after: int | None = None
    images: tuple[str, ...] = ()  # new images, for the digest guard
    ran_before: bool = False  # those images ran here before

    @property
    def request(self) -> Request:
        path = self.subject.path + (f"/{self.subresource}" if self.subresource else "")
        return patch_request(path, self.params, self.content_type, self.body, self.subject.resource_version)

    @property
    def target(self) -> Target:
        subject = self.subject
        return Target(subject.context, subject.namespace, subject.kind, subject.name, subject.uid, self.container)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Holds all that a kind works out of a step before it is guarded and shown.

    `relevant` → `expected`: the fields that it depends on, before and as it will leave them. Both
    hold what may be kept in the journal: values of variables as fingerprints. `scope` is what is
    needed, beside the target, to read those fields again.
    """

    effect: Effect  # what is done, exactly
    target: Target  # what it is done to
    kubectl: str
    blast: tuple[str, ...]
    scope: Mapping[str, Any] = field(default_factory=dict)
    relevant: Mapping[str, Any] = field(default_factory=dict)
    expected: Mapping[str, Any] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    inverse: RawInverse | None = None
    dry_run: DryRun = NOT_ASKED
    foreseen: Mapping[str, Any] | None = field(default=None, repr=False)  # what the dry run made of it, path by path
    dangers: tuple[str, ...] = ()
    relaxing: tuple[str, ...] = ()  # why it relaxes a guardrail or enables publishing: the direction guard asks
    owes: bool = False  # it stays as debt until put back
    hidden: tuple[str, ...] = field(default=(), repr=False)  # raw values that must not be shown, whoever repeats them
    guards: tuple[GuardResult, ...] = ()  # what the kind itself thinks of it
    idle: bool = False  # what it is for is so already: nothing is done
    generation: int = 0  # of the object, as it was read
    revision: str = ""  # of the Deployment before the change: its ReplicaSet holds the values of before
    patch: Patch | None = None

    @property
    def touched(self) -> tuple[str, ...]:
        """Return the relevant fields that it changes."""
        return touched(self.relevant, self.expected)

    @property
    def nothing_to_do(self) -> bool:
        return self.idle or (isinstance(self.effect, Request) and not self.changes)


def touched(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields that a change changes.

    The order of variables follows from which there are, so others may add to it.
    """
    return tuple(sorted(k for k in {*before, *after} if before.get(k) != after.get(k) and k != "env order"))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """Says what shall be planned: a step with its parameters, or the undo of a journalled one."""

    kind: str
    title: str
    runbook: Runbook | None = None
    step: Step | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] | None = None  # for the kind; None: made from `step` and `values`
    undoes: int | None = None  # number in the journal
    undone: Mapping[str, Any] | None = None  # its intent there, which an undo takes back
    proven: Mapping[str, Any] | None = None  # and how it was proven there, where it was
    journal_problems: tuple[str, ...] = ()
    part: Part | None = None
    takes_back: bool = False  # it sets again what was there before the change that explains what is bad
    danger: str = ""  # why it is dangerous where neither its step nor the change tells: of an undo
    relaxes: bool = False  # it does again what is owed until put back: of an undo of an undo


@dataclass(frozen=True, slots=True)
class Prepared:
    """Holds a plan and what must not leave the executor: the draft with raw inverse arguments."""

    plan: Plan
    draft: Draft
    kind: StepKind
    salt: str  # of the fingerprints in `draft`
    request: PlanRequest
    facts: Facts | None = None  # what its guards judged by; None: they were not asked


@dataclass(frozen=True, slots=True)
class Ready:
    """Holds a plan that was looked at again and may be sent now."""

    effect: Effect
    obj: Mapping[str, Any] = field(default_factory=dict)  # the object as it was read again, of a patch


class StepKind(Protocol):
    """Describes a kind of step, in the five moments of its life.

    It holds nothing between them: what is known is in `prepared`, what may be used in `context`.
    """

    async def draft(self, request: PlanRequest, context: StepContext, salt: str) -> Draft:
        """Work out everything that can be known and said before; change nothing.

        `salt` is for fingerprints of what is hidden. Raises PlanProblem, KubeError.
        """

    async def recheck(self, prepared: Prepared, context: StepContext) -> Ready | Outcome:
        """Look again just before sending.

        An Outcome ("stale" or "not sent") says why it may not be sent.
        """

    async def send(
        self, prepared: Prepared, ready: Ready, context: StepContext, intent: Intent, on_progress: OnProgress
    ) -> Outcome:
        """Do it once, after `intent` has journalled it.

        Never raises for what the other side does.
        """

    async def watch(
        self, prepared: Prepared, outcome: Outcome, context: StepContext, on_progress: OnProgress
    ) -> Rollout:
        """Wait until its effect is complete or has failed; where there is none, return at once."""

    async def judge(self, intent: Mapping[str, Any], context: StepContext) -> Judgement:
        """Say what became of a journalled intent, after a crash or before an undo.

        "unknown" when it cannot be read back. May raise PlanProblem, KubeError: unknown too.
        """


def kubectl_at(place: tuple[str, str]) -> str:
    """Return `kubectl --context C -n N`: it does the same wherever it is pasted."""
    context, namespace = place
    own = "" if context == "in-cluster" else f" --context {shlex.quote(context)}"
    return f"kubectl{own} -n {shlex.quote(namespace)}"


def kubectl_prefix(subject: Subject) -> str:
    return kubectl_at((subject.context, subject.namespace))
