"""Shows the database in full: one page a topic, each with its own state; ← and → turn them."""

from __future__ import annotations

from cockpit.model.reading import NOTHING_READ
from cockpit.model.situation import Situation
from cockpit.model.views import BY_NAME
from panels.dashboard.facts.database import oldest, trouble
from panels.kit.spans import Line
from panels.kit.words import age
from panels.screens.pages import SituationPages
from panels.screens.postgres.pages import TOPICS, page
from panels.screens.view import Asked, Bar


class PostgresView(SituationPages):
    """Shows the pages of the view "postgres", each with the state of its topic."""

    TITLES = BY_NAME["postgres"].pages
    BRAND = "POSTGRES"

    @staticmethod
    def lines(situation: Situation, name: str, width: int) -> list[Line]:
        return page(situation, name, width) if "postgres" in situation.configured else []

    def show(self, situation: Situation) -> None:
        super().show(situation)
        topic = TOPICS[self.page]
        troubles = trouble(situation, (topic,))
        seconds = oldest(situation, (topic,))
        ago = "" if seconds is None else f" {age(seconds)}"
        if not self.is_attached:
            return
        bar = self.query_one("#state", Bar)
        if not troubles:
            known = topic in situation.postgres
            bar.say((f" ● LIVE{ago}" if known else f" ? {NOTHING_READ}", "ok" if known else "unknown"))
            return
        first = troubles[0]
        off = first.state == "not configured"
        spans = [(f" {'○' if off else '?'} {first.state.upper()}{ago}", "dim" if off else "unknown")]
        spans += [(f"   {first.reason}", "text")] if first.reason else []
        spans += [(f"   → {first.remedy}", "accent")] if first.remedy else []
        bar.say(*spans)


def view(asked: Asked) -> PostgresView:
    return PostgresView(asked.page, asked.situation, appearance=asked.appearance)
