"""Aggregates over groups of labels as PromQL does, and writes values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from cockpit.drill.prometheus.series import Labels

Column = list[float | None]
Vector = list[tuple[Labels, Column]]
NAN = math.nan


def quantile(q: float, values: Sequence[float]) -> float:
    """Return the quantile, linear between the two nearest ranks (promql/quantile.go)."""
    if not values or q != q:
        return NAN
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    ordered = sorted(values)
    rank = q * (len(ordered) - 1)
    low = max(0, math.floor(rank))
    high = min(len(ordered) - 1, low + 1)
    weight = rank - math.floor(rank)
    return ordered[low] * (1 - weight) + ordered[high] * weight


def variance(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((x - mean) ** 2 for x in values) / len(values)


def extreme(values: Sequence[float], pick: Callable[[list[float]], float]) -> float:
    real = [x for x in values if x == x]
    return pick(real) if real else NAN


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except (ValueError, OverflowError):  # infinities of both signs
        return sum(values)


_SIMPLE: dict[str, Callable[[list[float]], float]] = {
    "sum": _sum,
    "avg": lambda values: _sum(values) / len(values),
    "min": lambda values: extreme(values, min),
    "max": lambda values: extreme(values, max),
    "count": lambda values: float(len(values)),
    "group": lambda values: 1.0,
    "stddev": lambda values: math.sqrt(variance(values)),
    "stdvar": variance,
}
AGGREGATIONS = frozenset(_SIMPLE) | {"topk", "bottomk", "quantile", "count_values"}


def aggregate(
    operator: str,
    parameter: list[float] | str | None,
    vector: Vector,
    group: Callable[[Labels], Labels],
    steps: int,
) -> Vector:
    """Compute one of AGGREGATIONS over groups of labels."""
    groups: dict[Labels, Vector] = {}
    for row in vector:
        groups.setdefault(group(row[0]), []).append(row)
    rows: Vector = []
    for key, members in groups.items():
        if operator in ("topk", "bottomk"):
            assert isinstance(parameter, list)
            rows.extend(_ranked(members, parameter, operator == "topk", steps))
        elif operator == "count_values":
            rows.extend(_count_values(key, members, str(parameter), steps))
        else:
            columns = [column for _, column in members]
            values = [[x for column in columns if (x := column[i]) is not None] for i in range(steps)]
            if operator == "quantile":
                assert isinstance(parameter, list)
                rows.append((key, [quantile(parameter[i], here) if here else None for i, here in enumerate(values)]))
            else:
                function = _SIMPLE[operator]
                rows.append((key, [function(here) if here else None for here in values]))
    return rows


def _ranked(members: Vector, k: list[float], top: bool, steps: int) -> Vector:
    """Return the k largest (smallest) at each step, with their labels, best first; NaN last."""
    kept: dict[int, Column] = {}
    for i in range(steps):
        here = [(n, x) for n, (_, column) in enumerate(members) if (x := column[i]) is not None]
        here.sort(key=lambda pair: (pair[1] != pair[1], -pair[1] if top else pair[1]))
        for n, x in here[: max(0, int(k[i]))]:
            kept.setdefault(n, [None] * steps)[i] = x
    return [(members[n][0], column) for n, column in kept.items()]


def _count_values(key: Labels, members: Vector, label: str, steps: int) -> Vector:
    rows: dict[Labels, Column] = {}
    for i in range(steps):
        for _, column in members:
            x = column[i]
            if x is not None:
                full = with_label(key, label, format_value(x))
                cell = rows.setdefault(full, [None] * steps)
                cell[i] = (cell[i] or 0.0) + 1.0
    return list(rows.items())


def format_value(value: float) -> str:
    """Write a sample's value as Prometheus does in JSON."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def with_label(labels: Labels, name: str, value: str) -> Labels:
    changed = {**dict(labels), name: value}
    if not value:
        del changed[name]
    return tuple(sorted(changed.items()))
