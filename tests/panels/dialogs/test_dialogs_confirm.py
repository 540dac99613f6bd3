"""The confirmation: nothing is sent by habit, by haste or by Enter (rule 5)."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from msgspec.structs import replace
from textual import events
from textual.widgets import Input, Static

from cockpit.clock import ManualClock
from cockpit.model.plan import Change, DryRun, DryRunState, GuardResult, Phase, Plan, Proof, Verdict
from panels.dialogs.confirm import ConfirmDialog
from panels.dialogs.confirm_words import Stage
from panels.dialogs.field import NameInput
from panels.dialogs.notice import NoticeDialog
from panels.kit.layer import CancelButton
from panels.kit.theme import Appearance
from panels.messages import Cancelled, Confirmed, CopyText, PlanAgain, Undo
from tests.support.samples.dialogs import HOSTILE, Harness, blocked, dangerous, plan, progress

SIZES = [(80, 24), (160, 48)]


def dialog(made: Plan | None, clock: ManualClock | None = None, **more: object) -> Callable[[], ConfirmDialog]:
    clock = clock or ManualClock(since=1010.0)
    return lambda: ConfirmDialog(clock.mono, made, production=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", SIZES)
async def test_cancel_has_the_focus_and_everything_needed_is_in_view(size: tuple[int, int]) -> None:
    app = Harness(dialog(plan()))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert isinstance(app.focused, CancelButton)
        words = app.words()
        for needed in (
            "PRODUCTION",
            "prod-eu",
            "m0-prod",
            "m0-submitter",
            "SOLANA_RPC_URL",
            "rpc-a",
            "→",
            "rpc-b: 0 behind",
            "kubectl",
            "server dry run  ok",
            "Recreate",
            "set it back",
            "permission ✓",
            "singleton ✓",
            "generation 14",
            "1:50",
            "[ Cancel ]",
            "y do it",
        ):
            assert needed in words, needed


@pytest.mark.parametrize("made", [plan(), dangerous(), blocked()])
async def test_enter_never_accepts(made: Plan) -> None:
    app = Harness(dialog(made))
    async with app.run_test() as pilot:
        await pilot.press("tab", "enter", "tab", "enter", "enter")
        assert app.requested(Confirmed) == []
        assert app.requested(Cancelled)


async def test_y_accepts_an_ordinary_plan_once() -> None:
    app = Harness(dialog(plan()))
    async with app.run_test() as pilot:
        await pilot.press("y", "y")
        await pilot.pause()
        assert [(c.plan.digest, c.typed) for c in app.requested(Confirmed)] == [("d" * 64, None)]
        assert "sending" in app.words()


async def test_a_dangerous_plan_wants_the_name_and_then_ctrl_y() -> None:
    app = Harness(dialog(dangerous()))
    async with app.run_test() as pilot:
        await pilot.press("y", "ctrl+y")
        assert app.requested(Confirmed) == []
        await pilot.press("backspace", *"m0", "minus", *"submitte", "ctrl+y", "enter")
        assert app.requested(Confirmed) == []
        await pilot.press("r")
        await pilot.pause()
        assert "ctrl+y" in app.words()
        await pilot.press("enter")
        assert app.requested(Confirmed) == []
        await pilot.press("ctrl+y")
        await pilot.pause()
        assert [c.typed for c in app.requested(Confirmed)] == ["m0-submitter"]


async def test_a_wrong_name_is_answered_with_what_was_expected() -> None:
    app = Harness(dialog(dangerous()))
    async with app.run_test() as pilot:
        await pilot.press(*"wrong", "ctrl+y")
        await pilot.pause()
        assert "expected m0-submitter" in app.words()
        assert app.requested(Confirmed) == []


async def test_an_unknown_guard_wants_typing_too() -> None:
    made = plan(guards=(GuardResult("permission", Verdict.UNKNOWN, "the access review failed"),))
    app = Harness(dialog(made))
    async with app.run_test() as pilot:
        await pilot.press("y")
        await pilot.pause()
        assert app.requested(Confirmed) == []
        assert "UNKNOWN" in app.words()
        assert "the access review failed" in app.words()


async def test_what_is_overridden_is_read_before_the_name_is_typed_at_80_by_24_too() -> None:
    """Seven guards at once push the rest of the plan below, never themselves."""
    found = ("dry-run", "fresh", "direction", "autoscaler", "gitops", "lease", "paused")
    guards = tuple(GuardResult(name, Verdict.CONFIRM, f"the reason of {name}") for name in found)
    app = Harness(dialog(plan(guards=(GuardResult("permission", Verdict.PASS, "ok"), *guards))))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        shown = app.words()
        for name in found:
            assert f"! {name}  the reason of {name}" in shown, name
        assert "SOLANA_RPC_URL" in shown and "type m0-submitter to go on" in shown


async def test_a_blocked_plan_says_why_first_and_offers_no_way() -> None:
    app = Harness(dialog(blocked()))
    async with app.run_test() as pilot:
        await pilot.press("y", "ctrl+y")
        await pilot.pause()
        words = app.words()
        assert app.requested(Confirmed) == []
        assert words.index("BLOCKED") < words.index("SOLANA_RPC_URL")
        assert "--read-only" in words
        assert "do it" not in words


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (plan(changes=()), "Nothing would change"),
        (plan(dry_run=DryRun(DryRunState.FAILED, "admission webhook says no")), "admission webhook says no"),
    ],
)
async def test_what_cannot_help_cannot_be_sent(made: Plan, said: str) -> None:
    app = Harness(dialog(made))
    async with app.run_test() as pilot:
        await pilot.press("y")
        await pilot.pause()
        assert said in app.words()
        assert app.requested(Confirmed) == []


async def test_a_refused_dry_run_is_said() -> None:
    app = Harness(dialog(plan(dry_run=DryRun(DryRunState.REFUSED, "webhook without support"))))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "refused by the server" in app.words()


async def test_it_expires_and_can_be_planned_again() -> None:
    clock = ManualClock(since=1000.0)
    app = Harness(dialog(plan(), clock))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "2:00" in app.words()
        clock.advance(61)
        app.subject.tick()
        await pilot.pause()
        assert "0:59" in app.words()
        clock.advance(60)
        app.subject.tick()
        await pilot.pause()
        assert "EXPIRED" in app.words()
        await pilot.press("y")
        assert app.requested(Confirmed) == []
        await pilot.press("r")
        await pilot.pause()
        assert [a.plan.id for a in app.requested(PlanAgain)] == ["p1"]
        assert "reading the target" in app.words()


async def test_y_after_the_end_between_two_ticks_sends_nothing() -> None:
    clock = ManualClock(since=1000.0)
    app = Harness(dialog(plan(), clock))
    async with app.run_test() as pilot:
        await pilot.pause()
        clock.advance(120.5)
        await pilot.press("y")
        assert app.requested(Confirmed) == []
        assert app.subject.stage is Stage.EXPIRED


async def test_a_changed_target_takes_the_yes_away() -> None:
    app = Harness(dialog(plan()))
    async with app.run_test() as pilot:
        app.subject.changed("SOLANA_RPC_URL is now https://rpc-c.example/***")
        await pilot.press("y")
        await pilot.pause()
        assert app.requested(Confirmed) == []
        assert "NO LONGER AS SHOWN" in app.words()
        assert "rpc-c" in app.words()
        assert "r plan again" in app.words()


async def test_it_opens_before_the_plan_and_y_waits_for_it() -> None:
    app = Harness(dialog(None, title="Switch RPC endpoint"))
    async with app.run_test() as pilot:
        await pilot.press("y")
        await pilot.pause()
        assert "reading the target" in app.words()
        assert app.requested(Confirmed) == []
        app.subject.show_plan(plan())
        await pilot.pause()
        assert "y do it" in app.words()
        app.subject.show_problem("deployment m0-submitter is not there", "check the namespace (-n)")
        await pilot.press("y")
        await pilot.pause()
        assert "check the namespace" in app.words()
        assert app.requested(Confirmed) == []


async def test_after_the_answer_it_shows_rollout_and_proof_and_offers_undo() -> None:
    app = Harness(dialog(plan()))
    async with app.run_test() as pilot:
        await pilot.press("y")
        app.subject.show_progress(progress(plan()))
        await pilot.pause()
        words = app.words()
        assert "ContainerCreating" in words
        assert "PENDING publish success" in words
        assert "held 12 of 30 s" in words
        app.subject.show_progress(progress(plan(), phase=Phase.DONE, proof=Proof.FAIL))
        await pilot.press("u")
        await pilot.pause()
        assert "✗ FAIL" in app.words()
        assert [u.number for u in app.requested(Undo)] == [31]


async def test_no_key_of_the_app_works_behind_it_and_escape_cancels() -> None:
    app = Harness(dialog(plan()))
    async with app.run_test() as pilot:
        await pilot.press("z", "u", "r", "tab", "z")
        assert app.leaks == 0
        await pilot.press("escape")
        await pilot.pause()
        assert [c.plan.id for c in app.requested(Cancelled)] == ["p1"]


async def test_a_click_behind_it_does_not_take_the_keys_away() -> None:
    app = Harness(dialog(plan()))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.click(offset=(1, 46))
        await pilot.pause()
        assert isinstance(app.focused, CancelButton)


async def test_the_kubectl_line_is_copied_whole() -> None:
    app = Harness(dialog(plan()))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("c")
        assert [c.text for c in app.requested(CopyText)] == [plan().kubectl]


async def test_hostile_words_are_shown_as_they_are() -> None:
    made = plan(title=HOSTILE, changes=(Change("X", HOSTILE, HOSTILE, HOSTILE),), kubectl=HOSTILE)
    made = replace(made, guards=(GuardResult(HOSTILE, Verdict.CONFIRM, HOSTILE),), blast=(HOSTILE,))
    app = Harness(dialog(made), behind=HOSTILE)
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        assert app.words().count("a[/b]c [INFO] [red]not red[/red]") >= 7


async def test_a_long_plan_scrolls_and_the_foot_stays() -> None:
    app = Harness(dialog(plan(blast=tuple(f"line {n} of the effect" for n in range(40)))))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "[ Cancel ]" in app.words()
        assert "generation 14" not in app.words()
        for _ in range(4):
            await pilot.press("pagedown")
        await pilot.pause()
        assert "generation 14" in app.words()
        assert "[ Cancel ]" in app.words()


async def test_it_keeps_its_place_when_the_terminal_is_resized() -> None:
    app = Harness(dialog(plan()))
    async with app.run_test(size=(160, 48)) as pilot:
        for width, height in ((80, 24), (120, 40), (80, 24)):
            await pilot.resize_terminal(width, height)
            await pilot.pause()
            assert "[ Cancel ]" in app.words()
            region = app.subject.region
            assert region.x >= 0
            assert region.right <= width
            assert region.bottom <= height


async def test_ascii_terminals_get_ascii() -> None:
    app = Harness(dialog(plan(), appearance=Appearance(ascii=True, colours="none")))
    app.behind = "behind"
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.words().isascii()
        assert "permission + patch" in app.words()


async def test_behind_it_the_panels_go_on() -> None:
    app = Harness(dialog(plan()))
    async with app.run_test(size=(160, 48)) as pilot:
        app.query_one("#behind", Static).update("new words behind", layout=False)
        await pilot.pause()
        assert "new words behind" in app.words()
        assert "y do it" in app.words()


async def test_a_pasted_escape_sequence_never_reaches_the_input_and_paste_accepts_nothing() -> None:
    app = Harness(dialog(dangerous()))
    async with app.run_test() as pilot:
        await pilot.press("tab")
        box = app.subject.query_one(NameInput)
        box.focus()
        await pilot.pause()
        box.post_message(events.Paste("m0-\x1b]52;c;eA==\x07submitter\ny\n"))
        await pilot.pause()
        assert box.value == "m0-]52;c;eA==submitter"
        assert app.requested(Confirmed) == []


async def test_the_focus_goes_back_to_where_it_was() -> None:
    app = Harness(lambda: Input(id="before"))
    async with app.run_test() as pilot:
        app.query_one("#before").focus()
        await pilot.pause()
        layer = dialog(plan())()
        await app.screen.mount(layer)
        await pilot.pause()
        assert isinstance(app.focused, CancelButton)
        await layer.remove()
        await pilot.pause()
        assert app.focused is app.query_one("#before")


async def test_a_notice_over_the_dialog_has_the_keys_until_it_closes() -> None:
    app = Harness(dialog(plan()))
    async with app.run_test() as pilot:
        await pilot.pause()
        notice = NoticeDialog("Notice", ["something"])
        await app.screen.mount(notice)
        await pilot.press("y")
        assert app.requested(Confirmed) == []
        await notice.remove()
        await pilot.pause()
        await pilot.press("y")
        assert len(app.requested(Confirmed)) == 1


LONG = "public.market_observations_archive_market_id_epoch_observed_idx"


@pytest.mark.parametrize("size", SIZES)
async def test_a_long_name_leaves_room_to_type_it(size: tuple[int, int]) -> None:
    """An index's name may have 63 letters: it is shown whole, apart from its value, and what is
    typed stands below.
    """
    target = replace(plan().target, kind="index", name=LONG)
    made = replace(dangerous(), target=target, changes=(Change(f"index {LONG}", None, "valid"),))
    app = Harness(dialog(made))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        words = app.words()
        assert f"type {LONG}" in words and f"index {LONG}" in words
        assert f"{LONG}(absent)" not in words
        await pilot.press(*"public")
        await pilot.pause()
        assert app.query_one(NameInput).region.width > len(LONG)
        assert app.query_one(NameInput).region.height == 1
        assert re.search(r"│ public +│", app.words())


@pytest.mark.parametrize("size", SIZES)
async def test_a_name_longer_than_a_row_is_parted_at_a_joint(size: tuple[int, int]) -> None:
    """And no letter of a row lies under the scroll bar."""
    long = f"CREATE INDEX CONCURRENTLY {'observations_' * 9}idx ON public.market_observations (market_id)"
    app = Harness(dialog(replace(plan(), kubectl=long, blast=("it takes a while",) * 30)))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        rows = [row.partition("│")[2].rstrip("│ ▁▂▃▄▅▆▇█") for row in app.words().splitlines()]
        parts = [row for row in rows if "observations_" in row and "public" not in row]
        assert parts and all(row.endswith("observations_") for row in parts[:-1]), parts
        assert "".join(rows).replace(" ", "").count("observations_") == 9
