"""Asks one RPC endpoint: typed answers or a problem in words, its own timings, its own record.

Reference: Solana JSON-RPC over HTTP. The URL may hold a key, so that only name and host ever appear
in a text.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from cockpit.clock import Clock
from cockpit.errors import CockpitError
from cockpit.kubeapi.bounds import BodyProblem
from cockpit.kubeapi.network import words
from cockpit.model.reading import Fault, SourceState
from cockpit.sources.solana.settings import RpcEndpoint
from cockpit.text import safe, url_secrets, without

if TYPE_CHECKING:
    from cockpit.sources.solana.http import Node

T = TypeVar("T")
#: No cluster comes to more in a hundred years: what is larger is no slot, and would put every
#: honest one behind.
Slot = Annotated[int, msgspec.Meta(ge=0, le=10_000_000_000)]
Amount = Annotated[int, msgspec.Meta(ge=0)]
NODE_UNHEALTHY, METHOD_NOT_FOUND = -32005, -32601
_THROTTLE_CODES = (429, -32429)
_PATIENCE_S = 2.0  # after a 429 that does not say how long, doubled each time


_TOO_OFTEN = "ask for a higher limit, or use another"


class RpcProblem(CockpitError):
    """There is no usable answer.

    `code`: the JSON-RPC error's, None when there was none; `answered`: the node said no, or more
    than could be read: it may do better when asked otherwise.
    """

    usual_remedy = "check its url in [[rpc-endpoints]], and the network"

    def __init__(
        self,
        reason: str,
        *,
        code: int | None = None,
        state: SourceState = SourceState.DOWN,
        remedy: str = "",
        throttled: bool = False,
        answered: bool = False,
    ):
        super().__init__(reason, remedy)
        self.code = code
        self.state = state
        self.throttled = throttled
        self.answered = answered

    def fault(self) -> Fault:
        return Fault(self.state, self.reason, self.remedy)


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""


class _Envelope(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b"null")
    result: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _Error | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_BATCH = msgspec.json.Decoder(list[_Envelope])
_NONSENSE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def host_of(url: str) -> str:
    """Return host and port, without user info, path or query."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
        return safe(f"{parts.hostname or '?'}{port}", 120)
    except ValueError:
        return "?"


