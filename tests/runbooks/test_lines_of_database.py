"""The lines of runbook 10 that need an operator's own tool, and those that write less."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cockpit.assessment.assessor import tempo
from cockpit.drill.names import CONFIG
from cockpit.drill.physics.authority import Refused
from cockpit.model.plan import Change, JournalLine
from cockpit.model.runbook import CADENCE
from cockpit.runbooks.own_commands import with_commands
from cockpit.runbooks.schema import load
from cockpit.settings import MoveAnalyticsSettings, ScaleDbSettings, Settings
from tests.support.scenario_rig import Operator


def test_the_providers_own_tool_scales_the_database_and_moves_reports() -> None:
    """10.mitigation.1 and .4: `[scale-db]` and `[move-analytics]` as failover and restore."""
    own = with_commands(
        load(),
        Settings(
            scale_db=ScaleDbSettings(argv=("aws", "rds", "modify-db-instance")),
            move_analytics=MoveAnalyticsSettings(argv=("reports", "to", "clickhouse")),
        ),
    )
    for name, argv in (("10.mitigation.1", "aws"), ("analytics-moved", "reports")):
        step = own.step("10", name)[1]
        assert (step.kind, step.argv[0], step.question, step.dangerous) == ("command", argv, "", True), name
    assert "analytics-moved" in own.step("10", "10.mitigation.4")[1].steps
    with pytest.raises(ValueError, match="nothing is filled in"):
        ScaleDbSettings(argv=("x", "{size}"))


def test_a_larger_database_and_a_moved_report_help_in_the_drill() -> None:
    """10.mitigation.1, 10.mitigation.4: they do what the tools of a provider do, or say why not."""
    operator = Operator("slow-query", load())
    serve = operator.world.serve
    serve.database_felt = None
    before = serve.slow
    serve.enlarge()
    assert serve.slow < before / 2
    serve.move_analytics()
    assert serve.slow == 1.0
    serve.database_felt = 3.0
    with pytest.raises(Refused, match="your own machine"):
        serve.enlarge()


def test_half_the_cadence_publishes_half_as_often() -> None:
    """10.mitigation.3: the cadence is decreased; what is expected follows our step."""
    operator = Operator("calm", load())
    operator.world.kube.configmap(CONFIG, {**operator.world.kube.config(CONFIG), CADENCE: "1000"})
    operator.wait(150)
    assert operator.world.publish.tempo == 0.5
    rate = operator.situation().signals["commit-rate"]
    assert rate.value == pytest.approx(59, abs=6) and rate.level.bad
    line = JournalLine(
        number=1,
        wall=0.0,
        operator="op",
        title="Publish less often",
        target="",
        outcome="sent",
        changes=(Change(CADENCE, "500", "1000"),),
        undoable=True,
    )
    assert tempo([line]) == 0.5 and tempo([replace(line, undone=True)]) == 1.0
    evaluator = operator.observer._assessor._evaluator
    board, cluster = operator.observer.board(), operator.situation().cluster
    found = evaluator.evaluate(board, cluster, operator.world.clock.now(), tempo=tempo([line]))
    assert not found["commit-rate"].level.bad


def test_what_is_usual_is_known_beside_a_threshold_of_its_own() -> None:
    """9.validation.1: the baseline of 5xx is learned; its thresholds stay 1 % and 5 %."""
    calm = Operator("calm", load()).situation().signals["api-5xx"]
    assert calm.baseline is not None and 0 < calm.baseline < 0.5 and (calm.warn, calm.crit) == (1.0, 5.0)
    line = next(v for v in load().runbook("9").validation if v.item == "9.validation.1")
    assert line.expect == "near-baseline"
