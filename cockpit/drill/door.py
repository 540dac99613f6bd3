"""Lets nobody into the drill's servers but the user who runs it.

They listen on loopback, where every user of the machine can connect and every page in a browser can
send. So the kernel is asked whose the other end of a connection is, and Host and Origin must be of
this machine: no name that somebody made point here. Where the kernel does not tell (it is not
Linux), Host and Origin alone are checked.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from aiohttp import web

_HERE = {"127.0.0.1", "localhost", "::1"}
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _UID = 1, 2, 7  # fields of a line there, proc_pid_net(5)

Handler = Callable[[Any], Awaitable[web.StreamResponse]]


class Door:
    """Refuses requests of other users and other hosts.

    `owner_of`: connection → the user id at its other end; None where that cannot be known.
    """

    def __init__(self, owner_of: Callable[[Any], int | None] | None = None) -> None:
        self._owner_of = owner_of or peer_uid
        self._known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()

    def refusal(self, request: web.BaseRequest) -> str:
        """Return why the request is not answered, "" when it is."""
        host = urlsplit(f"//{request.headers.get('Host', '')}").hostname
        if host not in _HERE:
            return "the Host is not this machine"
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).hostname not in _HERE:
            return "the Origin is not this machine"
        transport = request.transport
        if transport is None:
            return "the connection is gone"
        if transport not in self._known:
            owner = self._owner_of(transport)
            self._known[transport] = owner is None or owner in (os.getuid(), 0)
        return "" if self._known[transport] else "this drill is another user's"

    def guarded(self, handler: Handler) -> Handler:
        """Wrap a handler of a bare server."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            why = self.refusal(request)
            return web.Response(status=403, text=f"{why}\n") if why else await handler(request)

        return handle

    def guard(self, app: web.Application) -> web.Application:
        """Put it before everything that the application does."""

        @web.middleware
        async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self.guarded(handler)(request)

        app.middlewares.insert(0, door)
        return app


def peer_uid(transport: Any) -> int | None:
    """Return whose the other end of a connection on this machine is; None where nobody tells.

    -1 when the other end is gone: nobody waits for the answer. A transport that never leaves the
    process tells by itself.
    """
    inside = transport.get_extra_info("uid")
    if inside is not None:
        return int(inside)
    if not sys.platform.startswith("linux") or not _TABLES[0].exists():
        return None
    peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    if not peer or not own:
        return -1
    wanted = {(_spelled(peer[0], peer[1], wide=wide), _spelled(own[0], own[1], wide=wide)) for wide in (False, True)}
    for table in _TABLES:
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if (fields[_LOCAL], fields[_REMOTE]) in wanted:
                return int(fields[_UID])
    return -1


def _spelled(host: str, port: int, *, wide: bool) -> str:
    """Spell an address as the kernel's table does: words of four bytes in the machine's order."""
    packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    if wide and len(packed) == 4:
        packed = bytes(10) + b"\xff\xff" + packed
    words = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words) + f":{port:04X}"
