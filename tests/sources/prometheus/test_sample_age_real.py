"""P12, P4: signals on samples that stand still, or are gone, in a real Prometheus."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from cockpit.assessment.board import Board
from cockpit.assessment.lights import lights
from cockpit.assessment.signals import Evaluator
from cockpit.clock import SystemClock
from cockpit.config import load_settings
from cockpit.model.observed.cluster import Cluster
from cockpit.model.reading import SourceState
from cockpit.model.runbook import Runbooks, SignalDef
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import SourceLight
from cockpit.sources.examination import Examination, State
from cockpit.sources.prometheus import doctor
from cockpit.sources.prometheus.address import PrometheusAddress
from cockpit.sources.prometheus.queries import query_specs
from cockpit.sources.prometheus.source import PrometheusSource, QuerySpec
from tests.support.prometheus_rig import STALE, Series, prometheus_at, write
from tests.support.waiting import HANG_S

pytestmark = pytest.mark.real


@pytest.fixture
async def prometheus(need: Callable[[str], str], tmp_path: Path) -> AsyncIterator[str]:
    async with prometheus_at(need("prometheus"), tmp_path) as url:
        yield url


def past(until_s: float, every_s: float = 15.0, value: float = 1.0, grow: float = 0.0) -> Sequence[tuple[float, float]]:
    """Ten minutes of samples up to so many seconds ago."""
    now = time.time()
    count = int(600 / every_s)
    return [(now - until_s - every_s * n, value + grow * (count - n)) for n in range(count, -1, -1)]


def lag(connector: str, until_s: float, value: float = 1500.0, **more: float) -> Series:
    return {"__name__": "lag_ms", "connector": connector}, past(until_s, value=value, **more)


def signal(promql: str, **more: object) -> SignalDef:
    given = {"title": "X", "promql": promql, "unit": "s", "warn": 10.0, "crit": 60.0, **more}
    return SignalDef(**given)  # type: ignore[arg-type]


async def judged(url: str, rounds: int = 1, **signals: SignalDef) -> tuple[dict[str, SignalStatus], SourceLight]:
    """What the signals and the light say, by the engine's own parts, after so many rounds."""
    runbooks = Runbooks(queries={}, signals=signals, stages=(), services={}, toggles={}, runbooks=())
    clock, board = SystemClock(), Board()
    specs = {name: QuerySpec(*spec) for name, spec in query_specs(runbooks).items()}
    source = PrometheusSource(PrometheusAddress(url), specs, 0.05, clock)
    evaluator = Evaluator(runbooks, clock)
    seen = 0
    async with asyncio.timeout(HANG_S), aclosing(source.readings()) as readings:
        async for reading in readings:
            board.put(reading)
            seen += reading.topic == "prometheus/alerts"
            if seen >= rounds and len(board.under("prometheus/")) == len(specs) + 1:
                break
    statuses = evaluator.evaluate(board, Cluster(), clock.wall())
    light = next(one for one in lights(board, clock.mono(), frozenset({"prometheus"})) if one.name == "prom")
    return statuses, light


LAG = "max by (connector) (lag_ms) / 1000"


async def test_samples_that_stand_still_are_unknown_by_their_own_age(prometheus: str) -> None:
    """P12, as seen: an exporter whose timestamps stood still was OK, 0.05 s old, for minutes."""
    counter = past(130.0, value=1000.0, grow=5.0)
    buckets: list[Series] = [({"__name__": "took_bucket", "le": le}, counter) for le in ("10", "+Inf")]
    await write(prometheus, [lag("a", 130.0), ({"__name__": "errors_total", "kind": "x"}, counter), *buckets])
    found, light = await judged(
        prometheus,
        gauge=signal(LAG),
        total=signal("sum(lag_ms) / 100000"),
        rate=signal("60 * sum(rate(errors_total[5m])) or 0 * sum(rate(nothing[5m]))", warn=500.0, crit=600.0),
        quantile=signal("histogram_quantile(0.95, sum by (le) (rate(took_bucket[5m]))) / 1000"),
    )
    for status in found.values():
        assert status.level is Level.UNKNOWN and status.reason.startswith("last sample 2:1"), status
        assert status.age_s is not None and 125 < status.age_s < 145
        assert status.sampled_at is not None and 125 < SystemClock().mono() - status.sampled_at < 145
        assert status.value is not None, "the last value is shown"
    assert light.state is SourceState.STALE and "asked 0 s ago, newest sample 2:1" in light.reason, light
    assert light.asked_s is not None and light.asked_s < 30 < 125 < (light.age_s or 0.0)


async def test_fresh_samples_have_their_own_age_not_the_questions(prometheus: str) -> None:
    await write(prometheus, [lag("a", 9.0)])
    found, light = await judged(prometheus, lag=signal(LAG))
    assert found["lag"].level is Level.OK and 8.5 < (found["lag"].age_s or 0.0) < 20
    assert light.state is SourceState.LIVE and (light.age_s or 0.0) > 8.5 and (light.asked_s or 0.0) < 5


async def test_one_series_of_two_that_stands_still_may_be_the_worst(prometheus: str) -> None:
    await write(prometheus, [lag("fresh", 2.0), lag("still", 130.0)])
    (status,) = (await judged(prometheus, lag=signal(LAG)))[0].values()
    assert status.level is Level.UNKNOWN and "last sample 2:1" in status.reason and "still" in status.reason


