"""Sees what changes while it watches: the differences between two readings, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cockpit.assessment.changes.rebuilt import changed_whole, template_fields
from cockpit.model.observed.chain import MarketState, SignerSetState
from cockpit.model.observed.changes import Change, Kind
from cockpit.model.observed.cluster import Cluster
from cockpit.model.observed.metrics import Alert
from cockpit.model.reading import Known, Reading, believed


def watched(before: Cluster, after: Cluster, now: float) -> list[Change]:
    """Return what differs of objects that both have; what is new tells when it was made itself."""
    found: list[Change] = []
    if before.workloads is not after.workloads:
        found += _workloads(before, after, now)
    if before.configmaps is not after.configmaps:
        found += _configmaps(before, after, now)
    if before.autoscalers is not after.autoscalers:
        for key, scaler in after.autoscalers.items():
            was = before.autoscalers.get(key)
            old, new = (None if one is None else f"{one.min_replicas} to {one.max_replicas}" for one in (was, scaler))
            if old is not None and old != new:
                of = ("HorizontalPodAutoscaler", *key)
                found.append(_change("autoscaler", of, f"{scaler.target_name} bounds", old, new, now, True))
    if before.policies is not after.policies:
        for key in before.policies.keys() - after.policies.keys():
            found.append(_change("policy", ("NetworkPolicy", *key), "rules", "there", None, now, False))
    return found


def _configmaps(before: Cluster, after: Cluster, now: float) -> Iterator[Change]:
    for key, one in after.configmaps.items():
        old = before.configmaps.get(key)
        if old is None or old.resource_version == one.resource_version:
            continue
        for field in dict.fromkeys((*old.data, *one.data)):
            was, is_now = old.data.get(field), one.data.get(field)
            if was != is_now:
                yield _change("config", ("ConfigMap", *key), field, was, is_now, now, changed_whole(was, is_now))


def _workloads(before: Cluster, after: Cluster, now: float) -> Iterator[Change]:
    for key, one in after.workloads.items():
        old = before.workloads.get(key)
        if old is None or old is one or old.generation == one.generation:
            continue
        of = (one.kind, *key)
        for kind, field, was, is_now in template_fields(old.containers, one.containers, one.name):
            named: Kind = "image" if kind == "image" else "variable"
            yield _change(named, of, field, was, is_now, now, changed_whole(was, is_now))
        if old.desired != one.desired:
            yield _change("replicas", of, "replicas", str(old.desired), str(one.desired), now, True)
        if old.paused != one.paused:
            yield _change("paused", of, "paused", _yes(old.paused), _yes(one.paused), now, False)


def _yes(held: bool) -> str:
    return "yes" if held else "no"


def _change(
    kind: Kind, of: tuple[str, str, str], field: str, before: str | None, after: str | None, at: float, whole: bool
) -> Change:
    owner, namespace, name = of
    return Change(
        kind=kind,
        namespace=namespace,
        owner=owner,
        name=name,
        field=field,
        before=before,
        after=after,
        at=at,
        seen="watched",
        whole=whole,
    )


class ChainWatch:
    """Remembers what the chain and Prometheus' alerts said last."""

    def __init__(self) -> None:
        self._active: dict[str, bool] = {}
        self._set: SignerSetState | None = None
        self._firing: frozenset[str] | None = None

    def markets(self, solana: Mapping[str, Reading[Any]], mono: float, now: float) -> Iterator[Change]:
        """Yield pauses, resumptions and rotations since the last time."""
        found = believed(solana.get("markets"), mono)
        if isinstance(found, Known) and isinstance(found.data, Mapping):
            for one in found.data.values():
                if not isinstance(one, MarketState):
                    continue
                was = self._active.get(one.market_id)
                if was is not None and was != one.active:
                    of = ("Market", "", one.market_id)
                    yield _change("market", of, "active", _yes(was), _yes(one.active), now, True)
                self._active[one.market_id] = one.active
        held = believed(solana.get("signer-set"), mono, SignerSetState)
        if isinstance(held, Known):
            old, new = self._set, held.data
            self._set = new
            if old is not None and (old.signer_set_id, old.pubkeys, old.threshold, old.active) != (
                new.signer_set_id,
                new.pubkeys,
                new.threshold,
                new.active,
            ):
                of = ("SignerSet", "", str(new.signer_set_id))
                yield _change("signer-set", of, "signer set", _set_words(old), _set_words(new), now, False)

    def alerts(self, alerts: tuple[Alert, ...], now: float) -> Iterator[Change]:
        """Yield the alerts that began to fire since the last time."""
        firing = frozenset(alert.name for alert in alerts if alert.state == "firing")
        if self._firing is not None:
            for name in sorted(firing - self._firing):
                yield _change("alert", ("Alert", "", name), "firing", None, "began to fire", now, False)
        self._firing = firing


def _set_words(one: SignerSetState) -> str:
    state = "active" if one.active else "not active"
    return f"{one.signer_set_id}, {one.threshold} of {len(one.pubkeys)}, {state}"
