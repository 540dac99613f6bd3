"""Toggles, canaries, releases and configurations: what the lines of control look at and offer."""

from __future__ import annotations

import json

import msgspec
import pytest

from cockpit.assessment.board import Board
from cockpit.assessment.toggles import beside_chain
from cockpit.kubeapi.shapes.managed import APPLIED
from cockpit.kubeapi.wire import ConfigMapW
from cockpit.mitigation.choices.live import choices
from cockpit.mitigation.choices.preset import defaults, presets
from cockpit.mitigation.planning.aim import aimed
from cockpit.mitigation.planning.planner import plan_request
from cockpit.mitigation.planning.stages import staged
from cockpit.mitigation.problem import PlanProblem
from cockpit.model.observed.chain import MarketState, SignerSetState
from cockpit.model.observed.cluster import Cluster, ConfigMap, ReplicaSet
from cockpit.model.observed.metrics import QueryResult, Sample
from cockpit.model.plan import Change, JournalLine
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.situation import Situation, ToggleStatus
from cockpit.runbooks.own_commands import with_commands
from cockpit.runbooks.schema import load
from cockpit.settings import MaintenanceSettings, Settings
from cockpit.sources.inventory import Inventory
from cockpit.sources.kubernetes.configmaps import configmap
from cockpit.sources.prometheus.values import collection_p95
from cockpit.sources.values import Snapshot, Value
from panels.dashboard.toggles import TogglesPanel
from tests.support.samples import situations
from tests.support.samples.cluster import sample_situation, sample_workload

PACKAGED = load()
PAUSE = "M0_MARKET_PAUSE_*"


def markets(*paused: str) -> Reading[dict[str, MarketState]]:
    names = ("NBA_A", "NBA_B", "ETH_C")
    return Reading("solana/markets", {n: MarketState(n, n, "sports", n not in paused, 3, 40) for n in names}, 1.0)


def pauses(solana: dict[str, Reading[dict[str, MarketState]]], name: str = PAUSE, value: str | None = None) -> str:
    status = ToggleStatus(name, PACKAGED.toggles[PAUSE], "m0-quant", value, "safest" if value else "unset")
    (found,) = beside_chain((status,), solana, True, 1.0)
    situation = situations.calm(toggles=(found,))
    lines = ["".join(text for text, *_ in line) for line in TogglesPanel().content(situation, 120)]
    return next(line for line in lines if "MARKET_PAUSE" in line)


def test_pauses_of_the_chain_stand_beside_the_toggle() -> None:
    """q.toggle.4: the registry pauses without a toggle; a chain that is not read is no "none"."""
    assert "chain: 2 of 3 paused (ETH_C, NBA_A)" in pauses({"markets": markets("NBA_A", "ETH_C")})
    assert "chain: none of 3 paused" in pauses({"markets": markets()})
    unread = Reading[dict[str, MarketState]]("solana/markets", fault=Fault(SourceState.DOWN, "refused", ""))
    assert "chain ?: " in pauses({"markets": unread})
    assert "true, chain: active" in pauses({"markets": markets()}, "M0_MARKET_PAUSE_NBA_A", "true")


def test_the_configured_canaries_are_what_re_enabling_starts_with() -> None:
    """2.validation.2: [maintenance] canary-markets is the first choice, and the default."""
    settings = Settings(maintenance=MaintenanceSettings(canary_markets=("NBA_A", "NBA_B")))
    _, step = with_commands(PACKAGED, settings).step("2", "pause-all-but-canary")
    situation = sample_situation(wall=1.0, mono=1.0, runbooks=PACKAGED, solana={"markets": markets()})
    (param,) = step.params
    offered = [value for value, _ in choices(param, PACKAGED, (), situation)]
    assert offered == ["NBA_A NBA_B", "ETH_C", "NBA_A", "NBA_B"]
    assert defaults(step, PACKAGED, situation) == presets(step, PACKAGED, (), situation) == {"canaries": "NBA_A NBA_B"}
    _, bare = PACKAGED.step("2", "pause-all-but-canary")
    assert defaults(bare, PACKAGED, situation) == {}


def revision(service: str, number: int, made: float, digit: str) -> ReplicaSet:
    image = f"ghcr.io/m0club/{service}@sha256:{digit * 64}"
    return ReplicaSet(f"{service}{number}", "m0-prod", f"{service}-{number}", service, number, made, 1, 1, (image,))


def released() -> Situation:
    """Of quant and aggregator two revisions each; the aggregator's second is the newest."""
    kept = [
        revision("m0-quant", 1, 1000.0, "a"),
        revision("m0-quant", 2, 2000.0, "b"),
        revision("m0-aggregator", 1, 1000.0, "c"),
        revision("m0-aggregator", 2, 9000.0, "d"),
    ]
    cluster = Cluster(
        workloads={("m0-prod", name): sample_workload(name=name) for name in ("m0-quant", "m0-aggregator")},
        replicasets={("m0-prod", one.name): one for one in kept},
    )
    return sample_situation(
        wall=1.0, mono=1.0, cluster=cluster, cluster_now=9600.0, runbooks=PACKAGED, namespaces=("m0-prod",)
    )


