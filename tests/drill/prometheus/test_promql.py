"""Tests PromQL by hand-worked numbers.

Agreement with a real Prometheus is in tests/real/test_drill_real_prometheus.py.
"""

from __future__ import annotations

import math

import pytest

from cockpit.drill.prometheus.promql import Matrix, QueryProblem, Scalar, evaluate
from cockpit.drill.prometheus.series import STALE, SeriesStore, labels_of

START = 1_000_000.0


@pytest.fixture
def store() -> SeriesStore:
    """Fill a store with counters, a gauge with a gap, and a histogram.

    Three counters rise each minute, by label; samples every 5 s for 10 minutes.
    """
    made = SeriesStore()
    for i in range(121):
        at = START + 5 * i
        for name, slope in (("a", 1.0), ("b", 2.0), ("c", 4.0)):
            made.series(labels_of("hits_total", {"who": name, "kind": "x"})).append(at, slope * 5 * i)
        made.series(labels_of("reset_total", {})).append(at, 10.0 * (i % 60))
        if i <= 60:
            made.series(labels_of("gone", {})).append(at, 7.0)
        elif i == 61:
            made.series(labels_of("gone", {})).append(at, STALE)
        for bound, count in (("1.0", i), ("2.0", 3 * i), ("+Inf", 4 * i)):
            made.series(labels_of("took_bucket", {"le": bound})).append(at, float(count))
        made.series(labels_of("size", {"who": "a"})).append(at, 3.0)
        made.series(labels_of("size", {"who": "b"})).append(at, 5.0)
        made.series(labels_of("owner", {"who": "a", "team": "red"})).append(at, 1.0)
        made.series(labels_of("owner", {"who": "b", "team": "blue"})).append(at, 1.0)
    return made


NOW = START + 600.0


def one(store: SeriesStore, query: str, at: float = NOW) -> float | None:
    result = evaluate(store, query, [at])
    if isinstance(result, Scalar):
        return result.values[0]
    assert isinstance(result, list)
    assert len(result) <= 1, result
    return result[0][1][0] if result else None


def by(store: SeriesStore, query: str, label: str, at: float = NOW) -> dict[str, float | None]:
    result = evaluate(store, query, [at])
    assert isinstance(result, list)
    return {dict(labels).get(label, ""): column[0] for labels, column in result}


def test_rate_extrapolates_to_the_window(store: SeriesStore) -> None:
    assert one(store, 'rate(hits_total{who="b"}[1m])') == pytest.approx(2.0)
    assert one(store, 'increase(hits_total{who="b"}[1m])') == pytest.approx(120.0)
    assert by(store, "rate(hits_total[1m])", "who") == pytest.approx({"a": 1.0, "b": 2.0, "c": 4.0})


def test_a_counter_reset_loses_nothing_but_the_jump(store: SeriesStore) -> None:
    assert one(store, "increase(reset_total[1m])", START + 330.0) == pytest.approx(110.0, rel=0.1)
    assert one(store, "resets(reset_total[10m])") == 2.0


def test_a_stale_series_disappears_at_once_but_its_window_remains(store: SeriesStore) -> None:
    assert one(store, "gone", START + 300.0) == 7.0
    assert one(store, "gone", START + 306.0) is None
    assert one(store, "count_over_time(gone[1m])", START + 320.0) is not None
    assert one(store, "absent(gone)") == 1.0
    assert one(store, "absent(size)") is None


def test_lookback_is_five_minutes(store: SeriesStore) -> None:
    assert one(store, 'size{who="a"}', NOW + 300.0) == 3.0
    assert one(store, 'size{who="a"}', NOW + 301.0) is None


def test_aggregations(store: SeriesStore) -> None:
    assert one(store, "sum(size)") == 8.0
    assert one(store, "avg(size)") == 4.0
    assert one(store, "count(hits_total)") == 3.0
    assert one(store, "quantile(0.5, size)") == 4.0
    assert by(store, "sum by (who) (rate(hits_total[1m]))", "who")["c"] == pytest.approx(4.0)
    assert by(store, "sum without (kind) (hits_total)", "who")["a"] == 600.0
    assert list(by(store, "topk(2, hits_total)", "who")) == ["c", "b"]
    assert list(by(store, "bottomk(1, hits_total)", "who")) == ["a"]


