"""When a deployment's image was last changed, whatever else changed since."""

from __future__ import annotations

import pytest

from cockpit.model.observed.cluster import Cluster, ReplicaSet
from cockpit.sources.releases import releases
from tests.support.samples.cluster import sample_workload

NOW = 10_000.0


@pytest.mark.parametrize(
    ("revisions", "age_s"),
    [
        ([("old", 5000.0), ("new", 600.0)], 600.0),
        ([("old", 5000.0), ("new", 600.0), ("new", 60.0)], 600.0),  # a variable was set since, or it was restarted
        ([("new", 5000.0), ("new", 60.0)], None),
        ([("new", 600.0)], None),
        ([("bad", 600.0), ("old", 5000.0), ("old", 60.0)], 5000.0),  # taken back, and restarted
    ],
)
def test_a_restart_or_a_variable_hides_no_release(revisions: list[tuple[str, float]], age_s: float | None) -> None:
    """B7, of two incidents at once: what was set after a release hides it not."""
    sets = [
        ReplicaSet(str(n), "m0-prod", f"m0-quant-{n}", "m0-quant", n, NOW - ago, 1, 1, (image,))
        for n, (image, ago) in enumerate(revisions, 1)
    ]
    workload = sample_workload(name="m0-quant")
    cluster = Cluster(
        workloads={("m0-prod", "m0-quant"): workload}, replicasets={(s.namespace, s.name): s for s in sets}
    )
    found = releases(cluster, NOW)
    assert [one.age_s for one in found] == ([] if age_s is None else [age_s])
