"""An incident that no runbook is for has a page too."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from cockpit.model.signal import SIGNAL, Level
from cockpit.model.situation import Situation
from panels.messages import Explain, OpenView, Selection
from panels.screens.runbook.nothing_fits import NOTHING, nothing_fits, nothing_fits_page
from panels.screens.runbook.view import RunbookView
from tests.support.samples.dialogs import BACKLOG, SIGNALS, STOPS, Harness, match, situation


def of_no_runbook(**more: object) -> Situation:
    calm = {name: replace(one, level=Level.OK) for name, one in SIGNALS.items()}
    worst = replace(
        next(iter(SIGNALS.values())), name="cache-misses", title="Cache misses", level=Level.CRIT, value=91.0
    )
    near = replace(match(STOPS, 1), score=0.3)
    return situation(signals={**calm, "cache-misses": worst}, matches=(near, match(BACKLOG, 0)), **more)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_it_says_what_is_worst_and_what_else_to_open(size: tuple[int, int]) -> None:
    """D(1): a fit-for-nothing incident got the runbook that shares one symptom with it."""
    app = Harness(lambda: RunbookView(of_no_runbook()))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert "No runbook fits" in app.words() and "Cache misses" in app.words()
        assert app.subject.page.key == f"{SIGNAL}:cache-misses"
        await pilot.press("enter")
        assert [asked.selection for asked in app.requested(Explain)] == [Selection(SIGNAL, "", "cache-misses")]
        await pilot.press("end", "enter")
        assert [asked.name for asked in app.requested(OpenView)] == ["transactions"]
        await pilot.press("right")
        await pilot.pause()
        assert app.subject.match is not None and app.subject.match.runbook is STOPS
        await pilot.press("left")
        await pilot.pause()
        assert app.subject.chosen == NOTHING


async def test_as_soon_as_one_fits_it_is_shown() -> None:
    """D(1): the page is of now."""
    app = Harness(lambda: RunbookView(of_no_runbook()))
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        app.subject.show(situation())
        await pilot.pause()
        assert app.subject.match is not None and "No runbook fits" not in app.words()


def test_what_is_well_or_has_a_runbook_needs_no_such_page() -> None:
    """D(1): nothing bad, or a runbook that holds."""
    calm = {name: replace(one, level=Level.OK) for name, one in SIGNALS.items()}
    assert nothing_fits(of_no_runbook())
    assert not nothing_fits(situation(signals=calm, matches=()))
    assert not nothing_fits(situation())


def test_the_page_names_the_operators_own_keys() -> None:
    """U20: what `[keys]` gave another key is hinted at by that."""
    said = str(nothing_fits_page(of_no_runbook(), {"incident": "f9", "palette": "f10"}))
    assert "f9" in said and "f10" in said and "('i', 'key')" not in said


def test_a_runbook_whose_cause_is_seen_fits() -> None:
    """The line of matches names it: the page must not say that there is none."""
    one = situation()
    seen = tuple(replace(match, score=0.0, held=0, suspected="no pod is ready") for match in one.matches)
    assert nothing_fits(replace(one, matches=tuple(replace(each, suspected="") for each in seen)))
    assert not nothing_fits(replace(one, matches=seen))
