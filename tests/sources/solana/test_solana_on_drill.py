"""The Solana source against the drill's world: what it counts is what is on the world's chain."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace

import pytest

from cockpit.clock import SystemClock
from cockpit.drill.server import Drill
from cockpit.sources.solana.settings import RpcEndpoint, SolanaSettings
from cockpit.sources.solana.source import SolanaSource
from tests.support.readings import data_of, kept
from tests.support.solana_rig import QUICK, Rig

SPEED = 12.0
PACE = replace(QUICK, silence_s=4.0, request_timeout_s=3.0, settle_slots=64)


def on_chain(drill: Drill, above: int, upto: int) -> Counter[str]:
    """Count the world's ledger in those slots, by instruction; failed ones as "failed"."""
    ledger = drill.world.chain.ledger
    found: Counter[str] = Counter()
    for entry in ledger.entries:
        if entry.program and not entry.forked and above < entry.slot <= upto:
            program = ledger.encoded(entry)
            named = [line.rpartition(" ")[2] for line in program.logs if line.startswith("Program log: Instruction: ")]
            found["failed" if program.err is not None else named[0]] += 1
    return found


def counted(it: Rig) -> Counter[str]:
    program = it.program
    return Counter(
        CommitPrediction=program.commits.count,
        RevealPrediction=program.reveals.count,
        FinalizeEpoch=program.finalisations.count,
        failed=program.failed.count,
    )


@pytest.mark.parametrize("scenario", ["calm", "rpc-outage"])
async def test_the_counts_are_those_of_the_worlds_chain(scenario: str) -> None:
    async with Drill(scenario, history_s=60.0, speed=SPEED) as drill:
        endpoints = [RpcEndpoint(name=name, url=url) for name, url in drill.rpc_urls.items()]
        settings = SolanaSettings(program_id=drill.world.chain.program_id, interval=0.3)
        source = SolanaSource(settings, endpoints, SystemClock(), lambda: "100", timings=PACE, rng=random.Random(7))
        it = Rig(None, source)  # type: ignore[arg-type]
        reading = asyncio.create_task(it.read())
        try:
            await it.streaming()
            before = it.program.commits.count
            await it.until(lambda: it.program.commits.count > before + 6)
            drill.solana.nodes[it.program.endpoint].chaos.cut_sockets()
            cut = it.program.reconnects
            await it.until(lambda: it.program.reconnects > cut and it.program.complete)
            drill.world.clock.speed = 0.0
            since = source.program.ledger.since_slot if source.program is not None else None
            assert since is not None

            def same() -> bool:
                slots = [node.slot("confirmed") for node in drill.solana.nodes.values()]
                expected = on_chain(drill, since, max(slots))
                return it.program.complete and +counted(it) == Counter(
                    {k: expected[k] for k in counted(it) if expected[k]}
                )

            await it.until(same, "the same counts")
            await it.until(
                lambda: kept(it.topic("protocol")) and kept(it.topic("signer-set")) and kept(it.topic("markets"))
            )
            assert it.program.commits.count > 6 and it.program.undecodable == 0
            assert data_of(it.topic("signer-set")).threshold == 5 and len(data_of(it.topic("markets"))) == 8
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
