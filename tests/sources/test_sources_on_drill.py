"""The sources against the drill's API server, which plays tricks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from cockpit.clock import SystemClock
from cockpit.drill.clock import SimClock
from cockpit.drill.kubernetes import KubernetesWorld, serve, ticking, write_kubeconfig
from cockpit.kubeapi.access import Access, load_access
from cockpit.kubeapi.client import KubeClient
from cockpit.model.reading import Reading, SourceState
from cockpit.sources.kubernetes.log_lines import LogLine
from cockpit.sources.kubernetes.logs import LogRequest, read_logs
from cockpit.sources.kubernetes.source import KubernetesSource
from cockpit.sources.timing import Timings
from tests.support.readings import data_of, fault_in, fault_of, kept
from tests.support.waiting import HANG_S

PODS, DEPLOYMENTS = "kubernetes/pods/m0-prod", "kubernetes/deployments/m0-prod"
QUICK = Timings(
    publish_s=0.02,
    refresh_s=0.1,
    watch_s=3,
    silence_s=4,
    probe_s=0.1,
    probe_timeout_s=0.3,
    denied_s=0.1,
    backoff_s=0.02,
    backoff_cap_s=0.1,
)


@pytest.fixture
async def world() -> AsyncIterator[KubernetesWorld]:
    world = KubernetesWorld(SimClock(1_790_000_000.0), 7)
    world.deploy("m0-ingestor", image="ghcr.io/m0club/m0-ingestor:v1", replicas=3, env={"M0_CACHE_TTL_MS": "500"})
    world.settle()
    async with ticking(world, speed=10):
        yield world


@pytest.fixture
async def place(world: KubernetesWorld, tmp_path: Path) -> AsyncIterator[Access]:
    async with serve(world) as served:
        yield load_access(str(write_kubeconfig(tmp_path / "kubeconfig", served)))


async def follow(place: Access, *steps: tuple[str, Callable[[Reading[Any]], Any], Callable[[], Any]]) -> None:
    """Wait for each step's condition on its topic, then do what it says."""
    todo = list(steps)
    async with (
        asyncio.timeout(HANG_S),
        aclosing(
            KubernetesSource(lambda: place, ["m0-prod"], lambda: ["m0"], SystemClock(), timings=QUICK).readings()
        ) as readings,
    ):
        async for reading in readings:
            if reading.topic == todo[0][0] and todo[0][1](reading):
                todo.pop(0)[2]()
                if not todo:
                    return


def nothing() -> None:
    pass


def live(reading: Reading[Any]) -> bool:
    return fault_in(reading) is None and bool(kept(reading))


def faulty(reading: Reading[Any]) -> bool:
    return fault_in(reading) is not None


async def test_pods_and_workloads_stream_in_and_changes_follow(world: KubernetesWorld, place: Access) -> None:
    def grow() -> None:
        world.deploy("m0-quant", image="ghcr.io/m0club/m0-quant:v1", replicas=2, env={})

    await follow(
        place,
        (
            PODS,
            lambda r: (
                live(r)
                and len(data_of(r)) == 3
                and all(p.service == "m0-ingestor" and p.healthy for p in data_of(r).values())
            ),
            nothing,
        ),
        (
            DEPLOYMENTS,
            lambda r: live(r) and data_of(r)[("m0-prod", "m0-ingestor")].env("M0_CACHE_TTL_MS").value == "500",
            grow,
        ),
        (PODS, lambda r: len([p for p in data_of(r).values() if p.service == "m0-quant" and p.healthy]) == 2, nothing),
        (DEPLOYMENTS, lambda r: data_of(r)[("m0-prod", "m0-quant")].ready == 2, nothing),
    )


async def test_expiry_freezing_401_and_403_are_survived(world: KubernetesWorld, place: Access) -> None:
    chaos = world.chaos

    def deny() -> None:
        chaos.forbidden.add("pods")
        chaos.drop_streams()

    def lock_out() -> None:
        chaos.forbidden.clear()
        chaos.unauthorised = True
        chaos.drop_streams()

    def let_in() -> None:
        chaos.unauthorised = False

    await follow(
        place,
        (PODS, live, chaos.expire),
        (PODS, live, chaos.freeze),
        (PODS, lambda r: faulty(r) and fault_of(r).state is SourceState.DOWN and len(data_of(r)) == 3, chaos.thaw),
        (PODS, live, deny),
        (PODS, lambda r: faulty(r) and fault_of(r).state is SourceState.DENIED, lock_out),
        (PODS, lambda r: faulty(r) and fault_of(r).state is SourceState.UNAUTHORISED, let_in),
        (PODS, live, nothing),
    )


async def test_logs_are_followed_over_a_cut_connection(world: KubernetesWorld, place: Access) -> None:
    names = sorted(p.name for p in world.running("m0-ingestor"))
    for name in names:
        world.log(name, f"first of {name}")
    seen: list[str] = []
    request = LogRequest("m0-prod", tuple((n, None) for n in names), follow=True)
    async with (
        asyncio.timeout(HANG_S),
        KubeClient(place) as client,
        aclosing(read_logs(client, request, timings=QUICK)) as lines,
    ):
        async for line in lines:
            if not isinstance(line, LogLine):
                continue
            seen.append(line.text)
            firsts = [t for t in seen if t.startswith("first of")]
            if len(firsts) == 3 and "cut" not in seen:
                seen.append("cut")
                world.chaos.drop_streams()
                world.log(names[0], "second")
            if line.text == "second":
                break
    assert len([t for t in seen if t.startswith("first of")]) == 3 and seen.count("second") == 1
