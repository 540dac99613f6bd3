"""To set again what was there before what explains it is a `y`; anything else asks as before."""

from __future__ import annotations

from msgspec.structs import replace

from cockpit.mitigation.planning.planner import plan_request, takes_back
from cockpit.model.observed.changes import Back, ChangesNow, Onset, Ranked
from cockpit.model.situation import Situation
from cockpit.runbooks.schema import load
from tests.support.samples import situations
from tests.support.samples.changes import batch

RUNBOOKS = load(None)
RUNBOOK, STEP = RUNBOOKS.step("11", "rollback-config")
VALUES = {"key": "feature_batch", "value": "16"}
NOW = situations.WALL


def known(score: float) -> Situation:
    change = batch(NOW - 60, whole=True)
    one = Ranked(change, score, 5.0, "", Back(RUNBOOK.id, STEP.id, VALUES, STEP.title))
    return situations.rpc_outage(changes=ChangesNow((one,), Onset(NOW - 55, 5.0, "watermark-lag", "Lag")))


def test_only_the_very_value_of_a_change_that_explains_it_is_taken_back() -> None:
    assert STEP.dangerous
    assert takes_back(RUNBOOK, STEP, VALUES, known(0.9))
    assert not takes_back(RUNBOOK, STEP, VALUES, known(0.1)), "it explains nothing"
    assert not takes_back(RUNBOOK, STEP, {**VALUES, "value": "32"}, known(0.9)), "it never was so"
    assert not takes_back(None, STEP, VALUES, known(0.9))
    assert plan_request(RUNBOOK, STEP, VALUES, RUNBOOKS, known(0.9)).takes_back
    gone = replace(known(0.9), changes=ChangesNow())
    assert not plan_request(RUNBOOK, STEP, VALUES, RUNBOOKS, gone).takes_back
