"""The dashboard as an operator uses it: all at once or as tabs, through resizes, with nothing that
is unknown passing for OK.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from textual.geometry import Region, Size
from textual.widget import Widget

from cockpit.model.signal import Level
from cockpit.model.views import PANELS
from panels.dashboard.arrangement import arrange
from panels.kit.theme import MARK, Appearance
from tests.support.harness import DashboardApp
from tests.support.samples import situations

WIDE, NARROW = (160, 48), (80, 24)


def record(app: DashboardApp) -> list[tuple[str, tuple[Region, ...]]]:
    """From now on, what each part of the dashboard repaints: (its id, the regions; none means all
    of it).
    """
    painted: list[tuple[str, tuple[Region, ...]]] = []
    for part in app.dashboard._parts:

        def refresh(*regions: Region, part: Widget = part, **more: bool) -> Widget:
            painted.append((part.id or "", regions))
            return part

        part.refresh = refresh  # type: ignore[method-assign, assignment]
    return painted


async def test_all_panels_are_on_screen_at_160_by_48() -> None:
    app = DashboardApp(situations.rpc_outage())
    async with app.run_test(size=WIDE):
        for panel in app.dashboard.panels.values():
            assert panel.size.area > 0, panel.spec.name
        text = app.text()
        assert "it stops at: commit" in text
        assert "MATCH  1 Publishing stops  3 of 3 symptoms" in text
        assert "PRODUCTION" in text and "READ-WRITE" in text


async def test_at_80_by_24_keys_bring_up_one_panel_after_the_other() -> None:
    app = DashboardApp(situations.rpc_outage())
    async with app.run_test(size=NARROW) as pilot:
        for row in PANELS:
            app.dashboard.focus_panel(row.name)
            await pilot.pause()
            await pilot.pause()
            assert app.focused is app.dashboard.panels[row.name]
            assert f"{app.dashboard.panels[row.name].hotkey} {row.title}" in app.text()
            assert app.dashboard.panels[row.name].size.width == 80


async def test_the_tab_line_marks_what_wants_attention() -> None:
    app = DashboardApp(situations.rpc_outage())
    async with app.run_test(size=NARROW):
        tabs = app.picture()[5]
        assert (
            "1Pod!!" in tabs
            and "4Wat?" in tabs
            and "6Grd " in tabs
            and "7API!" in tabs
            and "0Sig!!" in tabs
            and "-PG" in tabs
        )


async def test_tab_key_walks_through_panels_that_are_off_screen() -> None:
    app = DashboardApp(situations.calm())
    async with app.run_test(size=NARROW) as pilot:
        await pilot.press("tab")
        await pilot.pause()
        assert app.dashboard.focused_panel.spec.name == "publish"
        assert app.dashboard.panels["publish"].size.width == 80


async def test_a_storm_of_resizes_keeps_focus_and_cursor() -> None:
    app = DashboardApp(situations.huge(300))
    async with app.run_test(size=WIDE) as pilot:
        await pilot.press("down", "down", "down")
        selected = app.dashboard.selection
        assert selected is not None
        for size in [(80, 24), (60, 20), (120, 30), (10, 3), (200, 60), (81, 25), (1, 1), (160, 48)] * 2:
            await pilot.resize_terminal(*size)
        await pilot.pause()
        assert app.dashboard.selection == selected
        assert app.focused is app.dashboard.pods
        assert app.dashboard.panels["journal"].size.area > 0


async def test_a_terminal_that_is_too_small_says_so_in_one_line_and_comes_back() -> None:
    app = DashboardApp(situations.calm())
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        assert [line for line in app.picture() if line] == ["needs 80×24, this is 60×20"]
        await pilot.resize_terminal(80, 23)  # tmux's status line keeps a row of a terminal of 24
        await pilot.pause()
        assert "1 Pods" in app.text()
        assert app.focused is app.dashboard.pods


@pytest.mark.parametrize("width", [80, 81, 100, 119, 120, 149, 150, 160, 240])
@pytest.mark.parametrize("height", [22, 24, 30, 37, 38, 47, 80])
def test_parts_fill_the_dashboard_and_never_overlap(width: int, height: int) -> None:
    for row in PANELS:
        regions = arrange(Size(width, height), Size(width, max(24, height)), 1, row.name)
        assert row.name in regions
        parts = list(regions.values())
        assert sum(r.area for r in parts) == width * height
        assert all(Region(0, 0, width, height).contains_region(r) for r in parts)
        assert not any(a.overlaps(b) for i, a in enumerate(parts) for b in parts[i + 1 :])


@pytest.mark.parametrize("size", [WIDE, NARROW, (120, 30), (100, 60)])
async def test_what_is_stale_never_looks_ok(size: tuple[int, int]) -> None:
    app = DashboardApp(situations.stale())
    async with app.run_test(size=size) as pilot:
        for row in PANELS:
            app.dashboard.focus_panel(row.name)
            await pilot.pause()
            text = app.text()
            assert MARK[Level.OK] not in text
            assert " OK" not in text
            assert "STALE 44s" in text and "DOWN 2m" in text


async def test_denied_and_unconfigured_sources_say_what_to_do() -> None:
    app = DashboardApp(situations.denied())
    async with app.run_test(size=WIDE):
        text = app.text()
        assert "pods in m0-prod: denied: cannot list pods" in text
        assert "grant it with deploy/rbac.yaml" in text
        assert "start with --prometheus URL" in text
        assert "runbooks.toml:12" in text
        assert "READ-ONLY" in text
        assert "no pods in" not in text  # nobody knows that
        assert "cannot tell: 3 symptoms unknown" in text


async def test_calm_says_that_nothing_matches_and_that_it_flows() -> None:
    app = DashboardApp(situations.calm())
    async with app.run_test(size=WIDE):
        text = app.text()
        assert "no runbook matches" in text and "flowing" in text
        assert "CRIT" not in text and "WARN" not in text and "UNKNOWN" not in text


async def test_only_the_clock_is_repainted_when_only_the_time_moved() -> None:
    situation = situations.calm()
    app = DashboardApp(situation)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        painted = record(app)
        app.dashboard.show(replace(situation, wall=situation.wall + 1))
        assert [name for name, _ in painted] == ["top"]
        (region,) = painted[0][1]
        assert region.width <= 8 and region.height == 1


async def test_only_the_row_that_changed_is_repainted() -> None:
    situation = situations.calm()
    app = DashboardApp(situation)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        painted = record(app)
        by_name = {s.name: s for s in situation.services}
        changed = replace(by_name["m0-quant"], restarts=1)
        services = tuple(changed if s.name == "m0-quant" else s for s in situation.services)
        app.dashboard.show(
            replace(situation, services=services, mono=situation.mono + 1.5, kinds=situations.kinds(-0.5))
        )
        pods = [regions for name, regions in painted if name == "panel-pods"]
        assert len(pods) == 1 and len(pods[0]) == 1 and pods[0][0].height == 1


async def test_what_is_followed_comes_in_one_frame() -> None:
    """Keys have a turn between the panels, but nobody sees half of a situation."""
    before, after = situations.calm(), situations.rpc_outage()
    app = DashboardApp(before)
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        frames: set[str] = set()
        shown = app._display

        def showing(*frame: Any) -> None:
            frames.add("\n".join(app.picture()))
            shown(*frame)

        app._display = showing  # type: ignore[method-assign, assignment]
        await app.dashboard.follow(after)
        await pilot.pause()
        final = "\n".join(app.picture())
        assert final in frames and len(frames) == 1
        app.dashboard.show(after)
        assert "\n".join(app.picture()) == final


async def test_jump_goes_to_panels_stages_and_services() -> None:
    app = DashboardApp(situations.rpc_outage())
    async with app.run_test(size=NARROW) as pilot:
        assert app.dashboard.jump("reveal")
        await pilot.pause()
        assert app.dashboard.focused_panel.spec.name == "publish"
        assert app.dashboard.jump("m0-ingestor")
        await pilot.pause()
        assert app.dashboard.selection is not None and app.dashboard.selection.name == "m0-ingestor"
        assert not app.dashboard.jump("nowhere")


async def test_ascii_terminals_get_ascii_alone() -> None:
    app = DashboardApp(situations.rpc_outage(), Appearance(ascii=True, colours="standard"))
    async with app.run_test(size=WIDE):
        assert app.text().isascii()
        assert "X CRIT" in app.text() and "! WARN" in app.text() and "? UNKNOWN" in app.text()


async def test_nothing_hostile_reaches_the_terminal() -> None:
    evil = "a\x1b[2J\x1b]52;c;AAAA\x07\u202e\u200b[/b]\x9b31m\r\n[red]"
    pods = situations.fleet(situations.crashing("m0-quant", 0, message=evil, name=f"m0-quant-{evil}"))
    base = situations.rpc_outage()
    signals = {n: replace(s, reason=evil, title=evil, worst_labels={"x": evil}) for n, s in base.signals.items()}
    situation = replace(
        base,
        cluster=situations.cluster(pods),
        services=situations.services(pods),
        signals=signals,
        context=evil,
        notices=(evil,),
        toggles=tuple(replace(t, value=evil) for t in base.toggles),
        journal=tuple(replace(j, title=evil, operator=evil, outcome=evil) for j in base.journal),
        queries=situations.readings(situations.queries(rpc_error_ratio=situations.result({evil: 0.4}, "endpoint"))),
    )
    app = DashboardApp(situation)
    async with app.run_test(size=WIDE) as pilot:
        await pilot.pause()
        everything = "".join(segment.text for strip in app.strips() for segment in strip)
        assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u200b" for c in everything)
        assert "[/b]" in everything or "[red]" in everything  # shown as it is, not read as markup
        widths = {strip.cell_length for strip in app.strips()}
        assert widths == {160}


async def test_the_dashboard_waits_calmly_for_the_first_situation() -> None:
    app = DashboardApp()
    async with app.run_test(size=WIDE):
        assert "waiting for the first reading" in app.text()


async def test_a_panel_that_was_off_screen_shows_the_newest_when_it_comes_up() -> None:
    app = DashboardApp(situations.calm())
    async with app.run_test(size=NARROW) as pilot:
        app.dashboard.focus_panel("publish")
        await pilot.pause()
        app.dashboard.focus_panel("pods")
        await pilot.pause()
        app.dashboard.show(situations.rpc_outage())
        app.dashboard.focus_panel("publish")
        await pilot.pause()
        assert "BlockhashNotFound" in app.text()
