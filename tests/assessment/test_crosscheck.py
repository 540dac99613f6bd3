"""Metrics against the chain, and the signer set three ways: differences are named, what is not
known contradicts nobody.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from cockpit.assessment.crosscheck import FOR_S, CrossCheck
from cockpit.assessment.signerset import check
from cockpit.model.observed.chain import Disagreement, ProgramActivity, Rate, SignerSetState
from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.observed.probe import SignerReport
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Toggle
from cockpit.model.situation import ToggleStatus
from cockpit.sources.probes.signer_set import compare

WALL = 1_790_000_000.0


def metrics(mono: float, commits: float | None = 118.0, reveals: float | None = 118.0, **more: Any) -> dict[str, Any]:
    def reading(value: float | None) -> Reading[QueryResult]:
        samples = (Sample({}, value),) if value is not None else ()
        return Reading(
            topic="q",
            data=QueryResult(samples, evaluated_at=more.get("evaluated")),
            observed_at=mono,
            took_s=0.0,
            fault=more.get("fault"),
            max_age_s=30.0,
            server_time=more.get("evaluated"),
        )

    return {"commits-ok": reading(commits), "reveals-ok": reading(reveals)}


def chain(mono: float, commits: float | None = 118.0, reveals: float | None = 118.0, **more: Any) -> Reading[Any]:
    made = {"complete": True, "commits": Rate(1, commits, 1), "reveals": Rate(1, reveals, 1), **more}
    return Reading(
        topic="solana/program",
        data=ProgramActivity("P", "rpc-a", 0.0, **made),
        observed_at=mono,
        took_s=0.0,
        fault=None,
        max_age_s=15.0,
    )


def test_a_disagreement_counts_once_it_has_lasted() -> None:
    cross = CrossCheck()
    seen = [
        cross.update(metrics(t, reveals=3.0), chain(t, reveals=64.0), WALL + t, t) for t in (0.0, 8.0, FOR_S, FOR_S + 1)
    ]
    assert [len(found) for found in seen] == [0, 0, 0, 1]
    (one,) = seen[-1]
    assert (one.what, one.metrics, one.chain, one.since) == ("reveals", 3.0, 64.0, 0.0)
    assert one.words == "reveals: the chain has 61/min more than metrics (3 and 64)"
    assert cross.update(metrics(20.0), chain(20.0), WALL, 20.0) == ()
    assert cross.update(metrics(21.0, reveals=3.0), chain(21.0), WALL, 21.0) == ()  # it begins anew


@pytest.mark.parametrize("speed", [0.5, 1.0, 3.0])
def test_minutes_of_a_clock_that_runs_faster_are_shorter(speed: float) -> None:
    """As in a drill that runs at three times the speed: there the metrics' minute is a third of
    ours.
    """
    cross, away = CrossCheck(), CrossCheck()
    for t in range(0, 60, 4):
        evaluated = WALL + speed * t
        assert cross.update(metrics(t, evaluated=evaluated), chain(t, 118.0 * speed, 118.0 * speed), WALL, t) == ()
        lost = away.update(metrics(t, evaluated=evaluated), chain(t, 30.0 * speed, 118.0 * speed), WALL, t)
    assert [one.words for one in lost] == ["commits: metrics have 88/min more than the chain (118 and 30)"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"commits": 118.0}, {"commits": 109.0}),  # within 10 %
        ({"commits": 2.0}, {"commits": 0.0}),  # within 3/min
        ({"commits": None}, {"commits": 60.0}),
        ({"commits": float("nan")}, {"commits": 60.0}),
        ({"commits": 118.0}, {"commits": None}),
        ({"commits": 118.0}, {"commits": 0.0, "doubtful": True}),
        ({"commits": 118.0}, {"commits": 0.0, "doubtful": True, "complete": False}),  # a gap within the last minute
        ({"commits": 118.0, "fault": Fault(SourceState.DOWN, "x")}, {"commits": 0.0}),
    ],
)
def test_what_is_close_or_not_known_contradicts_nobody(ours: Any, theirs: Any) -> None:
    cross = CrossCheck()
    for t in (0.0, 30.0):
        assert cross.update(metrics(t, **ours), chain(t, **theirs), WALL + 30, t) == ()
    assert cross.update(metrics(60.0), None, WALL, 60.0) == ()


KEYS = tuple(f"{c}Key{c * 40}" for c in "ABCDEFG")
SET = SignerSetState(address="A", signer_set_id=100, threshold=5, pubkeys=KEYS, active=True, created_at_slot=1, slot=2)
REPORTS = {f"s{n}": SignerReport(f"s{n}", key, "100", True) for n, key in enumerate(KEYS)}
ENV = {"m0-submitter": "100"}


@pytest.mark.parametrize(
    ("chain_", "reports", "env", "words"),
    [
        (SET, REPORTS, {"m0-submitter": "101"}, "m0-submitter is configured with set 101, the chain has 100"),
        (
            SET,
            REPORTS,
            {"m0-submitter": "100", "m0-quant": "99"},
            "the deployments differ: m0-submitter has 100, m0-quant has 99",
        ),
        (replace(SET, active=False), REPORTS, ENV, "signer set 100 is not active on the chain"),
        (SET, {**REPORTS, "s1": SignerReport("s1", KEYS[1], "99", True)}, ENV, "s1 reports set 99, active is 100"),
        (
            SET,
            {**REPORTS, "s1": SignerReport("s1", "Zzzz" + "9" * 40, "100", True)},
            ENV,
            "s1 signs with Zzzz…9999, which is not in set 100",
        ),
        (
            SET,
            {**REPORTS, "s1": SignerReport("s1", KEYS[0], "100", True)},
            ENV,
            "s0 and s1 report the same key AKey…AAAA: together they count once",
        ),
        (SET, {k: r for k, r in REPORTS.items() if k != "s6"}, ENV, "key GKey…GGGG of set 100 is reported by no agent"),
        (SET, {"s0": REPORTS["s0"]}, ENV, "only 1 of 7 keys are reported by agents, the threshold is 5"),
        (None, {"s0": SignerReport("s0", KEYS[0], "99", True)}, ENV, "s0 reports set 99, active is 100"),
    ],
)
def test_every_difference_is_named(chain_: Any, reports: Any, env: Any, words: str) -> None:
    assert words in [one.words for one in compare(chain_, reports, env)]


def test_what_is_alike_has_no_difference_and_silence_says_nothing() -> None:
    assert compare(SET, REPORTS, ENV) == ()
    assert compare(None, None, {}) == () and compare(SET, None, {}) == () and compare(SET, None, ENV) == ()


def toggle(value: str | None = "100", level: str = "usual", reason: str = "") -> ToggleStatus:
    return ToggleStatus(
        name="M0_ACTIVE_SIGNER_SET_ID",
        toggle=Toggle(deployments=("m0-submitter",)),
        deployment="m0-submitter",
        value=value,
        level=level,
        reason=reason,
    )


BOTH = frozenset({"solana", "probes"})


def reading(topic: str, data: Any, age_s: float = 1.0, fault: Fault | None = None) -> Reading[Any]:
    return Reading(topic=topic, data=data, observed_at=100.0 - age_s, took_s=0.0, fault=fault, max_age_s=15.0)


def test_it_agrees_only_when_everything_configured_was_compared() -> None:
    solana, probes = {"signer-set": reading("s", SET)}, {"signers": reading("p", REPORTS)}
    whole = check(solana, probes, (toggle(),), BOTH, 100.0)
    assert whole.agrees is True and (whole.signer_set_id, whole.threshold, whole.keys) == ("100", 5, 7)
    assert whole.sides == ("chain", "agents", "cluster")
    assert (
        check(solana, {}, (toggle(),), frozenset({"solana"}), 100.0).agrees is True
    )  # no agent is asked: two sides are left
    for lost in (
        check({}, probes, (toggle(),), BOTH, 100.0),
        check({"signer-set": reading("s", SET, 60.0)}, probes, (toggle(),), BOTH, 100.0),
        check(solana, {"signers": reading("p", REPORTS, fault=Fault(SourceState.DOWN, "x"))}, (toggle(),), BOTH, 100.0),
        check(solana, probes, (toggle(None, "unknown", "deployments: denied"),), BOTH, 100.0),
        check(solana, {}, (), frozenset({"solana"}), 100.0),  # the chain alone agrees with nobody
    ):
        assert lost.agrees is None
    said = (Disagreement("signer set", "rpc-a and rpc-b differ in its pubkeys"),)
    torn = check({**solana, "disagreements": reading("d", said)}, probes, (toggle(),), BOTH, 100.0)
    assert torn.agrees is None and torn.threshold is None  # it says so rather than choosing
    assert torn.unknown == ("the set on the chain: endpoints disagree: rpc-a and rpc-b differ in its pubkeys",)
    off = Reading[Any]("o", fault=Fault(SourceState.OFF, "no signer agent is asked"))
    assert (
        check(solana, {"signers": off}, (toggle(),), BOTH, 100.0).agrees is True
    )  # the same, with other services probed
    silent = check(
        solana,
        {"signers": reading("p", {**REPORTS, "s6": SignerReport("s6", None, None, False, "down")})},
        (),
        BOTH,
        100.0,
    )
    assert silent.agrees is False and silent.unknown == ("s6: no key reported",)
