"""Keys mean what they were typed for, however fast they come and whatever is open."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.events import Key
from textual.widgets import Input

from cockpit.app import main
from cockpit.drill.server import DrillThread
from cockpit.settings import Settings
from cockpit.text import url_hint
from panels.dialogs.confirm import ConfirmDialog
from panels.dialogs.help import HelpDialog
from panels.dialogs.parameters import ParametersDialog
from panels.screens.runbook.next_step import next_step
from panels.screens.runbook.view import RunbookView
from tests.support.terminals.screen import Screen, screen

#: The module's drill: its scenario, and how many seconds of history it begins with.
DRILL = ("rpc-outage", 1500.0)


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
    """r, n, Enter, Enter, y in one piece: the plan asked for is the one for rpc-b, and the `y` came
    before it was shown.
    """
    async with screen(settings) as cockpit:
        await ready(cockpit)
        await cockpit.until(lambda: next_item(cockpit) == "1.mitigation.A")
        cockpit.burst("r", "n", "enter", "enter", "y")
        shown = await cockpit.wait(r"y do it")
        dialogs = list(cockpit.app.base.query(ConfirmDialog))
        assert len(dialogs) == 1
        assert dialogs[0].plan is not None
        assert [c.after for c in dialogs[0].plan.changes] == [url_hint(drill.drill.rpc_urls["rpc-b"])]
        assert "KEYLIKE" not in shown
        assert "PRODUCTION" in shown
        assert cockpit.app.session.journal is not None
        assert cockpit.app.session.journal.records() == ()


async def test_the_next_step_is_planned_though_it_was_out_of_view(settings: Settings) -> None:
    """r, n, Enter in one piece at 80×24, before the page has been laid out once: the step lies
    below what is in view.
    """
    async with screen(settings, (80, 24)) as cockpit:
        await ready_small(cockpit)
        await cockpit.wait(r"MATCH +1 Publishing stops.* 3 of 3")
        await cockpit.until(lambda: next_item(cockpit) == "1.mitigation.A")
        for _ in range(4):
            cockpit.burst("r", "n", "enter")
            await cockpit.wait(r"nothing is sent yet")
            page = cockpit.app.base.query_one(RunbookView).page
            assert page.key is not None and page.sees(page.key)
            cockpit.burst("escape", "escape")
            await cockpit.settled()
            assert not cockpit.app.layers()


def next_item(cockpit: Screen) -> str | None:
    """The next sensible step of the best match.

    Another one until all that it depends on is known.
    """
    situation = cockpit.app.session.situation
    step = next_step(situation.matches[0], situation) if situation is not None else None
    return step.item if step is not None else None


def palette_line(cockpit: Screen) -> str | None:
    """What is typed in the palette; None while it is closed, or open and not composed yet."""
    lines = cockpit.app.screen.query(Input) if cockpit.app.in_palette else ()
    return next((line.value for line in lines), None)


async def test_a_palette_command_typed_in_one_piece_goes_into_its_line(settings: Settings) -> None:
    async with screen(settings) as cockpit:
        await ready(cockpit)
        cockpit.write(":quit lu")
        await cockpit.until(lambda: palette_line(cockpit) == "quit lu")
        assert not cockpit.app.layers()
        cockpit.burst("escape")
        await cockpit.until(lambda: not cockpit.app.in_palette)
        cockpit.burst("ctrl+p")
        await cockpit.until(lambda: palette_line(cockpit) == "")
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
    monkeypatch.setattr(main, "POLL_S", 0.005)
    async with screen(settings) as pane:
        await ready(pane)
        for _ in range(10):
            pane.app._shown = None
            pane.burst("r", "escape", "question_mark", "escape")
            await pane.settled()
        assert not pane.app.base.query(RunbookView)
        assert pane.app.is_running


async def test_escape_and_a_key_in_one_piece_are_both_pressed(settings: Settings) -> None:
    """A terminal cannot tell them from alt and that key."""
    async with screen(settings, (80, 24)) as cockpit:
        await ready_small(cockpit)
        cockpit.burst("question_mark")
        await cockpit.wait("Anywhere")
        cockpit.app.post_message(Key("alt+r", "r"))
        await cockpit.wait("RUNBOOKS")
        assert not cockpit.app.base.query(HelpDialog)
        cockpit.app.post_message(Key("alt+shift+k", "K"))
        await cockpit.wait(r"type m0-submitter to go on")
        assert not cockpit.app.base.query(RunbookView)


async def test_undo_with_nothing_to_undo_and_help_over_help(settings: Settings) -> None:
    async with screen(settings, (80, 24)) as cockpit:
        await ready_small(cockpit)
        cockpit.burst("u")
        await cockpit.wait("nothing in the journal can be undone")
        cockpit.burst("escape", "question_mark", "r", "question_mark")
        await cockpit.settled()
        assert len([layer for layer in cockpit.app.layers() if isinstance(layer, HelpDialog)]) <= 1


async def test_a_view_opened_twice_gives_the_keys_back(settings: Settings) -> None:
    """`r` in the runbooks opens them anew; after escape the panels have the keys, not what was
    removed.
    """
    async with screen(settings, (80, 24)) as cockpit:
        await ready_small(cockpit)
        cockpit.burst("r", "r", "escape")
        await cockpit.settled()
        await cockpit.until(lambda: not cockpit.app.layers())
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
        cockpit.app.session.mitigations.note("1", "1.checklist.1", "asked \x1b[2Jops")
        records = cockpit.app.session.journal.records()  # type: ignore[union-attr]
        assert [(r["kind"], r["words"]) for r in records] == [("note", "runbook 1, 1.checklist.1: asked \\e[2Jops")]


async def test_choices_that_are_known_later_come_into_the_open_form(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form opens before anything is known of the endpoints; what is typed stays, and the list
    comes in above it.
    """
    async with screen(settings) as cockpit:
        await ready(cockpit)
        session = cockpit.app.session
        known = session.offers
        monkeypatch.setattr(session, "offers", lambda step: {param.name: [] for param in step.params})
        cockpit.burst("r", "n", "enter")
        await cockpit.wait(r"no live list of rpc endpoints yet")
        await cockpit.settled()
        cockpit.write("https")
        await cockpit.wait(r"https")
        monkeypatch.setattr(session, "offers", known)
        shown = await cockpit.wait(r"rpc-b: \d+ slots behind, p95 \d+ ms")
        assert "no live list" not in shown
        cockpit.write("//a.b")
        await cockpit.settled()
        (form,) = cockpit.app.base.query(ParametersDialog)
        assert form.fields[0].value == "https//a.b"
        before = [choice.note for choice in form.fields[0].choices]
        await cockpit.until(lambda: [choice.note for choice in form.fields[0].choices] != before)  # measured anew


