"""Runs an event loop on simulated time, with its connections inside the process.

`time()` stands still while anything is ready, and jumps to the next timer when nothing is. A
connection to a port that this loop serves never reaches the kernel: bytes go from one transport to
the other, in order, at once. So a run depends on its seed alone, and may be forked.

Real descriptors still work (a child process, a database's socket): while one is awaited, time
stands still.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

GRAIN_S = 1e-6  # a timer is never early: who compares times must find that his has come
PATIENCE_S = 30.0  # real seconds for a child process or a database; then time goes on without it


def simulate(work: Coroutine[Any, Any, T], loop: SimulatedLoop | None = None) -> T:
    """Run it to its end on a simulated loop."""
    loop = loop or SimulatedLoop()
    before = None
    if sys.version_info < (3, 12):  # later ones do by themselves: a thread would wait in a time of its own
        before = asyncio.get_child_watcher()
        asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    asyncio.set_event_loop(loop)
    if sys.version_info < (3, 12):
        asyncio.get_child_watcher().attach_loop(loop)  # outside the main thread nobody else does
    try:
        return loop.run_until_complete(work)
    finally:
        if sys.version_info < (3, 12):
            asyncio.set_child_watcher(before)
        asyncio.set_event_loop(None)
        loop.close()


def hurry(work: Coroutine[Any, Any, T], speed: float) -> T:
    """Run it on a loop whose seconds are `speed` times shorter, over real sockets."""
    loop = HurriedLoop(speed)
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(work)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class HurriedLoop(asyncio.SelectorEventLoop):
    """Lets time go by more quickly; all else is real: sockets, threads, child processes."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        super().__init__(HurriedSelector(speed))

    def time(self) -> float:
        return super().time() * self._speed


class HurriedSelector(selectors.DefaultSelector):
    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout / self._speed if timeout is not None and timeout > 0 else timeout)


