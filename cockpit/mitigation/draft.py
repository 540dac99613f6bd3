"""What a kind of step works out from an object: the change, the request, the inverse. And what a kind must offer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cockpit.mitigation.objects import Subject
from cockpit.model.plan import Change
from cockpit.model.runbook import Runbooks, Step

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
FIELD_MANAGER = "m0-cockpit"
CHANGE_CAUSE = "kubernetes.io/change-cause"


@dataclass(frozen=True, slots=True)
class Undoing:
    """An inverse before it is worded: arguments for the same kind of step, raw (they may hold secrets).

    `kept` is the same as the journal may keep it: hidden values as {"hidden": fingerprint}.
    """

    arguments: Mapping[str, Any]
    kept: Mapping[str, Any]
    words: str
    kubectl: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One change to one object. `relevant` → `expected`: the fields it depends on, before and as it will leave them.

    Both hold what may be kept in the journal: values of variables as fingerprints. `scope` is what `relevant` needs, beside
    the object, to be computed again. `body` lacks the resourceVersion.
    """

    scope: Mapping[str, Any]
    relevant: Mapping[str, Any]
    expected: Mapping[str, Any]
    changes: tuple[Change, ...]
    body: Mapping[str, Any]
    kubectl: str
    blast: tuple[str, ...]
    undoing: Undoing | None
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
    hidden: tuple[str, ...] = field(default=(), repr=False)  # raw values that must not be shown, whoever repeats them

    @property
    def touched(self) -> tuple[str, ...]:
        """The relevant fields that it changes."""
        return touched(self.relevant, self.expected)


def touched(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields that a change changes. The order of variables follows from which there are, so others may add to it."""
    return tuple(sorted(k for k in {*before, *after} if before.get(k) != after.get(k) and k != "env order"))


@dataclass(frozen=True, slots=True)
class Setting:
    """What a kind may look at beside its object."""

    runbooks: Runbooks
    salt: str
    restarted_at: str  # RFC 3339, for restart
    known: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # parameter name → live choices
    secrets: frozenset[str] = frozenset()  # variables given by a secret parameter


class StepKind(Protocol):
    """One kind of step that changes the cluster. `arguments` are plain JSON; their shape is the kind's own."""

    kind: str

    def arguments(self, step: Step, values: Mapping[str, str], subject: Subject) -> dict[str, Any]:
        """From runbooks.toml and resolved parameters. Raises PlanProblem."""

    def draft(self, subject: Subject, arguments: Mapping[str, Any], setting: Setting) -> Draft:
        """Raises PlanProblem, before anything is sent."""

    def relevant(self, obj: Mapping[str, Any], scope: Mapping[str, Any], salt: str) -> dict[str, Any]:
        """The fields again, from a later reading. Never raises for a changed object: what is gone is None."""


def kubectl_prefix(subject: Subject) -> str:
    """`kubectl --context C -n N`: the context too, so that the line does the same wherever it is pasted."""
    import shlex

    context = "" if subject.context == "in-cluster" else f" --context {shlex.quote(subject.context)}"
    return f"kubectl{context} -n {shlex.quote(subject.namespace)}"