class Rpc:
    """Asks one endpoint, once it is opened.

    Requests while the endpoint wants to be left alone raise at once, and send nothing.
    """

    def __init__(self, endpoint: RpcEndpoint, clock: Clock, timeout_s: float) -> None:
        self.name = safe(endpoint.name, 60)
        self.host = host_of(endpoint.url)
        self.stats = RequestStats(clock)
        self.batch_size = 100
        self._url = endpoint.url
        self._secrets = url_secrets(endpoint.url)
        self._clock = clock
        self._timeout_s = timeout_s
        self._node: Node | None = None
        self._blocked_until = 0.0
        self._throttles = 0  # 429s without Retry-After in a row

    @property
    def blocked_s(self) -> float:
        """Return how long it is still to be left alone."""
        return max(0.0, self._blocked_until - self._clock.mono())

    async def open(self) -> None:
        """Import the client in a thread: it takes a while.

        Raises RpcProblem when the URL is none.
        """
        if not self._url.startswith(("http://", "https://")) or self.host.startswith("?"):
            raise RpcProblem(f"the url of {self.name} is no http(s) URL", remedy="correct [[rpc-endpoints]]")
        try:
            self._node = await asyncio.to_thread(self._make)
        except (ValueError, OSError) as error:
            raise RpcProblem(f"the url of {self.name} cannot be used", remedy="correct [[rpc-endpoints]]") from error

    def _make(self) -> Node:
        from cockpit.sources.solana.http import Node

        return Node(self._url, self._timeout_s, self._clock.wall)

    async def close(self) -> None:
        if self._node is not None:
            await self._node.close()

    async def call(self, method: str, params: Sequence[Any], kind: type[T], *, timed: bool = True) -> T:
        """Return the result, decoded as `kind`.

        Raises RpcProblem. `timed`: its latency counts.
        """
        from cockpit.sources.solana.http import Call

        body = await self._send(Call(method, params), timed=timed)
        try:
            envelope = _ENVELOPE.decode(body)
        except _NONSENSE as error:
            self.stats.failed()
            raise self._nonsense(method, body) from error
        try:
            return self._result(envelope, method, kind)
        except RpcProblem as problem:
            if problem.throttled:
                self.stats.failed(throttled=True)
                self._leave_alone(None)
            elif problem.code != NODE_UNHEALTHY or method != "getHealth":  # there it is the answer
                self.stats.failed()
            raise

    async def batch(self, method: str, each: Sequence[Sequence[Any]], kind: type[T]) -> list[T | RpcProblem]:
        """Return one result or problem for each of the parameters, in their order.

        Raises RpcProblem when batches are refused.
        """
        from cockpit.sources.solana.http import Call

        requests = [Call(method, params, n) for n, params in enumerate(each)]
        body = await self._send(requests, timed=False)
        try:
            envelopes = _BATCH.decode(body)
        except _NONSENSE as error:
            self.stats.failed()
            self._whole_error(method, body)
            raise self._nonsense(method, body) from error
        found: list[T | RpcProblem] = [
            RpcProblem(f"{self.name} left a request of a batch unanswered", answered=True) for _ in requests
        ]
        for envelope in envelopes:
            number = bytes(envelope.id)
            if not number.isdigit() or int(number) >= len(found):
                continue
            try:
                found[int(number)] = self._result(envelope, method, kind)
            except RpcProblem as problem:
                found[int(number)] = problem
        if any(isinstance(each, RpcProblem) and each.throttled for each in found):
            self.stats.failed(throttled=True)
            self._leave_alone(None)
        return found

    def _whole_error(self, method: str, body: bytes) -> None:
        """Raise RpcProblem when one error object answers a whole batch."""
        try:
            envelope = _ENVELOPE.decode(body)
        except _NONSENSE:
            return
        try:
            self._result(envelope, method, msgspec.Raw)
        except RpcProblem as problem:
            if problem.throttled:
                self.stats.failed(throttled=True)
                self._leave_alone(None)
            raise

    def _result(self, envelope: _Envelope, method: str, kind: type[T]) -> T:
        if envelope.error is not None:
            code, said = envelope.error.code, self.without_secrets(envelope.error.message, 160) or "no reason given"
            raise RpcProblem(
                f"{self.name} answers {method} with error {code}: {said}",
                code=code,
                answered=True,
                throttled=code in _THROTTLE_CODES,
                remedy=_TOO_OFTEN if code in _THROTTLE_CODES else "",
            )
        if envelope.result is msgspec.UNSET:
            raise RpcProblem(f"{self.name} answers {method} with neither result nor error", answered=True)
        try:
            return msgspec.json.decode(envelope.result, type=kind)
        except _NONSENSE as error:
            raise RpcProblem(f"{self.name} answers {method} in an unknown shape", answered=True) from error

    def without_secrets(self, text: str, limit: int) -> str:
        """Return what the node says, without what it repeats of our URL."""
        return safe(without(text, self._secrets), limit)

    async def _send(self, request: Any, *, timed: bool) -> bytes:
        """Return the body of a 200.

        Raises RpcProblem.
        """
        from cockpit.sources.solana.http import Status

        if self._node is None:
            raise RpcProblem(f"{self.name} is not open")
        if self.blocked_s > 0:
            raise self.asked_off()
        began = self._clock.mono()
        try:
            async with asyncio.timeout(self._timeout_s):
                body = await self._node.post(request)
        except Status as status:
            raise self._of_status(status) from None
        except BodyProblem as problem:
            self.stats.add(None)
            raise RpcProblem(f"{self.name}: {problem.reason}", answered=True) from None
        except TimeoutError:
            self.stats.add(None)
            raise RpcProblem(f"{self.name} ({self.host}) gave no answer in {self._timeout_s:g} s") from None
        except Exception as error:  # the network's, the URL's, the client's own: all mean that there is no answer
            self.stats.add(None)
            raise RpcProblem(f"cannot reach {self.name} ({self.host}): {safe(words(error), 120)}") from None
        self._throttles = 0
        self.stats.add((self._clock.mono() - began) * 1000.0 if timed else 0.0, timed=timed)
        return body

    def _of_status(self, status: Any) -> RpcProblem:
        code: int = status.code
        if code == 429:
            self.stats.add(None, throttled=True)
            self._leave_alone(status.retry_after_s)
            return self.asked_off()
        self.stats.add(None)
        if code in (401, 403):
            state = SourceState.UNAUTHORISED if code == 401 else SourceState.DENIED
            return RpcProblem(
                f"{self.name} ({self.host}) refuses: HTTP {code}",
                state=state,
                remedy=f"check the key in the url of {self.name}",
            )
        if status.retry_after_s is not None and code == 503:
            self._blocked_until = self._clock.mono() + status.retry_after_s
        try:
            self._result(_ENVELOPE.decode(status.body), "a request", msgspec.Raw)
        except RpcProblem as problem:
            if problem.code is not None:
                return RpcProblem(f"{problem.reason} (HTTP {code})", code=problem.code, answered=True)
        except _NONSENSE:
            pass
        return RpcProblem(f"{self.name} ({self.host}) answers HTTP {code}", answered=400 <= code < 500)

    def _leave_alone(self, retry_after_s: float | None) -> None:
        if retry_after_s is None:
            retry_after_s = min(15.0, _PATIENCE_S * 2.0**self._throttles)
            self._throttles = min(self._throttles + 1, 5)
        self._blocked_until = max(self._blocked_until, self._clock.mono() + retry_after_s)

    def asked_off(self) -> RpcProblem:
        return RpcProblem(
            f"{self.name} ({self.host}) asks to be left alone for {self.blocked_s:.0f} s (429)",
            throttled=True,
            remedy=_TOO_OFTEN,
        )

    def _nonsense(self, method: str, body: bytes) -> RpcProblem:
        return RpcProblem(f"{self.name} answers {method} with no JSON-RPC ({len(body):,} bytes)", answered=True)


