"""Shows every panel with its key and its mark on one line, where not all of them fit at once."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events

from cockpit.model.signal import Level
from panels.dashboard.frame.panel import LinesPanel
from panels.kit.line_widget import LineWidget
from panels.kit.spans import Line, Span, line_width
from panels.kit.theme import ALERT, Appearance


class TabLine(LineWidget):
    def __init__(self, tabs: Sequence[LinesPanel], appearance: Appearance | None = None) -> None:
        super().__init__(appearance, id="tabs")
        self.tabs = tabs
        self.current = tabs[0].spec.name
        self._places: list[tuple[int, int]] = []

    def picture(self, width: int, height: int) -> list[Line]:
        """Draw the longest form that fits.

        Full titles, short ones, short ones close to their keys, or keys and marks alone.
        """
        full = [panel.spec.title for panel in self.tabs]
        short = [panel.spec.short or panel.spec.title for panel in self.tabs]
        for titles, gap, near in (
            (full, " ", " "),
            (full, "", " "),
            (short, "", " "),
            (short, "", ""),
            ([""] * len(self.tabs), "", ""),
        ):
            line = self._line(titles, gap, near)
            if line_width(line) <= width:
                break
        return [line]

    def _line(self, titles: Sequence[str], gap: str, near: str) -> Line:
        spans: list[Span] = []
        self._places = []
        at = 0
        for panel, title in zip(self.tabs, titles, strict=True):
            chosen = panel.spec.name == self.current
            level = Level.OK if self.situation is None else panel.level(self.situation)
            cursor = "+cursor" if chosen else ""
            start = at
            for part in (
                (f" {panel.hotkey}", f"key{cursor}"),
                (f"{near}{title}" if title else "", ("title" if chosen else "dim") + cursor),
                (f"{gap}{ALERT[level]}" if ALERT[level] else "", level.value + cursor),
                (" " if chosen else gap, f"text{cursor}"),
            ):
                spans.append(part)
                at += len(part[0])
            self._places.append((start, at))
        return tuple(spans)

    def on_click(self, event: events.Click) -> None:
        for panel, (start, end) in zip(self.tabs, self._places, strict=True):
            if start <= event.x < end:
                panel.focus(scroll_visible=False)
