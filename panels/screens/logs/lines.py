"""Draws the lines of the log view in a line-API widget.

Cost follows what is visible; appending repaints only when following.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

from rich.cells import chop_cells
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cockpit.model.reading import Fault
from panels.keys import moving
from panels.kit.marks import SIGN, ink
from panels.kit.mouse.drag import Draggable
from panels.kit.theme import Appearance
from panels.kit.words import clock
from panels.screens.logs.page import LogLineLike, LogPage, Said, rows_of

_POD_WIDTH = 24  # at most, for what distinguishes the pods' names
_POD_COLOURS = (
    "cyan",
    "green",
    "yellow",
    "magenta",
    "blue",
    "bright_cyan",
    "bright_green",
    "bright_yellow",
    "bright_magenta",
)


@lru_cache(maxsize=32)
def _folded(text: str, width: int) -> tuple[str, ...]:
    """Fold once for all the rows of a line that is in the picture."""
    return tuple(chop_cells(text, width)) or ("",)


class LogLines(Draggable, ScrollView, can_focus=True):
    """Follows the newest line until the operator moves up or pauses; then it stands still."""

    DEFAULT_CSS = """
    LogLines {
        height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: scroll;
        scrollbar-size-vertical: 1; background: $background;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *moving("step", first="oldest", last="newest"),
        Binding("left", "slide(-8)", "Left", show=False),
        Binding("right", "slide(8)", "Right", show=False),
    ]

    class Changed(Message):
        """Says that something that the bars show is different."""

    def __init__(self, appearance: Appearance, page: LogPage | None = None) -> None:
        super().__init__()
        self.appearance = appearance
        self.model = page or LogPage()
        self.following = True
        self.wrapped = False
        self.cursor: int | None = None  # sequence number
        self.new = 0  # shown lines that came since it stands still
        self._starts: list[int] = []  # first row of each shown line
        self._rows = 0
        self._shift = 0  # cells slid to the right, when not wrapped
        self._width = 0
        self._common = 0  # cells that all pods' names begin with
        self._pod_width = 0

    # -- lines in

    def append(self, items: Sequence[LogLineLike | Fault]) -> None:
        if not items:
            return
        pods = len(self.model.pods), len(self.model.containers)
        rows_before = self._rows
        added, gone = self.model.append(items)
        if (len(self.model.pods), len(self.model.containers)) != pods:
            self._name_pods()
            self._measure()
        elif gone:
            cut = self._starts[gone] if gone < len(self._starts) else rows_before
            self._measure()
            if not self.following:
                self.scroll_to(y=max(0, self.scroll_offset.y - cut), animate=False)
        else:
            self._extend(added)
        if self.following:
            if added or gone:
                self._to_end()
        else:
            self.new += added
            if rows_before < self.size.height:
                self.refresh()
        self.post_message(self.Changed())

    def clear(self) -> None:
        self.model.clear()
        self.cursor, self.new, self.following = None, 0, True
        self.model.held = False
        self._measure()
        self.refresh()
        self.post_message(self.Changed())

    def set_filter(self, query: str, inverse: bool) -> str:
        problem = self.model.set_filter(query, inverse)
        if not problem:
            self._measure()
            if self.following:
                self._to_end()
            elif self.cursor is not None:
                self._reveal(self._nearest(self.cursor))
            self.refresh()
        self.post_message(self.Changed())
        return problem

    # -- geometry

    @property
    def _show_pod(self) -> bool:
        return len(self.model.pods) > 1

    @property
    def _lead(self) -> int:
        """Count the cells before the text: mark, time, pod."""
        return 11 + (self._pod_width + 1 if self._show_pod else 0)

    def _name_pods(self) -> None:
        """Leave of the pods' names only what distinguishes them, so that the text keeps room."""
        names = list(self.model.pods)
        first, last = min(names), max(names)
        same = next(
            (i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last))
        )
        self._common = first[:same].rfind("-") + 1 if len(names) > 1 else 0
        self._pod_width = min(_POD_WIDTH, max(len(name) - self._common for name in names))

    @property
    def _text_width(self) -> int:
        return max(8, self.scrollable_content_region.width - self._lead)

    def _folds(self, entry: LogLineLike) -> bool:
        """Return whether a line is folded, as the cockpit's own always are, to be read whole.

        Why there is no log stands at their end.
        """
        return self.wrapped or isinstance(entry, Said)

    def _measure(self) -> None:
        self._starts, self._rows = [], 0
        self._extend(len(self.model.shown))

    def _extend(self, count: int) -> None:
        width = self._text_width
        for number in self.model.shown[len(self.model.shown) - count :]:
            self._starts.append(self._rows)
            entry = self.model.line(number)
            self._rows += rows_of(entry.text, width, self._folds(entry))
        size = Size(self.scrollable_content_region.width, self._rows)
        if size != self.virtual_size:
            self.virtual_size = size

    def on_resize(self, event: events.Resize) -> None:
        if self.scrollable_content_region.width != self._width:
            self._width = self.scrollable_content_region.width
            self._measure()
        if self.following:
            self._to_end()

    def _to_end(self) -> None:
        self.cursor = self.model.shown[-1] if self.model.shown else None
        self.scroll_to(y=max(0, self._rows - self.size.height), animate=False)
        self.refresh()

    def _nearest(self, number: int) -> int | None:
        shown = self.model.shown
        at = bisect_right(shown, number) - 1
        return shown[max(0, at)] if shown else None

    def _index(self, number: int | None) -> int:
        if number is None:
            return -1
        return bisect_right(self.model.shown, number) - 1

    def _reveal(self, number: int | None) -> None:
        """Move the cursor there and bring it into view."""
        if number is None:
            return
        self.cursor = number
        top = self._starts[self._index(number)]
        height = self.size.height
        entry = self.model.line(number)
        tall = rows_of(entry.text, self._text_width, self._folds(entry))
        if top < self.scroll_offset.y:
            self.scroll_to(y=top, animate=False)
        elif top + tall > self.scroll_offset.y + height:
            self.scroll_to(y=top + tall - height, animate=False)
        self.refresh()

    # -- drawing

    def render_line(self, y: int) -> Strip:
        row = y + self.scroll_offset.y
        width, base = self.size.width, self.rich_style
        shown = self.model.shown
        if row >= self._rows or not shown:
            if not shown and y == 1:
                words = "nothing matches the filter" if self.model.lines else "no lines yet"
                return Strip([Segment(f"  {words}", base + ink(self.appearance, "dim"))]).adjust_cell_length(
                    width, base
                )
            return Strip.blank(width, base)
        at = bisect_right(self._starts, row) - 1
        entry = self.model.line(shown[at])
        if shown[at] == self.cursor and not self.following:
            base += ink(self.appearance, "cursor" if self.has_focus else "idle")
        part = row - self._starts[at]
        lead = self._lead_segments(entry, base) if part == 0 else [Segment(" " * self._lead, base)]
        if self._folds(entry):
            parts = _folded(entry.text, self._text_width)
            text = parts[part] if part < len(parts) else ""
        else:
            text = self._window(entry)
        segments = [*lead, *self._text_segments(entry, text, base)]
        return Strip(segments).crop(0, width).adjust_cell_length(width, base)

    def _window(self, entry: LogLineLike) -> str:
        """Return what of an unfolded line is in the picture, so that the filter's match is."""
        match, width = self.model.first_match(entry), self._text_width
        start = self._shift
        if start == 0 and match + len(self.model.query) > width:
            start = max(0, match - width // 3)
            return "…" + entry.text[start + 1 : start + 4 * width]
        return entry.text[start : start + 4 * width]  # some characters take no cell

    def _lead_segments(self, entry: LogLineLike, base: Style) -> list[Segment]:
        mark = (self.appearance.glyphs(SIGN["crit"]), "crit") if entry.error else (" ", "text")
        segments = [
            Segment(f"{mark[0]} ", base + ink(self.appearance, mark[1])),
            Segment(f"{clock(entry.at) if entry.at is not None else ' ' * 8} ", base + ink(self.appearance, "dim")),
        ]
        if self._show_pod:
            name = entry.pod[self._common :][-self._pod_width :]
            style = Style(color=_POD_COLOURS[self.model.pods.get(entry.pod, 0) % len(_POD_COLOURS)])
            colour = style if self.appearance.colours != "none" else Style()
            segments.append(Segment(f"{name:<{self._pod_width}} ", base + colour))
        return segments

    def _text_segments(self, entry: LogLineLike, text: str, base: Style) -> list[Segment]:
        plain = base + ink(self.appearance, "crit" if entry.error else "text")
        text = self.appearance.glyphs(text)
        if entry.trace and entry.trace in text:
            head, _, tail = text.partition(entry.trace)
            trace = base + ink(self.appearance, "accent") + Style(underline=True)
            trace += self.appearance.hyperlink(self.appearance.links.of_trace(entry.trace))
            return [Segment(head, plain), Segment(entry.trace, trace), Segment(tail, plain)]
        return [Segment(text, plain)]

    # -- moving

    def hold(self, still: bool) -> None:
        """Stand still (True) or follow the newest line again (False)."""
        if still and self.following:
            self.following, self.model.held, self.new = False, True, 0
        elif not still:
            self.following, self.model.held, self.new = True, False, 0
            self._to_end()
        self.refresh()
        self.post_message(self.Changed())

    def action_step(self, by: int) -> None:
        shown = self.model.shown
        if not shown or (self.following and by > 0):
            return
        self.hold(True)
        at = self._index(self.cursor) + by
        self._reveal(shown[max(0, min(len(shown) - 1, at))])

    def action_page(self, by: int) -> None:
        if not self.model.shown or (self.following and by > 0):
            return
        self.hold(True)
        height = max(1, self.size.height - 1)
        target = max(0, min(max(0, self._rows - self.size.height), self.scroll_offset.y + by * height))
        at_edge = target == self.scroll_offset.y
        self.scroll_to(y=target, animate=False)
        row = (0 if by < 0 else self._rows - 1) if at_edge else target if by < 0 else target + height
        self._reveal(self.model.shown[max(0, bisect_right(self._starts, row) - 1)])

    def action_oldest(self) -> None:
        if self.model.shown:
            self.hold(True)
            self._reveal(self.model.shown[0])

    def action_newest(self) -> None:
        self.hold(False)

    def action_slide(self, by: int) -> None:
        if not self.wrapped:
            self._shift = max(0, self._shift + by)
            self.refresh()

    def to_error(self, by: int) -> bool:
        """Go to the next or previous error; False when there is none that way."""
        here = self.cursor if self.cursor is not None else -1
        if self.following and by < 0 and self.model.shown and self.model.line(self.model.shown[-1]).error:
            here += 1
        found = self.model.error_after(here, by)
        if found is not None:
            self.hold(True)
            self._reveal(found)
        return found is not None

    def toggle_wrap(self) -> None:
        self.wrapped, self._shift = not self.wrapped, 0
        self._measure()
        if self.following:
            self._to_end()
        else:
            self._reveal(self.cursor)
        self.refresh()

    @property
    def current(self) -> LogLineLike | None:
        at = self._index(self.cursor)
        return self.model.line(self.model.shown[at]) if 0 <= at < len(self.model.shown) else None

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        event.prevent_default()
        self.action_step(-3)

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        event.prevent_default()
        self.action_step(3)

    def on_click(self, event: events.Click) -> None:
        row = event.y + self.scroll_offset.y
        if self.model.shown and 0 <= row < self._rows:
            self.hold(True)
            self._reveal(self.model.shown[bisect_right(self._starts, row) - 1])
