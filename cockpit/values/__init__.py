"""Values that signals take from sources other than Prometheus, by name: `kubernetes.ready.m0-submitter`, `solana.behind`.

One file a source. `FAMILIES` is what runbooks.toml may name; `Look` is one look at the board, made for each evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.values.family import Family, Look, Value
from cockpit.values.kubernetes import KUBERNETES
from cockpit.values.postgres import POSTGRES
from cockpit.values.probes import PROBES
from cockpit.values.solana import SOLANA

__all__ = ["FAMILIES", "Family", "Look", "Value"]

FAMILIES: Mapping[str, Family] = {family.name: family for family in (KUBERNETES, POSTGRES, PROBES, SOLANA)}
