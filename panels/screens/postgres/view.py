"""The database in full: one page a topic, each with its own state; ← and → turn them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult

from cockpit.model.reading import NOTHING_READ
from cockpit.model.situation import Situation
from panels.dashboard.facts.database import oldest, trouble
from panels.kit.spans import Line
from panels.kit.theme import Appearance
from panels.kit.words import age
from panels.screens.pages import KEYS, PageLines, PagesView
from panels.screens.postgres.pages import PAGES, page
from panels.screens.view import Bar


def _page(situation: Situation, name: str, width: int) -> list[Line]:
    return page(situation, name, width) if "postgres" in situation.configured else []


class PostgresView(PagesView):
    """The app hands it each new situation: `show(situation)`.

    `name`: a key of PAGES; an unknown one shows the first.
    """

    TITLES: ClassVar[Mapping[str, str]] = {name: title for name, (title, _) in PAGES.items()}
    BRAND = "POSTGRES"

    def __init__(self, name: str = "", situation: Situation | None = None, *, look: Appearance | None = None) -> None:
        super().__init__(look)
        self.page = self.first_of(name)
        self.rows = PageLines(self.look, self.page, _page)
        self._situation = situation

    def compose(self) -> ComposeResult:
        yield Bar(self.look, id="top")
        yield Bar(self.look, id="state")
        yield self.rows
        yield Bar(self.look, id="keys")

    def opened(self) -> None:
        super().opened()
        self.query_one("#keys", Bar).keys(*KEYS)
        self.tell_title()
        if self._situation is not None:
            self.show(self._situation)

    def take_focus(self) -> None:
        self.seize(self.rows)

    def show(self, situation: Situation) -> None:
        self._situation = situation
        self.rows.show(situation)
        topic = PAGES[self.page][1]
        troubles = trouble(situation, (topic,))
        seconds = oldest(situation, (topic,))
        told = "" if seconds is None else f" {age(seconds)}"
        if not self.is_attached:
            return
        bar = self.query_one("#state", Bar)
        if not troubles:
            known = topic in situation.postgres
            bar.say((f" ● LIVE{told}" if known else f" ? {NOTHING_READ}", "ok" if known else "unknown"))
            return
        first = troubles[0]
        off = first.state == "not configured"
        spans = [(f" {'○' if off else '?'} {first.state.upper()}{told}", "dim" if off else "unknown")]
        spans += [(f"   {first.reason}", "text")] if first.reason else []
        spans += [(f"   → {first.remedy}", "accent")] if first.remedy else []
        bar.say(*spans)

    def turned(self) -> None:
        self.rows.turn(self.page)
        self.tell_title()
        if self._situation is not None:
            self.show(self._situation)
