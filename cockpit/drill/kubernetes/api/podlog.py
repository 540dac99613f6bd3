"""Answers GET …/pods/NAME/log.

Tail, since, timestamps, previous, follow, and its 400s (recordings 56 and 57).
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from cockpit.drill.clock import SimClock, parse_rfc3339
from cockpit.drill.kubernetes.api import statuses
from cockpit.drill.kubernetes.api.chaos import ApiChaos
from cockpit.drill.kubernetes.api.reading import find
from cockpit.drill.kubernetes.api.request import Asked
from cockpit.drill.kubernetes.logs import ContainerLog, Logs, render
from cockpit.drill.kubernetes.objects.resources import Obj
from cockpit.drill.kubernetes.objects.store import Store

_HEADERS = {"Content-Type": "text/plain", "Cache-Control": "no-cache, private"}


async def respond(store: Store, logs: Logs, chaos: ApiChaos, clock: SimClock, asked: Asked) -> web.StreamResponse:
    """Answer a request for a pod's log.

    Raises ApiError 400 and 404 before the first byte.
    """
    pod = find(store, asked.target).obj
    container = _container(pod, asked.param("container"))
    log = _instance(logs, pod, container, asked.flag("previous"))
    since = _since(asked, clock)
    tail = asked.number("tailLines")
    stamps = asked.flag("timestamps")
    lines, position = log.select(tail, since)
    first = render(lines, stamps)
    limit = asked.number("limitBytes")
    if not asked.flag("follow") or asked.flag("previous"):
        return web.Response(body=first[:limit] if limit else first, headers=_HEADERS)
    response = web.StreamResponse(headers=_HEADERS)
    response.enable_chunked_encoding()
    await response.prepare(asked.http)
    key, waker = object(), asyncio.Event()
    chaos.opened(key, asked.http.transport)
    log.wakers.add(waker)
    try:
        with contextlib.suppress(ConnectionError):
            await response.write(first)
            while True:
                waker.clear()
                lines, position = log.after(position)
                if lines:
                    await chaos.gate()
                    await response.write(render(lines, stamps))
                if log.ended and log.total == position:
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(waker.wait(), 5.0)
                if asked.http.transport is None or asked.http.transport.is_closing():
                    break
            await response.write_eof()
    finally:
        log.wakers.discard(waker)
        chaos.closed(key)
    return response


def _container(pod: Obj, wanted: str) -> str:
    name = pod["metadata"]["name"]
    spec = pod["spec"]
    names = [c["name"] for c in spec["containers"]]
    initial = [c["name"] for c in spec.get("initContainers") or ()]
    if not wanted:
        if len(names) == 1:
            return str(names[0])
        listed = " ".join(names)
        also = f" or one of the init containers: [{' '.join(initial)}]" if initial else ""
        text = f"a container name must be specified for pod {name}, choose one of: [{listed}]{also}"
        raise statuses.bad_request(text)
    if wanted not in names and wanted not in initial:
        raise statuses.bad_request(f"container {wanted} is not valid for pod {name}")
    return wanted


def _instance(logs: Logs, pod: Obj, container: str, previous: bool) -> ContainerLog:
    """Return the log of the running instance, or of the last that ran.

    With `previous`, that of the one before it.
    """
    meta = pod["metadata"]
    listed = pod["status"].get("containerStatuses") or ()
    status: Obj = next((c for c in listed if c["name"] == container), {})
    current, before = logs.current(meta["uid"], container), logs.previous(meta["uid"], container)
    waiting = (status.get("state") or {}).get("waiting")
    if previous:
        found = current if waiting and status.get("restartCount", 0) + bool(status.get("lastState")) else before
        if found is None:
            text = f'previous terminated container "{container}" in pod "{meta["name"]}" not found'
            raise statuses.bad_request(text)
        return found
    if current is None:
        reason = (waiting or {}).get("reason") or "ContainerCreating"
        why = {
            "ErrImagePull": "image can't be pulled",
            "ImagePullBackOff": "trying and failing to pull image",
        }.get(reason, reason)
        text = f'container "{container}" in pod "{meta["name"]}" is waiting to start: {why}'
        raise statuses.bad_request(text)
    return current


def _since(asked: Asked, clock: SimClock) -> float | None:
    seconds, moment = asked.number("sinceSeconds"), asked.param("sinceTime")
    if seconds is not None and moment:
        raise statuses.bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified")
    if seconds is not None:
        return clock.now() - seconds
    if not moment:
        return None
    try:
        return parse_rfc3339(moment)
    except ValueError as error:
        raise statuses.bad_request(f"invalid sinceTime: {error}") from None
