"""Founds the oracle program: its first accounts, and the wallets that pay."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.drill.solana.program import bundle as bundles
from cockpit.drill.solana.program.accounts import CONFIG, Accounts
from cockpit.drill.solana.program.layouts import Market, ProtocolConfig, SignerSet

FIRST_EPOCH = 88_000
FIRST_SET = 100
THRESHOLD = 5
DEFAULT_DELAY_SLOTS = 10  # the protocol's
COMMITTER_LAMPORTS = 5_000_000_000_000
AUTHORITY_LAMPORTS = 50_000_000_000
FAUCET_LAMPORTS = 500_000_000_000_000_000


def found(accounts: Accounts, slot: int, markets: Mapping[str, str], first_sequence: int) -> None:
    """Put what exists on the chain when a drill's past begins."""
    keys, put = accounts.keys, accounts.put
    authority = keys.authority.key
    put(
        CONFIG,
        ProtocolConfig(
            initialized=True,
            authority=authority,
            paused=False,
            next_market_nonce=len(markets),
            next_signer_set_id=FIRST_SET + 1,
            default_reveal_delay_slots=DEFAULT_DELAY_SLOTS,
        ),
        slot,
    )
    members = tuple(party.key for party in keys.signers)
    put(("set", FIRST_SET), SignerSet(FIRST_SET, THRESHOLD, members, True, slot), slot)
    for market, domain in markets.items():
        put(
            ("market", market),
            Market(
                market_id=market,
                domain=domain,
                active=True,
                outcomes=bundles.OUTCOMES,
                current_epoch_id=FIRST_EPOCH,
                last_sequence=first_sequence,
            ),
            slot,
        )
    put(("wallet", keys.committer.key), COMMITTER_LAMPORTS, slot)
    put(("wallet", authority), AUTHORITY_LAMPORTS, slot)
    put(("wallet", keys.faucet.key), FAUCET_LAMPORTS, slot)
