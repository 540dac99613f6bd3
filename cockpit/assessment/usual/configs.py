"""Names the keys of a ConfigMap that are not as usual, by what the runbooks say is usual."""

from __future__ import annotations

from collections.abc import Sequence

from cockpit.model.observed.cluster import Cluster
from cockpit.model.runbook import Runbooks
from cockpit.text import safe


def unusual(
    runbooks: Runbooks, cluster: Cluster, namespaces: Sequence[str], name: str
) -> list[tuple[str, str, str]] | str:
    """Return (key, value now, usual value) of each that differs; or why it is not known."""
    held = next((m for (space, n), m in cluster.configmaps.items() if n == name and space in namespaces), None)
    if held is None:
        return f"configmap {name} is not read"
    found = []
    for key, value in sorted(held.data.items()):
        variable = runbooks.variable(key)
        if variable is not None and variable.usual is not None and value != variable.usual:
            found.append((key, safe(value, 60), variable.usual))
    return found
