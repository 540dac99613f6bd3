"""Serves Prometheus' HTTP API (v1) over the world's series, and `/metrics` for a real one.

Answers, errors included, have the shape of Prometheus 2.42. The `Date` header is the simulated
clock.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from cockpit.drill.clock import SimClock, http_date, rfc3339
from cockpit.drill.names import METRICS, SERVICES
from cockpit.drill.prometheus.aggregate import format_value
from cockpit.drill.prometheus.exposition import CONTENT_TYPE, exposition
from cockpit.drill.prometheus.params import ApiProblem, duration, moment, one, parameters, selector
from cockpit.drill.prometheus.promql import Matrix, QueryProblem, Scalar, Vector, evaluate, parse
from cockpit.drill.prometheus.rules import RULES, AlertRule, active
from cockpit.drill.prometheus.series import Registry, Series, SeriesStore

MAX_POINTS = 11_000
VERSION = "2.42.0"


@dataclass(slots=True)
class PrometheusChaos:
    """Holds the switches for what a test makes this server do wrong.

    Collections hold substrings of queries; "" is in every query.
    """

    reject: set[str] = field(default_factory=set)  # 400 bad_data
    nan: set[str] = field(default_factory=set)
    empty: set[str] = field(default_factory=set)
    warnings: tuple[str, ...] = ()
    unavailable: bool = False  # 503
    html: bool = False  # a proxy's page with status 200
    slow_s: float = 0.0  # real seconds before each answer


class Observed(Protocol):
    """Asks of a world here its clock, the samples it keeps, and who answers a scrape."""

    @property
    def clock(self) -> SimClock: ...
    @property
    def store(self) -> SeriesStore: ...
    @property
    def metrics(self) -> Registry: ...
    def jobs_up(self) -> set[str]:
        """Return the services that answer a scrape."""


class PrometheusServer:
    """Serves one world; `application()` is its HTTP application.

    All handlers run in the world's own loop.
    """

    def __init__(self, world: Observed) -> None:
        self.world = world
        self.chaos = PrometheusChaos()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard])
        app.on_response_prepare.append(self._stamp)
        for path, handler in (
            ("/api/v1/query", self._query),
            ("/api/v1/query_range", self._query_range),
            ("/api/v1/series", self._series),
            ("/api/v1/labels", self._labels),
        ):
            app.router.add_get(path, handler)
            app.router.add_post(path, handler)
        for path, handler in (
            ("/api/v1/label/{name}/values", self._label_values),
            ("/api/v1/alerts", self._alerts),
            ("/api/v1/rules", self._rules),
            ("/api/v1/targets", self._targets),
            ("/api/v1/metadata", self._metadata),
            ("/api/v1/status/buildinfo", self._buildinfo),
            ("/metrics", self._metrics),
            ("/-/healthy", self._healthy),
            ("/-/ready", self._ready),
        ):
            app.router.add_get(path, handler)
        return app

    def services(self) -> web.Application:
        """Serve the services' own `/metrics`, each at /NAME/metrics.

        A scrape reads them, whatever ails Prometheus.
        """
        app = web.Application()
        app.router.add_get("/{job}/metrics", self._own_metrics)
        return app

    async def _stamp(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = http_date(self.world.clock.now())

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.chaos.slow_s:
            await asyncio.sleep(self.chaos.slow_s)
        if self.chaos.html:
            return web.Response(text="<html><body><h1>Sign in</h1></body></html>", content_type="text/html")
        if self.chaos.unavailable:
            return _answer({"status": "error", "errorType": "unavailable", "error": "drill: unavailable"}, 503)
        try:
            response: web.StreamResponse = await handler(request)
        except ApiProblem as problem:
            return _answer({"status": "error", "errorType": problem.kind, "error": str(problem)}, problem.status)
        except QueryProblem as problem:
            status = 400 if problem.kind == "bad_data" else 422
            return _answer({"status": "error", "errorType": problem.kind, "error": str(problem)}, status)
        return response

    # queries

    async def _query(self, request: web.Request) -> web.Response:
        params = await parameters(request)
        query = one(params, "query")
        at = moment(params, "time", self.world.clock.now())
        self._check(query)
        result = evaluate(self.world.store, query, [at])
        return self._success(self._spoil(query, _instant(result, at)))

    async def _query_range(self, request: web.Request) -> web.Response:
        params = await parameters(request)
        query = one(params, "query")
        start, end = moment(params, "start", None), moment(params, "end", None)
        if end < start:
            raise ApiProblem(400, "bad_data", 'invalid parameter "end": end timestamp must not be before start time')
        step = duration(params, "step")
        if (end - start) / step > MAX_POINTS:
            raise ApiProblem(
                400,
                "bad_data",
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution "
                "(?step=XX)",
            )
        self._check(query)
        steps = [round(start + i * step, 3) for i in range(math.floor((end - start) / step + 1e-9) + 1)]
        result = evaluate(self.world.store, query, steps)
        if isinstance(result, Matrix | str):
            kind = "range vector" if isinstance(result, Matrix) else "string"
            raise ApiProblem(
                400,
                "bad_data",
                f'invalid parameter "query": invalid expression type "{kind}" for range query, must be Scalar or '
                "instant Vector",
            )
        rows: Vector = [((), list(result.values))] if isinstance(result, Scalar) else result
        series = [
            {
                "metric": dict(labels),
                "values": [[_at(t), format_value(v)] for t, v in zip(steps, column, strict=True) if v is not None],
            }
            for labels, column in sorted(rows, key=lambda row: row[0])
        ]
        data = {"resultType": "matrix", "result": series}
        return self._success(self._spoil(query, data))

    def _check(self, query: str) -> None:
        if any(part in query for part in self.chaos.reject):
            raise ApiProblem(400, "bad_data", 'invalid parameter "query": 1:1: parse error: rejected by the drill')
        parse(query)

    def _spoil(self, query: str, data: dict[str, Any]) -> dict[str, Any]:
        if data["resultType"] not in ("vector", "matrix"):
            return data
        if any(part in query for part in self.chaos.empty):
            return {**data, "result": []}
        if any(part in query for part in self.chaos.nan):
            for row in data["result"]:
                if "value" in row:
                    row["value"][1] = "NaN"
                for point in row.get("values", ()):
                    point[1] = "NaN"
        return data

    def _success(self, data: Any) -> web.Response:
        body: dict[str, Any] = {"status": "success", "data": data}
        if self.chaos.warnings:
            body["warnings"] = list(self.chaos.warnings)
        return _answer(body)

    # metadata

    async def _selected(self, request: web.Request, *, required: bool) -> list[Series]:
        params = await parameters(request)
        start = moment(params, "start", float("-inf"))
        end = moment(params, "end", float("inf"))
        selectors = params.get("match[]", [])
        if required and not selectors:
            raise ApiProblem(400, "bad_data", "no match[] parameter provided")
        found: list[Series] = []
        tests = [selector(text) for text in selectors]
        for series in self.world.store.all():
            if not series.t or series.t[-1] < start or series.t[0] > end:
                continue
            labels = dict(series.labels)
            if not tests or any(all(match(labels.get(name, "")) for name, match in test) for test in tests):
                found.append(series)
        return found

    async def _series(self, request: web.Request) -> web.Response:
        found = await self._selected(request, required=True)
        return self._success([dict(s.labels) for s in sorted(found, key=lambda s: s.labels)])

    async def _labels(self, request: web.Request) -> web.Response:
        found = await self._selected(request, required=False)
        return self._success(sorted({name for series in found for name, _ in series.labels}))

    async def _label_values(self, request: web.Request) -> web.Response:
        wanted = request.match_info["name"]
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", wanted):
            raise ApiProblem(400, "bad_data", f'invalid label name: "{wanted}"')
        found = await self._selected(request, required=False)
        return self._success(sorted({value for series in found for name, value in series.labels if name == wanted}))

    async def _alerts(self, request: web.Request) -> web.Response:
        now = self.world.clock.now()
        return self._success({"alerts": [a for rule in RULES for a in active(self.world.store, rule, now)]})

    async def _rules(self, request: web.Request) -> web.Response:
        now = self.world.clock.now()
        rules = [self._rule(rule, now) for rule in RULES]
        group = {"name": "m0club", "file": "m0club.rules.yml", "interval": 15, "limit": 0, "rules": rules}
        return self._success({"groups": [{**group, "evaluationTime": 0.001, "lastEvaluation": rfc3339(now)}]})

    def _rule(self, rule: AlertRule, now: float) -> dict[str, Any]:
        alerts = active(self.world.store, rule, now)
        state = "inactive"
        if alerts:
            state = "firing" if any(a["state"] == "firing" for a in alerts) else "pending"
        return {
            "state": state,
            "name": rule.name,
            "query": rule.expr,
            "duration": rule.for_s,
            "labels": {"severity": rule.severity},
            "annotations": {"summary": rule.summary},
            "alerts": alerts,
            "health": "ok",
            "evaluationTime": 0.001,
            "lastEvaluation": rfc3339(now),
            "type": "alerting",
        }

    async def _targets(self, request: web.Request) -> web.Response:
        up, now = self.world.jobs_up(), self.world.clock.now()
        targets = [
            {
                "discoveredLabels": {"__address__": f"{job}:9090", "job": job},
                "labels": {"instance": f"{job}:9090", "job": job},
                "scrapePool": job,
                "scrapeUrl": f"http://{job}:9090/metrics",
                "globalUrl": f"http://{job}:9090/metrics",
                "lastError": "" if job in up else "connection refused",
                "lastScrape": rfc3339(now),
                "lastScrapeDuration": 0.004,
                "health": "up" if job in up else "down",
                "scrapeInterval": "5s",
                "scrapeTimeout": "5s",
            }
            for job in SERVICES
        ]
        return self._success({"activeTargets": targets, "droppedTargets": []})

    async def _metadata(self, request: web.Request) -> web.Response:
        wanted = request.query.get("metric")
        return self._success(
            {
                name: [{"type": spec.kind, "help": spec.help, "unit": ""}]
                for name, spec in METRICS.items()
                if wanted in (None, "", name)
            }
        )

    async def _buildinfo(self, request: web.Request) -> web.Response:
        keys = {
            "version": VERSION,
            "revision": "drill",
            "branch": "drill",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        }
        return self._success(keys)

    async def _metrics(self, request: web.Request) -> web.Response:
        body = exposition(self.world.metrics, sorted(self.world.jobs_up()))
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    async def _own_metrics(self, request: web.Request) -> web.Response:
        job = request.match_info["job"]
        if job not in self.world.jobs_up():
            raise web.HTTPServiceUnavailable(text=f"no pod of {job} is ready\n")
        return web.Response(body=exposition(self.world.metrics, [job]), headers={"Content-Type": CONTENT_TYPE})

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="Prometheus Server is Healthy.\n")

    async def _ready(self, request: web.Request) -> web.Response:
        return web.Response(text="Prometheus Server is Ready.\n")


def _answer(body: Any, status: int = 200) -> web.Response:
    return web.Response(text=json.dumps(body, separators=(",", ":")), status=status, content_type="application/json")


def _at(seconds: float) -> float | int:
    return int(seconds) if seconds == int(seconds) else round(seconds, 3)


def _instant(result: Any, at: float) -> dict[str, Any]:
    if isinstance(result, Scalar):
        return {"resultType": "scalar", "result": [_at(at), format_value(result.values[0])]}
    if isinstance(result, str):
        return {"resultType": "string", "result": [_at(at), result]}
    if isinstance(result, Matrix):
        start, end = result.windows[0]
        rows = [
            (labels, [[_at(t), format_value(v)] for t, v in zip(ts, vs, strict=True) if start <= t <= end])
            for labels, (ts, vs, _) in result.rows
        ]
        return {
            "resultType": "matrix",
            "result": [{"metric": dict(labels), "values": values} for labels, values in rows if values],
        }
    vector: Vector = result
    return {
        "resultType": "vector",
        "result": [
            {"metric": dict(labels), "value": [_at(at), format_value(column[0])]}
            for labels, column in vector
            if column[0] is not None
        ],
    }
