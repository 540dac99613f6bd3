"""Compares what the outputs are made of: sources of a market, features of a model, the markets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from cockpit.model.observed.chain import MarketState
from cockpit.model.reading import Known, Unknown, believed, last_known
from cockpit.model.signal import Level
from cockpit.model.situation import Situation
from cockpit.model.views import BY_NAME
from panels.dashboard.facts.metrics import by_label, judge, live, query, unit_of
from panels.kit.spans import BLANK, Column, Line, Span, table
from panels.kit.theme import MARK
from panels.kit.words import UNKNOWN, value
from panels.screens.pages import SituationPages
from panels.screens.view import Asked

if TYPE_CHECKING:  # a start without a database need not define them
    from cockpit.model.observed.postgres import Published, PublishState

NAME = "compare"


def _cells(situation: Situation, name: str, row: str, column: str) -> dict[str, dict[str, float]]:
    """Return the query's values by two labels."""
    result = query(situation, name)
    found: dict[str, dict[str, float]] = {}
    for sample in result.samples if result is not None else ():
        if row in sample.labels and column in sample.labels:
            found.setdefault(sample.labels[row], {})[sample.labels[column]] = sample.value
    return found


def _nothing(situation: Situation, name: str) -> list[Line]:
    promql = situation.runbooks.queries[name].promql if name in situation.runbooks.queries else ""
    return [
        (("not measured  ", "unknown"), (f"query {name} has no answer", "text")),
        ((f"  {promql}", "dim"),),
        (("  give it what your services export, in a runbooks file of your own", "dim"),),
    ]


