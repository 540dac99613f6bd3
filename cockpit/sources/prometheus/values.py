"""Gives values that are worked out of queries by name (`prometheus.collection-p95`)."""

from __future__ import annotations

from dataclasses import dataclass

from cockpit.model.observed.chain import SignerSetState
from cockpit.model.reading import Unknown, believed, if_known
from cockpit.sources.values import Family, Snapshot, Value, unknown
from cockpit.text import counted

#: The query of runbooks.toml that has each signer's 95th percentile.
BY_SIGNER = "signer-p95"
COLLECTION = "prometheus.collection-p95"


@dataclass(frozen=True, slots=True)
class PrometheusValues:
    snapshot: Snapshot

    def get(self, name: str) -> Value:
        return collection_p95(self.snapshot)


def collection_p95(snapshot: Snapshot) -> Value:
    """Return how long it takes until as many agents have signed as the set's threshold asks for.

    That is the p95 of the slowest of the fastest so many; of all that answer where the threshold is
    not known. With fewer agents than that, no collection ends (3.validation.2).
    """
    found = believed(snapshot.board.get(f"prometheus/queries/{BY_SIGNER}"), snapshot.mono)
    if isinstance(found, Unknown):
        return unknown(found, f"query {BY_SIGNER}")
    known = sorted(value for value in found.data.by("signer").values() if value == value)
    account = if_known(believed(snapshot.board.get("solana/signer-set"), snapshot.mono, SignerSetState))
    needed = account.threshold if account is not None else len(known)
    if not known or len(known) < needed:
        return Value(None, f"{counted(len(known), 'agent')} signed, {needed or 'some'} needed", found.age_s)
    words = f"the {needed} fastest of {len(known)}"
    if account is None:
        words = f"the slowest of {len(known)}: the threshold is not known"
    return Value(known[needed - 1], "", found.age_s, {"agents": words})


FAMILY = Family(PrometheusValues, plain=(COLLECTION,))
