"""Plans, runbooks and situations for the tests of dialogs and views: the RPC cause of runbook 1,
and hostile texts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from msgspec.structs import replace
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Static

from cockpit.clock import ManualClock
from cockpit.model.plan import (
    Change,
    Debt,
    DryRun,
    DryRunState,
    Gauge,
    GuardResult,
    Inverse,
    Phase,
    Plan,
    Progress,
    Proof,
    Request,
    Rollout,
    Target,
    Verdict,
)
from cockpit.model.runbook import (
    Cause,
    Match,
    Param,
    Runbook,
    Runbooks,
    Service,
    SignalDef,
    Step,
    Symptom,
    SymptomStatus,
    Toggle,
    Triage,
    Validation,
)
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import ServiceStatus, Situation, ToggleStatus
from panels.kit.theme import THEME
from panels.messages import UserRequest
from tests.support.samples.cluster import sample_situation

HOSTILE = "a[/b]c [INFO] [red]not red[/red]"
CLOCK = ManualClock()


def plan(**changes: Any) -> Plan:
    """Switch the RPC endpoint: an ordinary plan, unless told otherwise."""
    made = Plan(
        id="p1",
        runbook="publishing-stops",
        runbook_number=1,
        step="switch-rpc",
        item="1.mitigation.A",
        title="Switch RPC endpoint",
        kind="set-env",
        target=Target(
            context="prod-eu",
            namespace="m0-prod",
            kind="Deployment",
            name="m0-submitter",
            uid="uid-1",
            container="m0-submitter",
        ),
        resource_version="881",
        generation=14,
        relevant={},
        changes=(
            Change(
                "SOLANA_RPC_URL", "https://rpc-a.example/***", "https://rpc-b.example/***", "rpc-b: 0 behind, 91 ms"
            ),
        ),
        request=Request("PATCH", "/apis/apps/v1/…", {}, "application/strategic-merge-patch+json", "{}"),
        kubectl="kubectl --context prod-eu -n m0-prod set env deployment/m0-submitter -c m0-submitter 'SOLANA_RPC_URL=https://rpc-b.example/***'",
        inverse=Inverse("set-env", {}, "set it back to https://rpc-a.example/*** (captured)", "kubectl …"),
        blast=(
            "1 of 1 pods replaced: all of m0-submitter",
            "strategy Recreate: no second submitter, a gap of about 10 s",
        ),
        dangerous=False,
        danger_reasons=(),
        relaxes=False,
        dry_run=DryRun(DryRunState.OK, "", ("/spec/template/spec/containers/0/env/1/value",)),
        guards=(
            GuardResult("permission", Verdict.PASS, "patch deployments"),
            GuardResult("fresh", Verdict.PASS, "2 s old"),
            GuardResult("singleton", Verdict.PASS, "1 replica, Recreate"),
            GuardResult("autoscaler", Verdict.PASS, "none"),
            GuardResult("lease", Verdict.PASS, "free"),
        ),
        parameters={"url": "https://rpc-b.example/v2/SECRET"},
        created_wall=CLOCK.wall(),
        created_mono=1000.0,
        digest="d" * 64,
    )
    return replace(made, **changes)


def dangerous() -> Plan:
    return plan(
        title="Stop publishing",
        kind="scale",
        changes=(Change("replicas", "1", "0"),),
        dangerous=True,
        danger_reasons=("stops publishing for every market",),
        guards=(
            GuardResult("permission", Verdict.PASS, "patch deployments/scale"),
            GuardResult("gitops", Verdict.CONFIRM, "managed by Argo CD: it may be reverted"),
        ),
    )


def blocked() -> Plan:
    return plan(guards=(GuardResult("read-only", Verdict.BLOCK, "the cockpit was started with --read-only"),))


def progress(made: Plan, **changes: Any) -> Progress:
    now = Progress(
        made,
        Phase.VERIFYING,
        31,
        "rolled out in 14 s; the proof is running",
        1000.0,
        answered_s=0.05,
        rollout=Rollout(
            done=False,
            failed=False,
            words="1 of 1 updated, waiting for it to be ready",
            updated=1,
            desired=1,
            terminating=1,
            blocking=("m0-submitter-6f: ContainerCreating",),
        ),
        gauges=(
            Gauge(
                text="publish success returns to baseline",
                signal="publish-success",
                proof=Proof.PENDING,
                value=0.62,
                unit="ratio",
                baseline=0.31,
                held_s=12,
                hold_s=30,
            ),
            Gauge(
                text="commits rise",
                signal="commit-rate",
                proof=Proof.PASS,
                value=71.0,
                unit="/min",
                baseline=12.0,
                held_s=30,
                hold_s=30,
            ),
        ),
    )
    return replace(now, **changes)


def signal(
    name: str, title: str, level: Level, value: float | None, unit: str, reason: str = "", **more: Any
) -> SignalStatus:
    return SignalStatus(
        name=name, title=title, level=level, value=value, unit=unit, reason=reason, age_s=more.pop("age_s", 2.0), **more
    )


SIGNALS = {
    s.name: s
    for s in (
        signal(
            name="output-age",
            title="Output age",
            level=Level.CRIT,
            value=124.0,
            unit="s",
            reason="124 s: crit from 60 s",
            warn=30.0,
            crit=60.0,
        ),
        signal(
            name="publish-success",
            title="Publish success",
            level=Level.CRIT,
            value=0.31,
            unit="ratio",
            reason="0.31 ratio: crit down to 0.95 ratio, baseline 0.998 ratio",
            direction="below",
            crit=0.95,
            baseline=0.998,
        ),
        signal(
            name="commit-rate",
            title="Commits per minute",
            level=Level.WARN,
            value=41.0,
            unit="/min",
            reason="41/min: warn down to 59/min, baseline 118/min",
            direction="below",
            warn=59.0,
            baseline=118.0,
        ),
        signal(
            name="reveal-rate",
            title="Reveals per minute",
            level=Level.UNKNOWN,
            value=None,
            unit="/min",
            reason="no samples",
            age_s=None,
        ),
        signal("signer-misses", "Threshold misses", Level.OK, 0.0, "/min"),
        signal("signer-p95", "Signer p95", Level.OK, 184.0, "ms"),
        signal(
            name="rpc-errors",
            title="RPC error rate",
            level=Level.CRIT,
            value=0.38,
            unit="ratio",
            reason="0.38 ratio: crit from 0.1 ratio (endpoint=rpc-a)",
            worst_labels={"endpoint": "rpc-a"},
            warn=0.02,
            crit=0.1,
        ),
        signal(
            name="rpc-confirm",
            title="RPC confirm p95",
            level=Level.CRIT,
            value=4100.0,
            unit="ms",
            reason="4,100 ms: crit from 4,000 ms (endpoint=rpc-a)",
            warn=2000.0,
            crit=4000.0,
        ),
        signal("guardrail-blocks", "Guardrail blocks", Level.OK, 0.0, "/min"),
        signal("invalid-signatures", "Invalid signatures", Level.OK, 0.0, "/min"),
        signal("submitter-ready", "Submitter ready", Level.OK, 1.0, ""),
    )
}

SWITCH = Step(
    id="switch-rpc",
    item="1.mitigation.A",
    title="Switch RPC endpoint",
    kind="set-env",
    when="RPC issue",
    cause="1.cause.rpc",
    service="m0-submitter",
    env={"SOLANA_RPC_URL": "{url}"},
    signals=("rpc-errors", "rpc-confirm"),
    params=(Param(name="url", type="url", title="RPC endpoint", choices_from="rpc-endpoints"),),
)
STOPS = Runbook(
    id="publishing-stops",
    number=1,
    title="Publishing stops (no new on-chain updates)",
    severity="SEV1",
    summary="Nothing new reaches the chain.",
    symptoms=(
        Symptom(item="1.symptom.1", text="API shows stale outputs", signal="output-age"),
        Symptom(item="1.symptom.2", text="publish success rate drops", signal="publish-success"),
        Symptom(item="1.symptom.3", text="commit/reveal tx count flatlines", signal="reveal-rate"),
    ),
    triage=(
        Triage(
            item="1.triage.1",
            text="Check submitter pods",
            signals=("submitter-ready",),
            view="pods",
            args={"service": "m0-submitter"},
        ),
        Triage(
            item="1.triage.2",
            text="Check signer threshold: misses, latency",
            signals=("signer-misses", "signer-p95"),
            view="signers",
        ),
        Triage(
            item="1.triage.3",
            text="Check RPC health: error rate, confirmation latency",
            signals=("rpc-errors", "rpc-confirm"),
            view="rpc",
        ),
        Triage(
            item="1.triage.4",
            text="Check guardrail blocks: BLOCK rate spike",
            signals=("guardrail-blocks",),
            view="guardrails",
        ),
    ),
    causes=(
        Cause(item="1.cause.rpc", text="RPC endpoint fails or is behind", signals=("rpc-errors", "rpc-confirm")),
        Cause(item="1.cause.signer", text="Signers miss the threshold", signals=("signer-misses",)),
        Cause(item="1.cause.guardrail", text="Guardrails block", signals=("guardrail-blocks",)),
    ),
    mitigations=(
        Step(
            id="restart-signers",
            item="1.mitigation.B",
            title="Restart the signer agents",
            kind="restart",
            when="signer issue",
            cause="1.cause.signer",
            service="m0-signer-agent",
            signals=("signer-misses",),
        ),
        SWITCH,
        Step(
            id="blocked-why",
            item="1.mitigation.C1",
            title="Find what blocks",
            kind="view",
            when="guardrails",
            cause="1.cause.guardrail",
            view="logs",
            args={"service": "m0-quant", "query": "BLOCK"},
        ),
        Step(
            id="relax-guardrail",
            item="1.mitigation.C2",
            title="Relax the guardrail",
            kind="set-env",
            when="guardrails",
            cause="1.cause.guardrail",
            service="m0-quant",
            env={"M0_GUARDRAIL_POLICY_LEVEL": "NORMAL"},
            dangerous=True,
            relaxes=True,
        ),
    ),
    validation=(
        Validation(item="1.validation.1", text="new epoch/tick shows", signal="output-age"),
        Validation(
            item="1.validation.2",
            text="publish success returns to baseline",
            signal="publish-success",
            expect="near-baseline",
        ),
    ),
)
BACKLOG = Runbook(
    id="watermark-lag",
    number=6,
    title="Watermark lag and ingest backlog",
    severity="SEV2",
    symptoms=(Symptom(item="6.symptom.1", text="watermark lag grows", signal="signer-p95"),),
    mitigations=(
        Step(
            id="scale-ingestors",
            item="6.mitigation.1",
            title="Scale the ingestors",
            kind="scale",
            service="m0-ingestor",
            replicas="{replicas}",
            params=(Param(name="replicas", type="int", title="Replicas", default=8, minimum=1, maximum=32),),
        ),
    ),
)
RUNBOOKS = Runbooks(
    queries={},
    signals={"invalid-signatures": SignalDef(title="Invalid signatures", promql="x", dangerous=True)},
    stages=(),
    services={"m0-submitter": Service(singleton=True)},
    toggles={
        "SOLANA_RPC_URL": Toggle(deployments=("m0-submitter",), url=True),
        "M0_GUARDRAIL_POLICY_LEVEL": Toggle(deployments=("m0-quant",)),
    },
    runbooks=(STOPS, BACKLOG),
)


def match(runbook: Runbook, held: int, unknown: int = 0) -> Match:
    states = [True] * held + [None] * unknown + [False] * len(runbook.symptoms)
    symptoms = tuple(SymptomStatus(s, state, "because") for s, state in zip(runbook.symptoms, states, strict=False))
    return Match(
        runbook=runbook,
        symptoms=symptoms,
        held=held,
        unknown=unknown,
        total=len(runbook.symptoms),
        score=held / max(1, len(runbook.symptoms)),
    )


def situation(**changes: Any) -> Situation:
    made = sample_situation(
        wall=CLOCK.wall(),
        mono=1000.0,
        services=tuple(
            ServiceStatus(
                name=name,
                namespace="m0-prod",
                kind="Deployment",
                ready=pods,
                desired=pods,
                restarts=0,
                age_s=900.0,
                why="",
                level="ok",
            )
            for name, pods in (("m0-submitter", 1), ("m0-signer-agent", 7), ("m0-ingestor", 4))
        ),
        signals=SIGNALS,
        matches=(match(STOPS, 2, 1), match(BACKLOG, 0)),
        toggles=(
            ToggleStatus(
                "SOLANA_RPC_URL",
                RUNBOOKS.toggles["SOLANA_RPC_URL"],
                "m0-submitter",
                "https://rpc-a.example/***",
                "usual",
            ),
            ToggleStatus(
                "M0_GUARDRAIL_POLICY_LEVEL",
                RUNBOOKS.toggles["M0_GUARDRAIL_POLICY_LEVEL"],
                "m0-quant",
                "STRICT",
                "safest",
            ),
        ),
        runbooks=RUNBOOKS,
        debts=(Debt(29, "guardrail relaxed to NORMAL on m0-quant", CLOCK.wall() - 600),),
    )
    return replace(made, **changes)


class Harness(App[None]):
    """Shows panels of words, a layer over them or a view; keeps every request that arrives."""

    CSS = "Screen { layers: default dialog; } #behind { height: 1fr; } Screen { overflow: hidden; }"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        ("z", "leak", "A key of the app"),
        ("r", "leak", "runbooks"),
        ("u", "leak", "undo"),
    ]

    def __init__(
        self, make: Callable[[], Widget], *, behind: str = "ingest ▸ aggregate ▸ quant ▸ sign ▸ commit ▸ reveal ▸ serve"
    ) -> None:
        super().__init__()
        self.make = make
        self.behind = behind
        self.requests: list[UserRequest] = []
        self.leaks = 0
        self.subject: Any = None

    def compose(self) -> ComposeResult:
        yield Static("\n".join([self.behind] * 60), markup=False, id="behind")

    async def on_mount(self) -> None:
        self.register_theme(THEME)
        self.theme = THEME.name
        self.subject = self.make()
        await self.mount(self.subject)

    def action_leak(self) -> None:
        self.leaks += 1

    def _on_message(self, message: Any) -> Any:
        if isinstance(message, UserRequest):
            self.requests.append(message)
        return super()._on_message(message)

    def requested(self, kind: type[UserRequest]) -> list[Any]:
        return [request for request in self.requests if isinstance(request, kind)]

    def words(self) -> str:
        """The screen as text, row by row."""
        width, height = self.size
        strips = self.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip)[:width].rstrip() for strip in strips[:height])
