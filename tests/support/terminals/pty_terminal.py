"""A raw pseudo-terminal around the cockpit: every byte that it sends is kept, reading can stall,
the line can drop.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyte

from tests.support.paths import ROOT
from tests.support.terminals.owning import owning
from tests.support.waiting import HANG_S

_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[()][A-Z0-9]|[=>78cM])"
)

#: Modes and questions that the emulator does not know, and would print.
_NOT_EMULATED = re.compile(rb"\x1b\[[<>=?][0-9;]*(?:u|\$p)|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_UNFINISHED = re.compile(rb"\x1b[^a-zA-Z\x07]{0,40}$")
_STYLE = re.compile(rb"\x1b\[[0-9;]*m")


def words_of(raw: bytes) -> str:
    """What was drawn, in the order of time: styles dropped, movements as a space."""
    return _ESCAPES.sub(b" ", _STYLE.sub(b"", raw)).decode("utf-8", "replace")


def until(true: Callable[[], object], timeout_s: float, words: str | Callable[[], str]) -> None:
    """Wait for a condition.

    Fails with `words`, asked for at the end.
    """
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {words if isinstance(words, str) else words()}")
        time.sleep(0.01)


class PtyTerminal:
    """`m0-cockpit ARGUMENTS` as the leader of a session whose terminal is ours."""

    def __init__(
        self, home: Path, *arguments: str, width: int = 80, height: int = 24, env: Mapping[str, str] | None = None
    ) -> None:
        self.raw = bytearray()  # all that the cockpit sent
        self._picture = pyte.Screen(width, height)
        self._emulator = pyte.ByteStream(self._picture)
        self._pending = b""
        self.home = home
        self._flow = threading.Event()
        self._flow.set()
        self._idle = threading.Event()
        self._done = False
        self.master, slave = pty.openpty()
        self.resize(width, height)
        self.before = termios.tcgetattr(slave)
        variables = {
            **{
                k: v
                for k, v in os.environ.items()
                if not k.startswith(("TEXTUAL", "LC_", "NO_COLOR", "COLORTERM", "KUBECONFIG"))
            },
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "PYTHONPATH": str(ROOT),
            **(env or {}),
        }

        self.stderr = home / "stderr.txt"
        with self.stderr.open("wb") as errors:
            self.process = subprocess.Popen(
                owning(slave, [sys.executable, "-m", "cockpit.cli", *arguments]),
                stdin=slave,
                stdout=slave,
                stderr=errors,
                env=variables,
                start_new_session=True,
            )
        self.slave = slave  # kept: the terminal's settings can be read after the end
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._done:
            self._idle.set()
            self._flow.wait()
            self._idle.clear()
            try:
                if select.select([self.master], [], [], 0.02)[0]:
                    data = os.read(self.master, 65536)
                    self.raw += data
                    self._emulate(data)
            except (OSError, ValueError):
                return

    def _emulate(self, data: bytes) -> None:
        data = self._pending + data
        cut = _UNFINISHED.search(data)
        self._pending = data[cut.start() :] if cut else b""
        self._emulator.feed(_NOT_EMULATED.sub(b"", data[: cut.start()] if cut else data))

    # --- what the operator does -------------------------------------------------------------------

    def type(self, keys: str) -> None:
        """All in one write, as a slow link delivers them."""
        os.write(self.master, keys.encode())

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._picture.resize(height, width)
        with contextlib.suppress(AttributeError, ProcessLookupError):
            os.kill(self.process.pid, signal.SIGWINCH)

    def stall(self) -> None:
        """Read nothing more: the link hangs."""
        self._flow.clear()
        self._idle.wait(5)

    def resume(self) -> None:
        self._flow.set()

    def hang_up(self) -> None:
        """The terminal's window is closed."""
        self._done = True
        self._flow.set()
        self._reader.join(5)
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = -1

    # --- what the operator sees -------------------------------------------------------------------

    @property
    def text(self) -> str:
        """All that was ever drawn, without escape sequences.

        Order in time, not on the screen.
        """
        return words_of(bytes(self.raw))

    @property
    def screen(self) -> str:
        """What is on screen now."""
        return "\n".join(self._picture.display)

    def wait(self, pattern: str, timeout_s: float = HANG_S, since: int = 0) -> None:
        """Until `pattern` was drawn, from byte `since` on; from the beginning also until it is on
        screen, however it got there.
        """

        def seen() -> bool:
            if since == 0 and re.search(pattern, self.screen) is not None:
                return True
            return re.search(pattern, words_of(bytes(self.raw[since:]))) is not None

        until(lambda: seen() or self.process.poll() is not None, timeout_s, lambda: f"{pattern}\n{self.screen}")
        assert seen(), f"it ended ({self.process.returncode}) before: {pattern}\n{self.errors()}"

    def errors(self) -> str:
        return self.stderr.read_text("utf-8", "replace")

    def children(self) -> list[int]:
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    def end(self, timeout_s: float = 10.0) -> int:
        return self.process.wait(timeout_s)

    def restored(self, within_s: float = 5.0) -> bool:
        """Whether the terminal is as it was: line discipline, main screen, cursor, mouse and paste
        modes.

        The last bytes may be on their way still.
        """
        deadline = time.monotonic() + within_s
        while not (good := self._as_before()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return good

    def _as_before(self) -> bool:
        sent = bytes(self.raw)
        modes = all(
            sent.rfind(off) >= sent.rfind(on)
            for on, off in (
                (b"\x1b[?1049h", b"\x1b[?1049l"),
                (b"\x1b[?25l", b"\x1b[?25h"),
                (b"\x1b[?1000h", b"\x1b[?1000l"),
                (b"\x1b[?2004h", b"\x1b[?2004l"),
                (b"\x1b[?1004h", b"\x1b[?1004l"),
                (b"\x1b[>1u", b"\x1b[<u"),
            )
        )
        return modes and termios.tcgetattr(self.slave)[:4] == self.before[:4]

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        self._done = True
        self._flow.set()
        self._reader.join(5)
        for fd in (self.master, self.slave):
            with contextlib.suppress(OSError):
                if fd >= 0:
                    os.close(fd)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
