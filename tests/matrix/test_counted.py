"""How the matrix counts: which steps are tried, which verdicts are right, and what it says then."""

from __future__ import annotations

import pytest

from bench.matrix import report
from bench.matrix.cases import case_of, changes_something
from bench.matrix.run import Result
from cockpit.drill.scenarios import SCENARIOS
from cockpit.runbooks.schema import load


def made(scenario: str, step: str, verdict: str) -> Result:
    return Result(case_of(SCENARIOS[scenario], 1, load(None), step), verdict, "")


@pytest.mark.parametrize(
    ("scenario", "step", "right", "wrong"),
    [
        ("rpc-outage", "switch-rpc", ("pass",), ("fail", "unknown", "refused", "held", "error")),
        ("rpc-outage", "restart-signers", ("fail", "unknown", "none", "held", "refused"), ("pass", "error")),
        # what restarts the agents is the cure, and runbook 1 may have nothing to prove it by
        ("kms-denied", "1/restart-signers", ("pass", "unknown", "none"), ("fail", "error")),
        # the image before the release is the cure, whatever else is set back with it
        ("bad-release", "roll-back-all", ("pass", "unknown", "none"), ("fail", "error")),
        # one of two sessions is half a cure
        ("slow-query", "end-session", ("fail", "unknown"), ("pass", "error")),
    ],
)
def test_which_verdicts_are_right(scenario: str, step: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    assert not report.offenders([made(scenario, step, verdict) for verdict in right])
    found = [made(scenario, step, verdict) for verdict in wrong]
    assert report.offenders(found) == found


def test_the_bounds_and_the_words_that_say_how_it_is_counted() -> None:
    good = [made("rpc-outage", "switch-rpc", "pass"), made("rpc-outage", "restart-signers", "fail")]
    assert report.verdict(good) == []
    assert report.verdict([*good, made("rpc-outage", "relax-guardrail", "pass")]) == ["1 proofs are not so"]
    assert report.verdict([made("rpc-outage", "switch-rpc", "fail")]) == ["fewer than 95% of the cures are proven"]
    said = "\n".join(report.lines([*good, made("kms-denied", "1/restart-signers", "unknown")]))
    assert "not its cure: 1 runs: fail 1" in said and "its cure, by another name: 1 runs: unknown 1" in said
    assert all(verdict in said for verdict in ('"held"', '"none"', '"refused"', '"nothing to do"'))


def test_what_only_reads_back_what_another_step_did_is_not_tried() -> None:
    runbooks = load(None)
    tried = {name: changes_something(*runbooks.step("12", name)) for name in ("pause", "verify-paused")}
    assert tried == {"pause": True, "verify-paused": False}
