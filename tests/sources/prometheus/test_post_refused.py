"""R6: what stands before a Prometheus: a proxy for reading only, and statuses of its own."""

from __future__ import annotations

import pytest
from aiohttp import web

from cockpit.sources.prometheus.source import QuerySpec
from tests.sources.prometheus.test_prometheus_source import NOW, first, source, vector
from tests.support.api_double import ApiDouble
from tests.support.readings import data_of, fault_in


@pytest.mark.parametrize("code", [403, 404, 405, 501])
async def test_r6_where_post_is_refused_it_is_get_from_then_on(api: ApiDouble, code: int) -> None:
    """R6: a proxy that lets GET alone through is tried once by POST, and its Prometheus is read."""
    methods: list[str] = []

    async def gate(request: web.Request) -> web.Response:
        if request.path.endswith("/alerts"):
            return web.json_response({"status": "success", "data": {"alerts": []}})
        methods.append(request.method)
        if request.method != "GET":
            return web.Response(status=code, text="<html>reading only</html>")
        history = request.path.endswith("/query_range")
        query = request.query["query"]
        if history:
            answer = {"resultType": "matrix", "result": [{"metric": {}, "values": [[NOW - 60, "3"]]}]}
            return web.json_response({"status": "success", "data": answer})
        return web.json_response(vector(({"asked": query}, "1")))

    api.on("", gate)
    asking = QuerySpec('up{job="a b+c&d=%"}', 900.0, 30.0)
    (reading,) = await first(source(api.url, q=asking), "q", when=lambda r: fault_in(r) is None)
    (sample,) = data_of(reading).samples
    assert sample.labels == {"asked": 'up{job="a b+c&d=%"}'} and data_of(reading).history
    assert methods.count("POST") == 1 and methods[0] == "POST"


@pytest.mark.parametrize(
    ("code", "words", "remedy"),
    [
        (503, "not ready (HTTP 503)", "tries again by itself"),
        (429, "too often (HTTP 429)", "tries again by itself"),
        (502, "gets no answer from it (HTTP 502)", "is Prometheus up?"),
        (302, "redirects (HTTP 302)", "check the address"),
        (405, "no Prometheus answers there: HTTP 405", "check the address"),
    ],
)
async def test_r6_a_status_says_what_is_wrong(api: ApiDouble, code: int, words: str, remedy: str) -> None:
    """R6: one that starts, or is asked too often, is not "no Prometheus"."""

    async def page(request: web.Request) -> web.Response:
        return web.Response(status=code, text="Service Unavailable", headers={"Location": "/login"})

    api.on("", page)
    (reading,) = await first(source(api.url, a="a"), "a")
    fault = fault_in(reading)
    assert fault is not None and words in fault.reason and remedy in fault.remedy
