"""What was closed is let go, with all that it had drawn."""

from __future__ import annotations

import gc

from textual._styles_cache import StylesCache
from textual.strip import Strip
from textual.widget import Widget

from panels.screens.runbook.view import RunbookView
from tests.support.harness import DashboardApp
from tests.support.samples import situations


def drawn() -> int:
    """How many lines of pictures are in memory."""
    gc.collect()
    return sum(isinstance(one, Strip) for one in gc.get_objects())


async def test_a_page_that_was_closed_takes_what_it_had_drawn_with_it() -> None:
    """H15: textual keeps the cache of each of the last thousand widgets, with every line in it."""
    situation = situations.rpc_outage()
    app = DashboardApp(situation)
    async with app.run_test(size=(160, 48)) as pilot:

        async def opened_and_closed() -> list[StylesCache]:
            view = RunbookView(situation)
            await app.screen.mount(view)
            await pilot.pause()
            assert "RUNBOOKS   prod-eu" in app.text()
            caches = [part._styles_cache for part in view.walk_children(Widget, with_self=True)]
            assert any(cache._cache for cache in caches)
            await view.remove()
            await pilot.pause()
            return caches

        for _ in range(3):
            await opened_and_closed()
        before = drawn()
        for _ in range(5):
            await opened_and_closed()
        assert drawn() <= before + 100  # a page has hundreds
        # widgets refer to each other in circles: what weighs must not wait for their collection
        assert not any(cache._cache for cache in await opened_and_closed())
