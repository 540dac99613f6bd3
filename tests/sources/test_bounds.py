"""H2, H11: whatever a source answers with has a bound, and reaching it is said."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection, serve

from cockpit.clock import SystemClock
from cockpit.kubeapi.access import load_access
from cockpit.kubeapi.bounds import LONGEST_WAIT_S, retry_after_s
from cockpit.kubeapi.client import KubeClient
from cockpit.kubeapi.errors import KubeError, Unreachable
from cockpit.model.reading import Reading
from cockpit.sources import bounded_socket
from cockpit.sources.kubernetes import topic
from cockpit.sources.kubernetes.source import KubernetesSource
from cockpit.sources.prometheus import text_format, wire
from cockpit.sources.prometheus.address import PrometheusAddress
from cockpit.sources.prometheus.exposition import ExpositionSource
from cockpit.sources.prometheus.source import PrometheusSource, QuerySpec
from cockpit.sources.solana.rpc import Rpc, RpcProblem
from cockpit.sources.solana.settings import RpcEndpoint
from cockpit.sources.solana.stream import MOST_FRAME_BYTES, LogStream, StreamBroken
from cockpit.sources.timing import Timings
from tests.support.api_double import ApiDouble, a_list, kubeconfig, pod, serving
from tests.support.readings import fault_in, kept
from tests.support.solana_rig import QUICK
from tests.support.waiting import HANG_S

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
GIGABYTE = gzip.compress(b"[" * 10_000_000, 9)


async def endless(request: web.Request) -> web.StreamResponse:
    """A body that never ends."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"[" * 65_536)


async def packed(request: web.Request) -> web.StreamResponse:
    """A small body that would be a large one, whatever was asked for."""
    return web.Response(body=GIGABYTE, headers={"content-encoding": "gzip, gzip, gzip"})


async def claims(request: web.Request) -> web.StreamResponse:
    """A body that says it is a gigabyte."""
    response = web.StreamResponse(headers={"content-length": str(10**9)})
    await response.prepare(request)
    await response.write(b"[" * 1000)
    await asyncio.sleep(HANG_S)
    return response


HOSTILE = [
    pytest.param(endless, "not read", id="endless"),
    pytest.param(packed, "packed (gzip, gzip, gzip)", id="packed"),
    pytest.param(claims, "not read", id="claims a gigabyte"),
]


@asynccontextmanager
async def answering(answer: Answer) -> AsyncIterator[str]:
    async with serving(ApiDouble()) as api:
        api.on("", answer)
        yield api.url


async def first(readings: AsyncIterator[Reading[Any]], name: str) -> Reading[Any]:
    async with asyncio.timeout(HANG_S), aclosing(readings) as each:  # type: ignore[type-var]
        async for reading in each:
            if reading.topic == name:
                return reading
    raise AssertionError("the source ended")


def prometheus(url: str) -> PrometheusSource:
    specs = {"q": QuerySpec("q", None, 30.0), "other": QuerySpec("other", None, 30.0)}
    return PrometheusSource(PrometheusAddress(url), specs, 0.01, SystemClock(), timings=Timings(backoff_s=0.01))


def vector(number: int) -> dict[str, Any]:
    result = [{"metric": {"n": str(n)}, "value": [1_795_443_342, "1"]} for n in range(number)]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def of_query(hostile: Answer) -> Answer:
    """Prometheus that answers one query badly and the others well."""

    async def answer(request: web.Request) -> web.StreamResponse:
        form = await request.post()
        return await hostile(request) if form.get("query") == "q" else web.json_response(vector(1))

    return answer


@pytest.mark.parametrize(("hostile", "said"), HOSTILE)
async def test_prometheus_bodies_are_bounded_and_the_other_queries_stand(hostile: Answer, said: str) -> None:
    async with answering(of_query(hostile)) as url:
        bad = fault_in(await first(prometheus(url).readings(), "prometheus/q"))
        assert bad is not None and said in bad.reason
        assert kept(await first(prometheus(url).readings(), "prometheus/other")) is not None


async def test_more_series_than_can_be_judged_are_unknown_not_a_part_of_them() -> None:
    async def many(request: web.Request) -> web.StreamResponse:
        return web.json_response(vector(wire.MOST_SERIES + 1))

    async with answering(of_query(many)) as url:
        reading = await first(prometheus(url).readings(), "prometheus/q")
    assert kept(reading) is None and "more than 2,000 series" in fault_in(reading).reason


def test_series_whose_names_change_with_every_round_do_not_pile_up() -> None:
    history: Any = ()
    for n in range(6):
        values = wire.samples(wire.decode(200, _encoded([{"r": f"{n}-{i}"} for i in range(1000)])))[0]
        history = wire.append(history, values, 1000.0 + n, 0.0, 1.0)
    assert len(history) == wire.MOST_SERIES and history[-1].labels == {"r": "5-999"}


def _encoded(labels: list[dict[str, str]]) -> bytes:
    result = [{"metric": each, "value": [1.0, "1"]} for each in labels]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


@pytest.mark.parametrize(("hostile", "said"), HOSTILE)
async def test_a_services_own_metrics_are_bounded(hostile: Answer, said: str) -> None:
    async with answering(hostile) as url:
        source = ExpositionSource({"s": f"{url}/metrics"}, 1.0, SystemClock(), lambda: True)
        bad = fault_in(await first(source.readings(), "metrics/s"))
    assert bad is not None and said in bad.reason


@pytest.mark.parametrize(
    "text", ['m{a="' + "\\" * 60_000, 'm{a="' + '\\"' * 30_000 + '"} 1', "{" * 60_000, "m " * 30_000]
)
def test_a_page_of_metrics_is_parsed_in_one_pass(text: str) -> None:
    page = "\n".join([text] * 60)  # as large as a page may be
    began = time.perf_counter()
    with suppress(text_format.ExpositionProblem):
        list(text_format.samples(page))
    assert time.perf_counter() - began < 10.0  # quadratic: hours


_LABELS = st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), st.text(max_size=20), max_size=4)


