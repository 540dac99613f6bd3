"""Looks once for the newest reveal on the chain, when the cockpit began after reveals had stopped.

One endpoint after the other is asked (`cockpit.sources.solana.search`), those that ask for rest
last or not at all; of what one tells, the others are asked too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from cockpit.clock import Clock
from cockpit.model.observed.chain import EndpointStatus, Reveal
from cockpit.oracle import base58
from cockpit.sources.solana.backfill import ListedSignature, transactions
from cockpit.sources.solana.rpc import Rpc, RpcProblem
from cockpit.sources.solana.search import LONGEST_WAIT_S, LookedBack, Search, reveal_of
from cockpit.sources.solana.settings import RpcEndpoint
from cockpit.sources.timing import SolanaTimings
from cockpit.text import safe

LIMIT_S = 14.0  # for the search; less than evidence gives a part
AGREE_S = 3.0  # for asking the other endpoints of what was found
_REQUEST_S = 4.0


async def last_reveal(
    endpoints: Sequence[RpcEndpoint],
    program_id: str,
    clock: Clock,
    *,
    statuses: Mapping[str, EndpointStatus] | None = None,
    known: tuple[int, int] | None = None,
    limit_s: float = LIMIT_S,
) -> LookedBack:
    """Ask one endpoint after the other, in the order given, until one tells.

    `statuses`: what is known of them, by name. `known`: the slots (after, up to) whose transactions
    are known to hold no reveal. Never raises for what endpoints say; takes `limit_s` + AGREE_S at
    most.
    """
    if base58.pubkey(program_id) is None:
        return LookedBack(None, f'"{safe(program_id, 60)}" is no program id')
    fit, trouble = await _order([Rpc(each, clock, _REQUEST_S) for each in endpoints], statuses or {})
    searches: list[Search] = []
    try:
        try:
            async with asyncio.timeout(limit_s):
                for rpc, wait_s in fit:
                    await asyncio.sleep(wait_s)
                    searches.append(Search(rpc, program_id, known))
                    await searches[-1].run()
                    if searches[-1].reveal is not None or searches[-1].whole:
                        break
        except TimeoutError:
            if searches:
                searches[-1].problem = f"{searches[-1].rpc.name}: the search was ended after {limit_s:g} s"
        if not searches:
            return LookedBack(None, "; ".join(trouble) or "no RPC endpoint can be asked")
        best = max(searches, key=lambda each: (each.reveal is not None, each.whole, len(each.entries)))
        trouble += [each.problem for each in searches if each.problem and each is not best]
        agreed: tuple[str, ...] = ()
        if best.reveal is not None:
            failed = [each.rpc for each in searches if each.problem]
            others = [
                rpc
                for rpc, wait_s in fit
                if rpc is not best.rpc and rpc not in failed and not wait_s and not rpc.blocked_s
            ]
            agreed, differing = await _agreement(others, best.reveal, program_id)
            trouble += differing
        return best.result(agreed, tuple(dict.fromkeys(trouble)))
    finally:
        await asyncio.gather(*(rpc.close() for rpc, _ in fit), return_exceptions=True)


async def _order(
    rpcs: Sequence[Rpc], statuses: Mapping[str, EndpointStatus]
) -> tuple[list[tuple[Rpc, float]], list[str]]:
    """Return (endpoint, how long to wait for it) in order, open; and why others are not asked."""
    fit: list[tuple[float, bool, int, Rpc]] = []
    trouble: list[str] = []
    for number, rpc in enumerate(rpcs):
        status = statuses.get(rpc.name)
        rest = (status.retry_after_s if status is not None else None) or 0.0
        if status is not None and status.foreign:
            trouble.append(f"{rpc.name} is of another cluster")
        elif rest > LONGEST_WAIT_S:
            trouble.append(f"{rpc.name} asks to be left alone for {rest:.0f} s (429)")
        else:
            try:
                await rpc.open()
            except RpcProblem as problem:
                trouble.append(problem.line())
                continue
            lags = status is not None and (status.behind or 0) >= SolanaTimings.bad_slots
            fit.append((rest, lags, number, rpc))
    return [(rpc, rest) for rest, _, _, rpc in sorted(fit, key=lambda each: each[:3])], trouble


async def _agreement(others: Sequence[Rpc], reveal: Reveal, program_id: str) -> tuple[tuple[str, ...], list[str]]:
    """Say who gives the same transaction, and what the rest say of it."""

    async def one(rpc: Rpc) -> str:
        try:
            rpc.batch_size = 1
            (answer,) = await transactions(rpc, [ListedSignature(reveal.signature, reveal.slot)])
        except RpcProblem as problem:
            return problem.line()
        if isinstance(answer, RpcProblem):
            return answer.reason
        if answer is None:
            return f"{rpc.name} does not have the transaction"
        same = reveal_of(reveal.signature, answer, program_id)[0] == reveal
        return "" if same else f"{rpc.name} gives another content of the same transaction"

    asked = {rpc.name: asyncio.create_task(one(rpc)) for rpc in others}
    if not asked:
        return (), []
    await asyncio.wait(asked.values(), timeout=AGREE_S)
    late = {name for name, task in asked.items() if not task.done()}
    for task in asked.values():
        task.cancel()
    await asyncio.gather(*asked.values(), return_exceptions=True)
    said = {
        name: f"{name} gave no answer in {AGREE_S:g} s" if name in late else task.result()
        for name, task in asked.items()
    }
    return tuple(name for name, words in said.items() if not words), [words for words in said.values() if words]
