"""Evaluates PromQL over the drill's series, by walking promql-parser's tree.

Semantics are those of Prometheus 2.42.

Every expression is evaluated for all steps of a range at once: a vector is a list of (labels, one
value a step), None where a series has no sample. An instant query is a range of one step.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import promql_parser

from cockpit.drill.prometheus.aggregate import AGGREGATIONS, aggregate
from cockpit.drill.prometheus.binary import binary
from cockpit.drill.prometheus.functions import MATRIX_FUNCTIONS, NUMBER_FUNCTIONS, call_special
from cockpit.drill.prometheus.series import Labels, Series, SeriesStore, is_stale

LOOKBACK_S = 300.0
DEFAULT_SUBQUERY_STEP_S = 60.0

Column = list[float | None]
Vector = list[tuple[Labels, Column]]
Samples = tuple[Sequence[float], Sequence[float], Sequence[float]]


class QueryProblem(Exception):
    """Reports a query that cannot be answered.

    `kind` is Prometheus' errorType: "bad_data" or "execution".
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Scalar:
    """Holds one number a step."""

    values: list[float]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Holds a range vector.

    For each step its window: samples of each series and the window's edges.
    """

    rows: list[tuple[Labels, Samples]]
    windows: list[tuple[float, float]]  # (start, end), both inclusive as in Prometheus 2


Result = Scalar | Vector | Matrix | str


@lru_cache(maxsize=512)
def parse(query: str) -> Any:
    """Return the syntax tree.

    Raises QueryProblem("bad_data").
    """
    try:
        return promql_parser.parse(query)
    except ValueError as error:
        raise QueryProblem("bad_data", f'invalid parameter "query": 1:1: parse error: {error}') from error


def evaluate(store: SeriesStore, query: str, steps: Sequence[float]) -> Result:
    """Return the value of `query` at each of `steps` (unix seconds, ascending).

    Raises QueryProblem.
    """
    return _Evaluation(store, steps).value(parse(query))


class _Evaluation:
    def __init__(self, store: SeriesStore, steps: Sequence[float], bounds: tuple[float, float] | None = None) -> None:
        self.store = store
        self.steps = steps
        self.bounds = bounds or (steps[0], steps[-1])

    def value(self, node: Any) -> Result:
        handler = _HANDLERS.get(type(node).__name__)
        if handler is None:
            raise QueryProblem("execution", f"unsupported expression {type(node).__name__}")
        return handler(self, node)

    def vector(self, node: Any) -> Vector:
        result = self.value(node)
        if not isinstance(result, list):
            raise QueryProblem("execution", "expected an instant vector")
        return result

    def scalar(self, node: Any) -> list[float]:
        result = self.value(node)
        if not isinstance(result, Scalar):
            raise QueryProblem("execution", "expected a scalar")
        return result.values

    def number(self, node: Any) -> Result:
        return Scalar([node.val] * len(self.steps))

    def string(self, node: Any) -> Result:
        return str(node.val)

    def paren(self, node: Any) -> Result:
        return self.value(node.expr)

    def unary(self, node: Any) -> Result:
        inner = self.value(node.expr)
        if isinstance(inner, Scalar):
            return Scalar([-x for x in inner.values])
        assert isinstance(inner, list)
        return [(nameless(labels), [None if x is None else -x for x in column]) for labels, column in inner]

    def _times(self, node: Any) -> list[float]:
        """Return the moments that a selector reads, one a step: `@` and `offset` applied."""
        offset = node.offset.total_seconds() if node.offset is not None else 0.0
        if node.at is None:
            return [step - offset for step in self.steps]
        kind = str(node.at.type).rsplit(".", 1)[-1]
        moment = {"Start": self.bounds[0], "End": self.bounds[1]}.get(kind)
        if moment is None:
            moment = node.at.at.timestamp()
        return [moment - offset] * len(self.steps)

    def select(self, node: Any) -> list[Series]:
        matchers = [_matcher(m) for m in node.matchers.matchers]
        for group in node.matchers.or_matchers or ():
            del group
            raise QueryProblem("execution", "unsupported: or between matchers")
        name = node.name or next(
            (m.value for m in node.matchers.matchers if m.name == "__name__" and str(m.op) == "MatchOp.Equal"), None
        )
        candidates = self.store.by_name.get(name, []) if name is not None else list(self.store.all())
        return [s for s in candidates if all(match(s.label.get(label, "")) for label, match in matchers)]

    def selector(self, node: Any) -> Result:
        times = self._times(node)
        rows: Vector = []
        for series in self.select(node):
            column = [_instant(series, at) for at in times]
            if any(x is not None for x in column):
                rows.append((series.labels, column))
        return rows

    def matrix(self, node: Any) -> Result:
        span = node.range.total_seconds()
        times = self._times(node.vector_selector)
        rows = [(series.labels, series.samples()) for series in self.select(node.vector_selector)]
        return Matrix(rows, [(at - span, at) for at in times])

    def subquery(self, node: Any) -> Result:
        span = node.range.total_seconds()
        step = node.step.total_seconds() if node.step is not None else DEFAULT_SUBQUERY_STEP_S
        times = self._times(node)
        first = math.floor((times[0] - span) / step) * step
        if first < times[0] - span:
            first += step
        inner_steps = [first + i * step for i in range(max(0, math.floor((times[-1] - first) / step + 1e-9) + 1))]
        if not inner_steps:
            return Matrix([], [(at - span, at) for at in times])
        inner = _Evaluation(self.store, inner_steps, self.bounds).value(node.expr)
        vector = [((), list(inner.values))] if isinstance(inner, Scalar) else inner
        assert isinstance(vector, list)
        rows: list[tuple[Labels, Samples]] = []
        for labels, column in vector:
            series = Series(labels)
            for at, value in zip(inner_steps, column, strict=True):
                if value is not None:
                    series.append(at, value)
            rows.append((labels, series.samples()))
        return Matrix(rows, [(at - span, at) for at in times])

    def aggregation(self, node: Any) -> Result:
        operator = str(node.op)
        if operator not in AGGREGATIONS:
            raise QueryProblem("execution", f"unsupported aggregation {operator}")
        parameter: list[float] | str | None = None
        if node.param is not None:
            given = self.value(node.param)
            parameter = given.values if isinstance(given, Scalar) else str(given)
        vector = self.vector(node.expr)
        return aggregate(operator, parameter, vector, grouping(node.modifier), len(self.steps))

    def call(self, node: Any) -> Result:
        name = node.func.name
        if name in MATRIX_FUNCTIONS:
            return self._over_window(name, node.args)
        if name in NUMBER_FUNCTIONS:
            function = NUMBER_FUNCTIONS[name]
            vector = self.vector(node.args[0])
            rest = list(zip(*(self.scalar(argument) for argument in node.args[1:]), strict=True))
            if not rest:
                return [
                    (nameless(labels), [None if x is None else function(x) for x in column])
                    for labels, column in vector
                ]
            return [
                (
                    nameless(labels),
                    [None if x is None else function(x, *more) for x, more in zip(column, rest, strict=True)],
                )
                for labels, column in vector
            ]
        if name == "timestamp" and type(node.args[0]).__name__ == "VectorSelector":
            return self._timestamps(node.args[0])
        if name in ("absent", "absent_over_time"):
            return self._absent(name, node.args[0])
        arguments = [self.value(argument) for argument in node.args]
        result = call_special(name, arguments, self.steps, Scalar)
        if result is None:
            raise QueryProblem("execution", f"unsupported function {name}")
        return result  # type: ignore[no-any-return]

    def _over_window(self, name: str, arguments: Sequence[Any]) -> Result:
        function = MATRIX_FUNCTIONS[name]
        position = 1 if name == "quantile_over_time" else 0
        matrix = self.value(arguments[position])
        if not isinstance(matrix, Matrix):
            raise QueryProblem("execution", "expected a range vector")
        extras = [self.scalar(a) for i, a in enumerate(arguments) if i != position]
        keep_name = name == "last_over_time"
        windows = [
            (start, end, start - 1e-6, end + 1e-6, tuple(e[i] for e in extras))
            for i, (start, end) in enumerate(matrix.windows)
        ]
        rows: Vector = []
        for labels, (t, v, adj) in matrix.rows:
            column: Column = []
            low, high, some = 0, 0, False
            for start, end, after, before, more in windows:  # ascending: each begins where the last one did, or later
                low = bisect_left(t, after, low)
                high = bisect_right(t, before, max(low, high))
                value = function(t, v, adj, low, high, start, end, *more) if high > low else None
                column.append(value)
                some = some or value is not None
            if some:
                rows.append((labels if keep_name else nameless(labels), column))
        return rows

    def _timestamps(self, node: Any) -> Result:
        """Return when the sample was that a selector finds."""
        times = self._times(node)
        rows: Vector = []
        for series in self.select(node):
            column = [None if _instant(series, at) is None else _sampled(series, at) for at in times]
            if any(x is not None for x in column):
                rows.append((nameless(series.labels), column))
        return rows

    def _absent(self, name: str, node: Any) -> Result:
        if name == "absent":
            columns = [column for _, column in self.vector(node)]
        else:
            result = self._over_window("count_over_time", [node])
            assert isinstance(result, list)
            columns = [column for _, column in result]
        present = [any(column[i] is not None for column in columns) for i in range(len(self.steps))]
        if all(present):
            return []
        selector = getattr(node, "vector_selector", node)
        known: dict[str, str] = {}
        for matcher in getattr(getattr(selector, "matchers", None), "matchers", ()):
            if str(matcher.op) == "MatchOp.Equal" and matcher.name != "__name__":
                known[matcher.name] = matcher.value
        return [(tuple(sorted(known.items())), [None if there else 1.0 for there in present])]

    def operation(self, node: Any) -> Result:
        left, right = self.value(node.lhs), self.value(node.rhs)
        try:
            return binary(  # type: ignore[no-any-return]
                operator=str(node.op),
                modifier=node.modifier,
                left=left,
                right=right,
                steps=len(self.steps),
                scalar=Scalar,
            )
        except ValueError as error:
            raise QueryProblem("execution", str(error)) from error


_HANDLERS: dict[str, Callable[[_Evaluation, Any], Result]] = {
    "NumberLiteral": _Evaluation.number,
    "StringLiteral": _Evaluation.string,
    "ParenExpr": _Evaluation.paren,
    "UnaryExpr": _Evaluation.unary,
    "VectorSelector": _Evaluation.selector,
    "MatrixSelector": _Evaluation.matrix,
    "SubqueryExpr": _Evaluation.subquery,
    "AggregateExpr": _Evaluation.aggregation,
    "Call": _Evaluation.call,
    "BinaryExpr": _Evaluation.operation,
}


@lru_cache(maxsize=8192)
def nameless(labels: Labels) -> Labels:
    """Drop `__name__`, as every function and arithmetic does."""
    return tuple(pair for pair in labels if pair[0] != "__name__")


def grouping(modifier: Any) -> Callable[[Labels], Labels]:
    """Return by (…) or without (…) as a function of labels."""
    if modifier is None:
        return lambda labels: ()
    names = frozenset(modifier.labels)
    if str(modifier.type).endswith("By"):
        return lambda labels: _only(labels, names)
    without = names | {"__name__"}
    return lambda labels: _but(labels, without)


@lru_cache(maxsize=8192)
def _only(labels: Labels, names: frozenset[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] in names)


@lru_cache(maxsize=8192)
def _but(labels: Labels, names: frozenset[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] not in names)


def matcher(operator: str, value: str) -> Callable[[str], bool]:
    """Return a label matcher's test; regular expressions are anchored.

    Raises QueryProblem for a bad one.
    """
    if operator in ("=", "Equal"):
        return lambda text: text == value
    if operator in ("!=", "NotEqual"):
        return lambda text: text != value
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise QueryProblem("bad_data", f'invalid parameter "query": error parsing regexp: {error}') from error
    if operator in ("=~", "Re"):
        return lambda text: pattern.fullmatch(text) is not None
    return lambda text: pattern.fullmatch(text) is None


def _matcher(node: Any) -> tuple[str, Callable[[str], bool]]:
    return node.name, matcher(str(node.op).rsplit(".", 1)[-1], node.value)


def _sampled(series: Series, at: float) -> float:
    return series.t[bisect_right(series.t, at + 1e-6) - 1]


def _instant(series: Series, at: float) -> float | None:
    index = bisect_right(series.t, at + 1e-6) - 1
    if index < 0 or series.t[index] < at - LOOKBACK_S - 1e-6:
        return None
    value = series.v[index]
    return None if value != value and is_stale(value) else value
