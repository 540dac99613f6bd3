"""Shows one panel of the dashboard in full, over the runbook that asked; esc goes back to it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from cockpit.model.situation import Situation
from panels.dashboard.frame.panel import LinesPanel
from panels.keys import of_selection
from panels.kit.theme import Appearance
from panels.messages import Explain, LogsOf, OpenView
from panels.screens.view import Bar, View


class PanelView(View):
    """Shows a panel in full; the app hands it each new situation: `show(situation)`.

    The panel is the view's own: the dashboard keeps its scrolling.
    """

    DEFAULT_CSS = "PanelView > LinesPanel { width: 100%; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [*of_selection(chart=True)]

    def __init__(
        self, kind: type[LinesPanel], situation: Situation | None = None, *, appearance: Appearance | None = None
    ) -> None:
        super().__init__(appearance)
        self.panel = kind(self.appearance)
        self._situation = situation

    def compose(self) -> ComposeResult:
        yield self.panel
        yield Bar(self.appearance, id="keys")

    def opened(self) -> None:
        super().opened()
        more = (("x", "explain"), ("l", "logs"), ("c", "chart")) if self.panel.chooses else ()
        self.query_one("#keys", Bar).keys(("↑↓ pgup pgdn", "scroll"), *more, ("esc", "back"))
        if self._situation is not None:
            self.show(self._situation)

    def take_focus(self) -> None:
        self.seize(self.panel)

    def action_explain(self) -> None:
        if self.panel.selection is not None:
            self.post_message(Explain(self.panel.selection))

    def action_chart(self) -> None:
        self.post_message(OpenView("chart", self.panel.charted))

    def action_logs(self) -> None:
        if self.panel.selection is not None:
            self.post_message(LogsOf(self.panel.selection))

    def show(self, situation: Situation) -> None:
        self._situation = situation
        self.panel.show(situation)
