"""Tests what an operator recognises: real harm of wrong steps, telling logs, restarts, surges."""

from __future__ import annotations

import pytest

from cockpit.drill import changes
from cockpit.drill.harm import Harm
from cockpit.drill.names import API, CONFIG, INGESTOR, QUANT
from cockpit.model.runbook import Runbooks
from cockpit.model.signal import Level
from cockpit.runbooks.schema import load
from tests.support.scenario_rig import Operator


@pytest.fixture(scope="module")
def runbooks() -> Runbooks:
    return load()


def harm_of(on_call: Operator, seconds: float = 120.0) -> Harm:
    before = on_call.world.harm.copy()
    on_call.wait(seconds)
    return on_call.world.harm.since(before)


def logs(on_call: Operator, service: str) -> str:
    kube = on_call.world.kube
    lines = []
    for pod in kube.pods(service):
        log = kube.logs.current(pod["metadata"]["uid"], service)
        lines += [text for _, text in (log.lines if log is not None else ())]
    return "\n".join(lines)


def test_restarting_signers_in_an_rpc_outage_adds_threshold_misses(runbooks: Runbooks) -> None:
    on_call = Operator("rpc-outage", runbooks)
    on_call.act("restart-signers")
    assert harm_of(on_call, 90).threshold_misses > 0


def test_restarting_the_submitter_does_not_cure_an_rpc_outage(runbooks: Runbooks) -> None:
    on_call = Operator("rpc-outage", runbooks)
    changes.restart(on_call.world.kube, "m0-submitter")
    on_call.wait(200)
    assert Level.OK not in on_call.symptoms(1).values()


def test_scaling_into_a_rate_limit_is_refused_more_often(runbooks: Runbooks) -> None:
    refused = []
    for act in (False, True):
        on_call = Operator("connector-rate-limited", runbooks)
        if act:
            on_call.act("scale-ingestors")
        refused.append(harm_of(on_call, 90).rate_limited)
    assert refused[1] > 1.5 * refused[0] > 0


def test_the_autoscaler_undoes_a_manual_scale(runbooks: Runbooks) -> None:
    on_call = Operator("autoscaler-storm", runbooks)
    kube = on_call.world.kube
    assert kube.replicas(INGESTOR) == kube.ready(INGESTOR) == 12
    on_call.act("scale-ingestors")
    assert kube.replicas(INGESTOR) == 4
    on_call.wait(20)
    assert kube.replicas(INGESTOR) == 12


@pytest.mark.parametrize(("policy", "misleads"), [("STRICT", False), ("NORMAL", True), ("FAST", True)])
def test_a_relaxed_guardrail_publishes_worse_data(policy: str, misleads: bool, runbooks: Runbooks) -> None:
    on_call = Operator("source-diverges", runbooks)
    changes.set_env(on_call.world.kube, QUANT, {"M0_GUARDRAIL_POLICY_LEVEL": policy})
    on_call.wait(60)
    assert bool(harm_of(on_call).misleading_outputs) is misleads


def test_with_nothing_left_to_compare_the_alarm_is_silent_and_the_outputs_mislead(runbooks: Runbooks) -> None:
    """Runbook 7 has a trap: its validation would pass."""
    on_call = Operator("source-diverges", runbooks)
    changes.set_config(on_call.world.kube, CONFIG, "M0_EXPECTED_SOURCES", "1")
    on_call.wait(330)
    assert on_call.situation().signals["divergence"].level is Level.OK
    assert harm_of(on_call).misleading_outputs > 10


def test_a_quarantined_source_costs_coverage_until_fewer_are_expected(runbooks: Runbooks) -> None:
    on_call = Operator("source-diverges", runbooks)
    on_call.act("quarantine-connector")
    on_call.wait(200)
    assert on_call.world.ingest.coverage["sports"] == pytest.approx(0.90, abs=0.01)
    on_call.act("expect-fewer-sources")
    on_call.wait(90)
    assert on_call.world.ingest.coverage["sports"] == pytest.approx(0.97, abs=0.01)


