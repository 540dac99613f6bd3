"""The Prometheus source against a real Prometheus, started as a child."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from cockpit.clock import SystemClock
from cockpit.model.reading import Reading
from cockpit.sources.prometheus.address import PrometheusAddress
from cockpit.sources.prometheus.source import PrometheusSource, QuerySpec
from tests.support.prometheus_rig import prometheus_at
from tests.support.readings import data_of, fault_in, kept
from tests.support.waiting import HANG_S

pytestmark = pytest.mark.real


@pytest.fixture
async def prometheus(need: Callable[[str], str], tmp_path: Path) -> AsyncIterator[str]:
    rules = tmp_path / "rules.yml"
    rules.write_text(
        "groups: [{name: g, interval: 1s, rules: [{alert: Always, expr: vector(1), annotations: {summary: on purpose}}]}]"
    )
    config = f"global: {{evaluation_interval: 1s}}\nrule_files: [{rules}]\n"
    async with prometheus_at(need("prometheus"), tmp_path, config) as url:
        yield url


async def test_a_real_server_is_read_as_it_answers(prometheus: str) -> None:
    queries = {
        "vector": QuerySpec("vector(2)", 600.0, 30.0),
        "scalar": QuerySpec("scalar(vector(3))", None, 30.0),
        "nan": QuerySpec("vector(0) / vector(0)", None, 30.0),
        "empty": QuerySpec("nothing_of_the_kind", None, 30.0),
        "broken": QuerySpec("sum(", None, 30.0),
        "matrix": QuerySpec("up[5m]", None, 30.0),
    }
    newest: dict[str, Reading[Any]] = {}
    source = PrometheusSource(PrometheusAddress(prometheus), queries, 0.1, SystemClock())
    async with asyncio.timeout(HANG_S), aclosing(source.readings()) as readings:
        async for reading in readings:
            newest[reading.topic.removeprefix("prometheus/")] = reading
            if len(newest) == 7 and kept(newest["alerts"]):
                break
    assert data_of(newest["vector"]).samples[0].value == 2.0 and len(data_of(newest["vector"]).history[0].points) > 100
    assert abs(data_of(newest["vector"]).evaluated_at - time.time()) < 60
    assert data_of(newest["scalar"]).samples[0].value == 3.0
    assert data_of(newest["nan"]).samples[0].value != data_of(newest["nan"]).samples[0].value
    assert data_of(newest["empty"]).samples == () and fault_in(newest["empty"]) is None
    assert fault_in(newest["broken"]) is not None and "parse error" in fault_in(newest["broken"]).reason
    assert fault_in(newest["matrix"]) is not None
    assert data_of(newest["alerts"])[0].name == "Always" and data_of(newest["alerts"])[0].summary == "on purpose"
