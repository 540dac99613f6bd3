"""Computes PromQL's binary operators.

Arithmetic, comparison filters, `bool`, set operators, and vector matching.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from cockpit.drill.prometheus.series import Labels

Column = list[float | None]
Vector = list[tuple[Labels, Column]]


def _divide(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b


def _modulo(a: float, b: float) -> float:
    return math.nan if b == 0 or math.isinf(a) else math.fmod(a, b)


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.inf if a == 0 else math.nan


ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": _modulo,
    "^": _power,
    "atan2": math.atan2,
}
COMPARISON: dict[str, Callable[[float, float], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    "<": lambda a, b: a < b,
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
}


def binary(operator: str, modifier: Any, left: Any, right: Any, steps: int, scalar: Any) -> Any:
    """Apply an operator; both operands are Scalars or vectors of the same steps.

    Raises ValueError for ambiguous matches.
    """
    wants_bool = bool(modifier is not None and modifier.return_bool)
    if isinstance(left, scalar) and isinstance(right, scalar):
        pairs = zip(left.values, right.values, strict=True)
        if operator in ARITHMETIC:
            return scalar([ARITHMETIC[operator](a, b) for a, b in pairs])
        return scalar([float(COMPARISON[operator](a, b)) for a, b in pairs])
    if isinstance(left, scalar):
        return _with_scalar(operator, wants_bool, right, left.values, True)
    if isinstance(right, scalar):
        return _with_scalar(operator, wants_bool, left, right.values, False)
    key = _signature(modifier)
    if operator in ("and", "or", "unless"):
        return _sets(operator, left, right, key, steps)
    return _matched(
        operator=operator, wants_bool=wants_bool, modifier=modifier, left=left, right=right, key=key, steps=steps
    )


def _with_scalar(operator: str, wants_bool: bool, vector: Vector, numbers: list[float], scalar_left: bool) -> Vector:
    arithmetic, comparison = ARITHMETIC.get(operator), COMPARISON.get(operator)
    rows: Vector = []
    for labels, column in vector:
        out: Column = []
        for x, number in zip(column, numbers, strict=True):
            if x is None:
                out.append(None)
                continue
            a, b = (number, x) if scalar_left else (x, number)
            if arithmetic is not None:
                out.append(arithmetic(a, b))
            else:
                assert comparison is not None
                holds = comparison(a, b)
                out.append(float(holds) if wants_bool else (x if holds else None))
        if any(x is not None for x in out):
            keep_name = comparison is not None and not wants_bool
            rows.append((labels if keep_name else _nameless(labels), out))
    return rows


def _nameless(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] != "__name__")


def _signature(modifier: Any) -> Callable[[Labels], Labels]:
    matching = modifier.matching if modifier is not None else None
    if matching is None:
        return _nameless
    names = frozenset(matching.labels)
    if str(matching.type).endswith("Include"):
        return lambda labels: tuple(pair for pair in labels if pair[0] in names)
    return lambda labels: tuple(pair for pair in labels if pair[0] not in names and pair[0] != "__name__")


def _sets(operator: str, left: Vector, right: Vector, key: Callable[[Labels], Labels], steps: int) -> Vector:
    def present(vector: Vector) -> dict[Labels, list[bool]]:
        found: dict[Labels, list[bool]] = {}
        for labels, column in vector:
            flags = found.setdefault(key(labels), [False] * steps)
            for i, x in enumerate(column):
                if x is not None:
                    flags[i] = True
        return found

    nothing = [False] * steps
    if operator == "or":
        taken = present(left)
        extra = [(labels, _keep(column, taken.get(key(labels), nothing), False)) for labels, column in right]
        merged: dict[Labels, Column] = {}
        for labels, column in [*left, *extra]:
            if labels in merged:
                merged[labels] = [a if a is not None else b for a, b in zip(merged[labels], column, strict=True)]
            else:
                merged[labels] = column
        return [(labels, column) for labels, column in merged.items() if any(x is not None for x in column)]
    other = present(right)
    wanted = operator == "and"
    kept = [(labels, _keep(column, other.get(key(labels), nothing), wanted)) for labels, column in left]
    return [(labels, column) for labels, column in kept if any(x is not None for x in column)]


def _keep(column: Column, flags: list[bool], wanted: bool) -> Column:
    return [x if flag is wanted else None for x, flag in zip(column, flags, strict=True)]


def _matched(
    operator: str,
    wants_bool: bool,
    modifier: Any,
    left: Vector,
    right: Vector,
    key: Callable[[Labels], Labels],
    steps: int,
) -> Vector:
    card = str(modifier.card).rsplit(".", 1)[-1] if modifier is not None else "OneToOne"
    swapped = card == "OneToMany"
    many, one = (right, left) if swapped else (left, right)
    arithmetic, comparison = ARITHMETIC.get(operator), COMPARISON.get(operator)
    ones: dict[Labels, list[tuple[Labels, Column]]] = {}
    for labels, column in one:
        rivals = ones.setdefault(key(labels), [])
        if any(a is not None and b is not None for r in rivals for a, b in zip(r[1], column, strict=True)):
            side = "left" if swapped else "right"
            raise ValueError(
                f"found duplicate series for the match group {_text(key(labels))} on the {side} hand-side of the "
                "operation: "
                f"[{_text(labels)}, {_text(rivals[0][0])}];many-to-many matching not allowed: matching labels must "
                "be unique on one side"
            )
        rivals.append((labels, column))
    out: dict[Labels, Column] = {}
    for labels, column in many:
        for one_labels, one_column in ones.get(key(labels), ()):
            result = _result_labels(labels, one_labels, modifier, card, comparison is not None and not wants_bool)
            cells = out.setdefault(result, [None] * steps)
            for i, (x, y) in enumerate(zip(column, one_column, strict=True)):
                if x is None or y is None:
                    continue
                if cells[i] is not None:
                    raise ValueError(
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                    )
                a, b = (y, x) if swapped else (x, y)
                if arithmetic is not None:
                    cells[i] = arithmetic(a, b)
                else:
                    assert comparison is not None
                    holds = comparison(a, b)
                    cells[i] = float(holds) if wants_bool else (a if holds else None)
    return [(labels, column) for labels, column in out.items() if any(x is not None for x in column)]


def _result_labels(many: Labels, one: Labels, modifier: Any, card: str, keep_name: bool) -> Labels:
    labels = many if keep_name else _nameless(many)
    if card == "OneToOne":
        matching = modifier.matching if modifier is not None else None
        if matching is None:
            return labels
        names = frozenset(matching.labels)
        if str(matching.type).endswith("Include"):
            return tuple(pair for pair in labels if pair[0] in names)
        return tuple(pair for pair in labels if pair[0] not in names)
    given = dict(one)
    merged = dict(labels)
    for name in modifier.group_labels or ():
        if given.get(name):
            merged[name] = given[name]
        else:
            merged.pop(name, None)
    return tuple(sorted(merged.items()))


def _text(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"
