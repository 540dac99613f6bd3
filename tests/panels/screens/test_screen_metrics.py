"""The view of a service's own metrics: what is listed, filtered, and how it says that they are not
live.
"""

from __future__ import annotations

import pytest
from msgspec import structs

from cockpit.model.observed.metrics import Exposed
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.situation import Situation
from panels.app.palette import commands
from panels.messages import OpenView
from panels.screens.metrics import MetricsView, series
from tests.support.samples import situations
from tests.support.samples.dialogs import Harness

SAMPLES = (
    Exposed("m0_output_age_ms", {"market": "nba", "tier": "a"}, 4200.0),
    Exposed("m0_output_age_ms", {"market": "cpi", "tier": "b"}, float("nan")),
    Exposed("m0_reveals_total", {}, 1234567.5),
    *(Exposed("m0_filler", {"n": str(n)}, n) for n in range(100)),
)


def situation_of(
    data: tuple[Exposed, ...] | None = SAMPLES, fault: Fault | None = None, age_s: float = 1.0
) -> Situation:
    reading = Reading("metrics/m0-quant", data, None if data is None else situations.MONO - age_s, fault=fault)
    return structs.replace(situations.calm(), metrics={"m0-quant": reading})


def lines(view: MetricsView) -> list[str]:
    rows = view.rows
    return [rows.render_line(y).text.rstrip() for y in range(rows.size.height)]


def state(view: MetricsView) -> str:
    return "".join(text for text, _ in view.query_one("#state")._said)  # type: ignore[attr-defined]


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_names_labels_and_values_are_listed_and_scrolled(size: tuple[int, int]) -> None:
    app = Harness(lambda: MetricsView("m0-quant", situation_of()))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        view = app.subject
        first = lines(view)
        assert first[0].startswith(' m0_output_age_ms{market="nba", tier="a"}') and first[0].endswith(" 4,200")
        assert first[1].endswith(" nan") and first[2].endswith(" 1,234,567.5")
        assert "● LIVE" in state(view) and "103 series" in state(view)
        await pilot.press("end")
        assert lines(view)[-1].startswith(' m0_filler{n="99"}')
        await pilot.press("home")
        assert lines(view) == first


async def test_the_filter_wants_every_word_and_escape_takes_it_back() -> None:
    app = Harness(lambda: MetricsView("m0-quant", situation_of()))
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.pause()
        view = app.subject
        await pilot.press("slash", *"age cpi", "enter")
        await pilot.pause()
        assert [text for text in lines(view) if text] == [lines(view)[0]] and 'market="cpi"' in lines(view)[0]
        assert "1 series   /age cpi" in state(view)
        await pilot.press("slash", *"/zzz", "escape")
        await pilot.pause()
        assert "/age cpi" in state(view)


async def test_what_is_not_live_says_so() -> None:
    app = Harness(lambda: MetricsView("m0-quant", situation_of()))
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.pause()
        view = app.subject
        view.show(situation_of(fault=Fault(SourceState.DOWN, "HTTP 503"), age_s=40.0))
        assert "? DOWN 40s" in state(view) and "HTTP 503" in state(view) and "4,200" in lines(view)[0]
        view.show(situation_of(fault=Fault(SourceState.OFF, "not read while Prometheus answers"), age_s=400.0))
        assert "○ OFF" in state(view)
        view.show(situation_of(None))
        assert "nothing read yet" in lines(view)[0]
        view.show(situations.calm())
        assert "no address for m0-quant" in lines(view)[0]


def test_the_palette_offers_each_service_that_has_an_address() -> None:
    found = {c.title: c for c in commands(situation_of(), situations.runbooks())}
    opened = found["Metrics m0-quant (direct)"].request()
    assert isinstance(opened, OpenView) and (opened.name, dict(opened.args)) == ("metrics", {"service": "m0-quant"})
    assert series(SAMPLES[2]) == "m0_reveals_total"
