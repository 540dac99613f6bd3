"""Lists the incidents to rehearse, one file each, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.drill.scenarios import calm, hostile_logs
from cockpit.drill.scenarios.ingest import (
    autoscaler_storm,
    backlog,
    connector_down,
    connector_rate_limited,
    provider_schema_change,
    source_diverges,
)
from cockpit.drill.scenarios.publish import (
    blockhash_expiry,
    bundle_too_large,
    guardrail_blocks,
    key_compromise,
    market_manipulated,
    rpc_outage,
    state_out_of_sync,
    two_submitters,
)
from cockpit.drill.scenarios.quant import bad_config_release, bad_model_release, bad_release, model_drift
from cockpit.drill.scenarios.scenario import Scenario, together
from cockpit.drill.scenarios.serving import (
    archiver_failing,
    database_down,
    database_writes,
    gateway_leak,
    gateway_overload,
    missing_index,
    slow_query,
    vacuum_debt,
)
from cockpit.drill.scenarios.signing import (
    bad_hash_release,
    kms_denied,
    network_policy,
    signers_slow,
    signers_stuck,
    wrong_signer_set,
)
from cockpit.errors import UnknownName, UsageProblem

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
        backlog.SCENARIO,
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
    """Return the scenario of that name; `A+B` is both at once.

    Raises UnknownName, UsageProblem.
    """
    names = [part.strip() for part in name.split("+")]
    for part in names:
        if part not in SCENARIOS:
            raise UnknownName("scenario", part, SCENARIOS, "see `m0-cockpit drill --list`; or A+B for two at once")
    unlike = list(dict.fromkeys(names))
    if len(unlike) > MOST:
        raise UsageProblem(f"{name}: more than {MOST} at once", "leave some out")
    return SCENARIOS[unlike[0]] if len(unlike) == 1 else together(tuple(SCENARIOS[part] for part in unlike))


__all__ = ["SCENARIOS", "Scenario", "find"]
