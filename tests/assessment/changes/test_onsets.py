"""When it began is found in the history, within a scrape, whenever the cockpit was started."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import pytest

from cockpit.assessment.changes.onsets import FINE_S, SPANS, Limits, began, dated
from cockpit.model.observed.metrics import History
from cockpit.model.runbook import SignalDef
from cockpit.model.signal import Level, SignalStatus

NOW = 1_790_000_000.0
LAG = SignalDef(title="Lag", promql="lag", warn=10.0, crit=30.0)
STATUS = SignalStatus("lag", "Lag", Level.CRIT, 50.0, "s", warn=10.0, crit=30.0)


def server(value: Callable[[float], float]) -> Callable[..., object]:
    """Answer as Prometheus does: a point each step, and none where there is nothing."""

    async def ranges(promql: str, start: float, end: float, step: float) -> tuple[History, ...]:
        at = [start + step * number for number in range(int((end - start) / step) + 1)]
        points = tuple((t, value(t)) for t in at)
        return (msgspec.convert({"labels": {}, "points": points}, History, strict=False),)

    return ranges


@pytest.mark.parametrize("ago_s", [90.0, 700.0, 4000.0, 20_000.0, 90_000.0])
async def test_the_beginning_is_found_however_long_ago(ago_s: float) -> None:
    found = await dated("lag", LAG, STATUS, server(lambda t: 50.0 if t >= NOW - ago_s else 1.0), NOW)  # type: ignore[arg-type]
    assert found is not None and not found.at_latest
    assert abs(found.at - (NOW - ago_s)) <= max(found.within_s, FINE_S) + 1.0, NOW - found.at


async def test_it_began_when_it_left_its_band_not_when_it_was_bad() -> None:
    """A rate over minutes passes its threshold long after it began to move."""
    rises = lambda t: 1.0 + max(0.0, (t - (NOW - 600.0)) / 20.0) + 0.1 * math.sin(t)  # noqa: E731
    found = await dated("lag", LAG, STATUS, server(rises), NOW)  # type: ignore[arg-type]
    assert found is not None and -10.0 <= found.at - (NOW - 600.0) <= 60.0


async def test_what_was_bad_all_along_is_said_to_be_so() -> None:
    found = await dated("lag", LAG, STATUS, server(lambda t: 50.0), NOW)  # type: ignore[arg-type]
    assert found is not None and found.at_latest and found.at <= NOW - SPANS[-1][0] + 1.0


async def test_what_is_well_has_no_beginning_and_gaps_make_none() -> None:
    assert await dated("lag", LAG, STATUS, server(lambda t: 1.0), NOW) is None  # type: ignore[arg-type]
    gaps = lambda t: math.nan if t > NOW - 300.0 else 1.0  # noqa: E731
    assert await dated("lag", LAG, STATUS, server(gaps), NOW) is None  # type: ignore[arg-type]


def test_a_moment_that_was_well_does_not_part_a_bad_time() -> None:
    limits = Limits("above", 10.0, 30.0)
    points = [(float(t), 50.0 if t >= 1000 and not 1500 <= t < 1560 else 1.0) for t in range(0, 2000, 15)]
    assert points[began(points, limits) or 0][0] == 1005.0
    assert began([(float(t), 1.0) for t in range(100)], limits) is None
