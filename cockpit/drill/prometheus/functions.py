"""Computes PromQL's functions by Prometheus 2.42's own rules.

Extrapolation, bucket interpolation, NaN order.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from cockpit.drill.prometheus.aggregate import extreme, quantile, variance, with_label
from cockpit.drill.prometheus.series import Labels

Column = list[float | None]
Vector = list[tuple[Labels, Column]]
Times = Sequence[float]
NAN = math.nan


# over a window


def _extrapolated(
    t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float, counter: bool
) -> float | None:
    """Return the increase over [start, end], extrapolated to its edges.

    As promql/functions.go, extrapolatedRate.
    """
    count = high - low
    if count < 2:
        return None
    first, last = t[low], t[high - 1]
    result = adj[high - 1] - adj[low] if counter else v[high - 1] - v[low]
    to_start, to_end = first - start, end - last
    sampled = last - first
    average = sampled / (count - 1)
    if counter and result > 0 and v[low] >= 0:
        to_zero = sampled * (v[low] / result)
        to_start = min(to_start, to_zero)
    threshold = average * 1.1
    span = sampled
    span += to_start if to_start < threshold else average / 2
    span += to_end if to_end < threshold else average / 2
    return result * (span / sampled)


def _increase(t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float) -> float | None:
    return _extrapolated(t=t, v=v, adj=adj, low=low, high=high, start=start, end=end, counter=True)


def _rate(t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float) -> float | None:
    value = _extrapolated(t=t, v=v, adj=adj, low=low, high=high, start=start, end=end, counter=True)
    return None if value is None else value / (end - start)


def _delta(t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float) -> float | None:
    return _extrapolated(t=t, v=v, adj=adj, low=low, high=high, start=start, end=end, counter=False)


def _irate(t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float) -> float | None:
    if high - low < 2:
        return None
    step = v[high - 1] - v[high - 2] if v[high - 1] >= v[high - 2] else v[high - 1]
    return step / (t[high - 1] - t[high - 2])


def _idelta(t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float) -> float | None:
    return v[high - 1] - v[high - 2] if high - low >= 2 else None


def _line(t: Times, v: Times, low: int, high: int, origin: float) -> tuple[float, float] | None:
    """Return (slope, intercept at `origin`) of a least-squares line."""
    n = high - low
    if n < 2:
        return None
    xs = [x - origin for x in t[low:high]]
    ys = list(v[low:high])
    mean_x, mean_y = sum(xs) / n, sum(ys) / n
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread if spread else NAN
    return slope, mean_y - slope * mean_x


def _deriv(t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float) -> float | None:
    line = _line(t, v, low, high, t[low])
    return None if line is None else line[0]


def _predict(
    t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float, ahead: float
) -> float | None:
    line = _line(t, v, low, high, end)
    return None if line is None else line[0] * ahead + line[1]


def _changes(t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float) -> float:
    pairs = zip(v[low : high - 1], v[low + 1 : high], strict=True)
    return float(sum(1 for a, b in pairs if a != b and not (a != a and b != b)))


def _resets(t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float) -> float:
    return float(sum(1 for a, b in zip(v[low : high - 1], v[low + 1 : high], strict=True) if b < a))


Window = Callable[..., float | None]


def _plain(function: Callable[[Sequence[float]], float]) -> Window:
    def over(t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float) -> float | None:
        return function(v[low:high])

    return over


def _quantile_over(t: Times, v: Times, adj: Times, low: int, high: int, start: float, end: float, q: float) -> float:
    return quantile(q, v[low:high])


MATRIX_FUNCTIONS: dict[str, Window] = {
    "rate": _rate,
    "increase": _increase,
    "delta": _delta,
    "irate": _irate,
    "idelta": _idelta,
    "deriv": _deriv,
    "predict_linear": _predict,
    "changes": _changes,
    "resets": _resets,
    "avg_over_time": _plain(lambda v: math.fsum(v) / len(v)),
    "sum_over_time": _plain(math.fsum),
    "min_over_time": _plain(lambda v: extreme(v, min)),
    "max_over_time": _plain(lambda v: extreme(v, max)),
    "count_over_time": _plain(lambda v: float(len(v))),
    "last_over_time": _plain(lambda v: v[-1]),
    "present_over_time": _plain(lambda v: 1.0),
    "stddev_over_time": _plain(lambda v: math.sqrt(variance(v))),
    "stdvar_over_time": _plain(lambda v: variance(v)),
    "quantile_over_time": _quantile_over,
}


# of one number


def _guard(function: Callable[[float], float]) -> Callable[[float], float]:
    def safe(x: float) -> float:
        try:
            return function(x)
        except (ValueError, OverflowError):
            return -math.inf if x == 0 else NAN

    return safe


def _clamp(x: float, low: float, high: float) -> float:
    return max(low, min(high, x)) if x == x else x


def _round(x: float, to: float = 1.0) -> float:
    return math.floor(x / to + 0.5) * to if math.isfinite(x) else x


NUMBER_FUNCTIONS: dict[str, Callable[..., float]] = {
    "abs": abs,
    "ceil": lambda x: float(math.ceil(x)) if math.isfinite(x) else x,
    "floor": lambda x: float(math.floor(x)) if math.isfinite(x) else x,
    "round": _round,
    "exp": _guard(math.exp),
    "ln": _guard(math.log),
    "log2": _guard(math.log2),
    "log10": _guard(math.log10),
    "sqrt": _guard(math.sqrt),
    "sgn": lambda x: x if x != x else float((x > 0) - (x < 0)),
    "clamp": _clamp,
    "clamp_min": lambda x, low: max(low, x) if x == x else x,
    "clamp_max": lambda x, high: min(high, x) if x == x else x,
}


# special ones


def call_special(name: str, arguments: list[Any], steps: Sequence[float], scalar: Callable[[list[float]], Any]) -> Any:
    """Call a function whose shape is its own.

    None for an unknown one.
    """
    if name == "time":
        return scalar(list(steps))
    if name == "pi":
        return scalar([math.pi] * len(steps))
    if name == "vector":
        return [((), list(arguments[0].values))]
    if name == "scalar":
        vector: Vector = arguments[0]
        values = [[column[i] for _, column in vector if column[i] is not None] for i in range(len(steps))]
        return scalar([NAN if len(found) != 1 or found[0] is None else found[0] for found in values])
    if name == "timestamp":
        return [
            (_nameless(labels), [None if x is None else steps[i] for i, x in enumerate(c)])
            for labels, c in arguments[0]
        ]
    if name in ("sort", "sort_desc"):
        down = name == "sort_desc"

        def order(row: tuple[Labels, Column]) -> tuple[bool, float]:
            value = row[1][-1]
            if value is None or value != value:
                return True, 0.0
            return False, -value if down else value

        return sorted(arguments[0], key=order)
    if name == "label_replace":
        return _label_replace(*arguments)
    if name == "label_join":
        vector, target, separator, *sources = arguments
        return [
            (with_label(labels, target, separator.join(dict(labels).get(s, "") for s in sources)), column)
            for labels, column in vector
        ]
    if name == "histogram_quantile":
        return _histogram_quantile(arguments[0].values, arguments[1], len(steps))
    return None


def _label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    compiled = re.compile(pattern)
    template = re.sub(r"\$(\d+|\{\w+\})", lambda m: f"\\g<{m[1].strip('{}')}>", replacement.replace("\\", "\\\\"))
    rows: Vector = []
    for labels, column in vector:
        found = compiled.fullmatch(dict(labels).get(source, ""))
        rows.append((with_label(labels, target, found.expand(template)) if found else labels, column))
    return rows


def _nameless(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != "__name__")


def _histogram_quantile(q: list[float], vector: Vector, steps: int) -> Vector:
    groups: dict[Labels, list[tuple[float, Column]]] = {}
    for labels, column in vector:
        try:
            bound = float(dict(labels)["le"])
        except (KeyError, ValueError):
            continue
        key = tuple(pair for pair in labels if pair[0] not in ("le", "__name__"))
        groups.setdefault(key, []).append((bound, column))
    rows: Vector = []
    for key, buckets in groups.items():
        buckets.sort(key=lambda bucket: bucket[0])
        column_out: Column = []
        for i in range(steps):
            here = [(bound, value) for bound, column in buckets if (value := column[i]) is not None]
            column_out.append(_bucket_quantile(q[i], here) if here else None)
        rows.append((key, column_out))
    return rows


def _bucket_quantile(q: float, buckets: list[tuple[float, float]]) -> float:
    """Return a bucket quantile: linear within the bucket that holds the rank.

    As promql/quantile.go, bucketQuantile.
    """
    if q != q:
        return NAN
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    if buckets[-1][0] != math.inf or len(buckets) < 2:
        return NAN
    highest = -math.inf
    counts: list[float] = []
    for _, count in buckets:
        highest = max(highest, count) if count == count else highest
        counts.append(highest)
    observations = counts[-1]
    if observations == 0 or observations != observations:
        return NAN
    rank = q * observations
    index = next((i for i, count in enumerate(counts[:-1]) if count >= rank), len(counts) - 1)
    if index == len(counts) - 1:
        return buckets[-2][0]
    upper = buckets[index][0]
    if index == 0 and upper <= 0:
        return upper
    low, count = 0.0, counts[index]
    if index > 0:
        low = buckets[index - 1][0]
        count -= counts[index - 1]
        rank -= counts[index - 1]
    return low + (upper - low) * (rank / count if count else NAN)
