"""Every view of the registry opens in the running program, each page of it too."""

from __future__ import annotations

import pytest

from cockpit.model.runbook import Step, Triage
from cockpit.model.views import VIEWS, PanelSpec
from cockpit.settings import Settings
from panels.messages import OpenRunbook, OpenView, PlanStep
from tests.support.terminals.screen import Screen, screen

#: The module's drill: its scenario, and how many seconds of history it begins with.
DRILL = ("bad-release", 1500.0)


async def ready(cockpit: Screen) -> None:
    await cockpit.wait(r"m0-quant +")
    await cockpit.until(cockpit.app.session.ready.is_set)


def layer(cockpit: Screen) -> str:
    """The uppermost layer; "" when there is none."""
    layers = cockpit.app.layers()
    return type(layers[-1]).__name__ if layers else ""


async def closed(cockpit: Screen) -> None:
    while cockpit.app.layers():
        before = len(cockpit.app.layers())
        cockpit.burst("escape")
        await cockpit.until(lambda: len(cockpit.app.layers()) < before)  # noqa: B023
    await cockpit.settled()


#: What lies over the dashboard once the view is open; "": nothing, the dashboard went to a panel.
SHOWN = {
    "logs": "LogView",
    "explain": "ExplainView",
    "metrics": "MetricsView",
    "alerts": "PanelView",
    "signer-set": "ChainView",
    "transactions": "ChainView",
    "endpoints": "ChainView",
    "maintenance": "MaintenanceView",
    "postgres": "PostgresView",
    "compare": "CompareView",
    "images": "ParametersDialog",
    "runbook": "RunbookView",
    "queries": "QueriesView",
    "chart": "NumbersView",
    "changes": "ChangesView",
    "recovery": "RecoveryView",
}


async def test_every_view_opens_with_each_of_its_pages(settings: Settings) -> None:
    async with screen(settings) as cockpit:
        await ready(cockpit)
        for view in VIEWS:
            args = {"service": "m0-quant"} if view.of_service else {}
            for page in [*view.pages, None] if isinstance(view, PanelSpec) or not view.pages else [*view.pages]:
                shown = {"show": page} if page is not None else {}
                cockpit.app.post_message(OpenView(view.name, {**args, **shown}))
                if isinstance(view, PanelSpec) and page is None:
                    await cockpit.until(lambda: cockpit.app.dashboard.current == view.name)  # noqa: B023
                    assert not cockpit.app.layers(), view.name
                    continue
                await cockpit.until(lambda: layer(cockpit) == SHOWN[view.name])  # noqa: B023
                top = cockpit.app.layers()[-1]
                assert page is None or getattr(top, "page", None) == page
                assert view.group == "" or getattr(top, "page", None) == view.name
                await closed(cockpit)


async def test_over_a_runbook_a_panel_opens_in_full_and_the_signals_panel_is_not_taken_for_alerts(
    settings: Settings,
) -> None:
    async with screen(settings, (80, 24)) as cockpit:
        await ready(cockpit)
        cockpit.app.post_message(OpenRunbook("11"))
        await cockpit.until(lambda: layer(cockpit) == "RunbookView")
        cockpit.app.post_message(OpenView("alerts", {}))
        await cockpit.wait(r"─ +Alerts")
        cockpit.burst("escape")
        await cockpit.until(lambda: layer(cockpit) == "RunbookView")
        cockpit.app.post_message(OpenView("signals", {}))
        await cockpit.wait(r"0 Signals")
        assert layer(cockpit) == "PanelView"


async def test_each_view_that_a_packaged_runbook_names_opens(settings: Settings) -> None:
    async with screen(settings) as cockpit:
        await ready(cockpit)
        for runbook in cockpit.app.session.runbooks.runbooks:
            opening: list[Triage | Step] = [*runbook.triage, *runbook.mitigations]
            for step in opening:
                if step.view is None:
                    continue
                cockpit.app.post_message(OpenRunbook(runbook.id))
                await cockpit.until(lambda: layer(cockpit) == "RunbookView")
                await cockpit.settled()
                cockpit.app.post_message(OpenView(step.view, step.args))
                await cockpit.until(lambda: layer(cockpit) != "RunbookView")
                opened = layer(cockpit) or cockpit.app.dashboard.current
                assert opened in (SHOWN.get(step.view), "PanelView", step.view), (runbook.id, step)
                await closed(cockpit)


async def test_step_1_of_runbook_11_shows_what_ran_before(settings: Settings) -> None:
    """11.step.1 (B24): one key shows the digests, each with how it did: step 2's own list."""
    async with screen(settings) as cockpit:
        await ready(cockpit)
        cockpit.app.post_message(PlanStep("11", "last-good-image"))
        await cockpit.wait(r"m0-quant@sha256:")
        await cockpit.wait(r"LAST KNOWN GOOD")
        assert layer(cockpit) == "ParametersDialog"


@pytest.mark.parametrize("view", ["logs", "explain"])
async def test_a_view_of_no_named_service_shows_what_is_chosen(settings: Settings, view: str) -> None:
    async with screen(settings) as cockpit:
        await ready(cockpit)
        await cockpit.until(lambda: cockpit.app.dashboard.selection is not None)
        cockpit.app.post_message(OpenView(view, {}))
        await cockpit.until(lambda: layer(cockpit) == SHOWN[view])


async def test_a_runbook_says_how_many_older_lines_its_logs_begin_with(settings: Settings) -> None:
    async with screen(settings) as cockpit:
        await ready(cockpit)
        for args, lines in (({"tail": "3"}, 3), ({}, 200)):
            cockpit.app.post_message(OpenView("logs", {"service": "m0-quant", **args}))
            await cockpit.until(lambda: layer(cockpit) == "LogView")
            logs = cockpit.app.session.logs
            assert logs.tail is not None and logs.tail.request.tail == lines
            logs.reopen(previous=False, since_s=60)
            logs.reopen(previous=False, since_s=None)
            assert logs.tail.request.tail == lines
            await closed(cockpit)


async def test_a_view_that_is_not_there_is_said(settings: Settings) -> None:
    async with screen(settings) as cockpit:
        await ready(cockpit)
        cockpit.app.post_message(OpenView("nowhere", {}))
        await cockpit.wait(r"the view nowhere is not available in this version")
