"""Streams the program's logs as they are confirmed, over one WebSocket.

Slots come beside them, so that silence is told from quiet.

The `websockets` package itself rather than `SolanaWsClient` on top of it: that one decodes every
frame twice (once in a native package that may panic) and closes all subscriptions at the first
frame it does not expect. Here such a frame is counted and passed over.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec

from cockpit.clock import Clock
from cockpit.errors import CockpitError
from cockpit.kubeapi.bounds import LONGEST_WAIT_S, retry_after_s
from cockpit.kubeapi.network import words
from cockpit.kubeapi.read_batching import ReadBatcher
from cockpit.sources.solana.rpc import Slot, host_of
from cockpit.sources.solana.settings import RpcEndpoint
from cockpit.sources.timing import SolanaTimings
from cockpit.text import safe, url_secrets, without

MOST_FRAME_BYTES = 512 * 1024  # the logs of a transaction end at some 10 kB
_MOST_WAITING = 64  # frames, before the socket is read no further
_TOO_BIG = 1009  # RFC 6455, 7.4.1
MOST_ODD = 1000  # unexpected frames in a row: whatever talks there, it is no Solana node
_LOGS, _SLOTS, _PROCESSED = 1, 2, 3  # ids of our requests
_TURN = 64  # frames taken before the loop gets its turn
_NONSENSE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_log = logging.getLogger("cockpit.solana.websocket")
_log.addHandler(logging.NullHandler())
_log.propagate = False  # what is wrong is said in readings; a logger without handlers would print over the screen


_CORRECT = "correct its ws-url in [[rpc-endpoints]]"


class StreamBroken(CockpitError):
    """The stream ended, in words.

    `retry_after_s`: how long the node asks to be left alone, None when it does not say.
    """

    usual_remedy = "nothing to do: it is tried again, and what was missed is looked for by listing"

    def __init__(self, reason: str, remedy: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(reason, remedy)
        self.retry_after_s = retry_after_s


class Receiver(Protocol):
    """Takes what the stream brings.

    All are called on the loop, and must be quick.
    """

    def confirmed(self, signature: str, slot: int, err: object, logs: list[str]) -> None: ...
    def processed(self, signature: str, slot: int) -> None: ...


class _Value(msgspec.Struct, gc=False):
    signature: str
    err: msgspec.Raw = msgspec.Raw(b"null")
    logs: list[str] | None = None


class _Context(msgspec.Struct, gc=False):
    slot: Slot


class _Result(msgspec.Struct, gc=False):
    context: _Context
    value: _Value


class _Brief(msgspec.Struct, gc=False):
    signature: str


class _BriefResult(msgspec.Struct, gc=False):
    context: _Context
    value: _Brief


class _Params(msgspec.Struct, gc=False):
    result: msgspec.Raw
    subscription: msgspec.Raw = msgspec.Raw(b"")


class _Error(msgspec.Struct, gc=False):
    code: int = 0
    message: str = ""


class _Frame(msgspec.Struct, gc=False):
    method: str | None = None
    params: _Params | None = None
    id: int | None = None
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _Error | None = None


_FRAME = msgspec.json.Decoder(_Frame)
_LOG_RESULT = msgspec.json.Decoder(_Result)
_BRIEF_RESULT = msgspec.json.Decoder(_BriefResult)


def ws_url(endpoint: RpcEndpoint) -> str:
    """Return the WebSocket's address as Solana's own clients have it.

    The port one higher where one is given, else the same address with ws(s).
    """
    if endpoint.ws_url is not None:
        return endpoint.ws_url
    parts = urlsplit(endpoint.url)
    host = parts.netloc
    if parts.port is not None:
        host = f"{host.rpartition(':')[0]}:{parts.port + 1}"
    return urlunsplit(("wss" if parts.scheme == "https" else "ws", host, parts.path, parts.query, ""))


class LogStream:
    """Streams logs: `open()`, then `run()` until it raises StreamBroken; `close()` at the end.

    Used once.
    """

    def __init__(
        self,
        endpoint: RpcEndpoint,
        program_id: str,
        receiver: Receiver,
        clock: Clock,
        timings: SolanaTimings,
        *,
        with_processed: bool = True,
    ) -> None:
        self.name = safe(endpoint.name, 60)
        self.alive_at = clock.mono()  # the last frame of any use
        self.odd = 0  # frames that were passed over
        self._odd_in_a_row = 0
        self._endpoint = endpoint
        self._program_id = program_id
        self._receiver = receiver
        self._clock = clock
        self._timings = timings
        self._with_processed = with_processed
        self._socket: Any = None
        self._ids: dict[bytes, int] = {}  # subscription, as its number is written → our request
        self._refused: dict[int, str] = {}
        self._secrets = url_secrets(endpoint.url) + url_secrets(endpoint.ws_url or "")

    async def open(self) -> None:
        """Connect and subscribe; returns once the node has confirmed the subscription.

        Raises StreamBroken.
        """
        try:
            connect, kind, context = await asyncio.to_thread(self._prepare)
            async with asyncio.timeout(self._timings.connect_s):
                self._socket = await connect(
                    self._url,
                    ssl=context,
                    compression=None,
                    proxy=None,
                    logger=_log,
                    user_agent_header="m0-cockpit",
                    open_timeout=None,
                    ping_interval=self._timings.ping_s,
                    ping_timeout=self._timings.silence_s,
                    close_timeout=1.0,
                    max_size=MOST_FRAME_BYTES,
                    max_queue=_MOST_WAITING,
                    create_connection=kind,
                )
                await self._subscribe()
                while _LOGS not in self._ids.values():
                    if _LOGS in self._refused:
                        raise StreamBroken(f"{self.name} refuses logsSubscribe: {self._refused[_LOGS]}")
                    self._frame(await self._socket.recv(decode=False))
        except BaseException as error:
            broken = self._broken(error)
            await self.close()
            raise broken from None

    def _prepare(self) -> tuple[Callable[..., Any], type[Any], ssl.SSLContext | None]:
        """Import the client and read certificates; blocking."""
        from websockets.asyncio.client import connect

        from cockpit.sources.bounded_socket import BoundedConnection

        try:
            self._url = ws_url(self._endpoint)
        except ValueError:
            raise StreamBroken(f"the ws-url of {self.name} is no URL", _CORRECT) from None
        if not self._url.startswith(("ws://", "wss://")):
            raise StreamBroken(f"the ws-url of {self.name} is no ws(s) URL", _CORRECT)
        context = ssl.create_default_context() if self._url.startswith("wss://") else None
        return connect, BoundedConnection, context

    async def _subscribe(self) -> None:
        mentions = {"mentions": [self._program_id]}
        wanted = {_LOGS: ("logsSubscribe", [mentions, {"commitment": "confirmed"}]), _SLOTS: ("slotSubscribe", [])}
        if self._with_processed:
            wanted[_PROCESSED] = ("logsSubscribe", [mentions, {"commitment": "processed"}])
        for number, (method, params) in wanted.items():
            body = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            await self._socket.send(msgspec.json.encode(body).decode())

    async def run(self) -> None:
        """Receive for ever.

        Raises StreamBroken.
        """
        batcher = ReadBatcher()
        taken = 0
        try:
            while True:
                raw = await self._socket.recv(decode=False)
                batcher.on_lines(1)
                self._frame(raw)
                await batcher.pause(self._socket.transport)
                taken += 1
                if taken % _TURN == 0:
                    await asyncio.sleep(0)
        except BaseException as error:
            raise self._broken(error) from None

    def _frame(self, raw: bytes) -> None:
        """Take one frame.

        What is no JSON, or none of ours, is passed over; raises StreamBroken when nothing else
        comes.
        """
        try:
            frame = _FRAME.decode(raw)
            used = self._notified(frame.params) if frame.params is not None else self._answered(frame)
        except _NONSENSE:
            used = False
        if used:
            self.alive_at, self._odd_in_a_row = self._clock.mono(), 0
            return
        self.odd += 1
        self._odd_in_a_row += 1
        if self._odd_in_a_row >= MOST_ODD:
            raise StreamBroken(f"{self.name} sends nothing but frames that are none of a Solana node")

    def _answered(self, frame: _Frame) -> bool:
        if frame.id not in (_LOGS, _SLOTS, _PROCESSED):
            return False
        if frame.error is not None or frame.result is msgspec.UNSET:
            said = frame.error.message if frame.error is not None else "no reason given"
            self._refused[frame.id] = safe(without(said, self._secrets), 120)
        elif frame.id not in self._ids.values():  # whoever answers one question for ever fills no memory
            self._ids[bytes(frame.result)] = frame.id
        return True

    def _notified(self, params: _Params) -> bool:
        what = self._ids.get(bytes(params.subscription))
        if what == _LOGS:
            result = _LOG_RESULT.decode(params.result)
            err: object = None
            if result.value.err != _NULL:
                err = msgspec.json.decode(result.value.err)
            self._receiver.confirmed(result.value.signature, result.context.slot, err, result.value.logs or [])
        elif what == _PROCESSED:
            brief = _BRIEF_RESULT.decode(params.result)
            self._receiver.processed(brief.value.signature, brief.context.slot)
        return what is not None

    @property
    def tells_slots(self) -> bool:
        """Return whether silence means anything: some providers have no slotSubscribe."""
        return _SLOTS in self._ids.values()

    def _broken(self, error: BaseException) -> BaseException:
        """Say the same in words; cancellation and the like as they are."""
        if isinstance(error, (StreamBroken, asyncio.CancelledError, KeyboardInterrupt, SystemExit)):
            return error
        where = f"{self.name} ({host_of(self._url)})"
        if isinstance(error, TimeoutError):
            return StreamBroken(f"{where}: no subscription within {self._timings.connect_s:g} s")
        flooded = getattr(self._socket, "flooded", "")
        if flooded:
            return StreamBroken(f"{where} {flooded}: left alone", retry_after_s=LONGEST_WAIT_S)
        if getattr(getattr(error, "sent", None), "code", None) == _TOO_BIG:
            return StreamBroken(f"{where} sends a frame of more than {MOST_FRAME_BYTES // 1024} kB: not read")
        response = getattr(error, "response", None)
        code = getattr(response, "status_code", None)
        if response is not None and code is not None:
            asked = next(iter(response.headers.get_all("retry-after")), None)
            pause_s = retry_after_s(asked, self._clock.wall())
            return StreamBroken(f"{where} refuses a WebSocket: HTTP {code}", _CORRECT, retry_after_s=pause_s)
        return StreamBroken(f"cannot stream from {where}: {safe(words(error), 120)}")

    async def close(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            try:
                await socket.close()
            except Exception as error:
                _log.debug("closing: %s", type(error).__name__)


_NULL = msgspec.Raw(b"null")
