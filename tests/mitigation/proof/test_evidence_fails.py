"""Each kind of proof × each way that its evidence fails: never PASS, and why is said.

The decisions are the program's own: signals are judged by the assessor from what is on the board,
stops by what the ledger counted, rollouts by objects and pods as the API server gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from cockpit.assessment.assessor import Assessor
from cockpit.assessment.board import Board
from cockpit.clock import ManualClock
from cockpit.mitigation.cluster.rollout_state import snapshot, stood_at
from cockpit.mitigation.proof.before import Baseline
from cockpit.mitigation.proof.measured import Measuring
from cockpit.mitigation.proof.verify import Verification
from cockpit.model.observed.metrics import History, QueryResult, Sample
from cockpit.model.plan import Proof
from cockpit.model.reading import Fault, Known, Reading, SourceState, believed
from cockpit.model.runbook import Runbooks, SignalDef, Validation
from tests.mitigation.proof.test_rollout import deployment, statefulset
from tests.mitigation.proof.test_rollout_state import EXCEEDED, pod

GAUGE = "max by (connector) (m0_watermark_lag_ms)"
SUM = "sum(increase(m0_replay_violation_total[5m]))"
SIGNALS = {
    "gauge": SignalDef(title="lag", promql=GAUGE, warn=10.0, crit=60.0),
    "sum": SignalDef(title="violations, 5 min", promql=SUM, warn=0.5, crit=3.0),
    "flow": SignalDef(
        title="commits", promql="sum(rate(c[1m]))", direction="below", baseline=86400.0, warn=0.7, crit=0.3
    ),
    "tried": SignalDef(title="tried", promql="sum(rate(t[1m]))", direction="below", warn=6.0, crit=1.0),
}
BAD = {"gauge": 240.0, "sum": 20.0, "flow": 6.0, "tried": 118.0}
GOOD = {"gauge": 1.5, "sum": 0.0, "flow": 118.0, "tried": 118.0}
LINES = {
    "ok of a gauge": Validation(text="lag", signal="gauge", expect="ok", hold=30.0, within=600.0),
    "ok of a sum": Validation(text="none", signal="sum", expect="ok", hold=60.0, within=600.0),
    "ok with a companion": Validation(text="none", signal="sum", only_with="tried", hold=60.0, within=600.0),
    "rises": Validation(text="commits", signal="flow", expect="rises", hold=60.0, within=600.0),
    "near-baseline": Validation(text="commits", signal="flow", expect="near-baseline", hold=60.0, within=600.0),
    "falls": Validation(text="lag", signal="gauge", expect="falls", hold=30.0, within=600.0),
}


class World:
    """A Prometheus as it is read: values by signal, with times of one's own."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.runbooks = Runbooks(
            queries={}, signals=SIGNALS, stages=(), services={}, toggles={}, runbooks=(), origin="test"
        )
        self.values = dict(BAD)
        self.board = Board()
        self.assessor = Assessor(
            self.runbooks,
            self.clock,
            context="c",
            namespaces=("n",),
            production=True,
            read_only=False,
            configured=frozenset({"kubernetes", "prometheus"}),
        )
        self.histories: dict[str, list[tuple[float, float]]] = {name: [] for name in SIGNALS}
        self.spoil: Callable[[str, Reading[QueryResult]], Reading[QueryResult] | None] = lambda name, reading: reading
        usual = History({}, tuple((self.clock.wall() - 60.0 * n, 118.0) for n in range(120, 0, -1)))
        self.board.put(Reading("baselines/flow", QueryResult(history=(usual,)), self.clock.mono(), max_age_s=1e6))

    def read(self) -> Any:
        now, mono = self.clock.wall(), self.clock.mono()
        for name, value in self.values.items():
            self.histories[name].append((now, value))
            labels = {"connector": "politics"} if name == "gauge" else {}
            made = QueryResult(
                samples=(Sample(labels, value),),
                history=(History(labels, tuple(self.histories[name])),),
                evaluated_at=now,
            )
            spoilt = self.spoil(name, Reading(f"prometheus/signals/{name}", made, mono, server_time=now))
            if spoilt is not None:
                self.board.put(spoilt)
        return self.assessor.assess(self.board)

    def wait(self, seconds: float = 5.0) -> Any:
        self.clock.advance(seconds)
        return self.read()


