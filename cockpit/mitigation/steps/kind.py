"""What a kind of step works out: the change, what is sent, the inverse.

And what a kind must offer.

Two families. A `StepKind` patches one object of the cluster. An `ActKind` does anything else (a
command, a statement, a Job, a local check). Both are planned, guarded, confirmed, journalled and
judged after a crash alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from cockpit.kubeapi.client import KubeClient
from cockpit.mitigation.cluster.objects import Subject, fetch
from cockpit.model.plan import Change, DryRun, Effect, GuardResult, Part, Plan, Rollout, Target
from cockpit.model.runbook import Runbook, Runbooks, Service, Step

if TYPE_CHECKING:
    from cockpit.mitigation.context import OnProgress, StepContext
    from cockpit.mitigation.outcome import Judgement, Outcome

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
FIELD_MANAGER = "m0-cockpit"
CHANGE_CAUSE = "kubernetes.io/change-cause"


@dataclass(frozen=True, slots=True)
class RawInverse:
    """An inverse before it is worded: arguments for the same kind of step, raw (they may hold
    secrets).

    `kept` is the same as the journal may keep it: hidden values as {"hidden": fingerprint}.
    """

    arguments: Mapping[str, Any]
    kept: Mapping[str, Any]
    words: str
    kubectl: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One change to one object.

    `relevant` → `expected`: the fields it depends on, before and as it will leave them.

    Both hold what may be kept in the journal: values of variables as fingerprints. `scope` is what
    `relevant` needs, beside the object, to be computed again. `body` lacks the resourceVersion: a
    patch, or the operations of a JSON patch. Of an `ActKind` the `effect` is what is done, and
    `target` what it is done to; it has no body.
    """

    scope: Mapping[str, Any]
    relevant: Mapping[str, Any]
    expected: Mapping[str, Any]
    changes: tuple[Change, ...]
    body: Mapping[str, Any] | list[dict[str, Any]]
    kubectl: str
    blast: tuple[str, ...]
    undoing: RawInverse | None
    subresource: str = ""
    content_type: str = STRATEGIC
    params: Mapping[str, str] = field(default_factory=lambda: {"fieldManager": FIELD_MANAGER})
    container: str | None = None
    template: bool = True  # the pods are replaced
    dangers: tuple[str, ...] = ()
    relaxing: tuple[str, ...] = ()  # why it relaxes a guardrail or enables publishing: the direction guard asks
    owes: bool = False  # it stays as debt until put back
    replicas_after: int | None = None
    images: tuple[str, ...] = ()  # new images, for the digest guard
    ran_before: bool = False  # those images ran here before
    hidden: tuple[str, ...] = field(default=(), repr=False)  # raw values that must not be shown, whoever repeats them
    guards: tuple[GuardResult, ...] = ()  # what the kind itself thinks of it
    effect: Effect | None = None
    target: Target | None = None
    dry_run: DryRun | None = None  # asked by the kind itself
    idle: bool = False  # what it is for is so already: nothing is done

    @property
    def touched(self) -> tuple[str, ...]:
        """The relevant fields that it changes."""
        return touched(self.relevant, self.expected)


