"""Looks up topics of the chain and the probes, and how far they can be believed just now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Generic, TypeVar

from cockpit.model.observed.chain import Disagreement, EndpointStatus, ProgramActivity
from cockpit.model.observed.crosscheck import SignerSetCheck
from cockpit.model.observed.probe import (
    CERTIFICATE_CRIT_DAYS,
    CERTIFICATE_WARN_DAYS,
    Certificate,
    Certificates,
    MarketOutput,
    ProbeStatus,
)
from cockpit.model.reading import Known, Reading, believed, last_known, light_of
from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from cockpit.text import clean
from panels.kit.spans import Line, Span
from panels.kit.theme import MARK
from panels.kit.words import age

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TopicData(Generic[T]):
    """Holds the data of one topic.

    `live`: it can be believed now; else `why`, in a few words.
    """

    data: T | None
    live: bool
    why: str = ""


def topic_data(reading: Reading[Any] | None, kind: type[T], mono: float) -> TopicData[T]:
    found = believed(reading, mono, kind)
    last = last_known(found)
    if reading is None or isinstance(found, Known):
        return TopicData(last, isinstance(found, Known), found.reason)
    shown = f" (shown: {age(found.age_s)} old)" if last is not None and found.age_s is not None else ""
    state = light_of(found).value
    return TopicData(last, False, state if found.reason == state else f"{state}: {found.reason}{shown}")


def program(situation: Situation) -> TopicData[ProgramActivity]:
    """Return what the oracle program did.

    Counts with a gap are shown, and not believed.
    """
    if "solana" not in situation.configured:
        return TopicData(None, False, "not configured")
    if "program" not in situation.solana and any(t.startswith("endpoint/") for t in situation.solana):
        return TopicData(None, False, "no program id configured")
    if believed(situation.solana.get("program"), situation.mono).off:
        return TopicData(None, False, "no program id configured")
    found = topic_data(situation.solana.get("program"), ProgramActivity, situation.mono)
    if found.live and found.data is not None and not found.data.complete:
        return TopicData(found.data, False, f"gap: {found.data.gap or 'being filled'}")
    return found


def quiet(found: TopicData[Any]) -> bool:
    """Return whether the topic is not configured, which is a state, not an error."""
    return found.data is None and found.why in ("not configured", "no program id configured")


def endpoints(situation: Situation) -> dict[str, TopicData[EndpointStatus]]:
    """Return each endpoint's data by its name."""
    head = "endpoint/"
    return {
        topic.removeprefix(head): topic_data(reading, EndpointStatus, situation.mono)
        for topic, reading in sorted(situation.solana.items())
        if topic.startswith(head)
    }


def disagreements(situation: Situation) -> list[Disagreement]:
    """Return all disagreements, whatever topic carries them."""
    found: list[Disagreement] = []
    for reading in situation.solana.values():
        seen = reading.believed(situation.mono)
        if isinstance(seen, Known) and isinstance(seen.data, tuple | list):
            found += [one for one in seen.data if isinstance(one, Disagreement)]
    return found


def outputs(situation: Situation) -> dict[str, TopicData[MarketOutput]]:
    head = "output/"
    return {
        topic.removeprefix(head): topic_data(reading, MarketOutput, situation.mono)
        for topic, reading in situation.probes.items()
        if topic.startswith(head)
    }


def failing(situation: Situation, width: int) -> list[Line]:
    """Return one line for each service that says it is not well, or that cannot be asked."""
    lines: list[Line] = []
    for topic, reading in situation.probes.items():
        whole = topic in ("signers", "certificates", "source") or topic.startswith(("output/", "bundle/"))
        if whole or reading.believed(situation.mono).off:
            continue
        found = topic_data(reading, ProbeStatus, situation.mono)
        if found.live and found.data is not None and found.data.ok:
            continue
        bad = found.live and found.data is not None
        role = "crit" if bad else "unknown"
        words = found.data.words if bad and found.data is not None else found.why
        mark = MARK[Level.CRIT if bad else Level.UNKNOWN]
        lines += spoken(mark, role, f"{topic.replace('/', ' ')}: {words}", width)
    return lines


def certificate_level(one: Certificate) -> Level:
    if one.days_left < CERTIFICATE_CRIT_DAYS:
        return Level.CRIT
    return Level.WARN if one.days_left < CERTIFICATE_WARN_DAYS else Level.OK


def ending_certificates(situation: Situation, width: int) -> list[Line]:
    """Name the certificates near their end, the first to end first, and why some are not known.

    And why some are not known.
    """
    reading = situation.probes.get("certificates")
    found = believed(reading, situation.mono)
    if reading is None or found.off:
        return []
    seen: Certificates = last_known(found) or Certificates({})
    known = seen.known
    lines: list[Line] = []
    for one in sorted(known.values(), key=lambda c: c.days_left):
        level = certificate_level(one)
        if level is Level.OK:
            continue
        left = f"{one.days_left:,.0f} d left" if one.days_left >= 0 else f"expired {-one.days_left:,.0f} d ago"
        lines += spoken(MARK[level], level.value, f"certificate {one.host}: {left}", width)
    doubt = found.reason or seen.refused
    if doubt:
        lines += spoken("?", "unknown", doubt, width)
    return lines


def spoken(mark: str, role: str, text: str, width: int, most: int = 3) -> list[Line]:
    """Wrap a sentence behind a mark, on as many lines as it needs, `most` at most.

    The marks line up.
    """
    parts = wrap(clean(text), max(10, width - 2), max_lines=most, placeholder=" …")
    return [((f"{mark} " if i == 0 else "  ", role), (part, role)) for i, part in enumerate(parts)]


def set_state(check: SignerSetCheck) -> Span:
    """Return "chain ✓", or that the set differs, or that it cannot be told."""
    agrees = check.agrees
    if agrees:
        return "chain ✓", "ok"
    if agrees is False:
        return "✗ differs", "crit"
    return ("chain ?", "unknown") if check.unknown else ("chain –", "dim")


def worst_level(levels: Iterable[Level]) -> Level:
    return max(levels, key=lambda level: level.rank, default=Level.OK)
