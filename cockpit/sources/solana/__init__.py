"""Watches Solana: RPC endpoints side by side, the oracle program's activity and its accounts."""

from __future__ import annotations

from cockpit.model.observed.variables import variable
from cockpit.settings import Key, Section
from cockpit.sources.spec import Source, SourceContext, SourceSpec


class RpcEndpoint(Section, frozen=True, kw_only=True):
    """Holds one of `[[rpc-endpoints]]`: watched, and a candidate for 1.mitigation.A.

    URLs may carry a key: shown by name and host only.

    `ws_url` None: as Solana's own validators and clients have it, the same host with the port one
    higher where a port is given, else the same address with ws(s).
    """

    SECRETS = ADDRESSES = ("url",)

    name: str
    url: str
    ws_url: str | None = None


class SolanaSettings(Section, frozen=True, kw_only=True):
    """Holds `[solana]`.

    Without a program id the endpoints are watched, and the program's activity is not configured.
    """

    program_id: str | None = None
    interval: float = 2.0  # seconds between two polls of every endpoint; twice that while all is well
    reveal_delay_slots: int | None = None  # None: as the protocol account says


SOLANA = Key("solana", SolanaSettings, SolanaSettings())
RPC_ENDPOINTS: Key[tuple[RpcEndpoint, ...]] = Key("rpc-endpoints", tuple[RpcEndpoint, ...], ())


def _make(context: SourceContext) -> Source:
    from cockpit.sources.solana.source import SolanaSource

    def signer_set_id() -> str | None:
        """Return what the submitter runs with, where the cluster tells."""
        cluster = context.cluster()
        return variable(cluster, "M0_ACTIVE_SIGNER_SET_ID") if cluster is not None else None

    settings = context.settings
    return SolanaSource(
        settings.of(SOLANA), settings.of(RPC_ENDPOINTS), context.clock, signer_set_id, polls=context.polls
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
    has_values=True,
)
