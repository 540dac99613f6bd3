"""A chart in the running program: its cursor reads what Prometheus says, and it never waits."""

from __future__ import annotations

import random
import socket

import httpx
import pytest
from msgspec.structs import replace

from cockpit.drill.server import DrillThread
from cockpit.model.observed.chart import Chart
from cockpit.settings import Settings
from cockpit.sources.prometheus.settings import PROMETHEUS
from panels.messages import OpenView
from panels.screens.chart.plot import times_of
from panels.screens.chart.view import ChartView
from tests.support.terminals.screen import Screen, screen

#: The module's drill: its scenario, and how many seconds of history it begins with.
DRILL = ("rpc-outage", 1500.0)


async def opened(cockpit: Screen) -> ChartView:
    await cockpit.until(lambda: bool(cockpit.app.base.query(ChartView)))
    view = cockpit.app.base.query_one(ChartView)
    await cockpit.until(lambda: view.now is not None and view.now.chart is not None)
    return view


async def closed(cockpit: Screen) -> None:
    cockpit.burst("escape")
    await cockpit.until(lambda: not cockpit.app.base.query(ChartView))
    assert cockpit.app.views.charts.follower.now is None, "nothing is asked any more"


async def test_a_chart_is_opened_read_and_left_by_keys(settings: Settings, drill: DrillThread) -> None:
    async with screen(settings, (80, 24)) as cockpit:
        await cockpit.wait(r"MATCH +1 Publishing stops")
        cockpit.burst("0", "enter")
        view = await opened(cockpit)
        await reads_what_query_range_says(view, drill.drill.prometheus)
        first = times_of(chart_of(view))[0]
        cockpit.burst("home", "right", "right", "pagedown")
        await cockpit.settled()
        assert view.lines.at == pytest.approx(first + 12 * 15.0)
        cockpit.burst("x")
        await cockpit.wait(r"Why: ")
        cockpit.burst("escape")
        await closed(cockpit)

        cockpit.burst("2", "c")
        await cockpit.wait(r"of Publish: which one")
        cockpit.burst("enter")
        view = await opened(cockpit)
        cockpit.burst("minus")
        await cockpit.wait(r"a point every 5 s")
        await closed(cockpit)

        signals = cockpit.app.session.runbooks.signals
        name = next(name for name, one in signals.items() if (one.value or "").startswith("solana"))
        cockpit.app.post_message(OpenView("chart", {"signal": name}))
        await cockpit.wait(r"when this cockpit began")


def chart_of(view: ChartView) -> Chart:
    assert view.now is not None and view.now.chart is not None
    return view.now.chart


async def reads_what_query_range_says(view: ChartView, url: str) -> None:
    """200 random points."""
    chart = chart_of(view)
    times = times_of(chart)
    asked = {"start": f"{times[0]}", "end": f"{times[-1]}", "step": f"{chart.step_s:g}"}
    query = chart.origin.removeprefix("Prometheus: ")
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = (await client.get(f"{url}/api/v1/query_range", params={"query": query, **asked})).json()
    several = len(chart.traces) > 1
    theirs = {
        (" ".join(one["metric"].values()) if several else "", t): float(value)
        for one in answer["data"]["result"]
        for t, value in one["values"]
    }
    points = [(n, t) for n in range(len(chart.traces)) for t in times]
    for n, at in random.Random(15).sample(points, 200):
        view.lines.chosen, view.lines.at = n, at
        first = "".join(text for text, _ in view.lines.picture(120, 10)[2])
        number = theirs.get((chart.traces[n].name, at))
        assert ("gap" if number is None else f"{number:.10g}") in first, (first, number)
    view.lines.chosen, view.lines.at = 0, None


async def test_a_prometheus_that_never_answers_holds_nothing_up(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        mute = settings.having(PROMETHEUS, replace(settings.of(PROMETHEUS), url=url))
        async with screen(mute, (80, 24)) as cockpit:
            await cockpit.wait(r"m0-quant +")
            cockpit.app.post_message(OpenView("chart", {"signal": "output-age"}))
            await cockpit.wait(r"asked \d+s ago, no answer yet")
            cockpit.burst("plus")
            await cockpit.wait(r" 6 h ")
            await closed(cockpit)
