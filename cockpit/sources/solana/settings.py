"""Declares what the configuration says of Solana."""

from __future__ import annotations

from collections.abc import Iterator

from cockpit.settings import Key, Section, Settings
from cockpit.sources.transport import PLAIN, in_the_clear
from cockpit.text import clean, url_keys


class RpcEndpoint(Section, frozen=True, kw_only=True):
    """Holds one of `[[rpc-endpoints]]`: watched, and a candidate for 1.mitigation.A.

    URLs may carry a key: shown by name and host only.

    `ws_url` None: as Solana's own validators and clients have it, the same host with the port one
    higher where a port is given, else the same address with ws(s).
    """

    SECRETS = ADDRESSES = ("url",)

    name: str  # that the `endpoint` label of the metrics bears
    url: str  # shown as scheme and host only
    ws_url: str | None = None  # of its subscriptions; else the same host, one port higher where a port is given
    price_per_million: float | None = None  # what a million requests cost: the weekly round says what was spent
    monthly_fee: float | None = None  # what it costs whatever is asked


class SolanaSettings(Section, frozen=True, kw_only=True):
    """Holds `[solana]`.

    Without a program id the endpoints are watched, and the program's activity is not configured.
    """

    program_id: str | None = None  # of the oracle program; else the endpoints alone are watched
    interval: float = 2.0  # seconds between two polls of every endpoint; twice that while all is well
    reveal_delay_slots: int | None = None  # else as the protocol account says
    multisig: str | None = None  # address of the Squads multisig that holds the authorities; for the monthly round


SOLANA = Key("solana", SolanaSettings, SolanaSettings())


RPC_ENDPOINTS: Key[tuple[RpcEndpoint, ...]] = Key("rpc-endpoints", tuple[RpcEndpoint, ...], ())


def exposed(settings: Settings) -> Iterator[str]:
    """Yield whose key travels unprotected; certificates are always verified."""
    for endpoint in settings.of(RPC_ENDPOINTS):
        if any(in_the_clear(url) and url_keys(url) for url in (endpoint.url, endpoint.ws_url or "")):
            yield f"{clean(endpoint.name, 40)}: the key in its address goes {PLAIN}"