async def test_a_panel_that_triage_names_opens_over_the_runbook_and_esc_goes_back_to_the_same_line(
    settings: Settings,
) -> None:
    async with screen(settings) as cockpit:
        await ready(cockpit)
        cockpit.burst("r")
        await cockpit.wait(r"enter open or plan")
        await cockpit.settled()
        (runbook,) = cockpit.app.base.query(RunbookView)
        runbook.page.move_to("triage:1.triage.3")
        await cockpit.settled()
        cockpit.burst("enter")
        await cockpit.wait(r"5 RPC")
        await cockpit.wait(r"esc back")
        assert [type(layer).__name__ for layer in cockpit.app.layers()] == ["RunbookView", "PanelView"]
        cockpit.burst("escape")
        await cockpit.wait(r"enter open or plan")
        assert cockpit.app.layers() == [runbook] and runbook.page.key == "triage:1.triage.3"


async def test_once_the_end_was_asked_for_nothing_opens_and_the_exit_code_stands(settings: Settings) -> None:
    """A key that was still on its way opened a layer on a screen that had closed: exit code 1."""
    async with screen(settings) as cockpit:
        await cockpit.wait(r"m0-ingestor")
        cockpit.app.end(143)
        await cockpit.app.open_layer(HelpDialog({}, appearance=cockpit.app.appearance))
        assert not cockpit.app.layers()
        cockpit.burst("r", "question_mark")
    assert cockpit.app.return_code == 143 and not cockpit.app.last_words
