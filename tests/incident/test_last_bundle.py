"""Runbook 2's evidence finds the last bundle's hash on the chain.

Reveals had stopped before the cockpit began to watch.
"""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cockpit.clock import SystemClock
from cockpit.drill.names import MARKETS
from cockpit.drill.server import Drill
from cockpit.incident.evidence.bundle import Captured
from cockpit.incident.evidence.onchain import FindLast, find_last
from cockpit.model.observed.chain import ProgramActivity
from cockpit.model.reading import Reading
from cockpit.model.situation import Situation
from cockpit.sources.solana.settings import RpcEndpoint, SolanaSettings
from cockpit.sources.solana.source import SolanaSource
from cockpit.sources.timing import SolanaTimings
from tests.support.readings import kept
from tests.support.samples.records import incident_service, situation
from tests.support.waiting import HANG_S

PACE = replace(SolanaTimings(), markets_s=0.2, accounts_s=0.2, publish_s=0.05)


@pytest.fixture
async def drill() -> AsyncIterator[Drill]:
    async with Drill("wrong-signer-set", history_s=240.0) as made:
        made.world.clock.speed = 0.0
        yield made


def endpoints(drill: Drill) -> list[RpcEndpoint]:
    return [RpcEndpoint(name=name, url=url) for name, url in drill.rpc_urls.items()]


def truth(drill: Drill) -> dict[str, Any]:
    """Return the newest bundle that was revealed, as the world's network publishes it."""
    published = [drill.world.chain.bundle(market) for market in MARKETS]
    return max((each for each in published if each is not None), key=lambda each: each["reveal"]["slot"])


async def watched(drill: Drill) -> dict[str, Reading[Any]]:
    """Return what a cockpit that starts now knows of the chain, once its start is over."""
    settings = SolanaSettings(program_id=drill.world.chain.program_id, interval=0.2)
    source = SolanaSource(settings, endpoints(drill), SystemClock(), lambda: "100", timings=PACE)
    seen: dict[str, Reading[Any]] = {}
    readings = source.readings()
    async with asyncio.timeout(HANG_S):
        async for reading in readings:
            seen[reading.topic.partition("/")[2]] = reading
            program = seen.get("program")
            if program is not None and kept(program) is not None and kept(program).complete and "markets" in seen:
                break
    await readings.aclose()
    return seen


async def captured(directory: Path, seen: Situation, find: FindLast | None) -> tuple[Captured, dict[str, Any] | None]:
    own = incident_service(directory, SystemClock(), seen, find_last=find, record=False)  # type: ignore[arg-type]
    try:
        made = await own.capturer.capture("on demand")
    finally:
        own.close(timeout_s=0.0)
    with tarfile.open(made.path) as archive:
        if "bundle.json" not in archive.getnames():
            return made, None
        return made, json.load(archive.extractfile("bundle.json"))  # type: ignore[arg-type]


def now(drill: Drill, solana: dict[str, Reading[Any]]) -> Situation:
    return situation(SystemClock(), configured=frozenset({"solana"}), solana=solana)  # type: ignore[arg-type]


async def test_the_hash_of_the_last_bundle_is_found_where_none_was_seen(drill: Drill, tmp_path: Path) -> None:
    solana = await watched(drill)
    program = kept(solana["program"])
    assert isinstance(program, ProgramActivity)
    assert program.last_reveal is None and program.failed.last_slot is not None  # reveals fail, none was seen
    find = find_last(endpoints(drill), drill.world.chain.program_id, SystemClock())
    made, bundle = await captured(tmp_path, now(drill, solana), find)
    reveal = truth(drill)
    assert bundle is not None, made.missing
    assert bundle["bundle_content_hash"] == reveal["content_hash"]
    assert (bundle["last_reveal"]["signature"], bundle["last_reveal"]["market"]) == (
        reveal["reveal"]["signature"],
        reveal["market"],
    )
    back = bundle["looked_back"]
    assert back["known"] > 100 and back["read"] <= 200 and back["agreed"] == ["rpc-b", "rpc-c"]
    assert bundle["market_account"] == f"agrees: its last sequence is {reveal['sequence']}, this reveal's"
    assert bundle["found"] == "on the chain at rpc-a: no reveal was seen since the cockpit began to watch"
    assert "/v2/" not in json.dumps(bundle)


async def test_it_is_found_before_the_source_has_read_anything(drill: Drill, tmp_path: Path) -> None:
    find = find_last(endpoints(drill), drill.world.chain.program_id, SystemClock())
    _, bundle = await captured(tmp_path, now(drill, {}), find)
    assert bundle is not None and bundle["bundle_content_hash"] == truth(drill)["content_hash"]
    assert bundle["found"].endswith("solana/program was never read") and bundle["market_account"] == "not read"


async def test_where_none_is_found_the_manifest_says_how_far_was_looked(drill: Drill, tmp_path: Path) -> None:
    ledger = drill.world.chain.ledger
    ledger._drop(ledger.position(truth(drill)["reveal"]["slot"]) - ledger.entries[0].number + ledger.first)
    find = find_last(endpoints(drill), drill.world.chain.program_id, SystemClock())
    made, bundle = await captured(tmp_path, now(drill, {}), find)
    why = dict(made.missing)["bundle.json"]
    assert bundle is None and why.startswith("solana/program was never read; rpc-")
    confirmed = ledger.position(drill.solana.nodes["rpc-a"].slot("confirmed"))
    assert f"among the last {confirmed:,} transactions" in why
    assert f"back to slot {ledger.entries[0].slot:,}" in why


def test_nothing_is_asked_where_nothing_is_configured() -> None:
    assert find_last((), "prog", SystemClock()) is None
    assert find_last([RpcEndpoint(name="a", url="http://127.0.0.1:1")], None, SystemClock()) is None
