"""Tests the drill's probes by the cockpit's own source, as its own configuration says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from cockpit.assessment.board import Board
from cockpit.clock import SystemClock
from cockpit.config import load_settings
from cockpit.drill.names import API, MARKETS, SERVICES, SIGNERS
from cockpit.drill.physics.releases import Traits
from cockpit.drill.server import Drill
from cockpit.model.observed.probe import MarketOutput, ProbeStatus, ServedBundle, SignerReport
from cockpit.oracle.bundle_file import read_bundle
from cockpit.sources.probes.settings import PROBES
from cockpit.sources.probes.source import ProbesSource
from cockpit.sources.timing import Timings
from tests.support.readings import fault_in, kept
from tests.support.waiting import HANG_S


async def asked(drill: Drill, enough: Callable[[Board], bool]) -> Board:
    settings = await asyncio.to_thread(load_settings, config=drill.config)
    board = Board()
    source = ProbesSource(settings.of(PROBES), SystemClock(), timings=Timings(backoff_cap_s=0.1), rng=random.Random(1))
    readings = source.readings()
    async with asyncio.timeout(HANG_S):
        async for reading in readings:
            board.put(reading)
            if enough(board):
                break
    await readings.aclose()
    return board


def everything(board: Board) -> bool:
    signers = board.get("probes/signers")
    # two more: agents, and certificates, of which there are none
    there = len(board.under("probes/")) == 2 * len(SERVICES) + 2 * len(MARKETS) + 2
    return there and signers is not None and kept(signers) is not None


async def test_a_calm_drill_is_well_from_outside_too() -> None:
    async with Drill(speed=0.0, history_s=60.0, start_at=1_790_000_000.0) as drill:
        assert drill.where()["api"] == f"{drill.services}/{API}"
        drill.world.advance(2.0)
        board = await asked(drill, everything)
        epochs = dict(drill.world.serve.epochs)
    checks = [kept(r) for t, r in board.under("probes/").items() if t.endswith("z")]
    assert len(checks) == 16 and all(isinstance(c, ProbeStatus) and c.ok for c in checks)
    for market in MARKETS:
        found = board.get(f"probes/output/{market}")
        assert found is not None and isinstance(kept(found), MarketOutput), found
        assert kept(found).epoch == epochs[market]
        # by the simulated clock, years from ours
        assert kept(found).age_s is not None and kept(found).age_s < 15.0
    signers = board.get("probes/signers")
    assert signers is not None and kept(signers) is not None
    reports: dict[str, SignerReport] = kept(signers)
    assert set(reports) == set(SIGNERS) and all(r.ok and r.signer_set_id == "100" for r in reports.values())
    assert len({r.pubkey for r in reports.values()}) == 7


async def test_a_gateway_that_changes_a_bundle_is_seen_as_its_consumers_see_it() -> None:
    """2.symptom.3: the newest served bundles are verified; 2.validation.1 has their very bytes."""

    def bundles(board: Board) -> list[ServedBundle]:
        found = [kept(reading) for topic, reading in board.under("probes/").items() if "/bundle/" in topic]
        return [one for one in found if one is not None]

    async with Drill(speed=0.0, history_s=60.0, start_at=1_790_000_000.0) as drill:
        world = drill.world
        for _ in range(30):
            world.advance(1.0)
        well = bundles(await asked(drill, lambda board: len(bundles(board)) == len(MARKETS)))
        assert all(one.wrong == "" and len(one.keys) == 5 and read_bundle(one.raw).market for one in well)
        world.releases.roll_out(world.kube, API, "2026.11.8", Traits(rewrites=True))
        for _ in range(60):
            world.advance(1.0)
        changed = bundles(await asked(drill, lambda board: len(bundles(board)) == len(MARKETS)))
    assert all("another content hash" in one.wrong for one in changed)


async def test_what_breaks_in_the_world_is_seen_from_outside() -> None:
    async with Drill(speed=0.0, history_s=60.0) as drill:
        world = drill.world
        world.serve.database_down = True
        del world.sign.places[next(uid for uid, name in world.sign.places.items() if name == "signer-3")]
        board = await asked(drill, everything)
    ready, healthy = board.get(f"probes/{API}/readyz"), board.get(f"probes/{API}/healthz")
    assert ready is not None and kept(ready) is not None and not kept(ready).ok
    assert kept(ready).words == "HTTP 503: database: connection refused"
    assert healthy is not None and kept(healthy) is not None and kept(healthy).ok
    output = board.get(f"probes/output/{next(iter(MARKETS))}")
    assert output is not None and fault_in(output) is None, "a 5xx is an answer, and it says no"
    assert kept(output).words == "HTTP 503: database: connection refused"
    signers = board.get("probes/signers")
    assert signers is not None and kept(signers) is not None
    assert [name for name, report in kept(signers).items() if not report.ok] == ["signer-3"]
