"""A tmux pane for every test that asks for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
