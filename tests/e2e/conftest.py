"""A drill a module and a tmux pane a test, for those that ask for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cockpit.config import load_settings
from cockpit.drill.server import DrillThread
from cockpit.settings import Settings
from tests.support.terminals.tmux_terminal import Terminal


@pytest.fixture
def terminal(need: Callable[[str], str], tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """`terminal(width, height)` → a pane; all are killed at the end of the test."""
    tmux = need("tmux")
    open_panes: list[Terminal] = []

    def make(width: int = 80, height: int = 24, state: Path | None = None) -> Terminal:
        pane = Terminal(tmux, state or tmp_path / f"state-{len(open_panes)}", width, height)
        pane.state.mkdir(parents=True, exist_ok=True)
        open_panes.append(pane)
        return pane

    yield make
    for pane in open_panes:
        pane.kill()


@pytest.fixture(scope="module")
def drill(request: pytest.FixtureRequest) -> Iterator[DrillThread]:
    """Run the module's `DRILL`: its scenario, and how many seconds of history it begins with."""
    scenario, history_s = request.module.DRILL
    with DrillThread(scenario, history_s=history_s) as running:
        yield running


@pytest.fixture
def settings(drill: DrillThread, tmp_path: Path) -> Settings:
    """Those of a cockpit on the module's drill, with a state directory of the test's own."""
    return replace(load_settings(config=drill.config, env={}), state_dir=tmp_path / "state")
