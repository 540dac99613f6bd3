"""Streams a watch: history from a version on, then changes, bookmarks, and both kinds of 410."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from aiohttp import web

from cockpit.drill.kubernetes.api.chaos import ApiChaos
from cockpit.drill.kubernetes.api.reading import single
from cockpit.drill.kubernetes.api.request import ApiRequest
from cockpit.drill.kubernetes.objects import selectors, statuses
from cockpit.drill.kubernetes.objects.resources import EVENTS_K8S_IO, Obj, Resource
from cockpit.drill.kubernetes.objects.store import Change, Store, Stored, encode
from cockpit.drill.kubernetes.tables import columns

BOOKMARK_S = 10.0  # real seconds; a real server sends one about every minute
_DEFAULT_TIMEOUT_S = 1800.0
_GRAIN_S = 1e-6  # timers may come early by less: waiting for the rest would be for nothing, again and again
_NO_TEMPLATE: Obj = {"metadata": {}, "spec": {"containers": None}}
#: A bookmark's object is its kind's zero value, but for the version.
_ZERO: dict[str, Obj] = {
    "pods": {"spec": {"containers": None}, "status": {}},
    "deployments.apps": {
        "spec": {"replicas": 0, "selector": None, "template": _NO_TEMPLATE, "strategy": {}},
        "status": {},
    },
    "replicasets.apps": {
        "spec": {"replicas": 0, "selector": None, "template": _NO_TEMPLATE},
        "status": {"replicas": 0},
    },
    "statefulsets.apps": {
        "spec": {"replicas": 0, "selector": None, "template": _NO_TEMPLATE, "serviceName": "", "updateStrategy": {}},
        "status": {"replicas": 0, "availableReplicas": 0},
    },
    "jobs.batch": {"spec": {"template": _NO_TEMPLATE}, "status": {}},
    "horizontalpodautoscalers.autoscaling": {
        "spec": {"scaleTargetRef": {"kind": "", "name": ""}, "maxReplicas": 0},
        "status": {"desiredReplicas": 0, "currentMetrics": None},
    },
}


class Watch:
    """Serves one watch.

    Its position in the history is a version: nothing is queued, a slow client that falls behind
    gets 410.
    """

    def __init__(self, store: Store, chaos: ApiChaos, req: ApiRequest, bookmark_s: float) -> None:
        self.store = store
        self.chaos = chaos
        self.req = req
        self.res: Resource = req.target.res
        self.namespace = req.target.namespace
        fields = req.param("fieldSelector")
        if req.target.name:
            fields = f"metadata.name={req.target.name}" + (f",{fields}" if fields else "")
        self.test = selectors.predicate(self.res, req.param("labelSelector"), fields)
        self.bookmarks = req.flag("allowWatchBookmarks")
        self.bookmark_s = bookmark_s
        self.position = 0
        self._columns = True

    async def run(self) -> web.StreamResponse:
        """Stream until timeoutSeconds, an error, or the client's leaving.

        Raises ApiError 400 or 410 before the stream begins.
        """
        first, failure = self._begin()
        response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )
        response.enable_chunked_encoding()
        await response.prepare(self.req.http)
        key = object()
        self.chaos.opened(key, self.req.http.transport)
        waker = self.store.subscribe(self.res)
        try:
            with contextlib.suppress(ConnectionError):
                await self._send(response, first)
                if failure is None:
                    failure = await self._follow(response, waker)
                if failure is not None:
                    await self._send(response, _line("ERROR", encode(failure.status)))
                await response.write_eof()
        finally:
            self.store.unsubscribe(self.res, waker)
            self.chaos.closed(key)
        return response

    async def _send(self, response: web.StreamResponse, data: bytes) -> None:
        if data:
            await self.chaos.gate()
            await response.write(data)

    def _begin(self) -> tuple[bytes, statuses.ApiError | None]:
        """Return what to send first, and the error after which the stream ends."""
        if self.chaos.take("too_large"):
            return b"", statuses.version_too_large(self.store.rv + 7, self.store.rv)
        initial = self.req.param("sendInitialEvents")
        if initial and not self.chaos.watch_list:
            return b"", statuses.watch_list_unsupported()
        version = self.req.param("resourceVersion")
        streamed = self.req.flag("sendInitialEvents")
        if streamed or (version in ("", "0") and not initial):
            now = [s for s in self.store.select(self.res, self.namespace) if self.test is None or self.test(s.obj)]
            self.position = self.store.rv
            lines = b"".join(self._shaped("ADDED", s) for s in now)
            return lines + (self._bookmark(end=True) if streamed and self.bookmarks else b""), None
        if version and not version.isdigit():
            raise statuses.version_malformed(version)
        self.position = int(version) if version not in ("", "0") else self.store.rv
        oldest = self.store.compacted(self.res)
        if self.position < oldest:
            error = statuses.watch_expired(self.position, oldest)
            if self.chaos.http_410:
                raise error
            return b"", error
        return b"", None

    async def _follow(self, response: web.StreamResponse, waker: asyncio.Event) -> statuses.ApiError | None:
        loop = asyncio.get_running_loop()
        end = loop.time() + (self.req.number("timeoutSeconds") or _DEFAULT_TIMEOUT_S)
        bookmark_at = loop.time() + self.bookmark_s
        while True:
            waker.clear()
            try:
                changes = self.store.changes(self.res, self.position)
            except statuses.ApiError as error:
                return error
            if changes:
                self.position = changes[-1].rv
                await self._send(response, b"".join(self._lines(changes)))
                if waker.is_set():
                    continue
            now = loop.time() + _GRAIN_S
            if now >= end or (self.bookmarks and now >= bookmark_at):
                if self.bookmarks and self.position <= self.store.rv:
                    self.position = self.store.rv
                    await self._send(response, self._bookmark())
                if now >= end:
                    return None
                bookmark_at = now + self.bookmark_s
                continue
            wait = min(end, bookmark_at) - now if self.bookmarks else end - now
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(waker.wait(), min(wait, 15.0))
            transport = self.req.http.transport
            if transport is None or transport.is_closing():
                raise ConnectionResetError

    def _lines(self, changes: list[Change]) -> Iterator[bytes]:
        for change in changes:
            if self.namespace and change.new.key[0] != self.namespace:
                continue
            if self.test is None:
                plain = self.req.shape == "plain" and self.res is not EVENTS_K8S_IO
                yield change.line(self.res) if plain else self._shaped(change.type, change.new)
                continue
            is_in = change.type != "DELETED" and self.test(change.new.obj)
            was_in = change.old is not None and self.test(change.old.obj)
            if is_in:
                yield self._shaped("MODIFIED" if was_in else "ADDED", change.new)
            elif was_in and change.old is not None:
                meta = {**change.old.obj["metadata"], "resourceVersion": str(change.rv)}
                gone = change.new if change.type == "DELETED" else None
                left = gone or Stored(change.old.key, {**change.old.obj, "metadata": meta}, change.rv)
                yield self._shaped("DELETED", left)

    def _shaped(self, kind: str, stored: Stored) -> bytes:
        if self.req.shape == "plain":
            return _line(kind, single(self.res, stored))
        if self.req.shape == "partial":
            return _line(kind, encode(columns.partial(stored.obj)))
        meta = {"resourceVersion": str(stored.rv)}
        include = self.req.param("includeObject")
        now = self.store.clock.now()
        body = columns.table(self.res, [stored.obj], meta, now, include=include, columns=self._columns)
        self._columns = False
        return _line(kind, encode(body))

    def _bookmark(self, *, end: bool = False) -> bytes:
        meta: Obj = {"resourceVersion": str(self.store.rv)}
        if end:
            meta["annotations"] = {"k8s.io/initial-events-end": "true"}
        if self.req.shape == "partial":
            return _line("BOOKMARK", encode(columns.partial({"metadata": meta})))
        zero = _ZERO.get(self.res.storage, {})
        body = {"kind": self.res.kind, "apiVersion": self.res.api_version, "metadata": meta, **zero}
        if self.req.shape == "table":
            body = columns.table(self.res, [], {"resourceVersion": str(self.store.rv)}, 0.0, columns=False)
            row = {"cells": [], "object": columns.partial({"metadata": meta})}
            body["rows"] = [row]
        return _line("BOOKMARK", encode(body))


def _line(kind: str, body: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), body)
