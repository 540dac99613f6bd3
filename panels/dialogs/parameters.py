"""The form for a step's parameters. Enter on the last field goes on to planning, which is harmless; Escape leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Static

from cockpit.model.runbook import Param, Step
from panels.dialogs.layer import CancelButton, Layer
from panels.dialogs.lines import LinesView
from panels.dialogs.marks import SIGN, ink
from panels.dialogs.overlay import PlainInput
from panels.dialogs.prose import Para, para
from panels.dialogs.values import Choice, bounds, offer, problem
from panels.messages import Cancelled, PlanStep
from panels.theme import Look

_SHOWN_CHOICES = 6  # and rows beside, for notes that wrap
_MORE_ROWS = 4


class ChoiceList(LinesView):
    """Up and down choose; the cursor's line is the value."""

    DEFAULT_CSS = "ChoiceList { height: auto; background: $panel; }"

    def __init__(self, choices: Sequence[Choice], look: Look) -> None:
        super().__init__(look, cursor=True)
        self.choices = list(choices)
        column = max(len(choice.shown) for choice in self.choices) + 3
        self.styles.height = min(len(self.choices), _SHOWN_CHOICES)
        self._prepared = [
            para((f"{choice.shown}   ".ljust(min(column, 44)), "bold"), (choice.note, "dim"), key=str(index))
            for index, choice in enumerate(self.choices)
        ]

    def on_mount(self) -> None:
        self.show_lines(self._prepared)

    def on_resize(self, event: events.Resize) -> None:
        """As high as the wrapped notes need, within reason; a longer list scrolls."""
        self.styles.height = min(self.height_at(self.scrollable_content_region.width), _SHOWN_CHOICES + _MORE_ROWS)
        self.call_after_refresh(self._refit)

    def _refit(self) -> None:
        """The dialog makes room for it."""
        dialog = next((one for one in self.ancestors if isinstance(one, ParametersDialog)), None)
        if dialog is not None:
            dialog.refresh_words()

    def retell(self, choices: Sequence[Choice]) -> None:
        """The same values, with more known of them; the cursor stays on its own."""
        notes = {choice.value: choice for choice in choices}
        chosen = self.value
        self.choices = [notes.get(choice.value, choice) for choice in self.choices]
        column = max(len(choice.shown) for choice in self.choices) + 3
        self._prepared = [
            para((f"{choice.shown}   ".ljust(min(column, 44)), "bold"), (choice.note, "dim"), key=str(index))
            for index, choice in enumerate(self.choices)
        ]
        if self.is_attached:
            self.show_lines(self._prepared)
            self.choose(chosen)
            self.styles.height = min(self.height_at(self.scrollable_content_region.width), _SHOWN_CHOICES + _MORE_ROWS)

    @property
    def rows(self) -> int:
        """How high it is: long notes are wrapped."""
        height = self.styles.height
        return int(height.value) if height is not None and height.is_cells else min(len(self.choices), _SHOWN_CHOICES)

    @property
    def value(self) -> str:
        return self.choices[int(self.key)].value if self.key is not None else ""

    def choose(self, value: str) -> None:
        for index, choice in enumerate(self.choices):
            if choice.value == value:
                self.move_to(str(index))


class ParamInput(PlainInput):
    """One row; Enter goes to the next field, never further than a plan."""

    DEFAULT_CSS = "ParamInput { width: 1fr; background: $panel; }"


class Field(Vertical):
    """Title, what is allowed, the list of choices or the input or both, and what is wrong with the value."""

    DEFAULT_CSS = """
    Field { height: auto; margin: 0 0 1 0; }
    Field Static { height: auto; width: 1fr; }
    """

    def __init__(self, param: Param, choices: Sequence[Choice], current: str | None, look: Look) -> None:
        super().__init__()
        self.param = param
        self.choices = list(choices)
        self.look = look
        self.current = current
        self.touched = False
        self.list = ChoiceList(choices, look) if choices else None
        typed = not choices or param.type in ("url", "string", "image")
        start = (
            ""
            if choices
            else str(current if current is not None else param.default if param.default is not None else "")
        )
        self.input = (
            ParamInput(start, compact=True, password=param.secret, placeholder="or type another" if choices else "")
            if typed
            else None
        )

    def compose(self) -> ComposeResult:
        title = Text(self.param.title or self.param.name, style=ink(self.look, "title"))
        hint = bounds(self.param)
        if hint:
            title.append(f"   {hint}", style=ink(self.look, "dim"))
        if self.param.choices_from and not self.choices:
            title.append(f"   no live list of {self.param.choices_from}: type it", style=ink(self.look, "unknown"))
        yield Static(title, markup=False)
        if self.list is not None:
            yield self.list
        if self.input is not None:
            yield self.input
        yield Static("", classes="wrong", markup=False)

    def on_mount(self) -> None:
        if self.list is not None and self.current is not None:
            self.list.choose(self.current)

    @property
    def value(self) -> str:
        """What is typed wins over what is chosen."""
        if self.input is not None and self.input.value.strip():
            return self.input.value.strip()
        return self.list.value if self.list is not None else ""

    @property
    def wrong(self) -> str | None:
        return problem(self.param, self.value, () if self.input is not None and self.input.value else self.choices)

    def tell(self) -> None:
        """Say what is wrong, once the operator has touched the field."""
        words = self.wrong if self.touched else None
        text = Text(f"{self.look.glyphs(SIGN['crit'])} {words}", style=ink(self.look, "crit")) if words else Text("")
        self.query_one(".wrong", Static).update(text)

    @property
    def widgets(self) -> Iterator[Widget]:
        if self.list is not None:
            yield self.list
        if self.input is not None:
            yield self.input


class ParametersDialog(Layer):
    """Asks for `step.params`; posts PlanStep with all of them, or Cancelled. `live` holds (value, note) pairs by parameter."""

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
        *,
        look: Look | None = None,
    ) -> None:
        super().__init__(step.title, look)
        self.runbook_id = runbook_id
        self.step = step
        now = current or {}
        self.fields = [
            Field(param, offer(param, (live or {}).get(param.name, ())), now.get(param.name), self.look)
            for param in step.params
        ]

    def compose(self) -> ComposeResult:
        yield self.body
        with VerticalScroll(can_focus=False):
            yield from self.fields
        with Horizontal(classes="foot buttons"):
            yield CancelButton(self.CLOSE, self.look)
            yield self.hint()

    def retell(self, name: str, pairs: Sequence[tuple[str, str]]) -> None:
        """More is known of a parameter's choices than when it was asked for."""
        for field in self.fields:
            if field.param.name == name and field.list is not None:
                field.list.retell(offer(field.param, pairs))
                self.refresh_words()

    def words(self) -> Sequence[Para]:
        step = self.step
        if not (step.service or step.when):
            return []
        return [para((step.service or "", "bold"), (f"   {step.when}" if step.when else "", "dim")), para()]

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
            hint.append(key, style=ink(self.look, "key"))
            hint.append(f" {words}   ")
        self.query_one(".hint", Static).update(hint)

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
        """Up and down leave a list at its ends, so that every field is reached by arrows alone."""
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
        """The field's value must do; the last one plans."""
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
        """Every field has a value."""
        self.post_message(PlanStep(self.runbook_id, self.step.id, values))

    def action_close(self) -> None:
        self.post_message(Cancelled())
