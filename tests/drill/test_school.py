"""Tests that the referee measures what happened, the control obeys, and lessons end by deeds."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from cockpit.commands import drill as command
from cockpit.commands.drill import chosen
from cockpit.drill.harm import Harm
from cockpit.drill.school import history
from cockpit.drill.school.coach import DrillCoach
from cockpit.drill.school.control_client import CONTROLS, ControlClient, NoDrill
from cockpit.drill.school.lessons import LESSONS, RELENT_AT, RUNBOOK, Course, Lesson
from cockpit.drill.school.observer import shortened
from cockpit.drill.school.referee import LOOKING, Referee
from cockpit.drill.school.surprise import surprise
from cockpit.drill.score import IncidentScore, Score, StepScore, clock, progress, report, worse
from cockpit.drill.server import Drill
from cockpit.errors import UsageProblem
from cockpit.journal.journal import Journal
from cockpit.model.runbook import Runbooks
from cockpit.model.scene import Saying, Scene
from cockpit.runbooks.schema import load
from panels.app.lesson import picture
from panels.kit.spans import plain
from tests.support.scenario_rig import Operator


@pytest.fixture(scope="module")
def runbooks() -> Runbooks:
    return load()


class Pupil(Operator):
    """Takes steps that stand in a journal, as the executor writes them, watched by a referee."""

    def __init__(self, scenario: str, runbooks: Runbooks, path: Path) -> None:
        super().__init__(scenario, runbooks)
        self.journal = Journal.open(path)
        self.referee = Referee(self.world, self.scenario, runbooks, path)

    def wait(self, seconds: float) -> None:
        """Wait while the referee follows as often as it would."""
        while seconds > 0:
            self.world.advance(min(5.0, seconds))
            seconds -= 5.0
            if hasattr(self, "referee"):
                self.referee.follow()

    def send(self, named: str, after: str = "", result: str = "sent", undoes: int | None = None) -> None:
        runbook, step = self.scenario.qualified(named)
        found, chosen_step = self.runbooks.step(runbook, step)
        number = self.journal.append(
            {
                "kind": "intent",
                "title": chosen_step.title,
                "runbook": found.id,
                "step": step,
                "undoes": undoes,
                "changes": [{"field": "x", "before": None, "after": after}],
            }
        )
        if result == "sent" and undoes is None:
            self.act(named)
        self.journal.append({"kind": "outcome", "of": number, "result": result})
        self.referee.follow()

    def score(self) -> Score:
        return self.referee.score(at=0.0, seed=7)


@pytest.fixture
def pupil(runbooks: Runbooks, tmp_path: Path) -> Callable[[str], Pupil]:
    return lambda scenario: Pupil(scenario, runbooks, tmp_path / "journal.jsonl")


def test_times_are_those_of_looking_acting_and_recovering(pupil: Callable[[str], Pupil]) -> None:
    on_call = pupil("connector-down")
    on_call.wait(20)
    on_call.referee.viewed("publishing-stops")
    on_call.wait(20)
    on_call.referee.viewed(RUNBOOK)
    on_call.wait(20)
    on_call.send("disable-connector", "politics")
    on_call.wait(240)
    score = on_call.score()
    (incident,) = score.incidents
    assert incident.detected_s == pytest.approx(40, abs=1)
    assert incident.first_safe_s == pytest.approx(60, abs=1)
    assert incident.recovered_s is not None and 65 < incident.recovered_s < 220
    assert score.recovered_s == incident.recovered_s
    (step,) = score.steps
    assert (step.verdict, step.number, step.step) == ("right", 1, "watermark-lag/disable-connector")
    assert step.over_s == pytest.approx(240, abs=1)


def test_nothing_done_is_nothing_scored(pupil: Callable[[str], Pupil]) -> None:
    on_call = pupil("gateway-leak")
    on_call.wait(60)
    score = on_call.score()
    assert score.incidents == [IncidentScore("gateway-leak", 9)]
    assert score.steps == [] and score.recovered_s is None
    assert score.harm["failed_requests"] > 500


def test_a_wrong_step_is_called_wrong_and_its_harm_is_reported(pupil: Callable[[str], Pupil]) -> None:
    on_call = pupil("connector-rate-limited")
    on_call.wait(60)
    on_call.send("scale-ingestors", "8")
    on_call.wait(90)
    on_call.send("raise-cache-ttl", "5000")
    on_call.wait(60)
    wrong, right = on_call.score().steps
    assert (wrong.verdict, right.verdict) == ("wrong", "right")
    assert wrong.worse and wrong.worse[0].startswith("refused polls (429)")
    assert right.worse == []
    assert on_call.score().incidents[0].detected_s == pytest.approx(60, abs=1)  # a step of the runbook is a look at it


def test_the_right_step_on_the_wrong_connector_is_not_it(pupil: Callable[[str], Pupil]) -> None:
    on_call = pupil("connector-down")
    on_call.send("disable-connector", "macro")
    assert on_call.score().steps[0].verdict == "neither"
    assert on_call.score().incidents[0].first_safe_s is None


def test_what_was_rejected_is_no_step_and_what_was_there_before_does_not_count(
    pupil: Callable[[str], Pupil], runbooks: Runbooks, tmp_path: Path
) -> None:
    on_call = pupil("connector-down")
    on_call.send("disable-connector", "politics", result="rejected")
    on_call.send("disable-connector", "politics")
    assert len(on_call.score().steps) == 1
    later = Referee(on_call.world, on_call.scenario, runbooks, tmp_path / "journal.jsonl")
    later.follow()
    assert later.sent == []


def test_undoing_the_cure_takes_the_recovery_back(pupil: Callable[[str], Pupil]) -> None:
    on_call = pupil("gateway-overload")
    on_call.send("scale-gateway", "6")
    on_call.wait(240)
    assert on_call.score().recovered_s is not None
    on_call.send("scale-gateway", "3", undoes=1)
    from cockpit.drill import changes

    changes.scale(on_call.world.kube, "m0-api-gateway", 3)
    on_call.wait(150)
    score = on_call.score()
    assert score.recovered_s is None
    assert [step.verdict for step in score.steps] == ["right", "undo"]


def test_holding_is_not_recovering_and_the_drills_own_tool_is_a_step(pupil: Callable[[str], Pupil]) -> None:
    on_call = pupil("database-down")
    on_call.send("cache-only", "true")
    on_call.wait(240)
    assert on_call.score().incidents[0].first_safe_s is not None
    assert on_call.score().recovered_s is None  # clients are answered, with what grows old
    on_call.referee.by_hand("failover-db")
    on_call.act("failover-db")
    on_call.wait(120)
    score = on_call.score()
    assert score.recovered_s is not None
    assert [(s.number, s.verdict) for s in score.steps] == [(1, "holding"), (0, "right")]


def test_of_two_incidents_each_is_scored_and_the_drill_is_over_when_both_are(pupil: Callable[[str], Pupil]) -> None:
    on_call = pupil("connector-down+gateway-leak")
    on_call.referee.viewed("9")
    on_call.send("9/restart-gateway")
    on_call.wait(240)
    first, second = on_call.score().incidents
    assert (first.detected_s, first.recovered_s) == (None, None)
    assert second.recovered_s is not None
    assert on_call.score().recovered_s is None
    on_call.send("6/disable-connector", "politics")
    on_call.wait(240)
    assert on_call.score().recovered_s == on_call.score().incidents[0].recovered_s


@pytest.mark.parametrize(
    ("scenario", "cure", "within_s"),
    [
        ("rpc-outage", "switch-rpc", 65),
        ("state-out-of-sync", "realign", 40),
        ("provider-schema-change", "quarantine-connector", 60),
        ("two-submitters", "single-submitter", 60),
        ("signers-slow", "reduce-concurrency", 60),
    ],
)
def test_it_is_over_when_the_world_is_well_not_when_a_window_has_passed(
    pupil: Callable[[str], Pupil], scenario: str, cure: str, within_s: float
) -> None:
    """U13: "recovered 5:50" for a cure in 50 s; "never" for who left before the window had."""
    on_call = pupil(scenario)
    on_call.wait(60)
    assert on_call.score().recovered_s is None
    on_call.send(cure, next(iter(on_call.scenario.arguments.values()), ""))
    on_call.wait(within_s + 45)
    early = on_call.score().recovered_s
    assert early is not None and 60 < early <= 60 + within_s
    on_call.wait(300)
    assert on_call.score().recovered_s == pytest.approx(early, abs=15)


def test_what_the_runbook_asks_for_is_right(pupil: Callable[[str], Pupil]) -> None:
    """U13: "communicate: neither" for what the runbook demands."""
    on_call = pupil("key-compromise")
    on_call.referee.by_hand("communicate")
    assert on_call.score().steps[0].verdict == "right"


def test_a_step_that_only_looks_is_called_for(pupil: Callable[[str], Pupil]) -> None:
    """U13."""
    on_call = pupil("bad-hash-release")
    looks = next(step for step in on_call.runbooks.runbook("2").mitigations if step.kind in LOOKING)
    on_call.journal.append(
        {
            "kind": "outcome",
            "of": on_call.journal.append(
                {
                    "kind": "intent",
                    "title": looks.title,
                    "runbook": on_call.runbooks.runbook("2").id,
                    "step": looks.id,
                    "undoes": None,
                    "changes": [],
                }
            ),
            "result": "sent",
        }
    )
    on_call.referee.follow()
    assert on_call.score().steps[0].verdict == "called for"


def test_degraded_outputs_are_harm(pupil: Callable[[str], Pupil]) -> None:
    """U13: "harm: none" though a quarter was degraded."""
    on_call = pupil("provider-schema-change")
    on_call.wait(90)
    assert "degraded outputs" in on_call.world.harm.words
    calm = pupil("calm")
    calm.wait(90)
    assert calm.world.harm.degraded_outputs <= 3


def test_the_report_fits_80_columns() -> None:
    """U13: it was torn at 80 columns."""
    score = a_score(None)
    score.steps[0].title = "Switch to another endpoint of which the name is long and says much about what it is for"
    score.harm = asdict(Harm(1000.0, 1000.0, 10_000, 10_000, 10_000, 10_000, 10_000, 10_000))
    score.steps[0].harm = Harm(**score.harm).words  # type: ignore[arg-type]
    lines = report(score, "Publishing stops", "The provider has lost half of its nodes. " * 8, [a_score(100.0)])
    assert max(map(len, lines)) < 80


def test_windows_are_shortened_and_counts_kept_comparable() -> None:
    assert shortened("sum(rate(a_total[2m]))", 30) == "sum(rate(a_total[30s]))"
    assert shortened('sum(increase(a{r!~"ok|b)[5m]"}[5m])) > 3', 30).startswith('sum((increase(a{r!~"ok|b)')
    assert "* 10)" in shortened('increase(a{r=~"[Ss]x"}[5m])', 30)
    assert shortened("rate(a[10s])", 30) == "rate(a[10s])"


# --- in words, and kept


def a_score(recovered: float | None = 200.0, **more: object) -> Score:
    incident = IncidentScore("rpc-outage", 1, 10.0, 30.0, recovered)
    step = StepScore(
        at_s=30.0,
        number=1,
        title="Switch RPC endpoint",
        step="publishing-stops/switch-rpc",
        verdict="right",
        harm="none",
        over_s=200.0,
        worse=[],
    )
    given = {"at": 0.0, "scenario": "rpc-outage", "seed": 7, "lasted_s": 300.0, "harm": asdict(Harm())}
    return Score(**{**given, "incidents": [incident], "steps": [step], **more})  # type: ignore[arg-type]


def test_a_score_survives_the_history_and_a_broken_line_is_said(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "drills.jsonl"
    assert history.read(path) == ([], 0)
    history.append(path, a_score(at=1_790_000_000.0))
    with path.open("a") as file:
        file.write('not JSON\n{"at": 1}\n[]\n')
    history.append(path, a_score(100.0, at=1_790_000_500.0))
    scores, broken = history.read(path)
    assert scores == [a_score(at=1_790_000_000.0), a_score(100.0, at=1_790_000_500.0)]
    assert broken == 3
    assert path.stat().st_mode & 0o777 == 0o600
    rows = history.table(scores)
    assert "0:10" in rows[1] and "0:30" in rows[1] and "3:20" in rows[1] and "best" not in rows[1]
    assert rows[2].endswith("best")


def test_progress_is_reported_against_earlier_drills_of_the_same_scenario() -> None:
    assert "the first drill of rpc-outage" in progress(a_score(), [a_score(scenario="calm")])[0]
    assert "now 3:20, the best so far" in progress(a_score(), [a_score(250.0), a_score(230.0)])[0]
    assert "best so far" not in progress(a_score(), [a_score(100.0)])[0]
    assert "none recovered; this one did" in progress(a_score(), [a_score(None)])[0]


def test_the_report_says_the_cause_the_times_and_what_each_step_cost() -> None:
    score = a_score(None)
    score.steps[0].worse = ["threshold misses 0 → 40 a minute"]
    text = " ".join(" ".join(report(score, "Publishing stops", "The provider has lost half of its nodes.")).split())
    assert "The provider has lost half" in text
    assert "runbook 1: detected 0:10 · first safe action 0:30 · recovered never" in text
    assert "worse than before: threshold misses 0 → 40 a minute" in text


def test_harm_is_compared_only_when_it_was_seen_for_long_enough() -> None:
    assert worse(Harm(), 5.0, Harm(rate_limited=500), 60.0) is None
    assert worse(Harm(), 60.0, Harm(rate_limited=500), 5.0) is None
    assert worse(Harm(stale_s=60), 60.0, Harm(stale_s=60), 60.0) == []
    assert worse(Harm(), 60.0, Harm(replay_violations=9), 60.0) == ["replay violations 0 → 9 a minute"]
    assert clock(None) == "never" and clock(67.9) == "1:07"


# --- the control


async def test_the_control_pauses_steers_and_scores_and_takes_its_token_only(tmp_path: Path) -> None:
    async with Drill("database-down", speed=20.0, history_s=300, school=True) as drill:
        conductor = drill.conductor
        assert conductor is not None
        async with httpx.AsyncClient(base_url=drill.control) as stranger:
            assert (await stranger.get("/status")).status_code == 403
            assert (await stranger.post("/pause", headers={"Authorization": "Bearer no"})).status_code == 403
        control = ControlClient(drill.control, drill.control_token)
        status = await asyncio.to_thread(control.status)
        assert set(status) == {"paused", "speed", "elapsed_s", "harm", "tools", "recovered"}
        assert "database" not in json.dumps({k: v for k, v in status.items() if k != "tools"})

        assert (await asyncio.to_thread(control.request, "pause"))["paused"] is True
        assert conductor.goes_on() is False
        stood = drill.world.clock.now()
        for _ in range(3):
            await asyncio.to_thread(control.status)
        assert drill.world.clock.now() == stood
        assert (await asyncio.to_thread(control.request, "resume"))["paused"] is False
        for _ in range(2000):
            if drill.world.clock.now() > stood:
                break
            await asyncio.to_thread(control.status)
        assert drill.world.clock.now() > stood

        assert (await asyncio.to_thread(control.request, "speed", speed=4))["speed"] == 4.0
        refused: tuple[tuple[str, dict[str, Any]], ...] = (
            ("speed", {"speed": 1000}),
            ("do", {"tool": "rm"}),
            ("speed", {}),
            ("dance", {}),
        )
        for act, values in refused:
            with pytest.raises(NoDrill):
                await asyncio.to_thread(control.request, act, **values)
        await asyncio.to_thread(control.request, "do", tool="failover-db")
        await asyncio.to_thread(control.request, "look", runbook="api-errors")
        answer = await asyncio.to_thread(control.request, "score", surprise=True)
        score = Score.of(answer["score"])
        assert score.surprise and score.paused_s > 0
        assert score.incidents[0].detected_s is not None
        assert [step.verdict for step in score.steps] == ["right"]
        assert answer["title"].startswith("API errors")


def test_the_newest_drill_that_answers_is_found_and_the_dead_are_cleared_away(tmp_path: Path) -> None:
    directory = tmp_path / CONTROLS
    directory.mkdir()
    dead = directory / "1.json"
    dead.write_text('{"address": "http://127.0.0.1:1", "token": "x"}')
    with pytest.raises(NoDrill, match="no drill is running"):
        ControlClient.newest(directory)
    assert not dead.exists()


# --- choosing


def parsed(*words: str) -> object:
    from cockpit.cli import build_parser

    return build_parser("drill").parse_args(["drill", *words])


def test_a_surprise_is_the_same_for_the_same_seed_and_never_calm() -> None:
    assert chosen(parsed("--surprise", "--seed", "3")) == (surprise(3), 3)  # type: ignore[arg-type]
    assert len({surprise(seed) for seed in range(60)}) > 5
    assert "calm" not in {surprise(seed) for seed in range(60)}


@pytest.mark.parametrize(
    "words", [("nonsense",), ("rpc-outage+nonsense",), ("--surprise", "calm"), ("--first", "calm"), ("+",)]
)
def test_what_cannot_be_chosen_is_said(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageProblem):
        chosen(parsed(*words))  # type: ignore[arg-type]


def test_several_at_once_are_one_scenario_and_the_same_twice_is_one() -> None:
    assert chosen(parsed("connector-down+gateway-leak"))[0] == "connector-down+gateway-leak"  # type: ignore[arg-type]
    assert chosen(parsed("calm+calm"))[0] == "calm"  # type: ignore[arg-type]


def test_the_history_of_nobody_says_how_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cockpit.cli import main

    monkeypatch.setenv("M0_COCKPIT_STATE_DIR", str(tmp_path))
    assert main(["drill", "--history"]) == 0
    assert "drill --first" in capsys.readouterr().out
    history.append(tmp_path / history.FILE, a_score())
    assert main(["drill", "--history"]) == 0
    assert "rpc-outage" in capsys.readouterr().out
    assert main(["drill", "--status"]) == 70
    assert "no drill is running" in capsys.readouterr().err


# --- lessons


def scene(*layers: str, panel: str = "pods", runbook: str | None = None) -> Scene:
    return Scene(None, panel, layers, runbook)


def test_a_lesson_ends_when_what_it_asks_for_is_on_screen_and_not_before() -> None:
    course = Course()
    assert not course.advance(scene())
    assert course.advance(scene(panel="watermark")) and course.at == 1
    assert not course.advance(scene(panel="watermark"))
    assert not course.advance(scene("runbook", runbook="model-drift"))
    assert course.advance(scene("runbook", runbook=RUNBOOK)) and course.at == 2
    assert course.advance(scene()) and course.at == 3
    assert not course.advance(scene("log"))
    assert course.advance(scene("explain")) and course.at == 4


@pytest.mark.parametrize("lesson", LESSONS, ids=range(1, len(LESSONS) + 1))
def test_each_lesson_fits_its_two_lines_at_80_columns(lesson: Lesson) -> None:
    index = LESSONS.index(lesson)
    course = Course()
    course.at = index
    lines = picture(course.saying, 80)
    assert len(lines) == 2
    text = " ".join(plain(line).strip() for line in lines)
    assert text == f"LESSON {index + 1} of {len(LESSONS)}  {LESSONS[index].text}"
    assert all(len(plain(line)) <= 80 for line in lines)
    assert 0 < RELENT_AT < len(LESSONS)


class Deaf(ControlClient):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1", "")
        self.requests: list[tuple[str, dict[str, object]]] = []

    def request(self, name: str, **values: object) -> dict[str, object]:
        self.requests.append((name, values))
        return {"paused": name == "pause"}


def test_the_coach_reports_each_view_once_and_says_when_the_world_stands() -> None:
    control = Deaf()
    coach = DrillCoach(control, ["failover-db"])
    assert coach.remark(scene()) is None
    for _ in range(3):
        coach.remark(scene("runbook", runbook="api-errors"))
    coach.close()
    assert control.requests == [("look", {"runbook": "api-errors"})]
    offered = {action for _, _, action in coach.commands()}
    assert offered == {"pause", "speed 1", "speed 4", "speed 16", "do failover-db"}
    coach.act("pause")
    said = coach.remark(scene())
    assert isinstance(said, Saying) and said.alarm and said.head == "PAUSED"
    assert "resume" in {action for _, _, action in coach.commands()}
    coach.act("resume")
    assert coach.remark(scene()) is None


def test_the_coach_of_a_course_makes_time_run_while_one_waits_and_ends_the_cause_when_it_may() -> None:
    control = Deaf()
    course = Course()
    coach = DrillCoach(control, course=course)
    course.at = RELENT_AT - 2
    assert coach.remark(scene()) == course.saying
    course.at = RELENT_AT
    coach.remark(scene())
    coach.close()
    assert ("relent", {}) in control.requests


def test_a_drill_that_is_gone_before_its_score_says_so_and_what_to_do() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = ControlClient(f"http://127.0.0.1:{free.getsockname()[1]}", "token")
        (line,) = command._scored(gone, surprise=False, guided=False)
    assert line.startswith("no score: the drill does not answer: ") and "Connection refused" in line
    assert line.endswith("(leave it, and start another with `m0-cockpit drill`)")
