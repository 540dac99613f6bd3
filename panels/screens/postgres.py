"""The database in full: one page a topic, each with its own state; ← and → turn them."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from cockpit.model.situation import Situation
from panels.database import oldest, trouble
from panels.lines import LineWidget
from panels.pieces import BLANK, Line
from panels.screens.postgres_pages import PAGES, page
from panels.screens.view import Bar, View
from panels.theme import Look
from panels.words import age

_KEYS = (("←→", "page"), ("↑↓ pgup pgdn", "scroll"), ("esc", "back"))


class PageLines(LineWidget, can_focus=True):
    """One page, scrolled. Only what is on screen is drawn."""

    DEFAULT_CSS = "PageLines { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("home,g", "edge(0)", "First", show=False),
        Binding("end,G", "edge(1)", "Last", show=False),
    ]

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.name_shown = next(iter(PAGES))
        self.top = 0
        self.total = 0

    def picture(self, width: int, height: int) -> list[Line]:
        if self.situation is None or "postgres" not in self.situation.configured:
            return [BLANK]
        lines = page(self.situation, self.name_shown, max(20, width - 2))
        self.total = len(lines)
        self.top = max(0, min(self.top, self.total - height))
        return [((" ", "text"), *line) for line in lines[self.top : self.top + height]]

    def turn(self, name: str) -> None:
        self.name_shown, self.top = name, 0
        self.sync()

    def action_move(self, by: int) -> None:
        self.top = max(0, self.top + by)
        self.sync()

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self.size.height - 1))

    def action_edge(self, end: int) -> None:
        self.action_move(self.total if end else -self.top)

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.action_move(3)
        event.stop()

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.action_move(-3)
        event.stop()


class PostgresView(View):
    """The app hands it each new situation: `show(situation)`. `name`: a key of PAGES; an unknown one shows the first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "turn(1)", "Next page", show=False),
        Binding("left,h", "turn(-1)", "Page before", show=False),
    ]

    def __init__(self, name: str = "", situation: Situation | None = None, *, look: Look | None = None) -> None:
        super().__init__(look)
        self.rows = PageLines(self.look)
        self.rows.name_shown = name if name in PAGES else next(iter(PAGES))
        self._situation = situation

    @property
    def page(self) -> str:
        return self.rows.name_shown

    def compose(self) -> ComposeResult:
        yield Bar(self.look, id="top")
        yield Bar(self.look, id="state")
        yield self.rows
        yield Bar(self.look, id="keys")

    def opened(self) -> None:
        super().opened()
        self.query_one("#keys", Bar).keys(*_KEYS)
        self._title()
        if self._situation is not None:
            self.show(self._situation)

    def take_focus(self) -> None:
        self.seize(self.rows)

    def show(self, situation: Situation) -> None:
        self._situation = situation
        self.rows.show(situation)
        topic = PAGES[self.page][1]
        troubles = trouble(situation, (topic,))
        seconds = oldest(situation, (topic,))
        told = "" if seconds is None else f" {age(seconds)}"
        if not self.is_attached:
            return
        bar = self.query_one("#state", Bar)
        if not troubles:
            known = topic in situation.postgres
            bar.say((f" ● LIVE{told}" if known else " ? nothing read yet", "ok" if known else "unknown"))
            return
        first = troubles[0]
        off = first.state == "not configured"
        spans = [(f" {'○' if off else '?'} {first.state.upper()}{told}", "dim" if off else "unknown")]
        spans += [(f"   {first.reason}", "text")] if first.reason else []
        spans += [(f"   → {first.remedy}", "accent")] if first.remedy else []
        bar.say(*spans)

    def _title(self) -> None:
        spans = [(" POSTGRES ", "brand")]
        for name, (title, _) in PAGES.items():
            spans.append((f"  {title}", "key" if name == self.page else "dim"))
        self.query_one("#top", Bar).say(*spans)

    def action_turn(self, by: int) -> None:
        names = list(PAGES)
        self.rows.turn(names[(names.index(self.page) + by) % len(names)])
        self._title()
        if self._situation is not None:
            self.show(self._situation)
