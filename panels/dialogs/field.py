"""Draws one field of a form: a list of choices, a line to type in, or both, and what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Static

from cockpit.model.runbook import Param
from panels.dialogs.values import Choice, bounds, problem
from panels.dialogs.values import shown as shown_value
from panels.kit.layer import Layer
from panels.kit.lines_view import LinesView
from panels.kit.marks import SIGN, ink
from panels.kit.overlay import PlainInput
from panels.kit.prose import Para, para
from panels.kit.theme import Appearance

_SHOWN_CHOICES = 6  # and rows beside, for notes that wrap
_MORE_ROWS = 4
GONE = "is not listed any more"


class ChoiceList(LinesView):
    """Offers values, of which up and down choose; the cursor's line is the value."""

    DEFAULT_CSS = "ChoiceList { height: auto; background: $panel; }"

    def __init__(self, choices: Sequence[Choice], appearance: Appearance) -> None:
        super().__init__(appearance, cursor=True)
        self.choices = list(choices)
        self.styles.height = min(len(self.choices), _SHOWN_CHOICES)

    def on_mount(self) -> None:
        self.show_lines(self._prepared())

    def _prepared(self) -> list[Para]:
        column = max(len(choice.shown) for choice in self.choices) + 3
        return [
            para((f"{choice.shown}   ".ljust(min(column, 44)), "bold"), (choice.note, "dim"), key=str(index))
            for index, choice in enumerate(self.choices)
        ]

    def on_resize(self, event: events.Resize) -> None:
        """Grow as high as the wrapped notes need, within reason; a longer list scrolls."""
        self.styles.height = min(self.height_at(self.scrollable_content_region.width), _SHOWN_CHOICES + _MORE_ROWS)
        self.call_after_refresh(self._refit)

    def _refit(self) -> None:
        """Let the dialog make room for it."""
        dialog = next((one for one in self.ancestors if isinstance(one, Layer)), None)
        if dialog is not None:
            dialog.refresh_words()

    def retell(self, choices: Sequence[Choice]) -> bool:
        """Show what is known of each value now.

        Every value keeps its place, so that no key press meets another than the one that was read:
        new ones come last, and one that is gone stays, and says so. True when anything is shown
        differently.
        """
        now = {choice.value: choice for choice in choices}
        known = {choice.value for choice in self.choices}
        kept = [now.get(choice.value) or replace(choice, note=GONE) for choice in self.choices]
        offered = [*kept, *(choice for choice in choices if choice.value not in known)]
        if offered == self.choices:
            return False
        self.choices = offered
        if self.is_attached:
            self.show_lines(self._prepared())
            self.styles.height = min(self.height_at(self.scrollable_content_region.width), _SHOWN_CHOICES + _MORE_ROWS)
        return True

    @property
    def rows(self) -> int:
        """Return how high it is: long notes are wrapped."""
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
    """Takes one row of text; Enter goes to the next field, never further than a plan."""

    DEFAULT_CSS = "ParamInput { width: 1fr; background: $panel; }"


class Field(Vertical):
    """Holds the title, what is allowed, the choices or the input or both, and what is wrong."""

    DEFAULT_CSS = """
    Field { height: auto; margin: 0 0 1 0; }
    Field Static { height: auto; width: 1fr; }
    """

    def __init__(
        self,
        param: Param,
        choices: Sequence[Choice],
        current: str | None,
        appearance: Appearance,
        *,
        now: str | None = None,
    ) -> None:
        """Make it; `current` is what it starts with, `now` what it would change."""
        super().__init__()
        self.param = param
        self.choices = list(choices)
        self.appearance = appearance
        self.current = current
        self.now = now
        self.touched = False
        self.list = ChoiceList(choices, appearance) if choices else None
        self._late = False  # the list came after the form, and nobody has been at it: its cursor is no choice yet
        self._notes: dict[str, str] = {}  # what was worked out of a value, which takes longer than to list it
        typed = not choices or param.type in ("int", "url", "string", "image")
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

    def _title(self) -> Text:
        title = Text(self.param.title or self.param.name, style=ink(self.appearance, "title"))
        hint = bounds(self.param)
        if hint:
            title.append(f"   {hint}", style=ink(self.appearance, "dim"))
        if self.now is not None:
            shown = shown_value(self.param, self.now) or "(empty)"
            title.append(f"   now {shown}", style=ink(self.appearance, "text"))
        if self.param.choices_from and not self.choices:
            kind = self.param.choices_from.partition(":")[0].replace("-", " ")
            title.append(f"   no live list of {kind} yet: type it, or wait", style=ink(self.appearance, "unknown"))
        return title

    def compose(self) -> ComposeResult:
        yield Static(self._title(), classes="title", markup=False)
        if self.list is not None:
            yield self.list
        if self.input is not None:
            yield self.input
        yield Static("", classes="wrong", markup=False)

    def on_mount(self) -> None:
        self._open_at_default()

    def _open_at_default(self) -> None:
        """Put the list's cursor on the value now, else on the step's own default."""
        start = self.current if self.current is not None else self.param.default
        if self.list is not None and start is not None:
            self.list.choose(str(start))

    @property
    def value(self) -> str:
        """Return what is typed, which wins over what is chosen."""
        if self.input is not None and self.input.value.strip():
            return self.input.value.strip()
        return self.list.value if self.list is not None and not self._late else ""

    def explain(self, notes: Mapping[str, str]) -> None:
        """Keep what was worked out of the values beside whatever is listed from now on."""
        self._notes.update(notes)

    @property
    def unexplained(self) -> list[str]:
        """Return the values on offer of which nothing was worked out yet."""
        return [choice.value for choice in self.choices if choice.value not in self._notes]

    def refill(self, choices: Sequence[Choice]) -> bool:
        """Show what is on offer now.

        The cursor stays on its value and typed text stays; a list that was empty appears above the
        line that is typed in. True when anything is shown differently.
        """
        offered = [replace(c, note=self._notes[c.value]) if c.value in self._notes else c for c in choices]
        if not offered:
            return False  # nothing is known just now: what was listed stands
        if self.list is not None:
            changed = self.list.retell(offered)
            self.choices = list(self.list.choices)
            return changed
        self.choices, self.list, self._late = offered, ChoiceList(offered, self.appearance), True
        if self.input is not None:
            self.input.placeholder = "type one, or go up to choose"
        self.query_one(".title", Static).update(self._title())
        self.mount(self.list, after=self.query_one(".title", Static))
        self.call_after_refresh(self._open_at_default)
        return True

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        if event.widget is self.list:
            self._late = False

    @property
    def wrong(self) -> str | None:
        return problem(self.param, self.value, () if self.input is not None and self.input.value else self.choices)

    def tell(self) -> None:
        """Say what is wrong, once the operator has touched the field."""
        words = self.wrong if self.touched else None
        text = (
            Text(f"{self.appearance.glyphs(SIGN['crit'])} {words}", style=ink(self.appearance, "crit"))
            if words
            else Text("")
        )
        self.query_one(".wrong", Static).update(text)

    @property
    def widgets(self) -> Iterator[Widget]:
        if self.list is not None:
            yield self.list
        if self.input is not None:
            yield self.input


class NameInput(PlainInput):
    """Takes the target's name as it is typed.

    Enter does nothing here: only ctrl+y accepts, once the name is right.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "nothing", "", show=False)]
    DEFAULT_CSS = "NameInput { height: 1; border: none; padding: 0 1; background: $panel; width: 1fr; }"

    def action_nothing(self) -> None:
        """Do nothing, as Enter never accepts a dangerous step (rule 5)."""
