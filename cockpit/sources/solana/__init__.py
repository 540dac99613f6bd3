"""Watches Solana: RPC endpoints side by side, the oracle program's activity and its accounts."""

from __future__ import annotations

from cockpit.model.observed.variables import variable
from cockpit.sources.solana.settings import RPC_ENDPOINTS, SOLANA, exposed
from cockpit.sources.spec import Source, SourceContext, SourceSpec


def _make(context: SourceContext) -> Source:
    from cockpit.sources.solana.source import SolanaSource

    def signer_set_id() -> str | None:
        """Return what the submitter runs with, where the cluster tells."""
        cluster = context.cluster()
        return variable(cluster, "M0_ACTIVE_SIGNER_SET_ID") if cluster is not None else None

    settings = context.settings
    return SolanaSource(
        settings.of(SOLANA),
        settings.of(RPC_ENDPOINTS),
        context.clock,
        signer_set_id,
        polls=context.polls,
        rng=context.rng,
    )


SOURCE = SourceSpec(
    name="solana",
    light="rpc",
    title="Solana is",
    remedy="name [[rpc-endpoints]] in the configuration",
    sections=(SOLANA, RPC_ENDPOINTS),
    configured=lambda settings: bool(settings.of(RPC_ENDPOINTS)),
    make=_make,
    also=(),
    partly=True,
    exposed=exposed,
    has_values=True,
)
