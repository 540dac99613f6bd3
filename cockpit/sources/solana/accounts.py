"""Reads the program's accounts from two endpoints at a time: protocol, signer set, markets.

Where the two differ, it is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from cockpit.clock import Clock
from cockpit.model.observed.chain import (
    Disagreement,
    Governance,
    MarketState,
    Multisig,
    ProtocolState,
    SignerSetState,
)
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.oracle import base58
from cockpit.oracle.governance import SQUADS, multisig, program_data_address, upgrade_authority
from cockpit.oracle.layouts import (
    Account,
    Undecodable,
    account_discriminator,
    account_of,
    market_state,
    protocol_state,
    signer_set_state,
)
from cockpit.sources.solana.addresses import is_single_key, protocol_address, signer_set_address, vault_address
from cockpit.sources.solana.endpoint import EndpointWatch, NewestSlots
from cockpit.sources.solana.endpoints import Fleet
from cockpit.sources.solana.rpc import RpcProblem, Slot
from cockpit.sources.timing import SolanaTimings
from cockpit.text import safe

PROTOCOL, SIGNER_SET, MARKETS = "solana/protocol", "solana/signer-set", "solana/markets"
GOVERNANCE = "solana/governance"
MOST_MARKETS = 2000
_BEGINNING = 16384  # bytes of an account whose rest is code, or more members than anybody has
_READ = {"encoding": "base64", "commitment": "confirmed"}
U64 = 2**64 - 1

S = TypeVar("S")


class _Context(msgspec.Struct):
    slot: Slot


class _Accounts(msgspec.Struct):
    context: _Context
    value: list[Any]


class _Listed(msgspec.Struct):
    pubkey: str
    account: Any


class _Program(msgspec.Struct):
    context: _Context
    value: list[_Listed]


class SeenAccounts(msgspec.Struct):
    """Holds what one endpoint says: each a state, or why it cannot be told.

    `answered`: a fault is what it says of the account then (none, of another owner, not readable),
    else nobody knows.
    """

    name: str
    protocol: ProtocolState | Fault
    signer_set: SignerSetState | Fault
    answered: bool = False


class AccountsWatch:
    """Reads for ever (`run`), and puts every reading through `put`.

    `signer_set_id`: what the submitter is configured with.
    """

    def __init__(
        self,
        program_id: str,
        fleet: Fleet,
        clock: Clock,
        timings: SolanaTimings,
        signer_set_id: Callable[[], str | None],
        put: Callable[[Reading[Any]], None],
        named: Callable[[dict[str, str]], None],
        multisig: str | None = None,
    ) -> None:
        self._program_id = program_id
        self._key = base58.pubkey(program_id) or b""
        self._protocol = protocol_address(self._key)
        self._fleet = fleet
        self._clock = clock
        self._slots = NewestSlots()
        self._timings = timings
        self._signer_set_id = signer_set_id
        self._put = put
        self._named = named
        self._multisig = multisig  # its address, where one is configured
        self._markets_due = 0.0

    async def run(self) -> None:
        while True:
            best = self._fleet.best({}, self._clock.mono())[:2]
            if not best:
                await asyncio.sleep(min(1.0, self._timings.accounts_s))
                continue
            await self._compare(best)
            if self._clock.mono() >= self._markets_due:
                await self._markets(best[0])
                await self._governance(best[0])
            await asyncio.sleep(self._timings.accounts_s)

    async def _compare(self, best: list[EndpointWatch]) -> None:
        began = self._clock.mono()
        answers = await asyncio.gather(*(self._ask(watch) for watch in best))
        said = self._differences(answers)
        if said:  # a change may just be on its way from one to the other
            await asyncio.sleep(self._timings.recheck_s)
            answers = await asyncio.gather(*(self._ask(watch) for watch in best))
            said = self._differences(answers)
        self._fleet.said["accounts"] = said
        took = self._clock.mono() - began
        self._tell(PROTOCOL, [answer.protocol for answer in answers], took)
        self._tell(SIGNER_SET, [answer.signer_set for answer in answers], took)

    def _tell(self, topic: str, states: list[Any], took: float) -> None:
        """Return the state at the newest slot; the first fault when no endpoint gives one."""
        known = [state for state in states if not isinstance(state, Fault)]
        age = max(15.0, 3.5 * self._timings.accounts_s)
        if known:
            newest = max(known, key=lambda state: state.slot)
            now = self._clock.mono()
            true_at = self._slots.seen(topic, newest.slot, now)
            self._put(Reading(topic, newest, true_at, took, max_age_s=age, asked_at=now))
        else:
            self._put(Reading(topic, fault=states[0], took_s=took, max_age_s=age))

    async def _ask(self, watch: EndpointWatch) -> SeenAccounts:
        wanted = self._wanted()
        address = wanted if isinstance(wanted, str) else None
        if self._protocol is None:
            nowhere = Fault(SourceState.DOWN, "no address can be derived from the program id")
            return SeenAccounts(watch.name, nowhere, nowhere)
        asked = [self._protocol, *([address] if address is not None else [])]
        try:
            answer = await watch.rpc.call("getMultipleAccounts", [asked, _READ], _Accounts, timed=False)
            if len(answer.value) != len(asked):
                raise RpcProblem(f"{watch.name} answers with {len(answer.value)} accounts, not {len(asked)}")
        except RpcProblem as problem:
            return SeenAccounts(watch.name, problem.fault(), wanted if isinstance(wanted, Fault) else problem.fault())
        slot = answer.context.slot
        protocol = self._state(
            watch, self._protocol, answer.value[0], slot, protocol_state, "there is no ProtocolConfig account"
        )
        if isinstance(wanted, Fault):
            return SeenAccounts(watch.name, protocol, wanted, True)
        signer_set = self._state(
            watch, wanted, answer.value[1], slot, signer_set_state, "there is no signer set of the configured id"
        )
        return SeenAccounts(watch.name, protocol, signer_set, True)

    def _state(
        self, watch: EndpointWatch, address: str, value: object, slot: int, decode: Callable[[Any, str], S], none: str
    ) -> S | Fault:
        try:
            account = account_of(address, value, slot)
            if account is None:
                return Fault(
                    SourceState.DOWN, f"{none} ({address}), says {watch.name}", "is the program id of this cluster?"
                )
            return decode(account, self._program_id)
        except Undecodable as problem:
            return Fault(SourceState.DOWN, safe(f"{watch.name}: {problem}", 300), "is it this program's layout?")

    def _wanted(self) -> str | Fault:
        """Return the signer set's address, or why it is not known."""
        configured = self._signer_set_id()
        if configured is None or not configured.strip():
            return Fault(SourceState.DOWN, "M0_ACTIVE_SIGNER_SET_ID is not known", "set it on the submitter")
        number = (
            int(configured)
            if configured.strip().isascii() and configured.strip().isdigit() and len(configured) <= 24
            else -1
        )
        address = signer_set_address(self._key, number) if 0 <= number <= U64 else None
        return address or Fault(
            SourceState.DOWN,
            f'M0_ACTIVE_SIGNER_SET_ID "{safe(configured, 40)}" is no signer set id',
            "correct it on the submitter",
        )

    def _differences(self, answers: list[SeenAccounts]) -> tuple[Disagreement, ...]:
        """Compare two that both say something: a request that failed differs from nothing."""
        if len(answers) < 2 or not all(answer.answered for answer in answers):
            return ()
        one, other = answers
        found = [*_one_lacks("protocol", one, other), *_one_lacks("signer set", one, other)]
        here, there = one.protocol, other.protocol
        if isinstance(here, ProtocolState) and isinstance(there, ProtocolState) and here.paused != there.paused:
            found.append(Disagreement("paused", f"{one.name} {_paused(here)}, {other.name} {_paused(there)}"))
        if isinstance(one.signer_set, SignerSetState) and isinstance(other.signer_set, SignerSetState):
            parts = [
                name.replace("_", " ")
                for name in ("threshold", "pubkeys", "active", "created_at_slot")
                if getattr(one.signer_set, name) != getattr(other.signer_set, name)
            ]
            if parts:
                found.append(
                    Disagreement("signer set", f"{one.name} and {other.name} differ in its {' and '.join(parts)}")
                )
        return tuple(found)

    async def _markets(self, watch: EndpointWatch) -> None:
        began = self._clock.mono()
        self._markets_due = began + self._timings.markets_s
        age = max(60.0, 3.5 * self._timings.markets_s)
        memcmp = {"offset": 0, "bytes": base58.encode(account_discriminator("Market"))}
        options = {**_READ, "withContext": True, "filters": [{"memcmp": memcmp}]}
        try:
            answer = await watch.rpc.call("getProgramAccounts", [self._program_id, options], _Program, timed=False)
        except RpcProblem as problem:
            self._put(Reading(MARKETS, fault=problem.fault(), max_age_s=age))
            return
        markets: dict[str, MarketState] = {}
        unread: list[str] = []
        for listed in answer.value[:MOST_MARKETS]:
            try:
                account = account_of(listed.pubkey, listed.account, answer.context.slot)
                if account is not None:
                    markets[account.address] = market_state(account, self._program_id)
            except Undecodable as problem:
                unread.append(safe(problem, 200))
        fault = None
        if unread or len(answer.value) > MOST_MARKETS:
            more = f"{len(unread)} of {len(answer.value)} markets cannot be read: {unread[0]}" if unread else ""
            fault = Fault(SourceState.DOWN, more or f"more than {MOST_MARKETS:,} markets: the rest is not read")
        self._named({address: market.market_id for address, market in markets.items()})
        now = self._clock.mono()
        true_at = self._slots.seen(MARKETS, answer.context.slot, now)
        self._put(Reading(MARKETS, markets, true_at, now - began, fault, age, asked_at=now))

    async def _governance(self, watch: EndpointWatch) -> None:
        """Read who may change the program; it changes so rarely that it is read with the markets.

        An account of another layout is no failure of the endpoint: what it is is said.
        """
        began = self._clock.mono()
        age = max(60.0, 3.5 * self._timings.markets_s)
        upgrade: str | None = None
        squad: Multisig | None = None
        deployed, code_problem, problem, slot = 0, "", "", 0
        try:
            try:
                program, slot = await self._read(watch, self._program_id)
                code, slot = await self._read(watch, program_data_address(program))
                upgrade, deployed = upgrade_authority(code)
            except Undecodable as error:
                code_problem = safe(error, 200)
            try:
                if self._multisig is not None:
                    account, slot = await self._read(watch, self._multisig)
                    squad = multisig(account)
                    vault = vault_address(base58.pubkey(SQUADS) or b"", base58.pubkey(squad.address) or b"")
                    squad = msgspec.structs.replace(squad, vault=vault or "")
            except Undecodable as error:
                problem = safe(error, 200)
        except RpcProblem as error:
            self._put(Reading(GOVERNANCE, fault=error.fault(), max_age_s=age))
            return
        single = bool(upgrade) and is_single_key(base58.pubkey(upgrade or "") or b"")
        found = Governance(upgrade, deployed, single, code_problem, squad, problem, slot)
        now = self._clock.mono()
        self._put(Reading(GOVERNANCE, found, self._slots.seen(GOVERNANCE, slot, now), now - began, None, age))

    async def _read(self, watch: EndpointWatch, address: str) -> tuple[Account, int]:
        """Read an account's beginning.

        Raises RpcProblem, Undecodable (there is none, too).
        """
        options = {**_READ, "dataSlice": {"offset": 0, "length": _BEGINNING}}
        answer = await watch.rpc.call("getMultipleAccounts", [[address], options], _Accounts, timed=False)
        slot = answer.context.slot
        account = account_of(address, answer.value[0], slot) if answer.value else None
        if account is None:
            raise Undecodable(f"there is no account {address}")
        return account, slot


def _one_lacks(what: str, one: SeenAccounts, other: SeenAccounts) -> list[Disagreement]:
    """Say that only one of two has an account, in a form that can be read."""
    states = [(seen.name, getattr(seen, what.replace(" ", "_"))) for seen in (one, other)]
    having = [name for name, state in states if not isinstance(state, Fault)]
    lacking = [state.reason for _, state in states if isinstance(state, Fault)]
    if not having or not lacking:
        return []
    return [Disagreement(what, f"{having[0]} has its account; {lacking[0]}")]


def _paused(state: ProtocolState) -> str:
    return "says paused" if state.paused else "says not paused"
