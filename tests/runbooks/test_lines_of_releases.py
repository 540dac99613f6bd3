"""Runbook 11 holds a release against what turned bad after it, and names it."""

from __future__ import annotations

from cockpit.assessment.verdicts.holding import Held, Raw
from cockpit.assessment.verdicts.onset import onset_of
from cockpit.drill.names import INGESTOR
from cockpit.drill.physics.releases import Traits
from cockpit.model.runbook import SymptomStatus
from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from cockpit.runbooks.schema import load
from tests.support.scenario_rig import Operator

WHEN = ("11.when.1", "11.when.2", "11.when.3")


def symptoms(situation: Situation) -> dict[str, SymptomStatus]:
    return {s.symptom.item or "": s for m in situation.matches for s in m.symptoms}


def test_a_release_is_named_with_what_turned_bad_after_it() -> None:
    """11.when.1–3: failures, invalid bundles and lag, each after the begin of the same release."""
    situation = Operator("bad-release", load()).situation()
    found = symptoms(situation)
    for item in WHEN:
        assert found[item].held and "release=m0-quant" in found[item].because, found[item]


def test_what_was_bad_before_a_release_is_not_its_doing() -> None:
    """11.when.1–3: time order decides, not that there was a release."""
    operator = Operator("ingest-backlog", load())
    assert operator.situation().signals["watermark-lag"].level.bad
    operator.wait(60)
    operator.world.releases.roll_out(operator.world.kube, INGESTOR, "2026.11.9", Traits())
    operator.wait(90)
    situation = operator.situation()
    assert situation.signals["recent-releases"].level.bad and situation.signals["watermark-lag"].level.bad
    found = symptoms(situation)
    assert not any(found[item].held for item in WHEN), [found[item].because for item in WHEN]


def test_the_beginning_is_that_of_the_bad_time_that_lasts() -> None:
    """11.when: from the history, whenever the cockpit was started; else from when it was seen."""
    signal = load().signals["watermark-lag"]
    raw = Raw(Level.CRIT, 80.0, "", warn=signal.warn, crit=signal.crit)
    seen = Held(since_warn=90.0)
    points = [(1000.0, 2.0), (1030.0, 90.0), (1060.0, 3.0), (1090.0, 50.0), (1120.0, 80.0)]
    onset = onset_of(signal, seen, points, raw, mono=100.0, now=1130.0)
    assert (onset.at, onset.at_latest, onset.slow) == (1090.0, False, True)
    whole = onset_of(signal, seen, points[3:], raw, mono=100.0, now=1130.0)
    assert (whole.at, whole.at_latest) == (1090.0, True)
    bare = onset_of(signal, Held(since_warn=60.0, onset=70.0), [], raw, mono=100.0, now=1130.0)
    assert (bare.at, bare.at_latest) == (1100.0, False)
