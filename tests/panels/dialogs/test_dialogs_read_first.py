"""The confirmation on small terminals: what would change is read before it is said yes to."""

from __future__ import annotations

import pytest

from cockpit.model.plan import Change
from panels.dialogs.confirm import ConfirmDialog
from panels.messages import Confirmed
from tests.panels.dialogs.test_dialogs_confirm import dialog
from tests.support.samples.dialogs import Harness, dangerous, plan


@pytest.mark.parametrize("size", [(34, 7), (20, 5), (80, 12)])
@pytest.mark.parametrize("many", [3, 30])
async def test_what_would_change_is_on_the_screen_once_before_it_is_confirmed(size: tuple[int, int], many: int) -> None:
    """S1: on a small terminal the plan lay below the fold, and `y` was taken all the same."""
    changes = tuple(Change(f"VARIABLE_{i}", "old", "new") for i in range(many))
    app = Harness(dialog(plan(changes=changes)))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        asked = app.query_one(ConfirmDialog)
        last, needed = f"VARIABLE_{many - 1}", asked.unread > 0
        assert needed or last in app.words()
        await pilot.press("y")
        assert bool(app.requested(Confirmed)) is not needed
        while asked.unread and not app.requested(Confirmed):
            left = asked.unread
            await pilot.press("down")
            await pilot.pause()
            assert asked.unread < left
        assert app.requested(Confirmed) or last in app.words()
        await pilot.press("y")
        await pilot.pause()
        assert len(app.requested(Confirmed)) == 1


async def test_a_plan_that_fits_asks_for_no_key_more() -> None:
    """S1: a calm operator is never made to press twice, nor the kill switch."""
    for made in (plan(), dangerous()):
        app = Harness(dialog(made))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            assert app.query_one(ConfirmDialog).unread == 0
