"""Shows words in a line-API widget.

It repaints only the visible rows that differ, keeps its place, and can carry a cursor over the rows
that can be acted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from panels.keys import moving
from panels.kit.marks import SIGN, ink
from panels.kit.mouse.drag import Draggable
from panels.kit.prose import Para, Row, row_strip, wrap
from panels.kit.theme import Appearance


class LinesView(Draggable, ScrollView, can_focus=True):
    """Shows `Para`s.

    With `cursor=True`, up and down move over lines that have a key and Enter posts `Chosen`.
    """

    DEFAULT_CSS = """
    LinesView {
        height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto;
        scrollbar-size-vertical: 1; background: $surface;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *moving("step", first="edge(-1)", last="edge(1)"),
        Binding("enter", "choose", "Open", show=False),
    ]

    class Chosen(Message):
        """Says that Enter or a click chose a line that has a key."""

        def __init__(self, view: LinesView, key: str) -> None:
            super().__init__()
            self.view = view
            self.key = key

        @property
        def control(self) -> LinesView:
            return self.view

    class Moved(Chosen):
        """The cursor moved to another key."""

    def __init__(
        self,
        appearance: Appearance | None = None,
        *,
        cursor: bool = False,
        id: str | None = None,  # noqa: A002
        can_focus: bool = True,
    ) -> None:
        super().__init__(id=id)
        self.appearance = appearance or Appearance()
        self._cursor = cursor
        self.can_focus = can_focus
        self._lines: tuple[Para, ...] = ()
        self._rows: list[Row] = []
        self._width = 0
        self.key: str | None = None
        self._wanted: str | None = None
        self._strips: dict[int, Strip] = {}

    # -- what is shown

    def show_lines(self, lines: Sequence[Para]) -> None:
        """Replace the words.

        Rows that stay the same are not painted, and the cursor stays on its key.
        """
        if tuple(lines) != self._lines:
            self._lines = tuple(lines)
            self._reflow()

    @property
    def lines(self) -> tuple[Para, ...]:
        return self._lines

    def height_at(self, width: int) -> int:
        """Return the rows needed at this width, cursor gutter included."""
        return len(wrap(self._lines, width - self._gutter))

    @property
    def _gutter(self) -> int:
        return 2 if self._cursor else 0

    @property
    def keys(self) -> list[str]:
        """Return the keys in the order shown, each once."""
        return list(dict.fromkeys(item.key for item in self._lines if item.key is not None))

    def _reflow(self) -> None:
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        seen = self._spots(self.key) if self.key is not None and self.sees(self.key) else []
        before, self._rows = self._rows, wrap(self._lines, max(1, width - self._gutter))
        same_width, self._width = width == self._width, width
        keys = self.keys
        if self._cursor and self.key not in keys:
            self.key = keys[0] if keys else None
            same_width = False  # every row may show the cursor's move
        size = Size(width, len(self._rows))
        if size != self.virtual_size:
            self.virtual_size = size
        if self._wanted in keys:
            self.key, self._wanted = self._wanted, None
            self._bring_into_view(self.key or "")
        if seen and self.key is not None and self._spots(self.key) != seen:
            self._bring_into_view(self.key)  # words above it that came, or wrapped, must not push it out
        if not same_width:
            self._strips.clear()
            self.refresh()
            return
        for y in range(max(len(before), len(self._rows))):
            old = before[y] if y < len(before) else None
            new = self._rows[y] if y < len(self._rows) else None
            if old is None or new is None or old.spans != new.spans or old.key != new.key:
                self._strips.pop(y, None)
                self.refresh_line(y)

    def on_resize(self, event: events.Resize) -> None:
        if self.scrollable_content_region.width != self._width:
            self._reflow()

    def watch_show_vertical_scrollbar(self) -> None:
        """Wrap anew: the bar's column is not there for words, and no resize tells of it."""
        if self.scrollable_content_region.width != self._width:
            self._reflow()

    def notify_style_update(self) -> None:
        self._strips.clear()
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        at = y + self.scroll_offset.y
        width = self.size.width
        base = self.rich_style
        if at >= len(self._rows):
            return Strip.blank(width, base)
        cached = self._strips.get(at)
        if cached is not None and cached.cell_length == width:
            return cached
        row = self._rows[at]
        if self._cursor:
            here = row.key is not None and row.key == self.key
            first = here and (at == 0 or self._rows[at - 1].line != row.line)
            if here:
                base = base + ink(self.appearance, "cursor" if self.has_focus else "idle")
            strip = row_strip(row, width - 2, base, self.appearance)
            mark = self.appearance.glyphs(SIGN["cursor"]) if first else " "
            strip = Strip([Segment(f"{mark} ", base + ink(self.appearance, "key")), *strip], width)
        else:
            strip = row_strip(row, width, base, self.appearance)
        self._strips[at] = strip
        return strip

    def on_focus(self) -> None:
        self._repaint_cursor(self.key)

    def on_blur(self) -> None:
        self._repaint_cursor(self.key)

    # -- moving

    def _repaint_cursor(self, key: str | None) -> None:
        for y, row in enumerate(self._rows):
            if key is not None and row.key == key:
                self._strips.pop(y, None)
                self.refresh_line(y)

    def move_to(self, key: str) -> None:
        """Put the cursor on a key and bring it into view."""
        if key == self.key or key not in self.keys:
            return
        before, self.key = self.key, key
        self._repaint_cursor(before)
        self._repaint_cursor(key)
        self._bring_into_view(key)
        self.post_message(self.Moved(self, key))

    def begin_at(self, key: str) -> None:
        """Put the cursor on a key, where nothing is laid out yet as soon as it is."""
        if self._rows:
            self.move_to(key)
        else:
            self._wanted = key

    def _spots(self, key: str) -> list[int]:
        return [y for y, row in enumerate(self._rows) if row.key == key]

    def _bring_into_view(self, key: str) -> None:
        spots = self._spots(key)
        if spots:
            top, bottom, height = spots[0], spots[-1], self.size.height
            # by force: before the next layout textual does not know yet that there is anything to
            # scroll
            if top < self.scroll_offset.y:
                self.scroll_to(y=0 if key == self.keys[0] else top, animate=False, force=True)
            elif bottom >= self.scroll_offset.y + height:
                self.scroll_to(y=bottom - height + 1, animate=False, force=True)

    def sees(self, key: str) -> bool:
        """Return whether the key's first row is in view."""
        top = self.scroll_offset.y
        return any(row.key == key for row in self._rows[top : top + self.size.height])

    def action_step(self, by: int) -> None:
        keys = self.keys if self._cursor else []
        if not keys:
            self.scroll_relative(y=by, animate=False)
            return
        at = keys.index(self.key) if self.key in keys else -by
        if 0 <= at + by < len(keys):
            self.move_to(keys[at + by])
        else:
            self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        self.scroll_relative(y=by * max(1, self.size.height - 1), animate=False)
        keys = self.keys if self._cursor else []
        if keys:
            shown = [row.key for row in self._visible_rows(by) if row.key is not None]
            if shown and self.key not in shown:
                self.move_to(shown[0] if by > 0 else shown[-1])

    def _visible_rows(self, by: int) -> list[Row]:
        top = min(max(0, self.scroll_offset.y), max(0, len(self._rows) - 1))
        return self._rows[top : top + self.size.height]

    def action_edge(self, by: int) -> None:
        keys = self.keys if self._cursor else []
        if keys:
            self.move_to(keys[-1 if by > 0 else 0])
        self.scroll_to(y=self.virtual_size.height if by > 0 else 0, animate=False)

    def action_choose(self) -> None:
        """Acts only on what is in view: a cursor that was scrolled away is brought back first."""
        if not self._cursor or self.key is None:
            return
        if self.sees(self.key):
            self.post_message(self.Chosen(self, self.key))
        else:
            self._bring_into_view(self.key)

    def on_click(self, event: events.Click) -> None:
        at = event.y + self.scroll_offset.y
        if self._cursor and 0 <= at < len(self._rows):
            key = self._rows[at].key
            if key is not None:
                self.move_to(key)