@given(st.lists(st.tuples(st.from_regex(r"[a-z_:]{1,9}", fullmatch=True), _LABELS, st.floats()), max_size=6))
@example([("m", {"a": 'x\\"y\n{}=,', "b": ""}, float("inf"))])
def test_what_was_written_as_metrics_is_read_back(metrics: list[tuple[str, dict[str, str], float]]) -> None:
    def quoted(value: str) -> str:
        return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')

    lines = []
    for name, labels, value in metrics:
        written = ",".join(f'{key}="{quoted(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{written}}} {value!r} 1395066363000")
    page = "# HELP m x\n\n" + "\n".join(lines) + "\n# EOF\n"
    assert repr(list(text_format.samples(page))) == repr([(*each, 1395066363.0) for each in metrics])


def test_names_of_prometheus_3_and_exemplars_are_read() -> None:
    page = '{"a.b",x="1"} 2 # {trace_id="t"} 1\nplain 3\nm{"odd key"="v",} 4\n'
    expected = [("a.b", {"x": "1"}, 2.0, None), ("plain", {}, 3.0, None), ("m", {"odd key": "v"}, 4.0, None)]
    assert list(text_format.samples(page)) == expected


@pytest.mark.parametrize(("hostile", "said"), HOSTILE)
async def test_the_api_servers_answers_are_bounded(
    hostile: Answer, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cockpit.kubeapi.client.MOST_BYTES", 1024 * 1024)
    async with answering(hostile) as url, KubeClient(load_access(str(kubeconfig(tmp_path / "c", url)))) as client:
        with pytest.raises(KubeError) as read:
            await client.get("/api/v1/pods")
        assert said in read.value.reason
        with pytest.raises(Unreachable) as written:
            await client.send("PATCH", "/api/v1/pods", body="{}")
        assert said in written.value.reason and written.value.maybe_sent  # it may have been carried out


async def test_a_few_very_large_objects_hide_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """H2: whoever may make an object makes it large: 46 of 1.4 MB, and no pod was seen any more."""
    monkeypatch.setattr("cockpit.kubeapi.client.MOST_BYTES", 100_000)
    names = [f"p{n}" for n in range(40)]

    async def pages(request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return web.Response(status=404)
        start, count = int(request.query.get("continue") or 0), int(request.query["limit"])
        found = [{**pod(name), "fat": "x" * 20_000} for name in names[start : start + count]]
        return web.json_response(a_list(*found, more=str(start + count) if start + count < len(names) else ""))

    async with serving(ApiDouble()) as api:
        api.on("/pods", pages)
        access = load_access(str(kubeconfig(tmp_path / "config", api.url)))
        source = KubernetesSource(lambda: access, ("m0-prod",), lambda: (), SystemClock())
        async with asyncio.timeout(HANG_S), aclosing(source.readings()) as readings:
            async for reading in readings:
                data = kept(reading) if reading.topic == "kubernetes/pods/m0-prod" else None
                if data is not None and len(data) == len(names):
                    return


async def test_a_namespace_of_more_objects_than_can_be_kept_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic, "MOST_OBJECTS", 30)
    numbers = iter(range(10**9))

    async def pages(request: web.Request) -> web.StreamResponse:
        """A list that never ends, each page another one's beginning."""
        if "watch" in request.query:
            return web.Response(status=404)
        return web.json_response(a_list(*[pod(f"p{next(numbers)}") for _ in range(10)], more="and more"))

    async with serving(ApiDouble()) as api:
        api.on("/pods", pages)
        access = load_access(str(kubeconfig(tmp_path / "config", api.url)))
        source = KubernetesSource(lambda: access, ("m0-prod",), lambda: (), SystemClock())
        async with asyncio.timeout(HANG_S), aclosing(source.readings()) as readings:
            async for reading in readings:
                fault = fault_in(reading)
                if reading.topic == "kubernetes/pods/m0-prod" and fault is not None:
                    assert "more than 30 pods" in fault.reason
                    break


@pytest.mark.parametrize(("hostile", "said"), HOSTILE)
async def test_an_endpoints_answers_are_bounded(hostile: Answer, said: str) -> None:
    async with answering(hostile) as url:
        rpc = Rpc(RpcEndpoint(name="rpc-a", url=url), SystemClock(), 5.0)
        await rpc.open()
        try:
            with pytest.raises(RpcProblem) as caught:
                await rpc.call("getSlot", [], int)
        finally:
            await rpc.close()
    assert said in caught.value.reason


class Nobody:
    def confirmed(self, signature: str, slot: int, err: object, logs: list[str]) -> None: ...
    def processed(self, signature: str, slot: int) -> None: ...


async def broken_by(talk: Callable[[ServerConnection], Awaitable[None]]) -> StreamBroken:
    """What the stream says of a server that confirms the subscriptions and then talks like this."""

    async def handle(server: ServerConnection) -> None:
        for number in (1, 2, 3):
            await server.recv()
            await server.send(f'{{"jsonrpc":"2.0","id":{number},"result":{number}}}')
        await talk(server)

    async with serve(handle, "127.0.0.1", 0, max_size=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        endpoint = RpcEndpoint(name="rpc-a", url="http://127.0.0.1:1", ws_url=f"ws://127.0.0.1:{port}")
        stream = LogStream(endpoint, "p" * 32, Nobody(), SystemClock(), QUICK)
        try:
            async with asyncio.timeout(HANG_S):
                await stream.open()
                with pytest.raises(StreamBroken) as caught:
                    await stream.run()
        finally:
            await stream.close()
    return caught.value


async def test_a_flood_of_pings_ends_the_stream() -> None:
    """H11: each ping is answered at once, into a buffer without bound."""

    async def flood(server: ServerConnection) -> None:
        ping = b"\x89\x7d" + b"p" * 125
        for _ in range(1000):
            if server.transport.is_closing():
                break
            server.transport.write(ping * 10)
            await asyncio.sleep(0.001)

    broken = await broken_by(flood)
    assert f"more than {bounded_socket.MOST_CONTROL} pings a second" in broken.reason
    assert broken.retry_after_s == LONGEST_WAIT_S


async def test_a_frame_larger_than_any_log_is_not_read() -> None:
    async def large(server: ServerConnection) -> None:
        await server.send("x" * (MOST_FRAME_BYTES + 1))
        await server.wait_closed()

    assert "a frame of more than 512 kB" in (await broken_by(large)).reason


@pytest.mark.parametrize(
    ("asked", "heeded"),
    [("7", 7.0), ("3600", 60.0), ("1e300", 60.0), ("nan", None), ("Fri, 31 Dec 2199 23:59:59 GMT", 60.0)],
)
def test_a_node_is_left_alone_for_a_minute_at_most_then_asked_again(asked: str, heeded: float | None) -> None:
    """H11: one endpoint's Retry-After of 3600 silenced it for an hour after it had recovered."""
    assert retry_after_s(asked, time.time()) == heeded
