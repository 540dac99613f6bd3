"""Says which markets are paused, and how often the others publish: what is expected of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cockpit.model.observed.chain import MarketState
from cockpit.model.observed.cluster import Cluster
from cockpit.model.reading import believed, last_known
from cockpit.model.runbook import PAUSE_TOGGLE
from cockpit.sources.spec import Readings


@dataclass(frozen=True, slots=True)
class PausedMarkets:
    """Holds the names of paused markets.

    `known`: how many there are in all, paused ones included; 0 when nobody tells. `on_chain` are
    those of `names` that the chain itself has paused. `tempo`: how often is published, of what is
    usual, after steps of ours that changed it.
    """

    names: frozenset[str] = frozenset()
    known: int = 0
    on_chain: frozenset[str] = frozenset()
    tempo: float = 1.0

    @property
    def share(self) -> float:
        """Return the share of markets that publish: what is expected of the whole network."""
        return (self.known - len(self.names)) / self.known if self.known > len(self.names) else 1.0

    @property
    def every(self) -> bool:
        return 0 < self.known <= len(self.names)


NONE_PAUSED = PausedMarkets()


def paused_markets(readings: Readings, cluster: Cluster, mono: float) -> PausedMarkets:
    """Return what is paused, as last read: a pause that was seen does not end unseen."""
    accounts: Mapping[str, MarketState] = last_known(believed(readings.get("solana/markets"), mono)) or {}
    on_chain = frozenset(each.market_id for each in accounts.values() if not each.active)
    names = on_chain | _by_toggle(cluster)
    known = len(accounts) or len(readings.under("probes/output/"))
    return PausedMarkets(names, known, on_chain)


def _by_toggle(cluster: Cluster) -> frozenset[str]:
    variables = [
        (one.name, one.value)
        for workload in cluster.workloads.values()
        for container in workload.containers
        for one in container.env
        if one.name.startswith(PAUSE_TOGGLE)
    ]
    kept = [
        pair
        for config in cluster.configmaps.values()
        for pair in config.data.items()
        if pair[0].startswith(PAUSE_TOGGLE)
    ]
    return frozenset(
        name.removeprefix(PAUSE_TOGGLE) for name, value in (*variables, *kept) if (value or "").lower() == "true"
    )
