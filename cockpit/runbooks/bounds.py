"""Holds the bounds of every number of the runbooks' file: what lies beyond them cannot be meant."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cockpit.model.runbook import Condition, Param, Query, Runbook, SignalDef, Step, Symptom, Validation, Variable
from cockpit.runbooks.lines import Path
from cockpit.runbooks.shape import Report

DAY_S = 86_400.0
#: Sessions of months are no history of an incident, and Prometheus keeps some weeks.
MONTH_S = 31 * DAY_S
#: More than any count, amount or rate of the network.
MOST = 1e15
MOST_RUNBOOKS, MOST_REPLICAS, MOST_WEIGHT = 9999, 10_000, 1000

_SECONDS, _SHARE, _NUMBER, _WHOLE = "a number of seconds", "a share", "a number", "a whole number"
#: By attribute: what it is, from, to.
BOUNDS: Mapping[type[msgspec.Struct], Mapping[str, tuple[str, float, float]]] = {
    Query: {"history": (_SECONDS, 15.0, DAY_S), "max_age": (_SECONDS, 1.0, DAY_S)},
    SignalDef: {
        "warn": (_NUMBER, -MOST, MOST),
        "crit": (_NUMBER, -MOST, MOST),
        "absent": (_NUMBER, -MOST, MOST),
        "hold": (_SECONDS, 0.0, DAY_S),
        "max_age": (_SECONDS, 1.0, MONTH_S),
        "baseline": (_SECONDS, 60.0, MONTH_S),
        "usual": (_SECONDS, 60.0, MONTH_S),
        "history": (_SECONDS, 15.0, DAY_S),
    },
    Condition: {
        "hold": (_SECONDS, 0.0, MONTH_S),
        "at_least": (_NUMBER, -MOST, MOST),
        "at_most": (_NUMBER, -MOST, MOST),
    },
    Variable: {"minimum": (_NUMBER, -MOST, MOST), "maximum": (_NUMBER, -MOST, MOST)},
    Runbook: {"number": (_WHOLE, 1, MOST_RUNBOOKS)},
    Symptom: {"weight": (_NUMBER, 0.01, MOST_WEIGHT)},
    Validation: {
        "hold": (_SECONDS, 0.0, DAY_S),
        "within": (_SECONDS, 1.0, DAY_S),
        "tolerance": (_SHARE, 0.001, 1.0),
        "share": (_SHARE, 0.001, 1.0),
    },
    Step: {"replicas": (_WHOLE, 0, MOST_REPLICAS)},
    Param: {"minimum": (_WHOLE, -999_999_999, 999_999_999), "maximum": (_WHOLE, -999_999_999, 999_999_999)},
}


def check_bounds(found: Mapping[Path, msgspec.Struct], report: Report) -> None:
    """Report every number of `found` (entries by path) beyond its bounds, NaN among them."""
    for path, entry in found.items():
        spelt = {field.name: field.encode_name for field in msgspec.structs.fields(entry)}
        for kind in type(entry).__mro__:
            for name, (what, low, high) in BOUNDS.get(kind, {}).items():
                value = getattr(entry, name)
                if isinstance(value, int | float) and not low <= value <= high:
                    report((*path, spelt[name]), f"expected {what} from {low:,g} to {high:,.15g}, got {value:g}")
