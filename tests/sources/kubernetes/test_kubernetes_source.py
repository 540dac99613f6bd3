"""The Kubernetes source against a scripted API server: every way in which a watch goes on, or says
why it cannot.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cockpit.clock import SystemClock
from cockpit.kubeapi.access import Access, AccessProblem
from cockpit.model.reading import Reading, SourceState
from cockpit.sources.kubernetes.source import KubernetesSource
from cockpit.sources.kubernetes.topic import Topic
from cockpit.sources.timing import Timings
from tests.support.api_double import ApiDouble, a_list, bookmark, kubeconfig, line, pod, recording, status
from tests.support.readings import data_of, fault_in, fault_of, kept, seen_at, server_time_of
from tests.support.waiting import HANG_S

PODS = "kubernetes/pods/m0-prod"
QUICK = Timings(
    pages_s=0.0,
    publish_s=0.01,
    refresh_s=0.1,
    watch_s=10,
    silence_s=5.0,
    probe_s=0.05,
    probe_timeout_s=1.0,
    denied_s=0.05,
    absent_s=0.05,
    namespace_s=0.05,
    backoff_s=0.01,
    backoff_cap_s=0.05,
)


class Seen:
    """The newest reading of every topic; `until` waits for a condition on one of them."""

    def __init__(self, source: KubernetesSource):
        self.source = source
        self.all: list[Reading[Any]] = []
        self.newest: dict[str, Reading[Any]] = {}
        self._changed = asyncio.Condition()

    async def collect(self) -> None:
        async for reading in self.source.readings():
            async with self._changed:
                self.all.append(reading)
                self.newest[reading.topic] = reading
                self._changed.notify_all()

    async def until(self, wanted: Callable[[Reading[Any]], Any], topic: str = PODS) -> Reading[Any]:
        async with asyncio.timeout(HANG_S), self._changed:
            await self._changed.wait_for(lambda: topic in self.newest and wanted(self.newest[topic]))
            return self.newest[topic]


@asynccontextmanager
async def watching(
    access: Callable[[], Access], configmaps: tuple[str, ...] = (), timings: Timings = QUICK
) -> AsyncIterator[Seen]:
    seen = Seen(KubernetesSource(access, ["m0-prod"], lambda: configmaps, SystemClock(), timings=timings))
    task = asyncio.create_task(seen.collect())
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def names(reading: Reading[Any]) -> set[str]:
    return {p.name for p in kept(reading).values()} if kept(reading) is not None else set()


def live(reading: Reading[Any]) -> bool:
    return fault_in(reading) is None and kept(reading) is not None


class Pods:
    """Answers for /pods: lists in turn (the last one again and again), watches in turn (then quiet
    ones).
    """

    def __init__(self, api: ApiDouble, lists: list[Any], watches: list[Any]):
        self.api, self.lists, self.watches = api, lists, watches
        api.on("/pods", self.answer)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        script = self.watches if "watch" in request.query else self.lists
        step = script.pop(0) if len(script) > ("watch" not in request.query) else (script[0] if script else ())
        if isinstance(step, web.StreamResponse):
            return step
        if callable(step):
            answer: web.StreamResponse = await step(request)
            return answer
        if isinstance(step, dict):
            return web.json_response(step)
        return await self.api.quiet(request, *step)


async def test_a_list_then_a_watch_show_pods_come_change_and_go(api: ApiDouble, access: Access) -> None:
    changed = pod("a", 12, status={"phase": "Failed"})
    Pods(
        api,
        [a_list(pod("a"), version=10)],
        [
            [
                line("ADDED", pod("b", 11)),
                line("MODIFIED", changed),
                line("DELETED", pod("b", 13)),
                line("ADDED", pod("c", 14)),
            ]
        ],
    )
    async with watching(lambda: access) as seen:
        reading = await seen.until(lambda r: names(r) == {"a", "c"})
        assert {p.name: p.phase for p in data_of(reading).values()} == {"a": "Failed", "c": "Running"}
        assert reading.believed(SystemClock().mono()).live
        assert server_time_of(reading) is not None
    query = api.asked("/pods", watch=True)[0].query
    assert (
        query["resourceVersion"] == "10"
        and query["allowWatchBookmarks"] == "true"
        and int(query["timeoutSeconds"]) <= 10
    )


async def test_a_recorded_watch_is_followed(api: ApiDouble, access: Access) -> None:
    events = recording("60")["response"]["watch_events"]
    Pods(
        api,
        [a_list(version=2292)],
        [[json.dumps(e).encode() + b"\n" for e in events] + [line("ADDED", pod("last", 9999))]],
    )
    async with watching(lambda: access) as seen:
        reading = await seen.until(lambda r: "last" in names(r))
    gone = {e["object"]["metadata"]["name"] for e in events if e["type"] == "DELETED"}
    assert not gone & names(reading)


async def test_a_watch_resumes_from_the_last_event_or_bookmark(api: ApiDouble, access: Access) -> None:
    async def ends(request: web.Request) -> web.StreamResponse:
        return await api.quiet(request, line("ADDED", pod("b", 15)), bookmark(20), end=True)

    Pods(api, [a_list(pod("a"), version=10)], [ends, [line("ADDED", pod("c", 21))]])
    async with watching(lambda: access) as seen:
        await seen.until(lambda r: names(r) == {"a", "b", "c"})
    assert [r.query["resourceVersion"] for r in api.asked("/pods", watch=True)[:2]] == ["10", "20"]
    assert len(api.asked("/pods", watch=False)) == 1


@pytest.mark.parametrize("form", ["status", "event"])
async def test_410_in_either_form_lists_again_without_blanking(api: ApiDouble, access: Access, form: str) -> None:
    expired = recording("63")["response"]["watch_events"][0]
    gone = status(410, "Expired") if form == "status" else [json.dumps(expired).encode() + b"\n"]
    Pods(api, [a_list(pod("a"), version=10), a_list(pod("a"), pod("b"), version=50)], [gone])
    async with watching(lambda: access) as seen:
        await seen.until(lambda r: names(r) == {"a", "b"} and live(r))
        assert all(names(r) >= {"a"} for r in seen.all if r.topic == PODS)
        await seen.until(lambda r: len(api.asked("/pods", watch=True)) > 1)
    assert api.asked("/pods", watch=True)[1].query["resourceVersion"] == "50"


async def test_a_too_large_version_waits_then_goes_on(api: ApiDouble, access: Access) -> None:
    late = line("ERROR", {"kind": "Status", "code": 504, "reason": "Timeout", "message": "Too large resource version"})
    Pods(api, [a_list(pod("a"), version=10)], [[late], [line("ADDED", pod("b", 11))]])
    async with watching(lambda: access) as seen:
        await seen.until(lambda r: names(r) == {"a", "b"} and live(r))
    assert [r.query["resourceVersion"] for r in api.asked("/pods", watch=True)[:2]] == ["10", "10"]


@pytest.mark.parametrize("first", ["metadata", "items"])
async def test_every_page_is_read_wherever_the_server_writes_the_token(
    api: ApiDouble, access: Access, first: str
) -> None:
    """Kubernetes writes it before the items, so that the next page can be asked for early; a proxy
    may write it anew.
    """
    pages = [a_list(pod(name), version=10, more=more) for name, more in (("a", "t1"), ("b", "t2"), ("c", ""))]
    pages = [{first: page[first], **page} for page in pages]
    if first == "metadata":  # an object with such a token in it comes before the list's own
        pages[0] = {
            "kind": "PodList",
            "items": [pod("a") | {"metadata": {"name": "a", "uid": "a", "continue": "no"}}],
            "metadata": {"resourceVersion": "10", "continue": "t1"},
        }
    Pods(api, pages, [[]])
    async with watching(lambda: access) as seen:
        await seen.until(lambda r: names(r) == {"a", "b", "c"} and live(r))
    assert [r.query.get("continue") for r in api.asked("/pods", watch=False)] == [None, "t1", "t2"]


async def test_pages_show_as_they_come_and_an_expired_token_starts_the_list_again(
    api: ApiDouble, access: Access
) -> None:
    third = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        await third.wait()
        return web.json_response(a_list(pod("c"), version=60))

    pages = [
        a_list(pod("a"), more="t1"),
        status(410, "Expired"),
        a_list(pod("a"), more="t2"),
        a_list(pod("b"), more="t3"),
        slow,
    ]
    Pods(api, pages, [])
    async with watching(lambda: access) as seen:
        await seen.until(lambda r: names(r) == {"a", "b"})
        third.set()
        await seen.until(lambda r: names(r) == {"a", "b", "c"})
    asked = api.asked("/pods", watch=False)
    assert [r.query.get("continue") for r in asked[:5]] == [None, "t1", None, "t2", "t3"]
    assert all(r.query["limit"] == "500" for r in asked)


async def test_recorded_pages_make_one_list(api: ApiDouble, access: Access) -> None:
    first, second = (recording(n)["response"]["body"] for n in ("08", "09"))
    second = second | {"metadata": {"resourceVersion": "2074"}}
    Pods(api, [first, second], [])
    async with watching(lambda: access) as seen:
        await seen.until(lambda r: len(names(r)) == 6)


async def test_garbage_on_the_line_is_counted_and_reconnected(api: ApiDouble, access: Access) -> None:
    Pods(
        api,
        [a_list(pod("a"), version=10)],
        [[line("ADDED", pod("b", 11)), b'{"type": "ADDED", "obj\n'], [b"<html>\n"], [line("ADDED", pod("c", 12))]],
    )
    async with watching(lambda: access) as seen:
        reading = await seen.until(lambda r: names(r) == {"a", "b", "c"} and live(r))
        assert fault_in(reading) is None and seen.source.garbage == 2
    assert len(api.asked("/pods", watch=False)) == 1


async def test_403_is_shown_per_kind_and_tried_again(api: ApiDouble, access: Access) -> None:
    refusal = recording("22")["response"]

    async def forbid(request: web.Request) -> web.Response:
        return web.json_response(refusal["body"], status=403)

    api.on("/events", forbid)
    async with watching(lambda: access) as seen:
        denied = await seen.until(lambda r: fault_in(r) is not None, "kubernetes/events/m0-prod")
        assert fault_of(denied).state is SourceState.DENIED
        assert "cannot list resource" in fault_of(denied).reason and "list events in m0-prod" in fault_of(denied).remedy
        await seen.until(live)
        del api.handlers["/events"]
        await seen.until(live, "kubernetes/events/m0-prod")


async def test_a_server_that_has_just_started_refuses_everybody_at_first(api: ApiDouble, access: Access) -> None:
    """Until its roles are read: a real one answered 403 to a watch a second after its restart, and
    the right was there.
    """
    refusals: list[str] = []

    async def starting(request: web.Request) -> web.StreamResponse:
        if len(refusals) < 4:
            refusals.append(request.path)
            return web.json_response(recording("22")["response"]["body"], status=403)
        return await api.quiet(request) if "watch" in request.query else web.json_response(a_list())

    api.on("/pods", starting)
    async with watching(lambda: access, timings=replace(QUICK, denied_s=600.0)) as seen:
        await seen.until(lambda r: fault_in(r) is not None and fault_in(r).state is SourceState.DENIED)
        await seen.until(live)
    assert len(refusals) == 4


async def test_after_an_outage_a_refusal_and_an_expired_version_are_got_over_at_once(
    api: ApiDouble, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a real server does when it is back: 403 until its roles are read, then 410, since its
    history begins anew.
    """
    answers = [500] * 6 + [403, 200, 410, 200]
    waits: list[float] = []

    async def pods(request: web.Request) -> web.StreamResponse:
        code = answers.pop(0) if answers else 0
        if code in (500, 403):
            return status(code, "Forbidden" if code == 403 else "InternalError")
        if code == 410:
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 10 (99)"}
            return await api.quiet(request, line("ERROR", gone), end=True)
        return await api.quiet(request) if "watch" in request.query else web.json_response(a_list(pod("a")))

    async def pause(topic: Topic, seconds: float) -> None:
        if topic.name == PODS:
            waits.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(Topic, "_pause", pause)
    api.on("/pods", pods)
    async with watching(lambda: access, timings=Timings(publish_s=0.01, refresh_s=0.1)) as seen:
        await seen.until(lambda r: not answers and live(r))
    assert len(waits) == 8 and min(waits[:6]) > 0.0
    assert waits[6] <= Timings().backoff_s and waits[7] == 0.0


