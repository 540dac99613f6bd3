"""Finds in a query what it reads: selectors, and which of their labels its answer still has.

Of a query like `max by (connector) (rate(m{job="x"}[2m]))` the answer's series differ by
`connector` alone; the newest sample under each is the newest of all series of `m` with that label.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

#: Prometheus gives an instant value for so long after its sample.
LOOKBACK_S = 300.0
_KEEPING = frozenset({"topk", "bottomk", "limitk", "limit_ratio"})
#: Functions whose second argument names the label that they make.
_LABELLING = frozenset({"label_replace", "label_join"})


class Kept(NamedTuple):
    """Says which labels survive: those of `names`, or all but those."""

    only: bool
    names: frozenset[str]

    def within(self, names: frozenset[str]) -> Kept:
        return Kept(True, self.names & names if self.only else names - self.names)

    def without(self, names: frozenset[str]) -> Kept:
        return Kept(self.only, self.names - names if self.only else self.names | names)


ALL = Kept(False, frozenset({"__name__"}))


class Selector(NamedTuple):
    """Describes one selector of a query: `m{job="x"}`, its grouping, and its window in seconds.

    `offset_s`: how long before the moment asked about it reads.
    """

    text: str
    kept: Kept
    window_s: float
    offset_s: float = 0.0
    ranged: bool = False  # it reads a window: two samples at least must lie in it

    @property
    def newest(self) -> str:
        """Return the query for the time of its newest sample, by the labels that are kept."""
        return self.grouped(f"timestamp({self.text}{self.shift})")

    @property
    def shift(self) -> str:
        return f" offset {self.offset_s:.0f}s" if self.offset_s else ""

    def grouped(self, inner: str) -> str:
        names = ", ".join(sorted(self.kept.names))
        return f"max {'by' if self.kept.only else 'without'} ({names}) ({inner})"


class _Found(NamedTuple):
    name: str
    matchers: frozenset[str]
    kept: Kept
    window_s: float
    offset_s: float
    ranged: bool


@lru_cache(maxsize=1024)
def selectors(promql: str) -> tuple[Selector, ...]:
    """Return the selectors of a query, one for each metric and grouping.

    Selectors of the same metric count as one, by the matchers that they share: whether failures are
    counted newly is known by the counter's other series too. Raises ValueError for what cannot be
    parsed.
    """
    import promql_parser

    found = list(_walk(promql_parser.parse(promql), ALL, 0.0))
    shared: dict[tuple[str, float], frozenset[str]] = {}
    for one in found:
        key = (one.name, one.offset_s)
        shared[key] = shared[key] & one.matchers if key in shared else one.matchers
    merged: dict[tuple[str, Kept, float, bool], float] = {}
    for one in found:
        matchers = shared[(one.name, one.offset_s)] if one.name else one.matchers
        text = one.name + (f"{{{','.join(sorted(matchers))}}}" if matchers else "")
        at = (text, one.kept, one.offset_s, one.ranged)
        merged[at] = max(merged.get(at, 0.0), one.window_s)
    return tuple(Selector(text, kept, window, back, ranged) for (text, kept, back, ranged), window in merged.items())


def _walk(node: Any, kept: Kept, window_s: float) -> Iterator[_Found]:
    kind = type(node).__name__
    if kind == "VectorSelector":
        yield from _selector(node, kept, window_s or LOOKBACK_S, ranged=False)
    elif kind == "MatrixSelector":
        yield from _selector(node.vector_selector, kept, window_s + node.range.total_seconds(), ranged=True)
    elif kind == "SubqueryExpr":
        yield from _walk(node.expr, kept, window_s + node.range.total_seconds())
    elif kind in ("ParenExpr", "UnaryExpr"):
        yield from _walk(node.expr, kept, window_s)
    elif kind == "AggregateExpr":
        if str(node.op) not in _KEEPING:
            names = frozenset(node.modifier.labels) if node.modifier is not None else frozenset[str]()
            by = node.modifier is None or str(node.modifier.type).endswith("By")
            kept = kept.within(names) if by else kept.without(names)
        yield from _walk(node.expr, kept, window_s)
    elif kind == "Call":
        yield from _call(node, kept, window_s)
    elif kind == "BinaryExpr":
        left, right = _sides(node, kept)
        yield from _walk(node.lhs, left, window_s)
        yield from _walk(node.rhs, right, window_s)


def _call(node: Any, kept: Kept, window_s: float) -> Iterator[_Found]:
    if node.func.name in _LABELLING:
        kept = kept.without(frozenset({str(node.args[1].val)}))
    elif node.func.name == "histogram_quantile":
        kept = kept.without(frozenset({"le"}))
    elif node.func.name == "scalar":
        kept = Kept(True, frozenset())
    for argument in node.args:
        yield from _walk(argument, kept, window_s)


def _sides(node: Any, kept: Kept) -> tuple[Kept, Kept]:
    """Return what survives of either side, by the operator's vector matching."""
    modifier = node.modifier
    matching = modifier.matching if modifier is not None else None
    if matching is None:
        return kept, kept
    names = frozenset(matching.labels)
    on = not str(matching.type).endswith("Ignoring") and not str(matching).startswith("ignoring")
    less = kept.within(names) if on else kept.without(names)
    many = str(modifier.card)
    if str(node.op) in ("and", "unless") or "ManyToOne" in many:
        return kept, less
    if str(node.op) == "or":
        return kept, kept
    return (less, kept) if "OneToMany" in many else (less, less)


def _selector(node: Any, kept: Kept, window_s: float, *, ranged: bool) -> Iterator[_Found]:
    if node.at is not None:
        return  # a moment of its own: no age of it tells anything
    name = node.name or ""
    matchers = set()
    for one in node.matchers.matchers:
        operator = _OPERATORS.get(str(one.op).rsplit(".", 1)[-1], "=")
        if one.name == "__name__" and operator == "=":
            name = one.value
        else:
            matchers.add(f'{one.name}{operator}"{_escaped(one.value)}"')
    if name and not _PLAIN.issuperset(name):  # a name in UTF-8 stands quoted among the matchers
        matchers.add(f'__name__="{_escaped(name)}"')
        name = ""
    offset = node.offset.total_seconds() if node.offset is not None else 0.0
    yield _Found(name, frozenset(matchers), kept, window_s, offset, ranged)


_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
