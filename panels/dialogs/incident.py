"""Shows the forms of an incident: open, close, note, update, severity, role, tick.

Cancel has the focus where something begins or ends, and Enter never accepts there; what was typed
stays when the journal refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType

from cockpit.model.incident import ROLES, SEVERITIES, IncidentNow
from cockpit.model.runbook import Param, Step
from cockpit.model.situation import Situation
from panels.dialogs.field import Field
from panels.dialogs.parameters import ParametersDialog
from panels.dialogs.values import offer
from panels.kit.layer import CancelButton
from panels.kit.marks import SIGN, ink
from panels.kit.prose import Para, para
from panels.kit.theme import Appearance
from panels.messages import IncidentAct


@dataclass(frozen=True, slots=True)
class Form:
    """Holds what a form asks.

    `enter`: Enter on the last field is enough, as nothing begins or ends by it.
    """

    action: str
    title: str
    verb: str  # "opens the incident"
    params: tuple[Param, ...]
    enter: bool = True
    optional: tuple[str, ...] = ()


_SEVERITY = Param(name="severity", type="choice", title="Severity", choices=SEVERITIES)
_ROLE = Param(name="role", type="choice", title="Role", choices=tuple(ROLES))
_NAME = Param(name="name", title="Who")
_REASON = Param(name="reason", title="Why")
FORMS: Final = {
    form.action: form
    for form in (
        Form(
            action="open",
            title="Open an incident",
            verb="opens the incident",
            params=(
                Param(name="title", title="What is wrong, in a line"),
                _SEVERITY,
                Param(name="commander", title="Incident commander (may stay empty)"),
                Param(name="since", title="Began: 25m ago, 06:25 UTC (empty: now)"),
            ),
            enter=False,
            optional=("commander", "since"),
        ),
        Form("close", "Close the incident", "closes the incident", (_REASON,), False),
        Form(
            action="severity",
            title="Change the severity",
            verb="changes it",
            params=(_SEVERITY, Param(name="reason", title="Why (may stay empty)")),
            enter=True,
            optional=("reason",),
        ),
        Form("role", "Give a role", "records it", (_ROLE, _NAME)),
        Form(
            "note",
            "Note",
            "writes it into the journal",
            (Param(name="words", title="What happened, what was decided"),),
        ),
        Form("update", "Update for others", "records it", (Param(name="words", title="What others are to know"),)),
        Form(
            action="check",
            title="Tick a line of the checklist",
            verb="ticks it",
            params=(Param(name="words", title="How you know (may stay empty)"),),
            enter=True,
            optional=("words",),
        ),
    )
}


#: The severities in so few words that each stands on one row of the narrowest screen;
#: `cockpit.model.incident.MEANING` has them whole.
_IN_SHORT: Final = {
    "SEV0": "unsafe output, key compromise, bad signatures, or all halted",
    "SEV1": "many markets degraded, commits or reveals fail, database out",
    "SEV2": "partial impact, one connector out, drift without bad output",
    "SEV3": "near miss",
}


class OptionalField(Field):
    """Takes an empty value too."""

    @property
    def wrong(self) -> str | None:
        return super().wrong if self.value else None


class IncidentForm(ParametersDialog):
    """Asks for what an action needs, and posts IncidentAct with the values.

    The app closes it once they are in the journal, or tells what was wrong (`refused`).
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+y", "accept('ctrl+y')", "Do it", show=False),
        Binding("y", "accept('y')", "Do it", show=False),
    ]
    ASKS = True
    WIDTH = 96

    def __init__(
        self,
        form: Form,
        situation: Situation,
        *,
        fixed: Mapping[str, str] | None = None,
        appearance: Appearance | None = None,
    ) -> None:
        super().__init__(
            "", Step(id=form.action, title=form.title, kind="manual", params=form.params), appearance=appearance
        )
        self.form = form
        self.situation = situation
        self.fixed = dict(fixed or {})
        self._problem = ""
        self._sent = False
        now, known = {**prefilled(form.action, situation), **self.fixed}, notes(form.action)
        optional = set(form.optional) | ({"reason"} if form.action == "close" and not _wants(situation) else set())
        self.fields = [
            (OptionalField if p.name in optional else Field)(
                p, offer(p, [(c, known.get(c, "")) for c in p.choices]), now.get(p.name), self.appearance
            )
            for p in form.params
        ]

    def words(self) -> Sequence[Para]:
        problem = [para((f"{SIGN['crit']} {self._problem}", "crit"), label="  "), para()] if self._problem else []
        return [
            *problem,
            *(para((words, role)) for words, role in intro(self.form, self.situation, self.fixed)),
            para(),
        ]

    def opened(self) -> None:
        super().opened()
        self._tell_keys()

    def seen_changed(self) -> None:
        super().seen_changed()
        self._tell_keys()

    def _tell_keys(self) -> None:
        hint = Text()
        if self.form.enter:
            keys = [("enter", self.form.verb)]
        else:
            keys = [("y", self.form.verb if self.seen.ready else "in a moment"), ("ctrl+y", "from a field")]
        for key, words in (*keys, ("tab", "move")):
            hint.append(key, style=ink(self.appearance, "key"))
            hint.append(f" {words}   ")
        self.say_hint(hint)

    def take_focus(self) -> None:
        if self.form.enter:
            super().take_focus()
        else:
            self.seize(self.query_one(CancelButton))

    def action_next_field(self) -> None:
        """Go from the button down into the first field, and from a field to the next."""
        if self._field_of(self.screen.focused) is None:
            self.seize(self._stops[0])
        else:
            super().action_next_field()

    def action_next(self) -> None:
        """Go to the next field; beyond the last only where Enter may accept."""
        field = self._field_of(self.screen.focused)
        if self.form.enter or field is None or self.fields.index(field) + 1 < len(self.fields):
            super().action_next()
        else:
            field.touched = True
            field.tell()

    def action_accept(self, key: str) -> None:
        for field in self.fields:
            if field.wrong is not None:
                field.touched = True
                field.tell()
                self.seize(next(iter(field.widgets)))
                return
        values = {field.param.name: field.value for field in self.fields}
        self.seen.struck(key, lambda seen: self._send(values), typed=key != "y")

    def complete(self, values: dict[str, str]) -> None:
        self._send(values)  # words that were typed: nothing begins or ends by them

    def _send(self, values: dict[str, str]) -> None:
        if not self._sent:
            self._sent = True
            given = {name: value for name, value in values.items() if value or name != "since"}
            self.post_message(IncidentAct(self.form.action, {**self.fixed, **given}))

    def refused(self, reason: str) -> None:
        """Say that nothing was written; the words stay, to be sent again."""
        self._sent = False
        self._problem = reason
        self.refresh_words()