async def test_a_quiet_kind_that_expires_at_each_compaction_is_no_fault(api: ApiDouble, access: Access) -> None:
    """Events are served from etcd without bookmarks: where none happen, every compaction (each 5
    min) expires the version.
    """
    lists: list[int] = []

    async def events(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            lists.append(0)
            return web.json_response(a_list())
        lists[-1] += 1
        if lists[-1] == 1:
            return await api.quiet(request, end=True)
        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 10 (99)"}
        return await api.quiet(request, line("ERROR", gone), end=True)

    api.on("/events", events)
    async with watching(lambda: access) as seen:
        await seen.until(lambda r: len(lists) > 5)
    faults = [fault_in(r) for r in seen.all if r.topic == "kubernetes/events/m0-prod" and fault_in(r) is not None]
    assert not faults


@pytest.mark.parametrize("worded", [True, False])
async def test_an_api_that_the_cluster_lacks_is_off_not_an_error(api: ApiDouble, access: Access, worded: bool) -> None:
    """A server answers a Status when it knows the group but not this version, a plain page when it
    knows neither.
    """

    async def absent(request: web.Request) -> web.Response:
        if worded:
            return status(404, "NotFound", "the server could not find the requested resource", details={})
        return web.Response(status=404, text="404 page not found\n")

    api.on("/horizontalpodautoscalers", absent)
    async with watching(lambda: access) as seen:
        reading = await seen.until(lambda r: fault_in(r) is not None, "kubernetes/horizontalpodautoscalers/m0-prod")
    assert fault_of(reading).state is SourceState.OFF
    assert fault_of(reading).reason.startswith("this server has no horizontalpodautoscalers in autoscaling/v2")


async def test_an_unknown_namespace_is_said_and_its_appearance_noticed(api: ApiDouble, access: Access) -> None:
    async def missing(request: web.Request) -> web.Response:
        return status(404, "NotFound", 'namespaces "m0-prod" not found')

    api.on("/namespaces/m0-prod", missing)
    async with watching(lambda: access) as seen:
        reading = await seen.until(lambda r: fault_in(r) is not None)
        assert fault_of(reading).reason == 'namespace "m0-prod" does not exist' and "-n" in fault_of(reading).remedy
        del api.handlers["/namespaces/m0-prod"]
        await seen.until(live)


async def test_an_empty_namespace_that_may_not_be_checked_is_not_called_fine(api: ApiDouble, access: Access) -> None:
    async def forbid(request: web.Request) -> web.Response:
        return status(403, "Forbidden", "namespaces is forbidden: cannot get")

    async def fill(request: web.Request) -> web.StreamResponse:
        await filled.wait()
        return await api.quiet(request, line("ADDED", pod("a", 11)))

    filled = asyncio.Event()
    api.on("/namespaces/m0-prod", forbid)
    Pods(api, [a_list()], [fill])
    async with watching(lambda: access) as seen:
        reading = await seen.until(lambda r: fault_in(r) is not None)
        assert "cannot be told" in fault_of(reading).reason
        filled.set()
        await seen.until(lambda r: live(r) and names(r) == {"a"})


async def test_an_expired_token_is_read_again_from_disk(api: ApiDouble, access: Access, tmp_path: Path) -> None:
    Pods(api, [a_list(pod("a"))], [])
    api.tokens = {"new"}
    async with watching(lambda: access) as seen:
        reading = await seen.until(lambda r: fault_in(r) is not None)
        assert fault_of(reading).state is SourceState.UNAUTHORISED and fault_of(reading).remedy
    kubeconfig(tmp_path / "config", api.url, user={"token": "new"})
    async with watching(lambda: access) as seen:
        await seen.until(lambda r: live(r) and names(r) == {"a"})


async def test_a_frozen_server_is_noticed_and_then_recovered_from(api: ApiDouble, access: Access) -> None:
    Pods(api, [a_list(pod("a"))], [])
    timings = Timings(
        publish_s=0.01, refresh_s=0.05, probe_s=0.05, probe_timeout_s=0.2, backoff_s=0.01, backoff_cap_s=0.05
    )
    async with watching(lambda: access, timings=timings) as seen:
        await seen.until(live)
        api.on("", api.frozen)
        api.handlers = {"": api.frozen}
        reading = await seen.until(lambda r: fault_in(r) is not None)
        assert fault_of(reading).state is SourceState.DOWN and "no answer" in fault_of(reading).reason
        assert names(reading) == {"a"}, "a failed reading keeps what was known"
        age = seen_at(reading)
        later = await seen.until(lambda r: r is not reading)
        assert seen_at(later) == age, "a frozen server confirms nothing"
        api.handlers.clear()
        Pods(api, [a_list(pod("a"))], [])
        await seen.until(live)


async def test_one_silent_watch_is_resumed_on_its_own(api: ApiDouble, access: Access) -> None:
    Pods(api, [a_list(pod("a"), version=10)], [[], [line("ADDED", pod("b", 11))]])
    timings = Timings(publish_s=0.01, refresh_s=0.05, silence_s=0.2, probe_s=0.05, backoff_s=0.01)
    async with watching(lambda: access, timings=timings) as seen:
        await seen.until(lambda r: names(r) == {"a", "b"})
        assert all(fault_in(r) is None for r in seen.all)


async def test_quiet_topics_stay_fresh_while_the_server_answers(api: ApiDouble, access: Access) -> None:
    Pods(api, [a_list(pod("a"))], [])
    async with watching(lambda: access) as seen:
        first = await seen.until(live)
        await seen.until(lambda r: (seen_at(r) or 0.0) > (seen_at(first) or 0.0))
        assert kept(seen.newest[PODS]) is kept(first) and names(seen.newest[PODS]) == {"a"}


async def test_too_many_requests_waits_as_asked(api: ApiDouble, access: Access) -> None:
    busy = web.Response(status=429, headers={"retry-after": "0.1"}, text="busy")
    Pods(api, [busy, a_list(pod("a"))], [])
    async with watching(lambda: access) as seen:
        await seen.until(lambda r: live(r) and names(r) == {"a"})


async def test_a_kubeconfig_problem_is_shown_and_tried_again(api: ApiDouble, access: Access) -> None:
    problems = [AccessProblem("no kubeconfig at x", "set KUBECONFIG")]

    def enter() -> Access:
        if problems:
            raise problems.pop()
        return access

    async with watching(enter) as seen:
        await seen.until(live)
        first = next(r for r in seen.all if r.topic == PODS)
        assert fault_in(first) is not None and fault_in(first).reason == "no kubeconfig at x" and fault_in(first).remedy


async def test_an_unreachable_server_is_one_line_and_comes_back(api: ApiDouble, tmp_path: Path, access: Access) -> None:
    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    api.on("", drop)
    async with watching(lambda: access) as seen:
        reading = await seen.until(lambda r: fault_in(r) is not None)
        assert fault_of(reading).state is SourceState.DOWN and kept(reading) is None
        api.handlers.clear()
        await seen.until(live)


async def test_only_named_configmaps_are_kept(api: ApiDouble, access: Access) -> None:
    maps = [{"metadata": {"name": n, "namespace": "m0-prod"}, "data": {"k": "v"}} for n in ("one", "two", "three")]

    async def answer(request: web.Request) -> web.StreamResponse:
        return await api.quiet(request) if "watch" in request.query else web.json_response(a_list(*maps))

    api.on("/configmaps", answer)
    async with watching(lambda: access, ("one", "two")) as seen:
        reading = await seen.until(live, "kubernetes/configmaps/m0-prod")
        assert set(data_of(reading)) == {("m0-prod", "one"), ("m0-prod", "two")}
    async with watching(lambda: access, ("one",)) as seen:
        await seen.until(live, "kubernetes/configmaps/m0-prod")
    assert api.asked("/configmaps")[-1].query["fieldSelector"] == "metadata.name=one"


async def test_a_storm_of_events_is_published_a_few_times_only(api: ApiDouble, access: Access) -> None:
    async def storm(request: web.Request) -> web.StreamResponse:
        return await api.quiet(
            request, *(line("MODIFIED", pod("a", 11 + i)) for i in range(3000)), line("ADDED", pod("z", 9999))
        )

    Pods(api, [a_list(pod("a"))], [storm])
    async with watching(lambda: access, timings=Timings(publish_s=0.2, probe_s=0.5)) as seen:
        await seen.until(lambda r: "z" in names(r))
        assert len([r for r in seen.all if r.topic == PODS]) < 60


async def test_the_board_never_sees_a_dict_that_changes(api: ApiDouble, access: Access) -> None:
    go = asyncio.Event()

    async def later(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await go.wait()
        await response.write(line("ADDED", pod("b", 11)))
        await api.stopped.wait()
        return response

    Pods(api, [a_list(pod("a"))], [later])
    async with watching(lambda: access) as seen:
        first = await seen.until(live)
        go.set()
        await seen.until(lambda r: "b" in names(r))
        assert names(first) == {"a"}
