"""What changed is reconstructed from what the cluster keeps, then watched, and listed once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec

from cockpit.assessment.changes.collected import MOST, CollectedChanges
from cockpit.assessment.changes.ranking import Evidence, ranked
from cockpit.assessment.changes.rebuilt import rebuilt
from cockpit.assessment.changes.watched import watched
from cockpit.kubeapi import convert, wire
from cockpit.model.observed.changes import Change, Onset
from cockpit.model.observed.cluster import Cluster
from cockpit.runbooks.schema import load
from cockpit.sources.kubernetes.configmaps import configmap
from cockpit.text import HIDDEN

NOW = 1_790_000_000.0
SPACE, QUANT = "m0-prod", "m0-quant"


def stamp(ago_s: float) -> str:
    return datetime.fromtimestamp(NOW - ago_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def replicaset(revision: int, ago_s: float, image: str, env: dict[str, str], restarted: str = "") -> Any:
    notes = {"kubectl.kubernetes.io/restartedAt": restarted} if restarted else {}
    container = {"name": QUANT, "image": image, "env": [{"name": k, "value": v} for k, v in env.items()]}
    body = {
        "metadata": {
            "name": f"{QUANT}-{revision}",
            "namespace": SPACE,
            "uid": str(revision),
            "creationTimestamp": stamp(ago_s),
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "ownerReferences": [{"kind": "Deployment", "name": QUANT, "controller": True}],
        },
        "spec": {"template": {"metadata": {"annotations": notes}, "spec": {"containers": [container]}}},
    }
    return convert.replicaset(msgspec.convert(body, wire.WorkloadW))


def deployment(image: str = "q@sha256:b", replicas: int = 2, generation: int = 1, managed: Any = ()) -> Any:
    body = {
        "metadata": {
            "name": QUANT,
            "namespace": SPACE,
            "uid": "d",
            "generation": generation,
            "managedFields": list(managed),
        },
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"containers": [{"name": QUANT, "image": image}]}},
        },
    }
    return convert.deployment(msgspec.convert(body, wire.WorkloadW))


def config(data: dict[str, str], applied: dict[str, str] | None, managed: list[dict[str, Any]]) -> Any:
    notes = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"data": applied})} if applied else {}
    meta = {
        "name": "m0-engine-config",
        "namespace": SPACE,
        "creationTimestamp": stamp(90_000),
        "annotations": notes,
        "managedFields": managed,
    }
    return configmap(msgspec.convert({"metadata": meta, "data": data}, wire.ConfigMapW))


def wrote(manager: str, ago_s: float, *keys: str) -> dict[str, Any]:
    fields: dict[str, Any] = {"f:data": {f"f:{key}": {} for key in keys}}
    return {"manager": manager, "operation": "Update", "time": stamp(ago_s), "fieldsV1": fields}


def of(cluster: Cluster) -> dict[str, Change]:
    return {change.field: change for change in rebuilt(cluster, NOW - 86_400)}


def test_templates_of_kept_revisions_tell_images_variables_and_restarts() -> None:
    kept = [
        replicaset(1, 9000, "q@sha256:a", {"M0_MODEL_VERSION": "2026.1", "API_TOKEN": "hunter2-secret"}),
        replicaset(2, 600, "q@sha256:b", {"M0_MODEL_VERSION": "2026.2", "API_TOKEN": "other-secret-2"}),
        replicaset(3, 60, "q@sha256:b", {"M0_MODEL_VERSION": "2026.2", "API_TOKEN": "other-secret-2"}, "now"),
    ]
    sets = {(one.namespace, one.name): one for one in kept}
    cluster = Cluster(workloads={(SPACE, QUANT): deployment()}, replicasets=sets)
    found = of(cluster)
    assert (found["image"].before, found["image"].after, found["image"].at) == ("q@sha256:a", "q@sha256:b", NOW - 600)
    assert (found["M0_MODEL_VERSION"].before, found["M0_MODEL_VERSION"].after) == ("2026.1", "2026.2")
    assert found["restart"].kind == "restart" and found["restart"].revision == 2
    assert "hunter2" not in str(found) and "other-secret" not in str(found)


def test_a_key_tells_what_kubectl_applied_and_who_wrote_it_since() -> None:
    one = config(
        {"feature_batch": "512", "a": "1"},
        {"feature_batch": "16", "a": "1"},
        [wrote("kubectl-edit", 300, "feature_batch")],
    )
    found = of(Cluster(configmaps={(SPACE, one.name): one}))
    batch = found["feature_batch"]
    assert (batch.before, batch.after, batch.by, batch.at) == ("16", "512", "kubectl-edit", NOW - 300)
    assert batch.whole and not batch.at_latest and set(found) == {"feature_batch"}
    # who wrote several keys bears the time of the last: of the others it may have been earlier
    both = config(
        {"feature_batch": "512", "a": "2"}, {"feature_batch": "16", "a": "1"}, [wrote("x", 300, "feature_batch", "a")]
    )
    assert all(change.at_latest for change in of(Cluster(configmaps={(SPACE, both.name): both})).values())
    # never applied: what it was is not seen, and is not made up
    never = config({"feature_batch": "512"}, None, [wrote("helm", 300, "feature_batch")])
    (change,) = of(Cluster(configmaps={(SPACE, never.name): never})).values()
    assert not change.before_seen and change.before is None and not change.whole and "not seen" in change.words


def test_a_secret_is_hidden_before_it_is_a_change() -> None:
    old, new = Cluster(), Cluster()
    old = Cluster(configmaps={("s", "c"): config({"db_password": "hunter2hunter2"}, None, [])})
    new = Cluster(
        configmaps={
            ("s", "c"): msgspec.structs.replace(config({"db_password": "swordfish99"}, None, []), resource_version="2")
        }
    )
    for change in [*watched(old, new, NOW), *rebuilt(new, 0.0)]:
        assert "hunter2" not in str(change) and "swordfish" not in str(change)
        assert not change.whole or HIDDEN not in str(change)


def test_what_is_watched_and_reconstructed_is_listed_once_and_by_whom() -> None:
    entry = {"manager": "argocd", "operation": "Update", "time": stamp(2), "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    before = Cluster(workloads={(SPACE, QUANT): deployment()})
    after = Cluster(workloads={(SPACE, QUANT): deployment(replicas=5, generation=2, managed=[entry])})
    kept = CollectedChanges()
    kept.watch(watched(before, after, NOW))
    (change,) = kept.together([], (), NOW)
    assert (change.kind, change.before, change.after, change.seen) == ("replicas", "2", "5", "watched")
    again = msgspec.structs.replace(change, seen="reconstructed", by="argocd", at=NOW - 2)
    (one,) = kept.together([again], (), NOW)
    assert (one.seen, one.by, one.at) == ("watched", "argocd", NOW - 2)


def test_ten_thousand_changes_an_hour_are_bounded_and_said() -> None:
    kept = CollectedChanges()
    for number in range(10_000):
        kept.watch([made("config", "ConfigMap", "c", f"key{number}", at=NOW + number / 3)])
    assert len(kept.together([], (), NOW + 3600)) <= MOST and kept.dropped > 8000
    flapping = CollectedChanges()
    for number in range(10_000):
        flapping.watch([made("config", "ConfigMap", "c", "one", at=NOW + number / 3, after=str(number))])
    assert len(flapping.together([], (), NOW + 3600)) == 2
    assert max(change.times for change in flapping.together([], (), NOW + 3600)) > 9000


def made(kind: Any, owner: str, name: str, field: str, at: float = NOW, before: str = "1", after: str = "2") -> Change:
    return Change(
        kind=kind, namespace=SPACE, owner=owner, name=name, field=field, before=before, after=after, at=at, whole=True
    )


def test_nothing_that_came_after_the_onset_explains_it_nor_what_was_taken_back() -> None:
    runbooks = load(None)
    onset = Onset(NOW, 5.0, "watermark-lag", "Watermark lag")
    bad = made("image", "Deployment", QUANT, "image", at=NOW - 10, before="q@sha256:a", after="q@sha256:b")
    late = made("image", "Deployment", "m0-ingestor", "image", at=NOW + 120)
    evidence = Evidence(runbooks, Cluster(), {}, (), None, onset)
    first, second = ranked([late, bad], evidence)
    assert first.change is bad and first.explains and first.before_onset_s == 10.0
    assert second.score == 0.0 and second.why == "after it began"
    gone = made("image", "Deployment", QUANT, "image", at=NOW + 300, before="q@sha256:b", after="q@sha256:a")
    again = {one.change.at: one for one in ranked([bad, gone], evidence)}
    assert not again[bad.at].explains and "taken back since" in again[bad.at].why
