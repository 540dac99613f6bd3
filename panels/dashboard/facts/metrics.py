"""Looks up samples, histories and thresholds, and why any of them cannot be believed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.reading import Known, SourceState, believed, last_known, light_of
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation
from panels.kit.spans import Span
from panels.kit.theme import MARK, WORD
from panels.kit.words import UNKNOWN, age, in_base, value


@dataclass(frozen=True, slots=True)
class Trouble:
    """Holds one fault as a panel tells it, and what to do.

    For example "pods in m0-prod: denied: cannot list pods".

    "pods in m0-prod: denied: cannot list pods", and what to do.
    """

    what: str
    state: str
    reason: str = ""
    remedy: str = ""
    hard: bool = True  # an error, rather than waiting, stale or not configured


def query(situation: Situation, name: str) -> QueryResult | None:
    """Return the last answer, to be shown; `live` says whether it can be believed."""
    return last_known(believed(situation.queries.get(name), situation.mono))


def unit_of(situation: Situation, name: str, default: str = "") -> str:
    defined = situation.runbooks.queries.get(name)
    return defined.unit if defined is not None else default


def by_label(situation: Situation, name: str, label: str) -> dict[str, float]:
    """Return the value by label; empty when there is nothing, which is not zero."""
    result = query(situation, name)
    return {} if result is None else result.by(label)


def single(situation: Situation, name: str) -> float | None:
    """Return the value of a query without labels; None when it has no sample."""
    result = query(situation, name)
    return result.samples[0].value if result is not None and result.samples else None


def history(
    situation: Situation, name: str, labels: Mapping[str, str] | None = None
) -> tuple[tuple[float, float], ...]:
    result = query(situation, name)
    if result is None:
        return ()
    for series in result.history:
        if labels is None or all(series.labels.get(k) == v for k, v in labels.items()):
            return series.points
    return ()


def sum_by(samples: Iterable[Sample], label: str) -> dict[str, float]:
    out: dict[str, float] = {}
    for sample in samples:
        if label in sample.labels:
            out[sample.labels[label]] = out.get(sample.labels[label], 0.0) + sample.value
    return out


def live(situation: Situation, name: str) -> bool:
    """Return whether the query's answer can be believed now.

    What is stale or faulty is shown, but never as OK.
    """
    return isinstance(believed(situation.queries.get(name), situation.mono), Known)


def judge(situation: Situation, name: str, number: float | None, unit: str, signal_name: str = "") -> Level:
    """Judge one number of query `name` by the thresholds in force of a signal.

    UNKNOWN without a number or a live answer; a number that has no thresholds is OK.
    """
    if number is None or math.isnan(number) or not live(situation, name):
        return Level.UNKNOWN
    signal = situation.signals.get(signal_name)
    if signal is None:
        return Level.OK
    here = in_base(number, unit)
    for level, limit in ((Level.CRIT, signal.crit), (Level.WARN, signal.warn)):
        if limit is not None:
            bound = in_base(limit, signal.unit)
            if (here >= bound) if signal.direction == "above" else (here <= bound):
                return _beside(level, signal)
    return Level.OK


def _beside(level: Level, signal: SignalStatus) -> Level:
    """Return a part's level beside its whole.

    What recovers is not bad; what is bad but has not held for long is a warning.
    """
    if signal.level is Level.RECOVERING:
        return Level.RECOVERING
    return Level.WARN if signal.level is Level.OK and signal.pending is not None else level


def number(number_: float | None, unit: str, level: Level = Level.OK, calm: str = "text") -> Span:
    """Return a cell with the number in its unit, coloured when it is not OK."""
    if number_ is None or math.isnan(number_):
        level = Level.UNKNOWN
    return value(number_, unit), calm if level is Level.OK else level.value


def state(level: Level) -> Span:
    """Return "▲ CRIT": sign, word and colour."""
    return f"{MARK[level]} {WORD[level]}", level.value


def signal_value(signal: SignalStatus | None) -> Span:
    if signal is None:
        return UNKNOWN, "dim"
    return number(signal.newest, signal.unit, signal.level)


def query_age(situation: Situation, names: Iterable[str]) -> float | None:
    ages = [r.believed(situation.mono).age_s for n in names if (r := situation.queries.get(n)) is not None]
    return max((a for a in ages if a is not None), default=None)


def query_trouble(situation: Situation, names: Iterable[str]) -> list[Trouble]:
    """Return the faults of these queries.

    The same fault of all of them is told once, as the source's.
    """
    wanted = list(names)
    light = next((s for s in situation.sources if s.name.startswith("prom")), None)
    if not wanted:
        return []
    if light is not None and light.state.off:
        return [
            Trouble(
                "Prometheus", "not configured", light.reason, light.remedy or "start with --prometheus URL", hard=False
            )
        ]
    faults: dict[tuple[SourceState, str, str], list[str]] = {}
    for name in wanted:
        reading = situation.queries.get(name)
        if reading is None:
            continue  # not asked for (an operator's runbooks.toml without it): the panel shows "?" there
        found = reading.believed(situation.mono)
        if isinstance(found, Known):
            continue
        age_s = found.age_s
        reason = "no answer yet" if found.starting and age_s is None else found.reason
        if not found.stale and age_s is not None:
            reason += f" (shown: {age(age_s)} old)"
        faults.setdefault((light_of(found), reason, found.remedy), []).append(name)
    troubles = []
    for (state, reason, remedy), places in faults.items():
        what = "Prometheus" if len(places) > 2 or len(places) == len(wanted) else " and ".join(places)
        troubles.append(Trouble(what, state.value, reason, remedy, hard=not (state.starting or state.stale)))
    return _merged(troubles)


def _merged(troubles: list[Trouble]) -> list[Trouble]:
    """Return at most two lines of faults, as the panel's last data matter too."""
    if len(troubles) <= 2:
        return troubles
    rest = len(troubles) - 2
    return [*troubles[:2], Trouble("and", f"{rest} more", "", "m0-cockpit doctor lists them", hard=False)]


def kind_trouble(situation: Situation, kinds: Iterable[str]) -> list[Trouble]:
    """Return faults of what is read from Kubernetes, by kind and namespace.

    "pods in m0-prod: denied: cannot list pods".
    """
    wanted = set(kinds)
    faults: dict[tuple[SourceState, str, str], list[str]] = {}
    for key, reading in situation.kinds.items():
        kind, _, namespace = key.partition("/")
        found = reading.believed(situation.mono)
        if kind not in wanted or isinstance(found, Known):
            continue
        reason = "listing" if found.starting and found.age_s is None else found.reason
        faults.setdefault((light_of(found), reason, found.remedy), []).append(f"{kind} in {namespace}")
    troubles = []
    for (state, reason, remedy), places in faults.items():
        what = places[0] if len(places) == 1 else f"{places[0]} and {len(places) - 1} more"
        troubles.append(Trouble(what, state.value, reason, remedy, hard=not (state.starting or state.stale)))
    return _merged(troubles)


def kind_age(situation: Situation, kinds: Iterable[str]) -> float | None:
    wanted = set(kinds)
    ages = [r.believed(situation.mono).age_s for k, r in situation.kinds.items() if k.partition("/")[0] in wanted]
    return max((a for a in ages if a is not None), default=None)
