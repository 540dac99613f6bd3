"""Shows full-size views of lines that scroll, and of several pages that ← and → turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from cockpit.model.situation import Situation
from panels.keys import moving
from panels.kit.line_widget import ScrolledLines
from panels.kit.spans import BLANK, Line
from panels.kit.theme import Appearance
from panels.screens.view import Bar, RowsView


class ScrolledPage(ScrolledLines):
    """Shows lines as high as the view, with the keys that scroll them.

    Only what is on screen is drawn.
    """

    DEFAULT_CSS = "ScrolledPage { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        *moving(),
    ]


class PageLines(ScrolledPage):
    """Shows one of several pages: `draw(situation, page, width)` gives its lines."""

    def __init__(self, appearance: Appearance, draw: Callable[[Situation, str, int], Sequence[Line]]) -> None:
        super().__init__(appearance)
        self._page = ""
        self._lines_of = draw

    def picture(self, width: int, height: int) -> list[Line]:
        lines = [] if self.situation is None else self._lines_of(self.situation, self._page, max(20, width - 2))
        return [((" ", "text"), *line) for line in lines[self.window(len(lines), height)]] or [BLANK]

    def turn(self, page: str) -> None:
        self._page, self.top = page, 0
        self.sync()


class PagesView(RowsView):
    """Shows one of several pages: `page` is its name; ← and → turn it.

    Subclasses give `TITLES`, in the order in which they are turned, and draw in `turned`.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "turn(1)", "Next page", show=False),
        Binding("left,h", "turn(-1)", "Page before", show=False),
    ]
    KEYS = (("←→", "page"), *RowsView.KEYS)
    TITLES: ClassVar[Mapping[str, str]]  # name → title
    BRAND: ClassVar[str] = ""  # before the titles; without one the title that is shown stands out itself

    def __init__(self, page: str, rows: Widget, appearance: Appearance) -> None:
        super().__init__(rows, appearance)
        self.page = page if page in self.TITLES else next(iter(self.TITLES))

    def turned(self) -> None:
        """Draw the page that is `page` now."""
        raise NotImplementedError

    def action_turn(self, by: int) -> None:
        names = list(self.TITLES)
        self.page = names[(names.index(self.page) + by) % len(names)]
        self.turned()

    def tell_title(self) -> None:
        if self.BRAND:
            spans = [(f" {self.BRAND} ", "brand")]
            spans += [(f"  {title}", "key" if name == self.page else "dim") for name, title in self.TITLES.items()]
        else:
            spans = [(f" {title} ", "brand" if name == self.page else "dim") for name, title in self.TITLES.items()]
        self.query_one("#top", Bar).say(*spans)


class SituationPages(PagesView):
    """Shows pages drawn from the situation by `lines(situation, page, width)`.

    An unknown `page` shows the first.
    """

    def __init__(
        self, page: str = "", situation: Situation | None = None, *, appearance: Appearance | None = None
    ) -> None:
        appearance = appearance or Appearance()
        self.rows = PageLines(appearance, self.lines)
        super().__init__(page, self.rows, appearance)
        self._situation = situation

    @staticmethod
    def lines(situation: Situation, page: str, width: int) -> Sequence[Line]:
        """Return the lines of one page; none while there is nothing to tell."""
        raise NotImplementedError

    def opened(self) -> None:
        super().opened()
        self.turned()

    def show(self, situation: Situation) -> None:
        self._situation = situation
        self.rows.show(situation)

    def turned(self) -> None:
        self.rows.turn(self.page)
        self.tell_title()
        if self._situation is not None:
            self.show(self._situation)
