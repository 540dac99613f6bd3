"""Examines the probes: one answer of each URL, by the source itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from cockpit.model.observed.probe import CERTIFICATE_WARN_DAYS, MarketOutput, ProbeStatus, SignerReport
from cockpit.model.reading import Known, Reading, Unknown
from cockpit.sources.examination import Examination, Finding, State, bounded, found
from cockpit.sources.probes.settings import PROBES
from cockpit.sources.probes.source import ProbesSource
from cockpit.text import counted

AREA = "probes"


async def examine(exam: Examination) -> list[Finding]:
    own = exam.settings.of(PROBES)
    if not own.asked:
        return [found(AREA, "probes", State.OFF, "not configured", "base URLs of the services in [probes.services]")]
    answered: dict[str, Reading[Any]] = {}
    asked = [f"probes/{name}/{check}" for name in own.services for check in ("healthz", "readyz")]
    asked += [f"probes/output/{market}" for market in own.output.markets if own.output.url]
    asked += ["probes/signers"] if own.signers else []

    async def read() -> Sequence[Finding]:
        endless = ProbesSource(own, exam.clock).readings()
        async with aclosing(endless) as readings:
            async for reading in readings:
                answered[reading.topic] = reading
                if all(_whole(topic, answered.get(topic), own.signers, exam.clock.mono()) for topic in asked):
                    break
        return []

    late = await bounded(exam, AREA, "probes", read)
    mono = exam.clock.mono()
    findings = [
        finding for topic in asked if (r := answered.get(topic)) is not None for finding in _judge(topic, r, mono)
    ]
    missing = [topic.removeprefix("probes/") for topic in asked if topic not in answered]
    if missing and late:
        findings.append(found(AREA, "probes", State.UNKNOWN, f"{late[0].words}: {', '.join(missing)}", late[0].remedy))
    return findings


def _whole(topic: str, reading: Reading[Any] | None, signers: Mapping[str, str], mono: float) -> bool:
    """Return whether nothing is awaited: the agents' reports come one by one into one topic."""
    if reading is None:
        return False
    if topic != "probes/signers":
        return True
    said = reading.believed(mono)
    return set(said.data) >= set(signers) if isinstance(said, Known) else not said.starting


def _judge(topic: str, reading: Reading[Any], mono: float) -> list[Finding]:
    check, seen = topic.removeprefix("probes/"), reading.believed(mono)
    if isinstance(seen, Unknown):
        return [found(AREA, check, State.FAIL, seen.reason, seen.remedy)]
    data = seen.data
    if isinstance(data, ProbeStatus):
        findings = [
            found(
                AREA,
                check,
                State.OK if data.ok else State.FAIL,
                data.words or f"HTTP {data.status}",
                "" if data.ok else "see the service's logs",
            )
        ]
        certificate = data.certificate
        if certificate is not None and certificate.days_left < CERTIFICATE_WARN_DAYS:
            words = f"the certificate of {certificate.host} has {counted(round(certificate.days_left), 'day')} left"
            findings.append(found(AREA, check, State.WARN, words, "renew it"))
        return findings
    if isinstance(data, MarketOutput):
        words = f"epoch {data.epoch}, tick {data.tick}" + (f": {data.words}" if data.words else "")
        return [
            found(
                AREA,
                check,
                State.WARN if data.words else State.OK,
                words,
                "set the pointers of [probes.output]" if data.words else "",
            )
        ]
    findings = []
    for agent, report in data.items() if isinstance(data, Mapping) else ():
        if isinstance(report, SignerReport):
            state = State.OK if report.ok else State.FAIL
            findings.append(
                found(AREA, f"signer {agent}", state, report.words or f"reports its key and set {report.signer_set_id}")
            )
    return findings