def prefilled(action: str, situation: Situation) -> dict[str, str]:
    """Return what a form begins with: the best match's title and severity, or what is so now."""
    now = situation.incident
    if action == "open":
        best = best_match(situation)
        return {"title": best[0], "severity": best[1]}
    if action == "severity" and now is not None:
        return {"severity": now.incident.severity}
    if action == "role" and now is not None:
        free = next((role for role in ROLES if not now.incident.holder(role)), "expert")
        return {"role": free}
    return {}


def best_match(situation: Situation) -> tuple[str, str, str]:
    """Return title, severity and runbook id of the best match.

    Where no runbook matches, the title names the stage where it stops.
    """
    match = next((m for m in situation.matches if m.holds), None)
    if match is not None:
        return match.runbook.title, match.runbook.severity, match.runbook.id
    stage = next((s for s in situation.stages if s.stops_here), None)
    return (f"{stage.name} is {stage.level.value.upper()}" if stage is not None else "", "SEV2", "")


def notes(action: str) -> Mapping[str, str]:
    """Return what is said beside a choice."""
    return _IN_SHORT if action in ("open", "severity") else ROLES


def intro(form: Form, situation: Situation, fixed: Mapping[str, str]) -> list[tuple[str, str]]:
    now = situation.incident
    place = f"{situation.context} / {', '.join(situation.namespaces)}"
    if form.action == "open":
        runbook = best_match(situation)[2]
        known = next(
            (f"runbook {m.runbook.number}: {m.words}" for m in situation.matches if m.runbook.id == runbook),
            "no runbook matches",
        )
        return [(f"{place}   {known}", "dim")]
    if now is None:
        return [("the incident was closed meanwhile", "warn")]
    lines = [(f"#{now.incident.number} {now.incident.severity} {now.incident.title}", "bold")]
    if form.action == "close":
        lines += [(f"cannot be closed now: {now.close_blocked}", "crit")] if now.close_blocked else []
        lines += [(words, "warn") for words in now.close_wants]
        lines += [("not put back: say why it may be closed all the same", "text")] if now.close_wants else []
        lines += [(f"checklist: {line.text} is {line.state}", "dim") for line in now.checklist if line.state != "done"]
    elif form.action == "update":
        sends = (
            "posted to the webhook at once"
            if now.webhook
            else "recorded only: no webhook is configured, or this cockpit is read-only"
        )
        lines.append((f"{sends}; {now.reminder.words}", "dim"))
    elif form.action == "check":
        line = next((x for x in now.checklist if x.item == fixed.get("item")), None)
        lines += [(f"{line.text}: {line.words}", "text")] if line is not None else []
    return lines


def _wants(situation: Situation) -> bool:
    now: IncidentNow | None = situation.incident
    return now is not None and bool(now.close_wants)
