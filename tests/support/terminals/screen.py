"""The whole cockpit in this process, on a screen that textual keeps in memory: the session, the
clients, the drill are real.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from textual.events import Key
from textual.pilot import Pilot

from cockpit.app.main import CockpitApp
from cockpit.runbooks.schema import load
from cockpit.session import Session
from cockpit.settings import Settings
from tests.support.waiting import HANG_S


class Screen:
    """What is on it, and keys typed at it."""

    def __init__(self, app: CockpitApp, pilot: Pilot[int]) -> None:
        self.app = app
        self.pilot = pilot

    def text(self) -> str:
        return "\n".join(strip.text.rstrip() for strip in self.app.screen._compositor.render_strips())

    def burst(self, *keys: str) -> None:
        """All at once, as a slow link delivers them; textual's names."""
        for key in keys:
            self.app.post_message(Key(key, key if len(key) == 1 else None))

    def write(self, text: str) -> None:
        for char in text:
            name = {"/": "slash", ":": "colon", "?": "question_mark", " ": "space"}.get(char, char)
            self.app.post_message(Key(name, char))

    async def until(self, true: Callable[[], object], timeout_s: float = HANG_S) -> None:
        begun = time.monotonic()
        while not true():
            waited = time.monotonic() - begun
            assert self.app.is_running, f"the screen ended: {self.app.last_words}"
            assert waited < timeout_s, f"never:\n{self.text()}"
            await asyncio.sleep(min(0.25, 0.05 + waited / 10))  # drawing the text costs more than many a frame

    async def wait(self, pattern: str, timeout_s: float = HANG_S, *, absent: bool = False) -> str:
        found: list[str] = []

        def seen() -> bool:
            found[:] = [self.text()]
            return bool(re.search(pattern, found[0], re.M)) is not absent

        try:
            await self.until(seen, timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{'still' if absent else 'never'} on screen: {pattern}\n{error}") from None
        return found[0]

    async def settled(self) -> None:
        """Every key typed so far has had its effect."""
        await self.pilot.pause()  # those that are still on their way to the app
        await self.until(lambda: self.app._settling is None and not self.app._typed)
        await self.pilot.pause()


@asynccontextmanager
async def screen(
    settings: Settings, size: tuple[int, int] = (160, 48), colours: str = "truecolor"
) -> AsyncIterator[Screen]:
    async with screen_of(Session(settings, load(settings.runbooks)), size, colours) as shown:
        yield shown


@asynccontextmanager
async def screen_of(session: Session, size: tuple[int, int], colours: str = "truecolor") -> AsyncIterator[Screen]:
    app = CockpitApp(session, colours=colours)
    async with app.run_test(size=size, notifications=True) as pilot:
        yield Screen(app, pilot)
