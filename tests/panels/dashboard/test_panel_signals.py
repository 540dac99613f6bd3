"""The Signals panel with Prometheus' own alerts; and that every cell is painted in the theme's
background.
"""

from __future__ import annotations

import pytest
from msgspec import structs

from cockpit.model.observed.metrics import Alert
from cockpit.model.reading import SourceState
from cockpit.model.runbook import Match, Runbook, Toggle
from cockpit.model.signal import ALERT, SIGNAL, Level
from cockpit.model.situation import Publishing, PublishingState, Situation, SourceLight, ToggleStatus
from panels.dashboard.signals import SignalsPanel
from panels.dashboard.strips.matchline import match_line
from panels.dashboard.toggles import TogglesPanel
from panels.kit.spans import plain
from tests.support.harness import DashboardApp
from tests.support.samples import situations


def rows(situation: Situation, text: str = "") -> list[list[str]]:
    panel = SignalsPanel()
    panel.filter = text
    return [[piece[0] for piece in panel.cells(key, situation)] for key in panel.keys(situation)]


def alert(name: str, state: str = "firing", summary: str = "", **labels: str) -> Alert:
    return Alert(name, state, {"alertname": name, **labels}, summary)


def test_alerts_stand_between_what_is_bad_and_what_is_well_firing_before_pending() -> None:
    found = rows(situations.rpc_outage())
    states = [row[0].split()[-1] for row in found]
    order = ["CRIT", "WARN", "UNKNOWN", "FIRING", "PENDING", "OK"]
    assert [s for i, s in enumerate(states) if i == 0 or s != states[i - 1]] == order
    alerts = [row for row in found if "FIRING" in row[0] or "PENDING" in row[0]]
    assert [row[:2] for row in alerts] == [
        ["▲ FIRING", "M0PublishSuccessLow"],
        ["◐ FIRING", "M0WatermarkLag"],
        ["◐ PENDING", "M0OutputsStale"],
    ]
    assert alerts[0][3] == "Fewer than 95 % of ticks are published"
    assert alerts[1][3] == "connector=sports: Behind by more than 60 s"


def test_their_number_is_in_the_title_and_their_words_can_be_filtered() -> None:
    situation = situations.rpc_outage()
    assert "2 firing 1 pending" in plain(SignalsPanel().aside(situation))
    assert [row[1] for row in rows(situation, "sports")] == ["M0WatermarkLag"]
    assert [row[1] for row in rows(situation, "firing")] == ["M0PublishSuccessLow", "M0WatermarkLag"]


def test_a_firing_alert_alone_makes_the_panel_want_attention() -> None:
    panel = SignalsPanel()
    assert panel.level(situations.calm()) is Level.OK
    assert panel.level(situations.calm(alerts=(alert("A", "pending"),))) is Level.OK
    assert panel.level(situations.calm(alerts=(alert("A", severity="warning"),))) is Level.WARN
    assert panel.level(situations.calm(alerts=(alert("A"),))) is Level.CRIT


def test_alerts_that_cannot_be_read_are_reported_as_what_they_were() -> None:
    down = SourceLight("prom", SourceState.STALE, 60.0, parts=(("alerts", SourceState.DENIED, "403 for alerts"),))
    situation = situations.calm(alerts=(alert("A", summary="broken"),), sources=(down,))
    (row,) = [row for row in rows(situation) if row[1] == "A"]
    assert row[0] == "? firing" and row[3] == "was: broken"
    panel = SignalsPanel()
    assert panel.level(situation) is Level.UNKNOWN and "1 firing?" in plain(panel.aside(situation))
    (trouble,) = panel.trouble(situation)
    assert (trouble.what, trouble.state, trouble.reason) == ("alerts", "denied", "403 for alerts")


def test_two_alerts_of_one_name_are_two_rows_and_the_cursor_keeps_its_own() -> None:
    two = (alert("Lag", connector="a"), alert("Lag", connector="b"))
    panel = SignalsPanel()
    keys = [k for k in panel.keys(situations.calm(alerts=two)) if isinstance(k, tuple)]
    assert len(keys) == 2
    over = panel.cells(keys[1], situations.calm(alerts=two[:1]))
    assert [piece[0] for piece in over][:2] == ["● over", "Lag"]


