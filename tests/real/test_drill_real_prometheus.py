"""Compares the drill's PromQL and `/metrics` with a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from aiohttp import web

from cockpit.drill.names import METRICS
from cockpit.drill.ports import free_port
from cockpit.drill.prometheus.promql import Scalar, evaluate
from cockpit.drill.prometheus.series import Series, SeriesStore, labels_of
from tests.support.paths import ROOT

pytestmark = pytest.mark.real

START = 1_790_000_000.0
NOW = START + 1800.0

QUERIES = [
    "m_total",
    "rate(m_total[1m])",
    "rate(m_total[5m])",
    "increase(m_total[2m])",
    "irate(m_total[1m])",
    "delta(m_gauge[5m])",
    "idelta(m_gauge[5m])",
    "deriv(m_gauge[5m])",
    "predict_linear(m_gauge[5m], 600)",
    "sum by (who) (rate(m_total[1m]))",
    "sum without (who, kind) (rate(m_total[1m]))",
    "avg(m_gauge)",
    "stddev(m_gauge)",
    "count(m_total > 100)",
    "min by (kind) (m_gauge)",
    "max(m_gauge)",
    "quantile(0.3, m_gauge)",
    "topk(2, m_gauge)",
    "bottomk(2, m_gauge * 1.5)",
    "histogram_quantile(0.95, sum by (le) (rate(m_took_bucket[2m])))",
    "histogram_quantile(0.5, sum by (who, le) (rate(m_took_bucket[2m])))",
    "histogram_quantile(0.999, rate(m_took_bucket[1m]))",
    "histogram_quantile(0.5, 0 * m_took_bucket)",
    "avg_over_time(m_gauge[5m])",
    "max_over_time(m_gauge[5m])",
    "quantile_over_time(0.9, m_gauge[5m])",
    "stddev_over_time(m_gauge[5m])",
    "changes(m_gauge[5m])",
    "resets(m_total[10m])",
    "count_over_time(m_total[1m])",
    "last_over_time(m_gauge[1m])",
    "m_gauge > 50",
    "m_gauge > bool 50",
    "50 < m_gauge",
    "m_gauge == m_gauge",
    "-m_gauge",
    "m_gauge / on (who, kind) m_total",
    "m_total * on (who) group_left (team) m_owner",
    "m_owner * on (who) group_right (team) m_total",
    "m_gauge and m_total",
    "m_gauge and on (who) m_owner{who='a'}",
    "m_gauge unless on (who) m_owner{who='a'}",
    "m_owner or on (who) m_gauge",
    "sum(nothing) or vector(0)",
    "0 * sum(m_gauge) / (0 * sum(m_gauge))",
    "1 / (0 * sum(m_gauge))",
    "absent(nothing{a='b'})",
    "absent(m_gauge)",
    "absent_over_time(nothing[5m])",
    "clamp(m_gauge, 10, 20)",
    "clamp_max(m_gauge, 10)",
    "abs(-m_gauge)",
    "round(m_gauge, 0.5)",
    "ceil(m_gauge)",
    "ln(m_gauge - m_gauge)",
    "sgn(m_gauge - 50)",
    "label_replace(m_gauge, 'new', 'x-$1', 'who', '(.)')",
    "label_join(m_gauge, 'both', '-', 'who', 'kind')",
    "scalar(sum(m_gauge))",
    "time() - sum(m_gauge)",
    "m_gauge offset 5m",
    "timestamp(m_gauge)",
    "max by (who) (timestamp(m_total offset 5m))",
    "timestamp(m_gone)",
    "timestamp(sum(m_gauge))",
    "max(max_over_time(timestamp(m_gone)[10m:10s]))",
    "rate(m_total[1m] offset 2m)",
    f"m_gauge @ {START + 600:.0f}",
    "max_over_time(rate(m_total[1m])[10m:30s])",
    "avg_over_time(sum(m_gauge)[5m:])",
    "quantile_over_time(0.5, (60 * sum(rate(m_total[1m])))[20m:15s])",
    "sum(m_total{who=~'a|b'}) % 7",
    "2 ^ 10",
    "sort_desc(m_gauge)",
    "m_gone",
    "rate(m_gone[5m])",
    "group(m_gauge) by (who)",
    "count_values('v', m_owner)",
]


def build() -> SeriesStore:
    """Fill a store with half an hour of samples, 5 s apart.

    Counters (one that resets), gauges, a histogram and a series that ends.
    """
    rng = random.Random(3)
    store = SeriesStore()
    counters = {(who, kind): 0.0 for who in "abc" for kind in "xy"}
    buckets = {(who, le): 0 for who in "ab" for le in ("10.0", "50.0", "100.0", "500.0", "+Inf")}
    for i in range(361):
        at = START + 5 * i
        for (who, kind), value in counters.items():
            counters[who, kind] = 0.0 if i == 200 and who == "b" else value + rng.randrange(20)
            store.series(labels_of("m_total", {"who": who, "kind": kind})).append(at, counters[who, kind])
            gauge = store.series(labels_of("m_gauge", {"who": who, "kind": kind}))
            gauge.append(at, round(rng.uniform(0, 100), 3))
        for who in "ab":
            for value in (rng.lognormvariate(4, 1) for _ in range(6)):
                for owner, le in buckets:
                    if owner == who and value <= float(le):
                        buckets[owner, le] += 1
        for (who, le), count in buckets.items():
            store.series(labels_of("m_took_bucket", {"who": who, "le": le})).append(at, float(count))
        for who, team in (("a", "red"), ("b", "blue"), ("c", "blue")):
            store.series(labels_of("m_owner", {"who": who, "team": team})).append(at, 1.0)
        if i < 320:
            store.series(labels_of("m_gone", {})).append(at, float(i))
    return store


def openmetrics(series: list[Series]) -> str:
    lines = []
    for one in series:
        labels = dict(one.labels)
        name = labels.pop("__name__")
        text = ",".join(f"{key}={json.dumps(value)}" for key, value in labels.items())
        lines += [f"{name}{{{text}}} {value!r} {at:.3f}" for at, value in zip(one.t, one.v, strict=True)]
    return "\n".join([*lines, "# EOF", ""])


def get(url: str, **params: str) -> dict[str, object]:
    with urlopen(url + ("?" + urlencode(params) if params else ""), timeout=10) as answer:
        body: dict[str, object] = json.loads(answer.read())
        return body


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urlopen(url, timeout=1):
                return
        except (URLError, OSError):
            assert process.poll() is None, "Prometheus did not start"
            assert time.monotonic() < deadline, "Prometheus did not answer"
            time.sleep(0.05)


def start(directory: Path, config: str) -> tuple[subprocess.Popen[bytes], str]:
    (directory / "prometheus.yml").write_text(config)
    port = free_port()
    process = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={directory / 'data'}",
            "--storage.tsdb.retention.time=100y",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=error",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=directory,
    )
    url = f"http://127.0.0.1:{port}"
    wait_for(url + "/-/ready", process)
    return process, url


def need_prometheus() -> None:
    if shutil.which("prometheus") is None or shutil.which("promtool") is None:
        if os.environ.get("CI"):
            pytest.fail("prometheus is not installed")
        pytest.skip("prometheus is not installed")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SeriesStore, str]]:
    """Start a Prometheus that holds the same samples as our store."""
    need_prometheus()
    directory = tmp_path_factory.mktemp("prometheus")
    store = build()
    (directory / "samples.om").write_text(openmetrics(list(store.all())))
    (directory / "data").mkdir()
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", "samples.om", "data"],
        cwd=directory,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    process, url = start(directory, "global: {}\n")
    yield store, url
    process.terminate()
    process.wait(10)


def ours(store: SeriesStore, query: str, at: float) -> dict[tuple[tuple[str, str], ...], float]:
    result = evaluate(store, query, [at])
    if isinstance(result, Scalar):
        return {(): result.values[0]}
    assert isinstance(result, list)
    return {labels: column[0] for labels, column in result if column[0] is not None}


def theirs(url: str, query: str, at: float) -> dict[tuple[tuple[str, str], ...], float]:
    data = get(url + "/api/v1/query", query=query, time=str(at))["data"]
    assert isinstance(data, dict)
    if data["resultType"] == "scalar":
        return {(): float(data["result"][1])}
    return {tuple(sorted(row["metric"].items())): float(row["value"][1]) for row in data["result"]}


def same(a: float, b: float) -> bool:
    return (math.isnan(a) and math.isnan(b)) or a == b or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)


def test_promql_agrees_with_prometheus(real: tuple[SeriesStore, str]) -> None:
    store, url = real
    wrong = []
    for query in QUERIES:
        for at in (NOW, NOW - 7.3, START + 1003.0, NOW + 200.0):
            mine, real_answer = ours(store, query, at), theirs(url, query, at)
            if mine.keys() != real_answer.keys() or not all(same(mine[k], real_answer[k]) for k in mine):
                wrong.append((query, at, mine, real_answer))
    assert not wrong, wrong[:3]


def test_ranges_agree_with_prometheus(real: tuple[SeriesStore, str]) -> None:
    store, url = real
    first, step = START + 600.0, 15.0
    steps = [first + i * step for i in range(61)]
    for query in ("sum by (who) (rate(m_total[1m]))", "m_gauge > 50", "m_gone", "sum(max_over_time(m_gauge[2m:20s]))"):
        data = get(url + "/api/v1/query_range", query=query, start=str(first), end=str(steps[-1]), step=str(step))[
            "data"
        ]
        assert isinstance(data, dict)
        real_rows = {
            tuple(sorted(row["metric"].items())): {at: float(value) for at, value in row["values"]}
            for row in data["result"]
        }
        result = evaluate(store, query, steps)
        assert isinstance(result, list)
        rows = {
            labels: {at: v for at, v in zip(steps, column, strict=True) if v is not None} for labels, column in result
        }
        assert rows.keys() == real_rows.keys(), query
        for labels, points in rows.items():
            assert points.keys() == real_rows[labels].keys(), query
            assert all(same(points[at], real_rows[labels][at]) for at in points), query


async def test_a_real_prometheus_scrapes_the_drill(tmp_path: Path) -> None:
    need_prometheus()
    from cockpit.drill.prometheus.server import PrometheusServer
    from cockpit.drill.world import World

    world = World(seed=7, clock=World.past_clock(START), history_s=60.0)
    runner = web.AppRunner(PrometheusServer(world).application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    config = f"""
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: drill
  static_configs: [{{targets: ["{host}:{port}"]}}]
"""
    process, url = await asyncio.to_thread(start, tmp_path, config)
    try:
        expected = {name for name, spec in METRICS.items() if spec.kind != "histogram" and name != "up"}
        expected |= {f"{name}_bucket" for name, spec in METRICS.items() if spec.kind == "histogram"}
        deadline = time.monotonic() + 20
        names: set[str] = set()
        while not expected <= names:  # a scrape is taken up name by name
            assert time.monotonic() < deadline, f"not scraped: {expected - names}"
            await asyncio.sleep(0.2)
            answer = await asyncio.to_thread(get, url + "/api/v1/label/__name__/values")
            names = set(answer["data"])  # type: ignore[call-overload]
        runbooks = tomllib.loads((ROOT / "runbooks.toml").read_text())
        for section in ("queries", "signals"):
            for name, entry in runbooks[section].items():
                if "promql" in entry:  # a real Prometheus accepts every query as it is written
                    body = await asyncio.to_thread(get, url + "/api/v1/query", query=entry["promql"])
                    assert body["status"] == "success", name
    finally:
        process.terminate()
        process.wait(10)
        await runner.cleanup()
