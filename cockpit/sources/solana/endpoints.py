"""Compares endpoints: who is behind, who is of another cluster, and what they do not agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from cockpit.model.observed.chain import Disagreement, EndpointStatus
from cockpit.sources.solana.endpoint import EndpointWatch

#: Slots apart from which it is said; a poll of each takes a moment, and confirmation travels.
APART_SLOTS = 30


class Fleet:
    """Holds the watches in their configured order.

    `streaming`: the name of the one that gives the program's logs, or "".
    """

    def __init__(self, watches: Sequence[EndpointWatch]) -> None:
        self.watches = tuple(watches)
        self.streaming = ""
        self.said: dict[str, tuple[Disagreement, ...]] = {}  # by who found it: the accounts, the listings

    def __getitem__(self, name: str) -> EndpointWatch:
        return next(watch for watch in self.watches if watch.name == name)

    def judge(self, watch: EndpointWatch) -> EndpointStatus:
        """Return the watch's status, `behind`, `foreign` and `streaming` by the others."""
        home = self._home()
        status = watch.status
        foreign = status.genesis is not None and home is not None and status.genesis != home
        watch.status = msgspec.structs.replace(
            status, behind=self._behind(watch), foreign=foreign, streaming=watch.name == self.streaming
        )
        return watch.status

    def _home(self) -> str | None:
        """Return the majority's genesis hash; when even, that of the first named."""
        known = [watch.status.genesis for watch in self.watches if watch.status.genesis is not None]
        if not known:
            return None
        counted = Counter(known)
        most = max(counted.values())
        return next(genesis for genesis in known if counted[genesis] == most)

    def _behind(self, watch: EndpointWatch) -> int | None:
        """Return None also when nobody of its cluster answers: there is nothing to be behind of."""
        own = watch.status
        if own.slot is None or watch.seen_at is None or watch.fault is not None:
            return None
        others = [
            other.slot_at(watch.seen_at)
            for other in self.watches
            if other is not watch and other.status.genesis == own.genesis
        ]
        known = [slot for slot in others if slot is not None]
        return max(0, round(max(known) - own.slot)) if known else None

    def best(self, avoid: Mapping[str, float], now: float) -> list[EndpointWatch]:
        """Return those fit to give the program's transactions, best first; else those that answer.

        One that does not tell its cluster is used when no other is. `avoid`: name → monotonic time
        until which not.
        """
        free = [watch for watch in self.watches if avoid.get(watch.name, 0.0) <= now and watch.answers]
        fit = [watch for watch in free if watch.good] or free
        identified = [watch for watch in fit if watch.status.genesis is not None]
        return sorted(identified or fit, key=_rank)

    def disagreements(self) -> tuple[Disagreement, ...]:
        found: list[Disagreement] = []
        clusters = {watch.name: watch.status for watch in self.watches if watch.status.genesis is not None}
        if len({status.genesis for status in clusters.values()}) > 1:
            words = ", ".join(f"{name} is on {status.cluster}" for name, status in clusters.items())
            found.append(Disagreement("cluster", words))
        lagging = [
            watch.status for watch in self.watches if (watch.status.behind or 0) >= APART_SLOTS and watch.fault is None
        ]
        for status in lagging:
            leader = max(
                (w.status for w in self.watches if w.status.genesis == status.genesis and w.status.slot is not None),
                key=lambda other: other.slot or 0,
            )
            found.append(
                Disagreement(
                    "slot",
                    f"{leader.name} is at slot {leader.slot:,}, "
                    f"{status.name} at {status.slot:,} ({status.behind:,} behind)",
                )
            )
        for said in self.said.values():
            found += said
        return tuple(found)


def _rank(watch: EndpointWatch) -> tuple[int, int, float]:
    status = watch.status
    return round(10 * (status.error_ratio or 0.0)), (status.behind or 0) // 5, status.latency_p50_ms or 0.0
