"""Asks Prometheus every query at once: values now and the history behind sparklines.

Reference: Prometheus HTTP API (/api/v1/query, /query_range, /alerts). NaN, infinities, empty
vectors and warnings are carried as they are: what they mean is for the signals to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp

from cockpit.clock import Clock
from cockpit.host.files import plain
from cockpit.kubeapi.bounds import MB, BodyProblem, whole
from cockpit.model.observed.metrics import History, QueryResult, Sample
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.sources.http_session import http_session
from cockpit.sources.prometheus import wire
from cockpit.sources.prometheus.address import PrometheusAddress
from cockpit.sources.prometheus.baselines import Baselines
from cockpit.sources.prometheus.newest import NewestAnswers
from cockpit.sources.prometheus.sample_times import SampleTimes
from cockpit.sources.prometheus.wire import PromFault
from cockpit.sources.timing import CALM_FACTOR, PollSchedule, Timings
from cockpit.text import safe, url_hint

ALERTS = "prometheus/alerts"
_AT_ONCE = 24  # of some 70: behind a slow link a round takes three times the slowest; a real Prometheus runs 20 at once
MOST_BYTES = 4 * MB  # of one answer
_POINTS = 120  # of a history: more than any sparkline is wide
_QUERY_TIMEOUT_S = 8.0
_CONNECT_S = 4.0
_POST_REFUSED = frozenset({403, 404, 405, 411, 415, 501})
_TIMES_WAIT_S = 3.0  # for the samples' times of a round: an answer without them stands on those of the last
_FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class QuerySpec:
    """Describes one query.

    `history_s`: how much of the past its sparkline shows, None for none.
    """

    promql: str
    history_s: float | None
    max_age_s: float


def _body(**form: str) -> bytes:
    """Encode a form: what aiohttp makes of one takes a fifth of a request's CPU."""
    return urlencode(form).encode()


@lru_cache(maxsize=1024)
def _instant(promql: str) -> bytes:
    """Encode the form of an instant query, the same in every round."""
    return _body(query=promql, timeout=f"{_QUERY_TIMEOUT_S:g}s")


