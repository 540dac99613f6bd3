"""H7: no python that the cockpit starts imports out of the current directory."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from cockpit.clock import SystemClock
from cockpit.commands.drill import start_world
from cockpit.host.programs import safe_path
from cockpit.mitigation.process import run


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with modules that leave a mark when they are imported."""
    mark = tmp_path / "imported"
    for name in ("json", "cockpit", "argparse", "msgspec"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(mark)!r}, 'a').write({name!r})\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    return mark


def test_a_configured_program_that_is_a_module_is_not_taken_from_here(trap: Path) -> None:
    argv = [sys.executable, "-m", "json.tool", "--help"]
    ended = asyncio.run(run(argv, {"PATH": os.defpath}, 30.0, SystemClock()))
    assert not trap.exists() and ended.status == 0


def test_the_drills_world_is_not_taken_from_here(trap: Path) -> None:
    world, where = start_world("calm", seed=1, speed=1.0)
    world.terminate()
    world.wait(10)
    assert not trap.exists() and where["kubeconfig"]


@pytest.mark.parametrize(
    ("argv", "safe"),
    [
        (["python3", "-m", "tool"], True),
        (["/usr/bin/python3.11", "-u", "-mtool"], True),
        (["python", "-c", "import tool"], True),
        (["python3", "restore.py", "-m", "fast"], False),  # a script's directory is its own
        (["/opt/restore", "-m", "x"], False),
        ([], False),
    ],
)
def test_only_a_python_without_a_script_looks_into_the_current_directory(argv: Sequence[str], safe: bool) -> None:
    assert bool(safe_path(argv)) is safe
