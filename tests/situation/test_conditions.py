"""Named conditions of the runbooks, measured: held, refuted or unknown, and by which figures."""

from __future__ import annotations

from typing import Any

import pytest

from cockpit.assessment.board import Board
from cockpit.assessment.verdicts.conditions import Conditions, Known, status_of
from cockpit.model.observed.cluster import Cluster, ContainerTemplate, EnvVar, ReplicaSet, Workload
from cockpit.model.observed.metrics import History, QueryResult, Sample
from cockpit.model.reading import Reading
from cockpit.model.runbook import Condition, Runbooks, Service
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import ConditionStatus, ToggleStatus
from cockpit.runbooks.schema import load
from cockpit.sources.inventory import Inventory
from cockpit.sources.values import Snapshot
from tests.support.kube_rig import status
from tests.support.samples.cluster import sample_workload

NAMESPACE, NOW = "m0-prod", 10_000.0


def known(
    *workloads: Workload,
    signals: tuple[SignalStatus, ...] = (),
    replicasets: tuple[ReplicaSet, ...] = (),
    toggles: tuple[ToggleStatus, ...] = (),
    services: dict[str, Service] | None = None,
    blind: bool = False,
    mono: float = 100.0,
    board: Board | None = None,
) -> Known:
    cluster = Cluster(
        workloads={(w.namespace, w.name): w for w in workloads},
        replicasets={(r.namespace, r.name): r for r in replicasets},
    )
    kinds: dict[str, Reading[Any]] = {}
    if not blind:
        for kind in ("deployments", "replicasets", "pods"):
            kinds[f"{kind}/{NAMESPACE}"] = Reading(f"kubernetes/{kind}/{NAMESPACE}", {}, mono)
    packaged: Runbooks = load()
    return Known(
        runbooks=packaged if services is None else Runbooks(**{**fields(packaged), "services": services}),
        signals={s.name: s for s in signals},
        toggles=toggles,
        kinds=kinds,
        namespaces=(NAMESPACE,),
        snapshot=Snapshot(board or Board(), cluster, Inventory(), NOW, mono),
        configured=frozenset({"kubernetes"}),
    )


def fields(runbooks: Runbooks) -> dict[str, Any]:
    return {name: getattr(runbooks, name) for name in runbooks.__struct_fields__}


def one(**keys: Any) -> Condition:
    return Condition(text="x", **keys)


BAD, WELL, DARK = status("a", Level.CRIT, 9.0), status("b"), status("c", Level.UNKNOWN, None, reason="stale")


@pytest.mark.parametrize(
    ("condition", "held", "figure"),
    [
        (one(signals=("b",)), True, "b 1 (ok)"),
        (one(signals=("a", "b")), False, "a 9 (crit)"),
        (one(signals=("a", "c")), False, "a 9 (crit)"),
        (one(signals=("b", "c")), None, "c unknown: stale"),
        (one(signals=("a",), at="warn"), True, "a 9 (crit)"),
        (one(signals=("a", "c"), at="warn"), None, "c unknown"),
        (one(signals=("nowhere",)), None, "nowhere unknown: not evaluated"),
        (one(one_of=("a", "c"), at="crit"), True, "a 9 (crit)"),
        (one(one_of=("b", "c"), at="warn"), None, "c unknown"),
        (one(one_of=("b",), at="warn"), False, "b 1 (ok)"),
    ],
)
def test_of_signals(condition: Condition, held: bool | None, figure: str) -> None:
    """A9: what is unknown never counts as held, and never as refuted."""
    found = status_of(condition, known(signals=(BAD, WELL, DARK)))
    assert found.held is held
    assert figure in found.because


def test_what_recovers_or_turns_bad_is_not_well() -> None:
    recovering = status("a", Level.RECOVERING)
    pending = status("b", pending=Level.CRIT)
    assert status_of(one(signals=("a",)), known(signals=(recovering,))).held is False
    assert status_of(one(signals=("b",)), known(signals=(pending,))).held is False


def test_of_a_time() -> None:
    """3.mitigation.4 "if the outage persists": it must have held for so long, without a break."""
    held = Conditions()
    name = "signer-outage-persists"
    well = status("signer-misses", Level.OK, 0.0, since=50.0)
    assert held.measure(known(signals=(well,), mono=90.0))[name].held is False

    def at(mono: float, level: Level) -> bool | None:
        signal = status("signer-misses", level, 14.0, since=100.0)
        return held.measure(known(signals=(signal,), mono=mono))[name].held

    assert at(150.0, Level.CRIT) is False
    assert at(699.0, Level.WARN) is False
    assert at(701.0, Level.CRIT) is True
    assert at(710.0, Level.OK) is False
    signal = status("signer-misses", Level.CRIT, 14.0, since=710.0)
    assert held.measure(known(signals=(signal,), mono=720.0))[name].held is False


def test_a_run_that_has_just_begun_does_not_know_for_how_long() -> None:
    """A one-shot run looks once: what it sees may have held for long, unless the history tells."""
    name, signal = "signer-outage-persists", status("signer-misses", Level.CRIT, 14.0, warn=1.0, crit=5.0, since=100.0)
    found = Conditions().measure(known(signals=(signal,), mono=103.0))[name]
    assert found.held is None and "3 s of 10 min at least" in found.because

    def by_history(*values: float) -> bool | None:
        points = tuple((NOW - 15.0 * ago, value) for ago, value in reversed(list(enumerate(values))))
        result = QueryResult((Sample({}, values[0]),), history=(History({}, points),), evaluated_at=NOW)
        board = Board()
        board.put(Reading("prometheus/signals/signer-misses", result, 102.0))
        return Conditions().measure(known(signals=(signal,), mono=103.0, board=board))[name].held

    assert by_history(*[14.0] * 45) is True
    assert by_history(*[14.0] * 20, 0.0) is False
    assert by_history(*[14.0] * 20) is None


