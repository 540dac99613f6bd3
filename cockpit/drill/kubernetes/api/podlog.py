"""Answers GET …/pods/NAME/log.

Tail, since, timestamps, previous, follow, and its 400s (recordings 56 and 57).
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from cockpit.drill.clock import SimClock, parse_rfc3339
from cockpit.drill.kubernetes.api.chaos import ApiChaos
from cockpit.drill.kubernetes.api.reading import find
from cockpit.drill.kubernetes.api.request import ApiRequest
from cockpit.drill.kubernetes.logs import ContainerLog, Logs, render
from cockpit.drill.kubernetes.objects import statuses
from cockpit.drill.kubernetes.objects.resources import Obj
from cockpit.drill.kubernetes.objects.store import Store

_HEADERS = {"Content-Type": "text/plain", "Cache-Control": "no-cache, private"}


async def respond(store: Store, logs: Logs, chaos: ApiChaos, clock: SimClock, req: ApiRequest) -> web.StreamResponse:
    """Answer a request for a pod's log.

    Raises ApiError 400 and 404 before the first byte.
    """
    pod = find(store, req.target).obj
    container = _container(pod, req.param("container"))
    log = _instance(logs, pod, container, req.flag("previous"))
    since = _since(req, clock)
    tail = req.number("tailLines")
    stamps = req.flag("timestamps")
    lines, position = log.select(tail, since)
    first = render(lines, stamps)
    limit = req.number("limitBytes")
    if not req.flag("follow") or req.flag("previous"):
        return web.Response(body=first[:limit] if limit else first, headers=_HEADERS)
    response = web.StreamResponse(headers=_HEADERS)
    response.enable_chunked_encoding()
    await response.prepare(req.http)
    key, waker = object(), asyncio.Event()
    chaos.opened(key, req.http.transport)
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
                if req.http.transport is None or req.http.transport.is_closing():
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


def _since(req: ApiRequest, clock: SimClock) -> float | None:
    seconds, moment = req.number("sinceSeconds"), req.param("sinceTime")
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
