"""Situations as an operator meets them: calm, an RPC outage, stale sources, denied rights, ten
thousand pods.

All values fixed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from cockpit.model.observed.chain import (
    Disagreement,
    EndpointStatus,
    FailureClass,
    PendingCommit,
    ProgramActivity,
    ProtocolState,
    Rate,
    Reveal,
    SignerSetState,
)
from cockpit.model.observed.cluster import Cluster, Container, ContainerTemplate, Pod, Workload
from cockpit.model.observed.crosscheck import RateMismatch, SetDifference, SignerSetCheck
from cockpit.model.observed.metrics import Alert, History, QueryResult, Sample
from cockpit.model.observed.probe import Certificate, Certificates, MarketOutput, ProbeStatus, SignerReport
from cockpit.model.plan import (
    Change,
    Debt,
    DryRun,
    DryRunState,
    Gauge,
    Inverse,
    JournalLine,
    Phase,
    Plan,
    Progress,
    Proof,
    Request,
    Rollout,
    Target,
    Unfinished,
)
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Match, Query, Runbook, Runbooks, Severity, Symptom, SymptomStatus, Toggle
from cockpit.model.signal import Level, SignalStatus, StageStatus
from cockpit.model.situation import ServiceStatus, Situation, SourceLight, ToggleStatus
from tests.support.readings import as_of
from tests.support.samples.cluster import sample_pod, sample_workload

WALL = 1_790_000_000.0
MONO = 5000.0
NAMESPACE = "m0-prod"
DAY = 86_400.0

UNITS = {
    "signer-p50": "ms",
    "signer-p95": "ms",
    "signer-errors": "/min",
    "signer-misses": "/min",
    "lag-by-connector": "s",
    "coverage-by-domain": "",
    "connector-errors": "/min",
    "connector-errors-by-reason": "/min",
    "poll-latency": "ms",
    "eventlog-backlog": "events",
    "ingest-rate": "/s",
    "commits-ok": "/min",
    "commits-failed": "/min",
    "reveals-ok": "/min",
    "reveals-failed": "/min",
    "reveal-failures": "/min",
    "publish-success": "ratio",
    "rpc-error-ratio": "ratio",
    "rpc-confirm-p95": "ms",
    "guardrail-decisions": "/min",
    "guardrail-reasons": "/min",
    "divergence-by-source": "/min",
    "drift-by-model": "",
    "ece-by-model": "",
    "api-5xx-ratio": "ratio",
    "api-p95": "ms",
    "output-age": "s",
    "output-epoch": "",
}

SIZES = {
    "m0-ingestor": 4,
    "m0-aggregator": 2,
    "m0-quant": 2,
    "m0-signer-agent": 7,
    "m0-submitter": 1,
    "m0-reconciler": 1,
    "m0-api-gateway": 3,
    "m0-realtime": 2,
}


# --- Kubernetes -----------------------------------------------------------------------------------


def pod(service: str, number: int = 0, *, uid: str = "", name: str = "", age_s: float = 4 * DAY, **changes: Any) -> Pod:
    name = name or f"{service}-7c9d8f6b5-{_suffix(number)}"
    usual = {
        "uid": uid or name,
        "namespace": NAMESPACE,
        "created_at": WALL - age_s,
        "owner_name": f"{service}-7c9d8f6b5",
        "service": service,
        "node": "node-1",
        "containers": (Container(service, ready=True, phase="running"),),
    }
    return sample_pod(name=name, **{**usual, **changes})


def crashing(service: str, number: int = 0, message: str = "exit 1: BlockhashExpired", **changes: Any) -> Pod:
    return pod(service, number, ready=0, restarts=6, reason="CrashLoopBackOff", message=message, age_s=720, **changes)


def cluster(pods: Sequence[Pod]) -> Cluster:
    names = dict.fromkeys([*SIZES, *(p.service for p in pods)])
    workloads = {(NAMESPACE, name): _workload(name, SIZES.get(name, 1)) for name in names}
    return Cluster(pods={p.uid: p for p in pods}, workloads=workloads)


def services(pods: Sequence[Pod]) -> tuple[ServiceStatus, ...]:
    by_service: dict[str, list[Pod]] = {}
    for one in pods:
        by_service.setdefault(one.service, []).append(one)
    out = []
    for name, members in by_service.items():
        bad = [p for p in members if not p.healthy]
        level = "ok" if not bad else "crit" if len(bad) == len(members) else "warn"
        why = "" if not bad else f"{len(bad)} of {len(members)} not ready: {bad[0].reason}"
        members.sort(key=lambda p: (p.healthy, p.name))
        out.append(
            ServiceStatus(
                name=name,
                namespace=NAMESPACE,
                kind="Deployment",
                ready=len(members) - len(bad),
                desired=len(members),
                restarts=sum(p.restarts for p in members),
                age_s=4 * DAY,
                why=why,
                level=level,
                pods=tuple(p.uid for p in members),
            )
        )
    return tuple(sorted(out, key=lambda s: (-Level(s.level).rank, s.name)))


def fleet(*broken: Pod) -> list[Pod]:
    replaced = {p.name for p in broken}
    pods = [pod(service, i) for service, n in SIZES.items() for i in range(n)]
    return [p for p in pods if p.name not in replaced] + list(broken)


def _workload(name: str, replicas: int) -> Workload:
    return sample_workload(
        uid=f"uid-{name}",
        namespace=NAMESPACE,
        name=name,
        created_at=WALL - 4 * DAY,
        desired=replicas,
        replicas=replicas,
        ready=replicas,
        updated=replicas,
        available=replicas,
        strategy="RollingUpdate",
        max_surge="25%",
        max_unavailable="25%",
        containers=(ContainerTemplate(name, "m0/x"),),
    )


def _suffix(number: int) -> str:
    letters = "bcdfghjklmnpqrstvwxz2456789"
    return "".join(letters[(number * 7919 // 27**i + i * 5) % 27] for i in range(5))


def _struct(value: Any, **changes: Any) -> Any:
    return type(value)(**{**{name: getattr(value, name) for name in value.__struct_fields__}, **changes})


# --- metrics --------------------------------------------------------------------------------------


def wave(level: float, swing: float, number: int = 90) -> list[float]:
    return [level + swing * math.sin(i * 0.7) for i in range(number)]


def result(
    samples: Mapping[Any, float] | float | None, label: str | tuple[str, ...] = "", past: Sequence[float] = ()
) -> QueryResult:
    rows: list[Sample] = []
    if isinstance(samples, Mapping):
        for key, number in samples.items():
            names = (label,) if isinstance(label, str) else label
            keys = (key,) if isinstance(key, str) else key
            rows.append(Sample(dict(zip(names, keys, strict=True)), number))
    elif samples is not None:
        rows.append(Sample({}, samples))
    points = tuple((WALL - 10.0 * (len(past) - i), v) for i, v in enumerate(past))
    return QueryResult(tuple(rows), (), (History({}, points),) if points else (), WALL)


def queries(**changes: QueryResult) -> dict[str, QueryResult]:
    signers = {str(i): 58.0 + 3 * i for i in range(7)}
    base = {
        "signer_p50": result(signers, "signer"),
        "signer_p95": result({k: v * 2 + 22 for k, v in signers.items()}, "signer"),
        "signer_errors": result(dict.fromkeys(signers, 0.0), "signer"),
        "signer_misses": result(0.0),
        "lag_by_connector": result({"sports": 1.2, "politics": 0.9, "macro": 0.7, "crypto": 0.4}, "connector"),
        "coverage_by_domain": result({"sports": 0.97, "politics": 0.98, "macro": 0.99, "crypto": 0.97}, "domain"),
        "connector_errors": result({"sports": 0.0, "politics": 0.0, "macro": 0.0, "crypto": 0.0}, "connector"),
        "connector_errors_by_reason": result({}, ("connector", "reason")),
        "poll_latency": result({"sports": 210.0, "politics": 180.0, "macro": 340.0, "crypto": 95.0}, "connector"),
        "eventlog_backlog": result({"events": 310.0, "features": 42.0}, "topic"),
        "ingest_rate": result({"sports": 820.0, "politics": 140.0, "macro": 60.0, "crypto": 1900.0}, "connector"),
        "commits_ok": result(118.0, past=wave(118, 3)),
        "commits_failed": result(0.0),
        "reveals_ok": result(118.0, past=wave(118, 3)),
        "reveals_failed": result(0.0),
        "reveal_failures": result({}, "reason"),
        "publish_success": result(0.998, past=wave(0.998, 0.001)),
        "rpc_error_ratio": result({"rpc-a": 0.002, "rpc-b": 0.001}, "endpoint"),
        "rpc_confirm_p95": result({"rpc-a": 900.0, "rpc-b": 870.0}, "endpoint"),
        "guardrail_decisions": result({"ALLOW": 118.0, "DEGRADE": 0.0, "BLOCK": 0.0}, "decision"),
        "guardrail_reasons": result({}, "reason"),
        "divergence_by_source": result({}, ("source", "level")),
        "drift_by_model": result({"sports-elo": 0.11, "macro-nowcast": 0.07, "crypto-vol": 0.05}, "model"),
        "ece_by_model": result({"sports-elo": 0.021, "macro-nowcast": 0.018, "crypto-vol": 0.03}, "model"),
        "api_5xx_ratio": result(0.001, past=wave(0.001, 0.0005)),
        "api_p95": result(88.0, past=wave(88, 6)),
        "output_age": result({"nba-finals": 4.0, "us-senate": 3.2, "cpi-yoy": 2.9, "btc-weekly": 3.8}, "market"),
        "output_epoch": result(
            {"nba-finals": 88121.0, "us-senate": 88121.0, "cpi-yoy": 88120.0, "btc-weekly": 88121.0}, "market"
        ),
    }
    return {name.replace("_", "-"): value for name, value in {**base, **changes}.items()}


def readings(
    results: Mapping[str, QueryResult], age_s: float = 3.0, fault: Fault | None = None
) -> dict[str, Reading[QueryResult]]:
    return {
        name: Reading(
            topic=f"prometheus/queries/{name}",
            data=data,
            observed_at=MONO - age_s,
            took_s=0.02,
            fault=fault,
            max_age_s=30.0,
        )
        for name, data in results.items()
    }


def signal(
    name: str, title: str, value: float | None, unit: str = "", level: Level = Level.OK, **more: Any
) -> SignalStatus:
    past = more.pop("spark", tuple(wave(value, abs(value) * 0.1, 60)) if value is not None else ())
    more.setdefault("age_s", 3.0)
    more.setdefault("since", MONO - 140)
    return SignalStatus(name, title, level, value, unit, spark=tuple(past), **more)


def signals(*changes: SignalStatus) -> dict[str, SignalStatus]:
    rate: dict[str, Any] = {"direction": "below", "baseline": 118.0, "warn": 82.6, "crit": 35.4}
    base = [
        signal("output-age", "Age of the oldest output served", 4.0, "s", warn=30.0, crit=60.0),
        signal("epoch-progress", "New epochs or ticks served, 2 min", 4.0, direction="below", warn=1.0, crit=0.0),
        signal("publish-success", "Publish success", 99.8, "%", direction="below", warn=99.0, crit=95.0),
        signal("commit-rate", "Commits confirmed", 118.0, "/min", **rate),
        signal("reveal-rate", "Reveals confirmed", 118.0, "/min", **rate),
        signal("reveal-failures", "Reveals failed", 0.0, "/min", warn=6.0, crit=30.0),
        signal("signer-p95", "Signature collection p95", 180.0, "ms", warn=500.0, crit=1000.0),
        signal("signer-misses", "Signer threshold misses", 0.0, "/min", warn=1.0, crit=10.0),
        signal("rpc-errors", "RPC errors", 0.2, "%", warn=5.0, crit=20.0),
        signal("rpc-confirm", "RPC confirmation p95", 900.0, "ms", warn=2000.0, crit=4000.0),
        signal("guardrail-blocks", "Guardrail BLOCKs", 0.0, "/min", warn=2.0, crit=12.0),
        signal("invalid-signatures", "Reveals rejected for their signature, 5 min", 0.0, warn=0.5, crit=1.0),
        signal("watermark-lag", "Watermark lag, worst connector", 1.2, "s", warn=10.0, crit=60.0),
        signal("coverage", "Coverage, worst domain", 0.97, direction="below", warn=0.85, crit=0.5),
        signal("eventlog-backlog", "Event log backlog, worst topic", 310.0, "events", warn=5000.0, crit=50000.0),
        signal("connector-errors", "Connector errors, worst connector", 0.0, "/min", warn=10.0, crit=60.0),
        signal("ingest-saturation", "Ingest workers busy", 41.0, "%", warn=85.0, crit=95.0),
        signal("api-5xx", "API 5xx", 0.1, "%", warn=1.0, crit=5.0),
        signal("api-latency", "API latency p95", 88.0, "ms", warn=500.0, crit=2000.0),
        signal("submitter-ready", "Submitter ready", 1.0, direction="below", warn=0.9, crit=0.0),
        signal("signer-ready", "Signer agents ready", 7.0, direction="below", warn=6.0, crit=4.0),
        signal("pods-unready", "Pods not ready", 0.0, warn=1.0, crit=5.0),
    ]
    return {s.name: s for s in [*base, *changes]}


def stages(by_name: Mapping[str, SignalStatus]) -> tuple[StageStatus, ...]:
    plan = {
        "ingest": ("watermark-lag", "eventlog-backlog"),
        "aggregate": ("coverage",),
        "quant": ("guardrail-blocks",),
        "sign": ("signer-p95", "signer-misses"),
        "commit": ("commit-rate", "rpc-errors", "rpc-confirm"),
        "reveal": ("reveal-rate", "reveal-failures", "publish-success"),
        "serve": ("output-age", "api-5xx"),
    }
    out: list[StageStatus] = []
    stopped = False
    for name, wanted in plan.items():
        found = tuple(by_name[n] for n in wanted)
        level = max((s.level for s in found), key=lambda item: item.rank)
        out.append(StageStatus(name, level, found[0], found, stops_here=level is not Level.OK and not stopped))
        stopped = stopped or level is not Level.OK
    return tuple(out)


# --- the rest -------------------------------------------------------------------------------------


def runbooks() -> Runbooks:
    return Runbooks(
        queries={name: Query(promql="x", unit=unit) for name, unit in UNITS.items()},
        signals={},
        stages=(),
        services={},
        toggles={},
        runbooks=(),
    )


def match(number: int, title: str, *held: bool | None, severity: Severity = "SEV1") -> Match:
    symptoms = tuple(
        SymptomStatus(Symptom(item=f"{number}.symptom.{i}", text="…", signal="output-age"), state)
        for i, state in enumerate(held, 1)
    )
    count = sum(h is True for h in held)
    return Match(
        runbook=Runbook(id=f"book-{number}", number=number, title=title, severity=severity),
        symptoms=symptoms,
        held=count,
        unknown=sum(h is None for h in held),
        total=len(held),
        score=count / len(held),
    )


def toggles(rpc: str = "https://rpc-a.drill.m0club.example/***", level: str = "STRICT") -> tuple[ToggleStatus, ...]:
    def toggle(name: str, on: str, value: str | None, state: str, **rest: Any) -> ToggleStatus:
        return ToggleStatus(name, Toggle(deployments=(on,), **rest), on, value, state)

    return (
        toggle("M0_PUBLISH_ENABLED", "m0-submitter", "true", "usual", usual="true", safest="false"),
        toggle("M0_ACTIVE_SIGNER_SET_ID", "m0-submitter", "100", "usual"),
        toggle("SOLANA_RPC_URL", "m0-submitter", rpc, "usual", url=True),
        toggle(
            "M0_GUARDRAIL_POLICY_LEVEL",
            "m0-quant",
            level,
            "safest" if level == "STRICT" else "differs",
            usual="STRICT",
            safest="STRICT",
        ),
        toggle("M0_PUBLISH_CONCURRENCY", "m0-submitter", "4", "usual", usual="4"),
        toggle("M0_POLL_INTERVAL_MS", "m0-ingestor", "1000", "usual", usual="1000"),
        toggle("M0_CONNECTORS_DISABLED", "m0-ingestor", "", "usual", usual=""),
        toggle("M0_POSTGRES_URL", "m0-aggregator", "secret m0-postgres/url", "usual", secret=True),
        toggle("M0_MARKET_PAUSE_NBA", "m0-quant", None, "unset"),
    )


def kinds(age_s: float = 1.0, **faults: Fault) -> dict[str, Reading[Any]]:
    names = ("pods", "deployments", "statefulsets", "replicasets", "events", "horizontalpodautoscalers", "configmaps")
    return {
        f"{n}/{NAMESPACE}": Reading(
            topic=f"kubernetes/{n}/{NAMESPACE}",
            data=None if n in faults else {},
            observed_at=MONO - age_s,
            took_s=0.0,
            fault=faults.get(n),
            max_age_s=15.0,
        )
        for n in names
    }


def lights(k8s: SourceState = SourceState.LIVE, prom: SourceState = SourceState.LIVE) -> tuple[SourceLight, ...]:
    return (
        SourceLight("k8s", k8s, 1.0),
        SourceLight("prom", prom, 3.0),
        SourceLight("rpc", SourceState.LIVE, 1.0),
        SourceLight("pg", SourceState.OFF, None, "not configured"),
        SourceLight("probes", SourceState.LIVE, 2.0),
    )


def plan(title: str = "Switch RPC endpoint", target: str = "m0-submitter") -> Plan:
    return Plan(
        id="p31",
        runbook="publishing-stops",
        runbook_number=1,
        step="switch-rpc",
        item="1.mitigation.A",
        title=title,
        kind="set-env",
        target=Target(
            context="prod-eu",
            namespace=NAMESPACE,
            kind="Deployment",
            name=target,
            uid=f"uid-{target}",
            container=target,
        ),
        resource_version="7",
        generation=3,
        relevant={},
        changes=(Change("SOLANA_RPC_URL", "https://rpc-a…/***", "https://rpc-b…/***"),),
        request=Request("PATCH", "/apis", {}, "application/json", "{}"),
        kubectl="kubectl …",
        inverse=Inverse("set-env", {}, "set SOLANA_RPC_URL back", "kubectl …"),
        blast=(),
        dangerous=False,
        danger_reasons=(),
        relaxes=False,
        dry_run=DryRun(DryRunState.OK),
        guards=(),
        parameters={},
        created_wall=WALL - 60,
        created_mono=MONO - 60,
    )


def proving(proof: Proof = Proof.PENDING, phase: Phase = Phase.VERIFYING) -> Progress:
    gauges = (
        Gauge(
            text="commit success rate rises",
            signal="commit-rate",
            proof=Proof.PENDING,
            value=64.0,
            unit="/min",
            baseline=31.0,
            held_s=12.0,
            hold_s=30.0,
        ),
        Gauge(
            text="reveal success rate rises",
            signal="reveal-rate",
            proof=Proof.PASS,
            value=61.0,
            unit="/min",
            baseline=3.0,
            held_s=30.0,
            hold_s=30.0,
        ),
        Gauge(
            text="new epochs are served",
            signal="epoch-progress",
            proof=Proof.UNKNOWN,
            value=None,
            unit="",
            baseline=0.0,
            held_s=0.0,
            hold_s=30.0,
            reason="no answer for 40 s",
        ),
    )
    ended = MONO - 5 if phase is Phase.DONE else None
    return Progress(
        plan=plan(),
        phase=phase,
        journal=31,
        words="",
        started_mono=MONO - 48,
        answered_s=0.05,
        rollout=Rollout(done=True, failed=False, words="successfully rolled out", updated=1, desired=1, terminating=0),
        gauges=gauges,
        proof=proof,
        ended_mono=ended,
    )


def journal() -> tuple[JournalLine, ...]:
    return (
        JournalLine(
            number=31,
            wall=WALL - 48,
            operator="ops1",
            title="Switch RPC endpoint",
            target="deployment m0-submitter",
            outcome="sent",
            undoable=True,
        ),
        JournalLine(
            number=30,
            wall=WALL - 900,
            operator="ops1",
            title="Scale ingestors",
            target="deployment m0-ingestor",
            outcome="verified: pass",
            changes=(Change("replicas", "4", "8"),),
            undoable=True,
        ),
        JournalLine(
            number=29,
            wall=WALL - 1500,
            operator="ops2",
            title="Restart signers",
            target="deployment m0-signer-agent",
            outcome="rejected: deployments is forbidden",
        ),
    )


# --- chain and probes -----------------------------------------------------------------------------

KEYS = tuple(f"{c}{'9xQeWvG816bUx9EPjHmaT23yvVM2ZWbrrpZb9Pusa'}" for c in "ABCDEFG")
CONFIGURED = frozenset({"kubernetes", "prometheus", "solana", "probes"})


def endpoint(name: str, **more: Any) -> EndpointStatus:
    base = {
        "health": "ok",
        "slot": 88_214,
        "behind": 0,
        "latency_p50_ms": 40.0,
        "latency_p95_ms": 91.0,
        "requests": 240,
        "error_ratio": 0.0,
    }
    return EndpointStatus(name, f"{name}.example", **{**base, **more})


def rate(per_minute: float, **more: Any) -> Rate:
    return Rate(
        int(per_minute * 7), per_minute, 88_210, tuple((WALL - 10.0 * (60 - i), per_minute) for i in range(60)), **more
    )


def pending(n: int, overdue: int) -> PendingCommit:
    return PendingCommit(
        market=f"market-{n}",
        epoch=f"Epoch{n}",
        commit_hash=f"{n:02x}" * 32,
        signature=f"5Sig{n}" + "x" * 60,
        slot=80_000 + n,
        reveal_after_slot=80_010 + n,
        overdue_slots=overdue,
    )


def program(commits: float = 118.0, reveals: float = 118.0, **more: Any) -> ProgramActivity:
    base = {
        "slot": 88_214,
        "commits": rate(commits),
        "reveals": rate(reveals),
        "pending": (pending(1, -4),),
        "pending_total": 2,
        "last_reveal": Reveal(
            market="nba-finals",
            epoch="Epoch9",
            bundle_hash="ab" * 32,
            sequence=42,
            slot=88_210,
            signature="3Sig" + "y" * 60,
        ),
    }
    return ProgramActivity("M0Prog1111", "rpc-b", WALL - 420, **{"complete": True, **base, **more})


def on_board(prefix: str, age_s: float = 1.0, fault: Fault | None = None, **data: Any) -> dict[str, Reading[Any]]:
    """`endpoint__rpc_a=…` → topic "endpoint/rpc-a"."""
    named = {name.replace("__", "/").replace("_", "-"): value for name, value in data.items()}
    return {
        t: Reading(
            topic=f"{prefix}/{t}", data=value, observed_at=MONO - age_s, took_s=0.02, fault=fault, max_age_s=15.0
        )
        for t, value in named.items()
    }


def solana(**changes: Any) -> dict[str, Reading[Any]]:
    base = {
        "endpoint__rpc_a": endpoint("rpc-a", streaming=True),
        "endpoint__rpc_b": endpoint("rpc-b", behind=2),
        "program": program(),
        "protocol": ProtocolState(
            address="Proto1",
            paused=False,
            authority="Auth1",
            next_signer_set_id=101,
            default_reveal_delay_slots=10,
            slot=88_214,
        ),
        "signer_set": SignerSetState(
            address="Set1", signer_set_id=100, threshold=5, pubkeys=KEYS, active=True, created_at_slot=1, slot=88_214
        ),
    }
    return on_board("solana", **{**base, **changes})


def output(market: str, age_s: float, epoch: int = 88_121) -> MarketOutput:
    return MarketOutput(
        market=market,
        epoch=epoch,
        tick=42,
        as_of=WALL - age_s,
        age_s=age_s,
        status=200,
        took_ms=31.0,
        advanced_at=MONO - age_s,
    )


def probes(**changes: Any) -> dict[str, Reading[Any]]:
    ages = {"nba-finals": 4.0, "us-senate": 3.2, "cpi-yoy": 2.9, "btc-weekly": 3.8}
    base: dict[str, Any] = {f"output__{name}": output(name, age_s) for name, age_s in ages.items()}
    for service in ("m0-api-gateway", "m0-realtime"):
        for check in ("healthz", "readyz"):
            base[f"{service}__{check}"] = ProbeStatus(
                service=service, check=check, ok=True, status=200, took_ms=12.0, words="ok"
            )
    base["signers"] = {f"signer-{n}": SignerReport(f"signer-{n}", key, "100", True) for n, key in enumerate(KEYS)}
    base["certificates"] = Certificates(
        {"api.m0club.example": Certificate("api.m0club.example", "api", "CA", WALL + 60 * DAY, 60.0)}
    )
    return on_board("probes", **{**base, **changes})


def agreed() -> SignerSetCheck:
    return SignerSetCheck("100", 5, 7, ("chain", "agents", "cluster"))


# --- situations -----------------------------------------------------------------------------------


def calm(**changes: Any) -> Situation:
    pods = fleet()
    by_name = signals()
    base = Situation(
        wall=WALL,
        mono=MONO,
        context="prod-eu",
        namespaces=(NAMESPACE,),
        production=True,
        read_only=False,
        cluster=cluster(pods),
        cluster_now=WALL,
        services=services(pods),
        kinds=kinds(),
        queries=readings(queries()),
        alerts=(),
        sources=lights(),
        signals=by_name,
        stages=stages(by_name),
        matches=(match(1, "Publishing stops", False, False, False), match(6, "Watermark lag", False, False)),
        toggles=toggles(),
        runbooks=runbooks(),
        solana=solana(),
        probes=probes(),
        configured=CONFIGURED,
        signer_set=agreed(),
    )
    return replace(base, **changes)


def rpc_outage(**changes: Any) -> Situation:
    """rpc-a answers 38 % errors; a mitigation is proving itself."""
    fall = [118.0] * 50 + [118 - 2.2 * i for i in range(40)]
    rate: dict[str, Any] = {"direction": "below", "baseline": 118.0, "warn": 82.6, "crit": 35.4}
    by_name = signals(
        signal(
            "commit-rate",
            "Commits confirmed",
            31.0,
            "/min",
            Level.CRIT,
            reason="31 at or below 35 (0.3 × usual)",
            spark=fall,
            **rate,
        ),
        signal(
            "reveal-rate",
            "Reveals confirmed",
            3.0,
            "/min",
            Level.CRIT,
            reason="3 at or below 35 (0.3 × usual)",
            spark=[118.0] * 40 + [max(3.0, 118 - 5 * i) for i in range(50)],
            **rate,
        ),
        signal("rpc-errors", "RPC errors", 38.0, "%", Level.CRIT, reason="38 at or above 20", warn=5.0, crit=20.0),
        signal(
            "rpc-confirm",
            "RPC confirmation p95",
            4100.0,
            "ms",
            Level.CRIT,
            reason="4.1s at or above 4s",
            warn=2000.0,
            crit=4000.0,
        ),
        signal(
            "output-age",
            "Age of the oldest output served",
            51.0,
            "s",
            Level.WARN,
            reason="51 at or above 30",
            warn=30.0,
            crit=60.0,
            worst_labels={"market": "nba-finals"},
            spark=[4.0] * 50 + [4 + 1.2 * i for i in range(40)],
        ),
        signal(
            "publish-success",
            "Publish success",
            21.0,
            "%",
            Level.CRIT,
            direction="below",
            warn=99.0,
            crit=95.0,
            reason="21 at or below 95",
        ),
        signal(
            "api-latency",
            "API latency p95",
            88.0,
            "ms",
            warn=500.0,
            crit=2000.0,
            pending=Level.WARN,
            reason="for 9 of 15 s",
        ),
        signal(
            "ingest-saturation",
            "Ingest workers busy",
            None,
            "%",
            Level.UNKNOWN,
            reason="the query has no samples",
            warn=85.0,
            crit=95.0,
        ),
    )
    pods = fleet(crashing("m0-submitter"), crashing("m0-quant", 1, message="model registry: connection refused"))
    changed = queries(
        commits_ok=result(31.0, past=fall),
        commits_failed=result(12.0),
        reveals_ok=result(3.0, past=[118.0] * 40 + [max(3.0, 118 - 5 * i) for i in range(50)]),
        reveals_failed=result(109.0),
        reveal_failures=result({"BlockhashNotFound": 109.0, "timeout": 4.2}, "reason"),
        publish_success=result(0.21, past=[0.998] * 50 + [0.99 - 0.0195 * i for i in range(40)]),
        rpc_error_ratio=result({"rpc-a": 0.38, "rpc-b": 0.001}, "endpoint"),
        rpc_confirm_p95=result({"rpc-a": 4100.0, "rpc-b": 870.0}, "endpoint"),
        output_age=result({"nba-finals": 51.0, "us-senate": 3.2, "cpi-yoy": math.nan, "btc-weekly": 33.8}, "market"),
        guardrail_decisions=result({"ALLOW": 112.0, "DEGRADE": 4.0, "BLOCK": 0.0}, "decision"),
        guardrail_reasons=result({"divergence": 4.0}, "reason"),
        divergence_by_source=result({("exchange-b", "warn"): 4.0}, ("source", "level")),
    )
    base = calm(
        cluster=cluster(pods),
        services=services(pods),
        queries=readings(changed),
        signals=by_name,
        stages=stages(by_name),
        matches=(
            match(1, "Publishing stops", True, True, True),
            match(4, "Commit succeeds, reveal fails", True, False),
            match(6, "Watermark lag grows or coverage drops", False, None),
        ),
        solana=solana(
            endpoint__rpc_a=endpoint(
                "rpc-a", health="behind by 214 slots", behind=214, latency_p95_ms=4100.0, error_ratio=0.38, throttled=12
            ),
            endpoint__rpc_b=endpoint("rpc-b", streaming=True),
            endpoint__rpc_c=endpoint("rpc-c", foreign=True, cluster="devnet", behind=None),
            program=program(
                31.0,
                64.0,
                pending=tuple(pending(n, 1904 - 40 * n) for n in range(12)),
                pending_total=231,
                overdue_total=220,
                failures=(
                    FailureClass(
                        name="BlockhashNotFound",
                        code=None,
                        instruction="RevealPrediction",
                        count=763,
                        per_minute=109.0,
                        runbook=4,
                        last_signature="4Fail" + "z" * 60,
                        last_slot=88_200,
                    ),
                    FailureClass(
                        name="SignatureVerificationFailed",
                        code=6018,
                        instruction="RevealPrediction",
                        count=2,
                        per_minute=0.0,
                        runbook=2,
                        last_signature="4Gone" + "z" * 60,
                        last_slot=88_000,
                    ),
                ),
            ),
            disagreements=(Disagreement("commits", "rpc-a says 8 in the last minute, rpc-b 31"),),
        ),
        probes=probes(
            output__nba_finals=output("nba-finals", 49.0),
            output__btc_weekly=output("btc-weekly", 33.0),
            m0_api_gateway__readyz=ProbeStatus(
                service="m0-api-gateway",
                check="readyz",
                ok=False,
                status=503,
                took_ms=8.0,
                words="HTTP 503: outputs are stale",
            ),
            certificates=Certificates(
                {"api.m0club.example": Certificate("api.m0club.example", "api", "CA", WALL + 5 * DAY, 5.0)}
            ),
        ),
        mismatches=(
            RateMismatch("reveals", 3.0, 64.0, MONO - 22, "reveals: the chain has 61/min more than metrics (3 and 64)"),
        ),
        signer_set=replace(
            agreed(),
            differences=(
                SetDifference("agent set", "signer-2", "signer-2 reports set 99, active is 100"),
                SetDifference("unknown key", "signer-2", "signer-2 signs with Zzzz…9999, which is not in set 100"),
            ),
        ),
        toggles=toggles(level="NORMAL"),
        progress=(proving(),),
        journal=journal(),
        debts=(Debt(28, "M0_GUARDRAIL_POLICY_LEVEL STRICT → NORMAL", WALL - 1900),),
        alerts=(
            Alert(
                "M0OutputsStale",
                "pending",
                {"alertname": "M0OutputsStale", "severity": "critical"},
                "Outputs served are older than 60 s",
            ),
            Alert(
                "M0PublishSuccessLow",
                "firing",
                {"alertname": "M0PublishSuccessLow", "severity": "critical"},
                "Fewer than 95 % of ticks are published",
            ),
            Alert(
                "M0WatermarkLag",
                "firing",
                {"alertname": "M0WatermarkLag", "severity": "warning", "connector": "sports"},
                "Behind by more than 60 s",
            ),
        ),
    )
    return replace(base, **changes)


def stale(**changes: Any) -> Situation:
    """Prometheus stopped answering and the watch is silent: everything is shown with its age, and
    nothing is OK.
    """
    fault = Fault(
        SourceState.DOWN, "connection refused: prometheus.m0-prod:9090", "check --prometheus or the port-forward"
    )
    by_name = {
        n: replace(
            s,
            level=Level.UNKNOWN,
            reason="last answer 2m ago",
            value=None,
            age_s=127.0,
            spark=s.spark[:40] + (None,) * 20,
        )
        for n, s in signals().items()
    }
    base = calm(
        kinds=kinds(age_s=44.0),
        queries=readings(queries(), 127.0, fault),
        signals=by_name,
        stages=stages(by_name),
        sources=(
            SourceLight("k8s", SourceState.STALE, 44.0, "silent for 44 s"),
            SourceLight("prom", SourceState.DOWN, 127.0, fault.reason, fault.remedy),
            SourceLight("rpc", SourceState.STALE, 61.0, "program: last read 61 s ago"),
            SourceLight("pg", SourceState.OFF, None, "not configured"),
            SourceLight("probes", SourceState.STALE, 61.0, "last read 61 s ago"),
        ),
        solana={t: as_of(r, MONO - 61) for t, r in solana().items()},
        probes={t: as_of(r, MONO - 61) for t, r in probes().items()},
        signer_set=SignerSetCheck(
            signer_set_id="100",
            threshold=None,
            keys=None,
            sides=("cluster",),
            differences=(),
            unknown=("the set on the chain: last read 61 s ago",),
        ),
        matches=(match(1, "Publishing stops", None, None, None), match(6, "Watermark lag", None, None)),
    )
    return replace(base, **changes)


def denied(**changes: Any) -> Situation:
    """No right to list pods, no Prometheus configured, a broken runbooks.toml, and an intent of
    last night unfinished.
    """
    fault = Fault(SourceState.DENIED, "cannot list pods", "grant it with deploy/rbac.yaml, or choose -n")
    by_name = {
        n: replace(s, level=Level.UNKNOWN, reason="Prometheus is not configured", value=None, spark=())
        for n, s in signals().items()
    }
    base = calm(
        cluster=Cluster(),
        services=(),
        kinds=kinds(pods=fault),
        queries={},
        signals=by_name,
        stages=stages(by_name),
        read_only=True,
        sources=(
            SourceLight("k8s", SourceState.DENIED, 1.0, "pods: cannot list pods"),
            SourceLight("prom", SourceState.OFF, None, "no address given", "start with --prometheus URL"),
            SourceLight("rpc", SourceState.OFF, None, "not configured"),
            SourceLight("pg", SourceState.OFF, None, "not configured"),
            SourceLight("probes", SourceState.OFF, None, "not configured"),
        ),
        solana={},
        probes={},
        configured=frozenset({"kubernetes"}),
        signer_set=SignerSetCheck(),
        matches=(match(1, "Publishing stops", None, None, None),),
        toggles=tuple(replace(t, value=None, level="unknown", reason="cannot get configmaps") for t in toggles()[:3]),
        notices=("runbooks.toml:12: signals.output-age.warn: expected a number; the packaged runbooks are used",),
        unfinished=(
            Unfinished(
                27,
                "Switch RPC endpoint",
                "deployment m0-submitter",
                "applied",
                "the value is as planned; no outcome was recorded",
            ),
        ),
    )
    return replace(base, **changes)


def huge(number: int = 10_000, **changes: Any) -> Situation:
    pods = [pod(f"svc-{i % 40:02d}", i, uid=f"u{i}") for i in range(number)]
    pods[3] = crashing("svc-03", 3, uid="u3")
    return calm(cluster=cluster(pods), services=services(pods), **changes)
