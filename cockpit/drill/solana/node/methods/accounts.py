"""Answers for accounts: one, many, and all of the program's by filters."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from solders.pubkey import Pubkey

from cockpit.drill.solana import base58
from cockpit.drill.solana.node.endpoint import INVALID_PARAMS, Node, Params, Registry, RpcError, pubkey
from cockpit.drill.solana.node.views import account, account_data, special

MOST_FILTERS, MOST_BYTES = 4, 128
Filter = tuple[int, bytes] | int  # (offset, bytes) or the size of the data


def one(node: Node, address: Pubkey, commitment: str, config: dict[str, Any]) -> dict[str, Any] | None:
    """Return the account as of the node's slot at that commitment."""
    found = special(node, address, config)
    if found is not None:
        return found
    key = node.accounts.find(address)
    value = None if key is None else node.accounts.at(key, node.slot(commitment))
    return None if key is None or value is None else account(node, key, value, config)


def filters(config: dict[str, Any]) -> list[Filter]:
    """Parse the filters.

    Raises RpcError.
    """
    raw = config.get("filters") or []
    if not isinstance(raw, list):
        raise RpcError(INVALID_PARAMS, "Invalid params: invalid type: map, expected a sequence.")
    if len(raw) > MOST_FILTERS:
        raise RpcError(INVALID_PARAMS, f"Too many filters provided; max {MOST_FILTERS}")
    return [_filter(item) for item in raw]


def _filter(item: Any) -> Filter:
    if isinstance(item, dict) and isinstance(item.get("dataSize"), int):
        return int(item["dataSize"])
    compare = item.get("memcmp") if isinstance(item, dict) else None
    if not isinstance(compare, dict) or not isinstance(compare.get("offset"), int):
        raise RpcError(INVALID_PARAMS, "Invalid params: unknown filter, expected `dataSize`, `memcmp`.")
    wanted, encoding = compare.get("bytes"), compare.get("encoding") or "base58"
    try:
        if isinstance(wanted, list):
            data = bytes(wanted)
        elif not isinstance(wanted, str):
            raise ValueError("bytes are missing")
        else:
            data = base64.b64decode(wanted, validate=True) if encoding == "base64" else base58.decode(wanted)
    except (ValueError, TypeError, binascii.Error) as error:
        raise RpcError(INVALID_PARAMS, f"Invalid param: {error}") from None
    if len(data) > MOST_BYTES:
        raise RpcError(INVALID_PARAMS, "Invalid param: data too large")
    return int(compare["offset"]), data


def matches(data: bytes, wanted: list[Filter]) -> bool:
    for item in wanted:
        if isinstance(item, int):
            if len(data) != item:
                return False
        elif data[item[0] : item[0] + len(item[1])] != item[1]:
            return False
    return True


def _balance(node: Node, params: Params) -> Any:
    commitment = params.commitment(1)
    found = one(node, params.pubkey(0), commitment, {"encoding": "base64"})
    return node.context(commitment, found["lamports"] if found else 0)


def _info(node: Node, params: Params) -> Any:
    commitment = params.commitment(1)
    return node.context(commitment, one(node, params.pubkey(0), commitment, params.config(1)))


def _several(node: Node, params: Params) -> Any:
    commitment, config = params.commitment(1), {"encoding": "base64", **params.config(1)}
    addresses = [pubkey(text) for text in params.texts(0, 100)]
    return node.context(commitment, [one(node, address, commitment, config) for address in addresses])


def _of_program(node: Node, params: Params) -> Any:
    commitment, config = params.commitment(1), params.config(1)
    wanted, slot = filters(config), node.slot(commitment)
    found: list[dict[str, Any]] = []
    if params.pubkey(0) == node.oracle.keys.program:
        for key in node.accounts.program_keys():
            value = node.accounts.at(key, slot)
            if value is not None and matches(account_data(node, value), wanted):
                shown = account(node, key, value, config)
                found.append({"account": shown, "pubkey": str(node.accounts.address(key))})
    if config.get("withContext"):
        return node.context(commitment, found)
    return found


METHODS: Registry = {
    "getBalance": _balance,
    "getAccountInfo": _info,
    "getMultipleAccounts": _several,
    "getProgramAccounts": _of_program,
}
