"""Derives the program's addresses (PDAs) by solders, whose Rust may panic.

A panic is no Exception and prints on its own.

It is called with seeds of fixed, short lengths only, with which nothing in it panics; and what it
may raise ends here.
"""

from __future__ import annotations

import asyncio


def derived(program_id: bytes, *seeds: bytes) -> str | None:
    """Return the address (base58), or None when none can be derived.

    Seeds of 32 bytes at most, 15 of them.
    """
    if len(program_id) != 32 or len(seeds) > 15 or any(len(seed) > 32 for seed in seeds):
        return None
    try:
        from solders.pubkey import Pubkey

        address, _ = Pubkey.find_program_address(list(seeds), Pubkey.from_bytes(program_id))
        return str(address)
    except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        return None


def protocol_address(program_id: bytes) -> str | None:
    return derived(program_id, b"protocol")


def signer_set_address(program_id: bytes, signer_set_id: int) -> str | None:
    """Derive the set's address; `signer_set_id` is within u64."""
    return derived(program_id, b"signer_set", signer_set_id.to_bytes(8, "little"))


def vault_address(squads: bytes, multisig: bytes) -> str | None:
    """Derive the address that a Squads multisig signs for: its first vault."""
    return derived(squads, b"multisig", multisig, b"vault", b"\0")


def is_single_key(address: bytes) -> bool:
    """Tell whether it is a key that somebody can hold: a derived address is on no curve."""
    try:
        from solders.pubkey import Pubkey

        return len(address) == 32 and bool(Pubkey.from_bytes(address).is_on_curve())
    except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        return False
