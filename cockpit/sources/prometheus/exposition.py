"""Reads services' own `/metrics` while Prometheus cannot be asked: to look at, judged by nobody.

Reference: Prometheus text exposition format 0.0.4. What comes in is bounded and cleaned: it is as
foreign as a log line.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

import httpx

from cockpit.clock import Clock
from cockpit.kubeapi.bounds import MB, BodyProblem, whole
from cockpit.kubeapi.network import words
from cockpit.model.observed.metrics import Exposed
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.redaction.own import remember
from cockpit.sources.prometheus.text_format import MOST_SAMPLES, ExpositionProblem, samples
from cockpit.text import safe, url_hint, url_keys

PREFIX = "metrics/"
MOST_BYTES = 4 * MB
_TIMEOUT_S = 5.0
_POLL_S = 1.0  # how often it looks whether it is needed
_NAME_LIMIT, _LABEL_LIMIT = 200, 200
#: Left out: a histogram's buckets, and when a series began. `_sum` and `_count` stay.
_DULL = ("_bucket", "_created")
IDLE = Fault(SourceState.OFF, "not read while Prometheus answers")


class ExpositionSource:
    """Publishes `metrics/<service>` with a tuple of `Exposed`, in the order of the page.

    `needed` is asked before each round.
    """

    def __init__(
        self,
        addresses: Mapping[str, str],
        interval_s: float,
        clock: Clock,
        needed: Callable[[], bool],
        *,
        poll_s: float = _POLL_S,
    ):
        self._addresses = dict(addresses)
        remember(secret for url in addresses.values() for secret in url_keys(url))
        self._interval_s = interval_s
        self._clock = clock
        self._needed = needed
        self._poll_s = poll_s

    async def readings(self) -> AsyncGenerator[Reading[tuple[Exposed, ...]], None]:
        """Yield readings for ever: rounds of all services while needed, else OFF once."""
        idle = False
        timeout = httpx.Timeout(_TIMEOUT_S)
        headers = {"user-agent": "m0-cockpit", "accept": "text/plain;version=0.0.4", "accept-encoding": "identity"}
        async with httpx.AsyncClient(timeout=timeout, headers=headers, trust_env=False) as client:
            while True:
                if not self._needed():
                    if not idle:
                        for service in self._addresses:
                            yield self._failed(service, IDLE)
                    idle = True
                    await asyncio.sleep(self._poll_s)
                    continue
                idle = False
                started = self._clock.mono()
                tasks = [asyncio.create_task(self._one(client, *one)) for one in self._addresses.items()]
                try:
                    for done in asyncio.as_completed(tasks):
                        yield await done
                finally:
                    for task in tasks:
                        task.cancel()
                await asyncio.sleep(max(0.0, self._interval_s - (self._clock.mono() - started)))

    async def _one(self, client: httpx.AsyncClient, service: str, url: str) -> Reading[tuple[Exposed, ...]]:
        if not url.startswith(("http://", "https://")):
            return self._failed(service, _down(f"{safe(url, 80)} is no http(s) URL", "correct [prometheus.direct]"))
        started = self._clock.mono()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                body = await _fetch(client, url)
            data = await asyncio.to_thread(parse, body)
        except ExpositionProblem as problem:
            return self._failed(service, _down(f"{url_hint(url)}: {problem.reason}", problem.remedy))
        except TimeoutError:
            late = f"no answer from {url_hint(url)} in {_TIMEOUT_S:g} s"
            return self._failed(service, _down(late, "is the service up, and its address right?"))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return self._failed(
                service, _down(f"cannot read {url_hint(url)}: {words(error)}", "check [prometheus.direct]")
            )
        now = self._clock.mono()
        true_at = now - _behind_s(data, self._clock.wall())
        longest = max(15.0, 3 * self._interval_s)
        return Reading(PREFIX + service, data, true_at, now - started, max_age_s=longest, asked_at=now)

    def _failed(self, service: str, fault: Fault) -> Reading[tuple[Exposed, ...]]:
        return Reading(PREFIX + service, fault=fault)


def _down(reason: str, remedy: str = "") -> Fault:
    return Fault(SourceState.DOWN, safe(reason, 300), remedy)


def _behind_s(data: Sequence[Exposed], wall: float) -> float:
    """Return how old the newest sample of a page is; what is undated is new."""
    times = [sample.at for sample in data]
    dated = [at for at in times if at is not None]
    return max(0.0, wall - max(dated)) if dated and len(dated) == len(times) else 0.0


async def _fetch(client: httpx.AsyncClient, url: str) -> str:
    """Return the body, MOST_BYTES at most.

    Raises ExpositionProblem, httpx errors.
    """
    async with client.stream("GET", url) as response:
        if response.status_code != 200:
            raise ExpositionProblem(f"HTTP {response.status_code}")
        try:
            body = await whole(response.aiter_raw(), response.headers, MOST_BYTES)
        except BodyProblem as problem:
            raise ExpositionProblem(problem.reason) from problem
    return body.decode("utf-8", "replace")


def parse(body: str) -> tuple[Exposed, ...]:
    """Return samples in the page's order, buckets left out, names and labels cleaned.

    Raises ExpositionProblem.
    """
    found: list[Exposed] = []
    for name, labels, value, at in samples(body):
        if name.endswith(_DULL):
            continue
        if len(found) >= MOST_SAMPLES:
            raise ExpositionProblem(f"more than {MOST_SAMPLES:,} series: not read")
        cleaned = {safe(k, _LABEL_LIMIT): safe(v, _LABEL_LIMIT) for k, v in labels.items()}
        found.append(Exposed(safe(name, _NAME_LIMIT), cleaned, value, at))
    return tuple(found)
