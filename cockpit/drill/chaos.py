"""Holds the switches for faults on demand that every server of the drill has.

Counters are used up by one request each; flags hold until they are put back.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(kw_only=True)
class Chaos:
    """Throttles, refuses, delays or freezes the answers of one server."""

    #: The next N requests get 429 with a Retry-After.
    throttled: int = 0
    #: The next N requests get 500.
    server_errors: int = 0
    #: Every request gets 401, as after a token's expiry or with a revoked key.
    unauthorised: bool = False
    #: Real seconds before every answer.
    slow_s: float = 0.0

    def __post_init__(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()

    def freeze(self) -> None:
        """Leave connections open and send no byte, to requests and streams alike."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    async def gate(self) -> None:
        """Wait while the server is frozen."""
        await self._flowing.wait()

    def take(self, counter: str) -> bool:
        """Use up one of a counter."""
        left = int(getattr(self, counter))
        if left > 0:
            setattr(self, counter, left - 1)
        return left > 0