def before(world: World, line: Validation) -> Baseline:
    for _ in range(40):
        seen = world.wait()
    return Baseline.of(seen, [line], world.clock.mono(), world.runbooks)


def prove(
    world: World, line: Validation, baseline: Baseline, then: Callable[[World], None] | None = None
) -> Verification:
    """The step takes effect now; what `then` does goes wrong just after the values turn good."""
    verification = Verification([line], world.runbooks, baseline, world.clock.mono())
    world.values = dict(GOOD)
    if then is not None:
        then(world)
    for _ in range(200):
        if verification.proof is not Proof.PENDING:
            break
        verification.update(world.wait(), world.clock.mono())
    return verification


@pytest.mark.parametrize("kind", LINES)
def test_a_cure_is_proven_within_its_window(kind: str) -> None:
    """A proof that never passes is no proof."""
    world = World()
    verification = prove(world, LINES[kind], before(world, LINES[kind]))
    assert verification.proof is Proof.PASS, verification.gauges
    # ... once, and not before the line could have held
    assert verification.gauges[0].held_s == LINES[kind].hold


def faulty(reading: Reading[QueryResult], fault: Fault) -> Reading[QueryResult]:
    failed: Reading[QueryResult] = Reading(reading.topic, fault=fault)
    return failed.after(reading)


def _frozen(world: World) -> None:
    """Samples stop: the last good ones are given for ever, with the time they have."""
    kept: dict[str, Reading[QueryResult]] = {}
    world.spoil = lambda name, reading: kept.setdefault(name, reading)


def _faulty(world: World) -> None:
    fault = Fault(SourceState.DOWN, "Prometheus gave no answer", "")
    world.spoil = lambda name, reading: faulty(reading, fault)


def _emptied(world: World) -> None:
    """The series are gone."""
    world.spoil = lambda name, reading: Reading(
        reading.topic, QueryResult(evaluated_at=world.clock.wall()), world.clock.mono()
    )


def _nan(world: World) -> None:
    def spoil(name: str, reading: Reading[QueryResult]) -> Reading[QueryResult]:
        return Reading(
            reading.topic,
            QueryResult((Sample({}, float("nan")),), evaluated_at=world.clock.wall()),
            world.clock.mono(),
        )

    world.spoil = spoil


def _partial(world: World) -> None:
    def spoil(name: str, reading: Reading[QueryResult]) -> Reading[QueryResult]:
        samples = (Sample({"connector": "politics"} if name == "gauge" else {}, world.values[name]),)
        made = QueryResult(samples, ("a store did not answer",), evaluated_at=world.clock.wall())
        return Reading(reading.topic, made, world.clock.mono())

    world.spoil = spoil


def _silent(world: World) -> None:
    """Nothing more is put onto the board."""
    world.spoil = lambda name, reading: None


def _every_other(world: World) -> None:
    """Half a window: it is known for a while, then not, again and again."""
    fault = Fault(SourceState.DOWN, "Prometheus restarts", "")
    world.spoil = lambda name, reading: faulty(reading, fault) if int(world.clock.mono()) // 20 % 2 else reading


def _others(world: World) -> None:
    """The answer is of another connector; the one that was bad is not in it."""
    world.spoil = lambda name, reading: Reading(
        reading.topic,
        QueryResult(
            (Sample({"connector": "sports"}, world.values[name]),),
            history=(
                History({"connector": "politics"}, ((world.clock.wall() - 30.0, BAD[name]),)),
                History({"connector": "sports"}, ((world.clock.wall(), world.values[name]),)),
            ),
            evaluated_at=world.clock.wall(),
        ),
        world.clock.mono(),
    )