def test_a_release_of_any_service_is_rolled_back_and_the_newest_is_offered_first() -> None:
    """11.step.1, 11.step.2: the step takes its service from the image, or the revision, chosen."""
    situation = released()
    runbook, image = PACKAGED.step("11", "set-good-image")
    offered = [value for value, _ in choices(image.params[0], PACKAGED, (), situation)]
    assert [one.partition("@")[0].rpartition("/")[2] for one in offered][:3] == ["m0-aggregator"] * 2 + ["m0-quant"]
    assert offered[0].endswith("c" * 64), "the one before the newest release comes first"
    planned = plan_request(runbook, image, {"image": offered[0]}, PACKAGED, situation)
    assert planned.step is not None and planned.step.service == "m0-aggregator"
    unseen = f"ghcr.io/m0club/m0-quant@sha256:{'e' * 64}"
    assert aimed(image, {"image": unseen}, PACKAGED, situation).service == "m0-quant"
    with pytest.raises(PlanProblem, match="not clear"):
        aimed(image, {"image": f"ghcr.io/other/thing@sha256:{'e' * 64}"}, PACKAGED, situation)
    _, undo = PACKAGED.step("11", "undo-release")
    (first, *_) = [value for value, _ in choices(undo.params[0], PACKAGED, (), situation)]
    assert first == "m0-aggregator:1" and aimed(undo, {"revision": first}, PACKAGED, situation).service == first[:-2]
    stop, _, start = staged(image)
    assert [aimed(one, {"image": offered[0]}, PACKAGED, situation).service for one in (stop, start)] == [
        "m0-aggregator"
    ] * 2


def configured(data: dict[str, str], applied: dict[str, str] | None = None) -> ConfigMap:
    manager = {"manager": "kubectl-edit", "time": "1970-01-01T02:36:40Z", "fieldsV1": {"f:data": {"f:shard": {}}}}
    wire_ = {
        "metadata": {
            "name": "m0-engine-config",
            "namespace": "m0-prod",
            "creationTimestamp": "1970-01-01T00:00:00Z",
            "managedFields": [manager],
            "annotations": {APPLIED: json.dumps({"data": applied})} if applied is not None else {},
        },
        "data": data,
    }
    return configmap(msgspec.convert(wire_, ConfigMapW))


def test_a_key_that_changed_is_offered_with_what_it_held_and_where_that_is_known_from() -> None:
    """11.step.3: last applied, our journal, usual; what was only written is said to be unknown."""
    change = Change("shard", "4", "8")
    line = JournalLine(
        number=7,
        wall=1.0,
        operator="a",
        title="t",
        target="drill / m0-prod / ConfigMap m0-engine-config",
        outcome="sent",
        changes=(change,),
        undoable=True,
    )
    data = {"feature_batch": "512", "shard": "8", "fan_out": "3"}

    def offered(config: ConfigMap, *journal: JournalLine) -> dict[str, list[tuple[str, str]]]:
        cluster = Cluster(configmaps={("m0-prod", config.name): config})
        situation = sample_situation(
            wall=1.0,
            mono=1.0,
            cluster=cluster,
            cluster_now=10000.0,
            runbooks=PACKAGED,
            namespaces=("m0-prod",),
            journal=journal,
        )
        _, step = PACKAGED.step("11", "rollback-config")
        return {param.name: choices(param, PACKAGED, (), situation) for param in step.params}

    found = offered(configured(data, {"feature_batch": "16", "shard": "8", "fan_out": "2", "gone": "x"}), line)
    assert [key for key, _ in found["key"]] == ["fan_out", "feature_batch", "gone", "shard"]
    assert ("2", "fan_out: last applied") in found["value"] and ("x", "gone: last applied") in found["value"]
    assert ("16", "feature_batch: last applied, usual") in found["value"]
    assert ("4", "shard: before journal 7") in found["value"]
    bare = offered(configured({"feature_batch": "16", "shard": "8", "fan_out": "3"}))
    assert bare["value"] == []
    assert bare["key"] == [("shard", "8; before: not known; written 10:00 ago by kubectl-edit")]


def collection(by_signer: dict[str, float], threshold: int | None = 5) -> Value:
    board = Board()
    samples = tuple(Sample({"signer": name}, value) for name, value in by_signer.items())
    board.put(Reading("prometheus/queries/signer-p95", QueryResult(samples), 1.0))
    if threshold is not None:
        held = SignerSetState("a", 100, threshold, tuple(map(str, range(7))), True, 1, 2)
        board.put(Reading("solana/signer-set", held, 1.0))
    return collection_p95(Snapshot(board, Cluster(), Inventory(), 1.0, 1.0))


def test_a_collection_is_as_slow_as_the_last_signature_that_it_needs() -> None:
    """3.validation.2: not the p95 of the agents that answer, of which four of seven may be dead."""
    fast = {f"s{n}": 100.0 + n for n in range(4)}
    assert collection({**fast, "s4": 900.0, "s5": 2000.0}).number == 900.0
    dead = collection({"s0": 100.0, "s1": 101.0, "s2": 102.0, "s3": float("nan")})
    assert dead.number is None and dead.reason == "3 agents signed, 5 needed"
    assert collection({**fast, "s4": 900.0}, threshold=4).number == 103.0
    blind = collection({**fast, "s4": 900.0}, threshold=None)
    assert blind.number == 900.0 and blind.labels == {"agents": "the slowest of 5: the threshold is not known"}