def test_histogram_quantile_interpolates_within_the_bucket(store: SeriesStore) -> None:
    assert one(store, "histogram_quantile(0.5, rate(took_bucket[1m]))") == pytest.approx(1.5)
    assert one(store, "histogram_quantile(0.9, rate(took_bucket[1m]))") == 2.0  # in +Inf: the highest bound
    assert math.isnan(one(store, "histogram_quantile(0.5, 0 * took_bucket)") or 0.0)


def test_division_of_nothing_by_nothing_is_nan(store: SeriesStore) -> None:
    assert math.isnan(one(store, "sum(size * 0) / sum(size * 0)") or 0.0)
    assert one(store, "sum(size) / sum(size * 0)") == math.inf


def test_comparisons_filter_unless_bool(store: SeriesStore) -> None:
    assert by(store, "size > 4", "who") == {"b": 5.0}
    assert by(store, "size > bool 4", "who") == {"a": 0.0, "b": 1.0}
    assert by(store, "4 < size", "who") == {"b": 5.0}


def test_sets_and_matching(store: SeriesStore) -> None:
    assert by(store, 'size and hits_total{who="a"}', "who") == {}
    assert by(store, 'size and on (who) hits_total{who="a"}', "who") == {"a": 3.0}
    assert by(store, 'size unless on (who) hits_total{who="a"}', "who") == {"b": 5.0}
    assert by(store, "sum(nothing) or vector(0)", "who") == {"": 0.0}
    assert by(store, "size * on (who) group_left (team) owner", "team") == {"red": 3.0, "blue": 5.0}
    assert by(store, "size / on (who) size", "who") == {"a": 1.0, "b": 1.0}


def test_ambiguous_matches_are_an_execution_error(store: SeriesStore) -> None:
    with pytest.raises(QueryProblem, match="many-to-many") as caught:
        evaluate(store, "sum(size) * on () size", [NOW])
    assert caught.value.kind == "execution"


def test_functions_of_labels_and_time(store: SeriesStore) -> None:
    assert by(store, 'label_replace(size, "team", "t-$1", "who", "(.*)")', "team") == {"t-a": 3.0, "t-b": 5.0}
    assert one(store, "time()") == NOW
    assert one(store, "scalar(sum(size))") == 8.0
    assert one(store, "clamp_max(sum(size), 5)") == 5.0
    assert one(store, 'hits_total{who="a"} offset 1m') == 540.0
    assert one(store, f'hits_total{{who="a"}} @ {START + 60:.0f}') == 60.0


def test_subqueries_and_over_time(store: SeriesStore) -> None:
    assert one(store, 'max_over_time(hits_total{who="a"}[1m])') == 600.0
    assert one(store, 'avg_over_time(rate(hits_total{who="a"}[1m])[5m:30s])') == pytest.approx(1.0)


def test_a_range_is_many_instants(store: SeriesStore) -> None:
    steps = [START + 120.0 + 15 * i for i in range(20)]
    for query in ("sum(rate(hits_total[1m]))", "gone", "histogram_quantile(0.5, took_bucket)", "size > 4"):
        whole = evaluate(store, query, steps)
        assert isinstance(whole, list)
        for i, at in enumerate(steps):
            alone = evaluate(store, query, [at])
            assert isinstance(alone, list)
            assert [(labels, column[i]) for labels, column in whole if column[i] is not None] == [
                (labels, column[0]) for labels, column in alone
            ]


def test_a_range_vector_is_returned_raw(store: SeriesStore) -> None:
    assert isinstance(evaluate(store, "gone[1m]", [START + 300.0]), Matrix)


@pytest.mark.parametrize(
    "query", ["sum(", "rate(hits_total)", "nothing_like_this(size)", "", "size{", 'size{who=~"("}']
)
def test_what_cannot_be_parsed_is_bad_data(store: SeriesStore, query: str) -> None:
    with pytest.raises(QueryProblem) as caught:
        evaluate(store, query, [NOW])
    assert caught.value.kind == "bad_data"
