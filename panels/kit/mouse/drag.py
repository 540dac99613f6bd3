"""Lets the mouse mark the text of a widget that draws lines, and hands it over to be copied.

Textual marks what its own widgets render; of a widget that draws lines itself it would copy the
name.
"""

from __future__ import annotations

from rich.style import Style
from textual import events
from textual.geometry import Offset, Region
from textual.strip import Strip
from textual.widget import Widget

from panels.messages import TextMarked

REVERSE = Style(reverse=True)


class Draggable(Widget):
    """Marks text from where the button is pressed to where it is let go, as a terminal does."""

    _from: Offset | None = None
    _to: Offset | None = None
    _held = False

    def marked_region(self) -> Region:
        """Return where there is text to mark; a frame is none."""
        return self.outer_size.region

    def unmark(self) -> None:
        if self._to is not None:
            self._from = self._to = None
            self.refresh()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.unmark()
        if event.button == 1 and self.marked_region().contains(event.x, event.y):
            self._from, self._held = Offset(event.x, event.y), True
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._held and self._from is not None:
            region = self.marked_region()
            to = Offset(max(region.x, min(event.x, region.right - 1)), max(region.y, min(event.y, region.bottom - 1)))
            if to != (self._to or self._from):
                self._to = to
                self.refresh()

    def on_mouse_up(self, event: events.MouseUp) -> None:
        if self._held:
            self._held = False
            self.release_mouse()
            text = self.marked_text()
            if text.strip():
                self.post_message(TextMarked(text))
            else:
                self.unmark()

    def marked_text(self) -> str:
        """Return the marked text, each row without the blanks at its end."""
        rows = []
        for y, (start, end) in self._columns().items():
            strips = self.render_lines(Region(0, y, self.outer_size.width, 1))
            rows.append(strips[0].crop(start, end).text.rstrip() if strips else "")
        return "\n".join(rows)

    def render_lines(self, crop: Region) -> list[Strip]:
        return self.with_mark(super().render_lines(crop), crop)

    def with_mark(self, strips: list[Strip], crop: Region) -> list[Strip]:
        """Return the strips with what is marked reversed."""
        marked = self._columns()
        if not marked:
            return strips
        return [
            self._reversed(strip, *marked[y], crop.x) if y in marked else strip
            for y, strip in zip(crop.line_range, strips, strict=False)
        ]

    def _columns(self) -> dict[int, tuple[int, int]]:
        """Return the columns marked, by row: all of those between the first and the last."""
        if self._from is None or self._to is None:
            return {}
        region = self.marked_region()
        first, last = sorted((self._from, self._to), key=lambda at: (at.y, at.x))
        return {
            y: (first.x if y == first.y else region.x, last.x + 1 if y == last.y else region.right)
            for y in range(first.y, last.y + 1)
        }

    def _reversed(self, strip: Strip, start: int, end: int, shift: int) -> Strip:
        start, end = max(0, start - shift), min(strip.cell_length, end - shift)
        if start >= end:
            return strip
        left, middle, right = strip.crop(0, start), strip.crop(start, end), strip.crop(end, strip.cell_length)
        return Strip.join([left, middle.apply_style(REVERSE), right])
