"""Tests the drill's Prometheus HTTP API: answers, errors and faults as a client meets them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from cockpit.drill.prometheus.server import PrometheusServer
from cockpit.drill.scenarios import find
from cockpit.drill.world import World

START = 1_790_000_000.0
Client = TestClient[Any, Any]


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=7, clock=World.past_clock(START), scenario=find("rpc-outage"), history_s=600.0)


@pytest.fixture
async def server(world: World) -> AsyncIterator[tuple[PrometheusServer, Client]]:
    prometheus = PrometheusServer(world)
    async with TestClient(TestServer(prometheus.application())) as client:
        yield prometheus, client


@pytest.fixture
def client(server: tuple[PrometheusServer, Client]) -> Client:
    return server[1]


async def test_an_instant_query_by_get_and_by_form(client: Client, world: World) -> None:
    query = 'sum(m0_eventlog_backlog{topic="raw-events"})'
    got = await (await client.get("/api/v1/query", params={"query": query})).json()
    posted = await (await client.post("/api/v1/query", data={"query": query, "timeout": "5s"})).json()
    assert got["status"] == "success"
    assert got["data"]["resultType"] == "vector"
    at, value = got["data"]["result"][0]["value"]
    assert at == pytest.approx(world.clock.now(), abs=0.001)
    assert isinstance(value, str)
    assert posted["data"] == got["data"]


async def test_scalars_strings_and_range_vectors(client: Client) -> None:
    for query, kind in (("1 + 1", "scalar"), ('"hello"', "string"), ("up[1m]", "matrix")):
        answer = await (await client.get("/api/v1/query", params={"query": query})).json()
        assert answer["data"]["resultType"] == kind


async def test_a_range_query(client: Client) -> None:
    params: dict[str, str | float] = {
        "query": "sum(rate(m0_commit_tx_total[1m]))",
        "start": START - 300,
        "end": START,
        "step": "15s",
    }
    answer = await (await client.get("/api/v1/query_range", params=params)).json()
    assert answer["data"]["resultType"] == "matrix"
    assert len(answer["data"]["result"][0]["values"]) == 21


@pytest.mark.parametrize(
    ("path", "params", "words"),
    [
        ("query", {"query": "sum("}, "parse error"),
        ("query", {}, "parse error"),
        ("query", {"query": "up", "time": "noon"}, 'cannot parse "noon" to a valid timestamp'),
        (
            "query_range",
            {"query": "up", "start": "2", "end": "1", "step": "1"},
            "end timestamp must not be before start",
        ),
        ("query_range", {"query": "up", "start": "1", "end": "2", "step": "0"}, "zero or negative"),
        ("query_range", {"query": "up", "start": "1", "end": "2", "step": "often"}, "to a valid duration"),
        ("query_range", {"query": "up", "start": "1", "end": "90000", "step": "1"}, "exceeded maximum resolution"),
        ("query_range", {"query": "up[1m]", "start": "1", "end": "2", "step": "1"}, "for range query"),
        ("series", {}, "no match[]"),
    ],
)
async def test_bad_requests_are_bad_data(client: Client, path: str, params: dict[str, str], words: str) -> None:
    response = await client.get(f"/api/v1/{path}", params=params)
    answer = await response.json()
    assert response.status == 400
    assert answer["status"] == "error"
    assert answer["errorType"] == "bad_data"
    assert words in answer["error"]


async def test_an_ambiguous_match_is_422(client: Client) -> None:
    response = await client.get("/api/v1/query", params={"query": "sum(up) * on () up"})
    assert response.status == 422
    assert (await response.json())["errorType"] == "execution"


async def test_labels_series_and_metadata(client: Client) -> None:
    values = await (await client.get("/api/v1/label/connector/values")).json()
    assert values["data"] == ["crypto", "macro", "politics", "sports"]
    labels = await (await client.get("/api/v1/labels", params={"match[]": "m0_watermark_lag_ms"})).json()
    assert labels["data"] == ["__name__", "connector", "instance", "job", "namespace"]
    series = await (
        await client.get("/api/v1/series", params={"match[]": 'm0_watermark_lag_ms{connector="macro"}'})
    ).json()
    assert [entry["connector"] for entry in series["data"]] == ["macro"]
    metadata = await (await client.get("/api/v1/metadata", params={"metric": "m0_drift_score"})).json()
    assert metadata["data"]["m0_drift_score"][0]["type"] == "gauge"
    build = await (await client.get("/api/v1/status/buildinfo")).json()
    assert build["data"]["version"] == "2.42.0"
    for path in ("/-/healthy", "/-/ready"):
        assert (await client.get(path)).status == 200


async def test_alerts_fire_in_an_outage(client: Client) -> None:
    alerts = (await (await client.get("/api/v1/alerts")).json())["data"]["alerts"]
    assert {"M0OutputsStale", "M0PublishSuccessLow"} <= {
        a["labels"]["alertname"] for a in alerts if a["state"] == "firing"
    }
    rules = (await (await client.get("/api/v1/rules")).json())["data"]["groups"][0]["rules"]
    assert {r["name"]: r["state"] for r in rules}["M0CoverageLow"] == "inactive"
    targets = (await (await client.get("/api/v1/targets")).json())["data"]["activeTargets"]
    assert {t["health"] for t in targets} == {"up"}


async def test_the_date_header_is_the_simulated_clock(client: Client) -> None:
    response = await client.get("/api/v1/query", params={"query": "1"})
    assert parsedate_to_datetime(response.headers["Date"]).timestamp() == pytest.approx(START, abs=1.0)


async def test_the_exposition_is_text(client: Client) -> None:
    response = await client.get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain")
    text = await response.text()
    assert "# TYPE m0_signer_latency_ms histogram" in text
    assert 'm0_signer_latency_ms_bucket{le="+Inf"' in text


async def test_misbehaviour_on_demand(server: tuple[PrometheusServer, Client]) -> None:
    prometheus, client = server
    ask = {"query": "sum(up)"}
    prometheus.chaos.nan.add("up")
    assert (await (await client.get("/api/v1/query", params=ask)).json())["data"]["result"][0]["value"][1] == "NaN"
    prometheus.chaos.empty.add("up")
    assert (await (await client.get("/api/v1/query", params=ask)).json())["data"]["result"] == []
    prometheus.chaos.warnings = ("partial response",)
    assert (await (await client.get("/api/v1/query", params=ask)).json())["warnings"] == ["partial response"]
    prometheus.chaos.reject.add("sum(up)")
    assert (await client.get("/api/v1/query", params=ask)).status == 400
    prometheus.chaos.unavailable = True
    assert (await client.get("/api/v1/query", params=ask)).status == 503
    prometheus.chaos.html = True
    assert "<html>" in await (await client.get("/api/v1/query", params=ask)).text()
