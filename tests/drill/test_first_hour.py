"""The first hour of a newcomer, on a drill: every panel enlarged, every view opened, the mouse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from textual.keys import _character_to_key
from textual.widget import Widget

from cockpit.config import load_settings
from cockpit.drill.server import DrillThread
from cockpit.model.views import OPENED_BY, PANELS, VIEWS, PanelSpec
from cockpit.settings import Settings
from panels import keys
from tests.support.terminals.screen import Screen, screen

SIZES = ((80, 24), (160, 48), (220, 60))


@pytest.fixture(scope="module")
def drill() -> Iterator[DrillThread]:
    with DrillThread("rpc-outage", history_s=600.0) as running:
        yield running


@pytest.fixture
def settings(drill: DrillThread, tmp_path: Path) -> Settings:
    return replace(load_settings(config=drill.config, env={}), state_dir=tmp_path / "state")


async def test_at_80_by_24_it_opens_where_it_stops_until_a_key_is_struck(settings: Settings) -> None:
    """U8: it opened on all-green Pods while `!!` tabs hid behind it."""
    async with screen(settings, (80, 24)) as cockpit:
        await cockpit.wait(r"it stops at  commit")
        await cockpit.until(lambda: cockpit.app.dashboard.current == "publish")
        cockpit.burst("1")
        await cockpit.settled()
        await cockpit.wait("m0-submitter")
        shown = cockpit.app.session.situation
        await cockpit.until(lambda: cockpit.app.session.situation is not shown)
        assert cockpit.app.dashboard.current == "pods"  # and stays there


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_a_key_enlarges_every_panel(settings: Settings, size: tuple[int, int]) -> None:
    """U8: none could be at 160×48 or 220×60."""
    async with screen(settings, size) as cockpit:
        await cockpit.wait("m0-submitter|it stops")
        await cockpit.wait(r"since \d\d:\d\d")  # the line under the match is there: sizes stay
        dashboard = cockpit.app.dashboard
        for row in PANELS:
            cockpit.burst(_character_to_key(row.key))
            await cockpit.settled()
            panel = dashboard.panels[row.name]
            await cockpit.until(partial(sized, panel))
            before = panel.size
            cockpit.burst("z")
            await cockpit.settled()
            await cockpit.until(partial(sized, panel, size[0], size[1] - 8))
            cockpit.burst("escape")
            await cockpit.settled()
            await cockpit.until(partial(sized, panel, *before, exactly=True))


def test_every_view_has_a_key_that_reaches_it() -> None:
    """U8: walks the registry; the palette is no key."""
    bound = {binding.id for binding in keys.APP}
    shown = {key for key, _ in keys.HELP["Anywhere"]}
    by_enter = {name for name, _ in OPENED_BY.values()}
    for row in VIEWS:
        if isinstance(row, PanelSpec):
            assert row.key, row.name
            assert not row.pages or row.name in by_enter, f"{row.name}: no key opens its pages"
        else:
            by_line = row.name in ("runbook", "images", "recovery")  # `r` opens all runbooks; a line of one leads on
            opened = by_line or row.name in by_enter
            assert opened or (row.key in shown and row.name in bound), f"{row.name}: no key opens it"


async def test_those_keys_open_what_they_say(settings: Settings) -> None:
    """U8."""
    async with screen(settings) as cockpit:
        await cockpit.wait("m0-submitter")
        await cockpit.until(cockpit.app.session.ready.is_set)
        for key, words in (("A", "Alerts"), ("M", "MAINTENANCE"), ("m", "METRICS"), ("x", "Why: "), ("l", "LOGS")):
            cockpit.burst("1", key)
            await cockpit.settled()
            await cockpit.wait(words)
            cockpit.burst("escape")
            await cockpit.settled()
            assert not cockpit.app.layers()
        for panel in PANELS:
            if panel.name in OPENED_BY:
                cockpit.burst(_character_to_key(panel.key), "enter")
                await cockpit.settled()
                await cockpit.until(cockpit.app.layers)
                cockpit.burst("escape")
                await cockpit.settled()


async def test_a_drag_copies_the_text_under_it(settings: Settings) -> None:
    """U19: it copied the widgets' names."""
    async with screen(settings) as cockpit:
        await cockpit.wait(r"since \d\d:\d\d")  # the line under the match is there: nothing moves down any more
        await cockpit.wait("m0-submitter")
        y, line = next((y, text) for y, text in enumerate(cockpit.text().splitlines()) if "m0-submitter" in text)
        x = line.index("m0-submitter")
        current = cockpit.app.dashboard.current
        await cockpit.pilot.mouse_down(offset=(x, y))
        await cockpit.pilot.hover(offset=(x + 11, y))
        await cockpit.pilot.mouse_up(offset=(x + 11, y))
        await cockpit.until(lambda: cockpit.app.marked)
        assert cockpit.app.marked == "m0-submitter" == cockpit.app.clipboard
        assert cockpit.app.dashboard.current == current
        cockpit.app.copy_to_clipboard("")
        await cockpit.pilot.press("ctrl+c")
        await cockpit.settled()
        assert cockpit.app.clipboard == "m0-submitter" and not cockpit.app.layers()
        await cockpit.pilot.press("ctrl+c", "down")  # another key takes the mark back: then it is help as ever
        await cockpit.settled()
        assert not cockpit.app.marked


async def test_a_drag_over_rows_copies_them_without_the_frames_beside(settings: Settings) -> None:
    """U19."""
    async with screen(settings) as cockpit:
        await cockpit.wait("m0-submitter")
        panel = cockpit.app.dashboard.panels["rpc"]
        region = panel.region
        await cockpit.pilot.mouse_down(offset=(region.x + 4, region.y + 2))
        await cockpit.pilot.hover(offset=(region.right + 20, region.y + 4))
        await cockpit.pilot.mouse_up(offset=(region.right + 20, region.y + 4))
        await cockpit.until(lambda: cockpit.app.marked)
        rows = cockpit.app.marked.split("\n")
        assert len(rows) == 3 and not any(char in cockpit.app.marked for char in "│╭╰"), rows


async def click(cockpit: Screen, words: str) -> None:
    """Click the middle of these words, where they stand on the screen."""
    y, line = next((y, text) for y, text in enumerate(cockpit.text().splitlines()) if words in text)
    await cockpit.pilot.click(offset=(line.index(words) + len(words) // 2, y))
    await cockpit.settled()


async def test_clicks_do_what_they_point_at(settings: Settings) -> None:
    """U19: clicks on the match, the stages and the footer did nothing."""
    async with screen(settings) as cockpit:
        await cockpit.wait("it stops at: commit")
        await cockpit.until(cockpit.app.session.ready.is_set)
        for stage, panel in (("sign", "signers"), ("ingest", "watermark"), ("serve", "api")):
            await click(cockpit, f" {stage}")
            assert cockpit.app.dashboard.current == panel
        for words, layer in (
            ("Publishing stops", "RunbookView"),
            ("r runbooks", "RunbookView"),
            ("? help", "HelpDialog"),
            ("K kill switch", "ConfirmDialog"),
        ):
            await click(cockpit, words)
            await cockpit.until(partial(has_layer, cockpit, layer))
            cockpit.burst("escape")
            await cockpit.settled()
            await cockpit.until(lambda: not cockpit.app.layers())


def has_layer(cockpit: Screen, name: str) -> bool:
    return name in {type(layer).__name__ for layer in cockpit.app.layers()}


def sized(panel: Widget, width: int = 1, height: int = 1, *, exactly: bool = False) -> bool:
    now = panel.size
    return now == (width, height) if exactly else now.width >= width and now.height >= height
