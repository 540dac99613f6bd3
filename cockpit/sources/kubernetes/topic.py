"""Lists and watches one kind in one namespace, and goes on from wherever that was interrupted.

Reference: "Efficient detection of changes" in the Kubernetes API concepts. What goes wrong, and
what then: 410 (as a status or an ERROR event, also in mid-list) lists again without blanking · 403
is asked again soon, then seldom · 404 means no such API · 401 was retried by the client with fresh
credentials · silence, nonsense and lost connections resume from the last resourceVersion.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

from cockpit.clock import Clock
from cockpit.kubeapi import wire
from cockpit.kubeapi.client import ApiAnswer, KubeClient
from cockpit.kubeapi.errors import Denied, Gone, KubeError, NotFound, ServerFault, Throttled, Unreachable, from_answer
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.sources.kubernetes.kinds import Kind
from cockpit.sources.timing import Timings

_PAGE = 500
MOST_OBJECTS = 50_000  # of one kind in one namespace; a cluster has at most 150,000 pods in all
_SLICE = 64  # objects converted before the loop gets its turn
_TURNS = 10  # of the loop, until a request has left
_LIST_TIMEOUT_S = 60.0
_SOON = 6  # refusals before asking only every `denied_s`: half a minute
MAX_AGE_S = 15.0


class Topic:
    """Lists and watches one topic for its whole life.

    `run` never returns; the rest is read by the source that publishes.
    """

    def __init__(
        self,
        kind: Kind,
        namespace: str,
        clock: Clock,
        timings: Timings,
        rng: random.Random,
        changed: Callable[[], None],
        names: Collection[str] | None = None,
    ):
        self.kind = kind
        self.namespace = namespace
        self.name = f"kubernetes/{kind.plural}/{namespace}"
        self.items: dict[Any, Any] = {}
        self.fault: Fault | None = None
        self.observed_at: float | None = None
        self.took_s = 0.0
        self.synced = False  # a whole list was read at least once
        self.heard = asyncio.Event()  # the server has answered: with a whole list, or in bad
        self.connected = False  # the watch is up
        self.dirty = False
        self.published_at: float | None = None
        self.garbage = 0  # lines and objects that made no sense
        self.relists = 0
        self._names = None if names is None else frozenset(names)
        self._clock = clock
        self._timings = timings
        self._rng = rng
        self._changed = changed
        self._snapshot: dict[Any, Any] | None = None  # the same object as long as nothing changed
        self._version = ""
        self._page_size = _PAGE
        self._scope: asyncio.Timeout | None = None
        self._hurry = asyncio.Event()
        self._attempt = 0
        self._denials = 0  # in a row
        self._brief = 0  # watches in a row that ended within a second: do not hammer
        self._doubt = False  # the last watch ended in nonsense: connecting again proves nothing yet

    def reading(self, server_time: float | None, override: Fault | None = None) -> Reading[Any]:
        """Return what is known now; `server_time` is the server's clock now."""
        if self._snapshot is None and self.observed_at is not None:
            self._snapshot = dict(self.items)
        data = self._snapshot
        fault = override or self.fault
        if server_time is not None and self.observed_at is not None:
            server_time -= self._clock.mono() - self.observed_at  # as it was when the data were confirmed
        return Reading(
            topic=self.name,
            data=data,
            observed_at=self.observed_at,
            took_s=self.took_s,
            fault=fault,
            max_age_s=MAX_AGE_S,
            server_time=server_time,
            partial=not self.synced,
        )

    def confirm(self) -> None:
        """Note that the data are known to be true now."""
        self.observed_at = self._clock.mono()

    def fail(self, fault: Fault) -> None:
        self.heard.set()
        if self.fault != fault:
            self.fault = fault
            self._touch()

    def interrupt(self, fault: Fault) -> None:
        """Show that the server is silent, and give the present connection up."""
        self.connected = False
        self.fail(fault)
        self._give_up()

    def hurry(self) -> None:
        """End every wait: the server answers again.

        Neither the backoff counts now, nor what it asked to wait.
        """
        self._hurry.set()
        self._give_up()

    def _give_up(self) -> None:
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def run(self, client: KubeClient) -> None:
        """List and watch for ever; only cancellation ends it."""
        while True:
            self._hurry.clear()
            loop = asyncio.get_running_loop()
            began, ended = loop.time(), False
            try:
                async with asyncio.timeout(None) as scope:
                    self._scope = scope
                    if not self._version:
                        await self._list(client)
                    await self._watch(client)
                wait, ended = 0.0, True
                #: it lasted, though nothing happened: events have no bookmarks, and expire at each
                #: compaction
                self.relists = 0
            except TimeoutError:  # by `interrupt`
                wait = self._next()
            except _Silent:
                wait = 0.0  # resume at once: a quiet connection proves nothing yet
            except Gone as error:
                self._version = ""
                self.relists += 1
                wait, ended = 0.0, True
                if self.relists >= 3:  # it expires as soon as it is listed: say so, and slow down
                    self.fail(error.fault())
                    wait = self._next()
            except Throttled as error:
                self.fail(error.fault())
                wait = error.retry_after_s * (1.0 + 0.2 * self._rng.random())
            except Denied as error:
                fault = error.fault()
                self.fail(Fault(SourceState.OFF, fault.reason, fault.remedy) if self.kind.spared else fault)
                # a server that has just started refuses everybody until it has read its roles: ask
                # again soon at first
                wait = self._timings.denied_s
                if self._denials < _SOON:
                    wait = min(wait, self._timings.backoff(self._denials, self._rng))
                self._denials += 1
            except NotFound as error:
                if self.kind.optional:
                    self.fail(Fault(SourceState.OFF, error.reason))
                else:
                    self.fail(error.fault())
                self._version, wait = "", self._timings.absent_s
            except KubeError as error:
                self._page_size = (self._page_size + 6) // 8 if error.too_long else self._page_size  # … 8, 1, 0
                if error.too_long and self._page_size:
                    continue
                self._page_size = self._page_size or _PAGE
                if not (isinstance(error, Garbled) and self._attempt == 0):  # one bad line is reconnected silently
                    self.fail(error.fault())
                wait = self._next()
            except Exception as error:  # a surprise in one topic must not end the others
                words = f"{self.name}: an answer that the cockpit cannot read ({type(error).__name__})"
                self.fail(Fault(SourceState.DOWN, words, "report it, with the API server's version"))
                self._version, wait = "", self._next()
            finally:
                self._scope = None
                self.connected = False
            # only what the server ended counts: after an outage, its many failures say nothing of
            # the first watch that is had
            self._brief = self._brief + 1 if ended and loop.time() - began < 1.0 else 0
            if self._brief > 2:
                wait = max(wait, self._timings.backoff(self._brief - 3, self._rng))
            await self._pause(wait)

    def _next(self) -> float:
        self._attempt += 1
        return self._timings.backoff(self._attempt - 1, self._rng)

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            pass

    def _touch(self) -> None:
        self.dirty = True
        self._snapshot = None
        self._changed()

    def _good(self) -> None:
        self._attempt = 0
        self._denials = 0
        self._doubt = False
        self.confirm()
        if self.fault is not None:
            self.fault = None
            self._touch()

    async def _list(self, client: KubeClient) -> None:
        """Read every page.

        The first list shows as it comes; later ones replace the old at their end only.
        """
        started = self._clock.mono()
        fresh: dict[Any, Any] = {}
        seen = 0
        params = {"limit": str(self._page_size)} | self._selector()
        path = self.kind.path(self.namespace)
        shown = float("-inf")
        page: asyncio.Task[ApiAnswer] | None = asyncio.create_task(self._page(client, path, params, ""))
        try:
            while page is not None:
                answer = await page
                early = wire.early_continue(answer.body)
                page = await self._begun(client, path, params, early)  # the server makes it while this one is decoded
                try:
                    values, skipped, metadata = wire.decode_list(answer.body, self.kind.lists, self.kind.decoder)
                except wire.NONSENSE as error:
                    self.garbage += 1
                    raise ServerFault(
                        f"the list of {self.kind.plural} is no JSON list",
                        status=answer.status,
                        remedy="is the server address really an API server?",
                    ) from error
                self.garbage += skipped
                seen += len(values)
                if seen > MOST_OBJECTS:
                    raise self._too_many()
                more = metadata.continue_ or ""
                if more != early:
                    await _dropped(page)
                    page = await self._begun(client, path, params, more)
                for start in range(0, len(values), _SLICE):
                    for value in values[start : start + _SLICE]:
                        self._put(fresh, self.kind.convert(value))
                    await asyncio.sleep(0)
                if not self.synced and self._clock.mono() >= shown + self._timings.pages_s:
                    shown = self._clock.mono()
                    self.items.update(fresh)
                    self.confirm()
                    self._touch()
        finally:
            await _dropped(page)
        self.items = fresh
        self._version = metadata.resource_version or "0"
        self.took_s = self._clock.mono() - started
        self.synced = True
        self.heard.set()
        self._good()
        self._touch()

    async def _begun(
        self, client: KubeClient, path: str, params: Mapping[str, str], token: str
    ) -> asyncio.Task[ApiAnswer] | None:
        """Return the page after `token`, its request on the way; None after the last."""
        if not token:
            return None
        page = asyncio.create_task(self._page(client, path, params, token))
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        return page

    async def _page(self, client: KubeClient, path: str, params: Mapping[str, str], token: str) -> ApiAnswer:
        own = {**params, "continue": token} if token else params
        return await client.send("GET", path, params=own, timeout_s=_LIST_TIMEOUT_S)

    def _selector(self) -> dict[str, str]:
        if self._names is not None and len(self._names) == 1:  # so that RBAC may be narrowed to this one name
            return {"fieldSelector": f"metadata.name={next(iter(self._names))}"}
        return {}

    async def _watch(self, client: KubeClient) -> None:
        """Follow changes until the server ends the watch.

        Raises KubeError, Gone among them.
        """
        params = {
            "watch": "1",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, self._timings.watch_s - self._rng.randrange(3))),
        } | self._selector()
        path = self.kind.path(self.namespace)
        try:
            async with client.batches(path, params, read_timeout_s=self._timings.silence_s) as batches:
                self.connected = True
                if not self._doubt:
                    self._good()
                async for lines in batches:
                    for line in lines:
                        if line.strip():
                            self._event(line)
                    self.relists = 0
                self._good()
        except Unreachable as error:
            if self.connected and error.timed_out:
                raise _Silent from error
            raise

    def _event(self, line: bytes) -> None:
        try:
            event = self.kind.events.decode(line)
            raw: Any = event.object
            version = raw.metadata.resource_version
        except (*wire.NONSENSE, AttributeError) as error:
            raise self._no_change(line) from error
        if event.type == "BOOKMARK":
            self._version = version or self._version
            self._good()
            return
        if event.type == "ERROR":
            raise self._no_change(line)
        value = self.kind.convert(raw)
        if event.type == "DELETED":
            self.items.pop(self.kind.key(value), None)
        else:
            self._put(self.items, value)
        self._version = version or self._version
        self._good()
        self._touch()

    def _no_change(self, line: bytes) -> KubeError:
        """Handle a line that is no change and no bookmark: an ERROR event, or nonsense."""
        try:
            event = wire.EVENT.decode(line)
            if event.type == "ERROR":
                return self._error(bytes(event.object))
        except wire.NONSENSE:
            pass
        self.garbage += 1
        self._doubt = True
        return Garbled(f"the watch of {self.kind.plural} sent what is no event", remedy="a proxy in between?")

    def _error(self, raw: bytes) -> KubeError:
        status = wire.STATUS.decode(raw)
        code = status.code or (410 if status.reason in ("Expired", "Gone") else 500)
        self._doubt = code != 410
        # 504 is "Too large resource version": wait for the server to catch up; if it does not, or
        # for others, start afresh
        if code >= 500 and (code != 504 or self._attempt >= 2):
            self._version = ""
        return from_answer(code, raw, method="GET", path=self.kind.path(self.namespace), watch=True)

    def _put(self, target: dict[Any, Any], value: Any) -> None:
        if self._names is not None and value.name not in self._names:
            return
        target[self.kind.key(value)] = value
        bound = self.kind.bound
        if bound is not None and len(target) > bound * 1.2:
            oldest = sorted(target, key=lambda key: target[key].last_seen or 0.0)[: len(target) - bound]
            for key in oldest:
                del target[key]
        elif len(target) > MOST_OBJECTS:
            raise self._too_many()

    def _too_many(self) -> ServerFault:
        reason = f"more than {MOST_OBJECTS:,} {self.kind.plural}: not read"
        return ServerFault(reason, status=200, remedy="watch fewer namespaces: -n NAMESPACE")


async def _dropped(page: asyncio.Task[ApiAnswer] | None) -> None:
    if page is not None:
        page.cancel()
        await asyncio.gather(page, return_exceptions=True)


class _Silent(Exception):
    """The watch gave no byte for `silence_s`."""


class Garbled(ServerFault):
    """A line of the watch made no sense."""
