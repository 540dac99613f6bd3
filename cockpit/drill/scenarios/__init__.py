"""Incidents to rehearse, one file each; the registry is in the order in which they are listed."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.drill.scenarios import (
    archiver_failing,
    autoscaler_storm,
    bad_config_release,
    bad_hash_release,
    bad_model_release,
    bad_release,
    blockhash_expiry,
    bundle_too_large,
    calm,
    connector_down,
    connector_rate_limited,
    database_down,
    database_writes,
    gateway_leak,
    gateway_overload,
    guardrail_blocks,
    hostile_logs,
    ingest_backlog,
    key_compromise,
    kms_denied,
    market_manipulated,
    missing_index,
    model_drift,
    network_policy,
    provider_schema_change,
    rpc_outage,
    signers_slow,
    signers_stuck,
    slow_query,
    source_diverges,
    state_out_of_sync,
    two_submitters,
    vacuum_debt,
    wrong_signer_set,
)
from cockpit.drill.scenarios.scenario import Scenario, together

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        calm.SCENARIO,
        rpc_outage.SCENARIO,
        signers_stuck.SCENARIO,
        guardrail_blocks.SCENARIO,
        wrong_signer_set.SCENARIO,
        bad_hash_release.SCENARIO,
        signers_slow.SCENARIO,
        kms_denied.SCENARIO,
        network_policy.SCENARIO,
        blockhash_expiry.SCENARIO,
        bundle_too_large.SCENARIO,
        two_submitters.SCENARIO,
        state_out_of_sync.SCENARIO,
        ingest_backlog.SCENARIO,
        connector_rate_limited.SCENARIO,
        connector_down.SCENARIO,
        autoscaler_storm.SCENARIO,
        source_diverges.SCENARIO,
        provider_schema_change.SCENARIO,
        model_drift.SCENARIO,
        bad_model_release.SCENARIO,
        gateway_overload.SCENARIO,
        gateway_leak.SCENARIO,
        database_down.SCENARIO,
        missing_index.SCENARIO,
        slow_query.SCENARIO,
        vacuum_debt.SCENARIO,
        database_writes.SCENARIO,
        archiver_failing.SCENARIO,
        bad_release.SCENARIO,
        bad_config_release.SCENARIO,
        market_manipulated.SCENARIO,
        key_compromise.SCENARIO,
        hostile_logs.SCENARIO,
    )
}

#: How many incidents may go on at once.
MOST = 3


def find(name: str) -> Scenario:
    """The scenario of that name; `A+B` is both at once. Raises KeyError with the name that there is not."""
    names = [part.strip() for part in name.split("+")]
    for part in names:
        if part not in SCENARIOS:
            raise KeyError(part)
    unlike = list(dict.fromkeys(names))
    if len(unlike) > MOST:
        raise KeyError(f"{name}: more than {MOST} at once")
    return SCENARIOS[unlike[0]] if len(unlike) == 1 else together(tuple(SCENARIOS[part] for part in unlike))


__all__ = ["SCENARIOS", "Scenario", "find"]
