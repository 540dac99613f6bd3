"""The chart's own questions: bounded, one at a time, given up with the page; what fails is said."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web
from msgspec import structs

from cockpit.assessment.charts.follower import ChartFollower
from cockpit.assessment.charts.own_history import OwnHistory
from cockpit.clock import SystemClock
from cockpit.model.observed.chart import RANGES, Chart, ChartNow, ChartOf
from cockpit.model.runbook import SignalDef
from cockpit.model.situation import Situation
from cockpit.sources.prometheus.address import PrometheusAddress
from cockpit.sources.prometheus.source import PrometheusSource
from panels.kit.spans import plain
from panels.screens.chart.plot import Options, picture, times_of
from tests.support.api_double import ApiDouble, serving
from tests.support.prometheus_rig import prometheus_at, write
from tests.support.samples import situations
from tests.support.waiting import HANG_S

OF = ChartOf("signal", "lag")


@asynccontextmanager
async def following(url: str, situation: Situation | None = None, limit_s: float = 5.0) -> AsyncIterator[ChartFollower]:
    """A follower of the signal `lag` of this Prometheus, in this loop."""
    source = PrometheusSource(PrometheusAddress(url), {}, 1.0, SystemClock())
    rows = {"lag": SignalDef(title="Lag", promql="lag", unit="s"), "chain": SignalDef(title="Chain", value="solana.x")}
    runbooks = structs.replace(situations.runbooks(), signals=rows)
    tasks: list[asyncio.Task[Any]] = []

    def ranged(promql: str, start: float, end: float, step: float) -> Awaitable[Any]:
        return source.ranged(promql, start, end, step, limit_s)

    follower = ChartFollower(
        lambda work: tasks.append(asyncio.create_task(work())),
        ranged,
        lambda: situation,
        lambda: runbooks,
        OwnHistory(),
        SystemClock(),
    )
    try:
        yield follower
    finally:
        follower.stop()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_S):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def answered(follower: ChartFollower) -> ChartNow:
    await until(lambda: follower.now is not None and follower.now.asked_at is None)
    assert follower.now is not None
    return follower.now


def matrix(*series: tuple[dict[str, str], list[list[Any]]], **more: Any) -> dict[str, Any]:
    result = [{"metric": labels, "values": values} for labels, values in series]
    return {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}


@asynccontextmanager
async def scripted(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    api = ApiDouble()
    api.on("", answer)
    async with serving(api):
        yield api.url


def drawn(chart: Chart) -> str:
    return "\n".join(plain(line) for line in picture(chart, Options(), 120, 30))


async def test_what_is_asked_is_bounded_whatever_the_range() -> None:
    forms: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        forms.append({key: str(value) for key, value in (await request.post()).items()})
        return web.json_response(matrix())

    async with scripted(answer) as url, following(url) as follower:
        for name in RANGES:
            follower.open(OF, name)
            assert (await answered(follower)).chart is not None
    ends = [float(f["end"]) for f in forms]
    assert max(SystemClock().wall() - end for end in ends) < 60.0, "the newest is there, however far apart they are"
    points = [(float(f["end"]) - float(f["start"])) / float(f["step"]) for f in forms]
    assert len(points) == len(RANGES) and max(points) <= 400 and min(points) >= 50


async def test_odd_answers_are_carried_and_said() -> None:
    """NaN and infinities are gaps, warnings are kept, hostile labels are made visible."""
    hostile = "a\x1b[31m[/b]\u202e"

    async def answer(request: web.Request) -> web.StreamResponse:
        form = await request.post()
        end = float(str(form["end"]))
        odd = [[end - 30.0, "NaN"], [end - 15.0, "+Inf"], [end, "1.5"]]
        series = [({"connector": hostile}, odd)] + [({"connector": f"c{n}"}, [[end, str(n)]]) for n in range(39)]
        return web.json_response(matrix(*series, warnings=["partial \x1b]0;x\x07 result"]))

    async with scripted(answer) as url, following(url) as follower:
        follower.open(OF, "1 h")
        chart = (await answered(follower)).chart
    assert chart is not None and chart.series == 40 and len(chart.traces) == 8
    assert chart.traces[0].name == "c38"
    assert any(note.startswith("8 of 40 series") for note in chart.notes)
    assert any("partial" in note and "\x1b" not in note for note in chart.notes)
    assert "\x1b" not in drawn(chart) and "\u202e" not in drawn(chart)


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (lambda: web.Response(text="<html>sign in</html>", content_type="text/html"), "no Prometheus answers there"),
        (lambda: web.json_response({"status": "error", "errorType": "timeout", "error": "too slow"}), "too slow"),
        (lambda: web.Response(status=503), "not ready"),
        (lambda: web.Response(status=403), "refuses queries"),
        (lambda: web.json_response(matrix(*[({"n": str(n)}, []) for n in range(2001)])), "more than 2,000 series"),
    ],
)
async def test_what_is_no_answer_says_why(response: Callable[[], web.Response], words: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return response()

    async with scripted(answer) as url, following(url) as follower:
        follower.open(OF, "1 h")
        now = await answered(follower)
    assert words in now.fault and now.chart is None


async def test_nobody_at_the_address_and_no_signal_of_that_name() -> None:
    async with following("http://127.0.0.1:9") as follower:
        follower.open(OF, "1 h")
        assert "cannot reach Prometheus" in (await answered(follower)).fault
        follower.open(ChartOf("signal", "nothing"), "1 h")
        assert "there is no signal nothing" in (await answered(follower)).fault


async def test_a_question_is_given_up_with_its_page_and_for_another_range() -> None:
    """A Prometheus that never answers: it is asked once at a time, and the wait is told."""
    asked, given_up = 0, 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal asked, given_up
        asked += 1
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        given_up += 1
        return web.Response()

    async with scripted(answer) as url, following(url, limit_s=HANG_S) as follower:
        for count, name in enumerate(("1 h", "6 h", "30 d"), 1):
            follower.open(OF, name)
            assert follower.now is not None and follower.now.asked_at is not None
            await until(lambda: asked == count)  # noqa: B023
        follower.stop()
        assert follower.now is None
        await until(lambda: given_up == 3)


async def test_by_a_clock_two_hours_off_the_chart_ends_at_prometheus_own_now() -> None:
    forms: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        forms.append({key: str(value) for key, value in (await request.post()).items()})
        return web.json_response(matrix())

    clock, calm = SystemClock(), situations.calm()
    late = situations.queries()
    server = clock.wall() + 7200.0
    shifted = {name: structs.replace(one, evaluated_at=server) for name, one in late.items()}
    calm = structs.replace(calm, wall=clock.wall(), queries=situations.readings(shifted))
    async with scripted(answer) as url, following(url, calm) as follower:
        follower.open(OF, "1 h")
        chart = (await answered(follower)).chart
    assert chart is not None and abs(chart.behind_s - 7200.0) < 30.0
    assert abs(float(forms[0]["end"]) - server) < 60.0


async def test_the_chains_values_say_since_when_they_are_kept() -> None:
    async with following("http://127.0.0.1:9") as follower:
        follower.open(ChartOf("signal", "chain"), "1 h")
        now = await answered(follower)
    assert now.chart is not None and now.chart.traces == () and "when this cockpit began" in now.chart.origin
    assert "? at none of these times is there a value" in drawn(now.chart)


@pytest.mark.real
async def test_the_cursor_reads_what_prometheus_says_to_the_last_digit(
    need: Callable[[str], str], tmp_path: Path
) -> None:
    """200 random points of a real Prometheus, with a gap, are as its own query_range has them."""
    rng = random.Random(15)
    now = SystemClock().wall()
    values = [(now - 3600.0 + 15.0 * n, rng.choice((1.0, 1e-3, 1e6)) * rng.gauss(1.0, 0.4)) for n in range(240)]
    kept = [one for n, one in enumerate(values) if not 100 <= n < 140]
    config = "global: {evaluation_interval: 1s}\nstorage: {tsdb: {out_of_order_time_window: 2h}}\n"
    async with prometheus_at(need("prometheus"), tmp_path, config) as url:
        await write(
            url, [({"__name__": "lag", "who": who}, [(t, v * k) for t, v in kept]) for k, who in ((1, "a"), (3, "b"))]
        )
        async with following(url) as follower:
            follower.open(OF, "1 h")
            chart = (await answered(follower)).chart
            assert chart is not None and len(chart.traces) == 2
        async with httpx.AsyncClient(trust_env=False) as client:
            begin = math.ceil(chart.start / 15.0) * 15.0
            times = {"end": str(chart.end), "step": "15"}
            got = await client.get(f"{url}/api/v1/query_range", params={"query": "lag", **times, "start": str(begin)})
    theirs = {
        one["metric"]["who"]: {t: float(v) for t, v in one["values"]} for one in json.loads(got.text)["data"]["result"]
    }
    points = [(n, at) for n in range(2) for at in times_of(chart)]
    chosen = rng.sample(points, 200)
    for n, at in chosen:
        first = plain(picture(chart, Options(at=at, chosen=n), 120, 30)[0])
        assert f"{theirs[chart.traces[n].name][at]:.10g}" in first, first
    assert {at for one in theirs.values() for at in one} == set(times_of(chart)), "a gap there is a gap here"
