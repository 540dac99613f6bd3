""" "Last known good" has a reason, or is not said."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec.structs import replace

from cockpit.assessment.imagehistory import Past, explained, runs
from cockpit.model.observed.cluster import Cluster, ContainerTemplate, EnvVar, ReplicaSet
from cockpit.model.runbook import Runbooks, SignalDef
from tests.support.samples.cluster import sample_workload

NOW = 1_800_000_000.0
HOUR = 3600.0
RUNBOOKS = Runbooks(
    queries={},
    stages=(),
    services={},
    toggles={},
    runbooks=(),
    signals={
        "publish-success": SignalDef(
            title="Publish success", promql="success", unit="ratio", direction="below", warn=0.99
        ),
        "invalid-signatures": SignalDef(title="Invalid signatures", promql="invalid", unit="/min", warn=0.1),
        "measured-elsewhere": SignalDef(title="x", value="kubernetes.ready.x"),
    },
)
SIGNALS = tuple(RUNBOOKS.signals)


def cluster(*made: tuple[int, str, float]) -> Cluster:
    """ReplicaSets as (revision, image, hours since they were made)."""
    sets = [
        ReplicaSet(
            uid=f"u{r}",
            namespace="m0-prod",
            name=f"m0-quant-{r}",
            owner_name="m0-quant",
            revision=r,
            created_at=NOW - hours * HOUR,
            desired=2,
            ready=2,
            images=(f"m0/quant@sha256:{image * 64}",),
        )
        for r, image, hours in made
    ]
    return Cluster(replicasets={(s.namespace, s.name): s for s in sets})


def past(values: dict[tuple[str, float], list[float]]) -> Past:
    """(query, hours ago at which the time asked about ends) → values."""

    async def ask(promql: str, start: float, end: float) -> tuple[tuple[float, float], ...]:
        found = values.get((promql, round((NOW - end) / HOUR)), [])
        return tuple((start + (end - start) * i / max(1, len(found) - 1), v) for i, v in enumerate(found))

    return ask


def words_of(found: Cluster, ask: Past | None) -> dict[str, str]:
    ran = runs(found, "m0-prod", "m0-quant")
    words = asyncio.run(explained(ran, SIGNALS, RUNBOOKS, ask, NOW))
    return {image[16:17]: text for image, text in words.items()}


KEPT = cluster((1, "a", 100), (2, "b", 96), (3, "c", 2))


def test_when_each_ran_comes_from_the_replicasets() -> None:
    words = [ran.words(NOW) for ran in runs(KEPT, "m0-prod", "m0-quant")]
    assert words == [
        "revision 3, runs now, made 2 h ago",
        "revision 2, ran 4 d until 2 h ago",
        "revision 1, ran 4 h until 4 d ago",
    ]
    assert runs(KEPT, "m0-prod", "m0-nothing") == ()


def test_the_newest_older_one_whose_signals_held_is_the_last_known_good() -> None:
    words = words_of(
        KEPT,
        past(
            {
                ("success", 0): [0.5, 0.6],
                ("invalid", 0): [3.0],
                ("success", 2): [0.998] * 200,
                ("invalid", 2): [0.0] * 200,
                ("success", 96): [0.999],
                ("invalid", 96): [0.0],
            }
        ),
    )
    assert words["b"] == "LAST KNOWN GOOD: then: Publish success 99.8 %, Invalid signatures 0 /min"
    assert "LAST KNOWN GOOD" not in words["a"]
    assert (
        words["c"]
        == "then: Publish success 55.0 % (out of bounds 100 % of the time), Invalid signatures 3 /min (out of bounds 100 % of the time)"
    )


def test_one_that_was_bad_is_passed_over() -> None:
    words = words_of(
        KEPT, past({("success", 2): [0.9] * 50 + [1.0] * 50, ("success", 96): [1.0] * 9, ("invalid", 96): [0.0] * 9})
    )
    assert words["b"].startswith("then: Publish success 95.0 % (out of bounds 50 % of the time)")
    assert words["a"].startswith("LAST KNOWN GOOD")


def test_what_is_not_known_is_never_called_good() -> None:
    for ask, why in (
        (None, "no Prometheus"),
        (past({}), "keeps nothing of that time"),
        (_broken, "connection refused"),
    ):
        words = words_of(KEPT, ask)
        assert not any("GOOD" in text for text in words.values())
        assert words["b"].startswith("of the older ones it ran longest; what the signals did then is not known")
        assert why in words["b"]


async def _broken(promql: str, start: float, end: float) -> tuple[tuple[float, float], ...]:
    raise OSError("connection refused")


def test_how_much_of_that_time_is_known_is_said() -> None:
    async def last_ten_minutes(promql: str, start: float, end: float) -> tuple[tuple[float, float], ...]:
        return tuple((end - 600 + i * 60, 1.0 if promql == "success" else 0.0) for i in range(11))

    words = words_of(KEPT, last_ten_minutes)
    assert words["b"].endswith("then: Publish success 100.0 %, Invalid signatures 0 /min (known for 10 min of it)")
    assert "GOOD" not in words["b"]  # ten minutes of four days are no witness


def test_one_that_ran_for_a_moment_is_no_witness() -> None:
    def ask(values: Any) -> dict[str, str]:
        return words_of(cluster((1, "a", 50), (2, "b", 2.01), (3, "c", 2)), values)

    words = ask(past({("success", 2): [1.0], ("invalid", 2): [0.0]}))
    assert words["b"] == "it ran too shortly to tell"


def test_a_revision_tells_what_its_own_container_ran_with() -> None:
    sidecar, own = (
        ContainerTemplate("proxy", "p"),
        ContainerTemplate("m0-quant", "q", (EnvVar("V", "2"), EnvVar("S", None, "secret x/y"))),
    )
    kept = replace(KEPT.replicasets["m0-prod", "m0-quant-3"], images=("p", "q"), containers=(sidecar, own))
    workload = sample_workload(
        name="m0-quant",
        desired=2,
        replicas=2,
        ready=2,
        updated=2,
        available=2,
        strategy="RollingUpdate",
        containers=(sidecar, own),
    )
    found = Cluster(workloads={("m0-prod", "m0-quant"): workload}, replicasets={("m0-prod", kept.name): kept})
    (ran,) = runs(found, "m0-prod", "m0-quant")
    assert dict(ran.env) == {"V": "2"}
