"""Shows a panel with a cursor that follows its object.

Rows are keys; a row is rendered only while it is on screen.

The cursor belongs to the key, not to the row: sorting and refreshing never move it to another
object. When its object is gone, the cursor stays where it was but selects nothing until the
operator moves it: no key press ever hits a neighbour.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import ClassVar

from textual import events

from cockpit.model.situation import Situation
from panels.dashboard.frame.panel import LinesPanel, fault_lines
from panels.kit.spans import Column, Line, Span, fit_columns, heading, row
from panels.kit.theme import Appearance

SORT_EVERY_S = 1.0


class TablePanel(LinesPanel):
    """Draws one row a key, with a cursor on one of them.

    Subclasses give `columns`, `keys(situation)` (all of them, in order) and `cells(key, situation)`
    (one row's spans).
    """

    columns: ClassVar[tuple[Column, ...]] = ()
    empty: ClassVar[str] = "nothing to show"

    def __init__(self, appearance: Appearance | None = None) -> None:
        super().__init__(appearance)
        self.keys_shown: Sequence[Hashable] = ()
        self.cursor: Hashable | None = None
        self._index = 0
        self._gone = False
        self._touched = False
        self._sorted_at: float | None = None
        self._rows_height = 1
        self._first_row_y = 1

    def keys(self, situation: Situation) -> Sequence[Hashable]:
        raise NotImplementedError

    def cells(self, key: Hashable, situation: Situation) -> Sequence[Span]:
        raise NotImplementedError

    def columns_for(self, width: int) -> tuple[Column, ...]:
        return self.columns

    def preamble(self, situation: Situation, width: int) -> list[Line]:
        """Return the lines above the table."""
        return []

    def due(self, situation: Situation, last: float) -> bool:
        """Tell whether to order the rows anew; once a second is enough.

        `last` is the monotonic time when that was done.
        """
        return situation.mono - last >= SORT_EVERY_S or situation.mono < last

    def show(self, situation: Situation) -> None:
        self.situation = situation
        # a table that has no rows yet takes its first ones at once
        if self._sorted_at is None or not self.keys_shown or self.due(situation, self._sorted_at):
            self._order(situation)
        self.sync()

    def reorder(self) -> None:
        """Order the rows now: the operator changed a filter or opened a group."""
        if self.situation is not None:
            self._order(self.situation)
        self.sync()

    def _order(self, situation: Situation) -> None:
        self._sorted_at = situation.mono
        before = self._index
        self.keys_shown = keys = self.keys(situation)
        if not keys:
            self._gone, self._index = self.cursor is not None, 0
            return
        if not self._touched or self.cursor is None:
            self.cursor, self._index, self._gone, self.top = keys[0], 0, False, 0
            return
        try:
            self._index = keys.index(self.cursor)
            self._gone = False
            # Keep the object on the same line of the screen while rows above it come and go.
            if self.top > 0:
                self.top += self._index - before
        except ValueError:
            self._gone = True
            self._index = min(before, len(keys) - 1)
        self._reveal()

    def _reveal(self) -> None:
        height = max(1, self._rows_height)
        self.top = max(self._index - height + 1, min(self.top, self._index))
        self.top = max(0, min(self.top, len(self.keys_shown) - height))

    @property
    def selected_key(self) -> Hashable | None:
        """Return the key under the cursor; None when there is none, or when its object is gone."""
        return None if self._gone or not self.keys_shown else self.cursor

    def point_at(self, key: Hashable) -> bool:
        """Put the cursor on this object; False when it is not among the rows."""
        if key not in self.keys_shown:
            return False
        self._touch(self.keys_shown.index(key))
        return True

    def _touch(self, index: int) -> None:
        if not self.keys_shown:
            return
        self._touched = True
        self._index = max(0, min(index, len(self.keys_shown) - 1))
        self.cursor = self.keys_shown[self._index]
        self._gone = False
        self._reveal()
        self.sync()

    # --- picture ----------------------------------------------------------------------------------

    def content(self, situation: Situation, width: int) -> list[Line]:
        raise NotImplementedError  # `body` draws the visible rows only

    def body(self, width: int, height: int) -> list[Line]:
        situation = self.situation
        if situation is None:
            return super().body(width, height)
        lines = fault_lines(self.trouble(situation), width) + self.preamble(situation, width)
        self.total = len(self.keys_shown)
        if not self.keys_shown:
            # With a fault above, "none" would be a claim that nobody can make.
            words = f"nothing matches /{self.filter}" if self.filter else "" if lines else self.empty
            return [*lines, ((words, "dim"),)]
        columns = self.columns_for(width)
        widths = fit_columns(columns, width)
        lines.append(heading(columns, widths))
        self._first_row_y = len(lines) + 1
        rows = max(1, height - len(lines))
        if rows != self._rows_height:
            self._rows_height = rows
            self._reveal()
        for place in range(self.top, min(self.total, self.top + rows)):
            line = row(self.cells(self.keys_shown[place], situation), columns, widths)
            if place == self._index:
                # A cursor whose object is gone is not painted: there is nothing under it.
                role = "" if self._gone else "+cursor" if self.has_focus else "+idle"
                line = tuple((text, f"{kind}{role}") for text, kind in line)
            lines.append(line)
        return lines

    def note(self) -> str:
        parts = [f"/{self.filter}"] if self.filter else []
        if self.total > self._rows_height:
            parts.append(f"{self.top + 1}–{min(self.total, self.top + self._rows_height)} of {self.total:,}")
        elif self.filter:
            parts.append(f"{self.total:,}")
        return "  ".join(parts)

    # --- what the operator does -------------------------------------------------------------------

    def set_filter(self, text: str) -> None:
        self.filter = text
        self.reorder()

    def action_move(self, by: int) -> None:
        self._touch(self._index + by)

    def action_page(self, by: int) -> None:
        self._touch(self._index + by * max(1, self._rows_height - 1))

    def action_first(self) -> None:
        self._touch(0)

    def action_last(self) -> None:
        self._touch(len(self.keys_shown) - 1)

    def on_click(self, event: events.Click) -> None:
        place = self.top + event.y - self._first_row_y
        if event.y >= self._first_row_y and place < len(self.keys_shown):
            self._touch(place)
