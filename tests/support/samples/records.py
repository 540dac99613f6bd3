"""A journal to act on, and situations with just what the incident looks at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from cockpit.clock import ManualClock
from cockpit.incident.service import IncidentService
from cockpit.journal.journal import Journal
from cockpit.journal.operator import Operator
from cockpit.journal.processes import this_process
from cockpit.model.observed.cluster import Cluster, Container, ContainerTemplate, EnvVar, Pod, Workload
from cockpit.model.plan import DryRun, DryRunState, Plan, Request, Target
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Runbooks
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import ServiceStatus, Situation, SourceLight
from cockpit.runbooks.schema import load
from tests.support.samples.cluster import sample_pod, sample_situation, sample_workload

START = 1_790_000_000.0
OPS1 = Operator(name="ops1", os_user="ops1", ssh_user="ops1", ssh_from="10.0.0.9", kube_user="kube-ops", host="bastion")
OPS2 = Operator(name="ops2", os_user="ops2", ssh_user="", ssh_from="", kube_user="", host="bastion")
RUNBOOKS: Runbooks = load(None)
SECRET = "hunter2-0123456789abcdef"


def journal(directory: Path, clock: ManualClock, **how: Any) -> Journal:
    return Journal.open(directory / "journal.jsonl", wall=clock.wall, **how)


def incident_service(
    directory: Path, clock: ManualClock, situation: Situation | None = None, **more: Any
) -> IncidentService:
    return IncidentService(
        more.pop("journal", None) or journal(directory, clock),
        lambda: RUNBOOKS,
        clock,
        operator=lambda: OPS1,
        state_dir=directory,
        situation=lambda: situation,
        **more,
    )


def intent(title: str = "Switch RPC endpoint", **more: Any) -> dict[str, Any]:
    made = {
        "kind": "intent",
        "plan": "p1",
        "digest": "d",
        "title": title,
        "runbook": "publishing-stops",
        "runbook_number": 1,
        "step_kind": "set-env",
        "target": {
            "context": "prod-eu",
            "namespace": "m0-prod",
            "kind": "Deployment",
            "name": "m0-submitter",
            "uid": "u",
        },
        "changes": [{"field": "SOLANA_RPC_URL", "before": "https://rpc-a/***", "after": "https://rpc-b/***"}],
        "inverse": {"x": 1},
        "inverse_words": "set it back",
        "operator": OPS1.record(),
        "incident": "",
        "overrides": [],
        "relaxes": False,
        "undoes": None,
        "process": this_process(),
    }
    return {**made, **more}


def done(number: int, proof: str = "pass") -> list[dict[str, Any]]:
    """What follows an intent that was sent, rolled out and proven."""
    gauge = {
        "text": "commits rise",
        "signal": "commit-rate",
        "proof": proof,
        "value": 64.0,
        "baseline": 31.0,
        "reason": "",
    }
    return [
        {"kind": "outcome", "of": number, "result": "sent", "words": "sent"},
        {"kind": "rollout", "of": number, "done": True, "words": "rolled out in 14 s"},
        {"kind": "proof", "of": number, "proof": proof, "gauges": [gauge], "words": "1 of 1 hold"},
    ]


def signal(name: str, level: Level, value: float | None = 1.0, reason: str = "", **more: Any) -> SignalStatus:
    return SignalStatus(
        name=name,
        title=more.pop("title", name),
        level=level,
        value=value,
        unit=more.pop("unit", ""),
        reason=reason,
        **more,
    )


def pod(service: str, name: str, **more: Any) -> Pod:
    containers = (Container(service, "m0/x@sha256:aa", ready=True),)
    usual = {"created_at": START, "service": service, "node": "n1", "containers": containers}
    return sample_pod(uid=name, name=name, **{**usual, **more})


def workload(name: str, env: Mapping[str, str] | None = None) -> Workload:
    variables = tuple(EnvVar(k, v) for k, v in (env or {}).items())
    return sample_workload(
        uid=f"uid-{name}",
        name=name,
        created_at=START,
        containers=(ContainerTemplate(name, f"ghcr.io/{name}@sha256:bb", variables),),
    )


def situation(clock: ManualClock, *signals: SignalStatus, **changes: Any) -> Situation:
    """One submitter, two signers, live readings of Kubernetes; a stranger's words in a pod's
    message.
    """
    pods = [pod("m0-submitter", "m0-submitter-1"), pod("m0-signer-agent", "m0-signer-agent-0")]
    now = clock.mono()
    kinds: dict[str, Reading[Any]] = {
        f"{kind}/m0-prod": Reading(f"kubernetes/{kind}/m0-prod", {}, now) for kind in ("pods", "deployments", "events")
    }
    by_name = {
        s.name: s
        for s in (signal("invalid-signatures", Level.OK, 0.0), signal("invalid-bundles", Level.OK, 0.0), *signals)
    }
    made = sample_situation(
        wall=clock.wall(),
        mono=now,
        cluster=Cluster(
            pods={p.uid: p for p in pods},
            workloads={
                ("m0-prod", n): workload(n, env)
                for n, env in (
                    ("m0-submitter", {"SOLANA_RPC_URL": f"https://rpc-a.example/v2/{SECRET}", "API_TOKEN": SECRET}),
                    ("m0-signer-agent", {}),
                )
            },
        ),
        kinds=kinds,
        sources=(SourceLight("k8s", SourceState.LIVE, 1.0),),
        signals=by_name,
        runbooks=RUNBOOKS,
    )
    return replace(made, **changes)


def service(name: str, ready: int, desired: int, why: str = "", level: str = "ok") -> ServiceStatus:
    return ServiceStatus(
        name=name,
        namespace="m0-prod",
        kind="Deployment",
        ready=ready,
        desired=desired,
        restarts=0,
        age_s=10.0,
        why=why,
        level=level,
    )


def plan(runbook_number: int | None = 1, title: str = "Kill switch") -> Plan:
    return Plan(
        id="p1",
        runbook="x",
        runbook_number=runbook_number,
        step="s",
        item=None,
        title=title,
        kind="scale",
        target=Target("prod-eu", "m0-prod", "Deployment", "m0-submitter", "u"),
        resource_version="1",
        generation=1,
        relevant={},
        changes=(),
        request=Request("PATCH", "/", {}, "application/json", "{}"),
        kubectl="kubectl",
        inverse=None,
        blast=(),
        dangerous=True,
        danger_reasons=(),
        relaxes=False,
        dry_run=DryRun(DryRunState.OK),
        guards=(),
        parameters={},
        created_wall=START,
        created_mono=0.0,
    )


def down(reason: str) -> Fault:
    return Fault(SourceState.DOWN, reason)
