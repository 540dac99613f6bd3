"""Draws lines into cells: eight braille dots a cell, or one letter where there is no braille."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

#: Bit of each dot of a braille cell, by column and row.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BRAILLE = 0x2800


class Canvas:
    """Holds cells; `line` draws into them. `letters`: one letter a cell instead of dots."""

    def __init__(self, width: int, height: int, *, letters: bool) -> None:
        self.width, self.height = width, height
        self.columns, self.rows = (width, height) if letters else (2 * width, 4 * height)
        self._letters = letters
        self._bits: dict[tuple[int, int], int] = {}
        self._letter: dict[tuple[int, int], str] = {}
        self._role: dict[tuple[int, int], str] = {}

    def line(self, points: Sequence[tuple[int, int]], role: str, letter: str) -> None:
        """Join points (column, row from the top) of one piece without a gap."""
        for place, here in enumerate(points):
            for column, row in _between(points[place - 1], here) if place else (here,):
                self._dot(column, row, role, letter)

    def _dot(self, column: int, row: int, role: str, letter: str) -> None:
        if not (0 <= column < self.columns and 0 <= row < self.rows):
            return
        cell = (column, row) if self._letters else (column // 2, row // 4)
        self._role[cell] = role  # what is drawn last lies on top
        if self._letters:
            self._letter[cell] = letter
        else:
            self._bits[cell] = self._bits.get(cell, 0) | _DOTS[column % 2][row % 4]

    def cell(self, column: int, row: int) -> tuple[str, str] | None:
        """Return sign and role of a cell; None where nothing is drawn."""
        at = (column, row)
        if at not in self._role:
            return None
        return (self._letter[at] if self._letters else chr(_BRAILLE + self._bits[at])), self._role[at]


def _between(start: tuple[int, int], end: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the dots of a straight line (Bresenham)."""
    (x, y), (x_end, y_end) = start, end
    across, down = abs(x_end - x), -abs(y_end - y)
    right, below = (1 if x < x_end else -1), (1 if y < y_end else -1)
    error = across + down
    while True:
        yield x, y
        if (x, y) == (x_end, y_end):
            return
        twice = 2 * error
        if twice >= down:
            error, x = error + down, x + right
        if twice <= across:
            error, y = error + across, y + below
