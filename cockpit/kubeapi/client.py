"""Makes every call to the API server, errors as `KubeError`, never a blind resend.

One `httpx.AsyncClient`, HTTP/1.1 keep-alive; what has no end (watches, followed logs) goes by
`Streams`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec

from cockpit.clock import Clock, SystemClock
from cockpit.kubeapi.access import Access, AccessProblem
from cockpit.kubeapi.bounds import MB, SHORTEST_WAIT_S, BodyProblem, LineSplitter, whole
from cockpit.kubeapi.errors import (
    Denied,
    KubeError,
    ServerFault,
    Throttled,
    Unauthorised,
    Unreachable,
    describe,
    from_answer,
    warned,
)
from cockpit.kubeapi.httpx_lite import httpx
from cockpit.kubeapi.network import unreachable
from cockpit.kubeapi.sockets import KEEPALIVE
from cockpit.text import safe

if TYPE_CHECKING:
    from cockpit.kubeapi.streams import Streams

_PAINT_S = 0.1  # before the first stream: importing what reads it would hold up the frame with the list
_RELOAD_APART_S = 5.0  # an exec plugin is not run more often than this, however many watches get a 401
_HEADER_S = 15.0  # a stream may be quiet, but its answer must begin
_WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
_REVIEWS = (*(f"/apis/authorization.k8s.io/v1/selfsubject{kind}reviews" for kind in ("access", "rules")), _WHO)
MOST_BYTES = 64 * MB  # of an answer: a page of 500 large pods has some 15
#: What is written beside a change: who is at it, and what was done.
_ASIDE = ("/apis/coordination.k8s.io/", "/apis/events.k8s.io/", "/apis/authorization.k8s.io/")
_NOBODY = (httpx.HTTPError, AccessProblem, BodyProblem, msgspec.DecodeError, OSError)
_MAX_LINE = 16 * MB  # etcd holds objects under 2 MB; more is not a watch event


@dataclass(frozen=True)
class ApiAnswer:
    """Holds a 2xx answer.

    `server_time` is the Date header in unix seconds (whole seconds).
    """

    status: int
    body: bytes
    server_time: float | None
    took_s: float
    warnings: tuple[str, ...] = ()  # of its `Warning:` headers, cleaned

    def json(self) -> Any:
        """Return the decoded body.

        Raises ServerFault when it is not JSON (a proxy's page, a cut answer).
        """
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ServerFault(
                f"the answer is not JSON: {self.body[:60].decode('utf-8', 'replace')}",
                status=self.status,
                remedy="is the server address really an API server?",
            ) from error


class KubeClient:
    """Sends requests for one context.

    Not bound to a loop until first used; use it from one loop only.
    """

    def __init__(
        self,
        access: Access,
        *,
        connect_s: float = 5.0,
        clock: Clock | None = None,
        patience_s: float = 0.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        read_only: bool = False,
    ):
        """Make it; `patience_s` is how long a request may wait that is answered with 429.

        `read_only`: nothing but GETs and reviews of oneself ever leaves it.
        """
        self._read_only = read_only
        self._patience_s = patience_s
        self._sleep = sleep
        self._username = ""  # as the server knows us, once it has said
        self._vouched: dict[str, str] | None = None  # the headers that it said so of, or was asked of in vain
        self._vouched_of = 0  # their generation
        self._access = access
        self._connect_s = connect_s
        self._clock: Clock = clock or SystemClock()
        self._http = self._open(access)
        self._streams: Streams | None = None
        self._retired: list[httpx.AsyncClient | Streams] = []
        self._renewing = asyncio.Lock()
        self._renewed_at: float | None = None
        self._generation = 0
        self._server_at: tuple[float, float] | None = None  # (server's unix seconds, mono when it said so)
        self.skew_s: float | None = None  # server's clock minus ours

    @property
    def access(self) -> Access:
        return self._access

    async def __aenter__(self) -> KubeClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for each in (self._http, self._streams, *self._retired):
            if each is not None:
                await each.aclose()

    def server_time(self) -> float | None:
        """Return the server's clock now, in unix seconds; None before any answer.

        By its last Date header and the time since.
        """
        return None if self._server_at is None else self._server_at[0] + self._clock.mono() - self._server_at[1]

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Send a GET and decode the answer.

        Raises KubeError.
        """
        return (await self.send("GET", path, params=params)).json()

    async def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: str | bytes | None = None,
        content_type: str | None = None,
        timeout_s: float = 10.0,
        accept: str = "application/json",
        patience_s: float | None = None,
        on_wait: Callable[[float], None] = lambda seconds: None,
    ) -> ApiAnswer:
        """Send one request, answered whole within `timeout_s`.

        Raises KubeError for a status of 300 or more, or no answer.

        A 401 was not carried out: credentials are read again and the request is sent once more. Nor
        was a 429: the request waits as long as the server asks, `patience_s` in all, and is sent
        again; `on_wait` hears how long. Nothing else is resent.
        """
        if self._read_only and method != "GET" and path not in _REVIEWS:
            raise Denied(
                f"the cockpit is read-only: not sent: {describe(method, path)}", remedy="start it without --read-only"
            )
        left_s = self._patience_s if patience_s is None else patience_s
        while True:
            try:
                return await self._send(method, path, params, body, content_type, timeout_s, accept)
            except Throttled as throttled:
                if left_s <= 0:
                    raise
                wait_s = min(throttled.retry_after_s, left_s)
                left_s -= max(wait_s, SHORTEST_WAIT_S)
                on_wait(wait_s)
                await self._sleep(wait_s)

    async def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: str | bytes | None,
        content_type: str | None,
        timeout_s: float,
        accept: str,
    ) -> ApiAnswer:
        headers = {"accept": accept}
        if body is not None:
            headers["content-type"] = content_type or "application/json"
        timeout = httpx.Timeout(timeout_s, connect=min(self._connect_s, timeout_s * 0.9))
        for last in (False, True):
            generation = self._generation
            started = self._clock.mono()
            http, request = await self._request(method, path, params, body, headers, timeout)
            if method != "GET" and path not in (*_REVIEWS, _WHO):
                await self._vouch(http, request, asked=bool(params and "dryRun" in params) or _beside(path))
            try:
                async with asyncio.timeout(timeout_s):
                    response, answered = await _answered(http, request)
            except BodyProblem as problem:
                reason = f"the API server's answer cannot be used: {problem.reason}"
                if method == "GET":
                    fault = ServerFault(reason, status=200, remedy=problem.remedy)
                    fault.too_long = problem.too_long
                    raise fault from problem
                raise Unreachable(reason, maybe_sent=True, remedy=problem.remedy) from problem
            except TimeoutError as error:
                raise Unreachable(
                    f"no answer from {self._host} in {timeout_s:g} s", maybe_sent=True, timed_out=True
                ) from error
            except (httpx.HTTPError, httpx.InvalidURL, OSError, ssl.SSLError) as error:
                raise self._network(error, timeout_s) from error
            took_s = self._clock.mono() - started
            server_time = self._note(response.headers.get("date"))
            warnings = warned(response.headers.get_list("warning"))
            if response.status_code < 300:
                return ApiAnswer(response.status_code, answered, server_time, took_s, warnings)
            refused = from_answer(
                response.status_code,
                answered,
                method=method,
                path=path,
                retry_after=response.headers.get("retry-after"),
                now=self.server_time() or self._clock.wall(),
            )
            refused.warnings = warnings
            if last or not isinstance(refused, Unauthorised):
                raise refused
            await self._renew(generation, refused)
        raise AssertionError("unreachable")

    async def pin_user(self) -> bool:
        """Ask the server who we are, until it says so; then nothing is sent as somebody else.

        Where it does not say (False), the credentials of now are pinned: a change with others is
        not sent, until this is asked again.
        """
        if not self._username and not self._read_only:
            with suppress(Unauthorised):
                mine, generation = await self._credentials(), self._generation
                self._username = await self._who(self._access, self._http, mine)
                self._vouched, self._vouched_of = mine, generation
        return bool(self._username) or self._read_only

    async def _vouch(self, http: httpx.AsyncClient, request: httpx.Request, *, asked: bool) -> None:
        """Ask again who we are where a token file or a plugin gave new credentials meanwhile.

        `asked`: nothing that was planned is changed by it. Raises Unauthorised when they are
        another user's, or nobody says whose.
        """
        if self._vouched is None:
            return
        mine = {name: request.headers.get(name, "") for name in self._vouched}
        if not self._username:
            by_certificate = not any(name.lower() == "authorization" for name in mine)
            if not asked and (mine != self._vouched or (by_certificate and self._generation != self._vouched_of)):
                raise Unauthorised(
                    "the credentials are others than when it was planned, and the server does not say whose they are; "
                    "nothing was sent",
                    status=401,
                    remedy="plan again",
                )
        elif mine != self._vouched:
            self._same_user(await self._who(self._access, http, mine))
            self._vouched = mine

    def _same_user(self, now_known: str) -> None:
        if now_known == self._username:
            return
        before = safe(self._username, 120)
        if now_known:
            why, remedy = (
                f"the credentials are another user's now: {safe(now_known, 120)}, no longer {before}",
                "start the cockpit again if that is what you want",
            )
        else:
            why = f"the credentials are new, and the server does not say whether they are {before}'s"
            remedy = "try again in a moment"
        raise Unauthorised(f"{why}; nothing was sent", status=401, remedy=remedy)

    async def _who(self, access: Access, http: httpx.AsyncClient, mine: Mapping[str, str]) -> str:
        """Return the name that the server knows these credentials by; "" when it does not say."""
        review = '{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'
        try:
            headers = {"content-type": "application/json", **mine}
            extensions = {"sni_hostname": access.server_name} if access.server_name else {}
            async with asyncio.timeout(5.0):
                asked = http.build_request("POST", _WHO, content=review, headers=headers, extensions=extensions)
                answer, body = await _answered(http, asked)
            user = msgspec.json.decode(body)["status"]["userInfo"] if answer.status_code < 300 else {}
            return str(user.get("username") or "")
        except (*_NOBODY, LookupError, TypeError, AttributeError):
            return ""

    @asynccontextmanager
    async def stream(
        self, path: str, params: Mapping[str, str] | None = None, *, read_timeout_s: float, max_line: int = _MAX_LINE
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Yield lines of an endless answer (watch, followed log), its status checked first.

        Raises KubeError.

        `read_timeout_s` is the longest silence. Lines come without their newline, cut at `max_line`
        bytes.
        """
        async with self.batches(path, params, read_timeout_s=read_timeout_s, max_line=max_line) as batches:
            yield (line async for batch in batches for line in batch)

    @asynccontextmanager
    async def batches(
        self, path: str, params: Mapping[str, str] | None = None, *, read_timeout_s: float, max_line: int = _MAX_LINE
    ) -> AsyncIterator[AsyncIterator[list[bytes]]]:
        """Yield all lines that arrived together at once: cheaper than `stream` for a busy watch.

        Lists may be empty.
        """
        watch = bool(params and params.get("watch"))
        for last in (False, True):
            generation = self._generation
            headers = {"accept": "application/json"} | await self._credentials()
            streams = await self._following()
            header_s = min(read_timeout_s, _HEADER_S)
            async with streams.open(
                path, params, headers, header_s=header_s, read_timeout_s=read_timeout_s
            ) as response:
                self._note(response.headers.get("date"))
                if response.status < 300:
                    yield _lines(streams.chunks(response, read_timeout_s), max_line)
                    return
                raw = await streams.rest(response, self._connect_s)
            refused = from_answer(
                response.status,
                raw,
                method="GET",
                path=path,
                watch=watch,
                retry_after=response.headers.get("retry-after"),
                now=self.server_time() or self._clock.wall(),
            )
            if last or not isinstance(refused, Unauthorised):
                raise refused
            await self._renew(generation, refused)

    async def _following(self) -> Streams:
        if self._streams is None:
            await asyncio.sleep(_PAINT_S)
            from cockpit.kubeapi.streams import Streams

            self._streams = self._streams or Streams(self._access, self._connect_s)
        return self._streams

    @property
    def _host(self) -> str:
        return self._access.host

    def _open(self, access: Access) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(
            verify=access.tls if access.tls is not None else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=30.0),
            proxy=access.proxy,
            socket_options=KEEPALIVE,
            trust_env=False,
        )
        headers = {"user-agent": "m0-cockpit", "accept-encoding": "identity"}
        return httpx.AsyncClient(transport=transport, base_url=access.server, headers=headers, trust_env=False)

    async def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: str | bytes | None,
        headers: dict[str, str],
        limits: httpx.Timeout,
    ) -> tuple[httpx.AsyncClient, httpx.Request]:
        mine = await self._credentials()
        extensions = {"sni_hostname": self._access.server_name} if self._access.server_name else {}
        try:
            request = self._http.build_request(
                method, path, params=params, content=body, headers=headers | mine, timeout=limits, extensions=extensions
            )
        except (httpx.InvalidURL, ValueError, TypeError) as error:
            raise Unreachable(f"cannot form the request: {error}", maybe_sent=False) from error
        return self._http, request

    async def _credentials(self) -> dict[str, str]:
        """Return their headers, read again when they have expired.

        Raises Unauthorised.
        """
        credentials = self._access.credentials
        if credentials.expired():
            await self._renew(self._generation, None)
            credentials = self._access.credentials
        mine = credentials.ready()
        if mine is None:
            try:
                mine = await asyncio.to_thread(credentials.headers)
            except AccessProblem as problem:
                raise Unauthorised(problem.reason, remedy=problem.remedy) from problem
        return mine

    async def _renew(self, seen: int, refused: Unauthorised | None) -> None:
        """Read the kubeconfig again, unless someone has since `seen`.

        Raises `refused` when that cannot help.
        """
        async with self._renewing:
            if self._generation != seen:
                return
            now = self._clock.mono()
            if self._renewed_at is not None and now - self._renewed_at < _RELOAD_APART_S:
                if refused is not None:
                    raise refused
                return
            self._renewed_at = now
            try:
                access = await asyncio.to_thread(self._access.reload)
            except AccessProblem as problem:
                raise Unauthorised(problem.reason, status=401, remedy=problem.remedy) from problem
            http = self._open(access)
            if self._username:
                try:
                    mine = await asyncio.to_thread(access.credentials.headers)
                    self._same_user(await self._who(access, http, mine))
                except (AccessProblem, Unauthorised) as problem:
                    await http.aclose()
                    raise Unauthorised(problem.reason, status=401, remedy=problem.remedy) from problem
                self._vouched = mine
            # requests under way may still use them; closed with the client
            self._retired += [self._http, *([self._streams] if self._streams is not None else [])]
            for idle in self._retired[:-4]:
                await idle.aclose()
            del self._retired[:-4]
            self._access, self._http = access, http
            if self._streams is not None:
                self._streams = type(self._streams)(access, self._connect_s)
            self._generation += 1

    def _note(self, date: str | None) -> float | None:
        """Note what a Date header says of the server's clock, in unix seconds."""
        try:
            server_at = parsedate_to_datetime(date).timestamp() if date else None
        except (ValueError, TypeError, OverflowError):
            server_at = None
        if server_at is not None:
            self._server_at = (server_at, self._clock.mono())
            self.skew_s = server_at - self._clock.wall()
        return server_at

    def _network(self, error: Exception, timeout_s: float) -> KubeError:
        """Say an httpx error in an operator's words; `maybe_sent` by where it happened."""
        before = (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.PoolTimeout,
            httpx.ProxyError,
            httpx.UnsupportedProtocol,
            httpx.LocalProtocolError,
            httpx.InvalidURL,
        )
        sent = not isinstance(error, before)
        waited_s = None
        if isinstance(error, httpx.TimeoutException):
            waited_s = self._connect_s if isinstance(error, httpx.ConnectTimeout) else timeout_s
        return unreachable(error, self._host, maybe_sent=sent, waited_s=waited_s)


def _beside(path: str) -> bool:
    return path.startswith(_ASIDE) or path.endswith("/events")


async def _answered(http: httpx.AsyncClient, request: httpx.Request) -> tuple[httpx.Response, bytes]:
    """Send it; return the answer with its body.

    Raises BodyProblem for one that is too long or packed, and httpx's errors.
    """
    response = await http.send(request, stream=True)
    try:
        return response, await whole(response.aiter_raw(), response.headers, MOST_BYTES)
    finally:
        await response.aclose()


async def _lines(chunks: AsyncIterator[bytes], max_line: int) -> AsyncIterator[list[bytes]]:
    splitter = LineSplitter(max_line)
    async for chunk in chunks:
        yield splitter.feed(chunk)
    rest = splitter.rest()
    if rest:
        yield [rest]
