"""Reads what the services say from outside, over HTTP.

Each URL is asked by a task of its own, so that one that hangs holds up no other.

Topics: `probes/SERVICE/healthz` and `/readyz` (ProbeStatus), `probes/output/MARKET` (MarketOutput),
`probes/signers` (mapping agent → SignerReport), `probes/certificates` (`Certificates`)
once a host has presented one. What is not configured is off: `probes/signers`,
`probes/certificates`, and `probes/services`, `probes/outputs` for all of their kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncGenerator, Callable
from typing import Any
from urllib.parse import quote

from cockpit.clock import Clock
from cockpit.model.observed.probe import Certificate, Certificates, MarketOutput, ProbeStatus, SignerReport
from cockpit.model.reading import Fault, Reading, SourceState, believed, last_known
from cockpit.redaction.own import remember
from cockpit.settings import secrets_in
from cockpit.sources.probes import answers
from cockpit.sources.probes.http import HttpAnswer, ProbeProblem, Prober, open_context
from cockpit.sources.probes.settings import PROBES, ProbesSettings
from cockpit.sources.timing import PollSchedule, Timings
from cockpit.text import safe

PREFIX = "probes/"
SIGNERS, CERTIFICATES = PREFIX + "signers", PREFIX + "certificates"
SERVICES, OUTPUTS, BUNDLES = PREFIX + "services", PREFIX + "outputs", PREFIX + "bundles"
BUNDLE, BUNDLES_TIMES = PREFIX + "bundle/", 4.0  # bundles are verified more rarely than all else is asked
CHECKS = ("healthz", "readyz")
_AT_ONCE = 8
AGAIN_S = 3.0  # a first bad answer is asked for again so soon: a proxy may drop one
_LEAST_S = 0.5  # between two questions to one URL, whatever is configured

Judge = Callable[[HttpAnswer], Any]


class ProbesSource:
    """Asks everything at once, then each URL on the common schedule.

    One that fails is asked with backoff up to 15 s.
    """

    def __init__(
        self,
        settings: ProbesSettings,
        clock: Clock,
        *,
        polls: PollSchedule | None = None,
        timings: Timings | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._settings = settings
        remember(secrets_in(settings))
        self._clock = clock
        self._polls = polls or PollSchedule()
        self._timings = timings or Timings()
        self._rng = rng or random.Random()
        self._interval_s = max(_LEAST_S, settings.interval)
        self._max_age_s = max(15.0, 3 * self._interval_s)
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._last: dict[str, Reading[Any]] = {}  # by topic: the last good one
        self._reports: dict[str, tuple[SignerReport, float]] = {}  # agent → what it said, and when (monotonic)
        self._dates: dict[str, tuple[float | None, float]] = {}  # what is asked → its Date, and since when (monotonic)
        self._certificates: dict[str, Certificate] = {}
        self._refused: dict[str, Fault] = {}  # topic → why its host's certificate is not believed

    async def readings(self) -> AsyncGenerator[Reading[Any], None]:
        """Yield readings for ever.

        A CA file that cannot be read is a fault of every topic, and is tried again.
        """
        for reading in self._not_asked():
            yield reading
        while True:
            try:
                context = await asyncio.to_thread(open_context, self._settings.ca_file, section=PROBES.name)
                break
            except ProbeProblem as problem:
                for topic in self._topics():
                    yield Reading(topic, fault=problem.fault)
                await asyncio.sleep(self._timings.backoff_cap_s)
        prober = Prober(max(_LEAST_S, self._settings.timeout), context, self._settings.ca_file, section=PROBES.name)
        waiting: asyncio.Queue[Reading[Any]] = asyncio.Queue()
        tasks = [asyncio.create_task(self._keep_asking(prober, waiting, *one)) for one in self._questions()]
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    yield await asyncio.wait_for(waiting.get(), self._interval_s)
                for task in tasks:
                    if task.done():  # never, but for a bug of ours: the engine says so and starts anew
                        task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await prober.aclose()

    def _not_asked(self) -> list[Reading[Any]]:
        """Say that something is not configured, which is a state and not something unknown."""
        own = self._settings
        https = any(url.startswith("https://") for _, _, url, _ in self._questions())
        asked = {
            SERVICES: (bool(own.services), "no service is probed"),
            OUTPUTS: (bool(own.output.url and own.output.markets), "no market's output is asked for"),
            BUNDLES: (bool(own.output.bundle and own.output.markets), "no market's bundle is verified"),
            SIGNERS: (bool(own.signers), "no signer agent is asked"),
            CERTIFICATES: (https, "no https address is probed"),
        }
        return [Reading(topic, fault=Fault(SourceState.OFF, why)) for topic, (is_, why) in asked.items() if not is_]

    def _topics(self) -> list[str]:
        return list(dict.fromkeys(topic for topic, _, _, _ in self._questions()))

    def _questions(self) -> list[tuple[str, str, str, Judge]]:
        """Return (topic, agent or "", URL, what makes data of an answer)."""
        own = self._settings
        asked: list[tuple[str, str, str, Judge]] = []
        for service, base in own.services.items():
            for check in CHECKS:
                asked.append(
                    (f"{PREFIX}{service}/{check}", "", f"{base.rstrip('/')}/{check}", self._health(service, check))
                )
        for market in own.output.markets if own.output.url else ():
            url = (own.output.url or "").replace("{market}", quote(market, safe=""))
            asked.append((f"{PREFIX}output/{market}", "", url, self._output(market)))
        for market in own.output.markets if own.output.bundle else ():
            url = (own.output.bundle or "").replace("{market}", quote(market, safe=""))
            asked.append((f"{PREFIX}bundle/{market}", "", url, self._bundle(market)))
        for agent, url in own.signers.items():
            asked.append((SIGNERS, agent, url, self._report(agent)))
        return asked

    async def _keep_asking(
        self, prober: Prober, waiting: asyncio.Queue[Reading[Any]], topic: str, agent: str, url: str, judge: Judge
    ) -> None:
        attempt = bad = 0
        headers = self._settings.output.headers if topic.startswith((f"{PREFIX}output/", BUNDLE)) else None
        interval_s = self._interval_s * (BUNDLES_TIMES if topic.startswith(BUNDLE) else 1.0)
        while True:
            started = self._clock.mono()
            async with self._gate:
                try:
                    answer = await prober.ask(url, self._clock.wall(), headers)
                    certificate = answer.certificate
                    refused = None
                    data = judge(answer)
                    reading = self._good(topic, agent, data, answer, started)
                    attempt, bad = 0, bad + 1 if _fails(data) else 0
                except ProbeProblem as problem:
                    certificate, refused = (
                        problem.certificate,
                        problem.fault if "certificate" in problem.fault.reason else None,
                    )
                    reading = self._bad(topic, agent, problem.fault, started)
                    attempt, bad = attempt + 1, bad + 1
            waiting.put_nowait(reading)
            certificates = self._certificates_reading(url, topic, agent, certificate, refused)
            if certificates is not None:
                waiting.put_nowait(certificates)
            if bad == 1:
                await asyncio.sleep(min(self._interval_s, AGAIN_S))
            elif attempt:
                await asyncio.sleep(max(interval_s, self._timings.backoff(attempt, self._rng)))
            else:
                await self._polls.rest(self._clock, started, interval_s)

    def _good(self, topic: str, agent: str, data: Any, answer: HttpAnswer, started: float) -> Reading[Any]:
        now = self._clock.mono()
        true_at = now - self._stored_s(f"{topic}/{agent}", answer, now)
        if agent:
            self._reports[agent] = (data, true_at)
            return self._signers(now - started, answer.now)
        reading: Reading[Any] = Reading(
            topic=topic,
            data=data,
            observed_at=true_at,
            asked_at=now,
            took_s=now - started,
            fault=None,
            max_age_s=self._max_age_s * (BUNDLES_TIMES if topic.startswith(BUNDLE) else 1.0),
            server_time=answer.now,
        )
        self._last[topic] = reading
        return reading

    def _stored_s(self, place: str, answer: HttpAnswer, now: float) -> float:
        """Return how old an answer is: a cache says so, or gives the same Date again and again."""
        date, since = self._dates.get(place, (None, now))
        if answer.now is None or answer.now != date:
            since = now
        self._dates[place] = (answer.now, since)
        return max(answer.stored_s, now - since)

    def _bad(self, topic: str, agent: str, fault: Fault, started: float) -> Reading[Any]:
        """Return the last good data with the fault.

        An agent that cannot be asked is one that reports nothing.
        """
        now = self._clock.mono()
        if agent:
            self._reports[agent] = (SignerReport(agent, None, None, False, fault.reason), now)
            return self._signers(now - started, None)
        failed: Reading[Any] = Reading(topic, took_s=now - started, fault=fault, max_age_s=self._max_age_s)
        return failed.after(self._last.get(topic))

    def _signers(self, took_s: float, server_time: float | None) -> Reading[Any]:
        """Put all agents in one reading, as old as the oldest report, once each was asked."""
        known = {agent: self._reports[agent] for agent in self._settings.signers if agent in self._reports}
        if len(known) < len(self._settings.signers):
            return Reading(SIGNERS, max_age_s=self._max_age_s)
        data = {agent: found for agent, (found, _) in known.items()}
        return Reading(
            topic=SIGNERS,
            data=data,
            observed_at=min(at for _, at in known.values()),
            took_s=took_s,
            fault=None,
            max_age_s=self._max_age_s,
            server_time=server_time,
        )

    def _certificates_reading(
        self, url: str, topic: str, agent: str, certificate: Certificate | None, refused: Fault | None
    ) -> Reading[Any] | None:
        """Return the certificates, when this answer says something of one.

        A refused one that could not be read is named with its reason.
        """
        if not url.startswith("https://"):
            return None
        place = f"{topic}/{agent}"
        if certificate is not None:
            self._certificates[certificate.host] = certificate
        if refused is not None and certificate is None:
            self._refused[place] = refused
        elif certificate is not None:
            self._refused.pop(place, None)
        if not self._certificates and not self._refused:
            return None
        fault = next(iter(self._refused.values()), None)
        seen = Certificates(dict(self._certificates), fault.reason if fault is not None else "")
        return Reading(CERTIFICATES, seen, self._clock.mono(), max_age_s=self._max_age_s)

    # --- what makes data of an answer ----------------------------------------------------------

    def _health(self, service: str, check: str) -> Judge:
        return lambda answer: answers.health(safe(service, 80), check, answer)

    def _output(self, market: str) -> Judge:
        def judge(answer: HttpAnswer) -> MarketOutput:
            before = last_known(believed(self._last.get(f"{PREFIX}output/{market}"), self._clock.mono()))
            return answers.output(
                market=safe(market, 80),
                answer=answer,
                spec=self._settings.output,
                wall=self._clock.wall(),
                mono=self._clock.mono(),
                before=before,
            )

        return judge

    def _bundle(self, market: str) -> Judge:
        return lambda answer: answers.bundle(safe(market, 80), answer)

    def _report(self, agent: str) -> Judge:
        return lambda answer: answers.report(safe(agent, 80), answer, self._settings)


def _fails(data: Any) -> bool:
    """Tell whether what was answered is a no: no output, or not well."""
    return data.status >= 500 if isinstance(data, MarketOutput) else isinstance(data, ProbeStatus) and not data.ok
