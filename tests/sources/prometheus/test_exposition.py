"""A service's own /metrics over real HTTP: read only while needed, bounded, cleaned, and never
passed for fresh.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest
from aiohttp import web

from cockpit.assessment.board import Board
from cockpit.clock import SystemClock
from cockpit.drill.server import Drill
from cockpit.engine import Engine
from cockpit.model.observed.metrics import Exposed
from cockpit.model.reading import Reading, SourceState
from cockpit.model.runbook import Runbooks
from cockpit.settings import Settings
from cockpit.sources.prometheus import exposition
from cockpit.sources.prometheus.exposition import ExpositionSource, parse
from cockpit.sources.prometheus.settings import PROMETHEUS, PrometheusSettings
from cockpit.sources.prometheus.text_format import ExpositionProblem
from tests.support.readings import fault_in, kept
from tests.support.waiting import HANG_S

PAGE = """\
# HELP m0_output_age_ms Age of the newest output
# TYPE m0_output_age_ms gauge
m0_output_age_ms{market="a"} 4200
m0_output_age_ms{market="b\\x1b[2J\u202e"} NaN
# TYPE m0_reveals_total counter
m0_reveals_total 118
# TYPE m0_latency_seconds histogram
m0_latency_seconds_bucket{le="0.1"} 3
m0_latency_seconds_bucket{le="+Inf"} 4
m0_latency_seconds_sum 1.5
m0_latency_seconds_count 4
"""
Answering = Callable[[web.Request], web.StreamResponse]


@asynccontextmanager
async def page(answer: Callable[[], web.Response]) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.Response:
        return answer()

    app = web.Application()
    app.router.add_get("/metrics", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
    finally:
        await runner.cleanup()


async def take(source: ExpositionSource, number: int) -> list[Reading[tuple[Exposed, ...]]]:
    found = []
    async with asyncio.timeout(HANG_S), aclosing(source.readings()) as readings:
        async for reading in readings:
            found.append(reading)
            if len(found) == number:
                break
    return found


async def one(answer: Callable[[], web.Response]) -> Reading[tuple[Exposed, ...]]:
    async with page(answer) as url:
        return (await take(ExpositionSource({"m0-quant": url}, 1.0, SystemClock(), lambda: True), 1))[0]


async def test_the_page_is_read_cleaned_and_without_buckets() -> None:
    reading = await one(lambda: web.Response(text=PAGE))
    assert reading.topic == "metrics/m0-quant" and reading.believed(SystemClock().mono()).live
    data: tuple[Exposed, ...] = kept(reading) or ()
    assert [e.name for e in data] == [
        "m0_output_age_ms",
        "m0_output_age_ms",
        "m0_reveals_total",
        "m0_latency_seconds_sum",
        "m0_latency_seconds_count",
    ]
    assert data[0].labels == {"market": "a"} and data[0].value == 4200 and math.isnan(data[1].value)
    assert not set(data[1].labels["market"]) & {"\x1b", "\u202e"}


async def test_a_page_that_dates_its_samples_is_as_old_as_they_are() -> None:
    """P12: `[prometheus.direct]` of an exporter that stamps its own samples and stands still."""
    at = time.time() - 130.0
    still = await one(lambda: web.Response(text=f"a 1 {at * 1000:.0f}\nb 2 {(at - 60) * 1000:.0f}\n"))
    assert still.believed(SystemClock().mono()).reason == "last sample 2:10 ago"
    mixed = await one(lambda: web.Response(text=f"a 1 {at * 1000:.0f}\nb 2\n"))
    assert mixed.believed(SystemClock().mono()).live


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (lambda: web.Response(text="<html>Sign in</html>", content_type="text/html"), "no page of metrics"),
        (lambda: web.Response(status=503, text="starting"), "HTTP 503"),
        (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "HTTP 302"),
        (lambda: web.Response(body=b"\xff\xfe\x00{{{"), "no page of metrics"),
        (lambda: web.Response(text='m{a="' + "x" * (exposition.MOST_BYTES + 10)), "more than 4 MB"),
    ],
)
async def test_what_is_no_page_is_a_fault(response: Callable[[], web.Response], said: str) -> None:
    reading = await one(response)
    assert kept(reading) is None and fault_in(reading) is not None
    assert fault_in(reading).state is SourceState.DOWN and said in fault_in(reading).reason, fault_in(reading)


async def test_too_many_series_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposition, "MOST_SAMPLES", 2)
    with pytest.raises(ExpositionProblem, match="more than 2 series"):
        parse("a 1\nb 2\nc 3\n")


async def test_a_service_that_cannot_be_reached_does_not_hold_up_the_others() -> None:
    async with page(lambda: web.Response(text="up 1\n")) as url:
        addresses = {"gone": "http://127.0.0.1:1/metrics", "wrong": "ftp://x/metrics", "m0-quant": url}
        found = {r.topic: r for r in await take(ExpositionSource(addresses, 1.0, SystemClock(), lambda: True), 3)}
    assert kept(found["metrics/m0-quant"]) == (Exposed("up", {}, 1.0),)
    gone, wrong = fault_in(found["metrics/gone"]), fault_in(found["metrics/wrong"])
    assert gone is not None and "127.0.0.1" in gone.reason and gone.remedy
    assert wrong is not None and "no http(s) URL" in wrong.reason


async def test_while_prometheus_answers_nothing_is_asked_and_the_last_page_is_off() -> None:
    asked, needed = [], [False]

    def answer() -> web.Response:
        asked.append(1)
        needed[0] = False  # Prometheus is back
        return web.Response(text="up 1\n")

    board = Board()
    async with page(answer) as url, asyncio.timeout(HANG_S):
        source = ExpositionSource({"m0-quant": url}, 0.01, SystemClock(), lambda: needed[0], poll_s=0.01)
        async with aclosing(source.readings()) as readings:
            first = await anext(readings)
            assert fault_in(first) == exposition.IDLE and not asked
            needed[0] = True  # it is down
            for _ in range(2):
                board.put(await anext(readings))
    last = board.get("metrics/m0-quant")
    assert last is not None and last.believed(SystemClock().mono()).off
    assert kept(last) == (Exposed("up", {}, 1.0),) and len(asked) == 1


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:1"])
async def test_the_engine_reads_the_drills_services_when_prometheus_is_absent_or_down(url: str | None) -> None:
    async with Drill("calm", speed=0.0, history_s=30.0) as drill:
        direct = {name: f"{drill.services}/{name}/metrics" for name in ("m0-submitter", "m0-quant")}
        settings = Settings(kubeconfig=drill.kubeconfig).having(
            PROMETHEUS, PrometheusSettings(url=url, direct=direct, interval=0.2)
        )
        runbooks = Runbooks(queries={}, signals={}, stages=(), services={}, toggles={}, runbooks=())
        engine = Engine(settings, lambda: runbooks, SystemClock())
        engine.start()
        try:
            async with asyncio.timeout(HANG_S):
                while True:
                    situation = engine.situation
                    found = situation.metrics if situation is not None else {}
                    if situation is not None and len(found) == 2 and all(kept(r) for r in found.values()):
                        break
                    await asyncio.sleep(0.05)
        finally:
            await asyncio.to_thread(engine.close)
        samples = kept(found["m0-submitter"]) or ()
        assert any(e.name == "m0_publish_success_total" and e.value > 0 for e in samples)
