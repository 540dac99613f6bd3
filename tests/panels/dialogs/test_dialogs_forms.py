"""Forms and small dialogs: parameters, questions, leaving, the filter."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from textual.app import App
from textual.command import CommandPalette

from cockpit.model.plan import Unfinished
from cockpit.model.runbook import Param, Step
from panels.dialogs.filter import FilterBar
from panels.dialogs.help import HelpDialog
from panels.dialogs.manual import ManualDialog
from panels.dialogs.notice import NoticeDialog
from panels.dialogs.palette import Command, provider
from panels.dialogs.parameters import ParametersDialog
from panels.dialogs.quit import QuitDialog
from panels.dialogs.unfinished import UnfinishedDialog
from panels.dialogs.values import Choice, problem
from panels.messages import Cancelled, CloseLayer, FilterChanged, ManualAnswer, OpenHelp, PlanStep, QuitAnswer
from tests.support.samples.dialogs import BACKLOG, HOSTILE, SWITCH, Harness, plan, progress

LIVE = {
    "url": [
        ("https://rpc-a.example/v2/SECRETKEY1", "38 % errors"),
        ("https://rpc-b.example/v2/SECRETKEY2", "0 behind, 91 ms"),
    ]
}
SCALE = BACKLOG.mitigations[0]


@pytest.mark.parametrize(
    ("param", "text", "words"),
    [
        (Param(name="n", type="int", minimum=1, maximum=32), "8", None),
        (Param(name="n", type="int", minimum=1, maximum=32), "0", "at least 1"),
        (Param(name="n", type="int", minimum=1, maximum=32), "33", "at most 32"),
        (Param(name="n", type="int"), "1e3", "a whole number"),
        (Param(name="n", type="int"), "", "needs a value"),
        (Param(name="s", pattern="[a-z]+"), "abc", None),
        (Param(name="s", pattern="[a-z]+"), "abc1", "must match [a-z]+"),
        (Param(name="u", type="url"), "https://x.example/v2", None),
        (Param(name="u", type="url"), "javascript:alert(1)", "an address: https://host/…"),
        (Param(name="u", type="url"), "https://[", "an address: https://host/…"),
        (Param(name="i", type="image"), "reg.example/m0:1.2", "an image by digest: name@sha256: and 64 hex digits"),
        (Param(name="i", type="image"), "reg.example/m0@sha256:" + "a" * 64, None),
        (Param(name="c", type="choice", choices=("a", "b")), "c", "choose one of the list"),
    ],
)
def test_values_are_checked(param: Param, text: str, words: str | None) -> None:
    assert problem(param, text) == words


def test_live_choices_are_the_only_values_of_a_choice() -> None:
    param = Param(name="connector", type="choice")
    assert problem(param, "sports", [Choice("sports")]) is None
    assert problem(param, "other", [Choice("sports")]) == "choose one of the list"


async def test_an_endpoint_is_chosen_by_arrows_and_its_key_is_never_shown() -> None:
    app = Harness(lambda: ParametersDialog("publishing-stops", SWITCH, LIVE))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        words = app.words()
        assert "https://rpc-b.example/***" in words
        assert "0 behind, 91 ms" in words
        assert "SECRETKEY" not in words
        await pilot.press("down", "enter")
        await pilot.pause()
        assert [(w.runbook_id, w.step_id, w.parameters) for w in app.requested(PlanStep)] == [
            ("publishing-stops", "switch-rpc", {"url": "https://rpc-b.example/v2/SECRETKEY2"})
        ]


async def test_another_address_can_be_typed_below_the_list() -> None:
    app = Harness(lambda: ParametersDialog("publishing-stops", SWITCH, LIVE))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("down", "down", *"nonsense", "enter")
        await pilot.pause()
        assert app.requested(PlanStep) == []
        assert "an address" in app.words()
        for _ in "nonsense":
            await pilot.press("backspace")
        await pilot.press(*"https", "colon", "slash", "slash", "c", "full_stop", "d", "enter")
        assert [w.parameters for w in app.requested(PlanStep)] == [{"url": "https://c.d"}]


async def test_a_number_has_its_default_and_its_bounds() -> None:
    app = Harness(lambda: ParametersDialog("watermark-lag", SCALE))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "1 to 32" in app.words()
        await pilot.press("9", "9", "enter")  # typing replaces the default
        await pilot.pause()
        assert app.requested(PlanStep) == []
        assert "at most 32" in app.words()
        await pilot.press("backspace", "enter")
        assert [w.parameters for w in app.requested(PlanStep)] == [{"replicas": "9"}]


async def test_without_a_live_list_it_says_so_and_takes_words() -> None:
    app = Harness(lambda: ParametersDialog("publishing-stops", SWITCH))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "no live list of rpc endpoints" in app.words()
        await pilot.press("escape")
        assert app.requested(Cancelled)


async def test_hostile_choices_are_shown_as_they_are() -> None:
    step = Step(
        id="s", title=HOSTILE, kind="set-env", when=HOSTILE, params=(Param(name="c", type="choice", title=HOSTILE),)
    )
    app = Harness(lambda: ParametersDialog("b", step, {"c": [(HOSTILE, HOSTILE)]}))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert app.words().count(HOSTILE) >= 5


async def test_a_question_is_answered_once_there_are_words() -> None:
    step = Step(id="ask", title="Ask", kind="manual", question="Did the vendor answer?")
    app = Harness(lambda: ManualDialog("b", step))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        assert app.requested(ManualAnswer) == []
        await pilot.press(*"yes", "enter")
        assert [(a.step_id, a.text) for a in app.requested(ManualAnswer)] == [("ask", "yes")]


async def test_leaving_is_asked_for_and_enter_stays() -> None:
    app = Harness(lambda: QuitDialog([progress(plan())]))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "Switch RPC endpoint on m0-submitter" in app.words()
        await pilot.press("enter")
        await pilot.press("y")
        assert [a.leave for a in app.requested(QuitAnswer)] == [False, True]


async def test_unfinished_intents_are_listed_with_their_judgement() -> None:
    items = [
        Unfinished(
            number=31,
            title="Switch RPC",
            target="m0-submitter",
            judgement="applied",
            explanation="the new value is there",
            changes=plan().changes,
        ),
        Unfinished(32, HOSTILE, "x", "odd", ""),
    ]
    app = Harness(lambda: UnfinishedDialog(items))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        words = app.words()
        assert "APPLIED  the new value is there" in words
        assert HOSTILE in words
        await pilot.press("enter")
        assert app.requested(CloseLayer)


async def test_help_and_notices_scroll_and_close() -> None:
    app = Harness(lambda: HelpDialog({"Everywhere": [(f"k{n}", f"does {n}") for n in range(40)]}))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("pagedown", "pagedown", "pagedown")
        await pilot.pause()
        assert "does 39" in app.words()
        await pilot.press("question_mark")
        assert app.requested(CloseLayer)
    app = Harness(lambda: NoticeDialog("Bad [/b] news", [HOSTILE], role="crit"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "Bad [/b] news" in app.words()
        assert HOSTILE in app.words()


async def test_the_filter_is_live_and_letters_are_only_text() -> None:
    app = Harness(lambda: FilterBar("a"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("z", "r")
        assert app.leaks == 0
        assert [w.text for w in app.requested(FilterChanged)][-1] == "azr"
        app.subject.tell("3 rows")
        await pilot.pause()
        assert "3 rows" in app.words().splitlines()[-1]
        await pilot.press("enter")
        assert app.requested(FilterChanged)[-1].done
        await pilot.press("escape")
        assert (app.requested(FilterChanged)[-1].text, app.requested(FilterChanged)[-1].cancelled) == ("a", True)


async def test_the_palette_reads_no_markup_and_posts_the_request() -> None:
    class Palette(App[None]):
        COMMANDS: ClassVar[set[Any]] = {
            provider(lambda: [Command(HOSTILE, HOSTILE, OpenHelp), Command("other", "", OpenHelp)])
        }
        seen = 0

        def on_open_help(self) -> None:
            self.seen += 1

    app = Palette()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert isinstance(app.screen, CommandPalette)
        await pilot.press(*"not red")
        await app.workers.wait_for_complete()
        await pilot.pause()
        await pilot.press("down", "enter", "enter")
        await pilot.pause()
        assert app.seen == 1
