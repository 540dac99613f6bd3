"""Orders the markets on offer by how much they look like the ones to act on, and says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cockpit.model.situation import Situation

#: The queries by market that weigh, the first first, and how each is told.
SOURCES, RISK = "implied-by-source", "risk-by-market"
#: Sources of a market that differ by less agree.
AGREED = 0.1


def impacted(situation: Situation, signal: str, domains: Mapping[str, str]) -> Mapping[str, str]:
    """Return the markets that the worst of a signal feeds or computes, each with why.

    `domains`: market → its domain. A source is of the markets for which it implies something, and
    of those of the domain that its name bears; so is a model, or a connector.
    """
    status = situation.signals.get(signal)
    if status is None or not status.level.bad or not status.worst_labels:
        return {}
    named = [
        value for label, value in status.worst_labels.items() if label in ("source", "model", "connector", "domain")
    ]
    direct = status.worst_labels.get("market")
    fed = _fed(situation)
    found: dict[str, str] = {direct: "the one that stands out"} if direct else {}
    for name in named:
        for market, domain in domains.items():
            if name in fed.get(market, ()) or (domain and domain.lower() in name.lower()):
                found.setdefault(market, f"of {name}")
    return found


def spreads(situation: Situation) -> Mapping[str, float]:
    """Return how far the sources of each market are apart."""
    heard: dict[str, list[float]] = {}
    result = situation.answer(SOURCES)
    for sample in result.samples if result is not None else ():
        heard.setdefault(sample.labels.get("market", ""), []).append(sample.value)
    return {market: max(values) - min(values) for market, values in heard.items() if market and len(values) > 1}


def risks(situation: Situation) -> Mapping[str, float]:
    result = situation.answer(RISK)
    return result.by("market") if result is not None else {}


def words(market: str, apart: Mapping[str, float], risk: Mapping[str, float]) -> str:
    """Say how far its sources are apart, and its risk, where they are measured."""
    said = [f"sources {apart[market]:.2f} apart"] if market in apart else []
    return ", ".join([*said, *([f"risk {risk[market]:.2f}"] if market in risk else [])])


def place(
    market: str, hit: Mapping[str, str], apart: Mapping[str, float], risk: Mapping[str, float]
) -> tuple[float, ...]:
    """Return what to sort by: impacted ones first, then those furthest apart, then the riskiest."""
    spread = apart.get(market, 0.0)
    return (0.0 if market in hit else 1.0, -spread if spread >= AGREED else 0.0, -round(risk.get(market, 0.0), 1))


def _fed(situation: Situation) -> Mapping[str, set[str]]:
    """Return market → the sources that imply something for it."""
    fed: dict[str, set[str]] = {}
    result = situation.answer(SOURCES)
    for sample in result.samples if result is not None else ():
        fed.setdefault(sample.labels.get("market", ""), set()).add(sample.labels.get("source", ""))
    return fed
