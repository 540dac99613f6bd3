"""A terminal at the end of a line: what is sent and typed takes its time, and it answers, or not.

It draws as an emulator does, in order, and answers where a question stands among what is drawn.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import pyte

from tests.support.paths import ROOT
from tests.support.terminals.owning import owning
from tests.support.terminals.pty_terminal import _NOT_EMULATED, _UNFINISHED
from tests.support.waiting import HANG_S

#: What a terminal does with a question: the bytes that it sends at once, and those that it sends
#: after a while.
Answering = Callable[[bytes], Sequence[tuple[float, bytes]]]


def at_once(answer: bytes) -> Sequence[tuple[float, bytes]]:
    return [(0.0, answer)]


def never(answer: bytes) -> Sequence[tuple[float, bytes]]:
    return []


class _Screen(pyte.Screen):
    def __init__(self, width: int, height: int, said: Callable[[bytes], None]) -> None:
        super().__init__(width, height)
        self.said = said

    def write_process_input(self, data: str) -> None:
        self.said(data.encode())


class Line:
    """A program as the leader of a session whose terminal is ours, `latency_s` away each way."""

    def __init__(
        self,
        *command: str,
        latency_s: float = 0.0,
        answering: Answering = at_once,
        width: int = 80,
        height: int = 24,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.latency_s = latency_s
        self.answering = answering
        self._picture = _Screen(width, height, self._say)
        self._emulator = pyte.ByteStream(self._picture)
        self._pending = b""
        self._ids = itertools.count()
        self._due: list[tuple[float, int, str, bytes]] = []  # when, what ("draw", "type"), bytes
        self._wake = threading.Condition()
        self._done = False
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        dropped = ("TEXTUAL", "LC_", "NO_COLOR", "COLORTERM", "KUBECONFIG", "TMUX", "STY", "ZELLIJ")
        variables = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
        variables |= {"LANG": "C.UTF-8", "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **(env or {})}

        self.process = subprocess.Popen(
            owning(self.slave, command),
            stdin=self.slave,
            stdout=self.slave,
            stderr=subprocess.PIPE,
            env=variables,
            start_new_session=True,
        )
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._read, self._deliver)]
        for thread in self._threads:
            thread.start()

    # --- the two ways

    def _read(self) -> None:
        while not self._done:
            try:
                if select.select([self.master], [], [], 0.02)[0]:
                    self._later(self.latency_s, "draw", os.read(self.master, 65536))
            except (OSError, ValueError):
                return

    def _later(self, delay_s: float, what: str, data: bytes) -> None:
        with self._wake:
            heapq.heappush(self._due, (time.monotonic() + delay_s, next(self._ids), what, data))
            self._wake.notify()

    def _deliver(self) -> None:
        while not self._done:
            with self._wake:
                now = time.monotonic()
                if not self._due or self._due[0][0] > now:
                    self._wake.wait(self._due[0][0] - now if self._due else 0.05)
                    continue
                _, _, what, data = heapq.heappop(self._due)
            if what == "draw":
                self._draw(data)
            else:
                with contextlib.suppress(OSError):
                    os.write(self.master, data)

    def _draw(self, data: bytes) -> None:
        data = self._pending + data
        cut = _UNFINISHED.search(data)
        self._pending = data[cut.start() :] if cut else b""
        self._emulator.feed(_NOT_EMULATED.sub(b"", data[: cut.start()] if cut else data))

    def _say(self, answer: bytes) -> None:
        for delay_s, data in self.answering(answer):
            self._later(self.latency_s + delay_s, "type", data)

    # --- the operator

    def type(self, keys: str | bytes, after_s: float = 0.0) -> bool:
        """Strike keys in one piece; tell whether the question was on the screen by then."""
        self._later(self.latency_s + after_s, "type", keys.encode() if isinstance(keys, str) else keys)
        return self.asked

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._picture.resize(height, width)
        os.kill(self.process.pid, signal.SIGWINCH)

    def hang_up(self) -> None:
        """The terminal's window is closed."""
        self._done = True
        for thread in self._threads:
            thread.join(5)
        os.close(self.slave)
        os.close(self.master)
        self.master = self.slave = -1

    @property
    def screen(self) -> str:
        return "\n".join(self._picture.display)

    @property
    def asked(self) -> bool:
        return "server dry run" in self.screen

    def wait(self, pattern: str, timeout_s: float = HANG_S, *, absent: bool = False) -> None:
        deadline = time.monotonic() + timeout_s
        while bool(re.search(pattern, self.screen)) is absent:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{'still' if absent else 'never'}: {pattern}\n{self.screen}")
            time.sleep(0.005)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(5)
        self._done = True
        for thread in self._threads:
            thread.join(5)
        for fd in (self.master, self.slave):
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
