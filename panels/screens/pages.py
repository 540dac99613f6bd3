"""Full-size views of lines that scroll, and views of several pages that ← and → turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from cockpit.model.situation import Situation
from panels.kit.line_widget import ScrolledLines
from panels.kit.spans import BLANK, Line
from panels.kit.theme import Appearance
from panels.screens.view import Bar, View

#: What works in a view of pages, as its last row tells it.
KEYS = (("←→", "page"), ("↑↓ pgup pgdn", "scroll"), ("esc", "back"))


class ScrolledPage(ScrolledLines):
    """Lines as high as the view, with the keys that scroll them.

    Only what is on screen is drawn.
    """

    DEFAULT_CSS = "ScrolledPage { height: 1fr; width: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False),
        Binding("home,g", "first", "First", show=False),
        Binding("end,G", "last", "Last", show=False),
    ]


class PageLines(ScrolledPage):
    """One of several pages: `draw(situation, page, width)` gives its lines, none while there is
    nothing to tell.
    """

    def __init__(self, look: Appearance, page: str, draw: Callable[[Situation, str, int], Sequence[Line]]) -> None:
        super().__init__(look)
        self._page = page
        self._lines_of = draw

    def picture(self, width: int, height: int) -> list[Line]:
        lines = [] if self.situation is None else self._lines_of(self.situation, self._page, max(20, width - 2))
        return [((" ", "text"), *line) for line in lines[self.window(len(lines), height)]] or [BLANK]

    def turn(self, page: str) -> None:
        self._page, self.top = page, 0
        self.sync()


class PagesView(View):
    """`page` is the name of the page.

    Subclasses give `TITLES`, in the order in which they are turned, and draw in `turned`.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "turn(1)", "Next page", show=False),
        Binding("left,h", "turn(-1)", "Page before", show=False),
    ]
    TITLES: ClassVar[Mapping[str, str]]  # name → title
    BRAND: ClassVar[str] = ""  # before the titles; without one the title that is shown stands out itself
    page: str

    @classmethod
    def first_of(cls, name: str) -> str:
        """The page of that name; an unknown one is the first."""
        return name if name in cls.TITLES else next(iter(cls.TITLES))

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
