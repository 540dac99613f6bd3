"""Holds the switches for what goes wrong between a client and a real API server.

Counters are used up by one request each; flags hold until they are put back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from cockpit.drill.chaos import Chaos
from cockpit.drill.kubernetes.objects import statuses
from cockpit.drill.kubernetes.objects.resources import Resource
from cockpit.drill.kubernetes.objects.store import Store


@dataclass
class ApiChaos(Chaos):
    store: Store
    #: 403 on `pods`, `deployments/scale`, or on one verb: `patch deployments`.
    forbidden: set[str] = field(default_factory=set)
    retry_after_s: int = 1
    #: The next N requests get 200 and the HTML of some proxy.
    nonsense: int = 0
    #: The next N writes are carried out, but the connection is cut instead of an answer.
    lost_answers: int = 0
    #: The next N writes are cut before anything is carried out.
    cut_writes: int = 0
    #: An expired watch is refused with HTTP 410 instead of an ERROR event.
    http_410: bool = False
    #: The next N watches get ERROR 504 "Too large resource version".
    too_large: int = 0
    #: Streamed initial lists (`sendInitialEvents`); off: as a server whose etcd is too old
    #: (recording 61).
    watch_list: bool = True
    #: dryRun=All is refused, as by an admission webhook with side effects.
    no_dry_run: bool = False
    #: Called with (method, path) before a request is handled: change the world under a client's
    #: feet.
    before: Callable[[str, str], None] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._streams: dict[object, asyncio.BaseTransport] = {}

    def expire(self) -> None:
        """Compact history: open watches end with ERROR 410, resumes and old lists get 410."""
        self.store.forget()

    def drop_streams(self) -> int:
        """Cut every open watch and log stream; return how many."""
        cut = list(self._streams.values())
        for transport in cut:
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        return len(cut)

    # used by the server

    def opened(self, key: object, transport: asyncio.BaseTransport | None) -> None:
        if transport is not None:
            self._streams[key] = transport

    def closed(self, key: object) -> None:
        self._streams.pop(key, None)

    def refuse(self) -> None:
        """Raise the ApiError that this request is to get, if any."""
        if self.unauthorised:
            raise statuses.unauthorised()
        if self.take("server_errors"):
            raise statuses.internal("etcdserver: request timed out")
        if self.take("throttled"):
            raise statuses.too_many_requests(self.retry_after_s)

    def denies(self, verb: str, res: Resource, sub: str) -> bool:
        what = f"{res.plural}/{sub}" if sub else res.plural
        return what in self.forbidden or f"{verb} {what}" in self.forbidden
