"""Pictures of the dashboard in fixed situations and sizes.

After a wanted change: pytest tests/panels --snapshot-update, and look.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from panels.kit.theme import Appearance
from tests.support.harness import DashboardApp
from tests.support.samples import situations

pytest.importorskip("pytest_textual_snapshot")


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n == "NO_COLOR" or (n.startswith("TEXTUAL_") and "SNAPSHOT" not in n)]:
        monkeypatch.delenv(name)


CASES = [
    ("calm", (160, 48), 1, Appearance()),
    ("rpc_outage", (160, 48), 1, Appearance()),
    ("stale", (160, 48), 1, Appearance()),
    ("denied", (160, 48), 1, Appearance()),
    ("rpc_outage", (80, 24), 1, Appearance()),
    ("rpc_outage", (80, 24), 2, Appearance()),
    ("rpc_outage", (80, 24), 9, Appearance()),
    ("stale", (80, 24), 4, Appearance()),
    ("rpc_outage", (120, 30), 1, Appearance()),
    ("rpc_outage", (80, 24), 8, Appearance(ascii=True, colours="none")),
]


@pytest.mark.parametrize(
    ("name", "size", "panel", "appearance"),
    CASES,
    ids=[f"{n}-{s[0]}x{s[1]}-{p}{'-ascii' if k.ascii else ''}" for n, s, p, k in CASES],
)
def test_dashboard_looks_as_it_did(
    name: str, size: tuple[int, int], panel: int, appearance: Appearance, snap_compare: Callable[..., bool]
) -> None:
    assert snap_compare(DashboardApp(getattr(situations, name)(), appearance, panel), terminal_size=size)