FAILURES = {
    "stale": _frozen,
    "late": _faulty,
    "gone": _emptied,
    "not a number": _nan,
    "truncated": _partial,
    "silent": _silent,
    "half a window": _every_other,
}


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("failure", FAILURES)
def test_evidence_that_fails_never_proves(kind: str, failure: str) -> None:
    """Never PASS: unknown, with why."""
    world = World()
    verification = prove(world, LINES[kind], before(world, LINES[kind]), FAILURES[failure])
    assert verification.proof is not Proof.PASS
    assert all(gauge.reason for gauge in verification.gauges)


@pytest.mark.parametrize("kind", ["ok of a gauge", "falls"])
def test_another_ones_sample_never_proves(kind: str) -> None:
    """Another's fields: the series that was bad must be there, or its signal is unknown."""
    world = World()
    assert prove(world, LINES[kind], before(world, LINES[kind]), _others).proof is not Proof.PASS


@pytest.mark.parametrize("kind", LINES)
def test_what_is_from_before_the_step_never_proves(kind: str) -> None:
    """From before: values that were good before the step, and are read again, are no evidence."""
    world = World()
    baseline = before(world, LINES[kind])
    world.values = dict(GOOD)
    last = world.wait()
    world.clock.advance(1.0)
    verification = Verification([LINES[kind]], world.runbooks, baseline, world.clock.mono())
    for _ in range(200):
        world.clock.advance(5.0)
        verification.update(replace(last, mono=world.clock.mono()), world.clock.mono() - 5.0)
        verification.update(last, world.clock.mono())
    assert verification.proof is not Proof.PASS


@pytest.mark.parametrize("kind", LINES)
@pytest.mark.parametrize("ahead", [7200.0, -7200.0])
def test_a_reading_two_hours_off_never_proves(kind: str, ahead: float) -> None:
    """Clock 2 h off: what is dated in the future or the past is no evidence."""
    world = World()
    baseline = before(world, LINES[kind])

    def off(it: World) -> None:
        def spoil(name: str, reading: Reading[QueryResult]) -> Reading[QueryResult]:
            found = believed(reading, it.clock.mono())
            assert isinstance(found, Known)
            return Reading(reading.topic, found.data, it.clock.mono() + ahead, server_time=it.clock.wall())

        it.spoil = spoil

    assert prove(world, LINES[kind], baseline, off).proof is not Proof.PASS


@pytest.mark.parametrize("kind", LINES)
def test_what_held_before_or_was_not_known_before_proves_nothing(kind: str) -> None:
    """B26, P5: held before the step is unknown, not PASS; not known before ends at once."""
    world = World()
    world.values = dict(GOOD)
    held = before(world, LINES[kind])
    verification = prove(world, LINES[kind], held)
    assert verification.proof is not Proof.PASS
    unknown = Verification([LINES[kind]], world.runbooks, Baseline({}), world.clock.mono())
    assert unknown.proof is Proof.UNKNOWN  # before anything was looked at
    assert "not known" in unknown.gauges[0].reason


def test_a_companion_that_is_not_there_makes_no_errors_mean_nothing() -> None:
    """B2: "no errors" is true of anything that tries nothing."""
    world = World()
    line = LINES["ok with a companion"]
    baseline = before(world, line)

    def nothing_tried(it: World) -> None:
        it.values["tried"] = 0.0

    verification = prove(world, line, baseline, nothing_tried)
    assert verification.proof is Proof.UNKNOWN
    assert verification.gauges[0].reason.startswith("nothing to judge by: tried")


def test_noise_is_no_rise_and_the_outage_is_no_normal() -> None:
    """B1, B5: 5 % above one sample is noise; an hour of outage does not become what is usual."""
    world = World()
    line = LINES["rises"]
    for _ in range(700):
        seen = world.wait()
    baseline = Baseline.of(seen, [line], world.clock.mono(), world.runbooks)
    assert seen.signals["flow"].baseline == 118.0
    assert "to" in seen.signals["flow"].baseline_from

    def noise(it: World) -> None:
        it.values["flow"] = 12.0

    verification = prove(world, line, baseline, noise)
    assert verification.proof is Proof.FAIL
    assert "normal is 118" in verification.gauges[0].reason


