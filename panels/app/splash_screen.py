"""Shows the first frame, while the panels' code is still being loaded.

It claims nothing.
"""

from __future__ import annotations

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from cockpit.text import clean
from panels.kit.theme import Appearance


class SplashScreen(Widget):
    """Shows the brand, where the cockpit is asked to look, and that it is on its way."""

    DEFAULT_CSS = "SplashScreen { width: 1fr; height: 1fr; }"

    def __init__(self, where: str, appearance: Appearance) -> None:
        super().__init__(id="splash-screen")
        self._where = clean(where, 60)
        self.appearance = appearance

    def render_line(self, y: int) -> Strip:
        style = self.appearance.style
        segments: list[Segment] = []
        if y == 0:
            segments = [Segment(" M0CLUB ", style("brand")), Segment(f"  {self._where}", style("bold"))]
        elif y == 2:
            words = self.appearance.glyphs("  reading the cluster …  nothing is known yet")
            segments = [Segment(words, style("dim"))]
        return Strip(segments).adjust_cell_length(self.size.width, style("text"))
