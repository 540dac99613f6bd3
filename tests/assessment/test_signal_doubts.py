"""What looks well and is not known to be: values past their bound, series that are gone."""

from __future__ import annotations

from cockpit.assessment.assessor import switched_off
from cockpit.model.observed.metrics import History, QueryResult, Sample
from cockpit.model.plan import Change, JournalLine
from cockpit.model.reading import Reading
from cockpit.model.runbook import SignalDef
from cockpit.model.signal import SignalStatus
from cockpit.runbooks.schema import load
from tests.assessment.test_signals import OK, UNKNOWN, Evaluation, above
from tests.assessment.test_situation import Room


def test_a_value_of_another_source_is_unknown_past_its_bound() -> None:
    """R13: a chain signal was OK on data of 34.9 s, though its bound is 30."""
    given = SignalDef(title="X", value="kubernetes.unready", warn=1.0, crit=5.0)

    def level(age_s: float) -> SignalStatus:
        rig = Evaluation(given)
        rig.board.put(Reading("kubernetes/pods/m0", {}, rig.clock.mono() - age_s, max_age_s=60.0))
        return rig.status()

    assert level(29.9).level is OK
    late = level(34.9)
    assert late.level is UNKNOWN and late.reason == "last read 35 s ago, more than 30 s"


def test_a_bad_series_that_is_gone_is_missed_unless_a_step_took_it_out() -> None:
    """P4: its last value is named; what a step of the journal switched off is gone on purpose."""
    lag = above(unit="s", warn=10.0, crit=60.0)

    def gone(*switched_off: str, ago_s: float = 40.0, value: float = 240.0, **labels: str) -> SignalStatus:
        rig = Evaluation(lag)
        now = rig.clock.wall()
        past = [
            History({"connector": "sports", **labels}, ((now - ago_s, value),)),
            History({"connector": "b"}, ((now, 1.0),)),
        ]
        result = QueryResult((Sample({"connector": "b"}, 1.5),), (), tuple(past), now)
        rig.board.put(Reading("prometheus/signals/x", result, rig.clock.mono(), max_age_s=30.0))
        found = rig.evaluator.evaluate(rig.board, rig.cluster, now, frozenset(switched_off))
        return found["x"]

    missed = gone()
    assert missed.level is UNKNOWN and missed.reason == "connector=sports: 240 s 40 s ago, then gone"
    assert gone(value=1.0).level is OK, "it was well when it went"
    assert gone(ago_s=901.0).level is OK, "the sparkline no longer shows it"
    assert gone("sports").level is OK and gone("politics").level is UNKNOWN
    assert gone("m0-ingestor-", pod="m0-ingestor-7d9-x").level is OK
    assert gone("m0-ingestor-", pod="m0-submitter-7d9-x").level is UNKNOWN


def test_what_steps_switched_off_is_read_from_the_journal() -> None:
    """P4: a step that was undone, or never applied, switched nothing off."""
    change = Change("M0_CONNECTORS_DISABLED", "politics", "politics,sports")
    target = "drill / m0-prod / deployment m0-ingestor / container m0-ingestor"
    line = JournalLine(1, 0.0, "op", "Disable", target, "sent", (change,), undoable=True)
    assert switched_off((line,)) == {"sports", "m0-ingestor", "m0-ingestor-"}
    undone = JournalLine(1, 0.0, "op", "Disable", target, "sent", (change,), undoable=False, undone=True)
    assert switched_off((undone,)) == frozenset()
    pause = JournalLine(2, 0.0, "op", "Pause", target, "sent", (Change("M0_MARKET_PAUSE_NBA", None, "true"),), True)
    assert "NBA" in switched_off((pause,))


def test_a_step_that_is_undone_no_longer_excuses_a_series_that_is_gone() -> None:
    """P4: the journal is read again once it changed."""
    room = Room()
    change = Change("M0_CONNECTORS_DISABLED", "politics", "politics,sports")
    applied = (JournalLine(1, 0.0, "op", "Disable", "", "sent", (change,), undoable=True),)
    undone = (JournalLine(1, 0.0, "op", "Disable", "", "sent", (change,), undone=True),)
    now = room.clock.wall()
    past = History({"connector": "sports"}, ((now - 40.0, 1e9),))
    name = next(name for name, each in load().signals.items() if each.promql and each.direction == "above")
    result = QueryResult((Sample({"connector": "b"}, 0.0),), (), (past,), now)
    for journal, level in (((), UNKNOWN), (applied, OK), (applied, OK), (undone, UNKNOWN)):
        room.board.put(Reading(f"prometheus/signals/{name}", result, room.clock.mono(), max_age_s=30.0))
        assert room.situation(journal=journal).signals[name].level is level
