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
        14, "Publishing stops", "SEV1", opened, "ops1", "publishing-stops", 1, roles=(RoleHolder("commander", "ops1", opened), RoleHolder("scribe", "bob", opened)),
        severities=(SeverityChange(opened, "ops1", "SEV1", ""),),
        updates=(Update("u1", opened + 30, "ops1", "We are looking into stalled publishing.", "delivered"),
                 Update("u2", opened + 400, "ops1", HOSTILE, "failed", "answered 503")),
        evidence=(EvidenceFile(opened + 40, "ops1", "incident-14-20260921T141400Z.tar", "ab" * 32, 99, ("pods.json", "signals.json"),
                               ("bundle.json: no reveal was seen",), "before the first change: Kill switch"),),
        mitigations=(31,),
    )  # fmt: skip
    return replace(made, **changes)


def now(**changes: Any) -> IncidentNow:
    made = IncidentNow(
        incident(), Reminder("due", 180.0, "update due in 3 min"),
        (
            CheckLine("16.incident.1", "severity assigned", "done", "machine", "SEV1, by ops1", WALL - 452),
            CheckLine("16.incident.2", "publish safety ensured", "contradicted", "bob", "ticked, but: still publishing: invalid signatures: 3", WALL - 60),
            CheckLine("16.incident.3", "evidence captured", "done", "machine", "incident-14-20260921T141400Z.tar", WALL - 400),
            CheckLine("16.incident.4", "communication started", "done", "ops1", "told the channel", WALL - 390),
            CheckLine("16.incident.5", "mitigation executed", "unknown", "", "31 Switch RPC endpoint: under way", None),
        ),
        (
            TimelineEntry(WALL - 500, "signal", "Commits confirmed OK → CRIT: 31/min: crit down to 35/min", "", "crit"),
            TimelineEntry(WALL - 452, "incident", "incident #14 opened SEV1: Publishing stops", "ops1"),
            TimelineEntry(WALL - 422, "update", "update: We are looking into stalled publishing.", "ops1"),
            TimelineEntry(WALL - 48, "mitigation", "Switch RPC endpoint on m0-submitter: SOLANA_RPC_URL https://rpc-a/*** → https://rpc-b/***", "ops1", "", 31),
            TimelineEntry(WALL - 20, "source", f"source prom DOWN: {HOSTILE}", "", "unknown"),
        ),
        "mitigation 31 is under way: Switch RPC endpoint", ("debt 28: m0-quant: M0_GUARDRAIL_POLICY_LEVEL STRICT → NORMAL",), True,
    )  # fmt: skip
    return replace(made, **changes)
