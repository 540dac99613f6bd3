"""The Journal's cursor stands on a step, and Enter asks for that one to be taken back."""

from __future__ import annotations

from typing import ClassVar

import pytest
from msgspec.structs import replace
from textual import on

from cockpit.model.plan import Debt, JournalLine, Phase, Proof
from panels.dashboard.journal import JournalPanel
from panels.kit.spans import plain
from panels.messages import Enlarge, Undo, UserRequest
from tests.support.harness import DashboardApp
from tests.support.samples import situations


class Asked(DashboardApp):
    asked: ClassVar[list[UserRequest]] = []

    @on(Undo)
    @on(Enlarge)
    def _asked(self, event: UserRequest) -> None:
        self.asked.append(event)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_an_older_step_is_taken_back_by_enter(size: tuple[int, int]) -> None:
    """U6: only the newest could be, by `u`."""
    situation = situations.rpc_outage()
    app = Asked(situation)
    app.asked.clear()
    async with app.run_test(size=size) as pilot:
        app.dashboard.focus_panel("journal")
        await pilot.press("enter")
        assert isinstance(app.asked.pop(), Enlarge), "nothing is chosen before the cursor is moved"
        await pilot.press("down", "down")
        panel = app.dashboard.panels["journal"]
        assert isinstance(panel, JournalPanel) and panel.chosen == 30
        newer = JournalLine(32, situation.wall, "ops2", "Restart", "deployment m0-quant", "sent", undoable=True)
        app.dashboard.show(replace(situation, journal=(newer, *situation.journal)))
        assert panel.chosen == 30, "the cursor follows its step"
        await pilot.press("enter")
        undo = app.asked.pop()
        assert isinstance(undo, Undo) and undo.number == 30
        await pilot.press("up", "up", "up")
        assert panel.chosen is None and panel.top == 0


@pytest.mark.parametrize("width", [36, 78, 150])
def test_a_debt_says_how_it_is_put_back(width: int) -> None:
    """U6: by its step in the same panel."""
    situation = replace(situations.rpc_outage(), debts=(Debt(30, "m0-ingestor: replicas 4 → 0", situations.WALL - 60),))
    words = " ".join(" ".join(plain(line) for line in JournalPanel().content(situation, width)).split())
    assert "m0-ingestor: replicas 4 → 0 for 60s ↓ to #30, enter: put it back" in words


async def test_a_filter_keeps_entries_whole() -> None:
    app = Asked(situations.rpc_outage())
    async with app.run_test(size=(160, 48)) as pilot:
        app.dashboard.focus_panel("journal")
        app.dashboard.set_filter("ingestors")
        await pilot.press("down", "down")
        panel = app.dashboard.panels["journal"]
        assert isinstance(panel, JournalPanel) and panel.chosen == 30
        app.dashboard.set_filter("no such thing")
        assert "nothing matches" in app.text()


@pytest.mark.parametrize("width", [36, 60, 120])
def test_a_proof_under_way_says_when_it_gives_up(width: int) -> None:
    """U14: and before it begins how long it can take."""
    (running,) = situations.rpc_outage().progress
    gauges = tuple(replace(g, gives_up_s=161.0, trend="better") for g in running.gauges if g.proof is Proof.PENDING)

    def lines(**changes: object) -> str:
        situation = replace(situations.rpc_outage(), progress=(replace(running, **changes),))
        return "\n".join(plain(line) for line in JournalPanel().content(situation, width))

    assert "the proof gives up in 2:41" in lines(gauges=gauges)
    assert "64/min  better" in lines(gauges=gauges)
    assert "then its proof: 0:30 at least, gives up after 5:00" in lines(gauges=(), proof_s=(30.0, 300.0))
    assert "gives up" not in lines(gauges=gauges, phase=Phase.DONE, ended_mono=situations.MONO)
