"""The signer set and a market, read once from every RPC endpoint: what a command needs that keeps no stream open.

The endpoints must agree: one alone could say anything. JSON-RPC `getMultipleAccounts`, encoding base64, commitment confirmed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cockpit.chain import layouts
from cockpit.kubeapi.network import words
from cockpit.model.chain import MarketState, SignerSetState
from cockpit.settings import RpcEndpoint
from cockpit.text import safe, url_hint

TIMEOUT_S = 6.0
MOST_BYTES = 512 * 1024
_SEED_BYTES = 32  # of one seed of a program address


@dataclass(frozen=True, slots=True)
class Accounts:
    """`why`: what is not known, in words; "" when all that was asked for is known. `told`: who answered."""

    signer_set: SignerSetState | None
    market: MarketState | None
    why: str
    told: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answer:
    endpoint: str
    signer_set: SignerSetState | None = None
    market: MarketState | None = None
    why: str = ""


def program_address(program_id: str, *seeds: bytes) -> str:
    """The program-derived address. Raises ValueError for a program id or seed that cannot be."""
    from solders.pubkey import Pubkey

    if any(len(seed) > _SEED_BYTES for seed in seeds):
        raise ValueError(f"a seed is longer than {_SEED_BYTES} bytes")
    try:
        return str(Pubkey.find_program_address(list(seeds), Pubkey.from_string(program_id))[0])
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # solders is Rust: what it does not expect is a panic, which is no Exception
        raise ValueError(f"{safe(program_id, 60)} is no program id: {safe(error, 80)}") from None


async def read_accounts(
    endpoints: Sequence[RpcEndpoint], program_id: str, signer_set_id: int, market_id: str = ""
) -> Accounts:
    """The SignerSet account of this id, and the market's when it is named. Never raises for what endpoints say."""
    try:
        addresses = [program_address(program_id, b"signer_set", signer_set_id.to_bytes(8, "little"))]
        if market_id and len(market_id.encode()) <= _SEED_BYTES:
            addresses.append(program_address(program_id, b"market", market_id.encode()))
    except ValueError as error:
        return Accounts(None, None, safe(error, 160))
    import httpx

    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, headers={"accept-encoding": "identity"}) as client:
        answers = await asyncio.gather(*(_ask(client, each, program_id, addresses) for each in endpoints))
    return _agreed(answers, signer_set_id)


async def _ask(client: Any, endpoint: RpcEndpoint, program_id: str, addresses: list[str]) -> _Answer:
    import httpx

    name = safe(endpoint.name, 40)
    body = {
        "jsonrpc": "2.0", "id": 1, "method": "getMultipleAccounts",
        "params": [addresses, {"encoding": "base64", "commitment": "confirmed"}],
    }  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT_S), client.stream("POST", endpoint.url, json=body) as response:
            raw = b""
            async for part in response.aiter_raw():
                raw += part
                if len(raw) > MOST_BYTES:
                    return _Answer(name, why=f"{name} answers with more than {MOST_BYTES // 1024} KiB")
            if response.status_code != 200:
                return _Answer(name, why=f"{name} answers HTTP {response.status_code}")
        return _read(name, json.loads(raw), program_id, addresses)
    except TimeoutError:
        return _Answer(name, why=f"no answer from {name} in {TIMEOUT_S:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return _Answer(name, why=f"cannot ask {name} ({url_hint(endpoint.url)}): {safe(words(error), 120)}")
    except (ValueError, RecursionError):
        return _Answer(name, why=f"{name} answers with nonsense")
    except layouts.Undecodable as problem:
        return _Answer(name, why=f"{name}: {problem}")


def _read(name: str, document: Any, program_id: str, addresses: list[str]) -> _Answer:
    """Raises Undecodable."""
    if not isinstance(document, dict):
        raise layouts.Undecodable("the answer is no object")
    error = document.get("error")
    if error is not None:
        told = error.get("message") if isinstance(error, dict) else error
        return _Answer(name, why=f"{name} answers: {safe(told, 120)}")
    result = document.get("result")
    values = result.get("value") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(values, list) or len(values) != len(addresses):
        raise layouts.Undecodable("the answer has no accounts")
    context = result.get("context")
    slot = context.get("slot") if isinstance(context, dict) else None
    at = slot if isinstance(slot, int) else 0
    found = [layouts.account_of(address, value, at) for address, value in zip(addresses, values, strict=True)]
    market = layouts.market_state(found[1], program_id) if len(found) > 1 and found[1] is not None else None
    if found[0] is None:
        return _Answer(name, market=market, why=f"{name} knows no account of this signer set")
    return _Answer(name, layouts.signer_set_state(found[0], program_id), market)


def _agreed(answers: Sequence[_Answer], signer_set_id: int) -> Accounts:
    """What all that answered say alike."""
    good = [a for a in answers if a.signer_set is not None]
    if not good:
        why = "; ".join(a.why for a in answers if a.why) or "no RPC endpoint is configured"
        return Accounts(None, None, f"signer set {signer_set_id}: {why}")
    first = good[0].signer_set
    assert first is not None
    for other in good[1:]:
        also = other.signer_set
        if also is None or _essence(also) != _essence(first):
            return Accounts(
                None, None, f"{good[0].endpoint} and {other.endpoint} disagree on signer set {signer_set_id}"
            )
    denying = [a.why for a in answers if a.signer_set is None and "knows no account" in a.why]
    if denying:
        return Accounts(None, None, f"{denying[0]}, {good[0].endpoint} does")
    markets = [a.market for a in good if a.market is not None]
    newest = max(markets, key=lambda market: (market.current_epoch_id, market.last_sequence), default=None)
    return Accounts(first, newest, "", tuple(a.endpoint for a in good))


def _essence(one: SignerSetState) -> tuple[Any, ...]:
    return one.signer_set_id, one.threshold, one.pubkeys, one.active