class Prometheus:
    """Answers a proof's own questions: raw samples every five seconds, and the value over them."""

    def __init__(self, world: World) -> None:
        self.world, self.value, self.ages, self.reset, self.ahead, self.until = world, 0.0, 0.0, False, 0.0, 1e18
        self.asked: list[str] = []

    async def __call__(self, queries: Any) -> tuple[float, tuple[QueryResult, ...]]:
        now = self.world.clock.wall()
        found = []
        for query in queries:
            self.asked.append(query)
            if query.startswith("sum("):
                found.append(QueryResult((Sample({}, self.value),), evaluated_at=now))
                continue
            newest = min(now - self.ages, self.until) + self.ahead
            times = [newest - 5.0 * n for n in range(15, -1, -1) if newest - 5.0 * n >= now - 75.0]
            values = [100.0 if self.reset and n % 3 == 0 else 900.0 for n, _ in enumerate(times)]
            found.append(QueryResult(history=(History({}, tuple(zip(times, values, strict=True))),), evaluated_at=now))
        return now, tuple(found)


async def measured(
    change: Callable[[Prometheus], None] | None = None, seconds: float = 200.0
) -> tuple[Verification, float]:
    world = World()
    line = LINES["ok of a sum"]
    baseline = before(world, line)
    prometheus = Prometheus(world)
    started = world.clock.mono()
    verification = Verification([line], world.runbooks, baseline, started)
    measuring = Measuring(prometheus, [line], world.runbooks, world.clock)
    if change is not None:
        change(prometheus)
    while verification.proof is Proof.PENDING and world.clock.mono() - started < seconds:
        seen = world.wait(2.5)  # the sum over five minutes still says 20
        verification.update(seen, world.clock.mono(), await measuring.poll(seen))
    return verification, world.clock.mono() - started


async def test_a_proof_counts_from_the_step_on() -> None:
    """U1: what is new since, and not five minutes that still hold the past."""
    verification, took = await measured()
    assert verification.proof is Proof.PASS
    assert 60.0 <= took <= 120.0


def _attr(name: str, value: Any) -> Callable[[Prometheus], None]:
    return lambda prometheus: setattr(prometheus, name, value)


@pytest.mark.parametrize(
    "change",
    [
        _attr("value", 3.0),
        _attr("value", float("nan")),
        _attr("ages", 60.0),  # late
        _attr("reset", True),  # the counter began anew in it, again and again
        _attr("ahead", 7200.0),  # a clock two hours off
        _attr("ahead", -7200.0),
        _attr("until", 1_790_000_000.0 + 220.0),  # the source fell silent in it
    ],
)
async def test_a_window_that_is_not_whole_never_proves(change: Callable[[Prometheus], None]) -> None:
    """Late, silent, restarted, reset, two hours off: never PASS by what was measured."""
    verification, _ = await measured(change)
    assert verification.proof is not Proof.PASS


def rollouts() -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]] | None, dict[str, Any]]]:
    stopped = deployment(0, replicas=0, updatedReplicas=0, availableReplicas=0)
    yield "silent: pods cannot be listed", stopped, None, {"scaled": True}
    yield "late: not observed yet", {**stopped, "status": {**stopped["status"], "observedGeneration": 4}}, [], {}
    yield "gone half-way: one is left", stopped, [pod("a", ending=True)], {"scaled": True}
    yield "another's pods are ready", deployment(1), [pod("b", "x-canary-77f", made_for="77f")], {"scaled": True}
    yield "not ready by its condition", deployment(1), [pod("a", ready=False)], {"scaled": True}
    yield "nothing updated", statefulset(updatedReplicas=0, currentRevision="r1"), [], {}
    stuck = deployment(2, updatedReplicas=1, conditions=[EXCEEDED])
    yield "from before: the old condition", stuck, [], {"stood": stood_at(stuck)}


@pytest.mark.parametrize(
    ("how", "obj", "pods", "more"), list(rollouts()), ids=lambda each: each if isinstance(each, str) else ""
)
def test_a_rollout_is_never_done_by_evidence_that_fails(how: str, obj: Any, pods: Any, more: Any) -> None:
    """P2, P3, P6, P8: each way that a rollout's evidence fails."""
    assert not snapshot(obj, 5, pods, "403", **more).done, how
