"""A bare app around the dashboard, as tests and snapshots use it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.strip import Strip

from cockpit.model.situation import Situation
from cockpit.model.views import PANELS
from panels.dashboard.dashboard import Dashboard
from panels.kit.theme import BACKGROUND, THEME, Appearance


class DashboardApp(App[None]):
    CSS = f"Screen {{ background: {BACKGROUND}; overflow: hidden; }}"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = []

    def __init__(
        self, situation: Situation | None = None, appearance: Appearance | None = None, panel: int = 1
    ) -> None:
        super().__init__()
        self.start, self.panel = situation, panel
        self.dashboard = Dashboard(appearance)

    def compose(self) -> ComposeResult:
        yield self.dashboard

    def on_mount(self) -> None:
        self.register_theme(THEME)
        self.theme = THEME.name
        self.dashboard.focus_panel(PANELS[self.panel - 1].name)
        if self.start is not None:
            self.dashboard.show(self.start)

    def strips(self) -> list[Strip]:
        return self.screen._compositor.render_strips()

    def picture(self) -> list[str]:
        """The screen's lines as text."""
        return [strip.text.rstrip() for strip in self.strips()]

    def text(self) -> str:
        return "\n".join(self.picture())
