"""Shows the form for a step's parameters.

Enter on the last field goes on to planning, which is harmless; Escape leaves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input

from cockpit.model.runbook import Step
from panels.dialogs.field import ChoiceList, Field
from panels.dialogs.values import offer
from panels.kit.layer import CancelButton, Layer
from panels.kit.lines_view import LinesView
from panels.kit.marks import ink
from panels.kit.prose import Para, para
from panels.kit.theme import Appearance
from panels.messages import Cancelled, PlanStep


class ParametersDialog(Layer):
    """Asks for `step.params`; posts PlanStep with all of them, or Cancelled.

    `live` holds (value, note) pairs by parameter, `current` what each starts with, `now` what its
    target is.
    """

    DEFAULT_CSS = """
    ParametersDialog > LinesView { height: auto; }
    ParametersDialog > VerticalScroll { height: 1fr; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "next", "Next", show=False),
        Binding("up", "previous_field", "Up", show=False),
        Binding("down", "next_field", "Down", show=False),
    ]
    WIDTH = 120
    CLOSE = "Cancel"

    def __init__(
        self,
        runbook_id: str,
        step: Step,
        live: Mapping[str, Sequence[tuple[str, str]]] | None = None,
        current: Mapping[str, str] | None = None,
        now: Mapping[str, str] | None = None,
        *,
        appearance: Appearance | None = None,
    ) -> None:
        super().__init__(step.title, appearance)
        self.runbook_id = runbook_id
        self.step = step
        start, present = current or {}, now or {}
        self.fields = [
            Field(
                param,
                offer(param, (live or {}).get(param.name, ())),
                start.get(param.name),
                self.appearance,
                now=present.get(param.name),
            )
            for param in step.params
        ]

    def compose(self) -> ComposeResult:
        yield self.body
        with VerticalScroll(can_focus=False):
            yield from self.fields
        with Horizontal(classes="foot buttons"):
            yield from self.buttons()

    def retell(self, name: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Write beside a parameter's values what became known of them.

        It stays there from now on.
        """
        for field in self.fields:
            if field.param.name == name:
                field.explain(dict(pairs))
        self.refill(name, pairs)

    def refill(self, name: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Offer what is on offer now.

        Nothing is taken from under the cursor, nor from what was typed.
        """
        for field in self.fields:
            if field.param.name == name and field.refill(offer(field.param, pairs) if pairs else []):
                self.refresh_words()

    @property
    def unexplained(self) -> frozenset[str]:
        """Return the values of which nothing was worked out yet, where the parameter allows it."""
        wanted = ("images:", "revisions:")
        return frozenset(
            v for f in self.fields if (f.param.choices_from or "").startswith(wanted) for v in f.unexplained
        )

    def words(self) -> Sequence[Para]:
        step = self.step
        service = "" if step.names_service_by_value else step.service or ""
        if not (service or step.when):
            return []
        return [para((service, "bold"), (f"   {step.when}" if step.when else "", "dim")), para()]

    @property
    def foot_height(self) -> int:
        rows = 1
        for field in self.fields:
            rows += 3 + (field.list.rows if field.list is not None else 0) + (1 if field.input is not None else 0)
        return rows

    def opened(self) -> None:
        super().opened()
        hint = Text()
        for key, words in (("enter", "next, then plan (nothing is sent yet)"), ("tab", "move")):
            hint.append(key, style=ink(self.appearance, "key"))
            hint.append(f" {words}   ")
        self.say_hint(hint)

    def take_focus(self) -> None:
        widgets = self._stops
        self.seize(widgets[0] if widgets else self.query_one(CancelButton))

    @property
    def _stops(self) -> list[Widget]:
        return [widget for field in self.fields for widget in field.widgets]

    def _field_of(self, widget: Widget | None) -> Field | None:
        return next((field for field in self.fields if widget in list(field.widgets)), None)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        field = self._field_of(event.input)
        if field is not None:
            field.touched = field.touched or bool(event.value)
            field.tell()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_next()

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        event.stop()
        self.action_next()

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        event.stop()
        field = self._field_of(event.view)
        if field is not None:
            field.tell()

    def on_key(self, event: events.Key) -> None:
        """Let up and down leave a list at its ends, so that arrows alone reach every field."""
        here = self.screen.focused
        if isinstance(here, ChoiceList) and event.key in ("up", "down"):
            edge = here.keys[0 if event.key == "up" else -1]
            if here.key == edge and len(self._stops) > 1:
                event.stop()
                event.prevent_default()
                self._go(-1 if event.key == "up" else 1)

    def _go(self, by: int) -> None:
        stops, here = self._stops, self.screen.focused
        at = stops.index(here) if here in stops else 0
        if 0 <= at + by < len(stops):
            self.seize(stops[at + by])

    def action_previous_field(self) -> None:
        self._go(-1)

    def action_next_field(self) -> None:
        self._go(1)

    def action_next(self) -> None:
        """Go on from a field whose value will do; the last one plans."""
        field = self._field_of(self.screen.focused)
        if field is not None:
            field.touched = True
            field.tell()
            if field.wrong is not None:
                return
            at = self.fields.index(field)
            if at + 1 < len(self.fields):
                self.seize(next(iter(self.fields[at + 1].widgets)))
                return
        for other in self.fields:
            if other.wrong is not None:
                other.touched = True
                other.tell()
                self.seize(next(iter(other.widgets)))
                return
        self.complete({field.param.name: field.value for field in self.fields})

    def complete(self, values: dict[str, str]) -> None:
        """Ask for the plan, now that every field has a value."""
        self.post_message(PlanStep(self.runbook_id, self.step.id, values))

    def action_close(self) -> None:
        self.post_message(Cancelled())