def touched(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that a change changes.

    The order of variables follows from which there are, so others may add to it.
    """
    return tuple(sorted(k for k in {*before, *after} if before.get(k) != after.get(k) and k != "env order"))


@dataclass(frozen=True, slots=True)
class PatchContext:
    """What a kind may look at beside its object."""

    runbooks: Runbooks
    salt: str
    restarted_at: str  # RFC 3339, for restart
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # parameter name → live choices
    secrets: frozenset[str] = frozenset()  # variables given by a secret parameter
    seen: Any = None  # what the kind's `look` found


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan with what must not leave the executor: the draft, raw inverse arguments among it.

    Of a kind that patches an object `subject` is that object as it was read; of an act it is None.
    """

    plan: Plan
    draft: Draft
    subject: Subject | None
    kind: StepKind | ActKind
    salt: str
    revision: str  # of the Deployment before the change: its ReplicaSet holds the values of before

    @property
    def object(self) -> Subject:
        assert self.subject is not None, "an act has no object"
        return self.subject

    @property
    def step_kind(self) -> StepKind:
        assert self.subject is not None, "an act patches nothing"
        return cast("StepKind", self.kind)

    @property
    def act(self) -> ActKind | None:
        return cast("ActKind", self.kind) if self.subject is None else None


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What is wanted, whoever wants it.

    `arguments` is for the kind; None: made from `step` and `values`.
    """

    service: str  # the object's name; "" for an act
    kind: str
    title: str
    runbook: Runbook | None
    step: Step | None
    values: Mapping[str, str]
    arguments: Mapping[str, Any] | None = None
    undoes: int | None = None
    check: Callable[[Subject], None] | None = None  # raises PlanProblem when the object is not as it must be
    journal_problems: tuple[str, ...] = ()
    part: Part | None = None
    danger: str = ""  # why it is dangerous where neither its step nor the change tells: of an undo
    relaxes: bool = False  # it does again what is owed until put back: of an undo of an undo


class StepKind(Protocol):
    """A kind of step that patches one object of the cluster.

    `arguments` are plain JSON; their shape is the kind's own.
    """

    kind: str
    rolls: bool  # the pods are replaced or counted anew: there is a rollout to watch

    def about(self, step: Step, values: Mapping[str, str]) -> str:
        """The name of its object.

        Raises PlanProblem when the step names none.
        """

    async def subject(self, client: KubeClient, place: tuple[str, str], name: str, runbooks: Runbooks) -> Subject:
        """The object, as it is now.

        `place` is context and namespace. Raises PlanProblem, KubeError.
        """

    async def look(self, client: KubeClient, subject: Subject) -> Any:
        """What it must know beside its object, for `PatchContext.seen`.

        Raises PlanProblem, KubeError.
        """

    def arguments(self, step: Step, values: Mapping[str, str], subject: Subject) -> dict[str, Any]:
        """From runbooks.toml and resolved parameters.

        Raises PlanProblem.
        """

    def draft(self, subject: Subject, arguments: Mapping[str, Any], setting: PatchContext) -> Draft:
        """Raises PlanProblem, before anything is sent."""

    def relevant(self, obj: Mapping[str, Any], scope: Mapping[str, Any], salt: str) -> dict[str, Any]:
        """The fields again, from a later reading.

        Never raises for a changed object: what is gone is None.
        """


class OfWorkload:
    """What the kinds share that change a Deployment or StatefulSet, and need to know nothing else."""

    rolls = True

    def about(self, step: Step, values: Mapping[str, str]) -> str:
        return step.service or ""

    async def subject(self, client: KubeClient, place: tuple[str, str], name: str, runbooks: Runbooks) -> Subject:
        context, namespace = place
        kind, obj = await fetch(client, namespace, name)
        return Subject(
            context=context,
            namespace=namespace,
            kind=kind,
            name=name,
            obj=obj,
            service=runbooks.services.get(name) or Service(),
        )

    async def look(self, client: KubeClient, subject: Subject) -> Any:
        return None


class ActKind(Protocol):
    """A kind of step that does something else than patch an object: see the module's text."""

    kind: str

    async def draft(self, wish: PlanRequest, office: StepContext) -> Draft:
        """Everything that can be known and said before; changes nothing.

        Raises PlanProblem, KubeError.
        """

    async def fresh(self, prepared: Prepared, office: StepContext) -> Outcome | None:
        """Looked at again just before: why it may not be done any more ("stale" or "not sent"), or
        None.
        """

    async def perform(self, prepared: Prepared, office: StepContext, told: OnProgress) -> Outcome:
        """Do it, once.

        Called when the intent is on disk; never raises for what the other side does.
        """

    async def watch(self, prepared: Prepared, outcome: Outcome, office: StepContext, told: OnProgress) -> Rollout:
        """Until its effect is complete or has failed; at once where there is nothing to wait for."""

    async def judge(self, intent: Mapping[str, Any], office: StepContext) -> Judgement:
        """After a crash, or before an undo: what became of a journalled intent.

        "unknown" when it cannot be read back.
        """


def kubectl_at(place: tuple[str, str]) -> str:
    """`kubectl --context C -n N`: the context too, so that the line does the same wherever it is
    pasted.
    """
    import shlex

    context, namespace = place
    own = "" if context == "in-cluster" else f" --context {shlex.quote(context)}"
    return f"kubectl{own} -n {shlex.quote(namespace)}"


def kubectl_prefix(subject: Subject) -> str:
    return kubectl_at((subject.context, subject.namespace))
