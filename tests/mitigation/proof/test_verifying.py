"""Three answers, never two: pass, fail, unknown."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cockpit.clock import ManualClock
from cockpit.mitigation.proof.before import Was, key_of
from cockpit.mitigation.proof.verify import Baseline, Verification, holds
from cockpit.model.plan import Phase, Proof
from cockpit.model.runbook import Validation
from cockpit.model.signal import Level, SignalStatus
from tests.support.kube_rig import OTHER_URL, Rig, carry, ended, plan, runbooks, situation, status, step


def line(expect: str = "ok", **more: float) -> Validation:
    return Validation(text="commits", signal="commit-rate", expect=expect, **{"hold": 30.0, "within": 300.0, **more})  # type: ignore[arg-type]


def commits(level: Level = Level.OK, value: float | None = 100.0, **more: object) -> SignalStatus:
    return status("commit-rate", level, value, **{"age_s": 0.0, **more})


@pytest.mark.parametrize(
    ("made", "seen", "before", "held"),
    [
        (line("ok"), commits(), None, True),
        (line("ok"), commits(Level.WARN), None, False),
        (line("ok"), commits(Level.UNKNOWN, None), None, None),
        (line("ok"), None, None, None),
        (line("rises"), commits(value=118), 20.0, True),
        (line("rises"), commits(value=20.5), 20.0, False),
        (line("rises"), commits(value=118), None, None),
        (line("rises"), commits(Level.UNKNOWN, None), 20.0, None),
        (line("rises"), commits(value=float("nan")), 20.0, None),
        (line("rises"), commits(value=1), 0.0, True),
        (line("falls"), commits(value=5), 20.0, True),
        (line("near-baseline"), commits(value=110, baseline=118.0), None, True),
        (line("near-baseline"), commits(value=50, baseline=118.0, direction="below"), None, False),
        # 9.validation.1: back to what is usual, not merely below the threshold
        (line("near-baseline"), commits(value=0.3, baseline=0.1, warn=1.0), None, True),
        (line("near-baseline"), commits(value=0.5, baseline=0.1, warn=1.0), None, False),
        (line("near-baseline"), commits(value=0.0, baseline=0.1, warn=1.0), None, True),
        (line("near-baseline"), commits(value=0.2, baseline=0.0, warn=1.0), None, True),
        (line("near-baseline"), commits(value=50), None, None),  # what is usual is not known
        (line("near-baseline"), commits(Level.WARN, value=50), None, False),
    ],
)
def test_what_holds(made: Validation, seen: SignalStatus | None, before: float | None, held: bool | None) -> None:
    assert holds(made, seen, None if before is None else Was(before, before, before))[0] is held


def bad_before(*lines: Validation, before: float | None = 20.0) -> Baseline:
    """None of the lines held before the step."""
    known = {} if before is None else {made.signal: Was(before, before, before) for made in lines}
    values = {made.signal: before for made in lines}
    return Baseline(values, known, dict.fromkeys(map(key_of, lines), False))


def watch(made: Validation, *moments: tuple[float, SignalStatus | None], before: float | None = 20.0) -> Verification:
    clock = ManualClock()
    verification = Verification([made], runbooks(), bad_before(made, before=before), clock.mono() - 1.0)
    for seconds, seen in moments:
        clock.advance(seconds)
        verification.update(situation(clock, *([seen] if seen else [])), clock.mono())
    return verification


def test_a_line_passes_when_it_held_long_enough() -> None:
    verification = watch(line(), (0, commits()), (15, commits()))
    assert verification.proof is Proof.PENDING
    assert verification.gauges[0].held_s == 15
    assert watch(line(), (0, commits()), (15, commits()), (15, commits())).proof is Proof.PASS


def test_a_hold_starts_anew_after_a_break() -> None:
    bad, unknown = commits(Level.CRIT), commits(Level.UNKNOWN, None)
    for broken in (bad, unknown, None):
        assert (
            watch(line(), (0, commits()), (20, commits()), (1, broken), (1, commits()), (20, commits())).proof
            is Proof.PENDING
        )


def test_a_line_fails_when_its_time_is_over() -> None:
    verification = watch(line(), (0, commits(Level.CRIT)), (300, commits(Level.CRIT, reason="3 /min")))
    assert verification.proof is Proof.FAIL
    assert verification.gauges[0].reason == "3 /min"


def test_a_line_is_unknown_when_its_signal_is() -> None:
    dark = commits(Level.UNKNOWN, None, reason="Prometheus is down")
    verification = watch(line(), (0, commits(Level.CRIT)), (300, dark))
    assert verification.proof is Proof.UNKNOWN
    assert verification.gauges[0].reason == "Prometheus is down"


def test_rises_without_a_value_before_is_unknown() -> None:
    assert watch(line("rises"), (0, commits()), (300, commits()), before=None).proof is Proof.UNKNOWN


def test_an_old_situation_tells_nothing() -> None:
    clock = ManualClock()
    verification = Verification([line(hold=5.0)], runbooks(), bad_before(line()), clock.mono())
    old = situation(clock, commits())
    for _ in range(10):
        clock.advance(30)
        verification.update(old, clock.mono())
    assert verification.proof is Proof.UNKNOWN
    assert verification.gauges[0].reason == "nothing new is known"


def test_one_failure_decides_and_no_line_proves_nothing() -> None:
    clock = ManualClock()
    both = [line(hold=0.0), replace_line(line(within=0.0), "rpc-errors")]
    verification = Verification(both, runbooks(), bad_before(*both), clock.mono() - 3.0)
    verification.update(situation(clock, commits(), status("rpc-errors", Level.CRIT)), clock.mono())
    assert verification.proof is Proof.FAIL
    assert Verification([], runbooks(), Baseline({}), 0.0).proof is Proof.UNKNOWN


def replace_line(made: Validation, signal: str) -> Validation:
    return Validation(text=made.text, signal=signal, expect=made.expect, hold=made.hold, within=made.within)


def test_the_baseline_is_taken_before_the_step() -> None:
    clock = ManualClock()
    seen = situation(clock, commits(value=12.0))
    assert Baseline.of(seen, [line()], clock.mono()).values == {"commit-rate": 12.0}
    assert Baseline.of(seen, [line()], clock.mono() + 60).values == {}
    assert Baseline.of(replace(seen, signals={}), [line()], clock.mono()).values == {}
    assert Baseline.of(None, [line()], clock.mono()).values == {}


def test_a_failed_proof_offers_the_way_back(rig: Rig) -> None:

    runbook = rig.runbooks.runbooks[0]
    validation = Validation(text="commits rise", signal="commit-rate", expect="rises", hold=0.0, within=3.0)
    rig.signals["commit-rate"] = commits(Level.CRIT, 1.0, reason="1 /min")
    rig.runbooks = replace(rig.runbooks, runbooks=(replace(runbook, validation=(validation,)),))
    runbook = rig.runbooks.runbooks[0]
    made = plan(rig.executor(), runbook.mitigations[0], runbook)
    carry(rig.executors[0], made)
    final = ended(rig.executors[0], made)
    assert (final.phase, final.proof) == (Phase.DONE, Proof.FAIL)
    assert "to take it back: set SOLANA_RPC_URL back to https://rpc-a.example/***" in final.words
    assert "journal undo 1" in final.words
    assert OTHER_URL not in final.words
    (proof,) = [r for r in rig.journal.records() if r["kind"] == "proof"]
    assert proof["proof"] == "fail"


def test_a_proof_in_the_dark_is_unknown(rig: Rig) -> None:

    rig.signals["commit-rate"] = commits(Level.UNKNOWN, None, reason="Prometheus is down")
    runbook = rig.runbooks.runbooks[0]
    rig.runbooks = replace(rig.runbooks, runbooks=(replace(runbook, validation=(line(hold=0.0, within=0.0),)),))
    runbook = rig.runbooks.runbooks[0]
    made = plan(rig.executor(), runbook.mitigations[0], runbook)
    carry(rig.executors[0], made)
    assert ended(rig.executors[0], made).proof is Proof.UNKNOWN


def test_a_proof_says_when_it_gives_up_and_which_way_it_goes() -> None:
    """U14: while a step is under way nothing said how long its proof can take."""
    falls = (commits(Level.CRIT, 40.0), commits(Level.CRIT, 30.0), commits(Level.CRIT, 20.0))
    first, *later = falls
    made = watch(line(), (0, first), *((10.0, seen) for seen in later), before=90.0)
    (gauge,) = made.gauges
    assert (gauge.gives_up_s, gauge.trend) == (279.0, "better")
    rises = watch(line("rises"), (0, first), *((10.0, seen) for seen in later), before=90.0).gauges[0]
    assert rises.trend == "worse", "of what shall rise, less is worse"
    assert watch(line(), (0, first), (20, first)).gauges[0].trend == "steady"
    assert watch(line(), (0, first), (5, later[0])).gauges[0].trend == "", "too little is known"
    dark = watch(line(), (0, first), (20, commits(Level.UNKNOWN, None)), (20, first)).gauges[0]
    assert dark.trend == "", "what was not known is no trend"


def test_what_is_decided_is_not_waited_for() -> None:
    """U14: neither a passed nor a failed line has a time left."""
    for made in (
        watch(line(), (0, commits()), (15, commits()), (15, commits())),
        watch(line(), (0, commits(Level.CRIT)), (300, commits(Level.CRIT))),
        watch(line("rises"), (0, commits()), before=None),
    ):
        assert made.proof is not Proof.PENDING
        assert made.gauges[0].gives_up_s is None


def test_a_mitigation_says_beforehand_how_long_its_proof_can_take(rig: Rig) -> None:
    """U14: from the moment that it is sent."""
    first = rig.runbooks.runbooks[0]
    made = plan(rig.executor(), first.mitigations[0], first)
    assert carry(rig.executors[0], made).proof_s == (0.0, 60.0)
    ended(rig.executors[0], made)
    unproven = plan(rig.executors[0], step("scale", "m0-ingestor", replicas=6))
    assert carry(rig.executors[0], unproven).proof_s is None
