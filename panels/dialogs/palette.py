"""Shows the command palette over what the app offers: steps, views, runbooks.

Textual's own palette, fed with plain words.

It is a modal screen, so while it is open the app pauses painting behind it (`app.screen` is a
`CommandPalette`): data still come in, and the panels are shown the newest situation when it closes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import Matcher
from textual.message import Message
from textual.screen import Screen
from textual.style import Style


@dataclass(frozen=True, slots=True)
class Command:
    """Holds what a line of the palette says, and the request it posts to the app."""

    title: str
    help: str
    request: Callable[[], Message]


def provider(commands: Callable[[], Sequence[Command]]) -> type[Provider]:
    """Return a provider that asks for the commands anew whenever the palette opens."""

    class Commands(Provider):
        def __init__(self, screen: Screen[Any], match_style: Style | None = None) -> None:
            super().__init__(screen, match_style)
            self.commands: Sequence[Command] = ()

        async def startup(self) -> None:
            self.commands = tuple(commands())

        def _run(self, command: Command) -> Callable[[], object]:
            return partial(self.app.post_message, command.request())

        def _highlight(self, matcher: Matcher, title: str) -> Content:
            """Highlight as `Matcher.highlight` does, which would read the title as markup."""
            content = Content(title)
            for offset in matcher.fuzzy_search.match(matcher.query, title)[1]:
                if not title[offset].isspace():
                    content = content.stylize(matcher.match_style, offset, offset + 1)
            return content

        async def discover(self) -> Hits:
            for command in self.commands:
                yield DiscoveryHit(
                    Content(command.title), self._run(command), command.title, Content(command.help).markup
                )

        async def search(self, query: str) -> Hits:
            matcher = self.matcher(query)
            for command in self.commands:
                score = matcher.match(f"{command.title} {command.help}")
                if score > 0:
                    yield Hit(
                        score,
                        self._highlight(matcher, command.title),
                        self._run(command),
                        command.title,
                        Content(command.help).markup,
                    )

    return Commands
