"""Reads the API server's endless answers (watches, followed logs) with aiohttp.

A server writes each event as an HTTP chunk of its own, which costs 140 µs a chunk with httpx, whose
parser is Python, and 27 µs with aiohttp's.

Its import takes twice httpx's, so that whoever lists first has painted first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import aiohttp

from cockpit.kubeapi.access import Access
from cockpit.kubeapi.bounds import MB, BodyProblem, whole
from cockpit.kubeapi.errors import KubeError, Unreachable
from cockpit.kubeapi.network import unreachable
from cockpit.kubeapi.read_batching import ReadBatcher
from cockpit.kubeapi.sockets import keepalive_socket

_REFUSAL = 1 * MB
_GULP = 256 * 1024  # bytes that may wait in a stream before its socket is read no further


class Streams:
    """Opens streams to one server; bound to the loop of the first.

    Nothing is ever sent twice by it.
    """

    def __init__(self, access: Access, connect_s: float) -> None:
        self._access = access
        self._connect_s = connect_s
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def open(
        self,
        path: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        *,
        header_s: float,
        read_timeout_s: float,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a GET, and wait for its headers.

        Raises Unreachable when they do not within `header_s`; its body is for `chunks`.
        """
        access = self._access
        limits = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_s, sock_read=read_timeout_s)
        request = self._ready().get(
            access.server + path,
            params=params,
            headers=headers,
            timeout=limits,
            allow_redirects=False,
            proxy=access.proxy,
            server_hostname=access.server_name,
        )
        try:
            async with asyncio.timeout(header_s):
                response = await request
        except aiohttp.ClientError as error:
            raise self._network(error, read_timeout_s) from error
        except TimeoutError as error:
            raise Unreachable(
                f"no answer from {access.host} in {header_s:g} s", maybe_sent=True, timed_out=True
            ) from error
        except (OSError, ValueError) as error:
            raise self._network(error, read_timeout_s) from error
        try:
            yield response
        finally:
            response.close()

    async def chunks(self, response: aiohttp.ClientResponse, read_timeout_s: float) -> AsyncIterator[bytes]:
        """Yield all bytes that have come, each time.

        Raises Unreachable after `read_timeout_s` of silence, or when it breaks off.
        """
        batcher = ReadBatcher()
        try:
            async for chunk in response.content.iter_any():
                batcher.on_lines(chunk.count(b"\n"))
                yield chunk
                await batcher.pause(response.connection.transport if response.connection is not None else None)
        except (aiohttp.ClientError, OSError) as error:
            raise self._network(error, read_timeout_s) from error

    async def rest(self, response: aiohttp.ClientResponse, within_s: float) -> bytes:
        """Return the body of a refusal, as far as it comes, and no more than one needs."""
        with suppress(aiohttp.ClientError, OSError, BodyProblem):
            async with asyncio.timeout(within_s):
                return await whole(response.content.iter_any(), response.headers, _REFUSAL)
        return b""

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _ready(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,
                    ssl=self._access.tls if self._access.tls is not None else True,
                    keepalive_timeout=30,
                    socket_factory=keepalive_socket,
                ),
                headers={"user-agent": "m0-cockpit", "accept-encoding": "identity"},
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=_GULP,
                auto_decompress=False,
            )
        return self._session

    def _network(self, error: Exception, timeout_s: float) -> KubeError:
        """Say an aiohttp error in an operator's words."""
        if isinstance(error, aiohttp.InvalidURL):
            return Unreachable(f"cannot form the request: {error}", maybe_sent=False)
        before = isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
        waited_s = None
        if isinstance(error, TimeoutError):
            waited_s = self._connect_s if before else timeout_s
        return unreachable(error, self._access.host, maybe_sent=not before, waited_s=waited_s)
