"""Explains a signal: what it is, when it is bad, where it is read, whose logs tell more of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from cockpit.assessment.baseline import with_unit
from cockpit.model.reading import spell
from cockpit.model.runbook import Runbooks, SignalDef
from cockpit.model.signal import YES_NO, Level, SignalStatus
from cockpit.model.situation import Situation

_METRIC = re.compile(r"\bm0_\w+")
_MOST = 6
_MOST_STEPS = 3


def explain_signal(name: str, situation: Situation, runbooks: Runbooks) -> tuple[str, ...]:
    """Explain one signal, what it says now first."""
    signal, status = runbooks.signals.get(name), situation.signals.get(name)
    if signal is None or status is None:
        return (f"There is no signal {name} any more.",)
    since = ""
    if status.since is not None and status.level is not Level.OK:
        since = f" for {spell(situation.mono - status.since)}"
    number = _number(status.newest, status.unit) if status.newest is not None else ""
    head = f"{_word(status)} {number}" if number and not status.reason.startswith(number) else _word(status)
    lines = [f"{head}{since}: {status.reason}" if status.reason else f"{head}{since}"]
    if status.worst_labels and not status.reason:
        lines.append("worst of " + ", ".join(f"{label} {value}" for label, value in status.worst_labels.items()))
    lines += _limits(signal, status)
    if status.age_s is not None:
        lines.append(f"read {spell(status.age_s)} ago; unknown when older than {spell(signal.max_age)}")
    lines.append(f"from Prometheus: {signal.promql}" if signal.promql is not None else f"from {_place(signal)}")
    lines += [
        f"decides the stage {stage.name}" for stage in runbooks.stages if name in (stage.headline, *stage.signals)
    ]
    lines += _runbooks(name, runbooks)
    lines += _steps(name, situation, runbooks)
    service = service_of(name, runbooks)
    lines.append(f"next: l opens the logs of {service}" if service else "no service's logs tell more of it")
    return tuple(lines)


def unwell_signals(service: str, situation: Situation, runbooks: Runbooks) -> tuple[str, ...]:
    """Return what signals that are not well say of a service, the worst first."""
    found = [
        status
        for name, status in situation.signals.items()
        if status.level is not Level.OK
        and not (status.off or status.starting)
        and service_of(name, runbooks) == service
    ]
    found.sort(key=lambda status: -status.level.rank)
    lines = [f"{_word(s)} {s.title} {_number(s.newest, s.unit)}: {s.reason or s.level.value}" for s in found[:_MOST]]
    more = len(found) - _MOST
    return (*lines, f"and {more} more signals: see Signals") if more > 1 else tuple(lines)


def service_of(name: str, runbooks: Runbooks) -> str:
    """Return the service whose logs tell more of a signal; "" where none does.

    Its own, that of its stage, that of a signal of the same metric, or the one whose logs a
    question of a runbook opens for it; of what the chain tells, the one that publishes.
    """
    signal = runbooks.signals.get(name)
    if signal is None:
        return ""
    own, staged = _own(signal, runbooks), _staged(runbooks)
    if own or name in staged:
        return own or staged[name]
    metrics = set(_METRIC.findall(signal.promql or ""))
    for other, service in staged.items():
        known = runbooks.signals.get(other)
        if known is not None and metrics & set(_METRIC.findall(known.promql or "")):
            return service
    asked = [service for names, service in _questions(runbooks) if name in names]
    if asked:
        return asked[0]
    publishing = [each for each, one in runbooks.services.items() if one.publishes]
    return publishing[0] if publishing and (signal.value or "").startswith("solana.") else ""


def _own(signal: SignalDef, runbooks: Runbooks) -> str:
    kind, _, rest = (signal.value or "").partition(".")
    service = rest.partition(".")[2]
    return service if kind == "kubernetes" and service in runbooks.services else ""


def _staged(runbooks: Runbooks) -> Mapping[str, str]:
    """Return the service of each stage's signals; one without its own is its forerunner's."""
    found: dict[str, str] = {}
    service = ""
    for stage in runbooks.stages:
        names = (stage.headline, *stage.signals)
        own = [_own(runbooks.signals[name], runbooks) for name in names if name in runbooks.signals]
        service = next(filter(None, own), service)
        if service:
            found.update({name: found.get(name, service) for name in names})
    return found


def _questions(runbooks: Runbooks) -> Iterator[tuple[tuple[str, ...], str]]:
    """Walk through (signals, service): questions of triage that open logs, then symptoms."""
    for runbook in runbooks.runbooks:
        for line in runbook.triage:
            if line.args.get("service") in runbooks.services:
                yield line.signals, line.args["service"]
    for runbook in runbooks.runbooks:
        services = [line.args["service"] for line in runbook.triage if line.args.get("service") in runbooks.services]
        if services:
            yield tuple(name for symptom in runbook.symptoms for name in symptom.witnesses), services[0]


def _limits(signal: SignalDef, status: SignalStatus) -> list[str]:
    to = "from" if signal.direction == "above" else "down to"
    limits = [
        f"{word} {to} {_number(limit, signal.unit)}"
        for word, limit in (("warn", status.warn), ("crit", status.crit))
        if limit is not None
    ]
    if not limits or signal.unit == YES_NO:
        return []
    usual = (
        f"; usual: {_number(status.baseline, signal.unit)} {status.baseline_from}".rstrip() if status.baseline else ""
    )
    held = f", held for {spell(signal.hold)}" if signal.hold else ""
    return [f"{', '.join(limits)}{held}{usual}"]


def _runbooks(name: str, runbooks: Runbooks) -> list[str]:
    of = [f"{b.number} {b.title}" for b in runbooks.runbooks if any(name in s.witnesses for s in b.symptoms)]
    asked = []
    for b in runbooks.runbooks:
        read = {v.signal for v in b.validation}.union(*(t.signals for t in b.triage), *(c.signals for c in b.causes))
        asked += [f"{b.number} {b.title}"] if name in read else []
    lines = [f"a symptom of {'; '.join(of)}"] if of else []
    rest = [words for words in asked if words not in of]
    return [*lines, f"read by {'; '.join(rest)}"] if rest else lines


def _steps(name: str, situation: Situation, runbooks: Runbooks) -> list[str]:
    """Return the newest steps of the journal that stand on the signal or were to move it."""
    lines = []
    for line in situation.journal:  # the newest first
        found = (s for b in runbooks.runbooks if b.id == line.runbook for s in b.mitigations if s.id == line.step)
        for step in found:
            if name in {*step.signals, *step.proves, *(one.signal for one in step.validation)}:
                ago = spell(max(0.0, situation.wall - line.wall))
                lines.append(f"step #{line.number} {ago} ago: {line.operator}: {line.title}: {line.outcome}")
    return lines[:_MOST_STEPS]


def _word(status: SignalStatus) -> str:
    return "off" if status.off else status.level.value.upper()


_PLACES = {"kubernetes": "the cluster", "solana": "the chain", "probes": "a probe", "postgres": "PostgreSQL"}


def _place(signal: SignalDef) -> str:
    place = (signal.value or "").partition(".")[0]
    return _PLACES.get(place, place or "an unknown source")


def _number(value: float | None, unit: str) -> str:
    if value is None or value != value:
        return "?"
    return with_unit(value, unit)
