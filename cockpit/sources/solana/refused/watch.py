"""Fetches reveals that were refused for signatures, hash or sequence, and says what they hold.

A few at a time, and none while none is refused. Reference: getTransaction.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Container
from typing import Any

import msgspec

from cockpit.clock import Clock
from cockpit.model.observed.chain import FailedTransaction, Refusal, SignerSetState
from cockpit.model.reading import Reading
from cockpit.oracle.errors import INVALID_SIGNATURES, REPLAY_PROTECTION, RUNBOOKS
from cockpit.oracle.ledger import Ledger
from cockpit.oracle.refusal import examine
from cockpit.sources.solana.endpoints import Fleet
from cockpit.sources.solana.rpc import RpcProblem, Slot
from cockpit.sources.timing import SolanaTimings

REFUSALS = "solana/refusals"
EXAMINED = (INVALID_SIGNATURES, REPLAY_PROTECTION)
MOST, AT_ONCE, TRIES = 24, 3, 3
_ASKED = {"commitment": "confirmed", "encoding": "base64", "maxSupportedTransactionVersion": 0}


class _Given(msgspec.Struct):
    slot: Slot
    transaction: Any = None


class RefusalsWatch:
    """Examines for ever (`run`), and puts what it found through `put`."""

    def __init__(
        self,
        ledger: Ledger,
        fleet: Fleet,
        clock: Clock,
        timings: SolanaTimings,
        signers: Callable[[], SignerSetState | None],
        markets: Callable[[], Container[str]],
        put: Callable[[Reading[Any]], None],
    ) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._clock = clock
        self._timings = timings
        self._signers = signers
        self._markets = markets
        self._put = put
        self._found: OrderedDict[str, Refusal] = OrderedDict()
        self._tries: dict[str, int] = {}

    async def run(self) -> None:
        while True:
            await asyncio.gather(*(self._examine(one) for one in self._due()))
            found = tuple(sorted(self._found.values(), key=lambda each: each.slot))
            self._put(Reading(REFUSALS, found, self._clock.mono(), max_age_s=6 * self._timings.refusals_s))
            await asyncio.sleep(self._timings.refusals_s)

    def _due(self) -> list[FailedTransaction]:
        """Return the newest refused reveals that were not examined yet."""
        recent = [one for one in self._ledger.recent_failed if RUNBOOKS.get(one.name) in EXAMINED]
        self._tries = {one.signature: self._tries.get(one.signature, 0) for one in recent}
        open_ones = [o for o in recent if o.signature not in self._found and self._tries[o.signature] < TRIES]
        return open_ones[-AT_ONCE:]

    async def _examine(self, one: FailedTransaction) -> None:
        self._tries[one.signature] += 1
        kind: Any = _Given | None
        for watch in self._fleet.best({}, self._clock.mono())[:1]:
            try:
                given = await watch.rpc.call("getTransaction", [one.signature, _ASKED], kind, timed=False)
            except RpcProblem:
                return
            if given is None or not isinstance(given.transaction, list) or not given.transaction:
                return
            wire, program = str(given.transaction[0]), self._ledger.program_id
            self._found[one.signature] = examine(
                wire, one.signature, one.slot, one.name, program, self._signers(), self._markets()
            )
            while len(self._found) > MOST:
                self._found.popitem(last=False)
