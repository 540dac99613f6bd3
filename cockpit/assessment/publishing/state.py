"""Says whether publishing is on, stopped by us, stopped by another, or broken.

What stops it: no replica of what publishes, its toggle, the program's own pause, every market's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from cockpit.assessment.publishing.safety import dangers, doubts_of, unsafe
from cockpit.journal.entries import PAUSED
from cockpit.model.plan import JournalLine
from cockpit.model.reading import spell
from cockpit.model.runbook import PAUSE_TOGGLE, PUBLISH_TOGGLE, Runbooks
from cockpit.model.signal import SignalStatus
from cockpit.model.situation import Publishing, PublishingState, ToggleStatus
from cockpit.sources.paused_markets import PausedMarkets

#: The field of a step's changes that says that a service was scaled.
REPLICAS = "replicas"
CHAIN_PAUSED = "chain-paused"


class Cause(NamedTuple):
    """Names one thing that stops publishing, and the step of ours that did it, if any."""

    words: str
    line: JournalLine | None


def stopped_services(desired: Mapping[str, int], journal: Sequence[JournalLine], wall: float) -> Mapping[str, str]:
    """Return the services that a step of the journal scaled to 0, with who and when."""
    found: dict[str, str] = {}
    for name, count in desired.items():
        line = _newest(journal, REPLICAS, name) if count == 0 else None
        if line is not None and _after(line, REPLICAS) == "0":
            found[name] = f"scaled to 0 {by(line, wall)}"
    return found


def publishing(
    runbooks: Runbooks,
    desired: Mapping[str, int],
    toggles: Iterable[ToggleStatus],
    paused: PausedMarkets,
    signals: Mapping[str, SignalStatus],
    journal: Sequence[JournalLine],
    wall: float,
) -> Publishing:
    """Return the state of publishing, with why, since when, and by which step of ours.

    `desired`: service → the replicas that are asked for.
    """
    statuses = tuple(toggles)
    causes = _causes(runbooks, desired, statuses, paused, signals, journal)
    ours = [cause.line for cause in causes if cause.line is not None]
    state = PublishingState.ON
    words, number, since = "", None, None
    if causes and ours:
        newest = max(ours, key=lambda line: line.number)
        state, number, since = PublishingState.OURS, newest.number, newest.wall
        words = f"publishing stopped {by(newest, wall)}: {causes[0].words}"
    elif causes:
        state = PublishingState.ANOTHERS
        words = f"publishing stopped, not by a step of this journal: {'; '.join(c.words for c in causes)}"
    return Publishing(
        state=state,
        words=words,
        journal=number,
        since_wall=since,
        paused=tuple(sorted(paused.names)),
        markets=paused.known,
        danger=dangers(runbooks, signals),
        unsafe=unsafe(runbooks, signals, statuses),
        doubts=doubts_of(runbooks, signals, statuses),
        others=_others(causes, statuses, paused, journal),
    )


def by(line: JournalLine, wall: float) -> str:
    """Return "by alice, journal #3, 1:10 ago"."""
    who = f"by {line.operator}, " if line.operator else ""
    return f"{who}journal #{line.number}, {spell(max(0.0, wall - line.wall))} ago"


def _others(
    causes: Sequence[Cause], toggles: Sequence[ToggleStatus], paused: PausedMarkets, journal: Sequence[JournalLine]
) -> tuple[str, ...]:
    """Return what is owed back that no step of this journal did: stopped, paused, not as usual."""
    found = [cause.words for cause in causes if cause.line is None]
    markets = [market for market in sorted(paused.names) if pausing(journal, market) is None]
    if markets and not paused.every:
        found.append(f"{len(markets)} of {paused.known or '?'} markets paused: {', '.join(markets)}")
    for toggle in toggles:
        if toggle.level != "differs" or toggle.value is None or _is_ours(toggle, journal):
            continue
        usual = toggle.toggle.usual
        tail = f", usual {usual or '(empty)'}" if usual is not None else f", {toggle.reason}"
        found.append(f"{toggle.name} is {toggle.value or '(empty)'} at {toggle.deployment}{tail}")
    return tuple(f"not by a step of this journal: {words}" for words in dict.fromkeys(found))


def _is_ours(toggle: ToggleStatus, journal: Sequence[JournalLine]) -> bool:
    """Tell whether the newest step in force that set it, set it to what it is."""
    for place in (toggle.deployment, toggle.toggle.configmap):
        line = _newest(journal, toggle.name, place) if place is not None else None
        if line is not None and _after(line, toggle.name) == toggle.value:
            return True
    return False


def _causes(
    runbooks: Runbooks,
    desired: Mapping[str, int],
    toggles: tuple[ToggleStatus, ...],
    paused: PausedMarkets,
    signals: Mapping[str, SignalStatus],
    journal: Sequence[JournalLine],
) -> list[Cause]:
    found: list[Cause] = []
    for name, service in runbooks.services.items():
        if service.publishes and desired.get(name) == 0:
            line = _newest(journal, REPLICAS, name)
            found.append(Cause(f"{name} is scaled to 0", line if _after(line, REPLICAS) == "0" else None))
    for toggle in toggles:
        if toggle.name == PUBLISH_TOGGLE and (toggle.value or "").strip().lower() in ("false", "0", "no", "off"):
            line = _newest(journal, PUBLISH_TOGGLE, toggle.deployment)
            ours = (_after(line, PUBLISH_TOGGLE) or "").lower() == (toggle.value or "").lower()
            found.append(Cause(f"{PUBLISH_TOGGLE} is {toggle.value}", line if ours else None))
    chain = signals.get(CHAIN_PAUSED)
    if chain is not None and chain.level.bad:
        found.append(Cause("the program is paused on the chain", None))
    if paused.every:
        lines = [pausing(journal, market) for market in paused.names]
        line = max((each for each in lines if each is not None), key=lambda each: each.number, default=None)
        found.append(Cause("every market is paused", line if all(lines) else None))
    return found


def pausing(journal: Sequence[JournalLine], market: str) -> JournalLine | None:
    """Return the step that paused the market, when it is the newest that changed that."""
    for field in (market, f"{PAUSE_TOGGLE}{market}"):
        line = next((each for each in journal if _applied(each) and _after(each, field) is not None), None)
        if line is not None and _after(line, field) in (PAUSED, "true"):
            return line
    return None


def _newest(journal: Sequence[JournalLine], field: str, target: str) -> JournalLine | None:
    """Return the newest step in force that changed the field of that object (newest come first)."""
    return next(
        (line for line in journal if _applied(line) and _named(line) == target and _after(line, field) is not None),
        None,
    )


def _applied(line: JournalLine) -> bool:
    return line.undoable and not line.undone


def _named(line: JournalLine) -> str:
    return line.target.rpartition(" / ")[2].rpartition(" ")[2]


def _after(line: JournalLine | None, field: str) -> str | None:
    return next((c.after for c in line.changes if c.field == field), None) if line is not None else None
