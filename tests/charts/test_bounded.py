"""What a chart keeps of an answer, and of values that nobody else keeps."""

from __future__ import annotations

import math

from msgspec import structs

from cockpit.assessment.charts.bounded import grown, keep, not_numbers, points_of, traces
from cockpit.assessment.charts.own_history import OwnHistory
from cockpit.model.observed.chart import MOST_TRACES, RANGES, axis
from cockpit.model.observed.metrics import History
from cockpit.model.runbook import SignalDef
from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from tests.support.samples import situations


def series(name: str, *values: float, step: float = 15.0, begin: float = 0.0) -> History:
    return History({"job": "x", "connector": name}, tuple((begin + n * step, v) for n, v in enumerate(values)))


def of_the_chain() -> tuple[Situation, str]:
    """A situation with a signal that no Prometheus keeps, and its name."""
    calm = situations.calm()
    row = SignalDef(title="Commits on the chain", value="solana.commits", warn=1.0)
    return structs.replace(
        calm, runbooks=structs.replace(calm.runbooks, signals={"submitter-ready": row})
    ), "submitter-ready"


def test_a_series_of_100_000_points_is_bounded_and_it_is_said() -> None:
    kept = keep([series("a", *[1.0] * 100_000)], "1 h", "above")
    (trace,) = traces(kept, "above")
    assert len(trace.points) <= points_of("1 h") < 400
    assert "100,000 points came" in kept.notes[0]


def test_of_40_series_the_worst_are_shown_first() -> None:
    many = [series(f"c{n:02}", 0.0, float(n)) for n in range(40)]
    for direction, first in (("above", "c39"), ("below", "c00")):
        kept = keep(many, "1 h", direction)
        shown = traces(kept, direction)
        assert kept.count == 40 and len(shown) == MOST_TRACES and shown[0].name == first


def test_a_series_without_a_number_is_the_last_and_no_value_is_made_of_it() -> None:
    kept = keep([series("dead", math.nan, math.inf), series("low", 0.0, 1.0)], "1 h", "above")
    shown = traces(kept, "above")
    assert [one.name for one in shown] == ["low", "dead"]
    assert not_numbers(shown).startswith("2 of the values are no numbers")


def test_what_is_new_is_appended_and_what_is_asked_again_replaces_what_was_said() -> None:
    kept = keep([series("a", 1.0, 2.0, 3.0)], "1 h", "above")
    more = grown(kept, [series("a", 30.0, 4.0, begin=30.0), series("b", 9.0, begin=45.0)], "1 h", (15.0, 30.0), "above")
    assert {one.labels["connector"]: one.points for one in more.series.values()} == {
        "a": ((15.0, 2.0), (30.0, 30.0), (45.0, 4.0)),
        "b": ((45.0, 9.0),),
    }
    assert more.count == 2


def test_lines_keep_their_order_as_long_as_they_are_the_same() -> None:
    kept = keep([series("a", 5.0), series("b", 1.0)], "1 h", "above")
    first = traces(kept, "above")
    later = grown(kept, [series("a", 1.0, begin=15.0), series("b", 5.0, begin=15.0)], "1 h", (0.0, 15.0), "above")
    assert [t.name for t in traces(later, "above", [t.name for t in first])] == ["a", "b"]


def test_the_axis_moves_by_a_tenth_so_that_a_picture_stays() -> None:
    for name, (span, _) in RANGES.items():
        start, end = axis(name, 1_000_000_000.0)
        assert start <= 1_000_000_000.0 - span and end > 1_000_000_000.0
        moved = {axis(name, 1_000_000_000.0 + part * span / 100) for part in range(100)}
        assert len(moved) <= 11


def test_what_no_prometheus_keeps_is_kept_since_start_and_unknown_is_a_gap() -> None:
    own, (calm, name) = OwnHistory(), of_the_chain()
    begin = math.ceil(calm.wall / 30.0) * 30.0
    for n in range(40):
        level, value = (Level.UNKNOWN, 7.0) if 10 <= n < 20 else (Level.OK, float(n))
        status = structs.replace(calm.signals[name], level=level, value=value)
        own.note(structs.replace(calm, wall=begin + 10.0 * n, signals={**calm.signals, name: status}))
    points = dict(own.points(name, begin - 600.0, begin + 390.0, 15.0))
    assert own.since == begin and min(points) >= begin
    assert points[begin + 30.0] == 3.0 and math.isnan(points[begin + 150.0]) and points[begin + 390.0] == 39.0
    assert own.points(name, begin + 450.0, begin + 600.0, 15.0) == (), "what is not read is not drawn on"


def test_the_own_history_is_bounded_and_older_values_stay_coarsely() -> None:
    own, (calm, name) = OwnHistory(), of_the_chain()
    status = structs.replace(calm.signals[name], level=Level.OK, value=1.0)
    for n in range(2000):
        own.note(structs.replace(calm, wall=1200.0 + 120.0 * n, signals={**calm.signals, name: status}))
    assert sum(len(ring.times) for rings in own._rings.values() for ring in rings) <= len(own._rings) * 2160
    assert len(own.points(name, 1200.0, 1200.0 + 120.0 * 2000, 1800.0)) > 80