async def test_what_is_bad_and_fresh_stays_bad_beside_what_stands_still(prometheus: str) -> None:
    await write(prometheus, [lag("fresh", 2.0, value=240_000.0), lag("still", 130.0)])
    (status,) = (await judged(prometheus, lag=signal(LAG)))[0].values()
    assert status.level is Level.CRIT and status.worst_labels == {"connector": "fresh"} and "still" in status.reason


async def test_a_rate_whose_target_is_gone_is_as_old_as_its_last_sample(prometheus: str) -> None:
    """P12: with the target gone `rate(x[5m])` answers on; an instant selector finds nothing."""
    points = [*past(100.0, value=10.0, grow=1.0), (time.time() - 99.0, STALE)]
    await write(prometheus, [({"__name__": "errors_total"}, points)])
    (status,) = (await judged(prometheus, errors=signal("sum(rate(errors_total[5m]))")))[0].values()
    assert status.level is Level.UNKNOWN and status.reason.startswith(("last sample 1:4", "last sample 1:5")), status


@pytest.mark.parametrize(("until_s", "level"), [(55.0, Level.OK), (170.0, Level.OK), (200.0, Level.UNKNOWN)])
async def test_three_scrapes_may_be_missed_however_far_they_are_apart(
    prometheus: str, until_s: float, level: Level
) -> None:
    await write(prometheus, [lag("a", until_s, every_s=60.0)])
    (status,) = (await judged(prometheus, lag=signal(LAG)))[0].values()
    assert status.level is level, status


async def test_a_query_without_samples_is_as_old_as_its_answer(prometheus: str) -> None:
    await write(prometheus, [lag("a", 2.0)])
    found, _ = await judged(
        prometheus, constant=signal("vector(1)"), absent=signal("sum(nothing_at_all) or vector(0)"), lag=signal(LAG)
    )
    assert {name: status.level for name, status in found.items()} == dict.fromkeys(found, Level.OK)


async def test_one_query_that_is_refused_leaves_the_others_their_ages(prometheus: str) -> None:
    """Two metrics of the same labels make `timestamp({__name__=~…})` an error of its own."""
    twin = {"__name__": "other_ms", "connector": "a"}
    await write(prometheus, [lag("a", 2.0), (twin, past(2.0))])
    found, _ = await judged(
        prometheus,
        odd=signal('max({__name__=~"lag_ms|other_ms"}) / 100000'),
        broken=signal('lag_ms{connector=~"("}'),
        lag=signal(LAG),
    )
    assert found["lag"].level is Level.OK
    assert found["odd"].level is Level.UNKNOWN and "how old its samples are is not known" in found["odd"].reason
    assert found["broken"].level is Level.UNKNOWN and "rejected" in found["broken"].reason


RATE = "60 * sum(rate(errors_total[1m])) or 0 * sum(rate(lag_ms[1m]))"


async def test_a_window_with_one_sample_says_so(prometheus: str) -> None:
    """R7: scraped each minute, `rate(x[1m])` is empty; "the metric does not exist", it said."""
    counter = past(20.0, every_s=60.0, value=10.0, grow=1.0)
    await write(prometheus, [({"__name__": "errors_total"}, counter), lag("a", 20.0, every_s=60.0)])
    found, _ = await judged(prometheus, errors=signal(RATE), none=signal("rate(nothing[1m])"), lag=signal(LAG))
    assert found["errors"].reason == "no data: one sample in 1m; scraped each 60 s"
    assert found["none"].reason == "no data: the metric does not exist or nothing matches"
    assert found["lag"].level is Level.OK


async def test_the_doctor_finds_short_windows_before_the_incident(prometheus: str, tmp_path: Path) -> None:
    """R7: at 45 s a minute holds two samples now and then; the doctor tells in calm times."""
    points = [*past(20.0, every_s=45.0, value=10.0, grow=1.0)]
    await write(prometheus, [({"__name__": "errors_total"}, points), lag("a", 2.0)])
    config = tmp_path / "config.toml"
    config.write_text(f'[prometheus]\nurl = "{prometheus}"\n')
    settings = load_settings(config=str(config), kubeconfig=str(tmp_path / "none"), env={})
    wide = signal("sum(rate(errors_total[5m]))")
    runbooks = Runbooks(
        queries={}, signals={"short": signal(RATE), "wide": wide}, stages=(), services={}, toggles={}, runbooks=()
    )
    found = {finding.check: finding for finding in await doctor.examine(Examination(settings, runbooks))}
    assert found["server"].state is State.OK and found["scrapes"].state is State.WARN
    assert "one sample in 1m; scraped each 4" in found["scrapes"].words and "short" in found["scrapes"].words
    assert "wide" not in found["scrapes"].words and "runbooks file" in found["scrapes"].remedy


async def test_a_series_that_was_bad_and_is_gone_is_unknown(prometheus: str) -> None:
    """P4: the worst connector's worker dies, its series goes; what is left looks well."""
    bad = [*past(60.0, value=240_000.0), (time.time() - 45.0, STALE)]
    await write(prometheus, [({"__name__": "lag_ms", "connector": "dead"}, bad), lag("well", 2.0)])
    (status,) = (await judged(prometheus, lag=signal(LAG)))[0].values()
    assert status.level is Level.UNKNOWN and status.value == 1.5, status
    assert status.reason.startswith("connector=dead: 240 s") and status.reason.endswith("then gone"), status