class Selector(selectors.PollSelector):
    """Waits in simulated time; keeps no state in the kernel, so that a fork has its own."""

    def __init__(self) -> None:
        super().__init__()
        self.idle: set[int] = set()  # descriptors that nobody waits for: listeners, the loop's own pipe
        self.pass_time: Callable[[float | None], None] = lambda timeout: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        awaited = any(number not in self.idle for number in self._fd_to_key)  # type: ignore[attr-defined]
        if not awaited and timeout is not None and timeout <= 0:
            return []
        found = super().select(PATIENCE_S if awaited and (timeout is None or timeout > 0) else 0)
        if not found and (timeout is None or timeout > 0):
            self.pass_time(timeout)
        return found


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Keeps its own time, from 0 on."""

    def __init__(self, selector: Selector | None = None) -> None:
        self._now = 0.0
        self._served: dict[int, Callable[[], Any]] = {}  # port → what makes a protocol
        self._dialled: dict[socket.socket, int] = {}  # sockets that wait for their protocol → port
        selector = selector or Selector()
        super().__init__(selector)
        self._waits = selector
        selector.pass_time = self._pass_time
        selector.idle |= {key.fd for key in selector.get_map().values()}

    def time(self) -> float:
        return self._now

    def _pass_time(self, timeout: float | None) -> None:
        if timeout is None:
            raise RuntimeError("nothing is ready, and nothing ever will be")
        self._now += timeout + GRAIN_S

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run it here and now: a thread would keep a time of its own."""
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done

    async def create_server(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """Listen really, for child processes, and be found by `create_connection` here."""
        server = await super().create_server(protocol_factory, *args, **options)
        for listening in server.sockets:
            self._waits.idle.add(listening.fileno())
            self._served[listening.getsockname()[1]] = protocol_factory
        return server

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        if address[1] in self._served:
            self._dialled[sock] = address[1]
        else:
            await super().sock_connect(sock, address)

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        sock = options.get("sock")
        at = self._dialled.pop(sock, None) if sock is not None else port if port in self._served else None
        if at is None:
            return await super().create_connection(protocol_factory, host, port, **options)
        if options.get("ssl"):
            raise ValueError("what is served here speaks plain text")
        if sock is not None:
            sock.close()
        near, far = protocol_factory(), self._served[at]()
        mine, theirs = _pair(self, near, far, at)
        far.connection_made(theirs)
        near.connection_made(mine)
        return mine, near


class Peer:
    """Stands for the socket of a connection that has none."""

    family = socket.AF_INET

    def __init__(self, name: tuple[str, int], peer: tuple[str, int]) -> None:
        self._name, self._peer = name, peer
        self._alive, self._other = socket.socketpair()

    def setsockopt(self, *_: Any) -> None:
        """Take any option: there is no kernel to tell."""

    def fileno(self) -> int:
        return self._alive.fileno()

    def getsockname(self) -> tuple[str, int]:
        return self._name

    def getpeername(self) -> tuple[str, int]:
        return self._peer

    def hang_up(self) -> None:
        """Let whoever polls the descriptor see that the other end is gone."""
        self._other.close()

    def close(self) -> None:
        self._other.close()
        self._alive.close()


class Pipe(asyncio.Transport):
    """Carries bytes to the transport at the other end, through the loop, in order."""

    HIGH = 256 * 1024

    def __init__(self, loop: SimulatedLoop, protocol: Any, peer: Peer) -> None:
        names: Mapping[str, Any] = {
            "socket": peer,
            "sockname": peer.getsockname(),
            "peername": peer.getpeername(),
            "uid": os.getuid(),
        }
        super().__init__(dict(names))
        self.loop, self.protocol, self.peer = loop, protocol, peer
        self.other: Pipe
        self._come: list[bytes] = []
        self._size = 0
        self._reading, self._scheduled, self._ended, self._closing, self._lost = True, False, False, False, False
        self._paused = False  # our protocol was asked to write no more

    # what a protocol does with its transport

    def write(self, data: Any) -> None:
        if data and not self._closing:
            self.other.take(bytes(data))
            if self.other._size > self.HIGH and not self._paused:
                self._paused = True
                self.protocol.pause_writing()

    def writelines(self, data: Any) -> None:
        self.write(b"".join(data))

    def write_eof(self) -> None:
        self.other.end()

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return self.other._size

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Keep our own limits."""

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._soon()

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self.other.end()
            self.loop.call_soon(self._lose)

    def abort(self) -> None:
        self.close()

    # what the other end does with it

    def take(self, data: bytes) -> None:
        if not self._closing and not self._ended:
            self._come.append(data)
            self._size += len(data)
            self._soon()

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self.peer.hang_up()
            self._soon()

    def _soon(self) -> None:
        if not self._scheduled and self._reading and not self._closing and (self._come or self._ended):
            self._scheduled = True
            self.loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        if self._closing or not self._reading:
            return
        if self._come:
            data = b"".join(self._come)
            self._come.clear()
            self._size = 0
            self.protocol.data_received(data)
            self.other.drained()
            self._soon()
        elif self._ended and not self.protocol.eof_received():
            self.close()

    def drained(self) -> None:
        if self._paused and not self._lost:
            self._paused = False
            self.protocol.resume_writing()

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            with contextlib.suppress(Exception):
                self.protocol.connection_lost(None)
            self.peer.close()


def _pair(loop: SimulatedLoop, near: Any, far: Any, port: int) -> tuple[Pipe, Pipe]:
    here, there = ("127.0.0.1", 1), ("127.0.0.1", port)
    mine, theirs = Pipe(loop, near, Peer(here, there)), Pipe(loop, far, Peer(there, here))
    mine.other, theirs.other = theirs, mine
    return mine, theirs


class LoopClock:
    """Tells the loop's time as the cockpit's clock, from `start` unix seconds on."""

    def __init__(self, loop: asyncio.AbstractEventLoop, start: float) -> None:
        self._loop, self._start = loop, start

    def wall(self) -> float:
        return self._start + self._loop.time()

    def mono(self) -> float:
        return self._loop.time() + 1000.0
