"""Draws a framed panel of lines, faults first, then content that can be filtered.

Number, title, state mark and age stand in the frame.

Panels are pure: `content(situation, width)` in, lines out; they hold nothing but a scroll position.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.geometry import Region

from cockpit.model import views
from cockpit.model.signal import Level, worst
from cockpit.model.situation import Situation
from cockpit.text import clean
from panels.dashboard.facts.metrics import Trouble, query_age, query_trouble
from panels.keys import moving
from panels.kit.line_widget import ScrolledLines
from panels.kit.spans import BLANK, Line, Span, fit, line_width, plain, width_of
from panels.kit.theme import ALERT, MARK, Appearance
from panels.kit.words import age, value
from panels.messages import Enlarge, OpenView, Selection


class LinesPanel(ScrolledLines):
    """Shows lines in a panel with a frame.

    Subclasses name their queries and signals, and write `content`. Name, title and key are those
    of the row of VIEWS that bears the name of the subclass's module.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *moving(ids="panel"),
        Binding("enter", "open_more", "Open", show=False, id="panel.open"),
    ]

    FRAME_ROWS = 2
    WHEEL = 2
    queries: ClassVar[tuple[str, ...]] = ()
    signals: ClassVar[tuple[str, ...]] = ()

    def __init__(self, appearance: Appearance | None = None) -> None:
        self.spec = views.named(type(self).__module__.rpartition(".")[2].replace("_", "-"))
        super().__init__(appearance, id=f"panel-{self.spec.name}")
        self.filter = ""
        self._shown_stamp: tuple[object, ...] | None = None
        self._drawn_levels: list[Level] = []  # of the rows in the picture: the title says no less

    @property
    def hotkey(self) -> str:
        """Return the key that brings it up; "" where it is no panel of the dashboard."""
        return self.spec.key if isinstance(self.spec, views.PanelSpec) else ""

    def show(self, situation: Situation) -> None:
        """Draw the situation, as `LineWidget.show` does.

        A panel of queries is drawn again only when an answer, a state or the second changed.
        """
        self.situation = situation
        stamp = self._stamp(situation) if self.queries else None
        if stamp is None or stamp != self._shown_stamp:
            self._shown_stamp = stamp
            self.sync()

    def _stamp(self, situation: Situation) -> tuple[object, ...]:
        readings = [situation.queries.get(name) for name in self.queries]
        return (
            int(situation.mono),
            readings,  # each is replaced whole
            [None if (s := situation.signals.get(name)) is None else (s.level, s.value) for name in self.signals],
            situation.toggles,
        )

    # --- what a panel says ------------------------------------------------------------------------

    def content(self, situation: Situation, width: int) -> list[Line]:
        raise NotImplementedError

    def level(self, situation: Situation) -> Level:
        """Return what the mark in the title and on the tab says.

        The worst of the panel's signals; unknown while it has faults.
        """
        levels = [situation.signals[name].level for name in self.signals if name in situation.signals]
        if self.trouble(situation):
            levels.append(Level.UNKNOWN)
        return worst(levels or [Level.OK])

    def trouble(self, situation: Situation) -> list[Trouble]:
        """Say why what the panel shows may not be true now; empty when all of it is live."""
        return query_trouble(situation, self.queries)

    def age_s(self, situation: Situation) -> float | None:
        """Return the age of the panel's oldest data; None when it has none."""
        return query_age(situation, self.queries)

    def aside(self, situation: Situation) -> Line:
        """Return the words at the right end of the title line, before the age."""
        return ()

    def note(self) -> str:
        """Return the words in the bottom line of the frame."""
        shown = max(1, self.size.height - 2)
        parts = [f"/{self.filter}"] if self.filter else []
        if self.total > shown:
            parts.append(f"{self.top + 1}–{min(self.total, self.top + shown)} of {self.total:,}")
        return "  ".join(parts)

    # --- picture ----------------------------------------------------------------------------------

    def picture(self, width: int, height: int) -> list[Line]:
        frame = "focus" if self.has_focus else "frame"
        inner = max(0, width - 4)
        body = self.body(inner, max(0, height - 2))
        self._drawn_levels = [level for level in (Level.WARN, Level.CRIT) if _marked(body, level)]
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
        """Return the visible part of the content, faults first."""
        if self.situation is None:
            self.total = 0
            return [(("waiting for the first reading", "dim"),)]
        faults = fault_lines(self.trouble(self.situation), width)
        lines = self.content(self.situation, width)
        lines = [*self.unsaid(self.situation, lines), *lines]
        if self.filter:
            lines = [line for line in lines if self.filter.lower() in plain(line).lower()] or [
                (("nothing matches", "dim"),)
            ]
        lines = faults + lines
        return lines[self.window(len(lines), height)]

    def unsaid(self, situation: Situation, lines: Sequence[Line]) -> list[Line]:
        """Say which signal the mark in the title is of, where no line shows anything so bad."""
        own = [situation.signals[name] for name in self.signals if name in situation.signals]
        level = worst([signal.level for signal in own] or [Level.OK])
        if not level.bad or any(role.partition("+")[0] == level.value for line in lines for _, role in line):
            return []
        decider = next(signal for signal in own if signal.level is level)
        number = value(decider.newest, decider.unit)
        return [((f"{MARK[level]} {number} ", level.value), (decider.title.lower(), "text"))]

    def _title(self, width: int, frame: str) -> Line:
        left: list[Span] = [("╭─ ", frame)]
        named = f"{self.spec.title} "
        left += [(self.hotkey, "key"), (f" {named}", "title")] if self.hotkey else [(named, "title")]
        right: list[Span] = []
        if self.situation is not None:
            level = worst([self.level(self.situation), *self._drawn_levels])
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

    # --- what the operator does -------------------------------------------------------------------

    chooses: ClassVar[bool] = False  # it has a cursor on what can be explained

    @property
    def selection(self) -> Selection | None:
        """Return what the cursor is on, that `x` explains and whose logs `l` opens."""
        return None

    @property
    def charted(self) -> dict[str, str]:
        """Return of what `c` opens the chart: of what the cursor is on, or the panel's numbers."""
        return {"panel": self.spec.name}

    def set_filter(self, text: str) -> None:
        """Show only what contains `text`; empty shows all."""
        self.filter = text
        self.sync()

    def marked_region(self) -> Region:
        return Region(2, 1, max(0, self.size.width - 4), max(0, self.size.height - 2))

    def action_open_more(self) -> None:
        """Open what there is beyond this panel; without that, enlarge it."""
        more = views.OPENED_BY.get(self.spec.name)
        self.post_message(Enlarge() if more is None else OpenView(*more))

    def on_focus(self) -> None:
        self.sync()

    def on_blur(self) -> None:
        self.sync()


def _marked(lines: Sequence[Line], level: Level) -> bool:
    return any(text.startswith(MARK[level]) and role.startswith(level.value) for line in lines for text, role in line)


def fault_lines(troubles: Sequence[Trouble], width: int) -> list[Line]:
    """Return a fault and its remedy on one line where they fit.

    Else the reason is wrapped below: it is what the operator needs.
    """
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
