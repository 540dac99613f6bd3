"""Shows one panel of the dashboard in full, over the runbook that asked; esc goes back to it."""

from __future__ import annotations

from textual.app import ComposeResult

from cockpit.model.situation import Situation
from panels.dashboard.frame.panel import LinesPanel
from panels.kit.theme import Appearance
from panels.screens.view import Bar, View


class PanelView(View):
    """Shows a panel in full; the app hands it each new situation: `show(situation)`.

    The panel is the view's own: the dashboard keeps its scrolling.
    """

    DEFAULT_CSS = "PanelView > LinesPanel { width: 100%; height: 1fr; }"

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
        self.query_one("#keys", Bar).keys(("↑↓ pgup pgdn", "scroll"), ("esc", "back"))
        if self._situation is not None:
            self.show(self._situation)

    def take_focus(self) -> None:
        self.seize(self.panel)

    def show(self, situation: Situation) -> None:
        self._situation = situation
        self.panel.show(situation)
