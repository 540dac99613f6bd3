"""Signals: a fresh, finite, complete value is ok, warn or crit; anything else is unknown, with the
reason in words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from cockpit.assessment.board import Board
from cockpit.assessment.match import held, match
from cockpit.assessment.signals import Evaluator
from cockpit.clock import ManualClock
from cockpit.model.observed.cluster import Cluster, Pod, Workload
from cockpit.model.observed.metrics import History, QueryResult, Sample
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Runbook, Runbooks, SignalDef, Symptom
from cockpit.model.signal import Level, SignalStatus
from tests.support.samples.cluster import sample_pod, sample_workload

CRIT, OK, UNKNOWN, WARN = Level.CRIT, Level.OK, Level.UNKNOWN, Level.WARN


def runbooks(**signals: SignalDef) -> Runbooks:
    return Runbooks(queries={}, signals=signals, stages=(), services={}, toggles={}, runbooks=())


class Evaluation:
    """A board, a clock and an evaluator of one signal `x`."""

    def __init__(self, signal: SignalDef, prometheus: bool = True) -> None:
        self.clock = ManualClock()
        self.board = Board()
        self.cluster = Cluster()
        self.evaluator = Evaluator(
            runbooks(x=signal),
            self.clock,
            configured=frozenset({"kubernetes", *(["prometheus"] if prometheus else [])}),
        )

    def read(self, *values: float, history: list[float] | None = None, warnings: tuple[str, ...] = ()) -> SignalStatus:
        samples = tuple(Sample({"on": str(index)}, value) for index, value in enumerate(values))
        now = self.clock.wall()
        points = tuple((now - 30.0 * (len(history) - i), v) for i, v in enumerate(history)) if history else ()
        result = QueryResult(samples, warnings, (History({}, points),) if points else (), now)
        self.board.put(Reading("prometheus/signals/x", result, self.clock.mono(), max_age_s=30.0))
        return self.status()

    def status(self) -> SignalStatus:
        return self.evaluator.evaluate(self.board, self.cluster, self.clock.wall())["x"]


def above(**more: object) -> SignalDef:
    return SignalDef(**{"title": "X", "promql": "x", "unit": "%", "warn": 5.0, "crit": 20.0, **more})  # type: ignore[arg-type]


def below(**more: object) -> SignalDef:
    return SignalDef(**{"title": "X", "promql": "x", "direction": "below", "warn": 0.85, "crit": 0.5, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("signal", "values", "level", "value"),
    [
        (above(), (1.0,), OK, 1.0),
        (above(), (5.0,), WARN, 5.0),
        (above(), (20.0,), CRIT, 20.0),
        (above(), (1.0, 30.0, 6.0), CRIT, 30.0),
        (below(), (0.97,), OK, 0.97),
        (below(), (0.8, 0.9), WARN, 0.8),
        (below(), (0.5,), CRIT, 0.5),
        (above(warn=None), (19.0,), OK, 19.0),
        (above(), (), UNKNOWN, None),
        (above(absent=0.0), (), OK, 0.0),
        (above(), (math.nan,), UNKNOWN, None),
        (above(), (math.inf,), UNKNOWN, None),
        (below(), (-math.inf,), UNKNOWN, None),
        (above(), (1.0, math.nan), UNKNOWN, 1.0),
        (above(), (30.0, math.nan), CRIT, 30.0),
        (above(absent=0.0), (math.nan,), UNKNOWN, None),
    ],
)
def test_a_value_is_judged(signal: SignalDef, values: tuple[float, ...], level: Level, value: float | None) -> None:
    status = Evaluation(signal).read(*values)
    assert (status.level, status.value) == (level, value)
    assert bool(status.reason) is (level is not OK)


def test_the_worst_sample_decides_and_is_named() -> None:
    status = Evaluation(above()).read(1.0, 31.0)
    assert status.worst_labels == {"on": "1"}
    assert status.reason == "31 %: crit from 20 % (on=1)"


@pytest.mark.parametrize(
    ("values", "reason"),
    [((), "no data: the metric does not exist or nothing matches"), ((math.nan,), "the value is not a number")],
)
def test_the_reason_of_unknown_is_in_words(values: tuple[float, ...], reason: str) -> None:
    assert Evaluation(above()).read(*values).reason == reason


def test_nothing_read_yet_is_unknown() -> None:
    assert Evaluation(above()).status().reason == "Prometheus: nothing read yet"


def test_without_prometheus_it_is_unknown() -> None:
    status = Evaluation(above(), prometheus=False).status()
    assert (status.level, status.reason) == (UNKNOWN, "Prometheus is not configured")


def test_an_old_value_is_shown_but_unknown() -> None:
    evaluation = Evaluation(above())
    assert evaluation.read(1.0).level is OK
    evaluation.clock.advance(45)
    status = evaluation.status()
    assert (status.level, status.value, status.reason, status.age_s) == (UNKNOWN, 1.0, "last read 45 s ago", 45.0)


def test_a_rejected_query_is_unknown_though_the_last_value_is_kept() -> None:
    evaluation = Evaluation(above())
    evaluation.read(1.0)
    fault = Fault(SourceState.DOWN, "query rejected: parse error")
    evaluation.board.put(Reading("prometheus/signals/x", None, None, fault=fault))
    status = evaluation.status()
    assert (status.level, status.value, status.reason) == (UNKNOWN, 1.0, "Prometheus: query rejected: parse error")


@pytest.mark.parametrize(("value", "level"), [(1.0, UNKNOWN), (6.0, WARN), (30.0, CRIT)])
def test_a_partial_result_is_never_ok_but_keeps_what_is_bad(value: float, level: Level) -> None:
    status = Evaluation(above()).read(value, warnings=("some shards did not answer",))
    assert (status.level, status.value) == (level, value)
    assert "some shards did not answer" in status.reason


def test_a_missing_history_does_not_make_the_value_doubtful() -> None:
    assert Evaluation(above()).read(1.0, warnings=("no history: timeout",)).level is OK


def test_a_worse_level_counts_only_after_it_has_held() -> None:
    evaluation = Evaluation(above(hold=15.0))
    assert evaluation.read(1.0).level is OK
    evaluation.clock.advance(5)
    status = evaluation.read(30.0)
    assert (status.level, status.pending) == (OK, CRIT)
    assert "for 0 of 15 s" in status.reason
    evaluation.clock.advance(10)
    assert evaluation.read(6.0).pending is WARN
    evaluation.clock.advance(5)
    assert evaluation.read(30.0).level is WARN  # bad for 15 s, but crit only since now
    evaluation.clock.advance(15)
    assert evaluation.read(30.0).level is CRIT
    evaluation.clock.advance(4)
    assert evaluation.read(1.0).level is CRIT  # what was told as bad stands for a moment: nothing flickers
    evaluation.clock.advance(1)
    assert evaluation.read(1.0).level is OK


def test_what_is_bad_at_the_first_reading_counts_at_once() -> None:
    assert Evaluation(above(hold=60.0)).read(30.0).level is CRIT


def test_since_is_when_the_level_changed() -> None:
    evaluation = Evaluation(above())
    began = evaluation.read(1.0).since
    evaluation.clock.advance(10)
    assert evaluation.read(2.0).since == began
    assert evaluation.read(30.0).since == evaluation.clock.mono()


def rate(**more: object) -> SignalDef:
    return below(warn=0.7, crit=0.3, baseline=3600.0, history=3600.0, unit="/min", **more)


def test_thresholds_are_multiples_of_the_median_of_the_hour() -> None:
    status = Evaluation(rate()).read(118.0, history=[118.0] * 120)
    assert (status.level, status.baseline) == (OK, 118.0)
    assert status.warn == pytest.approx(82.6) and status.crit == pytest.approx(35.4)


def test_the_newest_five_minutes_do_not_move_the_baseline() -> None:
    status = Evaluation(rate()).read(30.0, history=[118.0] * 20 + [30.0] * 9)
    assert (status.level, status.baseline) == (CRIT, 118.0)


def test_without_enough_history_a_relative_signal_is_unknown() -> None:
    status = Evaluation(rate()).read(118.0, history=[118.0] * 4)
    assert status.level is UNKNOWN and status.reason == "what is usual is not read yet"
    assert Evaluation(rate()).read(118.0).level is UNKNOWN


def test_a_long_incident_does_not_become_the_baseline() -> None:
    evaluation = Evaluation(rate())
    evaluation.read(118.0, history=[118.0] * 120)
    for _ in range(3):
        evaluation.clock.advance(1800)
        status = evaluation.read(30.0, history=[30.0] * 120)
    assert (status.level, status.baseline) == (CRIT, 118.0)


def test_a_long_window_that_comes_later_counts_for_the_value_at_hand() -> None:
    evaluation = Evaluation(rate())
    assert evaluation.read(60.0).level is UNKNOWN
    now = evaluation.clock.wall()
    for usual, level in ((118.0, WARN), (240.0, CRIT)):
        long = QueryResult(history=(History({}, tuple((now - 60.0 * (40 - i), usual) for i in range(40))),))
        evaluation.board.put(Reading("baselines/x", long, evaluation.clock.mono(), max_age_s=3600.0))
        status = evaluation.status()
        assert (status.level, status.baseline) == (level, usual)
        assert evaluation.status() == status


def test_a_baseline_of_zero_is_no_threshold_above() -> None:
    status = Evaluation(above(baseline=3600.0, warn=2.0, crit=3.0)).read(0.0, history=[0.0] * 120)
    assert status.level is UNKNOWN and "baseline is 0" in status.reason


def test_the_spark_keeps_gaps_and_survives_nan() -> None:
    status = Evaluation(above()).read(1.0, history=[1.0, math.nan, 3.0])
    assert status.spark[-1] == 3.0
    assert all(value is None or math.isfinite(value) for value in status.spark)


# --- values of Kubernetes ----------------------------------------------------------------------


def pod(name: str, *, ready: bool = True, deleted: bool = False, phase: str = "Running", service: str = "m0-a") -> Pod:
    return sample_pod(
        uid=name,
        namespace="n",
        name=name,
        created_at=0.0,
        deleted_at=1.0 if deleted else None,
        service=service,
        phase=phase,
        reason=phase,
        ready=int(ready),
    )


def workload(desired: int, name: str = "m0-a") -> Workload:
    return sample_workload(
        uid=name,
        namespace="n",
        name=name,
        created_at=0.0,
        desired=desired,
        replicas=desired,
        ready=desired,
        updated=desired,
        available=desired,
    )


def kube(value: str, pods: list[Pod], desired: int | None, faults: Mapping[str, Fault] | None = None) -> SignalStatus:
    evaluation = Evaluation(SignalDef(title="X", value=value, crit=1e9))
    by_uid = {p.uid: p for p in pods}
    workloads = {("n", "m0-a"): workload(desired)} if desired is not None else {}
    evaluation.cluster = Cluster(pods=by_uid, workloads=workloads)
    for kind in ("pods", "deployments", "statefulsets", "replicasets"):
        fault = (faults or {}).get(kind)
        evaluation.board.put(Reading(f"kubernetes/{kind}/n", {}, evaluation.clock.mono(), fault=fault))
    return evaluation.status()


PODS = [pod("a"), pod("b", ready=False), pod("c", deleted=True), pod("d", ready=False, phase="Failed")]


@pytest.mark.parametrize(
    ("value", "desired", "number"),
    [
        ("kubernetes.ready.m0-a", 3, 1.0),
        ("kubernetes.unready.m0-a", 3, 2.0),
        ("kubernetes.pods.m0-a", 3, 3.0),  # the terminating one still runs
        ("kubernetes.share.m0-a", 4, 25.0),
        ("kubernetes.unready", 3, 1.0),
        ("kubernetes.suspect-releases", 3, 0.0),
    ],
)
def test_values_are_counted_from_pods(value: str, desired: int, number: float) -> None:
    assert kube(value, PODS, desired).value == number


def test_a_service_at_zero_is_none_of_it() -> None:
    """B10: what serves is never OK at zero."""
    assert kube("kubernetes.share.m0-a", [], 0).value == 0.0


def test_a_service_that_is_not_there_is_unknown_not_zero() -> None:
    status = kube("kubernetes.ready.m0-a", PODS, None)
    assert status.level is UNKNOWN and "there is no deployment or statefulset m0-a" in status.reason


def test_a_forbidden_kind_is_named_with_its_namespace() -> None:
    status = kube("kubernetes.ready.m0-a", PODS, 3, {"pods": Fault(SourceState.DENIED, "list pods is forbidden")})
    assert (status.level, status.reason) == (UNKNOWN, "pods in n: list pods is forbidden")


def test_a_forbidden_kind_that_is_not_needed_blinds_nothing() -> None:
    denied = {"statefulsets": Fault(SourceState.DENIED, "list statefulsets is forbidden")}
    assert kube("kubernetes.ready.m0-a", PODS, 3, denied).level is OK


# --- matching ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "level", "expected"),
    [
        ("warn", OK, False),
        ("warn", WARN, True),
        ("warn", CRIT, True),
        ("warn", UNKNOWN, None),
        ("crit", OK, False),
        ("crit", WARN, False),
        ("crit", CRIT, True),
        ("crit", UNKNOWN, None),
        ("ok", OK, True),
        ("ok", WARN, False),
        ("ok", CRIT, False),
        ("ok", UNKNOWN, None),
    ],
)
def test_a_symptom_has_three_values(at: str, level: Level, expected: bool | None) -> None:
    symptom = Symptom(item="1.symptom.1", text="t", signal="x", at=at)  # type: ignore[arg-type]
    assert held(symptom, {"x": SignalStatus("x", "X", level, None, "")}).held is expected


def _runbook(number: int, *signals: str) -> Runbook:
    symptoms = tuple(Symptom(item=f"{number}.symptom.{i}", text="t", signal=s) for i, s in enumerate(signals))
    return Runbook(id=f"b{number}", number=number, title="T", symptoms=symptoms)


def test_runbooks_are_ranked_by_what_holds_and_unknown_is_counted_apart() -> None:
    runbooks = Runbooks(
        queries={},
        signals={},
        stages=(),
        services={},
        toggles={},
        runbooks=(
            _runbook(1, "good", "bad"),
            _runbook(2, "bad", "bad2"),
            _runbook(3, "bad"),
            _runbook(4),
            _runbook(5, "dark", "bad"),
        ),
    )
    levels = {"good": OK, "bad": CRIT, "bad2": WARN, "dark": UNKNOWN}
    signals = {name: SignalStatus(name, name, level, None, "") for name, level in levels.items()}
    matches = match(runbooks, signals)
    assert [m.runbook.number for m in matches] == [2, 3, 5, 1, 4]  # all that is known holds in 2, 3 and 5
    assert matches[0].words == "2 of 2 symptoms"
    assert matches[2].words == "1 of 2 symptoms, 1 unknown"
    assert matches[-1].total == 0 and matches[-1].score == 0.0


def test_a_symptom_of_wellness_alone_speaks_for_no_runbook() -> None:
    well = Symptom(item="4.symptom.1", text="t", signal="x", at="ok")
    bad = Symptom(item="4.symptom.2", text="t", signal="y")
    four = Runbook(id="b4", number=4, title="T", symptoms=(well, bad))
    runbooks = Runbooks(
        queries={}, signals={}, stages=(), services={}, toggles={}, runbooks=(_runbook(1, "y"), _runbook(2, "y"), four)
    )
    calm = {n: SignalStatus(n, n, OK, None, "") for n in "xy"}
    assert [(m.runbook.number, m.score) for m in match(runbooks, calm)] == [(1, 0.0), (2, 0.0), (4, 0.0)]
    assert all(m.held == 0 for m in match(runbooks, calm))  # U10
    bad_now = match(runbooks, calm | {"y": SignalStatus("y", "y", CRIT, None, "")})
    assert [(m.runbook.number, m.score) for m in bad_now] == [(1, 1.0), (2, 1.0), (4, 1.0)]


@pytest.mark.parametrize(
    ("unit", "values", "level"),
    [
        ("s", (-3600.0,), UNKNOWN),
        ("s", (1.0, -3600.0), UNKNOWN),
        ("s", (30.0, -3600.0), CRIT),
        ("s", (-2.0,), OK),
        ("%", (-1.0,), UNKNOWN),
        ("/min", (-0.5,), UNKNOWN),
        ("events", (-7.0,), UNKNOWN),
        ("", (-7.0,), OK),
    ],
)
def test_what_cannot_be_is_not_ok(unit: str, values: tuple[float, ...], level: Level) -> None:
    """R11: a watermark an hour in the future read "lag −3,600 s: OK"."""
    status = Evaluation(above(unit=unit)).read(*values)
    assert status.level is level
    assert level is OK or "cannot be" in status.reason or level is CRIT
