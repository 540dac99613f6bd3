"""Holds what runbooks.toml says, once loaded and checked.

Section and key names are those of the file.

Everywhere a list of alternatives is closed it is a Literal; times are seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from cockpit.errors import UnknownName
from cockpit.model.sections.condition import Condition as Condition
from cockpit.model.sections.entry import Entry
from cockpit.model.sections.variable import CADENCE as CADENCE
from cockpit.model.sections.variable import PAUSE_TOGGLE as PAUSE_TOGGLE
from cockpit.model.sections.variable import PUBLISH_TOGGLE as PUBLISH_TOGGLE
from cockpit.model.sections.variable import Toggle as Toggle
from cockpit.model.sections.variable import Variable as Variable

Severity = Literal["SEV0", "SEV1", "SEV2", "SEV3"]
Direction = Literal["above", "below"]  # which side of the thresholds is bad
ParamType = Literal["int", "string", "choice", "url", "image"]
#: Of named levels, in the order of the toggle's `values`. "adds": a list of names that keeps those
#: it has; "changes": to another value, of no order.
StepDirection = Literal["raises", "lowers", "adds", "changes"]


class Query(Entry, frozen=True, kw_only=True):
    """Describes `[queries.NAME]`: PromQL that a panel shows (a table by label, a sparkline).

    Signals carry their own query.
    """

    promql: str
    unit: str = ""
    history: float | None = None  # seconds of range to keep for sparklines; None: instant only
    max_age: float = 30.0


class SignalDef(Entry, frozen=True, kw_only=True):
    """Describes `[signals.NAME]`: where a value comes from and when it is bad.

    Exactly one of `promql` and `value`.

    `value` names a value of another source: `kubernetes.ready.SERVICE`,
    `kubernetes.unready.SERVICE` (desired − ready), `kubernetes.restarts.SERVICE` (restarts within
    the last 10 min), `kubernetes.pods.SERVICE` (terminating included), ... With `baseline` the
    thresholds are multiples of the median over that window; with `usual` they are not, and what is
    normal over that window is what a proof returns to. With `change` likewise for ratios that
    should not move. `only-with` names a signal without which a good value says nothing: no reveal
    is rejected where none is tried. `absent = 0` says that an empty vector really means that number
    (counters born at the first event). Several samples: the worst decides, and its labels are
    named.
    """

    title: str
    promql: str | None = None
    value: str | None = None
    unit: str = ""
    direction: Direction = "above"
    warn: float | None = None
    crit: float | None = None
    hold: float = msgspec.field(default=0.0, name="for")  # seconds a worse level must hold before it counts
    max_age: float = 30.0
    baseline: float | None = None  # seconds
    usual: float | None = None  # seconds: what is normal over them, beside thresholds of their own
    history: float = 900.0  # seconds of sparkline
    absent: float | None = None
    only_with: str | None = None
    per_market: bool = False  # of all markets together: what is expected falls with each that is paused
    off: str = ""  # why it is taken out, by who has not what it reads: neither ok nor unknown
    moved_by: tuple[str, ...] = ()  # services whose change can make it bad
    unsafe: bool = False  # holds → what is published may be wrong: publish safety is not ensured (divergence)
    dangerous: bool = False  # holds → re-enabling publishing or relaxing a guardrail is dangerous (invalid signatures)

    @property
    def normal_s(self) -> float | None:
        """Return over how many seconds what is normal is learned; None: it is not."""
        return self.baseline if self.baseline is not None else self.usual


class Stage(Entry, frozen=True, kw_only=True):
    """Describes one of the `[[stages]]`, in pipeline order."""

    name: str
    headline: str  # the signal whose number is shown
    signals: tuple[str, ...] = ()  # all that decide the state; the headline counts too


class Service(Entry, frozen=True, kw_only=True):
    """Describes `[services.NAME]`: a deployment (or statefulset) of the pipeline."""

    item: str | None = None
    role: str = ""
    singleton: bool = False  # never above one replica, never a surge (m0-submitter)
    publishes: bool = False  # at 0 replicas the network publishes nothing
    scalable: bool = True
    capabilities: tuple[str, ...] | None = None  # what it can do, where it does not say so itself; None: not known


class Param(Entry, frozen=True, kw_only=True):
    """Describes a typed parameter of a step.

    `choices` are fixed; `choices-from` names a live list (`rpc-endpoints`, `toggle:NAME`,
    `label:QUERY:LABEL` = the values of LABEL in that query's samples, `joined:TOGGLE:QUERY:LABEL` =
    each of them added to the list that TOGGLE holds now, `markets`, `markets:SIGNAL` = those that
    its worst is about first, `connectors`, `signers`, `signer-keys`, `images:SERVICE`,
    `revisions:SERVICE` (`*`: of every service), `ran-with:SERVICE:VARIABLE` = what the kept
    revisions ran with, and of the database `pg-missing-indexes:FIELD`, `pg-tables:UPKEEP`,
    `pg-sessions`).
    """

    name: str
    type: ParamType = "string"
    title: str = ""
    default: str | int | None = None
    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    choices: tuple[str, ...] = ()
    choices_from: str | None = None
    secret: bool = False
    leading_dash: bool = False  # a value may begin with "-" in a command's argv


class Validation(Entry, frozen=True, kw_only=True):
    """Says what must hold for `hold` seconds in a row, within `within` seconds of the step's end.

    `expect`: "ok" = the signal's level is ok; "rises" = its value is at least `share` of normal
    (the signal's baseline), without a baseline ok and clearly above all that was read before the
    step; "falls" = ok and clearly below all that; "near-baseline" = ok, and no worse than normal by
    more than `tolerance` of it, or of the way to its warning; "stable" = ok, and all its values of
    that time within `tolerance` of the greatest. `only-with` names a signal that must be ok for the
    line to mean anything: there are no errors where nothing is tried.
    """

    item: str | None = None
    text: str
    signal: str
    expect: Literal["ok", "rises", "falls", "near-baseline", "stable"] = "ok"
    hold: float = 30.0
    within: float = 300.0
    tolerance: float = 0.25
    share: float = 0.7
    only_with: str | None = None


class Step(Entry, frozen=True, kw_only=True):
    """Describes a mitigation, immediate action or runbook step.

    Which keys a kind needs: `step_kinds.py`. `holds` marks a step that stops harm and cures
    nothing: it is proved by what it does, never by the runbook's validation. `observes` marks a
    program that changes nothing at all: there is nothing to prove. `validation` of its
    own takes the place of the runbook's.

    `direction`: which way it moves what it sets; the other way it is stopped. `requires`, `unless`:
    conditions that allow it. `proves`: the signals that it must move.
    """

    id: str
    item: str | None = None
    title: str
    kind: str  # a row of step_kinds.py
    when: str = ""  # the cause it is for, in words
    cause: str | tuple[str, ...] | None = None  # item or id of the cause, or causes, that it answers
    service: str | None = None  # the target deployment; "{param}": that of the chosen image or revision
    container: str | None = None
    direction: StepDirection | None = None
    requires: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    proves: tuple[str, ...] = ()
    replicas: int | str | None = None  # a number or "{param}"
    env: dict[str, str] = msgspec.field(default_factory=dict)  # values may hold "{param}"
    image: str | None = None
    argv: tuple[str, ...] = ()  # for kind "command": never a shell; words may hold "{param}"
    view: str | None = None  # for kind "view"
    args: dict[str, str] = msgspec.field(default_factory=dict)
    signals: tuple[str, ...] = ()  # for kind "check"; for others: what justifies the step (freshness guard)
    params: tuple[Param, ...] = ()
    dangerous: bool = False
    relaxes: bool = False  # stays listed as debt until put back
    holds: bool = False
    observes: bool = False
    validation: tuple[Validation, ...] = ()
    question: str = ""  # for kind "manual"
    steps: tuple[str, ...] = ()  # for kind "sequence": step ids of the same runbook
    note: str = ""

    @property
    def names_service_by_value(self) -> bool:
        """Tell whether `service` is "{param}": the service that the chosen image is of."""
        return (self.service or "").startswith("{")

    @property
    def causes(self) -> tuple[str, ...]:
        """Return the items or ids of the causes that it answers."""
        return (self.cause,) if isinstance(self.cause, str) else self.cause or ()


class Symptom(Entry, frozen=True, kw_only=True):
    """Holds when `signal`, or one of `one-of`, is at least `at`.

    `one-of` names other witnesses of the same thing (the chain, a probe), so that it is seen though
    one of them cannot be asked. `at` = "ok" makes a symptom of a signal that must be well
    (4.symptom.1). Without `item`: one of our own, beside the document's.
    """

    item: str | None = None
    text: str
    signal: str
    one_of: tuple[str, ...] = ()
    at: Literal["ok", "warn", "crit"] = "warn"
    weight: float = 1.0

    @property
    def witnesses(self) -> tuple[str, ...]:
        """Return the names of all signals that can show it, the first one first."""
        return (self.signal, *self.one_of)


class Triage(Entry, frozen=True, kw_only=True):
    """Asks a question: the signals that answer it at once, and the view that opens in place.

    `queries`: tables of `[queries]` that are listed in the line whole, the worst first.
    """

    text: str
    item: str | None = None
    signals: tuple[str, ...] = ()
    queries: tuple[str, ...] = ()
    view: str | None = None
    args: dict[str, str] = msgspec.field(default_factory=dict)


class Cause(Entry, frozen=True, kw_only=True):
    """Describes a cause, marked likeliest when its signals are at least warn.

    A step's `cause` names it by its item, or by its `id`. `changes`: what is changed when it is of
    our own making: services, variables, keys, or "KIND:SERVICE"; empty: nothing of ours is.
    """

    id: str | None = None
    item: str | None = None
    text: str
    signals: tuple[str, ...] = ()
    changes: tuple[str, ...] | None = None


class ChecklistLine(Entry, frozen=True, kw_only=True):
    item: str = ""
    text: str
    signal: str | None = None


class Runbook(Entry, frozen=True, kw_only=True):
    id: str
    number: int
    title: str
    severity: Severity = "SEV2"
    severity_item: str | None = None
    summary: str = ""
    general: bool = False  # what it describes others cause too: one of them that fits as well stands before it
    any: bool = False  # its symptoms are use cases: one is enough, and its weight is how much it says
    changes: tuple[str, ...] | None = None  # as of a cause, where no cause says it
    symptoms: tuple[Symptom, ...] = ()
    triage: tuple[Triage, ...] = ()
    causes: tuple[Cause, ...] = ()
    mitigations: tuple[Step, ...] = ()
    validation: tuple[Validation, ...] = ()
    checklist: tuple[ChecklistLine, ...] = ()


class Runbooks(msgspec.Struct, frozen=True, kw_only=True):
    """Holds the whole file.

    `origin` is where it came from, for the operator ("packaged", or a path).
    """

    queries: dict[str, Query]
    signals: dict[str, SignalDef]
    stages: tuple[Stage, ...]
    services: dict[str, Service]
    toggles: dict[str, Toggle]
    runbooks: tuple[Runbook, ...]
    variables: dict[str, Variable] = {}
    conditions: dict[str, Condition] = {}
    origin: str = "packaged"
    problems: tuple[str, ...] = ()  # why an operator's file was not used, one line each: file:line: key: expectation

    def runbook(self, name: str) -> Runbook:
        """Find a runbook by number or id.

        Raises UnknownName, which is a KeyError.
        """
        for runbook in self.runbooks:
            if name in (runbook.id, str(runbook.number)):
                return runbook
        names = (word for each in self.runbooks for word in (each.id, str(each.number)))
        raise UnknownName("runbook", name, names, next(iter(self.problems), "see `m0-cockpit runbooks list`"))

    def step(self, runbook: str, name: str) -> tuple[Runbook, Step]:
        """Find a step by runbook and step id or item id.

        Raises UnknownName, which is a KeyError.
        """
        found = self.runbook(runbook)
        for step in found.mitigations:
            if name in (step.id, step.item):
                return found, step
        names = (word for step in found.mitigations for word in (step.id, step.item) if word)
        remedy = f"see `m0-cockpit runbooks show {found.number}`"
        raise UnknownName("step", name, names, remedy, within=f"runbook {found.number}")

    def variable(self, name: str) -> Variable | None:
        """Find what a variable or a ConfigMap's key may be; None: nothing is said of it."""
        found = self.toggles.get(name) or self.variables.get(name)
        rows: Iterable[tuple[str, Variable]] = (*self.toggles.items(), *self.variables.items())
        return found or next((row for head, row in rows if head[-1:] == "*" and name.startswith(head[:-1])), None)

    def as_json(self) -> Any:
        return msgspec.to_builtins(self)


class SymptomStatus(msgspec.Struct, frozen=True):
    symptom: Symptom
    held: bool | None  # None: unknown
    because: str = ""
    by: str = ""  # the signal that says so, of the symptom's witnesses
    hidden: bool = False  # unknown because nothing is tried: a good value says nothing


class Match(msgspec.Struct, frozen=True):
    """Holds a runbook against the signals now.

    `score`: weight that holds over weight in all, unknown counting for none. `holds`: at least half
    of it does; `whole`: and nothing that is known speaks against it. `pinned`: it is the open
    incident's. `held_back`: why it does not lead though its symptoms hold. `recovers`: it held, and
    symptoms of it recover. `suspected`: the cause of it that is seen while its symptoms are hidden,
    or before they show, as of a service of which nothing runs.
    """

    runbook: Runbook
    symptoms: tuple[SymptomStatus, ...]
    held: int
    unknown: int
    total: int
    score: float
    whole: bool = False
    pinned: bool = False
    held_back: str = ""
    recovers: bool = False
    suspected: str = ""

    @property
    def hidden(self) -> bool:
        """Tell whether none of its symptoms can show, as nothing is tried that could fail."""
        return not self.held and any(status.hidden for status in self.symptoms)

    @property
    def holds(self) -> bool:
        return self.score >= HOLDS

    @property
    def words(self) -> str:
        """Return "3 of 3 symptoms" or "1 of 2 symptoms, 1 unknown", for example."""
        tail = f", {self.unknown} unknown" if self.unknown else ""
        if self.suspected:
            some = f"{self.held} of {self.total} symptoms, " if self.held else ""
            return f"{some}cause seen{tail}"
        return f"{self.held} of {self.total} symptoms{tail}"


#: The share of its symptoms from which on a runbook is said to match.
HOLDS = 0.5
#: So many runbooks are listed as matches, unless more hold.
MOST_LISTED = 3


def listed(matches: tuple[Match, ...]) -> tuple[Match, ...]:
    """Return the matches that are worth a word: those that hold, or else the nearest few."""
    some = tuple(match for match in matches if match.score > 0 or match.pinned or match.suspected)
    sure = sum(bool(match.holds or match.pinned or match.suspected) for match in some)
    return some[: max(sure, MOST_LISTED)]
