"""Sequences, stages, commands and looks in the dialogs: what they show, and which key does what."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from textual.widgets import Input

from cockpit.clock import ManualClock
from cockpit.model.plan import (
    CommandRun,
    DryRun,
    DryRunState,
    GuardResult,
    LocalCheck,
    Part,
    Phase,
    Plan,
    Proof,
    SequenceItem,
    SequenceState,
    SqlRun,
    Target,
    Verdict,
)
from cockpit.model.runbook import Param, Step
from panels.dialogs.confirm import ConfirmDialog
from panels.dialogs.field import ChoiceList
from panels.dialogs.manual import ManualDialog
from panels.dialogs.parameters import ParametersDialog
from panels.dialogs.quit import QuitDialog
from panels.dialogs.sequence import SequenceDialog
from panels.dialogs.stop import StopDialog
from panels.messages import (
    AskStop,
    CloseLayer,
    Confirmed,
    InStages,
    ManualAnswer,
    OpenSequence,
    PlanPart,
    PlanStep,
    StopRunning,
)
from tests.support.samples.dialogs import HOSTILE, Harness, plan, progress

CLOCK = ManualClock(since=1010.0)
STATE = SequenceState(
    run="r1",
    runbook="backup-restore",
    sequence="disable-writers",
    title="Disable writers",
    items=(
        SequenceItem("stop-submitter", "Stop the submitter", "done", "sent; stopped: no pod is left; proof pass", 7),
        SequenceItem("stop-quant", "Stop the engine", "stopped", "rejected: forbidden", 8),
        SequenceItem("check", "Look", "waiting"),
    ),
    next=1,
)
MARKET = Target("prod-eu", "m0-prod", "Market", "NBA_LAL_BOS", "")
PAUSE = plan(
    title="Pause a market",
    kind="command",
    target=MARKET,
    generation=0,
    dangerous=True,
    danger_reasons=("marked dangerous in the runbook",),
    request=CommandRun(("/opt/m0/bin/m0-cli", "market", "pause", "--market-id", "NBA_LAL_BOS"), 60.0, ("HOME", "PATH")),
    kubectl="/opt/m0/bin/m0-cli market pause --market-id NBA_LAL_BOS",
    dry_run=DryRun(DryRunState.OK),
    changes=(),
)


def confirm(made: Plan) -> ConfirmDialog:
    return ConfirmDialog(CLOCK.mono, made, production=True)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_a_sequence_shows_how_far_it_came_and_n_plans_the_next_part(size: tuple[int, int]) -> None:
    app = Harness(lambda: SequenceDialog(STATE))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        words = app.words()
        for needed in (
            "Part 1 is done. Part 2 was begun and stopped: rejected: forbidden.",
            "not begun.",
            "1 Stop the submitter",
            "DONE",
            "journal 7",
            "2 Stop the engine",
            "STOPPED",
            "forbidden",
            "3 Look",
            "goes on with part 2 of 3",
        ):
            assert needed in words, needed
        await pilot.press("enter")
        assert app.requested(PlanPart) == []  # Enter only closes
        await pilot.press("n")
        (asked,) = app.requested(PlanPart)
        assert (asked.runbook_id, asked.sequence_id, asked.index, asked.run) == (
            "backup-restore",
            "disable-writers",
            1,
            "r1",
        )


async def test_one_that_is_done_offers_nothing() -> None:
    app = Harness(lambda: SequenceDialog(replace(STATE, next=None)))
    async with app.run_test() as pilot:
        await pilot.press("n")
        assert "Every part is done" in app.words()
        assert app.requested(PlanPart) == []


async def test_what_would_run_two_of_a_singleton_is_offered_in_stages() -> None:
    stages = "scale m0-submitter to 0, wait until no pod is left, change it, scale to 1"
    made = plan(guards=(GuardResult("singleton", Verdict.BLOCK, "it would run 2 m0-submitter at once"),), staged=stages)
    app = Harness(lambda: confirm(made))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        assert "BLOCKED" in app.words()
        assert "s does it in stages, each confirmed on its own: scale m0-submitter to 0" in app.words()
        await pilot.press("y", "s")
        assert app.requested(Confirmed) == []
        (asked,) = app.requested(InStages)
        assert asked.plan is made


async def test_a_plan_that_is_not_blocked_has_no_stages() -> None:
    app = Harness(lambda: confirm(plan()))
    async with app.run_test() as pilot:
        await pilot.press("s")
        assert app.requested(InStages) == []


async def test_a_command_is_shown_word_for_word_and_wants_its_target_typed() -> None:
    app = Harness(lambda: confirm(PAUSE))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        words = app.words()
        assert "runs            /opt/m0/bin/m0-cli market pause --market-id NBA_LAL_BOS" in words
        assert "server dry run" not in words
        assert "it is looked at again just before" in words
        await pilot.press("y", "ctrl+y", "enter")
        assert app.requested(Confirmed) == []


@pytest.mark.parametrize("name", ["NBA_LAL_BOS", "reads_idx", "cpi", "users_idx", "signers", "nba", "yes_market"])
async def test_a_name_may_begin_with_any_letter_even_one_that_is_a_key(name: str) -> None:
    made = replace(PAUSE, target=replace(MARKET, name=name))
    app = Harness(lambda: confirm(made))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        await pilot.press(*(("underscore" if c == "_" else c) for c in name), "ctrl+y")
        assert [c.typed for c in app.requested(Confirmed)] == [name]


async def test_a_statement_is_shown_as_it_is_sent() -> None:
    sql = "CREATE INDEX CONCURRENTLY i ON t (c)"
    app = Harness(
        lambda: confirm(plan(request=SqlRun("db/m0", sql, 60.0, 5.0), kubectl=f"psql -c '{sql}'", generation=0))
    )
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        assert f"runs            {sql}" in app.words()


async def test_output_streams_while_it_runs_and_what_was_dropped_is_said() -> None:
    app = Harness(lambda: confirm(PAUSE))
    async with app.run_test(size=(160, 48)) as pilot:
        app.subject.show_progress(
            progress(
                PAUSE,
                phase=Phase.SENDING,
                rollout=None,
                gauges=(),
                output=("sending UpdateMarket", HOSTILE),
                dropped="dropped: 99,800 earlier lines (99.8 MB)",
            )
        )
        await pilot.pause()
        words = app.words()
        for needed in ("SENDING", "sending UpdateMarket", HOSTILE, "99,800 earlier lines"):
            assert needed in words, needed


async def test_a_check_needs_no_yes_and_shows_its_answer() -> None:
    check = plan(request=LocalCheck("verifies signatures", {"bundle": "b.json"}), changes=(), inverse=None, guards=())
    app = Harness(lambda: confirm(check))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        assert "verifies signatures  bundle b.json" in app.words()
        assert "undo" not in app.words()
        app.subject.accept_check()
        await pilot.pause()
        assert len(app.requested(Confirmed)) == 1
        app.subject.show_progress(
            progress(
                check, phase=Phase.DONE, proof=Proof.FAIL, rollout=None, gauges=(), output=("FAIL threshold: 1 of 2",)
            )
        )
        await pilot.pause()
        assert "FAIL threshold: 1 of 2" in app.words()


async def test_after_a_part_n_goes_back_to_its_sequence() -> None:
    made = plan(part=Part("r1", "backup-restore", "disable-writers", 0, 3))
    app = Harness(lambda: confirm(made))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        assert "part 1 of 3" in str(app.subject.border_title)
        app.subject.show_progress(progress(made))
        await pilot.press("n")
        assert app.requested(OpenSequence) == []  # it still runs
        app.subject.show_progress(progress(made, phase=Phase.DONE, proof=Proof.PASS, ended_mono=1.0))
        await pilot.press("n")
        (asked,) = app.requested(OpenSequence)
        assert (asked.runbook_id, asked.step_id, asked.run) == ("backup-restore", "disable-writers", "r1")


ASK = Step(id="ask", title="Ask", kind="manual", question="Is it restored?", args={"answer": "yes-no"})


@pytest.mark.parametrize(
    ("typed", "choice", "text"),
    [
        ("yes", "yes", ""),
        ("no, PITR is off", "no", "PITR is off"),
        ("Y by ops2", "yes", "by ops2"),
        ("perhaps", None, None),
    ],
)
async def test_a_question_that_wants_yes_or_no_takes_nothing_else(
    typed: str, choice: str | None, text: str | None
) -> None:
    app = Harness(lambda: ManualDialog("backup-restore", ASK))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "Begin with yes or no" in app.words()
        app.subject.query_one(Input).value = typed
        await pilot.press("enter")
        assert [(a.choice, a.text) for a in app.requested(ManualAnswer)] == ([] if choice is None else [(choice, text)])


async def test_what_is_learnt_later_is_written_beside_the_choices_and_the_cursor_stays() -> None:
    step = Step(
        id="s",
        title="s",
        kind="undo-rollout",
        service="m0-quant",
        params=(Param(name="revision", choices_from="revisions:m0-quant"),),
    )
    live = {"revision": [("3", "runs now"), ("2", "ran 4 d"), ("1", "ran 1 h")]}
    app = Harness(lambda: ParametersDialog("rollback", step, live))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("down")
        app.subject.retell(
            "revision", [("3", "runs now"), ("2", "LAST KNOWN GOOD: ran 4 d, publish success 99.8 %"), ("9", "new")]
        )
        await pilot.pause()
        assert "LAST KNOWN GOOD" in app.words()
        assert "ran 1 h" not in app.words()
        assert "is not listed any more" in app.words()  # it keeps its place: no key meets another than what was read
        assert [c.value for c in app.subject.query_one(ChoiceList).choices] == ["3", "2", "1", "9"]
        assert app.subject.query_one(ChoiceList).value == "2"
        app.subject.refill("revision", [("3", "runs now"), ("2", "ran 4 d"), ("1", "ran 1 h")])
        await pilot.pause()
        assert "LAST KNOWN GOOD" in app.words()  # what was worked out stays beside it
        app.subject.refill("revision", [])
        await pilot.pause()
        assert "ran 1 h" in app.words()  # nothing is known just now: what was listed stands


RPC = Step(
    id="s",
    title="s",
    kind="set-env",
    service="m0-submitter",
    params=(Param(name="url", type="url", choices_from="rpc-endpoints"), Param(name="n", type="int")),
)
ENDPOINTS = {"url": [("https://a.example", "a: 0 behind"), ("https://b.example", "b: 9 behind")]}


async def test_a_list_that_comes_late_takes_nothing_from_who_types() -> None:
    app = Harness(lambda: ParametersDialog("b", RPC))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press(*"https", "colon")
        app.subject.refill("url", ENDPOINTS["url"])
        await pilot.pause()
        assert "a: 0 behind" in app.words() and "no live list" not in app.words()
        await pilot.press("slash", "slash", "c", "full_stop", "d")
        assert app.subject.fields[0].value == "https://c.d"


async def test_a_list_that_comes_late_chooses_nothing_before_the_operator_went_there() -> None:
    app = Harness(lambda: ParametersDialog("b", RPC))
    async with app.run_test(size=(160, 48)) as pilot:
        app.subject.refill("url", ENDPOINTS["url"])
        await pilot.press("enter")
        await pilot.pause()
        assert "needs a value" in app.words()  # Enter that was meant for an empty line takes no endpoint
        await pilot.press("up", "down", "enter", *"4", "enter")
        await pilot.pause()
        assert [w.parameters for w in app.requested(PlanStep)] == [{"url": "https://b.example", "n": "4"}]


async def test_measurements_go_on_beside_the_choices_and_the_form_stays_at_80_by_24() -> None:
    app = Harness(lambda: ParametersDialog("b", RPC, ENDPOINTS))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("down")
        app.subject.refill("url", [("https://b.example", "b: 214 behind"), ("https://a.example", "a: 1 behind")])
        await pilot.pause()
        assert "214 behind" in app.words()
        await pilot.press("enter", *"4", "enter")
        assert [w.parameters for w in app.requested(PlanStep)] == [{"url": "https://b.example", "n": "4"}]


async def test_what_runs_can_be_stopped_and_only_by_a_second_key() -> None:
    app = Harness(lambda: confirm(PAUSE))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.press("ctrl+x")
        assert app.requested(AskStop) == []  # nothing runs yet
        running = progress(PAUSE, phase=Phase.SENDING, rollout=None, gauges=(), output=("sending",), stoppable=True)
        app.subject.show_progress(running)
        await pilot.pause()
        assert "ctrl+x stop it" in app.words()
        await pilot.press("ctrl+x")
        assert [a.plan_id for a in app.requested(AskStop)] == [PAUSE.id]
        app.subject.show_progress(replace(running, stoppable=False))
        await pilot.pause()
        assert "ctrl+x" not in app.words()


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_question_before_stopping_claims_nothing(size: tuple[int, int]) -> None:
    running = progress(PAUSE, phase=Phase.SENDING, words="running: sending", stoppable=True)
    app = Harness(lambda: StopDialog((running,)))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for needed in ("Let it run", "NBA_LAL_BOS", "It may have had its effect already", "SIGKILL five seconds"):
            assert needed in app.words(), needed
        await pilot.press("enter")
        assert app.requested(StopRunning) == [] and app.requested(CloseLayer)
        await pilot.press("y")
        assert [a.plan_id for a in app.requested(StopRunning)] == [PAUSE.id]


async def test_leaving_tells_that_a_program_is_waited_for() -> None:
    running = progress(PAUSE, phase=Phase.SENDING, stoppable=True)
    app = Harness(lambda: QuitDialog((running,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "waited for: ctrl+x stops it" in app.words()
        await pilot.press("ctrl+x")
        assert len(app.requested(AskStop)) == 1
        app.subject.show_running((replace(running, stoppable=False),))
        await pilot.press("ctrl+x")
        assert len(app.requested(AskStop)) == 1 and "ctrl+x" not in app.words()
