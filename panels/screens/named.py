"""Shows rows about what is named, drawn anew with each situation."""

from __future__ import annotations

from typing import ClassVar

from cockpit.model.situation import Situation
from panels.kit.spans import Line
from panels.kit.theme import Appearance
from panels.screens.pages import ScrolledPage
from panels.screens.view import Bar, RowsView


class NamedRows(ScrolledPage):
    """Scrolls the lines of a situation; `names` are what they are about, empty for all."""

    def __init__(self, appearance: Appearance, names: tuple[str, ...]) -> None:
        super().__init__(appearance)
        self.names = names
        self.situation: Situation | None = None

    def tell(self, situation: Situation) -> None:
        self.situation = situation
        self.sync()

    def picture(self, width: int, height: int) -> list[Line]:
        if self.situation is None:
            return []
        lines = self.lines(self.situation, width)
        return lines[self.window(len(lines), height)]

    def lines(self, situation: Situation, width: int) -> list[Line]:
        """Return all of them."""
        raise NotImplementedError


class NamedView(RowsView):
    """Shows such rows (`ROWS`) below a `TITLE`: its name, and what it is; posts CloseLayer."""

    STATE = False
    TITLE: ClassVar[tuple[str, str]]
    ROWS: ClassVar[type[NamedRows]]

    def __init__(
        self, names: tuple[str, ...], situation: Situation | None = None, *, appearance: Appearance | None = None
    ) -> None:
        appearance = appearance or Appearance()
        self.rows = self.ROWS(appearance, names)
        super().__init__(self.rows, appearance)
        self._situation = situation

    def opened(self) -> None:
        super().opened()
        name, words = self.TITLE
        self.query_one("#top", Bar).say((f" {name} ", "brand"), (f"  {words}", "dim"))
        if self._situation is not None:
            self.show(self._situation)

    def show(self, situation: Situation) -> None:
        self._situation = situation
        self.rows.tell(situation)
