"""Decodes who may change the program: the loader's accounts, and a Squads (v4) multisig.

Layouts: `UpgradeableLoaderState` of Solana's loader (bincode), `Multisig` of Squads (borsh).
"""

from __future__ import annotations

from cockpit.model.observed.chain import Multisig
from cockpit.oracle.base58 import encode
from cockpit.oracle.layouts import Account, Undecodable, account_discriminator

LOADER = "BPFLoaderUpgradeab1e11111111111111111111111"
SQUADS = "SQDS4ep65T869zMMBKyuUq6aD6EgTu8psMjkvj52pCf"
PROGRAM, PROGRAM_DATA = 2, 3
#: Of a ProgramData account these bytes are read: what follows is the code.
HEADER = 45
#: Permissions of a member: it may propose, vote, execute.
VOTES = 2
MOST_MEMBERS = 256
_NOBODY = bytes(32)


def program_data_address(program: Account) -> str:
    """Return where the program's code is kept.

    Raises Undecodable.
    """
    if program.owner != LOADER or len(program.data) < 36 or _number(program.data, 0, 4) != PROGRAM:
        raise Undecodable(f"program {program.address} is not of the upgradeable loader")
    return encode(program.data[4:36])


def upgrade_authority(data: Account) -> tuple[str | None, int]:
    """Return who may change the code (None: nobody), and the slot of its last change.

    Raises Undecodable.
    """
    if data.owner != LOADER or len(data.data) < 13 or _number(data.data, 0, 4) != PROGRAM_DATA:
        raise Undecodable(f"account {data.address} is no ProgramData account")
    slot = _number(data.data, 4, 8)
    if data.data[12] == 0:
        return None, slot
    if data.data[12] != 1 or len(data.data) < HEADER:
        raise Undecodable(f"account {data.address}: its authority cannot be read")
    return encode(data.data[13:HEADER]), slot


def multisig(account: Account) -> Multisig:
    """Decode a Squads multisig.

    Raises Undecodable.
    """
    raw = account.data
    if account.owner != SQUADS or raw[:8] != account_discriminator("Multisig"):
        raise Undecodable(f"account {account.address} of {account.owner} is no Squads multisig: members are not known")
    at = 8 + 32
    config, threshold = raw[at : at + 32], _number(raw, at + 32, 2)
    time_lock = _number(raw, at + 34, 4)
    at += 38 + 16
    at += 33 if raw[at : at + 1] == b"\1" else 1  # an optional collector of rent
    at += 1  # bump
    count = _number(raw, at, 4)
    at += 4
    if count > MOST_MEMBERS or len(raw) < at + 33 * count:
        raise Undecodable(f"multisig {account.address}: its members are cut off")
    members = [raw[at + 33 * n : at + 33 * n + 33] for n in range(count)]
    return Multisig(
        address=account.address,
        threshold=threshold,
        voters=tuple(encode(one[:32]) for one in members if one[32] & VOTES),
        members=count,
        time_lock_s=time_lock,
        config_authority="" if config == _NOBODY else encode(config),
    )


def _number(raw: bytes, at: int, size: int) -> int:
    if len(raw) < at + size:
        raise Undecodable("an account is cut off")
    return int.from_bytes(raw[at : at + size], "little")
