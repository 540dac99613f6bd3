"""Logs over real HTTP: merged, followed, resumed without doubling, and safe to show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.kubeapi.access import Access
from cockpit.kubeapi.client import KubeClient
from cockpit.model.reading import Fault
from cockpit.sources.kubernetes.log_lines import LogLine, parse, trace_id
from cockpit.sources.kubernetes.logs import LogRequest, read_logs
from cockpit.sources.timing import Timings
from tests.support.api_double import ApiDouble, recording, status
from tests.support.waiting import HANG_S

QUICK = Timings(backoff_s=0.01, backoff_cap_s=0.02)
T = "2026-11-23T14:15:"


async def collect(
    access: Access, request: LogRequest, enough: Callable[[list[Any]], bool] = lambda found: False
) -> list[Any]:
    found: list[Any] = []
    async with (
        asyncio.timeout(HANG_S),
        KubeClient(access) as client,
        aclosing(read_logs(client, request, timings=QUICK)) as lines,
    ):
        async for line in lines:
            found.append(line)
            if enough(found):
                break
    return found


def asking(*pods: str, **more: Any) -> LogRequest:
    return LogRequest("m0-prod", tuple((p, None) for p in pods), **({"follow": False} | more))


def text(*lines: str) -> web.Response:
    return web.Response(text="".join(f"{line}\n" for line in lines))


async def test_a_node_that_the_server_cannot_call_is_named_before_its_address(api: ApiDouble, access: Access) -> None:
    """As a real API server answers (no `reason`): the URL in the middle would push the cause off
    the screen.
    """
    why = "dial tcp: lookup node-2 on 10.0.0.53:53: no such host"
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "code": 500,
        "message": f'Get "https://node-2:10250/containerLogs/m0-prod/p/p?tailLines=200&timestamps=true": {why}',
    }

    async def answer(request: web.Request) -> web.Response:
        return web.json_response(body, status=500)

    api.on("/log", answer)
    (fault,) = await collect(access, asking("p-6844866b86-6fjzq"))
    assert fault.reason == f"p-6844866b86-6fjzq: the API server could not call node-2:10250: {why}"
    assert fault.remedy == "is node-2:10250 up, and can the control plane reach it?"


async def test_a_recorded_log_is_read_and_made_safe(api: ApiDouble, access: Access) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=recording("56")["response"]["body"])

    api.on("/log", answer)
    found = await collect(access, asking("p", previous=True, since_s=60, tail=3))
    assert len(found) == 3
    assert all(line.text.isprintable() and line.trace == "0af7651916cd43dd8448eb211c80319c" for line in found)
    assert "\\e]52;c;" in found[0].text and found[0].at == 1795443342.0
    query = api.asked("/log")[0].query
    assert dict(query) == {"timestamps": "true", "previous": "true", "tailLines": "3", "sinceSeconds": "60"}


async def test_several_pods_are_merged_in_time_order(api: ApiDouble, access: Access) -> None:
    logs = {"a": (1, 4, 5), "b": (2, 3, 6), "c": ()}

    async def answer(request: web.Request) -> web.Response:
        pod = request.path.split("/")[-2]
        return text(*(f"{T}{s:02d}.5Z {pod}{s}" for s in logs[pod]))

    api.on("/log", answer)
    found = await collect(access, asking("a", "b", "c"))
    assert [line.text for line in found] == ["a1", "b2", "b3", "a4", "a5", "b6"]


async def test_following_resumes_after_a_cut_without_doubling(api: ApiDouble, access: Access) -> None:
    rounds = [
        (f"{T}01Z one", f"{T}02Z same", f"{T}02Z same"),
        (f"{T}02Z same", f"{T}02Z same", f"{T}02Z same", f"{T}02Z new", f"{T}03Z last"),
    ]

    async def answer(request: web.Request) -> web.StreamResponse:
        if rounds:
            return await api.quiet(request, *(f"{line}\n".encode() for line in rounds.pop(0)), end=True)
        return await api.quiet(request)

    api.on("/log", answer)
    found = await collect(access, asking("a", follow=True), lambda f: f[-1].text == "last")
    assert [line.text for line in found] == ["one", "same", "same", "same", "new", "last"]
    first, second = api.asked("/log")[:2]
    assert first.query["tailLines"] == "200" and first.query["follow"] == "true"
    assert second.query["sinceTime"] == f"{T}02Z" and "tailLines" not in second.query


async def test_a_quiet_pod_does_not_hold_the_others_back(api: ApiDouble, access: Access) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        lines = (f"{T}02Z two\n".encode(), f"{T}01Z late\n".encode()) if "/talks/" in request.path else ()
        return await api.quiet(request, *lines)

    api.on("/log", answer)
    found = await collect(access, asking("talks", "quiet", follow=True), lambda f: len(f) == 2)
    assert [line.text for line in found] == ["two", "late"]


async def test_a_container_that_has_not_started_is_said_once_and_waited_for(api: ApiDouble, access: Access) -> None:
    words = 'container "main" in pod "a" is waiting to start: ContainerCreating'
    refusals = [status(400, "BadRequest", words) for _ in range(3)]

    async def answer(request: web.Request) -> web.StreamResponse:
        return refusals.pop() if refusals else await api.quiet(request, f"{T}01Z up\n".encode())

    api.on("/log", answer)
    found = await collect(access, asking("a", follow=True), lambda f: isinstance(f[-1], LogLine))
    assert isinstance(found[0], Fault) and "waiting to start" in found[0].reason
    assert len(found) == 2 and found[1].text == "up"


async def test_a_pod_that_is_gone_or_a_wrong_container_is_said_and_the_others_go_on(
    api: ApiDouble, access: Access
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if "/gone/" in request.path:
            return status(404, "NotFound", 'pods "gone" not found')
        if "/odd/" in request.path:
            return web.json_response(recording("57")["response"]["body"], status=400)
        if "/shut/" in request.path:
            return status(403, "Forbidden", 'cannot get resource "pods/log"')
        return text(f"{T}01Z fine")

    api.on("/log", answer)
    found = await collect(access, asking("gone", "odd", "shut", "ok"))
    faults = {f.reason for f in found if isinstance(f, Fault)}
    assert (
        len(faults) == 3 and any("gone is gone" in f for f in faults) and any("nope is not valid" in f for f in faults)
    )
    assert [line.text for line in found if isinstance(line, LogLine)] == ["fine"]


async def test_following_ends_when_the_pod_has_finished(api: ApiDouble, access: Access) -> None:
    async def answer(request: web.Request) -> web.Response:
        return text(f"{T}01Z bye")

    async def finished(request: web.Request) -> web.Response:
        return web.json_response({"status": {"phase": "Succeeded"}})

    api.on("/log", answer)
    api.on("/pods/a", finished)
    assert [line.text for line in await collect(access, asking("a", follow=True))] == ["bye"]


async def test_r3_a_line_is_read_whole_up_to_64_kb_and_says_when_it_was_cut(api: ApiDouble, access: Access) -> None:
    """R3: cut at 4,096 characters, the cause at the end of a long line was never found."""
    stamp = f"{T}01Z ".encode()
    long = b"x" * 60_000 + b" ROOTCAUSE trace_id=0123456789abcdef"

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=stamp + long + b"\n" + stamp + b"y" * 100_000 + b"\n" + stamp + b"end\n")

    api.on("/log", answer)
    found = await collect(access, asking("a"))
    assert found[0].text == long.decode() and found[0].trace == "0123456789abcdef"
    assert found[1].text.endswith("y … (line cut at 64 kB)") and found[2].text == "end"


async def test_bad_bytes_and_endless_lines_do_no_harm(api: ApiDouble, access: Access) -> None:
    async def answer(request: web.Request) -> web.Response:
        stamp = f"{T}01Z ".encode()
        return web.Response(
            body=stamp + b"bad \xff\xfe bytes\n" + stamp + b"x" * 300_000 + b"\n" + stamp + b"\x1b[2Jend\r\n"
        )

    api.on("/log", answer)
    found = await collect(access, asking("a"))
    assert [len(line.text) < 66_000 for line in found] == [True] * 3
    assert "\ufffd" in found[0].text and found[2].text == "\\e[2Jend"


def test_lines_give_time_trace_and_whether_they_tell_of_an_error() -> None:
    def of(raw: str) -> LogLine:
        return parse(raw.encode(), "p", "c")[0]

    trace = "0af7651916cd43dd8448eb211c80319c"
    assert of(f"{T}42.123456789Z hello").at == 1795443342.123456
    assert of("no stamp here").at is None and of("no stamp here").text == "no stamp here"
    assert of(f"{T}42+02:00 x").at == 1795436142.0
    for body in (
        f"traceparent=00-{trace}-b7ad6b7169203331-01",
        f"trace_id={trace}",
        f'{{"traceId":"{trace}"}}',
        f"[{trace}] x",
        f"00-{trace}-b7ad6b7169203331-01",
    ):
        assert trace_id(body) == trace, body
    assert trace_id("trace_id=00000000000000000000000000000000") is None
    assert trace_id("sha256:" + "a" * 64) is None
    assert trace_id('"trace.id": "abc-123-def"') == "abc-123-def"
    assert all(
        of(e).error
        for e in ("ERROR x", "level=error", '"level":"fatal"', "Traceback (most recent call last)", "panic: x")
    )
    assert not any(of(e).error for e in ("level=info no errors", "error_rate=0", "ERRORS_TOTAL"))
    assert "hunter2" not in of("login password=hunter2hunter2").text


@given(
    st.binary(max_size=80)
    | st.builds(
        lambda t, b: t.encode() + b,
        st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d) ", fullmatch=True),
        st.binary(max_size=30),
    )
)
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_a_line(raw: bytes) -> None:
    line, stamp = parse(raw, "p", "c")
    assert (line.at is None) == (stamp == "")
    assert (
        line.text == ""
        or line.text.isprintable()
        or all(c.isprintable() or c in "\xa0\u3000 " or ord(c) > 127 for c in line.text)
    )
    assert "\x1b" not in line.text