class PrometheusSource:
    """Publishes `prometheus/<name>` and `prometheus/alerts`.

    With a `QueryResult` each, and a tuple of `Alert`.
    """

    def __init__(
        self,
        address: PrometheusAddress,
        queries: Mapping[str, QuerySpec],
        interval_s: float,
        clock: Clock,
        *,
        polls: PollSchedule | None = None,
        timings: Timings | None = None,
        baselines: Mapping[str, tuple[str, float]] | None = None,
        rng: random.Random | None = None,
        newest: NewestAnswers | None = None,
    ):
        self._address = address
        self._queries = dict(queries)
        self._names: dict[str, list[str]] = {}  # by PromQL: panels and signals often ask the same
        for name, spec in self._queries.items():
            self._names.setdefault(spec.promql, []).append(name)
        self._interval_s = interval_s
        self._clock = clock
        self._polls = polls or PollSchedule()
        self._timings = timings or Timings()
        self._baselines = Baselines(baselines or {}, clock, self._timings.backoff_cap_s)
        self._newest = newest or NewestAnswers({}, frozenset, clock)
        self._rng = rng or random.Random()
        self._base = address.url.rstrip("/")
        self._results: dict[str, QueryResult] = {}  # by PromQL, as the next two
        self._observed: dict[str, tuple[float, float]] = {}  # monotonic: its newest sample, and the answer
        self._answered: dict[str, float] = {}  # server's time of the last good instant answer
        self._times = SampleTimes(self._names)
        self._times_known = asyncio.Event()  # the samples' times of this round
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._lost: PromFault | None = None  # the connection failed in this round: the rest need not try
        self._get_only = False  # POST was refused, GET was not
        self._server_at: float | None = None  # the server's clock at the start of this round

    async def readings(self) -> AsyncGenerator[Reading[Any], None]:
        """Yield readings for ever: all queries at each beat, fewer rounds while it is down."""
        attempt = 0
        while True:
            try:
                client = self._session(*await asyncio.to_thread(self._open))
                break
            except PromFault as problem:
                for name in self._queries:
                    yield self._failed(name, problem.fault, 0.0)
                await asyncio.sleep(self._timings.backoff_cap_s)
        async with client:
            while True:
                started = self._clock.mono()
                down: Fault | None = None
                try:
                    await self._reach(client)
                except PromFault as problem:
                    down = problem.fault
                if down is not None:
                    attempt += 1
                    for topic in (*self._queries, None):
                        yield self._failed(topic, down, self._clock.mono() - started)
                    await asyncio.sleep(max(self._interval_s, self._timings.backoff(attempt, self._rng)))
                    continue
                attempt = 0
                self._times_known.clear()
                times = asyncio.create_task(self._refresh_times(client))
                tasks = [asyncio.create_task(self._one(client, promql)) for promql in self._names]
                tasks.append(asyncio.create_task(self._alerts(client)))
                done: asyncio.Queue[asyncio.Task[list[Reading[Any]]]] = asyncio.Queue()
                for task in tasks:
                    task.add_done_callback(done.put_nowait)
                try:
                    for _ in tasks:
                        for reading in (await done.get()).result():
                            yield reading
                finally:
                    times.cancel()
                    for task in tasks:
                        task.cancel()
                for reading in await self._newest.ask(partial(self._samples, client), self._times, self._server_at):
                    yield reading
                for reading in await self._baselines.due(self._server_at, partial(self._range, client)):
                    yield reading
                await self._polls.rest(self._clock, started, self._interval_s)

    async def ranges(self, promql: str, start: float, end: float, step: float) -> tuple[History, ...]:
        """Return every series of that time; on the caller's own loop. Raises PromFault."""
        return (await self.ranged(promql, start, end, step))[0]

    async def ranged(
        self, promql: str, start: float, end: float, step: float, limit_s: float = _QUERY_TIMEOUT_S
    ) -> tuple[tuple[History, ...], tuple[str, ...]]:
        """Return every series of that time, and Prometheus' warnings. As `ranges`."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        body = _body(query=promql, **times, timeout=f"{limit_s:g}s")
        async with self._session(*await asyncio.to_thread(self._open)) as client:
            self._lost = None
            answer = await self._ask(client, "query_range", body, limit_s + 1.0)
        return wire.histories(answer), answer.warnings

    async def at_once(self, queries: Sequence[str]) -> tuple[float, tuple[QueryResult, ...]]:
        """Return the server's time, and what each query gives then. Raises PromFault."""
        async with self._session(*await asyncio.to_thread(self._open)) as client:
            await self._reach(client)
            at = self._server_at or 0.0
            bodies = [_body(query=query, time=f"{at:.3f}", timeout=f"{_QUERY_TIMEOUT_S:g}s") for query in queries]
            answers = await asyncio.gather(*(self._ask(client, "query", b, _QUERY_TIMEOUT_S + 1.0) for b in bodies))
        return at, tuple(wire.result(answer, at) for answer in answers)

    async def short_windows(self) -> dict[str, str]:
        """Return the queries whose windows are too short for how often it is scraped, and why.

        For the caller's own loop, as `ranges`. What is not answered is left out.
        """
        async with self._session(*await asyncio.to_thread(self._open)) as client:
            self._lost = None
            found = await self._times.short_windows(partial(self._samples, client))
        return {name: found[spec.promql] for name, spec in self._queries.items() if spec.promql in found}

    def _open(self) -> tuple[dict[str, str], ssl.SSLContext | None]:
        """Return what the session is made of; blocking, for it reads certificates.

        Raises PromFault.
        """
        address = self._address
        context: ssl.SSLContext | None = None
        if self._base.startswith("https://"):
            try:
                made = ssl.create_default_context(cafile=plain(address.ca_file))
            except (OSError, ssl.SSLError) as error:
                raise PromFault(
                    SourceState.DOWN, f"CA file {address.ca_file}: {error.strerror or error}", "correct the CA file"
                ) from error
            if address.insecure:
                made.check_hostname = False
                made.verify_mode = ssl.CERT_NONE
            context = made
        elif not self._base.startswith("http://"):
            raise PromFault(
                SourceState.DOWN,
                f'Prometheus address "{url_hint(self._base) or safe(self._base)}" is no http(s) URL',
                "give --prometheus http://HOST:9090",
            )
        headers = {"accept": "application/json", "accept-encoding": "identity"} | dict(address.headers)
        if address.bearer:
            headers["authorization"] = f"Bearer {address.bearer.strip()}"
        if address.basic is not None:
            headers["authorization"] = aiohttp.encode_basic_auth(*address.basic)
        if any(char in value for value in headers.values() for char in "\r\n\0"):
            raise PromFault(
                SourceState.DOWN,
                "Prometheus headers or credentials: a line break in a header",
                "correct the configuration",
            )
        return headers, context

    def _session(self, headers: dict[str, str], context: ssl.SSLContext | None) -> aiohttp.ClientSession:
        """Open one pooled session; each request has a limit of its own."""
        limit = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S)
        return http_session(headers, limit=_AT_ONCE + 2, idle_s=60, timeout=limit, tls=context, unpack=False)

    async def _reach(self, client: aiohttp.ClientSession) -> None:
        """Send one cheap request before the many. Raises PromFault when nobody lets us in."""
        self._lost = None
        answer = await self._ask(client, "query", _body(query="1"), _CONNECT_S)
        self._server_at = wire.samples(answer)[1]

    async def _ask(
        self, client: aiohttp.ClientSession, endpoint: str, form: bytes | None, limit_s: float
    ) -> wire.Answer:
        """Send a POST (a GET without a form, and where POST is refused) and decode the answer.

        Raises PromFault.
        """
        if self._lost is not None:
            raise self._lost
        if form is None or self._get_only:
            return wire.decode(*await self._send(client, "GET", endpoint, form, limit_s))
        status, body = await self._send(client, "POST", endpoint, form, limit_s)
        if status in _POST_REFUSED:
            # A proxy that lets only reading through takes GET; what is refused says why either way.
            answer = wire.decode(*await self._send(client, "GET", endpoint, form, limit_s))
            self._get_only = True
            return answer
        return wire.decode(status, body)

    async def _send(
        self, client: aiohttp.ClientSession, method: str, endpoint: str, form: bytes | None, limit_s: float
    ) -> tuple[int, bytes]:
        url = f"{self._base}/api/v1/{endpoint}"
        more: dict[str, Any] = {"data": form, "headers": _FORM} if method == "POST" else {}
        if method == "GET" and form is not None:
            more = {"params": parse_qsl(form.decode("ascii"))}
        try:
            async with asyncio.timeout(limit_s):
                async with client.request(method, url, allow_redirects=False, **more) as response:
                    return response.status, await whole(response.content.iter_any(), response.headers, MOST_BYTES)
        except BodyProblem as problem:  # of this query alone: the others may be answered
            raise PromFault(SourceState.DOWN, f"Prometheus: {problem.reason}", wire.NARROW) from problem
        except TimeoutError as error:
            self._lost = PromFault(SourceState.DOWN, f"Prometheus gave no answer in {limit_s:g} s", "is it overloaded?")
            raise self._lost from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            self._lost = wire.unreachable(error, self._base)
            raise self._lost from error

    async def _one(self, client: aiohttp.ClientSession, promql: str) -> list[Reading[Any]]:
        names = self._names[promql]
        async with self._gate:
            started = self._clock.mono()
            try:
                result, at = await self._query(client, promql)
                took, ended = self._clock.mono() - started, self._clock.mono()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_TIMES_WAIT_S):
                        await self._times_known.wait()
                youngest = min(self._queries[name].max_age_s for name in names)
                result, behind_s, bound_s = await self._times.dated(
                    partial(self._samples, client), promql, result, youngest
                )
            except PromFault as problem:
                took = self._clock.mono() - started
                return [self._failed(name, problem.fault, took) for name in names]
        self._results[promql], self._observed[promql] = result, (ended - behind_s, ended)
        return [
            Reading(
                topic=f"prometheus/{name}",
                data=result,
                observed_at=ended - behind_s,
                asked_at=ended,
                took_s=took,
                max_age_s=self._queries[name].max_age_s,
                max_sample_s=max(self._queries[name].max_age_s, bound_s),
                server_time=at,
            )
            for name in names
        ]

    async def _refresh_times(self, client: aiohttp.ClientSession) -> None:
        try:
            await self._times.refresh(partial(self._samples, client))
        finally:
            self._times_known.set()

    async def _samples(self, client: aiohttp.ClientSession, promql: str) -> tuple[Sample, ...]:
        body = _body(query=promql, timeout=f"{_QUERY_TIMEOUT_S:g}s")
        return wire.samples(await self._ask(client, "query", body, _QUERY_TIMEOUT_S + 1.0))[0]

    async def _query(self, client: aiohttp.ClientSession, promql: str) -> tuple[QueryResult, float | None]:
        answer = await self._ask(client, "query", _instant(promql), _QUERY_TIMEOUT_S + 1.0)
        samples, at = wire.samples(answer)
        if at is None:
            at = self._server_at
        history = self._results[promql].history if promql in self._results else ()
        warnings = answer.warnings
        span = max((self._queries[name].history_s or 0.0 for name in self._names[promql]), default=0.0)
        if span:
            step = max(1.0, span / _POINTS)
            last = max((h.points[-1][0] for h in history if h.points), default=None)
            if at is not None and (
                last is None or at - last > max(3 * step, 4 * CALM_FACTOR * self._interval_s) or at < last - step
            ):
                ranged, more = await self._range(client, promql, at - span, at, step)
                history, warnings = ranged if ranged is not None else history, (*warnings, *more)
            if at is not None:
                history = wire.append(history, samples, at, at - span, step)
        if at is not None:
            self._answered[promql] = at
        return QueryResult(samples, tuple(dict.fromkeys(warnings)), history, at), at

    async def _range(
        self, client: aiohttp.ClientSession, promql: str, start: float, end: float, step: float
    ) -> tuple[Any, tuple[str, ...]]:
        """Return the past, by the server's own clock.

        A failed range is a warning: the value of now still stands.
        """
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        body = _body(query=promql, **times, timeout=f"{_QUERY_TIMEOUT_S:g}s")
        try:
            answer = await self._ask(client, "query_range", body, _QUERY_TIMEOUT_S + 1.0)
            return wire.histories(answer), answer.warnings
        except PromFault as problem:
            return None, (f"no history: {problem.fault.reason}",)

    async def _alerts(self, client: aiohttp.ClientSession) -> list[Reading[Any]]:
        started = self._clock.mono()
        try:
            async with self._gate:
                answer = await self._ask(client, "alerts", None, _QUERY_TIMEOUT_S)
            alerts = wire.alerts(answer)
        except PromFault as problem:
            return [self._failed(None, problem.fault, self._clock.mono() - started)]
        ended = self._clock.mono()
        return [
            Reading(
                topic=ALERTS,
                data=alerts,
                observed_at=ended,
                took_s=ended - started,
                fault=None,
                max_age_s=self._alerts_age,
            )
        ]

    @property
    def _alerts_age(self) -> float:
        return max(30.0, 3 * self._interval_s)

    def _failed(self, name: str | None, fault: Fault, took_s: float) -> Reading[Any]:
        """Return the last good data with the fault; None stands for the alerts."""
        if name is None:
            return Reading(
                topic=ALERTS, data=None, observed_at=None, took_s=took_s, fault=fault, max_age_s=self._alerts_age
            )
        spec = self._queries[name]
        observed_at, asked_at = self._observed.get(spec.promql, (None, None))
        return Reading(
            topic=f"prometheus/{name}",
            data=self._results.get(spec.promql),
            observed_at=observed_at,
            asked_at=asked_at,
            took_s=took_s,
            fault=fault,
            max_age_s=spec.max_age_s,
            server_time=self._answered.get(spec.promql),
        )
