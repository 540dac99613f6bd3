"""The Solana source beside its nodes, and a way to wait for what it says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any

from cockpit.clock import SystemClock
from cockpit.model.observed.chain import EndpointStatus, ProgramActivity
from cockpit.model.reading import Reading
from cockpit.sources.solana.settings import SolanaSettings
from cockpit.sources.solana.source import SolanaSource
from cockpit.sources.timing import SolanaTimings
from tests.support.chain_encoder import PROGRAM_ID
from tests.support.readings import kept
from tests.support.solana_double import Chain, Node
from tests.support.waiting import HANG_S

QUICK = SolanaTimings(
    request_timeout_s=1.0,
    rarely_s=0.3,
    fees_s=0.2,
    publish_s=0.03,
    silence_s=1.5,
    ping_s=0.5,
    connect_s=1.0,
    audit_s=0.3,
    audit_busy_s=0.3,
    paging_s=0.2,
    retry_s=0.02,
    settle_slots=20,
    accounts_s=0.15,
    markets_s=0.2,
    recheck_s=0.05,
    backoff_s=0.02,
    backoff_cap_s=0.1,
)


class Rig:
    def __init__(self, chain: Chain, source: SolanaSource) -> None:
        self.chain = chain
        self.source = source
        self.seen: dict[str, Reading[Any]] = {}
        self.texts: set[str] = set()
        self.still = False  # the chain makes no more slots
        self._changed = asyncio.Event()

    async def read(self) -> None:
        async with aclosing(self.source.readings()) as readings:
            async for reading in readings:
                self.seen[reading.topic] = reading
                self.texts.add(repr(reading))
                self._changed.set()

    async def until(self, holds: Callable[[], Any], what: str = "") -> None:
        try:
            async with asyncio.timeout(HANG_S):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{what or 'it'} never came to hold: {self.seen}") from None

    def topic(self, name: str) -> Reading[Any]:
        return self.seen.get(f"solana/{name}", Reading(f"solana/{name}"))

    def endpoint(self, name: str) -> EndpointStatus:
        data: EndpointStatus = kept(self.topic(f"endpoint/{name}")) or EndpointStatus(name, "")
        return data

    @property
    def program(self) -> ProgramActivity:
        data: ProgramActivity = kept(self.topic("program")) or ProgramActivity("", "", 0.0, False)
        return data

    @property
    def counts(self) -> tuple[int, int, int]:
        return self.program.commits.count, self.program.reveals.count, self.program.failed.count

    async def streaming(self, name: str | None = None) -> None:
        """Until the stream is up (from `name`) and nothing is missing."""
        await self.until(
            lambda: self.program.complete and self.program.endpoint and name in (None, self.program.endpoint),
            f"a stream from {name}",
        )

    async def counted(self, commits: int, reveals: int = 0, failed: int = 0) -> None:
        await self.until(
            lambda: self.counts == (commits, reveals, failed) and self.program.complete,
            f"{commits}, {reveals}, {failed}",
        )


@asynccontextmanager
async def rig(
    *nodes: Node, program_id: str | None = PROGRAM_ID, timings: SolanaTimings = QUICK, signer_set_id: str | None = "100"
) -> AsyncIterator[Rig]:
    """The nodes serve, the source reads them, slots go on by themselves."""
    chain = nodes[0].chain
    async with AsyncExitStack() as stack:
        for node in nodes:
            await stack.enter_async_context(node.serving())
        settings = SolanaSettings(program_id=program_id, interval=0.1)
        source = SolanaSource(
            settings,
            [node.endpoint for node in nodes],
            SystemClock(),
            lambda: signer_set_id,
            timings=timings,
            rng=random.Random(7),
        )
        made = Rig(chain, source)
        stop = asyncio.Event()

        async def tick() -> None:
            while not stop.is_set():
                if not made.still:
                    await chain.slots()
                await asyncio.sleep(0.02)

        tasks = [asyncio.create_task(made.read()), asyncio.create_task(tick())]
        try:
            yield made
        finally:
            stop.set()
            await tasks[1]
            broken = tasks[0].done() and not tasks[0].cancelled() and tasks[0].exception()
            tasks[0].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if broken:
            raise AssertionError("the source broke") from broken
        assert not any("SECRETKEY" in text for text in made.texts)