WINDOW_S = 120.0  # of requests that are kept
_MOST_REQUESTS = 10_000


@dataclass(slots=True)
class _Request:
    at: float
    took_ms: float | None  # None: it failed
    timed: bool
    throttled: bool


class RequestStats:
    """Keeps a bounded number of requests; older ones fall out as time goes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._requests: deque[_Request] = deque(maxlen=_MOST_REQUESTS)

    def add(self, took_ms: float | None, *, timed: bool = True, throttled: bool = False) -> None:
        """Note one request that ended now; `took_ms` None: it failed.

        Not `timed`: a heavy one, whose latency says nothing.
        """
        self._requests.append(_Request(self._clock.mono(), took_ms, timed, throttled))

    def failed(self, *, throttled: bool = False) -> None:
        """Note that the newest request turned out to be unusable after all."""
        if self._requests:
            self._requests[-1].took_ms = None
            self._requests[-1].throttled |= throttled

    def _recent(self) -> deque[_Request]:
        since = self._clock.mono() - WINDOW_S
        while self._requests and self._requests[0].at < since:
            self._requests.popleft()
        return self._requests

    @property
    def requests(self) -> int:
        return len(self._recent())

    @property
    def throttled(self) -> int:
        return sum(1 for each in self._recent() if each.throttled)

    @property
    def error_ratio(self) -> float | None:
        """Return the share of requests that failed, 0..1; None without requests."""
        recent = self._recent()
        return sum(1 for each in recent if each.took_ms is None) / len(recent) if recent else None

    def latency_ms(self, quantile: float) -> float | None:
        """Return the nearest rank over the good, timed requests."""
        took = sorted(each.took_ms for each in self._recent() if each.took_ms is not None and each.timed)
        return took[min(len(took) - 1, int(len(took) * quantile))] if took else None
