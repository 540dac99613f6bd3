"""Rounds of maintenance on the running cockpit, over the drill: looked at, answered, written; and
the same without a screen.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from cockpit.drill.server import DrillThread
from cockpit.model.reading import SourceState
from cockpit.settings import Settings
from tests.support.terminals.screen import Screen, screen

#: The module's drill: its scenario, and how many seconds of history it begins with.
DRILL = ("calm", 600.0)


def all_read(cockpit: Screen) -> bool:
    """A round is made once, of what is known then: every source has read all that it looks at."""
    now = cockpit.app.session.situation
    return (
        now is not None
        and all(source.state in (SourceState.LIVE, SourceState.OFF) for source in now.sources)
        and not any("nothing read yet" in signal.reason for signal in now.signals.values())
    )


async def open_round(cockpit: Screen) -> None:
    await cockpit.until(lambda: all_read(cockpit))
    await cockpit.until(cockpit.app.session.ready.is_set)
    from panels.messages import PlanStep

    cockpit.app.post_message(PlanStep("routine-maintenance", "weekly-round", {}))


async def test_a_round_is_looked_at_answered_and_written(settings: Settings) -> None:
    async with screen(settings, size=(160, 48)) as cockpit:
        await open_round(cockpit)
        await cockpit.wait(r"Weekly round of routine maintenance")
        await cockpit.wait(r"p95 of signer-\d: median 1\d\d ms")
        cockpit.burst("end")
        await cockpit.wait(r"nobody has answered")
        await cockpit.settled()
        cockpit.burst("enter")
        await cockpit.wait(r"Which API keys were rotated")
        await cockpit.settled()
        cockpit.write("none due before May")
        cockpit.burst("enter")
        await cockpit.wait(r"none due before May +\(", 20)
        cockpit.burst("w")
        await cockpit.wait(r"report written")
        cockpit.burst("right", "right")
        await cockpit.wait(r"rollback plan ready +ATTENTION")
        await cockpit.wait(r"configs validated +ok")
        cockpit.burst("right")
        await cockpit.wait(r"no incident is open")
        cockpit.burst("escape")
        await cockpit.settled()
    (path,) = settings.state_dir.glob("maintenance-weekly-*.md")
    text = path.read_text()
    assert "none due before May" in text and "## 15.weekly.4" in text


async def test_a_round_fits_a_small_screen(settings: Settings) -> None:
    async with screen(settings, size=(80, 24)) as cockpit:
        await open_round(cockpit)
        await cockpit.wait(r"Weekly round of routine maintenance")
        cockpit.burst("left")
        await cockpit.wait(r"Incident checklist|no incident is open")


def test_the_same_without_a_screen(settings: Settings, drill: DrillThread, tmp_path: Path) -> None:
    def cockpit(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cockpit.cli", "--config", drill.config, "maintenance", *arguments]
        env = {"M0_COCKPIT_STATE_DIR": str(tmp_path / "cli"), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL, check=False, env=env
        )

    out = tmp_path / "round.md"
    done = cockpit("weekly", "--out", str(out), "--answer", "weekly-keys=rotated two", "--json")
    assert done.returncode == 3, done.stderr  # a restore drill, and what RPC costs, were not answered
    answer = json.loads(done.stdout)
    assert [line["item"] for line in answer["lines"]] == [f"15.weekly.{n}" for n in range(1, 6)]
    assert answer["lines"][4]["question"]["answer"] == "rotated two"
    assert "rotated two" in out.read_text()
    unasked = cockpit("weekly", "--answer", "weekly-nonsense=x")
    assert unasked.returncode == 64 and "did you mean 'weekly-keys'" in unasked.stderr
    deploy = cockpit("deploy", "--no-keep")
    assert deploy.returncode == 1 and "16.deploy.5 rollback plan ready: **ATTENTION**" in deploy.stdout