def sources(situation: Situation, width: int) -> list[Line]:
    """Show each market's implied probabilities by source, the market furthest apart first."""
    cells = _cells(situation, "implied-by-source", "market", "source")
    if not cells:
        return _nothing(situation, "implied-by-source")
    role = "text" if live(situation, "implied-by-source") else "unknown"
    lines: list[Line] = [(("implied probability of the first outcome, source against source", "dim"),), BLANK]
    rows: list[list[Span]] = []
    for market, own in sorted(cells.items(), key=lambda item: -_spread(item[1])):
        middle = sorted(own.values())[len(own) // 2]
        apart = _spread(own)
        level = judge(situation, "implied-by-source", apart, "", "implied-spread")
        off = max(own, key=lambda source: abs(own[source] - middle))
        heard = "  ".join(f"{source} {number:.3f}" for source, number in sorted(own.items()))
        named = off if level.bad else ""
        rows.append([_mark(level), (market, role), (f"{apart:.3f}", level.value), (named, level.value), (heard, role)])
    columns = (
        Column("", 1),
        Column("market", 10, grow=1, most=20, middle=True),
        Column("apart", 6, ">"),
        Column("off", 4, grow=1, most=14, middle=True),
        Column("sources", 12, grow=2, most=90),
    )
    return [*lines, *table(columns, rows, width)]


def features(situation: Situation, width: int) -> list[Line]:
    """Show each model's features by how far their distribution has moved, the worst model first."""
    cells = _cells(situation, "psi-by-feature", "model", "feature")
    if not cells:
        return _nothing(situation, "psi-by-feature")
    role = "text" if live(situation, "psi-by-feature") else "unknown"
    drift, score = by_label(situation, "drift-by-model", "model"), by_label(situation, "live-score-by-model", "model")
    ece = by_label(situation, "ece-by-model", "model")
    lines: list[Line] = [(("population stability index by feature: above 0.2 it has moved", "dim"),), BLANK]
    rows: list[list[Span]] = []
    for model, own in sorted(cells.items(), key=lambda item: -max(item[1].values())):
        worst = judge(situation, "psi-by-feature", max(own.values()), "", "feature-psi")
        heard = "  ".join(f"{name} {psi:.2f}" for name, psi in sorted(own.items(), key=lambda item: -item[1]))
        rows.append(
            [
                _mark(worst),
                (model, role),
                *(_number(found.get(model), role) for found in (drift, score, ece)),
                (heard, worst.value if worst.bad else role),
            ]
        )
    columns = (
        Column("", 1),
        Column("model", 10, grow=1, most=20, middle=True),
        Column("drift", 6, ">"),
        Column("Brier", 6, ">"),
        Column("ECE", 6, ">"),
        Column("features", 12, grow=2, most=60),
    )
    return [*lines, *table(columns, rows, width)]


def markets(situation: Situation, width: int) -> list[Line]:
    """Show every market: paused or not, risk, sources apart, its output's age."""
    apart = {m: _spread(own) for m, own in _cells(situation, "implied-by-source", "market", "source").items()}
    risk, age = by_label(situation, "risk-by-market", "market"), by_label(situation, "output-age", "market")
    accounts: Mapping[str, MarketState] = last_known(believed(situation.solana.get("markets"), situation.mono)) or {}
    on_chain = {each.market_id: each for each in accounts.values()}
    names = sorted({*apart, *risk, *age, *on_chain}, key=lambda m: (-apart.get(m, 0.0), -risk.get(m, 0.0), m))
    if not names:
        return [(("no market is known: neither the chain nor Prometheus tells one", "unknown"),)]
    paused = situation.publishing.paused
    rows: list[list[Span]] = []
    for name in names:
        level = judge(situation, "implied-by-source", apart.get(name), "", "implied-spread")
        state: Span = ("active", "text") if name in on_chain else (UNKNOWN, "unknown")
        if name in paused:
            state = ("PAUSED", "warn")
        domain = on_chain[name].domain if name in on_chain else UNKNOWN
        rows.append(
            [
                _mark(level),
                (name, "text"),
                (domain, "dim"),
                state,
                _number(risk.get(name), "text"),
                _number(apart.get(name), level.value),
                (value(age.get(name), unit_of(situation, "output-age", "s")), "text"),
            ]
        )
    columns = (
        Column("", 1),
        Column("market", 10, grow=1, most=24, middle=True),
        Column("domain", 8),
        Column("state", 7),
        Column("risk", 6, ">"),
        Column("apart", 6, ">"),
        Column("age", 8, ">"),
    )
    return table(columns, rows, width)


def publish_state(situation: Situation, width: int) -> list[Line]:
    """Show the last committed epoch and sequence of each market, and what the store says of it."""
    found = believed(situation.solana.get("markets"), situation.mono)
    accounts: Mapping[str, MarketState] = last_known(found) or {}
    kept = believed(situation.postgres.get("publish-state"), situation.mono)
    state: PublishState | None = last_known(kept)
    stored = {each.market: each for each in state.markets} if state is not None else {}
    on_chain = {each.market_id: each for each in accounts.values()}
    lines: list[Line] = []
    for what, known, configured in (
        ("chain", found, "solana" in situation.configured),
        ("database", kept, "publish-state" in situation.postgres),
    ):
        if isinstance(known, Unknown):
            reason = known.reason if configured else _HOW[what]
            lines.append(((f"{what} not known  ", "unknown"), (reason, "text")))
    rows: list[list[Span]] = []
    for name in sorted({*on_chain, *stored}, key=lambda name: -_apart(on_chain.get(name), stored.get(name))):
        held, own = on_chain.get(name), stored.get(name)
        apart = _apart(held, own) if held is not None and own is not None else None
        level = _far(situation, apart)
        rows.append(
            [
                _mark(level),
                (name, "text"),
                *_state((held.current_epoch_id, held.last_sequence) if held is not None else None, found),
                *_state((own.epoch, own.sequence) if own is not None else None, kept),
                (UNKNOWN if apart is None else f"{apart:,.0f}", level.value),
            ]
        )
    columns = (
        Column("", 1),
        Column("market", 10, grow=1, most=24, middle=True),
        Column("epoch", 6, ">"),
        Column("chain", 12, ">"),
        Column("epoch", 6, ">"),
        Column("database", 12, ">"),
        Column("apart", 9, ">"),
    )
    return [*lines, *([BLANK] if lines else []), *table(columns, rows, width)]


_HOW = {
    "chain": "[solana] is not configured",
    "database": "[postgres] publish-state is not configured: a SELECT of market, epoch, sequence",
}


def _far(situation: Situation, apart: float | None) -> Level:
    signal = situation.signals.get("store-apart")
    if apart is None:
        return Level.UNKNOWN
    crit, warn = (signal.crit, signal.warn) if signal is not None else (None, None)
    if crit is not None and apart >= crit:
        return Level.CRIT
    return Level.WARN if warn is not None and apart >= warn else Level.OK


def _state(at: tuple[int, int] | None, known: Known[Any] | Unknown[Any]) -> tuple[Span, Span]:
    role = "text" if isinstance(known, Known) else "unknown"
    if at is None:
        return (UNKNOWN, "dim"), (UNKNOWN, "dim")
    return (str(at[0]), role), (f"{at[1]:,}", role)


def _apart(held: MarketState | None, own: Published | None) -> float:
    return float(abs(held.last_sequence - own.sequence)) if held is not None and own is not None else -1.0


def _spread(own: Mapping[str, float]) -> float:
    return max(own.values()) - min(own.values())


def _mark(level: Level) -> Span:
    return MARK[level], level.value


def _number(number: float | None, role: str) -> Span:
    return (UNKNOWN, "dim") if number is None else (f"{number:.3f}", role)


PAGES: Mapping[str, Callable[[Situation, int], list[Line]]] = {
    "sources": sources,
    "features": features,
    "markets": markets,
    "publish-state": publish_state,
}


class CompareView(SituationPages):
    """Shows the comparisons; ← and → turn them."""

    TITLES: ClassVar[Mapping[str, str]] = BY_NAME[NAME].pages
    BRAND = "COMPARE"

    @staticmethod
    def lines(situation: Situation, page: str, width: int) -> list[Line]:
        return PAGES[page](situation, width)


def view(asked: Asked) -> CompareView:
    return CompareView(asked.page, asked.situation, appearance=asked.appearance)
