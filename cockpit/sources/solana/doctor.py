"""Examines each endpoint's health, version and cluster, and whether the program is there.

Over the source's own raw request path; the WebSocket is opened once, as the stream of logs will be.
URLs may hold keys: only names and hosts are ever said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from cockpit.oracle import base58
from cockpit.sources.examination import Examination, Finding, State, bounded, found, together
from cockpit.sources.solana.endpoint import cluster_of
from cockpit.sources.solana.rpc import NODE_UNHEALTHY, Rpc, RpcProblem
from cockpit.sources.solana.settings import RPC_ENDPOINTS, SOLANA, RpcEndpoint
from cockpit.text import safe

AREA = "solana"
_HEADER = {"encoding": "base64", "commitment": "confirmed", "dataSlice": {"offset": 0, "length": 0}}


class _Version(msgspec.Struct):
    core: str = msgspec.field(default="?", name="solana-core")


class _Account(msgspec.Struct):
    executable: bool = False
    owner: str = ""


class _AccountInfo(msgspec.Struct):
    value: _Account | None = None


@dataclass
class _Seen:
    """Holds what endpoints said, to be compared: name → genesis hash."""

    genesis: dict[str, str]


async def examine(exam: Examination) -> list[Finding]:
    endpoints, program_id = exam.settings.of(RPC_ENDPOINTS), exam.settings.of(SOLANA).program_id
    if not endpoints:
        return [
            found(
                AREA,
                "endpoints",
                State.OFF,
                "not configured",
                "name them in [[rpc-endpoints]]: two at least, so that one can be told wrong",
            )
        ]
    seen = _Seen({})
    findings = await together(
        bounded(exam, AREA, f"endpoint {safe(one.name, 40)}", lambda one=one: _endpoint(exam, one, seen))  # type: ignore[misc]
        for one in endpoints
    )
    findings += _one_cluster(seen, len(endpoints))
    if program_id is None:
        remedy = "program-id in [solana]; without it the chain's commits and reveals are not counted"
        return [*findings, found(AREA, "program", State.OFF, "not configured", remedy)]
    if base58.pubkey(program_id) is None:
        words = f"{safe(program_id, 60)} is no public key (32 bytes in base58)"
        return [*findings, found(AREA, "program", State.FAIL, words, "correct program-id in [solana]")]
    checks = []
    for one in endpoints:
        name = safe(one.name, 40)
        if name not in seen.genesis:
            continue  # it did not answer: said above
        checks.append(bounded(exam, AREA, f"program by {name}", lambda one=one: _program(exam, one, program_id)))  # type: ignore[misc]
        checks.append(bounded(exam, AREA, f"stream of {name}", lambda one=one: _stream(exam, one)))  # type: ignore[misc]
    return findings + await together(checks)


async def _endpoint(exam: Examination, endpoint: RpcEndpoint, seen: _Seen) -> Sequence[Finding]:
    name = safe(endpoint.name, 40)
    check = f"endpoint {name}"
    rpc = Rpc(endpoint, exam.clock, exam.limit_s * 0.9)
    try:
        await rpc.open()
        began = exam.clock.mono()
        genesis, doubt = await _genesis(rpc)
        took_ms = (exam.clock.mono() - began) * 1000
        seen.genesis[name] = genesis
        version, health = await asyncio.gather(_version(rpc), _health(rpc))
        words = f"{cluster_of(genesis)} at {rpc.host}, {version}, answered in {took_ms:.0f} ms"
        if doubt:
            return [
                found(
                    AREA,
                    check,
                    State.WARN,
                    f"{words}, but not at once: {doubt}",
                    "watch its error rate in the RPC panel",
                )
            ]
        if health == "ok":
            return [found(AREA, check, State.OK, words)]
        return [found(AREA, check, State.WARN, f"{words}; its health: {health}", "use another until it has caught up")]
    except RpcProblem as problem:
        state = State.WARN if problem.throttled else State.FAIL
        return [found(AREA, check, state, problem.reason, problem.remedy)]
    finally:
        await rpc.close()


async def _genesis(rpc: Rpc) -> tuple[str, str]:
    """Return the hash, and why the first request had no answer, if so.

    Raises RpcProblem when the second has none either.
    """
    try:
        return await rpc.call("getGenesisHash", [], str), ""
    except RpcProblem as problem:
        if problem.throttled or problem.code is not None:
            raise
        return await rpc.call("getGenesisHash", [], str), problem.line()


async def _version(rpc: Rpc) -> str:
    try:
        return f"solana-core {rpc.without_secrets((await rpc.call('getVersion', [], _Version)).core, 40)}"
    except RpcProblem:
        return "version not told"


async def _health(rpc: Rpc) -> str:
    try:
        return rpc.without_secrets(await rpc.call("getHealth", [], str), 80)
    except RpcProblem as problem:
        return problem.reason if problem.code == NODE_UNHEALTHY else f"not told ({problem.reason})"


def _one_cluster(seen: _Seen, configured: int) -> list[Finding]:
    hashes: dict[str, list[str]] = {}
    for name, genesis in seen.genesis.items():
        hashes.setdefault(genesis, []).append(name)
    if len(hashes) > 1:
        words = "; ".join(f"{', '.join(names)} of {cluster_of(genesis)}" for genesis, names in hashes.items())
        return [
            found(
                AREA,
                "cluster",
                State.FAIL,
                f"not of one cluster: {words}",
                "correct [[rpc-endpoints]]: a switch would publish elsewhere",
            )
        ]
    if configured < 2:
        return [
            found(
                AREA,
                "cluster",
                State.WARN,
                "only one endpoint: nothing tells when it is wrong or behind",
                "add a second to [[rpc-endpoints]]",
            )
        ]
    if len(seen.genesis) < 2:
        return [found(AREA, "cluster", State.UNKNOWN, "too few endpoints answer to compare them")]
    return [found(AREA, "cluster", State.OK, f"{len(seen.genesis)} of {configured} endpoints are of the same cluster")]


async def _program(exam: Examination, endpoint: RpcEndpoint, program_id: str) -> Sequence[Finding]:
    name = safe(endpoint.name, 40)
    check = f"program by {name}"
    rpc = Rpc(endpoint, exam.clock, exam.limit_s * 0.9)
    try:
        await rpc.open()
        account = (await rpc.call("getAccountInfo", [program_id, _HEADER], _AccountInfo)).value
    except RpcProblem as problem:
        return [found(AREA, check, State.UNKNOWN, problem.reason, problem.remedy)]
    finally:
        await rpc.close()
    if account is None:
        return [
            found(
                AREA,
                check,
                State.FAIL,
                f"{program_id} does not exist there",
                "is program-id in [solana] of this cluster?",
            )
        ]
    if not account.executable:
        words = f"{program_id} is an account of {safe(account.owner, 50)}, no program"
        return [found(AREA, check, State.FAIL, words, "correct program-id in [solana]")]
    return [found(AREA, check, State.OK, f"{program_id} is there, executable")]


async def _stream(exam: Examination, endpoint: RpcEndpoint) -> Sequence[Finding]:
    """Open the WebSocket once: what is counted comes over it."""
    import aiohttp

    from cockpit.kubeapi.network import words
    from cockpit.sources.solana.stream import ws_url

    check = f"stream of {safe(endpoint.name, 40)}"
    remedy = "set ws-url of that endpoint; without a stream, commits and reveals are not counted by it"
    try:
        async with aiohttp.ClientSession(trust_env=False) as session, session.ws_connect(ws_url(endpoint)):
            return [found(AREA, check, State.OK, "the WebSocket opens")]
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return [found(AREA, check, State.FAIL, f"the WebSocket does not open: {words(error)}", remedy)]
