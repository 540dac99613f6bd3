"""Works out what RPC endpoints cost, by their requests and the configured prices (15.weekly.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cockpit.maintenance.measure import Ranges, Span, measured
from cockpit.maintenance.words import number, span
from cockpit.model.maintenance import Finding
from cockpit.model.runbook import Runbooks
from cockpit.settings import Settings
from cockpit.sources.solana.settings import RPC_ENDPOINTS
from cockpit.text import safe

#: The query of runbooks.toml that counts requests a minute, by endpoint.
REQUESTS, ENDPOINT = "rpc-requests", "endpoint"
MONTH_S = 30 * 86400.0
#: Of less than this share of the time known, a sum is no cost.
ENOUGH = 0.8


@dataclass(frozen=True, slots=True)
class Price:
    """Holds what an endpoint costs; None: the configuration does not say."""

    endpoint: str
    per_million: float | None
    monthly: float | None

    @property
    def known(self) -> bool:
        return self.per_million is not None or self.monthly is not None


def prices_of(settings: Settings) -> tuple[Price, ...]:
    return tuple(Price(e.name, e.price_per_million, e.monthly_fee) for e in settings.of(RPC_ENDPOINTS))


async def costs(
    prices: Sequence[Price], runbooks: Runbooks, ranges: Ranges | None, at: Span
) -> tuple[list[Finding], bool]:
    """Return what each endpoint cost in the round's time, and whether a price is missing."""
    query = runbooks.queries.get(REQUESTS)
    if not any(price.known for price in prices) or query is None or ranges is None:
        return [], True
    try:
        found = {one.labels.get(ENDPOINT, ""): one for one in await measured(ranges, query.promql, at)}
    except Exception as error:  # whatever the reason is, it is what there is to say
        return [Finding("unknown", f"costs: not known: {safe(error, 200)}")], True
    spent, unpriced = [], False
    for price in prices:
        name = safe(price.endpoint, 40)
        if not price.known:
            unpriced = True
            spent.append(Finding("unknown", f"cost of {name}: no price-per-million or monthly-fee is configured"))
            continue
        one = found.get(price.endpoint)
        share = (at.end - at.start) / MONTH_S
        total, words = (price.monthly or 0.0) * share, []
        if price.per_million is not None:
            if one is None or one.covered < ENOUGH:
                known = span(one.covered * (at.end - at.start)) if one is not None else "none"
                spent.append(Finding("unknown", f"cost of {name}: requests known for {known} of the time"))
                continue
            total += one.total * price.per_million / 1e6
            words.append(f"{number(round(one.total))} requests at {price.per_million:g} a million")
        if price.monthly is not None:
            words.append(f"{price.monthly:g} a month")
        spent.append(Finding("ok", f"cost of {name}: {total:,.2f} in {span(at.end - at.start)} ({', '.join(words)})"))
    return spent, unpriced
