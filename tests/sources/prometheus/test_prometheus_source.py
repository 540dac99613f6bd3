"""The Prometheus source against a scripted server: what it answers is carried as it is, what fails
says why.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import socket
import ssl
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from cockpit.clock import SystemClock
from cockpit.model.observed.metrics import History, QueryResult, Sample
from cockpit.model.reading import Reading, SourceState
from cockpit.sources.prometheus import wire
from cockpit.sources.prometheus.address import PrometheusAddress
from cockpit.sources.prometheus.source import PrometheusSource, QuerySpec
from cockpit.sources.timing import Timings
from tests.support.api_double import ApiDouble, serving
from tests.support.readings import data_of, fault_in, kept, seen_at, server_time_of
from tests.support.waiting import HANG_S

NOW = 1_795_443_342.5
QUICK = Timings(backoff_s=0.01, backoff_cap_s=0.02)


def vector(*series: tuple[dict[str, str], str], at: float = NOW) -> dict[str, Any]:
    result = [{"metric": labels, "value": [at, value]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


class Prom:
    """Answers by query text; `asked` holds (endpoint, form) in order."""

    def __init__(self, api: ApiDouble):
        self.answers: dict[str, Any] = {}
        self.alerts: Any = {"status": "success", "data": {"alerts": []}}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.now = NOW
        self.waiting = 0
        self.most = 0
        api.on("", self.answer)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        endpoint = request.path.rpartition("/")[2]
        form = {k: str(v) for k, v in (await request.post()).items()}
        self.asked.append((endpoint, form))
        if endpoint == "alerts":
            return web.json_response(self.alerts)
        if form.get("query") == "1":
            return web.json_response({"status": "success", "data": {"resultType": "scalar", "result": [self.now, "1"]}})
        answer = self.answers.get(f"{endpoint} {form['query']}", self.answers.get(form["query"]))
        if callable(answer):
            answer = await answer(request)
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.json_response(answer if answer is not None else vector())


@pytest.fixture
def prom(api: ApiDouble) -> Prom:
    return Prom(api)


def source(url: str, interval_s: float = 0.01, **queries: Any) -> PrometheusSource:
    specs = {n: q if isinstance(q, QuerySpec) else QuerySpec(q, None, 30.0) for n, q in queries.items()}
    return PrometheusSource(PrometheusAddress(url), specs, interval_s, SystemClock(), timings=QUICK)


async def first(
    source: PrometheusSource, *names: str, when: Callable[[Reading[Any]], Any] = lambda r: True
) -> list[Reading[Any]]:
    """The first reading of each topic for which `when` holds."""
    found: dict[str, Reading[Any]] = {}
    wanted = [f"prometheus/{n}" for n in names]
    async with asyncio.timeout(HANG_S), aclosing(source.readings()) as readings:
        async for reading in readings:
            if reading.topic in wanted and reading.topic not in found and when(reading):
                found[reading.topic] = reading
            if len(found) == len(wanted):
                break
    return [found[n] for n in wanted]


async def test_values_keep_their_labels_and_oddities(api: ApiDouble, prom: Prom) -> None:
    answer = vector(
        ({"signer": "a", "bad": "x\x1b[2J" + "y" * 500}, "1.5"),
        ({"signer": "b"}, "NaN"),
        ({"signer": "c"}, "+Inf"),
        ({}, "-Inf"),
    )
    prom.answers["q"] = answer | {"warnings": ["partial\x1b result"]}
    (reading,) = await first(source(api.url, q="q"), "q")
    result: QueryResult = data_of(reading)
    assert (
        result.by("signer")["a"] == 1.5
        and math.isnan(result.by("signer")["b"])
        and result.by("signer")["c"] == math.inf
    )
    assert result.samples[3].value == -math.inf
    label = result.samples[0].labels["bad"]
    assert label.isprintable() and len(label) <= 210
    assert result.warnings == ("partial\\e result",)
    assert result.evaluated_at == NOW and server_time_of(reading) == NOW and reading.max_age_s == 30.0


async def test_an_empty_vector_is_empty_and_a_scalar_is_read(api: ApiDouble, prom: Prom) -> None:
    prom.answers["s"] = {"status": "success", "data": {"resultType": "scalar", "result": [NOW, "7"]}}
    empty, scalar = await first(source(api.url, e="e", s="s"), "e", "s")
    assert fault_in(empty) is None and data_of(empty).samples == () and data_of(empty).evaluated_at == NOW
    assert [(one.labels, one.value) for one in data_of(scalar).samples] == [({}, 7.0)]


async def test_a_rejected_query_is_its_own_fault_only(api: ApiDouble, prom: Prom) -> None:
    refusal = {"status": "error", "errorType": "bad_data", "error": "1:5: parse error: unexpected \x1b"}

    async def reject(request: web.Request) -> web.Response:
        return web.json_response(refusal, status=400)

    prom.answers["bad"] = reject
    prom.answers["good"] = vector(({}, "1"))
    prom.answers["timed_out"] = {"status": "error", "errorType": "timeout", "error": "query timed out"}
    prom.answers["matrix"] = {"status": "success", "data": {"resultType": "matrix", "result": []}}
    bad, good, timed_out, matrix = await first(
        source(api.url, bad="bad", good="good", timed_out="timed_out", m="matrix"), "bad", "good", "timed_out", "m"
    )
    assert fault_in(bad) is not None and "parse error" in fault_in(bad).reason and "\x1b" not in fault_in(bad).reason
    assert "runbooks.toml" in fault_in(bad).remedy
    assert fault_in(good) is None
    assert fault_in(timed_out) is not None and "timed out" in fault_in(timed_out).reason
    assert fault_in(matrix) is not None and "matrix" in fault_in(matrix).reason


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (401, SourceState.UNAUTHORISED),
        (403, SourceState.DENIED),
        (502, SourceState.DOWN),
        (200, SourceState.DOWN),
        (404, SourceState.DOWN),
    ],
)
async def test_a_proxy_that_answers_for_it_is_one_state(api: ApiDouble, code: int, state: SourceState) -> None:
    asked = []

    async def page(request: web.Request) -> web.Response:
        asked.append(request)
        return web.Response(status=code, text="<html><body>Gate \x1b[2J closed</body></html>")

    api.on("", page)
    readings = await first(source(api.url, interval_s=10, a="a", b="b"), "a", "b", "alerts")
    assert {fault_in(r).state for r in readings if fault_in(r)} == {state} and len(readings) == 3
    assert all(fault_in(r) and "\x1b" not in fault_in(r).reason for r in readings)
    assert len(asked) <= 2, "one cheap failure (by GET where POST was refused), not one a query"


async def test_what_several_names_ask_is_asked_once_with_the_longest_history(api: ApiDouble, prom: Prom) -> None:
    prom.answers["q"] = vector(({}, "1"))
    prom.answers["query_range q"] = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[NOW - 60, "3"]]}]},
    }
    asking = source(api.url, interval_s=10, signal=QuerySpec("q", 900.0, 30.0), panel=QuerySpec("q", None, 60.0))
    signal, panel = await first(asking, "signal", "panel")
    assert [(e, f["query"]) for e, f in prom.asked if f.get("query") == "q"] == [("query", "q"), ("query_range", "q")]
    assert kept(signal) is data_of(panel) and data_of(signal).history[0].points[0] == (NOW - 60, 3.0)
    assert (signal.max_age_s, panel.max_age_s) == (30.0, 60.0)


async def test_nobody_there_is_one_cheap_failure_that_names_the_host() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        (reading,) = await first(source(f"http://user:secretpw@127.0.0.1:{taken.getsockname()[1]}", a="a"), "a")
    assert fault_in(reading) and "refused" in fault_in(reading).reason and "secretpw" not in fault_in(reading).reason
    assert kept(reading) is None


async def test_a_wrong_address_is_one_line(tmp_path: Path) -> None:
    (reading,) = await first(source("prometheus:9090", a="a"), "a")
    assert fault_in(reading) and "http" in fault_in(reading).remedy
    address = PrometheusAddress("https://x", ca_file=str(tmp_path / "none.pem"))
    (reading,) = await first(
        PrometheusSource(address, {"a": QuerySpec("a", None, 1)}, 1, SystemClock(), timings=QUICK), "a"
    )
    assert fault_in(reading) and "none.pem" in fault_in(reading).reason


async def test_a_failure_keeps_the_last_values_and_their_age(api: ApiDouble, prom: Prom) -> None:
    prom.answers["q"] = vector(({}, "1"))
    seen: list[Reading[Any]] = []
    async with asyncio.timeout(HANG_S), aclosing(source(api.url, q="q").readings()) as readings:
        async for reading in readings:
            if reading.topic != "prometheus/q":
                continue
            seen.append(reading)
            if fault_in(reading) is None and len(seen) == 1:
                prom.answers["q"] = web.Response(status=500, text="boom")
            if fault_in(reading) is not None:
                break
    assert kept(seen[-1]) == kept(seen[0]) and seen_at(seen[-1]) == seen_at(seen[0])


async def test_history_is_one_range_then_grows_by_the_instants(api: ApiDouble, prom: Prom) -> None:
    past = [[NOW - 60 + i * 10, str(i)] for i in range(7)]
    prom.answers["query_range q"] = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {"a": "b"}, "values": past}]},
    }

    async def next_value(request: web.Request) -> web.Response:
        prom.now += 2
        return web.json_response(vector(({"a": "b"}, "99"), at=prom.now))

    prom.answers["query q"] = next_value
    spec = QuerySpec("q", 60.0, 30.0)
    (reading,) = await first(
        source(api.url, q=spec), "q", when=lambda r: data_of(r).history[0].points[-1][0] >= NOW + 20
    )
    ranges = [form for endpoint, form in prom.asked if endpoint == "query_range"]
    assert len(ranges) == 1
    assert float(ranges[0]["end"]) - float(ranges[0]["start"]) == 60.0 and float(ranges[0]["end"]) == pytest.approx(
        NOW + 10
    )
    (history,) = data_of(reading).history
    times = [t for t, _ in history.points]
    assert times == sorted(times) and times[0] >= prom.now - 60 - 10 and history.points[-1][1] == 99.0


async def test_a_gap_is_filled_by_a_new_range_and_its_failure_is_a_warning(api: ApiDouble, prom: Prom) -> None:
    async def leap(request: web.Request) -> web.Response:
        prom.now += 1000
        return web.json_response(vector(({}, "1"), at=prom.now))

    prom.answers["query q"] = leap
    prom.answers["query_range q"] = {"status": "error", "errorType": "execution", "error": "too many points"}
    (reading,) = await first(
        source(api.url, q=QuerySpec("q", 60.0, 30.0)), "q", when=lambda r: data_of(r).evaluated_at > NOW + 1500
    )
    assert sum(endpoint == "query_range" for endpoint, _ in prom.asked) >= 2
    assert fault_in(reading) is None and any("too many points" in w for w in data_of(reading).warnings)
    assert data_of(reading).history[0].points[-1] == (data_of(reading).evaluated_at, 1.0)


async def test_queries_run_at_once_but_never_more_than_eight(api: ApiDouble, prom: Prom) -> None:
    together = asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        prom.waiting += 1
        prom.most = max(prom.most, prom.waiting)
        if prom.waiting == 8:
            together.set()
        await together.wait()
        prom.waiting -= 1
        return web.json_response(vector())

    names = [f"q{i}" for i in range(20)]
    for name in names:
        prom.answers[name] = wait
    await first(source(api.url, 0.01, **{n: n for n in names}), *names)
    assert prom.most == 8
    assert all("timeout" in form for endpoint, form in prom.asked if form.get("query", "").startswith("q"))


async def test_credentials_headers_and_a_path_prefix_are_sent(api: ApiDouble, prom: Prom) -> None:
    for extra, expected in (
        ({"bearer": "tok"}, "Bearer tok"),
        ({"basic": ("me", "pw")}, "Basic " + base64.b64encode(b"me:pw").decode()),
    ):
        address = PrometheusAddress(f"{api.url}/prom/", headers={"X-Scope-OrgID": "m0"}, **extra)
        await first(PrometheusSource(address, {"a": QuerySpec("a", None, 1)}, 1, SystemClock()), "a")
        last = api.requests[-1]
        assert last.headers["authorization"] == expected and last.headers["x-scope-orgid"] == "m0"
        assert all(r.path.startswith("/prom/api/v1/") for r in api.requests)
        assert "tok" not in repr(address) and "pw" not in repr(address)


async def test_tls_is_checked_against_the_given_authority(tmp_path: Path) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    (tmp_path / "ca.pem").write_bytes(ca.cert_pem.bytes())
    async with serving(ApiDouble(), context) as api:
        Prom(api)
        for extra, good in (({"ca_file": str(tmp_path / "ca.pem")}, True), ({}, False), ({"insecure": True}, True)):
            address = PrometheusAddress(api.url, **extra)
            (reading,) = await first(PrometheusSource(address, {"a": QuerySpec("a", None, 1)}, 1, SystemClock()), "a")
            assert (fault_in(reading) is None) is good
            assert good or (fault_in(reading) and "not trusted" in fault_in(reading).reason)


async def test_alerts_are_read_firing_first(api: ApiDouble, prom: Prom) -> None:
    prom.alerts = {
        "status": "success",
        "data": {
            "alerts": [
                {"labels": {"alertname": "Later"}, "state": "pending"},
                {
                    "labels": {"alertname": "Now", "severity": "page"},
                    "annotations": {"summary": "it \x07 burns"},
                    "state": "firing",
                },
                {"labels": None, "annotations": None, "state": None},
            ]
        },
    }
    (reading,) = await first(source(api.url), "alerts")
    assert [a.name for a in data_of(reading)] == ["Now", "?", "Later"]
    assert data_of(reading)[0].summary == "it \\x07 burns"


@given(
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda s: (
            st.lists(s, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "status",
                        "data",
                        "resultType",
                        "result",
                        "metric",
                        "value",
                        "values",
                        "error",
                        "alerts",
                        "success",
                        "vector",
                    ]
                ),
                s,
                max_size=4,
            )
        ),
        max_leaves=12,
    ).map(lambda v: json.dumps(v).encode())
)
@settings(max_examples=200, deadline=None)
def test_any_answer_is_read_or_is_one_known_fault(body: bytes) -> None:
    try:
        answer = wire.decode(200, body)
        wire.samples(answer)
        wire.histories(answer)
        wire.alerts(answer)
    except wire.PromFault as fault:
        assert fault.fault.reason


def test_points_closer_than_a_step_replace_the_newest() -> None:
    history: tuple[History, ...] = ()
    for i in range(25):
        history = wire.append(history, (Sample({}, float(i)),), 1000.0 + i * 2, 960.0, 10.0)
    (one,) = history
    gaps = [b[0] - a[0] for a, b in zip(one.points, one.points[1:], strict=False)]
    assert all(g >= 8.0 for g in gaps[:-1]) and one.points[-1] == (1048.0, 24.0) and one.points[0][0] >= 960.0
