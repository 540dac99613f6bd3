"""Draws widgets from lists of `Line`, repainting only the cells that differ from the last picture.

`LineWidget` is the bare mechanism (strips of the head); `ScrolledLines` adds scrolling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.color import TRANSPARENT
from textual.filter import LineFilter
from textual.geometry import Region, Size
from textual.strip import Strip

from cockpit.model.situation import Situation
from panels.kit.mouse.drag import Draggable
from panels.kit.spans import BLANK, Line, changed, to_strip
from panels.kit.theme import Appearance


class LineWidget(Draggable):
    """Draws `picture(width, height)`.

    `sync()` compares it with what is on screen and refreshes the differing cells only.
    """

    def __init__(self, appearance: Appearance | None = None, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.appearance = appearance or Appearance()
        self.situation: Situation | None = None
        self._drawn: list[Line] = []
        self._strips: list[Strip | None] = []
        self._drawn_size = Size(0, 0)
        self._filters: Sequence[LineFilter] = ()
        self._background = TRANSPARENT
        self._owed: list[Region] | None = None  # while held back: what is to be refreshed

    def picture(self, width: int, height: int) -> Sequence[Line]:
        """Return at most `height` lines of at most `width` cells (what is wider is cut off).

        Pure, but for what the operator scrolled or typed.
        """
        raise NotImplementedError

    def show(self, situation: Situation) -> None:
        """Draw this situation.

        Cheap when nothing that is visible changed.
        """
        self.situation = situation
        self.sync()

    def sync(self) -> None:
        size = self.size
        if not size.width or not size.height or not self.is_attached:
            return
        if size != self._drawn_size:
            self._draw(size)
            self._mark([size.region])
            return
        regions = []
        for y, line in enumerate(self._lines(size)):
            span = changed(self._drawn[y], line)
            if span is not None:
                self._drawn[y] = line
                self._strips[y] = None
                if span[0] < size.width:
                    regions.append(Region(span[0], y, min(span[1], size.width) - span[0], 1))
        if regions:
            self._mark(regions)

    def _mark(self, regions: list[Region]) -> None:
        if self._owed is None:
            self.refresh(*regions)
        else:
            self._owed += regions

    def hold(self) -> None:
        """Refresh nothing until `let_go`: what is drawn meanwhile is for one frame."""
        if self._owed is None:
            self._owed = []

    def let_go(self) -> None:
        owed, self._owed = self._owed, None
        if owed:
            self.refresh(*owed)

    def _draw(self, size: Size) -> None:
        self._drawn = self._lines(size)
        self._strips = [None] * size.height
        self._drawn_size = size
        self._filters, self._background = self.get_line_filters(), self.background_colors[1]

    def _lines(self, size: Size) -> list[Line]:
        lines = list(self.picture(size.width, size.height))[: size.height]
        return lines + [BLANK] * (size.height - len(lines))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the kept strips.

        Borders, padding, tints and the like, which textual's own way looks for in every line of
        every repaint (half of its cost), are none of ours.
        """
        size = self.size
        if size != self._drawn_size:
            self._draw(size)
        if size != self.outer_size:
            return super().render_lines(crop)
        strips = [self.render_line(y) for y in crop.line_range]
        if crop.column_span != (0, size.width):
            strips = [strip.crop(*crop.column_span) for strip in strips]
        return self.with_mark(strips, crop)

    def render_line(self, y: int) -> Strip:
        size = self._drawn_size
        if y >= len(self._strips):
            return Strip.blank(size.width, self.appearance.style("text"))
        strip = self._strips[y]
        if strip is None:
            strip = to_strip(self._drawn[y], size.width, self.appearance)
            for each in self._filters:
                strip = strip.apply_filter(each, self._background)
            self._strips[y] = strip
        return strip

    def on_mount(self) -> None:
        self.sync()

    def on_resize(self) -> None:
        self.sync()


class ScrolledLines(LineWidget, can_focus=True):
    """Scrolls lines: `window` cuts out those on screen, the actions move them.

    Subclasses bind the keys.
    """

    FRAME_ROWS: ClassVar[int] = 0  # of its height, what holds no lines
    WHEEL: ClassVar[int] = 3  # lines a notch

    def __init__(self, appearance: Appearance | None = None, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(appearance, id=id)
        self.top = 0  # first line on screen
        self.total = 0  # lines in all

    def window(self, total: int, height: int) -> slice:
        """Return which of `total` lines are on screen, `height` at most.

        The top stays where it is as long as the end is not passed.
        """
        self.total = total
        self.top = max(0, min(self.top, total - height))
        return slice(self.top, self.top + height)

    def action_move(self, by: int) -> None:
        self.top = max(0, self.top + by)
        self.sync()

    def action_page(self, by: int) -> None:
        self.action_move(by * max(1, self.size.height - self.FRAME_ROWS - 1))

    def action_first(self) -> None:
        self.action_move(-self.total)

    def action_last(self) -> None:
        self.action_move(self.total)

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self.action_move(self.WHEEL)
        event.stop()

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self.action_move(-self.WHEEL)
        event.stop()
