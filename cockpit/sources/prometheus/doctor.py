"""Examines Prometheus: access, clock, every query of runbooks.toml, and which metrics are missing.

By the source itself (aiohttp) rather than prometheus-api-client, which the findings forbid here
three times over: its retries turn a 503 into six seconds and lose the words, `.netrc` replaces a
bearer header unasked, and it drops the warnings of partial answers. One query that counts by name
tells which metrics exist, whatever the size of the server; a list of all names may be megabytes.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from cockpit.model.observed.metrics import QueryResult
from cockpit.model.reading import Known, Reading, Unknown, believed
from cockpit.settings import ConfigProblem
from cockpit.sources.examination import Examination, Finding, State, bounded, found, listed, skew, together
from cockpit.sources.prometheus.address import address_of
from cockpit.sources.prometheus.queries import query_specs
from cockpit.sources.prometheus.settings import PROMETHEUS
from cockpit.sources.prometheus.source import PrometheusSource, QuerySpec

AREA = "prometheus"
_NOW, _NAMES = "doctor/now", "doctor/names"


async def examine(exam: Examination) -> list[Finding]:
    own = exam.settings.of(PROMETHEUS)
    direct = [
        bounded(exam, AREA, f"direct {name}", partial(_direct, exam, name, url)) for name, url in own.direct.items()
    ]
    if own.url is None:
        remedy = "give --prometheus URL, or url in [prometheus]; without it most signals are unknown"
        return [found(AREA, "server", State.OFF, "not configured", remedy), *await together(direct)]
    answered: dict[str, Reading[Any]] = {}
    thin: dict[str, str] = {}
    looked, found_direct = await asyncio.gather(
        bounded(exam, AREA, "server", lambda: _read(exam, answered, thin)), together(direct)
    )
    if looked and not answered:
        return [*looked, *found_direct]
    return [*_judge(exam, answered), *_scrapes(thin), *found_direct]


async def _read(exam: Examination, answered: dict[str, Reading[Any]], thin: dict[str, str]) -> Sequence[Finding]:
    """Read one answer to each query, as many as come within the limit."""
    try:
        address = await asyncio.to_thread(address_of, exam.settings.of(PROMETHEUS))
    except ConfigProblem as problem:
        return [found(AREA, "server", State.FAIL, problem.reason, problem.remedy)]
    specs = {name: QuerySpec(promql, None, 60.0) for name, (promql, _, _) in query_specs(exam.runbooks).items()}
    names = sorted({name for spec in specs.values() for name in metric_names(spec.promql)})
    specs[_NOW] = QuerySpec("time()", None, 60.0)
    if names:
        specs[_NAMES] = QuerySpec(
            f'count by (__name__) ({{__name__=~"{"|".join(map(re.escape, names))}"}})', None, 60.0
        )
    source = PrometheusSource(address, specs, 60.0, exam.clock)
    try:
        async with asyncio.timeout(exam.limit_s * 0.9), aclosing(source.readings()) as readings:
            async for reading in readings:
                answered[reading.topic.removeprefix("prometheus/")] = reading
                whole = len(answered) == len(specs) + 1  # with the alerts
                mono = exam.clock.mono()
                if whole or (len(answered) >= len(specs) and not any(_good(r, mono) for r in answered.values())):
                    break
            thin.update(await source.short_windows())
    except TimeoutError:
        if not answered:
            raise
    return []


def _judge(exam: Examination, answered: Mapping[str, Reading[Any]]) -> list[Finding]:
    specs = query_specs(exam.runbooks)
    mono = exam.clock.mono()
    findings = [_server(answered, mono)]
    if findings[0].state is not State.OK:
        return findings
    now = answered.get(_NOW)
    clock = now.server_clock(mono) if now is not None else None
    if clock is not None:
        findings.append(skew(AREA, clock[0] - exam.clock.wall(), "Prometheus'", 0.0))
    else:
        findings.append(found(AREA, "clock", State.UNKNOWN, "Prometheus did not tell its time"))
    findings.append(_queries(specs, answered, mono))
    findings.append(_metrics(specs, answered, mono))
    alerts = believed(answered.get("alerts"), mono)
    if isinstance(alerts, Known):
        findings.append(found(AREA, "alerts", State.OK, f"{len(alerts.data)} active"))
    elif "alerts" not in answered:
        findings.append(found(AREA, "alerts", State.UNKNOWN, "not answered in time"))
    else:
        words = f"cannot be read: {alerts.reason}"
        findings.append(found(AREA, "alerts", State.WARN, words, alerts.remedy or "ask for GET /api/v1/alerts"))
    return findings


def _good(reading: Reading[Any], mono: float) -> bool:
    """Return whether the query was answered, with samples new or old."""
    found = reading.believed(mono)
    return found.live or found.stale


def _server(answered: Mapping[str, Reading[Any]], mono: float) -> Finding:
    """Judge it reached when any query got an answer of its own, even a refusal."""
    good = [reading for reading in answered.values() if _good(reading, mono)]
    if good:
        took = sorted(reading.took_s for reading in good)[len(good) // 2]
        return found(AREA, "server", State.OK, f"answers queries, half of them within {took * 1000:.0f} ms")
    failed = [one for reading in answered.values() if isinstance(one := reading.believed(mono), Unknown)]
    if not failed:
        return found(AREA, "server", State.UNKNOWN, "no answer in time", "is it overloaded?")
    return found(AREA, "server", State.FAIL, failed[0].reason, failed[0].remedy)


def _queries(specs: Mapping[str, Any], answered: Mapping[str, Reading[Any]], mono: float) -> Finding:
    every = {name: answered[name].believed(mono) for name in specs if name in answered}
    refused = [(n, one) for n, one in every.items() if isinstance(one, Unknown) and not one.stale]
    silent = [name for name in specs if name not in answered]
    if refused:
        name, fault = refused[0]
        more = f"; likewise {listed([n for n, _ in refused[1:]])}" if len(refused) > 1 else ""
        return found(
            AREA,
            "queries",
            State.FAIL,
            f"{name}: {fault.reason}{more}",
            fault.remedy or "correct them in a runbooks file of your own",
        )
    if silent:
        return found(
            AREA,
            "queries",
            State.UNKNOWN,
            f"{len(silent)} of {len(specs)} not answered in time: {listed(silent)}",
            "is Prometheus overloaded?",
        )
    warned = {n: one.data.warnings[0] for n, one in every.items() if isinstance(one, Known) and one.data.warnings}
    if warned:
        words = f"all {len(specs)} accepted; {listed(list(warned))}: {next(iter(warned.values()))}"
        return found(
            AREA, "queries", State.WARN, words, "the answers may be partial, and count as unknown where they look well"
        )
    return found(AREA, "queries", State.OK, f"all {len(specs)} accepted")


def _metrics(specs: Mapping[str, Any], answered: Mapping[str, Reading[Any]], mono: float) -> Finding:
    """Judge which metrics are missing.

    A counter that was never raised is absent, and no fault: what counts is whether the queries that
    need it say something.
    """
    needed: dict[str, list[str]] = {}
    for name, (promql, _, _) in specs.items():
        for metric in metric_names(promql):
            needed.setdefault(metric, []).append(name)
    asked = answered.get(_NAMES)
    if not needed:
        return found(AREA, "metrics", State.OFF, "no query names a metric")
    known = believed(asked, mono, QueryResult)
    if isinstance(known, Unknown):
        why = "not answered in time" if asked is None else known.reason
        return found(AREA, "metrics", State.UNKNOWN, f"not known which exist: {why}")
    there = {sample.labels.get("__name__", "") for sample in known.data.samples}
    absent = [metric for metric in sorted(needed) if metric not in there]
    empty = {
        n
        for n in specs
        if isinstance(one := believed(answered.get(n), mono, QueryResult), Known) and not one.data.samples
    }
    blind = sorted({n.partition("/")[2] for metric in absent for n in needed[metric] if n in empty})
    counts = f"{len(needed) - len(absent)} of {len(needed)} are there"
    if not absent:
        return found(AREA, "metrics", State.OK, counts)
    if not blind:
        return found(AREA, "metrics", State.OK, f"{counts}; {listed(absent)}: not counted yet, which no query minds")
    remedy = "are they scraped, and named so? Adapt the queries in a runbooks file of your own"
    return found(
        AREA, "metrics", State.WARN, f"{counts}; absent: {listed(absent)}; without data: {listed(blind)}", remedy
    )


def _scrapes(thin: Mapping[str, str]) -> list[Finding]:
    """Name the queries whose windows hold too few samples, before an incident needs them."""
    if not thin:
        return []
    names = [name.partition("/")[2] for name in thin]
    words = f"{next(iter(thin.values()))}: too few for a rate: {listed(names)}"
    return [
        found(
            AREA, "scrapes", State.WARN, words, "scrape more often, or widen the windows in a runbooks file of your own"
        )
    ]


def metric_names(promql: str) -> frozenset[str]:
    """Return the metrics that a query reads.

    Empty for one that cannot be parsed: Prometheus will say so.
    """
    import promql_parser

    try:
        return frozenset(_selected(promql_parser.parse(promql)))
    except ValueError:
        return frozenset()


def _selected(node: Any) -> Iterator[str]:
    if type(node).__name__ == "VectorSelector":
        named = [m.value for m in node.matchers.matchers if m.name == "__name__" and str(m.op) == "MatchOp.Equal"]
        yield from [node.name] if node.name else named
        return
    for part in ("lhs", "rhs", "expr", "param", "args", "vector_selector"):
        inner = getattr(node, part, None)
        for one in inner if isinstance(inner, list | tuple) else [inner]:
            if one is not None:
                yield from _selected(one)


async def _direct(exam: Examination, name: str, url: str) -> Sequence[Finding]:
    from cockpit.sources.prometheus.exposition import ExpositionSource

    check = f"direct {name}"
    endless = ExpositionSource({name: url}, 60.0, exam.clock, lambda: True).readings()
    async with aclosing(endless) as readings:
        reading = await anext(readings)
    page = reading.believed(exam.clock.mono())
    if isinstance(page, Unknown):
        remedy = page.remedy or "it is read only while Prometheus is down"
        return [found(AREA, check, State.WARN, page.reason, remedy)]
    return [found(AREA, check, State.OK, f"{len(page.data)} samples")]
