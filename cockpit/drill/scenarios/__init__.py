"""Incidents to rehearse, one file each; the registry is in the order in which they are listed."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.drill.scenarios import calm, connector_rate_limited, hostile_logs, ingest_backlog, rpc_outage
from cockpit.drill.scenarios.scenario import Scenario

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        calm.SCENARIO,
        rpc_outage.SCENARIO,
        ingest_backlog.SCENARIO,
        connector_rate_limited.SCENARIO,
        hostile_logs.SCENARIO,
    )
}

__all__ = ["SCENARIOS", "Scenario"]
