"""A panel in full, over the runbook that asked for it: every column and line at both sizes, and esc
asks to go back.
"""

from __future__ import annotations

import pytest

from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.situation import Situation
from panels.dashboard.watermark import WatermarkPanel
from panels.messages import CloseLayer
from panels.screens.panel import PanelView
from tests.support.samples import situations
from tests.support.samples.dialogs import Harness


def lagging() -> Situation:
    wrong = (("sports", "rate_limited", 812.0), ("sports", "timeout", 0.5), ("crypto", "timeout", 0.5))
    samples = tuple(Sample({"connector": name, "reason": reason}, rate) for name, reason, rate in wrong)
    results = situations.queries(connector_errors_by_reason=QueryResult(samples, (), (), situations.WALL))
    return situations.calm(queries=situations.readings(results))


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_which_connector_lags_and_why_stands_in_one_row(size: tuple[int, int]) -> None:
    app = Harness(lambda: PanelView(WatermarkPanel, lagging()))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        panel = app.subject.panel
        rows = [panel.render_line(y).text for y in range(panel.size.height)]
        sports = next(row for row in rows if "sports" in row)
        assert "1.2s" in sports and "210ms" in sports and "rate_limited 812/min" in sports
        assert any("backlog" in row and "events 310" in row for row in rows)
        assert any("workers" in row and "keep up 41" in row for row in rows)
        await pilot.press("escape")
        assert len(app.requested(CloseLayer)) == 1
