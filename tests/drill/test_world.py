"""Tests the world: deterministic, with an hour of past, and with real consequences."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest

from cockpit.drill.names import SERVICES
from cockpit.drill.prometheus.exposition import exposition
from cockpit.drill.prometheus.promql import evaluate
from cockpit.drill.prometheus.series import SeriesStore
from cockpit.drill.scenarios import find
from cockpit.drill.server import Drill, DrillThread
from cockpit.drill.world import World
from tests.support.paths import ROOT

START = 1_790_000_000.0
RUNBOOKS = tomllib.loads((ROOT / "runbooks.toml").read_text())


def build(scenario: str = "calm", seed: int = 7, history_s: float = 600.0) -> World:
    return World(seed=seed, clock=World.past_clock(START), scenario=find(scenario), history_s=history_s)


def value(world: World, query: str) -> float:
    result = evaluate(world.store, query, [world.clock.now()])
    assert isinstance(result, list)
    assert len(result) == 1, result
    found = result[0][1][0]
    assert found is not None
    return found


def samples(store: SeriesStore) -> dict[object, list[str]]:
    return {series.labels: [repr(x) for x in series.v] for series in store.all()}


def test_the_same_seed_makes_the_same_world() -> None:
    first, second, other = build("rpc-outage"), build("rpc-outage"), build("rpc-outage", seed=8)
    for world in (first, second, other):
        world.advance(30)
    assert samples(first.store) == samples(second.store)
    assert exposition(first.metrics, SERVICES) == exposition(second.metrics, SERVICES)
    assert samples(first.store) != samples(other.store)


def test_the_same_seed_makes_the_same_world_in_another_process() -> None:
    """Sets have another order there: nothing may follow from it."""
    script = (
        "from tests.drill.test_world import SERVICES, build, exposition\n"
        "world = build('rpc-outage', history_s=60.0); world.advance(10)\n"
        "print(exposition(world.metrics, SERVICES).decode(), world.kube.store.rv)"
    )
    texts = [
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert texts[0] == texts[1] and b"m0_api_requests_total" in texts[0]


def test_it_starts_at_the_given_moment_with_an_hour_of_history() -> None:
    world = build(history_s=3600.0)
    assert world.clock.now() == pytest.approx(START, abs=1.0)
    times = world.store.by_name["m0_output_age_ms"][0].t
    assert len(times) >= 715
    assert times[0] <= START - 3590


@pytest.fixture(scope="module")
def calm() -> World:
    return build(history_s=3600.0)


@pytest.mark.parametrize(
    ("query", "low", "high"),
    [
        ("max(m0_watermark_lag_ms) / 1000", 1.0, 1.5),
        ("avg(m0_coverage_ratio)", 0.95, 0.99),
        ('60 * sum(rate(m0_commit_tx_total{result="ok"}[5m]))', 112, 122),
        ('60 * sum(rate(m0_reveal_tx_total{result="ok"}[5m]))', 112, 122),
        ("histogram_quantile(0.95, sum by (le) (rate(m0_signer_latency_ms_bucket[5m])))", 140, 230),
        ("histogram_quantile(0.95, sum by (le) (rate(m0_rpc_confirm_latency_ms_bucket[5m])))", 650, 1200),
        ('sum(rate(m0_rpc_requests_total{result="error"}[30m])) / sum(rate(m0_rpc_requests_total[30m]))', 0, 0.006),
        ("avg(m0_output_age_ms) / 1000", 2, 9),
        ('sum(rate(m0_api_requests_total{code=~"5.."}[30m])) / sum(rate(m0_api_requests_total[30m]))', 0, 0.005),
    ],
)
def test_a_calm_day_has_the_usual_values(calm: World, query: str, low: float, high: float) -> None:
    assert low <= value(calm, query) <= high


def test_each_gateway_counts_its_own_answers(calm: World) -> None:
    names = {pod.name for pod in calm.fleet.ready("m0-api-gateway")}
    exported = {dict(series.labels)["pod"] for series in calm.store.by_name["m0_api_requests_total"]}
    assert len(names) == 3 and exported == names
    assert value(calm, "max(sum by (pod) (rate(m0_api_requests_total[5m])))") < 15
    assert value(calm, "min(sum by (pod) (rate(m0_api_requests_total[5m])))") > 11.5


@pytest.mark.parametrize("section", ["signals", "queries"])
def test_every_query_of_the_runbooks_has_finite_data_on_a_calm_day(calm: World, section: str) -> None:
    bad = []
    for name, entry in RUNBOOKS[section].items():
        if "promql" in entry:
            result = evaluate(calm.store, entry["promql"], [calm.clock.now()])
            if not isinstance(result, list) or not result or not all(math.isfinite(c[0] or 0.0) for _, c in result):
                bad.append((name, result))
    assert not bad


async def patch(drill: Drill, service: str, body: object, kind: str = "strategic-merge-patch") -> None:
    async with httpx.AsyncClient(
        base_url=drill.kubernetes, headers={"Authorization": f"Bearer {drill.tokens['admin']}"}, verify=False
    ) as client:
        answer = await client.patch(
            f"/apis/apps/v1/namespaces/m0-prod/deployments/{service}",
            content=json.dumps(body),
            headers={"Content-Type": f"application/{kind}+json"},
        )
        assert answer.status_code == 200, answer.text


def quick() -> Drill:
    return Drill(speed=0, start_at=START, history_s=300)


async def test_restarting_the_submitter_leaves_a_gap_that_closes() -> None:
    async with quick() as drill:
        note = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}}}
        await patch(drill, "m0-submitter", {"spec": {"template": note}})
        drill.world.advance(90)
        assert drill.world.harm.publishing_gap_s > 0
        assert drill.world.harm.replay_violations == 0
        assert value(drill.world, '60 * sum(rate(m0_commit_tx_total{result="ok"}[1m]))') > 100


async def test_two_submitters_use_sequences_twice() -> None:
    async with quick() as drill:
        await patch(drill, "m0-submitter", {"spec": {"replicas": 2}})
        drill.world.advance(60)
        assert drill.world.harm.replay_violations > 10
        assert value(drill.world, "sum(increase(m0_replay_violation_total[1m]))") > 10
        await patch(drill, "m0-submitter", {"spec": {"replicas": 1}})
        drill.world.advance(20)
        before = drill.world.harm.replay_violations
        drill.world.advance(60)
        assert drill.world.harm.replay_violations == before


async def test_without_a_submitter_its_metrics_go_stale_and_outputs_age() -> None:
    async with quick() as drill:
        await patch(drill, "m0-submitter", {"spec": {"replicas": 0}})
        drill.world.advance(120)
        world = drill.world
        assert evaluate(world.store, "m0_commit_tx_total", [world.clock.now()]) == []
        assert value(world, "min(m0_output_age_ms) / 1000") > 90
        assert world.harm.stale_s > 0


async def test_publishing_disabled_by_the_toggle_publishes_nothing() -> None:
    async with quick() as drill:
        container = {"name": "m0-submitter", "env": [{"name": "M0_PUBLISH_ENABLED", "value": "false"}]}
        await patch(drill, "m0-submitter", {"spec": {"template": {"spec": {"containers": [container]}}}})
        drill.world.advance(90)
        assert value(drill.world, "sum(increase(m0_publish_attempts_total[1m]))") == 0


async def test_no_ingestors_stop_the_watermark() -> None:
    async with quick() as drill:
        await patch(drill, "m0-ingestor", {"spec": {"replicas": 0}})
        drill.world.advance(60)
        await patch(drill, "m0-ingestor", {"spec": {"replicas": 4}})
        drill.world.advance(15)
        assert value(drill.world, "max(m0_watermark_lag_ms) / 1000") > 2
        drill.world.advance(150)
        assert value(drill.world, "max(m0_watermark_lag_ms) / 1000") < 3


def test_a_drill_in_its_own_thread_moves_with_real_time_and_cleans_up() -> None:
    with DrillThread("calm", speed=20.0, history_s=120.0) as drill:
        config = tomllib.loads(Path(drill.config).read_text())
        assert config["context"] == drill.context == "drill"
        assert config["prometheus"]["url"] == drill.prometheus
        assert Path(drill.kubeconfig).stat().st_mode & 0o777 == 0o600
        directory = Path(drill.config).parent
        assert directory.stat().st_mode & 0o777 == 0o700
        first = drill.call(lambda d: d.world.clock.now())
        deadline = 200
        while drill.call(lambda d: d.world.clock.now()) == first:
            deadline -= 1
            assert deadline, "the world stands still"
            httpx.get(drill.prometheus + "/-/ready")
    assert not directory.exists()
