"""Runs a program from an argument list, never through a shell.

Its output is streamed and bounded, its whole process group is ended.

It gets a session (so a process group) of its own, no standard input, and only the environment that
it is given. What is in its group when it ends, or when its time is up, gets SIGTERM and, five
seconds later, SIGKILL. (A grandchild that makes a session of its own leaves the group: that cannot
be seen from here. Its hold on the output is cut.)
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from cockpit.clock import Clock
from cockpit.host.programs import safe_path
from cockpit.redaction.forms import KeyLines
from cockpit.text import safe

KEPT_LINES = 200
LINE_LIMIT = 2000  # bytes of one line; the rest of it is dropped
GRACE_S = 5.0  # from SIGTERM to SIGKILL
_DRAIN_S = 1.0  # for the last output of a program that has ended
_REPORT_EVERY_S = 0.25
_CHUNK = 65_536
#: Passed on from our own environment, where it is there: what programs need to find themselves and
#: print text.
PASSED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)


#: Sequences that colour text or move the cursor (ECMA-48 CSI, and OSC): programs write them out of
#: habit, and one that stands before a word would hide it from the redaction. What else is there is
#: made visible.
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


@dataclass(frozen=True, slots=True)
class Ended:
    """Says how a program ended.

    `status`: the exit status, negative when a signal ended it; None when it never started
    (`problem` says why). `timed_out`: its time was up, and its group was ended; `stopped`: the
    operator asked for that. `output`: the last lines, cleaned and redacted.
    """

    status: int | None
    output: tuple[str, ...]
    dropped: str
    timed_out: bool = False
    problem: str = ""
    stopped: bool = False

    @property
    def words(self) -> str:
        if self.status is None:
            return self.problem
        if self.stopped:
            return "stopped by the operator: its process group was ended"
        if self.timed_out:
            return "its time was up: its process group was ended"
        if self.status < 0:
            with contextlib.suppress(ValueError):
                return f"ended by {signal.Signals(-self.status).name}"
        return f"exit {self.status}"


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return the least environment, and what the configuration gives."""
    return {**{name: os.environ[name] for name in PASSED if name in os.environ}, **own}


def executable(program: str, env: Mapping[str, str]) -> str | None:
    """Find the file that would run; None when there is none."""
    return shutil.which(program, path=env.get("PATH", os.defpath))


class Tail:
    """Keeps the last lines of a stream of bytes, cleaned only when they are read."""

    def __init__(self, kept: int = KEPT_LINES, limit: int = LINE_LIMIT) -> None:
        self._lines: deque[bytes] = deque(maxlen=kept)
        self._limit = limit
        self._rest = b""
        self._cutting = False  # the line that goes on is too long already
        self._cut_bytes = 0
        self._lost_lines = 0
        self._lost_bytes = 0

    def feed(self, data: bytes) -> None:
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._add(
                self._rest + line if not self._cutting else b"", ended=True, extra=len(line) if self._cutting else 0
            )
        if self._cutting:
            self._cut_bytes += len(rest)
            return
        self._rest += rest
        if len(self._rest) > self._limit:
            self._add(self._rest, ended=False)

    def _add(self, line: bytes, *, ended: bool, extra: int = 0) -> None:
        if self._cutting:  # the end of a long line: its beginning is kept already
            self._cut_bytes += extra
            self._cutting = not ended
            return
        if len(self._lines) == self._lines.maxlen:
            self._lost_lines += 1
            self._lost_bytes += len(self._lines[0]) + 1
        self._cut_bytes += max(0, len(line) - self._limit)
        self._lines.append(line[: self._limit])
        self._rest = b""
        self._cutting = not ended

    def lines(self) -> tuple[str, ...]:
        """Return the lines, cleaned and redacted; empty ones are left out."""
        raw = [*self._lines, *([self._rest] if self._rest else [])]
        keys, bare = KeyLines(), (_COLOURS.sub("", line.decode("utf-8", "replace")).rstrip("\r") for line in raw)
        lines = (safe(keys.shown(line), 500) for line in bare)
        return tuple(line for line in lines if line)

    @property
    def dropped(self) -> str:
        """Say what is not kept; "" when everything is."""
        parts = []
        if self._lost_lines:
            parts.append(f"{self._lost_lines:,} earlier lines ({_size(self._lost_bytes)})")
        if self._cut_bytes:
            parts.append(f"{_size(self._cut_bytes)} of lines longer than {self._limit} bytes")
        return f"dropped: {' and '.join(parts)}" if parts else ""


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1_000_000 else f"{count:,} bytes"