def test_of_scaling() -> None:
    """3.mitigation.2 "if stateless and allowed"."""
    condition = one(scales="m0-signer-agent")
    agents = sample_workload(name="m0-signer-agent")
    assert status_of(condition, known(agents)).held is True
    assert status_of(condition, known(sample_workload(name="m0-signer-agent", kind="StatefulSet"))).held is False
    kept = status_of(condition, known(sample_workload(name="m0-signer-agent", claims=("keys",))))
    assert (kept.held, "volume keys" in kept.because) == (False, True)
    assert status_of(condition, known(agents, services={"m0-signer-agent": Service(scalable=False)})).held is False
    assert status_of(condition, known()).held is None
    assert status_of(condition, known(agents, blind=True)).held is None


def test_of_a_capability() -> None:
    """4.mitigation.1, 9.mitigation.3 "if supported": who does not say is unknown."""
    condition = one(capability="m0-submitter:chunked-reveal")

    def says(text: str) -> bool | None:
        return status_of(condition, known(sample_workload(annotations={"m0club.io/capabilities": text}))).held

    assert status_of(condition, known(sample_workload())).held is None
    assert says("a, chunked-reveal") is True
    assert says("") is False
    assert says("chunked-reveals") is False
    own = {"m0-submitter": Service(capabilities=("chunked-reveal",))}
    assert status_of(condition, known(sample_workload(), services=own)).held is True
    assert status_of(condition, known(sample_workload(), services={"m0-submitter": Service(capabilities=())})).held is (
        False
    )


def revision(number: int, version: str, created: float) -> ReplicaSet:
    template = ContainerTemplate("m0-quant", "q@sha256:1", (EnvVar("M0_MODEL_VERSION", version),))
    return ReplicaSet(
        uid=f"r{number}",
        namespace=NAMESPACE,
        name=f"m0-quant-{number}",
        owner_name="m0-quant",
        revision=number,
        created_at=created,
        desired=1,
        ready=1,
        images=("q@sha256:1",),
        containers=(template,),
    )


def test_of_a_release() -> None:
    """8.mitigation.3 "if the regression is confirmed": another model ran before, not long ago."""
    condition = one(changed="m0-quant:M0_MODEL_VERSION")
    quant = sample_workload(name="m0-quant")
    released = (revision(1, "2026.1", NOW - 9000), revision(2, "2026.2", NOW - 600))
    found = status_of(condition, known(quant, replicasets=released))
    assert (found.held, found.because) == (True, "M0_MODEL_VERSION was 2026.1 until 10 min ago")
    same = (revision(1, "2026.1", NOW - 9000), revision(2, "2026.1", NOW - 600))
    assert status_of(condition, known(quant, replicasets=same)).held is False
    old = (revision(1, "2026.1", NOW - 900_000), revision(2, "2026.2", NOW - 200_000))
    assert status_of(condition, known(quant, replicasets=old)).held is False
    assert status_of(condition, known(quant)).held is None


def test_of_what_is_set() -> None:
    """7.mitigation.2: fewer sources can be expected where one was taken out."""
    condition = one(sets="m0-ingestor:M0_CONNECTORS_DISABLED")

    def held(*env: EnvVar) -> bool | None:
        container = ContainerTemplate("m0-ingestor", "i", env)
        return status_of(condition, known(sample_workload(name="m0-ingestor", containers=(container,)))).held

    assert held() is False
    assert held(EnvVar("M0_CONNECTORS_DISABLED", "")) is False
    assert held(EnvVar("M0_CONNECTORS_DISABLED", "sports")) is True
    assert held(EnvVar("M0_CONNECTORS_DISABLED", None, "configmap x/y")) is None


def test_a_connector_that_nobody_has_takes_no_source_out() -> None:
    """7.mitigation.2: a name that is no connector's is none that is off."""
    condition = load().conditions["a-source-is-off"]

    def held(value: str, *reporting: str) -> ConditionStatus:
        container = ContainerTemplate("m0-ingestor", "i", (EnvVar("M0_CONNECTORS_DISABLED", value),))
        board = Board()
        result = QueryResult(tuple(Sample({"connector": each}, 1.0) for each in reporting))
        board.put(Reading("prometheus/queries/lag-by-connector", result, 99.0))
        workload = sample_workload(name="m0-ingestor", containers=(container,))
        return status_of(condition, known(workload, board=board), ("sports",))

    assert held("sports", "crypto").held is True, "it reported before it was taken out"
    assert held("nonsense,sports", "crypto").because.endswith("of which there is sports")
    assert held("nonsense", "crypto").held is None
    assert held("", "crypto").held is False


def test_of_a_toggle_and_of_a_value() -> None:
    toggle = load().toggles["M0_GUARDRAIL_POLICY_LEVEL"]
    condition = one(toggle="M0_GUARDRAIL_POLICY_LEVEL", values=("STRICT", "NORMAL"))

    def of(value: str | None, level: str = "usual") -> bool | None:
        said = ToggleStatus("M0_GUARDRAIL_POLICY_LEVEL", toggle, "m0-quant", value, level)
        return status_of(condition, known(toggles=(said,))).held

    assert (of("STRICT"), of("FAST"), of(None, "unknown"), of(None, "unset")) == (True, False, None, None)
    assert status_of(condition, known()).held is None
    assert status_of(one(value="kubernetes.unready", at_most=1.0), known()).held is None
    assert status_of(one(value="solana.behind", at_most=1.0), known()).because == "solana is not configured"
