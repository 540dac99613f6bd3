"""Tells over how long a time a signal's value speaks, and asks for less of it.

`rate(x[5m])` still holds what was five minutes ago. A proof counts from its step on: it asks the
same over the time since, or waits until the whole window is newer than the step.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

from cockpit.model.runbook import SignalDef

#: Values of the chain that are rates are of the last full minute (oracle/rates.py).
CHAIN_RATES = ("commits", "reveals", "failed", "signature-failures", "reveal-failures", "replay-failures")
_CHAIN_S = 60.0
_NEVER_S = 1e9
_PARTS = ("expr", "lhs", "rhs", "args", "param", "vector_selector")


@dataclass(frozen=True, slots=True)
class Spans:
    """Holds what a query looks back on.

    `longest_s`: its longest window, offset included. `ranges`: the text of each range selector with
    its seconds. `selectors`: the text of every selector, without a range. `plain`: no offset, no
    subquery, no fixed time, so that its windows can be made shorter.
    """

    longest_s: float = 0.0
    ranges: tuple[tuple[str, float], ...] = ()
    selectors: tuple[str, ...] = ()
    plain: bool = True
    text: str = ""


def window_of(signal: SignalDef) -> float:
    """Return the seconds that the signal's value looks back on; 0: it is of one moment."""
    if signal.promql is not None:
        return spans(signal.promql).longest_s
    family, _, name = (signal.value or "").partition(".")
    return _CHAIN_S if family == "solana" and name in CHAIN_RATES else 0.0


@lru_cache(maxsize=512)
def spans(promql: str) -> Spans:
    """Read a query; what cannot be parsed looks back for an unknown time, taken as an hour."""
    import promql_parser

    try:
        tree = promql_parser.parse(promql)
    except (ValueError, TypeError):
        return Spans(3600.0, plain=False, text=promql)
    ranges: dict[str, float] = {}
    selectors: dict[str, None] = {}
    longest, plain = 0.0, True
    todo: list[tuple[Any, float]] = [(tree, 0.0)]
    while todo:
        node, outer = todo.pop()
        if node is None or isinstance(node, str | int | float | bool):
            continue
        kind = type(node).__name__
        offset = _seconds(getattr(node, "offset", None))
        if offset:
            plain = False
        if getattr(node, "at", None) is not None:  # of a fixed moment: never newer than a step
            plain, longest = False, _NEVER_S
        own = _seconds(getattr(node, "range", None)) if kind in ("MatrixSelector", "SubqueryExpr") else 0.0
        longest = max(longest, outer + own + offset)
        if kind == "SubqueryExpr":
            plain = False
        if kind == "MatrixSelector":
            ranges[str(node)] = own
            selectors[str(node.vector_selector)] = None
            inner = node.vector_selector
            if inner.at is not None:
                plain, longest = False, _NEVER_S
            if inner.offset is not None:
                plain = False
                longest = max(longest, outer + own + _seconds(inner.offset))
            continue
        if kind == "VectorSelector":
            selectors[str(node)] = None
            continue
        for part in _PARTS:
            found = getattr(node, part, None)
            todo += [(each, outer + own + offset) for each in (found if isinstance(found, list) else [found])]
    return Spans(longest, tuple(ranges.items()), tuple(selectors), plain, str(tree))


def narrowed(promql: str, seconds: float) -> str | None:
    """Return the query with each window at most so long; None where that cannot be done."""
    found = spans(promql)
    if not found.plain:
        return None
    text = found.text
    for selector, own in sorted(found.ranges, key=lambda each: -len(each[0])):
        head = selector[: selector.rindex("[")]
        text = text.replace(selector, f"{head}[{max(1, round(min(own, seconds) * 1000))}ms]")
    return text


def _seconds(value: Any) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else 0.0
