"""Reads the signer set and a market once from every RPC endpoint, for commands without a stream.

The endpoints must agree: one alone could say anything. JSON-RPC `getMultipleAccounts`, encoding
base64, commitment confirmed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cockpit.kubeapi.bounds import BodyProblem, whole
from cockpit.kubeapi.network import words
from cockpit.model.observed.chain import MarketState, SignerSetState
from cockpit.oracle import layouts
from cockpit.sources.solana.settings import RpcEndpoint
from cockpit.text import safe, url_hint, url_secrets, without

TIMEOUT_S = 6.0
MOST_BYTES = 512 * 1024
_SEED_BYTES = 32  # of one seed of a program address


@dataclass(frozen=True, slots=True)
class Accounts:
    """Holds what is known of the signer set and of the market.

    `why`: what is not known of the signer set, in words; "" when it is known; `market_why` the same
    of the market.

    `answered_by`: who answered. `no_set`, `no_market`: each knows the program's own account, and
    none such.
    """

    signer_set: SignerSetState | None
    market: MarketState | None
    why: str
    answered_by: tuple[str, ...] = ()
    market_why: str = ""
    no_set: bool = False
    no_market: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    """Holds what one endpoint answered.

    `whole`: it knows the program's ProtocolConfig, so that what it does not know beside it is not
    there.
    """

    endpoint: str
    signer_set: SignerSetState | None = None
    market: MarketState | None = None
    why: str = ""
    whole: bool = False


def program_address(program_id: str, *seeds: bytes) -> str:
    """Derive the program's address.

    Raises ValueError for a program id or seed that cannot be.
    """
    from solders.pubkey import Pubkey

    if any(len(seed) > _SEED_BYTES for seed in seeds):
        raise ValueError(f"a seed is longer than {_SEED_BYTES} bytes")
    try:
        return str(Pubkey.find_program_address(list(seeds), Pubkey.from_string(program_id))[0])
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # solders is Rust: what it does not expect is a panic, which is no Exception
        raise ValueError(f"{safe(program_id, 60)} is no program id: {safe(error, 80)}") from None


def _seed(market_id: str) -> bytes | None:
    """Return the market's part of its address; None when no account can have that name."""
    raw = market_id.encode("utf-8", "surrogatepass")
    return raw if len(raw) <= _SEED_BYTES else None


async def read_accounts(
    endpoints: Sequence[RpcEndpoint], program_id: str, signer_set_id: int, market_id: str = ""
) -> Accounts:
    """Read the SignerSet account of this id, and the market's when it is named.

    Never raises for what endpoints say.
    """
    try:
        addresses = [program_address(program_id, b"signer_set", signer_set_id.to_bytes(8, "little"))]
        named = _seed(market_id)
        if named:
            addresses.append(program_address(program_id, b"market", named))
    except ValueError as error:
        return Accounts(None, None, safe(error, 160))
    import httpx

    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, headers={"accept-encoding": "identity"}) as client:
        answers = await asyncio.gather(*(_ask(client, each, program_id, addresses) for each in endpoints))
    return _with_market(_agreed(answers, signer_set_id), answers, market_id)


async def _ask(client: Any, endpoint: RpcEndpoint, program_id: str, addresses: list[str]) -> _Answer:
    import httpx

    name = safe(endpoint.name, 40)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            found = await _accounts(client, endpoint.url, addresses)
            # where there is none: is it the chain that has none, or the program id that is wrong?
            whole = None in found and await _knows_program(client, endpoint.url, program_id)
        return _read(name, found, program_id, whole)
    except TimeoutError:
        return _Answer(name, why=f"no answer from {name} in {TIMEOUT_S:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return _Answer(name, why=f"cannot ask {name} ({url_hint(endpoint.url)}): {safe(words(error), 120)}")
    except (ValueError, RecursionError):
        return _Answer(name, why=f"{name} answers with nonsense")
    except _Refused as refused:
        return _Answer(name, why=f"{name} answers{refused}")
    except layouts.Undecodable as problem:
        return _Answer(name, why=f"{name}: {problem}")


class _Refused(Exception):
    """An answer that is no account, in words."""


async def _accounts(client: Any, url: str, addresses: list[str]) -> list[layouts.Account | None]:
    """Return accounts as they lie there; None: there is none.

    Raises _Refused, Undecodable, ValueError and what httpx raises.
    """
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "getMultipleAccounts",
        "params": [addresses, {"encoding": "base64", "commitment": "confirmed"}],
    }
    async with client.stream("POST", url, json=body) as response:
        try:
            raw = await whole(response.aiter_raw(), response.headers, MOST_BYTES)
        except BodyProblem:
            raise _Refused(f" with more than {MOST_BYTES // 1024} KiB, or packed") from None
        if response.status_code != 200:
            raise _Refused(f" HTTP {response.status_code}")
    document = json.loads(raw)
    if not isinstance(document, dict):
        raise layouts.Undecodable("the answer is no object")
    error = document.get("error")
    if error is not None:
        message = str(error.get("message") if isinstance(error, dict) else error)
        raise _Refused(f": {safe(without(message, url_secrets(url)), 120)}")
    result = document.get("result")
    values = result.get("value") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(values, list) or len(values) != len(addresses):
        raise layouts.Undecodable("the answer has no accounts")
    context = result.get("context")
    slot = context.get("slot") if isinstance(context, dict) else None
    at = slot if isinstance(slot, int) else 0
    return [layouts.account_of(address, value, at) for address, value in zip(addresses, values, strict=True)]


async def _knows_program(client: Any, url: str, program_id: str) -> bool:
    """Return whether the program's own account is there."""
    import httpx

    try:
        (protocol,) = await _accounts(client, url, [program_address(program_id, b"protocol")])
    except (_Refused, layouts.Undecodable, httpx.HTTPError, OSError, ValueError):
        return False
    return protocol is not None and protocol.owner == program_id


def _read(name: str, found: list[layouts.Account | None], program_id: str, whole: bool) -> _Answer:
    """Decode an account.

    Raises Undecodable.
    """
    held, named = (*found, None)[:2]
    market = layouts.market_state(named, program_id) if named is not None else None
    if held is None:
        return _Answer(name, market=market, why=f"{name} knows no account of this signer set", whole=whole)
    return _Answer(name, layouts.signer_set_state(held, program_id), market, whole=whole)


def _agreed(answers: Sequence[_Answer], signer_set_id: int) -> Accounts:
    """Return what all that answered say alike."""
    good = [a for a in answers if a.signer_set is not None]
    if not good:
        why = "; ".join(a.why for a in answers if a.why) or "no RPC endpoint is configured"
        absent = bool(answers) and all(a.whole for a in answers)
        return Accounts(None, None, f"signer set {signer_set_id}: {why}", no_set=absent)
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
    return Accounts(first, None, "", tuple(a.endpoint for a in good))


def _with_market(found: Accounts, answers: Sequence[_Answer], market_id: str) -> Accounts:
    """Add the market as the endpoint that is furthest has it."""
    markets = [a.market for a in answers if a.market is not None]
    if markets or not market_id:
        newest = max(markets, key=lambda market: (market.current_epoch_id, market.last_sequence), default=None)
        return replace(found, market=newest)
    if _seed(market_id) is None or (answers and all(a.whole for a in answers)):
        return replace(found, no_market=True)
    reasons = "; ".join(a.why for a in answers if a.why and a.signer_set is None and "knows no account" not in a.why)
    return replace(found, market_why=reasons or "no endpoint knows an account of it")


def _essence(one: SignerSetState) -> tuple[Any, ...]:
    return one.signer_set_id, one.threshold, one.pubkeys, one.active
