"""Pictures of dialogs and views at both sizes; `pytest --snapshot-update` after looking at the new
ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.widget import Widget

from panels.dialogs.confirm import ConfirmDialog
from panels.dialogs.parameters import ParametersDialog
from panels.dialogs.quit import QuitDialog
from panels.screens.explain import ExplainView
from panels.screens.logs.page import Said
from panels.screens.logs.view import LogView
from panels.screens.runbook.view import RunbookView
from tests.support.samples.dialogs import SWITCH, Harness, blocked, dangerous, plan, progress, situation

SIZES = [(80, 24), (160, 48)]


def mono() -> float:
    return 1012.0


def feed(app: Any) -> None:
    app.subject.append(
        [
            Said(
                text=f"published sequence {n} trace_id=4bf92f35{n:04d}"
                + (" ERROR blockhash not found" if n % 7 == 0 else ""),
                at=1_790_000_000.0 + n,
                pod=f"m0-submitter-6f7d9c-ab{n % 3}cd",
                container="m0-submitter",
                trace=f"4bf92f35{n:04d}",
                error=n % 7 == 0,
            )
            for n in range(80)
        ]
    )
    app.subject.tell("live, 3 pods")


PICTURES: dict[str, tuple[Callable[[], Widget], Callable[[Any], None] | None]] = {
    "confirm-ordinary": (lambda: ConfirmDialog(mono, plan(), production=True), None),
    "confirm-dangerous": (lambda: ConfirmDialog(mono, dangerous(), production=True), None),
    "confirm-blocked": (lambda: ConfirmDialog(mono, blocked()), None),
    "confirm-progress": (lambda: ConfirmDialog(mono, plan()), lambda app: app.subject.show_progress(progress(plan()))),
    "parameters": (
        lambda: ParametersDialog(
            "publishing-stops",
            SWITCH,
            {"url": [("https://a.example/v2/KEY", "38 % errors"), ("https://b.example", "0 behind")]},
        ),
        None,
    ),
    "quit": (lambda: QuitDialog([progress(plan())]), None),
    "explain": (
        lambda: ExplainView(
            "Why: m0-submitter", ["0 of 1 pods ready for 3 min", "  m0-submitter-6f: CrashLoopBackOff"]
        ),
        None,
    ),
    "runbook": (lambda: RunbookView(situation()), None),
    "logs": (lambda: LogView("m0-submitter"), feed),
}


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "160x48"])
@pytest.mark.parametrize("name", PICTURES)
def test_picture(snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    make, after = PICTURES[name]

    async def before(pilot: Any) -> None:
        await pilot.pause()
        if after is not None:
            after(pilot.app)
        await pilot.pause()

    assert snap_compare(Harness(make), terminal_size=size, run_before=before)