def test_a_paused_market_is_neither_decided_nor_published(runbooks: Runbooks) -> None:
    on_call = Operator("source-diverges", runbooks)
    world = on_call.world
    changes.set_env(world.kube, QUANT, {"M0_GUARDRAIL_POLICY_LEVEL": "FAST"})
    on_call.wait(60)
    for market in ("NBA_LAL_BOS", "EPL_ARS_CHE"):
        world.authority.set_market(market, paused=True)
    on_call.wait(20)
    epochs = dict(world.publish.epochs)
    assert harm_of(on_call).misleading_outputs == 0
    moved = {market for market, epoch in world.publish.epochs.items() if epoch > epochs[market]}
    assert moved == set(epochs) - {"NBA_LAL_BOS", "EPL_ARS_CHE"}


def test_rolling_back_a_good_model_stops_publishing(runbooks: Runbooks) -> None:
    on_call = Operator("model-drift", runbooks)
    on_call.act("rollback-model")
    on_call.wait(120)
    assert harm_of(on_call).publishing_gap_s > 60


def test_a_model_version_that_does_not_exist_crashes_the_new_engine_and_the_old_ones_go_on(runbooks: Runbooks) -> None:
    on_call = Operator("model-drift", runbooks)
    changes.set_env(on_call.world.kube, QUANT, {"M0_MODEL_VERSION": "2027.9"})
    on_call.wait(60)
    assert "FATAL model version 2027.9 is not in the registry" in logs(on_call, QUANT)
    assert len(on_call.world.fleet.working(QUANT)) >= 2
    assert harm_of(on_call).publishing_gap_s == 0


def test_failing_a_healthy_database_over_costs_requests(runbooks: Runbooks) -> None:
    on_call = Operator("calm", runbooks)
    on_call.world.serve.failover()
    assert harm_of(on_call, 60).failed_requests > 200
    assert harm_of(on_call, 60).failed_requests == 0


def test_cache_only_answers_while_the_database_is_down_and_grows_stale(runbooks: Runbooks) -> None:
    on_call = Operator("database-down", runbooks)
    on_call.act("cache-only")
    on_call.wait(180)
    now = on_call.situation()
    assert now.signals["api-5xx"].level is Level.OK
    assert now.signals["output-age"].level is Level.CRIT
    harm = harm_of(on_call)
    assert (harm.failed_requests, harm.stale_s) == (0, 120)


def test_a_restart_of_overloaded_gateways_starts_cold(runbooks: Runbooks) -> None:
    """A rolling update surges, so none is missing; but a cold cache takes half."""
    failed = []
    for act in (False, True):
        on_call = Operator("gateway-overload", runbooks)
        if act:
            on_call.act("restart-gateway")
            on_call.wait(2)
            assert len(on_call.world.kube.pods(API)) == 4
        failed.append(harm_of(on_call, 40).failed_requests)
    assert failed[1] > 1.1 * failed[0]


@pytest.mark.parametrize(
    ("scenario", "service", "words"),
    [
        ("rpc-outage", "m0-submitter", "rpc error: 503 Service Unavailable endpoint rpc-a"),
        ("rpc-outage", "m0-submitter", "BlockhashNotFound"),
        ("connector-rate-limited", QUANT, "guardrail DEGRADE market=NBA_LAL_BOS reason=coverage"),
        ("connector-rate-limited", INGESTOR, "429 Too Many Requests"),
        ("connector-down", INGESTOR, "connector=politics poll failed: http 502"),
        ("source-diverges", QUANT, "implied probabilities market="),
        ("provider-schema-change", INGESTOR, "connector=politics schema: unknown field"),
        ("model-drift", QUANT, "WARN feature distribution model="),
        ("bad-model-release", QUANT, "version=2026.2"),
        ("gateway-overload", API, "503 too many requests in flight"),
        ("gateway-leak", API, "500 postgres: connection pool exhausted"),
        ("database-down", API, "503 postgres: connection refused"),
    ],
)
def test_logs_tell_the_cause_with_a_trace_id(scenario: str, service: str, words: str, runbooks: Runbooks) -> None:
    on_call = Operator(scenario, runbooks)
    on_call.wait(20)
    log = logs(on_call, service)
    assert words in log
    assert "trace_id=" in log


def test_hostile_logs_really_hold_escapes(runbooks: Runbooks) -> None:
    on_call = Operator("hostile-logs", runbooks)
    on_call.wait(60)
    log = logs(on_call, API)
    assert "\x1b" in log or "\u202e" in log
