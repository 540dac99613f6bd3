"""A real terminal: the cockpit under tmux, typed at and read as an operator would."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from pathlib import Path

from tests.support.paths import ROOT
from tests.support.waiting import HANG_S


class Terminal:
    """One tmux pane on a server of its own, with the cockpit in it."""

    def __init__(self, tmux: str, state: Path, width: int, height: int) -> None:
        self.name = f"cockpit-{uuid.uuid4().hex[:8]}"
        self._tmux = [tmux, "-L", self.name, "-f", "/dev/null"]
        self.state = state
        self.width, self.height = width, height

    def run(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        """Start `m0-cockpit ARGUMENTS` in the pane; the exit code is printed at its end."""
        variables = {
            "M0_COCKPIT_STATE_DIR": str(self.state),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "HOME": str(self.state),
            "XDG_CONFIG_HOME": str(self.state / "config"),
            **(env or {}),
        }
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        command = f"env {exports} {shlex.quote(sys.executable)} -m cockpit.cli {shlex.join(arguments)}; echo exit=$?; sleep 600"
        self._do("new-session", "-d", "-x", str(self.width), "-y", str(self.height), command)
        self._do("set-option", "-g", "history-limit", "0")

    def _do(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "TERM": "xterm-256color"},
        )
        return done.stdout

    def screen(self) -> str:
        return self._do("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        """tmux's names: Enter, Escape, Down, C-y; other strings are typed."""
        for key in keys:
            self._do("send-keys", key)

    def resize(self, width: int, height: int) -> None:
        self._do("resize-window", "-x", str(width), "-y", str(height))
        self.width, self.height = width, height

    def pid(self) -> int:
        """The cockpit's own process."""
        shell = int(self._do("display-message", "-p", "#{pane_pid}").strip())
        children = subprocess.run(
            ["pgrep", "-P", str(shell)], capture_output=True, text=True, check=False
        ).stdout.split()
        return int(children[0])

    def wait(self, pattern: str, timeout_s: float = HANG_S, absent: bool = False) -> str:
        """Until the screen matches (or no longer does); the screen then.

        Fails with the last screen.
        """
        deadline = time.monotonic() + timeout_s
        shown = ""
        while time.monotonic() < deadline:
            shown = self.screen()
            if bool(re.search(pattern, shown, re.M)) is not absent:
                return shown
            time.sleep(0.05)
        raise AssertionError(f"{'still' if absent else 'never'} on screen within {timeout_s:g} s: {pattern}\n{shown}")

    def kill(self) -> None:
        self._do("kill-server")
