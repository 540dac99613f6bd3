"""What reaches the terminal: only cells that changed.

Covers the hook into Textual's partial update (`panels/kit/repaint.py`).
"""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace
from rich.console import Console
from textual._compositor import ChopsUpdate
from textual.geometry import Region

from panels.dialogs.help import HelpDialog
from panels.kit import repaint
from panels.kit.spans import to_strip
from panels.kit.theme import Appearance
from tests.support.harness import DashboardApp
from tests.support.samples import situations


async def test_a_second_that_changes_only_the_clock_sends_a_clock() -> None:
    situation = situations.calm()
    app = DashboardApp(situation)
    async with app.run_test(size=(160, 48)) as pilot:
        await pilot.pause()
        app.screen._compositor._dirty_regions.clear()
        app.dashboard.show(replace(situation, wall=situation.wall + 1))
        app.screen._compositor.update_widgets({app.dashboard.top})
        update = app.screen._compositor.render_partial_update()
        assert isinstance(update, ChopsUpdate)
        sent = update.render_segments(app.console)
        assert "14:13:21" in sent and "M0CLUB" not in sent and len(sent) < 120


def test_textual_still_has_the_method_that_the_hook_replaces() -> None:
    repaint.install()
    assert ChopsUpdate.render_segments is repaint.render_segments


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_what_changed_is_made_as_textual_makes_it(size: tuple[int, int]) -> None:
    """Under a dialog too: the foremost widget has each cell."""
    app = DashboardApp(situations.rpc_outage())
    random = Random(5)
    async with app.run_test(size=size) as pilot:
        await app.mount(HelpDialog({"moving": (("j", "down"),)}, appearance=Appearance()))
        await pilot.pause()
        compositor = app.screen._compositor
        for _ in range(50):
            x, y = random.randrange(size[0]), random.randrange(size[1])
            dirty = [
                Region(x, y, random.randrange(1, 40), random.randrange(1, 9)),
                Region(random.randrange(size[0]), y, 3, 1),
            ]
            compositor._dirty_regions = set(dirty)
            ours = repaint.render_partial_update(compositor)
            assert ours is not None
            lines = {span[0] for span in ours.spans}
            chops = compositor._render_chops(app.screen.size.region, lines.__contains__)
            textuals = ChopsUpdate(chops, ours.spans, [cuts[1:] for cuts in compositor.cuts])
            assert repaint.render_segments(ours, app.console) == repaint.render_segments(textuals, app.console)


def test_a_partial_update_is_cropped_on_both_sides() -> None:
    line = to_strip((("abcdef", "text"), ("ghijkl", "crit")), 12, Appearance())
    update = ChopsUpdate([{0: line}], [(0, 2, 8)], [[12]])
    console = Console(force_terminal=True, color_system="truecolor")
    sent = repaint.render_segments(update, console)
    assert "cdef" in sent and "gh" in sent and "ab" not in sent and "ij" not in sent
    assert sent.startswith("\x1b[1;3H")


def test_blanks_do_not_change_the_style_for_nothing() -> None:
    appearance = Appearance()
    segments = list(
        to_strip((("a", "ok"), ("  ", "text"), ("b", "crit"), (" ", "cursor"), ("c", "crit+cursor")), 8, appearance)
    )
    assert [s.text for s in segments][:4] == ["a  ", "b", " ", "c"]
