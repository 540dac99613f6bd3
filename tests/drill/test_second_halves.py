"""What the drill's pipeline does with the second half of a line that offers two ways."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cockpit.drill import changes
from cockpit.drill.names import CONFIG, INGESTOR, MARKETS, SUBMITTER
from cockpit.drill.world import World

START = 1_790_000_000.0


@pytest.fixture
def world() -> World:
    return World(seed=3, clock=World.past_clock(START), history_s=60.0)


def counted(world: World, name: str, job: str = SUBMITTER, seconds: float = 60.0, **labels: str) -> float:
    value = world.metrics.value(job, name, **labels)
    before = value.value
    for _ in range(int(seconds)):
        world.advance(1.0)
    return world.metrics.value(job, name, **labels).value - before


def failed(world: World, reason: str) -> float:
    return counted(world, "m0_reveal_tx_total", result="failed", reason=reason)


def settled(world: World, change: Callable[[], None]) -> None:
    change()
    for _ in range(60):
        world.advance(1.0)


def test_a_larger_compute_budget_cures_reveals_that_exceed_it(world: World) -> None:
    """4.mitigation.3: "or compute budget"; a fee does not help against it."""
    world.publish.outcome_units = dict.fromkeys(MARKETS, 9000.0)
    assert failed(world, "ComputeBudgetExceeded") > 60
    settled(world, lambda: changes.set_env(world.kube, SUBMITTER, {"M0_PRIORITY_FEE_MICROLAMPORTS": "50000"}))
    assert failed(world, "ComputeBudgetExceeded") > 60
    settled(world, lambda: changes.set_env(world.kube, SUBMITTER, {"M0_COMPUTE_UNIT_LIMIT": "400000"}))
    assert failed(world, "ComputeBudgetExceeded") == 0


def test_a_reveal_is_tried_again_with_a_fresh_blockhash(world: World) -> None:
    """4.mitigation.4: "and retry with fresh blockhash"."""
    settled(world, lambda: changes.set_env(world.kube, SUBMITTER, {"M0_REVEAL_DELAY_MS": "13000"}))
    assert counted(world, "m0_reveal_tx_total", result="ok", reason="") < 10
    settled(world, lambda: changes.set_env(world.kube, SUBMITTER, {"M0_REVEAL_RETRIES": "2"}))
    assert counted(world, "m0_reveal_tx_total", result="ok", reason="") > 60


def test_a_slower_cadence_asks_less_of_the_signers(world: World) -> None:
    """3.mitigation.3: "reduce publish cadence"."""
    before = counted(world, "m0_publish_attempts_total")
    settled(world, lambda: changes.set_config(world.kube, CONFIG, "publish_cadence_ms", "1000"))
    assert counted(world, "m0_publish_attempts_total") == pytest.approx(before / 2, rel=0.1)


def test_calls_to_one_connector_are_limited_alone(world: World) -> None:
    """6.mitigation.2: "apply rate limits", of one connector; the others are polled as before."""
    world.ingest.connectors["crypto"].quota = 2.0
    assert counted(world, "m0_connector_errors_total", INGESTOR, connector="crypto", reason="rate_limited") > 60
    settled(world, lambda: changes.set_env(world.kube, INGESTOR, {"M0_CONNECTOR_RATE_LIMITS": "crypto=2"}))
    assert counted(world, "m0_connector_errors_total", INGESTOR, connector="crypto", reason="rate_limited") == 0
    assert counted(world, "m0_events_ingested_total", INGESTOR, connector="sports") > 7000


def test_a_slow_provider_does_not_read_as_saturated_workers(world: World) -> None:
    """6.triage.4: CPU of the workers, and polls by connector beside it."""

    def cpu() -> float:
        pod = world.fleet.working(INGESTOR)[0].name
        return counted(world, "process_cpu_seconds_total", INGESTOR, pod=pod) / 60.0

    calm = cpu()
    world.ingest.connectors["macro"].latency_ms = 6000.0
    assert cpu() == pytest.approx(calm, abs=0.1)
    world.ingest.burst = 4.0
    assert cpu() > 0.95
