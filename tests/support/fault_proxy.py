"""A TCP proxy that can be broken in the ways that networks and proxies break, and be well again.

What it is switched to holds for connections that are open as for new ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import threading
from collections.abc import Coroutine, Iterable
from enum import Enum
from pathlib import Path
from typing import Any, Self

_HTML = b"<!doctype html><html><body>Please sign in</body></html>"


class Fault(Enum):
    """What goes wrong; each member says how it looks from the client."""

    NONE = "all is well"
    REFUSED = "nobody listens"
    RESET = "each connection is reset"
    HALF_OPEN = "connections open and stay silent, those that are open too"
    TRUNCATED = "each answer breaks off in the middle"
    DRIPPING = "an answer comes byte by byte"
    HTML = "a proxy answers with its sign-in page"
    UNAVAILABLE = "a proxy answers 503"
    THROTTLED = "it answers 429, Retry-After: 3600"
    GARBAGE = "what answers speaks another protocol"


_ANSWERS = {
    Fault.HTML: (200, b"", _HTML, b"text/html"),
    Fault.UNAVAILABLE: (503, b"", b"upstream connect error", b"text/plain"),
    Fault.THROTTLED: (429, b"Retry-After: 3600\r\n", b"slow down", b"text/plain"),
}


_ENDS_CONNECTIONS = {Fault.NONE, Fault.REFUSED, Fault.RESET, Fault.GARBAGE, *_ANSWERS}


class FaultProxy:
    """Stands before one server; `set` is for its own loop."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._fault = Fault.NONE
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._bound: socket.socket | None = None  # the port's, while nobody listens
        self.port = 0
        self.asked = 0  # connections that came while something was wrong

    async def start(self) -> None:
        """Listen; raises OSError when the port that was asked for is taken."""
        bound = self._bound or _bound(self.port)
        self._bound = None
        self._server = await asyncio.start_server(self._serve, sock=bound)
        self.port = bound.getsockname()[1]

    async def stop(self) -> None:
        await self.set(Fault.REFUSED)
        if self._bound is not None:
            self._bound.close()

    async def set(self, fault: Fault) -> None:
        if fault is Fault.REFUSED and self._server is not None:
            self._server.close()
            self._server, self._bound = None, _bound(self.port)  # refuses, and keeps the port from others
        elif fault is not Fault.REFUSED and self._server is None:
            await self.start()
        self._fault = fault
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        if fault in _ENDS_CONNECTIONS:
            for task in tuple(self._tasks):
                task.cancel()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += self._fault is not Fault.NONE
        try:
            if self._fault in _ANSWERS:
                await self._answer(reader, writer, *_ANSWERS[self._fault])
            elif self._fault is Fault.GARBAGE:
                await reader.read(1)
                writer.write(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" + bytes(range(256)))
                await writer.drain()
            elif self._fault is not Fault.RESET:
                await self._between(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._end(writer)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        if self._fault is Fault.RESET:
            with contextlib.suppress(OSError):
                own: socket.socket = writer.get_extra_info("socket")
                own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()

    async def _answer(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        status: int,
        more: bytes,
        body: bytes,
        kind: bytes,
    ) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            said = b"HTTP/1.1 %d Said\r\nContent-Type: %s\r\nContent-Length: %d\r\n%s\r\n%s"
            writer.write(said % (status, kind, len(body), more, body))
            await writer.drain()

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._upstream)
        pumps = [asyncio.create_task(self._pump(reader, ours, answers=False))]
        pumps.append(asyncio.create_task(self._pump(theirs, writer, answers=True)))
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            ours.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        while part := await source.read(65_536):
            if self._fault is Fault.HALF_OPEN:
                await asyncio.Event().wait()  # until the connection's own end
            if answers and self._fault is Fault.DRIPPING:
                for at in range(len(part)):
                    if self._fault is not Fault.DRIPPING:
                        sink.write(part[at:])
                        break
                    sink.write(part[at : at + 1])
                    await sink.drain()
                    await self._for(0.4)
                continue
            if answers and self._fault is Fault.TRUNCATED:
                sink.write(part[: len(part) * 2 // 3])
                await sink.drain()
                return
            sink.write(part)
            await sink.drain()

    async def _for(self, seconds: float) -> None:
        """Wait, or until it is switched."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(("127.0.0.1", port))
    except OSError:
        made.close()
        raise
    return made


class Proxies:
    """Runs proxies on a loop of their own, before every port that some text names.

    `streams`: ports of Solana nodes, whose WebSocket is one port higher.
    """

    def __init__(self, streams: Iterable[int] = ()) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._streams = frozenset(streams)
        self.by_port: dict[int, FaultProxy] = {}  # by the port that stands behind

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for proxy in self.by_port.values():
            self._run(proxy.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def before(self, text: str) -> str:
        """The same text, each 127.0.0.1:PORT led through a proxy."""
        return re.sub(r"127\.0\.0\.1:(\d+)", lambda match: f"127.0.0.1:{self._port(int(match[1]))}", text)

    def _port(self, port: int) -> int:
        if port not in self.by_port:
            self._run(self._pair(port) if port in self._streams else self._alone(port))
        return self.by_port[port].port

    async def _alone(self, port: int) -> None:
        self.by_port[port] = FaultProxy(port)
        await self.by_port[port].start()

    async def _pair(self, port: int) -> None:
        while True:
            await self._alone(port)
            self.by_port[port + 1] = stream = FaultProxy(port + 1)
            stream.port = self.by_port[port].port + 1
            try:
                return await stream.start()
            except OSError:  # taken: another pair
                await self.by_port[port].stop()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def set(self, fault: Fault, *ports: int) -> None:
        """Break, or mend, what stands before these ports; before all without any."""
        for port, proxy in self.by_port.items():
            if not ports or port in ports:
                self._run(proxy.set(fault))


def through(folder: Path, config: Path, kubeconfig: Path, made: Proxies) -> Path:
    """A configuration like `config`; its every address, the cluster too, leads through `made`."""
    folder.mkdir(parents=True)
    cluster = folder / "kubeconfig"
    cluster.write_text(made.before(kubeconfig.read_text()))
    own = folder / "config.toml"
    own.write_text(made.before(config.read_text()).replace(str(kubeconfig), str(cluster)))
    return own