def test_a_toggle_that_is_set_nowhere_is_one_row() -> None:
    toggle = Toggle(deployments=("m0-quant", "m0-submitter"), values=("true", "false"))
    unset = tuple(ToggleStatus("M0_MARKET_PAUSE_*", toggle, on, None, "unset") for on in toggle.deployments)
    lines = [plain(line) for line in TogglesPanel().content(situations.calm(toggles=unset), 110)]
    (row,) = [line for line in lines if "M0_MARKET_PAUSE_*" in line]
    assert "quant, submitter" in row
    half = (ToggleStatus("M0_MARKET_PAUSE_X", toggle, "m0-quant", "true", "differs"), unset[1])
    lines = [plain(line) for line in TogglesPanel().content(situations.calm(toggles=half), 110)]
    assert len([line for line in lines if "M0_MARKET_PAUSE_" in line]) == 2


def test_symptoms_that_hold_on_a_calm_day_name_no_runbook() -> None:
    """ "Commits are confirmed" holds, yet no symptom that tells of trouble does: the score is 0."""
    calm_day = structs.replace(situations.match(4, "Commit succeeds, reveal fails", True, False), score=0.0)
    line = plain(match_line(situations.calm(matches=(calm_day,)), 160))
    assert "MATCH" not in line and "no runbook matches" in line


@pytest.mark.parametrize("name", ["rpc_outage", "denied"])
@pytest.mark.parametrize("size", [(160, 48), (80, 24)])
async def test_every_cell_is_painted(name: str, size: tuple[int, int]) -> None:
    app = DashboardApp(getattr(situations, name)())
    async with app.run_test(size=size):
        for widget in app.dashboard.children:
            for y in range(widget.size.height):
                strip = widget.render_line(y)
                assert strip.cell_length == widget.size.width
                bare = [s.text for s in strip if s.style is None or s.style.bgcolor is None]
                assert not bare, (widget, y, bare)


def test_the_match_line_cuts_the_title_before_it_cuts_how_many_symptoms_hold() -> None:
    runbook = Runbook(id="watermark-lag", number=6, title="Data ingestion lag / watermark lag", severity="SEV2")
    lags = Match(runbook=runbook, symptoms=(), held=3, unknown=0, total=3, score=3.0)
    narrow, wide = (plain(match_line(situations.calm(matches=(lags,)), width)) for width in (80, 120))
    assert "3 of 3  " in narrow and "6 Data ingestion lag / watermark" in narrow and narrow.endswith("K kill switch ")
    assert "Data ingestion lag / watermark lag  3 of 3 symptoms" in wide


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_what_is_chosen_is_on_screen(size: tuple[int, int]) -> None:
    """U7: `x` and `l` on a signal explained a pod that nobody saw."""
    app = DashboardApp(situations.rpc_outage())
    async with app.run_test(size=size):
        app.dashboard.focus_panel("signals")
        chosen = app.dashboard.selection
        panel = app.dashboard.panels["signals"]
        assert isinstance(panel, SignalsPanel) and chosen is not None
        assert (chosen.kind, chosen.name) == (SIGNAL, panel.selected_key)
        assert panel.point_at(next(key for key in panel.keys_shown if isinstance(key, tuple)))
        chosen = panel.selection
        assert chosen is not None and chosen.kind == ALERT, "an alert that names no signal is explained itself"
        app.dashboard.focus_panel("signers")
        seen = app.dashboard.selection
        assert (seen is not None and seen.kind != SIGNAL) is (size == (160, 48)), "Pods is in sight only there"


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_what_was_stopped_here_is_said_on_the_dashboard_and_is_no_match(size: tuple[int, int]) -> None:
    """U2: after the kill switch runbook 1 led the line, and nothing said who had stopped it."""
    outage = situations.rpc_outage()
    best = outage.matches[0]
    words = "publishing stopped by ops1, journal #2, 21 s ago: m0-submitter is scaled to 0"
    stopped = structs.replace(
        outage,
        notices=(),
        matches=(structs.replace(best, held_back=words, pinned=False),),
        publishing=Publishing(PublishingState.OURS, words=words),
    )
    app = DashboardApp(stopped)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        text = app.text()
        assert "publishing stopped by ops1, journal #2, 21 s ago" in text
        assert "MATCH" not in text and f"held back  {best.runbook.number} " in text
