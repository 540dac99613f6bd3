"""Incidents as the screen meets them; all values fixed."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cockpit.model.incident import (
    CheckLine,
    EvidenceFile,
    Incident,
    IncidentNow,
    Reminder,
    RoleHolder,
    SeverityChange,
    TimelineEntry,
    Update,
)
from tests.support.samples.situations import WALL

HOSTILE = "a[/b]c [red]x[/red]"


def incident(**changes: Any) -> Incident:
    opened = WALL - 452
    made = Incident(
        number=14,
        title="Publishing stops",
        severity="SEV1",
        opened=opened,
        opened_by="ops1",
        runbook="publishing-stops",
        runbook_number=1,
        roles=(RoleHolder("commander", "ops1", opened), RoleHolder("scribe", "bob", opened)),
        severities=(SeverityChange(opened, "ops1", "SEV1", ""),),
        updates=(
            Update("u1", opened + 30, "ops1", "We are looking into stalled publishing.", "delivered"),
            Update(id="u2", wall=opened + 400, who="ops1", words=HOSTILE, delivery="failed", detail="answered 503"),
        ),
        evidence=(
            EvidenceFile(
                wall=opened + 40,
                who="ops1",
                name="incident-14-20260921T141400Z.tar",
                sha256="ab" * 32,
                size=99,
                parts=("pods.json", "signals.json"),
                missing=("bundle.json: no reveal was seen",),
                reason="before the first change: Kill switch",
            ),
        ),
        mitigations=(31,),
    )
    return replace(made, **changes)


def now(**changes: Any) -> IncidentNow:
    made = IncidentNow(
        incident=incident(),
        reminder=Reminder("due", 180.0, "update due in 3 min"),
        checklist=(
            CheckLine(
                item="16.incident.1",
                text="severity assigned",
                state="done",
                by="machine",
                words="SEV1, by ops1",
                wall=WALL - 452,
            ),
            CheckLine(
                item="16.incident.2",
                text="publish safety ensured",
                state="contradicted",
                by="bob",
                words="ticked, but: still publishing: invalid signatures: 3",
                wall=WALL - 60,
            ),
            CheckLine(
                item="16.incident.3",
                text="evidence captured",
                state="done",
                by="machine",
                words="incident-14-20260921T141400Z.tar",
                wall=WALL - 400,
            ),
            CheckLine(
                item="16.incident.4",
                text="communication started",
                state="done",
                by="ops1",
                words="told the channel",
                wall=WALL - 390,
            ),
            CheckLine(
                item="16.incident.5",
                text="mitigation executed",
                state="unknown",
                by="",
                words="31 Switch RPC endpoint: under way",
                wall=None,
            ),
        ),
        timeline=(
            TimelineEntry(WALL - 500, "signal", "Commits confirmed OK → CRIT: 31/min: crit down to 35/min", "", "crit"),
            TimelineEntry(WALL - 452, "incident", "incident #14 opened SEV1: Publishing stops", "ops1"),
            TimelineEntry(WALL - 422, "update", "update: We are looking into stalled publishing.", "ops1"),
            TimelineEntry(
                wall=WALL - 48,
                kind="mitigation",
                words="Switch RPC endpoint on m0-submitter: SOLANA_RPC_URL https://rpc-a/*** → https://rpc-b/***",
                who="ops1",
                level="",
                number=31,
            ),
            TimelineEntry(WALL - 20, "source", f"source prom DOWN: {HOSTILE}", "", "unknown"),
        ),
        close_blocked="mitigation 31 is under way: Switch RPC endpoint",
        close_wants=("debt 28: m0-quant: M0_GUARDRAIL_POLICY_LEVEL STRICT → NORMAL",),
        webhook=True,
    )
    return replace(made, **changes)
