"""Reads RPC endpoints side by side, the program's activity, accounts, and what they disagree on.

Topics: `solana/endpoint/NAME` (EndpointStatus), `solana/program` (ProgramActivity),
`solana/protocol` (ProtocolState), `solana/signer-set` (SignerSetState), `solana/markets` (mapping
address → MarketState), `solana/disagreements` (tuple of Disagreement), `solana/refusals` (tuple of
Refusal).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

from cockpit.clock import Clock
from cockpit.model.observed.chain import RequestCount, SignerSetState
from cockpit.model.reading import Fault, Known, Reading, SourceState, believed
from cockpit.oracle import base58
from cockpit.sources.solana.accounts import MARKETS, PROTOCOL, SIGNER_SET, AccountsWatch
from cockpit.sources.solana.endpoint import EndpointWatch, NewestSlots
from cockpit.sources.solana.endpoints import Fleet
from cockpit.sources.solana.program import TOPIC as PROGRAM
from cockpit.sources.solana.program import ProgramWatch
from cockpit.sources.solana.refused.watch import REFUSALS, RefusalsWatch
from cockpit.sources.solana.rpc import Rpc
from cockpit.sources.solana.settings import RpcEndpoint, SolanaSettings
from cockpit.sources.timing import PollSchedule, SolanaTimings
from cockpit.text import safe

ENDPOINT, REQUESTS, DISAGREEMENTS = "solana/endpoint/", "solana/requests/", "solana/disagreements"
_LEAST_S = 0.1  # between two polls of an endpoint, whatever is configured


class SolanaSource:
    """Polls every endpoint by itself: one that fails or hangs holds up no other."""

    def __init__(
        self,
        settings: SolanaSettings,
        endpoints: Sequence[RpcEndpoint],
        clock: Clock,
        signer_set_id: Callable[[], str | None],
        *,
        polls: PollSchedule | None = None,
        timings: SolanaTimings | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        self._endpoints = {safe(endpoint.name, 60): endpoint for endpoint in endpoints}
        self._clock = clock
        self._polls = polls or PollSchedule()
        self._timings = timings or SolanaTimings()
        self._rng = rng or random.Random()
        self._interval_s = max(_LEAST_S, settings.interval)
        self._signer_set_id = signer_set_id
        self._out: dict[str, Reading[Any]] = {}
        self._ready = asyncio.Event()
        self._held: SignerSetState | None = None  # the signer set as it was last read
        self.program: ProgramWatch | None = None

    async def readings(self) -> AsyncGenerator[Reading[Any], None]:
        """Yield for ever; of a topic that changes faster than it is taken, the newest reading.

        Breaks only by a bug of its own.
        """
        program_id = self._settings.program_id
        valid = program_id is not None and base58.pubkey(program_id) is not None
        rpcs = [Rpc(endpoint, self._clock, self._timings.request_timeout_s) for endpoint in self._endpoints.values()]
        fees = [program_id] if valid and program_id is not None else []
        fleet = Fleet([EndpointWatch(rpc, self._clock, self._timings, fees) for rpc in rpcs])
        works = [self._watch(fleet, watch) for watch in fleet.watches]
        if valid and program_id is not None:
            self.program = program = ProgramWatch(
                program_id=program_id,
                endpoints=self._endpoints,
                fleet=fleet,
                clock=self._clock,
                timings=self._timings,
                rng=self._rng,
                publish=self._program_changed,
            )
            works += [program.run(), self._program_forever(), self._accounts(program_id, fleet, program).run()]
            refused = RefusalsWatch(
                program.ledger, fleet, self._clock, self._timings, lambda: self._held, lambda: program.names, self._put
            )
            works.append(refused.run())
        else:
            for topic in (PROGRAM, PROTOCOL, SIGNER_SET, MARKETS, REFUSALS):
                self._put(Reading(topic, fault=_no_program(program_id)))
        tasks = [asyncio.create_task(work) for work in works]
        try:
            while True:
                waiting = asyncio.create_task(self._ready.wait())
                await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                for task in tasks:
                    if task.done():
                        task.result()
                        raise RuntimeError("a watch ended")
                self._ready.clear()
                out, self._out = self._out, {}
                for reading in out.values():
                    yield reading
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(rpc.close() for rpc in rpcs), return_exceptions=True)

    def _put(self, reading: Reading[Any]) -> None:
        self._out[reading.topic] = reading
        held = believed(reading, self._clock.mono(), SignerSetState) if reading.topic == SIGNER_SET else None
        if isinstance(held, Known):
            self._held = held.data
        self._ready.set()

    async def _watch(self, fleet: Fleet, watch: EndpointWatch) -> None:
        """Poll one endpoint for ever: once each interval, fewer while it fails."""
        attempt = 0
        slots = NewestSlots()
        while True:
            began = self._clock.mono()
            await watch.poll()
            status = fleet.judge(watch)
            took = self._clock.mono() - began
            age = max(15.0, 3 * self._interval_s)
            self._put(
                Reading(
                    topic=ENDPOINT + watch.name,
                    data=status,
                    observed_at=slots.seen(watch.name, status.slot, watch.seen_at),
                    asked_at=watch.seen_at,
                    took_s=took,
                    fault=watch.fault,
                    max_age_s=age,
                )
            )
            counted = RequestCount(status.error_ratio, status.throttled)
            self._put(Reading(REQUESTS + watch.name, counted, self._clock.mono(), max_age_s=age))
            self._put(
                Reading(
                    topic=DISAGREEMENTS,
                    data=fleet.disagreements(),
                    observed_at=self._clock.mono(),
                    took_s=0.0,
                    fault=None,
                    max_age_s=age,
                )
            )
            attempt = attempt + 1 if watch.fault is not None else 0
            if not attempt:
                await self._polls.rest(self._clock, began, self._interval_s)
                continue
            rest = max(self._interval_s - took, self._timings.backoff(attempt, self._rng))
            if watch.rpc.blocked_s:
                rest = min(watch.rpc.blocked_s + 0.01, self._interval_s)  # what it asks for counts down
            await asyncio.sleep(max(0.05, rest))

    async def _program_forever(self) -> None:
        while True:
            await asyncio.sleep(self._timings.publish_s)
            self._program_changed()

    def _program_changed(self) -> None:
        if self.program is not None:
            self._put(self.program.reading())
            self._put(self.program.subscription())

    def _accounts(self, program_id: str, fleet: Fleet, program: ProgramWatch) -> AccountsWatch:
        def named(names: dict[str, str]) -> None:
            program.names = names

        return AccountsWatch(
            program_id=program_id,
            fleet=fleet,
            clock=self._clock,
            timings=self._timings,
            signer_set_id=self._signer_set_id,
            put=self._put,
            named=named,
            multisig=self._settings.multisig,
        )


def _no_program(program_id: str | None) -> Fault:
    if program_id is None or not program_id.strip():
        return Fault(SourceState.OFF, "no program id is configured", "give [solana] program-id")
    return Fault(
        SourceState.DOWN,
        f'"{safe(program_id, 60)}" is no program id: 32 bytes in base58 are expected',
        "correct [solana] program-id",
    )
