"""Shows the open incident at the left, its timeline at the right.

One below the other when narrow.
"""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal

from cockpit.model.situation import Situation
from panels.kit.lines_view import LinesView
from panels.kit.prose import para
from panels.kit.theme import Appearance
from panels.messages import AskIncident, IncidentAct
from panels.screens.incident.page import closed_lines, page, timeline_lines
from panels.screens.view import Bar, View

WIDE = 120  # columns from which the timeline stands beside the page
_KEYS = (
    ("n", "note"),
    ("t", "tell"),
    ("s", "severity"),
    ("a", "role"),
    ("enter", "tick"),
    ("e", "evidence"),
    ("p", "report"),
    ("c", "close"),
    ("esc", "back"),
)


class IncidentView(View):
    """Shows the open incident; `show(situation)` redraws what changed.

    Posts AskIncident (a form is wanted) and IncidentAct.
    """

    DEFAULT_CSS = """
    IncidentView > Horizontal { height: 1fr; }
    IncidentView #page { background: $background; }
    IncidentView #timeline { width: 50%; margin: 0 0 0 1; background: $surface; }
    IncidentView.narrow #timeline { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "ask('note')", "Note", show=False),
        Binding("t", "ask('update')", "Tell others", show=False),
        Binding("s", "ask('severity')", "Severity", show=False),
        Binding("a", "ask('role')", "Give a role", show=False),
        Binding("c", "ask('close')", "Close", show=False),
        Binding("e", "act('evidence')", "Evidence", show=False),
        Binding("p", "act('report')", "Report", show=False),
    ]

    def __init__(self, situation: Situation, *, appearance: Appearance | None = None) -> None:
        super().__init__(appearance)
        self.situation = situation
        self.number = situation.incident.incident.number if situation.incident is not None else None
        self.page = LinesView(self.appearance, cursor=True, id="page")
        self.timeline = LinesView(self.appearance, id="timeline")

    def compose(self) -> ComposeResult:
        yield Bar(self.appearance, id="top")
        with Horizontal():
            yield self.page
            yield self.timeline
        yield Bar(self.appearance, id="keys")

    def opened(self) -> None:
        super().opened()
        self.query_one("#keys", Bar).keys(*_KEYS)
        self._draw()

    def take_focus(self) -> None:
        self.seize(self.page)

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < WIDE, "narrow")
        self._draw()

    def show(self, situation: Situation) -> None:
        self.situation = situation
        if self.is_attached:
            self._draw()

    def _draw(self) -> None:
        situation, now = self.situation, self.situation.incident
        place = f"  {situation.context}/{','.join(situation.namespaces)}  "
        self.query_one("#top", Bar).say(
            (" INCIDENT ", "brand"),
            (place, "bold"),
            *(((" PRODUCTION ", "alarm"), ("  ", "text")) if situation.production else ()),
        )
        if now is None or now.incident.number != self.number:
            self.page.show_lines(closed_lines(self.number))
            self.timeline.show_lines(())
            return
        narrow = self.size.width < WIDE
        timeline = timeline_lines(now)
        self.page.show_lines([*page(now, situation), *((para(), *timeline) if narrow else ())])
        if not narrow:
            self.timeline.show_lines(timeline)

    def on_lines_view_chosen(self, event: LinesView.Chosen) -> None:
        event.stop()
        kind, _, name = event.key.partition(":")
        self.post_message(
            AskIncident("check", {"item": name}) if kind == "check" else AskIncident("role", {"role": name})
        )

    def on_lines_view_moved(self, event: LinesView.Moved) -> None:
        event.stop()

    def action_ask(self, action: str) -> None:
        self.post_message(AskIncident(action, {}))

    def action_act(self, action: str) -> None:
        self.post_message(IncidentAct(action, {}))