async def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    timeout_s: float,
    clock: Clock,
    *,
    on_output: Callable[[tuple[str, ...], str], None] = lambda _lines, _dropped: None,
    grace_s: float = GRACE_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    stop: asyncio.Event | None = None,
) -> Ended:
    """Run it to its end, until `timeout_s`, or until `stop` is set.

    Never raises for what the program does; cancelling it ends the group too.

    `on_output` hears the last lines and what was dropped, a few times a second at most.
    """
    tail = Tail()
    # A pipe of our own: asyncio's would make `wait` wait for whoever else holds the other end.
    ours, theirs = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env={**env, **safe_path(argv)},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        os.close(ours)
        words = getattr(error, "strerror", None) or safe(error, 120)
        return Ended(None, (), "", problem=f"{safe(argv[0], 120)} did not start: {words}")
    finally:
        os.close(theirs)
    reader = asyncio.StreamReader(limit=_CHUNK)
    pipe, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours, "rb", 0)
    )
    reading = asyncio.create_task(_read(reader, tail, clock, on_output))
    timed_out = stopped = False
    try:
        try:
            async with asyncio.timeout(timeout_s):
                stopped = not await _ended_first(process, stop)
        except TimeoutError:
            timed_out = True
    finally:
        await asyncio.shield(_end_group(process, grace_s, sleep))
        await _drain(reading)
        pipe.close()
    on_output(tail.lines(), tail.dropped)
    return Ended(process.returncode, tail.lines(), tail.dropped, timed_out, stopped=stopped)


async def _ended_first(process: asyncio.subprocess.Process, stop: asyncio.Event | None) -> bool:
    """Wait for its end, or for the wish that it end."""
    if stop is None:
        await process.wait()
        return True
    ended, asked = asyncio.create_task(process.wait()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((ended, asked), return_when=asyncio.FIRST_COMPLETED)
        return ended.done()
    finally:
        for task in (ended, asked):
            task.cancel()
        await asyncio.gather(ended, asked, return_exceptions=True)


async def _read(
    reader: asyncio.StreamReader, tail: Tail, clock: Clock, on_output: Callable[[tuple[str, ...], str], None]
) -> None:
    last = float("-inf")
    while chunk := await reader.read(_CHUNK):
        tail.feed(chunk)
        if clock.mono() - last >= _REPORT_EVERY_S:
            last = clock.mono()
            on_output(tail.lines()[-20:], tail.dropped)
        await asyncio.sleep(0)  # a program that never stops printing must not hold the loop


async def _drain(reading: asyncio.Task[None]) -> None:
    """Read what is still in the pipe, not for ever: someone who left the group may hold it open."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            await asyncio.shield(reading)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def _end_group(
    process: asyncio.subprocess.Process, grace_s: float, sleep: Callable[[float], Awaitable[None]]
) -> None:
    """Send SIGTERM to everyone in the group, SIGKILL to who is left.

    The group's number is the program's own pid, and cannot be given to another while anyone of it
    lives.
    """
    if not _signal_group(process.pid, signal.SIGTERM):
        await process.wait()
        return
    waited = 0.0
    while waited < grace_s:
        if process.returncode is not None and not _signal_group(process.pid, None):
            return
        await sleep(0.05)
        waited += 0.05
    _signal_group(process.pid, signal.SIGKILL)
    await process.wait()


def _signal_group(group: int, number: signal.Signals | None) -> bool:
    """Send a signal to the group; False when nobody is left in it.

    None only asks.
    """
    try:
        os.killpg(group, number or 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # someone changed user: it is there, and not ours to end
    return True
