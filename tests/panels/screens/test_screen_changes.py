"""Changes: since when, what explains it, what is not seen; Enter plans the step that goes back."""

from __future__ import annotations

import pytest

from cockpit.model.observed.changes import Back, Change, ChangesNow, Onset, Ranked
from panels.dashboard.strips.matchline import since_line
from panels.kit import prose
from panels.kit.spans import line_width, plain
from panels.kit.theme import Appearance
from panels.messages import PlanStep
from panels.screens.changes import ChangesView, detail, offset
from tests.support.samples import situations
from tests.support.samples.changes import batch
from tests.support.samples.dialogs import Harness

NOW = situations.WALL
BATCH = batch(NOW - 720, by="kubectl-edit", whole=True)
BACK = Back("rollback-release", "rollback-config", {"key": "feature_batch", "value": "16"}, "Roll back configs")
OTHER = Change(
    kind="replicas",
    namespace="m0-prod",
    owner="Deployment",
    name="m0-realtime",
    field="replicas",
    before="2",
    after="3",
    at=NOW - 300,
)
CHANGES = ChangesNow(
    ranked=(Ranked(BATCH, 0.95, 7.0, "on quant", BACK), Ranked(OTHER, 0.0, -413.0, "after it began")),
    onset=Onset(NOW - 713, 5.0, "watermark-lag", "Watermark lag", "13.6 s"),
    unseen=("replicasets: not seen (cannot list replicasets)",),
)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_enter_plans_the_step_back_filled_in_and_d_opens_the_diff(size: tuple[int, int]) -> None:
    app = Harness(lambda: ChangesView(situations.rpc_outage(changes=CHANGES), Appearance()))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        view = app.subject
        view.take_focus()
        await pilot.pause()
        text = prose.plain(view.list.lines)
        assert text.index("feature_batch") < text.index("replicas 2")
        assert "explains it best" in text and "replicasets: not seen" in text and "after" in text
        await pilot.press("d")
        assert "- 16" in prose.plain(view.list.lines) and "+ 512" in prose.plain(view.list.lines)
        await pilot.press("enter")
        await pilot.pause()
    (planned,) = app.requested(PlanStep)
    assert (planned.runbook_id, planned.step_id, planned.parameters) == (BACK.runbook, BACK.step, dict(BACK.parameters))


def test_the_line_under_the_match_says_since_when_and_what() -> None:
    situation = situations.rpc_outage(changes=CHANGES)
    for width in (80, 160):
        line = since_line(situation, width)
        assert line_width(line) <= width and "12 min" in plain(line) and "7s before" in plain(line)
    none = situations.rpc_outage(changes=ChangesNow(onset=CHANGES.onset))
    assert "no change that is seen explains it" in plain(since_line(none, 120))
    assert since_line(situations.calm(), 120) == ()


def test_what_was_not_seen_and_what_came_when_nobody_knows_is_said() -> None:
    blind = Ranked(
        Change("config", "n", "ConfigMap", "c", "k", None, "2", NOW, before_seen=False, at_latest=True), 0.5, 3.0
    )
    words = prose.plain(detail(blind))
    assert "- not seen" in words and "at the latest" in words and offset(blind) == "?"
