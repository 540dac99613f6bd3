"""The Pods panel: problem first, groups that open, and a cursor that stays on its object whatever
moves around it.
"""

from __future__ import annotations

from msgspec.structs import replace

from cockpit.model.observed.cluster import Pod
from cockpit.model.situation import Situation
from panels.messages import Selection
from tests.support.harness import DashboardApp
from tests.support.samples import situations

SIZE = (160, 48)


def after(situation: Situation, pods: list[Pod], seconds: float = 2.0) -> Situation:
    """The same place a little later, with these pods."""
    return replace(
        situation,
        cluster=situations.cluster(pods),
        services=situations.services(pods),
        mono=situation.mono + seconds,
        wall=situation.wall + seconds,
    )


async def test_unhealthy_groups_come_first_and_show_their_problem_pods() -> None:
    app = DashboardApp(situations.rpc_outage())
    async with app.run_test(size=SIZE):
        rows = [line[: app.dashboard.pods.size.width] for line in app.picture()[6:]]
        assert "m0-submitter" in rows[1] and "0/1" in rows[1]
        assert "CrashLoopBackOff" in rows[2]
        assert "m0-quant" in rows[3] and "1/2" in rows[3]
        assert sum("m0-ingestor" in row for row in rows) == 1


async def test_the_cursor_follows_its_object_when_rows_are_sorted_anew() -> None:
    situation = situations.calm()
    app = DashboardApp(situation)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("j", "j")
        chosen = app.dashboard.selection
        assert chosen == Selection("Deployment", "m0-prod", "m0-ingestor", "uid-m0-ingestor")
        later = after(
            situation, situations.fleet(situations.crashing("m0-submitter"), situations.crashing("m0-realtime", 1))
        )
        app.dashboard.show(later)
        await pilot.pause()
        assert app.dashboard.selection == chosen
        app.dashboard.show(after(later, situations.fleet(), 5.0))
        assert app.dashboard.selection == chosen


async def test_a_cursor_whose_object_is_gone_selects_nothing_until_it_is_moved() -> None:
    situation = situations.calm()
    app = DashboardApp(situation)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("a", "j", "j")
        chosen = app.dashboard.selection
        assert chosen is not None and chosen.kind == "Pod"
        left = [p for p in situations.fleet() if p.name != chosen.name]
        app.dashboard.show(after(situation, left))
        assert app.dashboard.selection is None
        await pilot.press("j")
        assert app.dashboard.selection is not None


async def test_until_the_operator_moves_the_cursor_it_stays_on_the_worst() -> None:
    situation = situations.calm()
    app = DashboardApp(situation)
    async with app.run_test(size=SIZE):
        app.dashboard.show(after(situation, situations.fleet(situations.crashing("m0-submitter"))))
        assert app.dashboard.selection is not None and app.dashboard.selection.name == "m0-submitter"


async def test_rows_are_sorted_at_most_once_a_second() -> None:
    situation = situations.calm()
    app = DashboardApp(situation)
    async with app.run_test(size=SIZE):
        broken = situations.fleet(situations.crashing("m0-submitter"))
        before = list(app.dashboard.pods.keys_shown)
        app.dashboard.show(after(situation, broken, 0.3))
        assert app.dashboard.pods.keys_shown == before
        app.dashboard.show(after(situation, broken, 1.1))
        assert app.dashboard.pods.keys_shown != before


async def test_space_opens_and_closes_a_group() -> None:
    app = DashboardApp(situations.calm())
    async with app.run_test(size=SIZE) as pilot:
        closed = len(app.dashboard.pods.keys_shown)
        await pilot.press("space")
        assert len(app.dashboard.pods.keys_shown) > closed
        await pilot.press("j", "enter")
        assert len(app.dashboard.pods.keys_shown) == closed
        assert app.dashboard.selection is not None and app.dashboard.selection.kind == "Deployment"


async def test_the_filter_shows_matching_pods_flat() -> None:
    app = DashboardApp(situations.rpc_outage())
    async with app.run_test(size=SIZE) as pilot:
        app.dashboard.set_filter("ingest")
        await pilot.pause()
        assert len(app.dashboard.pods.keys_shown) == 4
        assert app.dashboard.selection is not None and app.dashboard.selection.kind == "Pod"
        app.dashboard.set_filter("crashloop")
        assert len(app.dashboard.pods.keys_shown) == 2
        app.dashboard.set_filter("zzz")
        await pilot.pause()
        assert "nothing matches /zzz" in app.text() and app.dashboard.selection is None
        app.dashboard.set_filter("")
        assert len(app.dashboard.pods.keys_shown) > 4


async def test_a_pod_without_a_service_is_listed_too() -> None:
    pods = [*situations.fleet(), situations.pod("backup-job", owner_kind="Job", name="backup-job-x1")]
    base = situations.calm()
    services = tuple(s for s in situations.services(pods) if s.name != "backup-job")
    app = DashboardApp(replace(base, cluster=situations.cluster(pods), services=services))
    async with app.run_test(size=SIZE):
        assert "backup-job" in app.text()


async def test_ten_thousand_pods_render_only_what_is_visible() -> None:
    app = DashboardApp(situations.huge())
    async with app.run_test(size=SIZE) as pilot:
        panel = app.dashboard.pods
        await pilot.press("a")
        assert len(panel.keys_shown) == 10_040
        rendered: list[object] = []
        cells = panel.cells

        def counted(key, situation):  # type: ignore[no-untyped-def]
            rendered.append(key)
            return cells(key, situation)

        panel.cells = counted  # type: ignore[method-assign]
        panel.show(situations.huge(mono=situations.MONO + 0.1))
        assert 0 < len(rendered) < 40
        await pilot.press("G")
        assert panel.selected_key == panel.keys_shown[-1]
        await pilot.press("g")
        assert panel.selected_key == panel.keys_shown[0]
