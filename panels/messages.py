"""Says what the operator wants, as messages.

Panels, dialogs and screens post them; the app alone acts on them.

Values in a message come from `cockpit.model` or are plain words; nothing here carries a client or a
callback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from cockpit.model.maintenance import Round
    from cockpit.model.observed.chart import ChartOf
    from cockpit.model.plan import Plan
    from cockpit.model.runbook import Step
    from cockpit.model.seen import Seen


@dataclass(frozen=True, slots=True)
class Selection:
    """Names the object under a cursor.

    `kind` as Kubernetes writes it ("Pod", "Deployment", "StatefulSet"), or `SIGNAL`.
    """

    kind: str
    namespace: str
    name: str
    uid: str = ""


class UserRequest(Message):
    """Carries all that an operator can ask for, as a base; bubbles from any widget to the app."""


@dataclass
class PlanStep(UserRequest):
    """Plan a mitigation, which is harmless by itself.

    The parameters are complete and checked against `Step.params`.
    """

    runbook_id: str
    step_id: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass
class MakeRound(UserRequest):
    """Make a round ("weekly", "monthly") or go through a checklist ("deploy", "incident")."""

    name: str


@dataclass
class KeepRound(UserRequest):
    """Write the round as a report, and note it in the journal."""

    made: Round


@dataclass
class AskParameters(UserRequest):
    """Asks for the form of a step that has parameters, which posts PlanStep.

    The app adds live choices.
    """

    runbook_id: str
    step: Step


@dataclass
class PlanAgain(UserRequest):
    """Asks for a plan anew, as the old one expired, failed or its target changed.

    The parameters stay the same.
    """

    plan: Plan


@dataclass
class OpenSequence(UserRequest):
    """Show how far a sequence (or a step in stages) has come.

    `run`: which going-through of it; "": the newest.
    """

    runbook_id: str
    step_id: str
    run: str = ""


@dataclass
class PlanPart(UserRequest):
    """Plan the next part of a sequence."""

    runbook_id: str
    sequence_id: str
    index: int
    run: str


@dataclass
class InStages(UserRequest):
    """Do the plan's step in stages instead, each confirmed on its own.

    Stop, wait until gone, change, start.
    """

    plan: Plan


@dataclass
class Confirmed(UserRequest):
    """The operator accepted exactly this plan.

    `typed` is the target's name where it had to be typed, else None. `seen`: when it was shown,
    acknowledged and confirmed; None where nothing was asked, or no terminal was there to ask.
    """

    plan: Plan
    typed: str | None
    seen: Seen | None = None


@dataclass
class Cancelled(UserRequest):
    """A dialog was closed without accepting.

    `plan` is the plan it showed, if it had one.
    """

    plan: Plan | None = None


@dataclass
class Undo(UserRequest):
    """Plan the inverse of a journalled step.

    `number` is its number in the journal; None: the newest undoable one.
    """

    number: int | None = None


@dataclass
class OpenRunbook(UserRequest):
    """Show one runbook, by id or number."""

    name: str


class OpenRunbooks(UserRequest):
    """Show the ranked list of runbooks, best match first."""


@dataclass
class OpenView(UserRequest):
    """Open a live view that a triage line or a `view` step names.

    For example ("logs", {"service": "m0-quant"}).
    """

    name: str
    args: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Explain(UserRequest):
    """Say in words why the object is not healthy, or what the signal is.

    None: whatever the app finds selected.
    """

    selection: Selection | None = None


@dataclass
class WantChart(UserRequest):
    """Asks for a number's values over a range (a name of `cockpit.model.observed.chart.RANGES`)."""

    of: ChartOf
    range: str


@dataclass
class LogsOf(UserRequest):
    """Show the logs of what the cursor is on: a pod, a service, or the service of a signal."""

    selection: Selection | None


@dataclass
class OpenLogs(UserRequest):
    """Show logs of the pods (names), or of all pods of a service.

    `query` is a filter regex to begin with. `tail`: how many older lines of each pod; 0: as usual.
    """

    namespace: str  # type: ignore[misc]  # shadows a class variable of Message that is used at class creation only
    pods: tuple[str, ...] = ()
    service: str | None = None
    query: str = ""
    tail: int = 0


@dataclass
class LogSource(UserRequest):
    """Asks for another stream of the log view.

    That of the previous container, or from another `since_s` on (seconds; None: from the tail).
    """

    previous: bool
    since_s: int | None


@dataclass
class FilterChanged(UserRequest):
    """Tell the live text of the one-line filter.

    `done` when Enter closed it, `cancelled` when Escape took it back.
    """

    text: str
    done: bool = False
    cancelled: bool = False


@dataclass
class ManualAnswer(UserRequest):
    """Carries the operator's answer to a manual step, which is recorded in the journal."""

    runbook_id: str
    step_id: str
    text: str
    choice: str = ""  # "yes", "no", or "" (text alone)
    part: PlanPart | None = None  # of the sequence that asked


@dataclass
class CopyText(UserRequest):
    """Copy to the operator's clipboard (OSC 52).

    `what` names it in the notice ("kubectl command", "trace id").
    """

    text: str
    what: str = "text"


@dataclass
class TextMarked(UserRequest):
    """The mouse has marked text: copy it."""

    text: str


class AskKillSwitch(UserRequest):
    """Plan the kill switch, which asks before it stops publishing."""


class Enlarge(UserRequest):
    """Give the panel that has the focus all the room, or put it back."""


class CloseLayer(UserRequest):
    """Close the topmost layer (or full-size view)."""


class OpenHelp(UserRequest):
    """Show every key that works here."""


@dataclass
class QuitAnswer(UserRequest):
    """Answer "a mitigation is under way": leave (it is finished and journalled first) or stay."""

    leave: bool


@dataclass
class StopWatching(UserRequest):
    """Stop following a mitigation's rollout and proof; what was sent stays sent."""

    plan_id: str


@dataclass
class AskStop(UserRequest):
    """Asks to end what runs: a program or a statement.

    None: whatever runs that can be ended.
    """

    plan_id: str | None = None


@dataclass
class StopRunning(UserRequest):
    """End it, and all that it started."""

    plan_id: str


class OpenIncident(UserRequest):
    """Show the open incident; when none is open, the form that opens one."""


@dataclass
class AskIncident(UserRequest):
    """Open the form of an action (an id of `panels.dialogs.incident.FORMS`).

    `values` are given with what is typed.
    """

    action: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass
class IncidentAct(UserRequest):
    """Do it to the incident: the journal records it.

    `values` by name, all of them texts.
    """

    action: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass
class CoachAct(UserRequest):
    """Asks something of the coach in a drill: an action that it offered."""

    action: str
