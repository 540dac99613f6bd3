"""Values that signals take from sources other than Prometheus, by name:
`kubernetes.ready.m0-submitter`, `solana.behind`.

One file a source. `FAMILIES` is what runbooks.toml may name; `Look` is one look at the board, made
for each evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.assessment.values.family import Family, Look, Value
from cockpit.assessment.values.kubernetes import KUBERNETES
from cockpit.assessment.values.postgres import POSTGRES
from cockpit.assessment.values.probes import PROBES
from cockpit.assessment.values.solana import SOLANA

__all__ = ["FAMILIES", "Family", "Look", "Value"]

FAMILIES: Mapping[str, Family] = {family.name: family for family in (KUBERNETES, POSTGRES, PROBES, SOLANA)}
