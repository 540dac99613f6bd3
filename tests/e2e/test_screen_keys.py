"""Keys mean what they were typed for, however fast they come and whatever is open."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from screen import Screen, screen
from textual.widgets import Input

import cockpit.app
from cockpit.config import Settings, load_settings
from cockpit.drill.server import DrillThread
from cockpit.text import url_hint
from panels.dialogs.confirm import ConfirmDialog
from panels.dialogs.help import HelpDialog
from panels.screens.runbook import RunbookView


@pytest.fixture(scope="module")
def drill() -> Iterator[DrillThread]:
    with DrillThread("rpc-outage") as running:
        yield running


@pytest.fixture
def settings(drill: DrillThread, tmp_path: Path) -> Settings:
    return replace(load_settings(config=drill.config, env={}), state_dir=tmp_path / "state")


async def ready(cockpit: Screen) -> None:
    await cockpit.wait(r"MATCH +1 Publishing stops")
    await cockpit.wait(r"rpc-b +0 %")
    await cockpit.until(cockpit.app.session.ready.is_set)


async def test_a_filter_typed_in_one_piece_is_a_filter(settings: Settings) -> None:
    async with screen(settings) as cockpit:
        await ready(cockpit)
        cockpit.write("/quant")
        await cockpit.wait(r"/quant")
        await cockpit.wait(r"m0-ingestor", absent=True)
        assert len(cockpit.app.layers()) == 1
        cockpit.burst("enter")
        await cockpit.settled()
        assert not cockpit.app.layers()
        cockpit.burst("escape")
        await cockpit.wait(r"m0-ingestor +4/4")


async def test_a_whole_way_typed_ahead_ends_at_the_question_and_y_does_not_answer_it(
    settings: Settings, drill: DrillThread
) -> None:
    """r, n, Enter, Down, Enter, y in one piece: the plan asked for is the one for rpc-b, and the `y` came before it was shown."""
    async with screen(settings) as cockpit:
        await ready(cockpit)
        cockpit.burst("r", "n", "enter", "down", "enter", "y")
        shown = await cockpit.wait(r"y do it")
        dialogs = list(cockpit.app.base.query(ConfirmDialog))
        assert len(dialogs) == 1
        assert dialogs[0].plan is not None
        assert [c.after for c in dialogs[0].plan.changes] == [url_hint(drill.drill.rpc_urls["rpc-b"])]
        assert "KEYLIKE" not in shown
        assert "PRODUCTION" in shown
        assert cockpit.app.session.journal is not None
        assert cockpit.app.session.journal.records() == ()


async def test_a_palette_command_typed_in_one_piece_goes_into_its_line(settings: Settings) -> None:
    async with screen(settings) as cockpit:
        await ready(cockpit)
        cockpit.write(":quit lu")
        await cockpit.until(lambda: cockpit.app.in_palette and cockpit.app.screen.query_one(Input).value == "quit lu")
        assert not cockpit.app.layers()
        cockpit.burst("escape")
        await cockpit.until(lambda: not cockpit.app.in_palette)
        cockpit.burst("ctrl+p")
        await cockpit.until(lambda: cockpit.app.in_palette and cockpit.app.screen.query_one(Input).value == "")
        cockpit.write("switch rpc")
        await cockpit.wait("Switch RPC endpoint")
        cockpit.burst("enter")
        await cockpit.wait(r"RPC endpoint +an address")
        cockpit.burst("colon")
        await cockpit.settled()
        assert not cockpit.app.in_palette, "the palette opened over a dialog"


async def test_opening_and_closing_again_and_again_while_the_world_moves(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Situations come in while views are half open or half closed."""
    monkeypatch.setattr(cockpit.app, "POLL_S", 0.005)
    async with screen(settings) as pane:
        await ready(pane)
        for _ in range(10):
            pane.app._shown = None
            pane.burst("r", "escape", "question_mark", "escape")
            await pane.settled()
        assert not pane.app.base.query(RunbookView)
        assert pane.app.is_running


async def test_undo_with_nothing_to_undo_and_help_over_help(settings: Settings) -> None:
    async with screen(settings, (80, 24)) as cockpit:
        await ready_small(cockpit)
        cockpit.burst("u")
        await cockpit.wait("nothing in the journal can be undone")
        cockpit.burst("escape", "question_mark", "r", "question_mark")
        await cockpit.settled()
        assert len([layer for layer in cockpit.app.layers() if isinstance(layer, HelpDialog)]) <= 1


async def test_a_view_opened_twice_gives_the_keys_back(settings: Settings) -> None:
    """`r` in the runbooks opens them anew; after escape the panels have the keys, not what was removed."""
    async with screen(settings, (80, 24)) as cockpit:
        await ready_small(cockpit)
        cockpit.burst("r", "r", "escape")
        await cockpit.settled()
        assert not cockpit.app.layers()
        assert cockpit.app.screen.focused is not None
        assert cockpit.app.screen.focused.is_attached
        cockpit.burst("question_mark")
        await cockpit.wait("Anywhere")


async def ready_small(cockpit: Screen) -> None:
    await cockpit.wait(r"m0-submitter +1/1")
    await cockpit.until(cockpit.app.session.ready.is_set)


async def test_keys_remapped_in_the_configuration(settings: Settings) -> None:
    async with screen(replace(settings, keys={"runbooks": "f5", "quit": "f10"}), (80, 24)) as cockpit:
        await ready_small(cockpit)
        cockpit.burst("r", "q")
        await cockpit.settled()
        assert cockpit.app.is_running
        assert not cockpit.app.layers()
        cockpit.burst("f5")
        await cockpit.wait("RUNBOOKS")


@pytest.mark.parametrize(("colours", "theme"), [("none", "ansi-dark"), ("standard", "ansi-dark"), ("256", "cockpit")])
async def test_few_colours_take_the_terminals_own(settings: Settings, colours: str, theme: str) -> None:
    async with screen(settings, (80, 24), colours) as cockpit:
        assert cockpit.app.theme == theme
        assert cockpit.app.native_ansi_color is (theme == "ansi-dark")


async def test_a_manual_answer_is_recorded(settings: Settings) -> None:
    async with screen(settings, (80, 24)) as cockpit:
        await ready_small(cockpit)
        await cockpit.until(lambda: cockpit.app.session.executor is not None)
        cockpit.app.session.note("1", "1.checklist.1", "asked \x1b[2Jops")
        records = cockpit.app.session.journal.records()  # type: ignore[union-attr]
        assert [(r["kind"], r["words"]) for r in records] == [("note", "runbook 1, 1.checklist.1: asked \\e[2Jops")]
