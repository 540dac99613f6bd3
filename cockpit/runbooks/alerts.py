"""Makes Prometheus alert rules of the signals of runbooks.toml.

So what pages and what the cockpit shows are one thing.

A rule holds when the signal's level would: the same query, thresholds, direction and `for`. Where
Prometheus cannot judge as the cockpit does, that is said in the file, beside the rule or in place
of it. The text is the same for the same runbooks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from cockpit.assessment.usual.windows import FEWEST_POINTS, NORMAL_QUANTILE, RECENT_S
from cockpit.model.runbook import Runbook, Runbooks, SignalDef

GROUP = "m0-cockpit"
UNKNOWN_FOR_S = 300.0  # two missed scrapes are no page
_STEP_S = 300.0  # resolution of a baseline
_HEAD = """\
# Alert rules for Prometheus, made by `m0-cockpit runbooks alerts` from the signals of runbooks.toml. \
Do not edit: make them anew.
#
# severity: warning and critical are the signal's warn and crit. Both hold together where crit does; \
inhibit the lesser in Alertmanager:
#   inhibit_rules: [{source_matchers: [severity="critical"], target_matchers: [severity="warning"], equal: [signal]}]
# level "unknown": the signal has no value, so that nothing can be said of it. That is never taken for well.
# Several samples: each is an alert of its own, with its labels.
"""
_BASELINE = (
    "against what is normal in the window (a quantile), its newest five minutes left out, as the cockpit has it. "
    "But the cockpit keeps the last good value when an incident fills the window, and a rule cannot: "
    "after {hours:g} h of trouble this one may fall silent."
)


def rules(runbooks: Runbooks) -> str:
    """Return YAML that `promtool check rules` accepts."""
    lines = [_HEAD, "groups:", f"- name: {GROUP}", "  rules:"]
    left_out: list[str] = []
    for name, signal in runbooks.signals.items():
        if signal.off:
            left_out.append(f"# {name}: off: {_literal(signal.off)}")
            continue
        if signal.promql is None:
            left_out.append(f"# {name}: {signal.value} is read by the cockpit itself, not by Prometheus")
            continue
        lines += _of_signal(runbooks, name, signal)
    if len(lines) == 4:
        lines[-1] = "  rules: []"
    if left_out:
        lines += ["", "# Left out:", *left_out]
    return "\n".join(lines) + "\n"


def _of_signal(runbooks: Runbooks, name: str, signal: SignalDef) -> Iterator[str]:
    if signal.baseline is not None:
        yield f"  # {name}: {_BASELINE.format(hours=signal.baseline / 3600)}"
    for level, severity, threshold in (("warn", "warning", signal.warn), ("crit", "critical", signal.crit)):
        if threshold is None:
            continue
        yield from _rule(
            _alert(name),
            expression(signal, threshold),
            signal.hold,
            {"severity": severity, "level": level, "signal": name, **_runbook_label(runbooks, name, level)},
            {
                "summary": f"{_literal(signal.title)}: {{{{ $value | humanize }}}}{_unit(signal)}, "
                f"{level} {_limit(signal, threshold)}",
                **_runbook_notes(runbooks, name, level),
            },
        )
    if signal.absent is None:
        yield from _rule(
            f"{_alert(name)}Unknown",
            f"absent({_filtered(signal)})",
            max(UNKNOWN_FOR_S, signal.max_age),
            {"severity": "warning", "level": "unknown", "signal": name, **_runbook_label(runbooks, name, "warn")},
            {
                "summary": f"{_literal(signal.title)}: no data, so it is not known",
                "description": "The metric is not there, or NaN: unknown is never OK. "
                "m0-cockpit doctor says which metrics are missing.",
            },
        )


def expression(signal: SignalDef, threshold: float) -> str:
    """Return PromQL that has samples exactly while a value passes the threshold.

    NaN passes none.
    """
    assert signal.promql is not None
    compare = ">=" if signal.direction == "above" else "<="
    query = f"({signal.promql.strip()})"
    if signal.absent is not None:  # an empty answer means that number
        query = f"({query} or on() vector({_number(signal.absent)}))"
    if signal.baseline is None:
        return f"{query} {compare} {_number(threshold)}"
    span = _duration(max(_STEP_S, signal.baseline - RECENT_S))
    window = f"({signal.promql.strip()})[{span}:{_duration(_STEP_S)}] offset {_duration(RECENT_S)}"
    share = NORMAL_QUANTILE if signal.direction == "below" else 1.0 - NORMAL_QUANTILE
    least = "> 0" if signal.direction == "above" else ">= 0"  # a multiple of 0 or less is no threshold
    return (
        f"{query} {compare} {_number(threshold)} * (quantile_over_time({share:g}, {window}) {least})"
        f" and count_over_time({window}) >= {FEWEST_POINTS}"
    )


def _filtered(signal: SignalDef) -> str:
    """Keep the samples that are numbers: NaN compares with nothing."""
    assert signal.promql is not None
    return f"({signal.promql.strip()}) > -Inf"


def _alert(name: str) -> str:
    return "M0" + "".join(part[:1].upper() + part[1:] for part in name.replace("_", "-").split("-"))


def _runbooks_with(runbooks: Runbooks, name: str, level: str) -> list[Runbook]:
    """Return those of which this level is a symptom; else those with it in triage or causes."""
    symptoms = [b for b in runbooks.runbooks if any(s.signal == name and s.at in ("warn", level) for s in b.symptoms)]
    return symptoms or [
        b
        for b in runbooks.runbooks
        if name
        in {*chain.from_iterable(t.signals for t in b.triage), *chain.from_iterable(c.signals for c in b.causes)}
    ]


def _runbook_label(runbooks: Runbooks, name: str, level: str) -> dict[str, str]:
    found = _runbooks_with(runbooks, name, level)
    return {"runbook": found[0].id} if found else {}


def _runbook_notes(runbooks: Runbooks, name: str, level: str) -> dict[str, str]:
    found = _runbooks_with(runbooks, name, level)
    if not found:
        return {}
    listed = ", ".join(f"{b.number} {b.title}" for b in found)
    shows = f"m0-cockpit runbooks show {found[0].number}"
    return {"runbooks": _literal(listed), "description": f"Open it in the cockpit, or read it: {shows}"}


def _limit(signal: SignalDef, threshold: float) -> str:
    side = "from" if signal.direction == "above" else "at most"
    times = " × normal" if signal.baseline is not None else ""
    return f"{side} {_number(threshold)}{times or _unit(signal)}"


def _unit(signal: SignalDef) -> str:
    unit = _literal(signal.unit)
    return unit if unit.startswith("/") or not unit else f" {unit}"


def _literal(text: str) -> str:
    """Escape text for an annotation, which is a Go template: braces of a title are only braces."""
    return text.replace("{{", '{{"{{"}}')


def _rule(alert: str, expr: str, hold_s: float, labels: dict[str, str], notes: dict[str, str]) -> Iterator[str]:
    yield f"  - alert: {_scalar(alert)}"
    yield f"    expr: {_scalar(expr)}"
    if hold_s > 0:
        yield f"    for: {_duration(hold_s)}"
    for title, table in (("labels", labels), ("annotations", notes)):
        yield f"    {title}:"
        yield from (f"      {key}: {_scalar(value)}" for key, value in table.items())


def _scalar(text: str) -> str:
    """Write a YAML scalar on one line; plain words stay plain.

    A JSON string is one too (YAML 1.2, chapter 1.3).
    """
    if text.replace("-", "").isalnum() and text.isascii() and not text[0].isdigit() and text.lower() not in _RESERVED:
        return text
    return json.dumps(text, ensure_ascii=False)


_RESERVED: Any = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})


def _number(value: float) -> str:
    """Spell a number as PromQL does: 0.5, 60, 1e+06."""
    return f"{value:.12g}"


def _duration(seconds: float) -> str:
    """Spell whole milliseconds in Prometheus' units: 1h, 55m, 90s, 1500ms."""
    millis = round(seconds * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if millis % size == 0:
            return f"{millis // size}{unit}"
    return f"{millis}ms"
