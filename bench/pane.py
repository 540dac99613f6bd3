"""Times a program on a pty: when a text first appears, how many bytes it writes, its cost."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


class Pane:
    """Runs the program from construction on.

    A thread reads all that is written, with the time of each chunk.
    """

    def __init__(
        self, argv: Sequence[str], *, width: int = 160, height: int = 48, env: dict[str, str] | None = None
    ) -> None:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **(env or {})})
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
            os.execvp(argv[0], list(argv))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.chunks: list[tuple[float, bytes]] = []
        self.reading = True
        self._text = b""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            if not self.reading:
                time.sleep(0.01)
                continue
            try:
                if not select.select([self.fd], [], [], 0.1)[0]:
                    continue
                data = os.read(self.fd, 65536)
            except OSError:
                return
            if not data:
                return
            self.chunks.append((time.perf_counter(), data))

    def when(self, text: str, timeout_s: float = 60.0, since: int = 0) -> float:
        """Return the seconds from the start until `text` was written (from chunk `since` on)."""
        wanted = text.encode()
        deadline = time.perf_counter() + timeout_s
        seen, tail = since, b""
        while time.perf_counter() < deadline:
            while seen < len(self.chunks):
                at, data = self.chunks[seen]
                tail += data
                if wanted in tail:
                    return at - self.started
                tail = tail[-len(wanted) :]
                seen += 1
            time.sleep(0.002)
        raise TimeoutError(f"{text!r} was not written within {timeout_s:g} s")

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def latency(self, keys: str, quiet_s: float = 0.6) -> float:
        """Return the seconds from a key press to the first bytes written after it."""
        mark = len(self.chunks)
        pressed = time.perf_counter()
        self.type(keys)
        while len(self.chunks) == mark:
            if time.perf_counter() - pressed > quiet_s:
                return quiet_s
            time.sleep(0.0005)
        return self.chunks[mark][0] - pressed

    def written(self, seconds: float) -> int:
        """Return the bytes written within the next `seconds`."""
        mark = len(self.chunks)
        time.sleep(seconds)
        return sum(len(data) for _, data in self.chunks[mark:])

    def cpu(self, seconds: float) -> float:
        """Return the share of one core over the next `seconds`."""
        before = self._ticks()
        time.sleep(seconds)
        return (self._ticks() - before) / TICKS / seconds

    def _ticks(self) -> int:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def memory(self) -> int:
        """Return the resident bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        return 0

    def ended(self, timeout_s: float) -> None:
        """Wait until the program has ended by itself; raises TimeoutError."""
        deadline = time.perf_counter() + timeout_s
        while not os.waitpid(self.pid, os.WNOHANG)[0]:
            if time.perf_counter() > deadline:
                self.close()
                raise TimeoutError(f"it did not end within {timeout_s:g} s")
            time.sleep(0.1)
        os.close(self.fd)

    def close(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                break
            for _ in range(150):
                done, _status = os.waitpid(self.pid, os.WNOHANG)
                if done:
                    os.close(self.fd)
                    return
                time.sleep(0.02)
