"""`m0-cockpit run` is the same mitigation without a screen.

In processes of its own, over a drill.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.real


def test_headless_run_is_the_same_mitigation() -> None:
    """`m0-cockpit run` plans, refuses without consent, dry-runs, carries out and is undone, on the
    drill.
    """
    world = subprocess.Popen(
        [sys.executable, "-m", "cockpit.cli", "drill", "--serve", "--scenario", "calm"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert world.stdout is not None
    try:
        where = json.loads(world.stdout.readline())

        def cockpit(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "cockpit.cli", "--config", where["config"], *arguments]
            return subprocess.run(
                command, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL, check=False
            )

        step = ("run", "6", "6.mitigation.1", "--param", "replicas=6")
        dry = cockpit(*step, "--dry-run", "--json")
        assert dry.returncode == 0, dry.stderr
        assert json.loads(dry.stdout)["dry_run"]["state"] == "ok"
        refused = cockpit(*step)
        assert refused.returncode == 2
        assert "nothing was sent" in refused.stdout
        done = cockpit(*step, "--yes", "--no-wait", "--json")
        assert json.loads(done.stdout)["journal"] == 1, done.stderr
        assert cockpit("journal", "verify").returncode == 0
        undone = cockpit("journal", "undo", "1", "--yes", "--json")
        answer = json.loads(undone.stdout)
        assert answer["changes"] == [{"field": "replicas", "before": "6", "after": "4"}]
        assert cockpit("run", "6", "nope").returncode == 64
        read_only = cockpit("--read-only", *step, "--yes")
        assert read_only.returncode == 2
    finally:
        world.terminate()
        world.wait(10)
