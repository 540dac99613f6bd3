"""Widgets made of lines: a picture is a list of `Line`, and only the cells that differ from the last picture are repainted.

`LineWidget` is the bare mechanism (strips of the head). `LinesPanel` adds a frame with number, title, state mark and age, fault
lines, and scrolling. Panels are pure: `content(situation, width)` in, lines out; they hold nothing but a scroll position.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.color import TRANSPARENT
from textual.filter import LineFilter
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from cockpit.model.signal import Level, worst
from cockpit.model.situation import Situation
from cockpit.text import clean
from panels.facts import Trouble, query_age, query_trouble
from panels.pieces import BLANK, Line, Piece, changed, fit, line_width, plain, to_strip, width_of
from panels.theme import ALERT, Look
from panels.words import age


class LineWidget(Widget):
    """Draws `picture(width, height)`. `sync()` compares it with what is on screen and refreshes the differing cells only."""

    def __init__(self, look: Look | None = None, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.look = look or Look()
        self.situation: Situation | None = None
        self._drawn: list[Line] = []
        self._strips: list[Strip | None] = []
        self._drawn_size = Size(0, 0)
        self._filters: Sequence[LineFilter] = ()
        self._background = TRANSPARENT
        self._owed: list[Region] | None = None  # while held back: what is to be refreshed

    def picture(self, width: int, height: int) -> Sequence[Line]:
        """At most `height` lines of at most `width` cells (what is wider is cut off). Pure, but for what the operator scrolled or typed."""
        raise NotImplementedError

    def show(self, situation: Situation) -> None:
        """Draw this situation. Cheap when nothing that is visible changed."""
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
        """Strips as they are kept: borders, padding, tints and the like, which textual's own way looks for in every line of every
        repaint (half of its cost), are none of ours."""
        size = self.size
        if size != self._drawn_size:
            self._draw(size)
        if size != self.outer_size:
            return super().render_lines(crop)
        strips = [self.render_line(y) for y in crop.line_range]
        return strips if crop.column_span == (0, size.width) else [s.crop(*crop.column_span) for s in strips]

    def render_line(self, y: int) -> Strip:
        size = self._drawn_size
        if y >= len(self._strips):
            return Strip.blank(size.width, self.look.style("text"))
        strip = self._strips[y]
        if strip is None:
            strip = to_strip(self._drawn[y], size.width, self.look)
            for each in self._filters:
                strip = strip.apply_filter(each, self._background)
            self._strips[y] = strip
        return strip

    def on_mount(self) -> None:
        self.sync()

    def on_resize(self) -> None:
        self.sync()


class ScrolledLines(LineWidget, can_focus=True):
    """More lines than fit: `window` cuts out those on screen, the actions move them. Subclasses bind the keys."""

    FRAME_ROWS: ClassVar[int] = 0  # of its height, what holds no lines
    WHEEL: ClassVar[int] = 3  # lines a notch

    def __init__(self, look: Look | None = None, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(look, id=id)
        self.top = 0  # first line on screen
        self.total = 0  # lines in all

    def window(self, total: int, height: int) -> slice:
        """Which of `total` lines are on screen, `height` at most. The top stays where it is as long as the end is not passed."""
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


class LinesPanel(ScrolledLines):
    """A framed panel. Subclasses name their number, title, queries and signals, and write `content`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "down", show=False, id="panel.down"),
        Binding("up,k", "move(-1)", "up", show=False, id="panel.up"),
        Binding("pagedown,ctrl+f", "page(1)", "page down", show=False, id="panel.page-down"),
        Binding("pageup,ctrl+b", "page(-1)", "page up", show=False, id="panel.page-up"),
        Binding("home,g", "first", "first", show=False, id="panel.first"),
        Binding("end,G", "last", "last", show=False, id="panel.last"),
    ]

    FRAME_ROWS = 2
    WHEEL = 2
    number: ClassVar[int] = 0  # its key: 1 to 9, then 0 and -
    key: ClassVar[str] = ""
    title_text: ClassVar[str] = ""
    short: ClassVar[str] = ""  # for the tab line at 80 columns
    queries: ClassVar[tuple[str, ...]] = ()
    signals: ClassVar[tuple[str, ...]] = ()

    @property
    def hotkey(self) -> str:
        """The key that brings it up, as it is shown."""
        return {10: "0", 11: "-"}.get(self.number, str(self.number))

    def __init__(self, look: Look | None = None) -> None:
        super().__init__(look, id=f"panel-{self.key}")
        self.filter = ""
        self._shown_stamp: tuple[object, ...] | None = None

    def show(self, situation: Situation) -> None:
        """As `LineWidget.show`, but a panel of queries is drawn again only when an answer, a state or the second changed."""
        self.situation = situation
        stamp = self._stamp(situation) if self.queries else None
        if stamp is None or stamp != self._shown_stamp:
            self._shown_stamp = stamp
            self.sync()

    def _stamp(self, situation: Situation) -> tuple[object, ...]:
        readings = [situation.queries.get(name) for name in self.queries]
        return (
            int(situation.mono),
            [None if r is None else (r.observed_at, r.fault) for r in readings],
            [None if (s := situation.signals.get(name)) is None else (s.level, s.value) for name in self.signals],
            situation.toggles,
        )

    # --- what a panel says -------------------------------------------------------------------------------------------

    def content(self, situation: Situation, width: int) -> list[Line]:
        raise NotImplementedError

    def level(self, situation: Situation) -> Level:
        """What the mark in the title and on the tab says: the worst of the panel's signals; unknown while it has faults."""
        levels = [situation.signals[name].level for name in self.signals if name in situation.signals]
        if self.trouble(situation):
            levels.append(Level.UNKNOWN)
        return worst(levels or [Level.OK])

    def trouble(self, situation: Situation) -> list[Trouble]:
        """Why what the panel shows may not be true now; empty when all of it is live."""
        return query_trouble(situation, self.queries)

    def age_s(self, situation: Situation) -> float | None:
        """The age of the panel's oldest data; None when it has none."""
        return query_age(situation, self.queries)

    def aside(self, situation: Situation) -> Line:
        """Words at the right end of the title line, before the age."""
        return ()

    def note(self) -> str:
        """Words in the bottom line of the frame."""
        shown = max(1, self.size.height - 2)
        parts = [f"/{self.filter}"] if self.filter else []
        if self.total > shown:
            parts.append(f"{self.top + 1}–{min(self.total, self.top + shown)} of {self.total:,}")
        return "  ".join(parts)

    # --- picture -----------------------------------------------------------------------------------------------------

    def picture(self, width: int, height: int) -> list[Line]:
        frame = "focus" if self.has_focus else "frame"
        inner = max(0, width - 4)
        body = self.body(inner, max(0, height - 2))
        lines = [self._title(width, frame)]
        for line in body[: height - 2] + [BLANK] * (height - 2 - len(body)):
            gap = inner - line_width(line)
            if gap < 0:
                line = fit(line, inner)
                gap = inner - line_width(line)
            lines.append((("│ ", frame), *line, (" " * gap, line[-1][1] if line else "text"), (" │", frame)))
        lines.append(self._bottom(width, frame))
        return lines

    def body(self, width: int, height: int) -> list[Line]:
        """The visible part of the content, faults first."""
        if self.situation is None:
            self.total = 0
            return [(("waiting for the first reading", "dim"),)]
        faults = fault_lines(self.trouble(self.situation), width)
        lines = self.content(self.situation, width)
        if self.filter:
            lines = [line for line in lines if self.filter.lower() in plain(line).lower()] or [
                (("nothing matches", "dim"),)
            ]
        lines = faults + lines
        return lines[self.window(len(lines), height)]

    def _title(self, width: int, frame: str) -> Line:
        left: list[Piece] = [("╭─ ", frame), (self.hotkey, "key"), (f" {self.title_text} ", "title")]
        right: list[Piece] = []
        if self.situation is not None:
            level = self.level(self.situation)
            if ALERT[level]:
                left.append((f"{ALERT[level]} ", level.value))
            aside = self.aside(self.situation)
            seconds = self.age_s(self.situation)
            if aside:
                right += [(" ", frame), *aside, (" ", frame)]
            if seconds is not None:
                late = bool(self.trouble(self.situation))
                right += [(f"{'' if right else ' '}{age(seconds)}", "unknown" if late else "faint"), (" ", frame)]
        right.append(("─╮", frame))
        if line_width(tuple(left)) + line_width(tuple(right)) > width:
            right = [("╮", frame)]
        left_line = fit(tuple(left), width - line_width(tuple(right)))
        dashes = width - line_width(left_line) - line_width(tuple(right))
        return (*left_line, ("─" * dashes, frame), *right)

    def _bottom(self, width: int, frame: str) -> Line:
        note = self.note()
        if not note or width_of(note) + 6 > width:
            return (("╰" + "─" * (width - 2) + "╯", frame),)
        dashes = width - width_of(note) - 5
        return (("╰" + "─" * dashes + " ", frame), (note, "key" if self.filter else "dim"), (" ─╯", frame))

    # --- what the operator does ----------------------------------------------------------------------------------------

    def set_filter(self, text: str) -> None:
        """Show only what contains `text`; empty shows all."""
        self.filter = text
        self.sync()

    def on_focus(self) -> None:
        self.sync()

    def on_blur(self) -> None:
        self.sync()


def fault_lines(troubles: Sequence[Trouble], width: int) -> list[Line]:
    """A fault and its remedy, on one line where they fit, else the reason wrapped below: it is what the operator needs."""
    lines: list[Line] = []
    for trouble in troubles:
        role = "crit" if trouble.hard else "unknown"
        head: Line = (("? ", "unknown"), (f"{trouble.what}: ", "text"), (trouble.state, role))
        reason: Line = ((f": {trouble.reason}", "text"),) if trouble.reason else ()
        tail: Line = ((f"→ {trouble.remedy}", "accent"),) if trouble.remedy else ()
        if line_width((*head, *reason, *tail)) + 2 <= width:
            lines.append((*head, *reason, *((("  ", "text"), *tail) if tail else ())))
            continue
        if line_width((*head, *reason)) <= width:
            lines.append((*head, *reason))
        else:
            lines.append(head)
            lines += [(("  ", "text"), (part, "text")) for part in _wrapped(trouble.reason, width - 2)]
        lines += [
            (("  ", "text"), (part, "accent"))
            for part in _wrapped(f"→ {trouble.remedy}" if trouble.remedy else "", width - 2)
        ]
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return wrap(clean(text), max(10, width), max_lines=2, placeholder=" …")
