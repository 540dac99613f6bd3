"""A signal is judged by what is new; what only its window still holds recovers (U1)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from cockpit.assessment.board import Board
from cockpit.assessment.match import held
from cockpit.assessment.signals import Evaluator
from cockpit.assessment.verdicts.recovering import LEAST_S, enough
from cockpit.assessment.verdicts.stages import stages
from cockpit.clock import ManualClock
from cockpit.model.observed.cluster import Cluster
from cockpit.model.observed.metrics import Newest, QueryResult, Sample
from cockpit.model.reading import Reading
from cockpit.model.runbook import Runbook, Runbooks, SignalDef, Stage, Symptom, Validation
from cockpit.model.signal import Level, SignalStatus, StageStatus

SPAN_S, WINDOW_S = 12.5, 300.0

REJECTS = SignalDef(title="Rejects, 5 min", promql="sum(increase(x[5m]))", warn=0.5, crit=3.0)
SUCCESS = SignalDef(title="Success", promql="a / b", unit="%", direction="below", warn=99.0, crit=95.0)
TRIED = SignalDef(title="Tried", promql="60 * sum(rate(t[2m]))", unit="/min", direction="below", warn=6.0, crit=1.0)


class Watched:
    """A board of the signals x and tried, their windows, and what is new of them."""

    def __init__(self, signal: SignalDef, *, only_with: bool = False) -> None:
        line = Validation(text="none", signal="x", expect="ok", only_with="tried" if only_with else None)
        runbook = Runbook(id="r", number=1, title="R", severity="SEV1", validation=(line,))
        self.clock, self.board = ManualClock(), Board()
        runbooks = Runbooks(
            queries={}, signals={"x": signal, "tried": TRIED}, stages=(), services={}, toggles={}, runbooks=(runbook,)
        )
        self.evaluator = Evaluator(runbooks, self.clock, configured=frozenset({"prometheus"}))

    def read(self, value: float, new: float | None = None, tried: float | None = 118.0) -> SignalStatus:
        self._put("prometheus/signals/x", QueryResult((Sample({}, value),), evaluated_at=self.clock.wall()))
        for name, number in (("x", new), ("tried", tried)):
            if number is not None:
                self._put(f"newest/{name}", Newest(QueryResult((Sample({}, number),)), SPAN_S, WINDOW_S))
        return self.evaluator.evaluate(self.board, Cluster(), self.clock.wall())["x"]

    def later(
        self, seconds: float, value: float, new: float | None = None, tried: float | None = 118.0
    ) -> SignalStatus:
        self.clock.advance(seconds)
        return self.read(value, new, tried)

    def _put(self, topic: str, data: Any) -> None:
        self.board.put(Reading(topic, data, self.clock.mono(), max_age_s=30.0))


def test_none_new_is_recovering_with_its_time() -> None:
    """U1: 539 in its window and none new: it recovers, and says since when and until when."""
    watched = Watched(REJECTS)
    assert watched.read(539.0, new=25.0).level is Level.CRIT
    status = watched.later(5.0, 535.0, new=0.0)
    assert status.level is Level.RECOVERING
    assert status.reason == "0 new for 13 s; the window clears in 4:48"
    status = watched.later(60.0, 400.0, new=0.0)
    assert status.recovering is not None
    assert (status.recovering.quiet_s, status.recovering.clears_s) == (72.5, 227.5)
    assert (status.value, status.newest) == (400.0, 0.0)
    assert watched.later(235.0, 0.0, new=0.0).level is Level.OK


def test_one_new_ends_it_at_once() -> None:
    watched = Watched(REJECTS)
    watched.read(539.0, new=25.0)
    assert watched.later(5.0, 535.0, new=0.0).level is Level.RECOVERING
    assert watched.later(5.0, 535.0, new=4.0).level is Level.CRIT


def test_a_share_of_a_few_must_be_bad_twice() -> None:
    """One of 25 that fails is 96 %: chance, unless the next look says so too (nothing flickers)."""
    watched = Watched(SUCCESS)
    watched.read(60.0, new=50.0)
    assert watched.later(5.0, 62.0, new=100.0).level is Level.RECOVERING
    assert watched.later(5.0, 65.0, new=94.0).level is Level.RECOVERING
    assert watched.later(5.0, 66.0, new=100.0).level is Level.RECOVERING
    assert watched.later(5.0, 66.0, new=94.0).level is Level.RECOVERING
    assert watched.later(5.0, 70.0, new=93.0).level is Level.RECOVERING  # still better than what is behind it
    assert watched.later(5.0, 70.0, new=50.0).level is Level.CRIT


def test_what_comes_seldom_is_not_over_after_a_short_silence() -> None:
    """Three in five minutes leave gaps of minutes: a silence of 30 s says nothing."""
    watched = Watched(REJECTS)
    watched.read(3.0, new=1.0)
    assert watched.later(30.0, 3.0, new=0.0).level is Level.CRIT
    assert watched.later(60.0, 3.0, new=0.0).level is Level.CRIT
    assert watched.later(120.0, 3.0, new=0.0).level is Level.RECOVERING


@pytest.mark.parametrize("new", [None, math.nan])
def test_what_is_new_and_not_known_changes_nothing(new: float | None) -> None:
    watched = Watched(REJECTS)
    watched.read(539.0)
    assert watched.later(5.0, 535.0, new=new).level is Level.CRIT


@pytest.mark.parametrize("tried", [None, 0.0])
def test_where_nothing_is_tried_nothing_recovers(tried: float | None) -> None:
    """After the kill switch no reveal is rejected, for none is sent: that is no recovery."""
    watched = Watched(REJECTS, only_with=True)
    watched.read(539.0, new=25.0, tried=tried)
    assert watched.later(20.0, 500.0, new=0.0, tried=tried).level is Level.CRIT


@pytest.mark.parametrize("at", ["warn", "crit", "ok"])
def test_recovering_is_no_symptom_that_holds(at: str) -> None:
    watched = Watched(REJECTS)
    watched.read(539.0, new=25.0)
    status = watched.later(5.0, 535.0, new=0.0)
    assert held(Symptom(text="rejected", signal="x", at=at), {"x": status}).held is False  # type: ignore[arg-type]


def _stage(name: str, level: Level, **more: Any) -> tuple[Stage, dict[str, SignalStatus]]:
    head = SignalStatus(name=f"{name}-head", title=name, level=level, value=1.0, **{"unit": "s", **more})
    return Stage(name=name, headline=head.name, signals=(f"{name}-more",)), {head.name: head}


def _stopping(*made: tuple[Stage, dict[str, SignalStatus]], **signals: SignalStatus) -> StageStatus | None:
    known = {name: status for _, found in made for name, status in found.items()} | {
        name.replace("_", "-"): status for name, status in signals.items()
    }
    runbooks = Runbooks(
        queries={}, signals={}, stages=tuple(stage for stage, _ in made), services={}, toggles={}, runbooks=()
    )
    return next((stage for stage in stages(runbooks, known) if stage.stops_here), None)


FLOW: dict[str, Any] = {"unit": "/min", "direction": "below"}


def test_it_stops_where_a_flow_stops_not_at_the_first_that_is_bad() -> None:
    """U9: in a pair (a lag, and an RPC outage) the strip names the commit that stops."""
    errors = SignalStatus(name="commit-more", title="RPC errors", level=Level.CRIT, value=40.0, unit="%")
    lag, commit, reveal = (
        _stage("ingest", Level.CRIT),
        _stage("commit", Level.CRIT, **FLOW),
        _stage("reveal", Level.CRIT, **FLOW),
    )
    stops = _stopping(lag, commit, reveal, commit_more=errors)
    assert stops is not None
    assert (stops.name, stops.level) == ("commit", Level.CRIT)


def test_what_only_echoes_is_not_where_it_stops() -> None:
    """U9: commits that stop for want of signatures stop at the signers."""
    stops = _stopping(_stage("sign", Level.CRIT), _stage("commit", Level.CRIT, **FLOW))
    assert stops is not None
    assert stops.name == "sign"


def test_a_warning_stops_nothing() -> None:
    """U9: with nothing CRIT the first WARN is where to look; what recovers is not even that."""
    assert _stopping(_stage("ingest", Level.RECOVERING), _stage("sign", Level.OK)) is None
    seen = _stopping(_stage("ingest", Level.WARN), _stage("sign", Level.OK))
    assert seen is not None
    assert seen.level is Level.WARN


def test_the_number_of_a_stage_is_that_of_what_decides_it() -> None:
    """U9: no CRIT stands beside a healthy number."""
    healthy = SignalStatus(name="reveal-rate", title="Reveals", level=Level.OK, value=118.0, unit="/min")
    bad = SignalStatus(name="rejects", title="Rejects", level=Level.CRIT, value=539.0, unit="")
    assert StageStatus("reveal", Level.CRIT, healthy, (healthy, bad)).decider is bad
    assert StageStatus("reveal", Level.OK, healthy, (healthy,)).decider is healthy


def test_what_began_within_its_window_recovers_by_how_often_it_came_since() -> None:
    """U1: ten in the first minute of a window of five are not two a minute."""
    assert enough(REJECTS, 10.0, 300.0) == 120.0
    assert enough(REJECTS, 10.0, 300.0, 60.0) == pytest.approx(24.0)
    assert enough(REJECTS, 10.0, 300.0, 900.0) == 120.0, "the window holds no calm"
    assert enough(REJECTS, 10.0, 300.0, 0.0) == enough(REJECTS, 10.0, 300.0, LEAST_S)
