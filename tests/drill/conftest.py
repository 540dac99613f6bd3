"""Gives the drill's Solana to tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import httpx
import pytest

from cockpit.drill.names import MARKETS
from cockpit.drill.solana.node.servers import SolanaServers
from tests.support.drill_chain_rig import Hand, Rig


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    clock = Hand()
    async with (
        SolanaServers.alone(now=clock, markets=MARKETS) as servers,
        httpx.AsyncClient(timeout=10, trust_env=False) as client,
        aiohttp.ClientSession() as session,
    ):
        yield Rig(servers, clock, client, session)
