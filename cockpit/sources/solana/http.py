"""Sends JSON-RPC to a Solana node: no retries, no redirects, a bounded body, the status in words.

On aiohttp, as Prometheus is: three endpoints every other second cost 0.4 % of a core this way and
1.7 % by the `solana` package's own path (which brings a second HTTP client, pydantic and 25 MB
along, and whose typed calls panic on answers that nodes give).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
import msgspec

from cockpit.kubeapi.bounds import MB, retry_after_s, whole
from cockpit.sources.http_session import http_session

MOST_BYTES = 4 * MB


class Status(Exception):
    """An HTTP status other than 200.

    `retry_after_s`: what Retry-After asks for, None when it does not.
    """

    def __init__(self, code: int, retry_after_s: float | None, body: bytes) -> None:
        super().__init__(f"HTTP {code}")
        self.code = code
        self.retry_after_s = retry_after_s
        self.body = body


class Call(msgspec.Struct, frozen=True):
    """Describes one JSON-RPC 2.0 request."""

    method: str
    params: Sequence[Any]
    id: int = 1
    jsonrpc: str = "2.0"


class Node:
    """Posts to one node.

    `post` gives the body of a 200; raises Status, BodyProblem, aiohttp.ClientError, OSError.

    `wall`: unix seconds, for a Retry-After that is a date. Bound to the loop that first posts. The
    URL may hold a key: it is in no text of ours.
    """

    def __init__(self, url: str, timeout_s: float, wall: Callable[[], float]) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._wall = wall
        self._session: aiohttp.ClientSession | None = None

    async def post(self, call: Call | list[Call]) -> bytes:
        if self._session is None:
            self._session = http_session(
                {
                    "accept": "application/json",
                    "content-type": "application/json",
                    "accept-encoding": "identity",
                },
                limit=8,
                idle_s=60,
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                keepalive=False,
                unpack=False,
            )
        async with self._session.post(self._url, data=msgspec.json.encode(call), allow_redirects=False) as response:
            body = await whole(response.content.iter_any(), response.headers, MOST_BYTES)
            if response.status != 200:
                raise Status(response.status, retry_after_s(response.headers.get("retry-after"), self._wall()), body)
            return body

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
