"""Answers for past blocks and transactions."""

from __future__ import annotations

import asyncio
from typing import Any

from cockpit.drill.solana.node.endpoint import (
    CLEANED_UP,
    INVALID_PARAMS,
    NOT_AVAILABLE,
    SKIPPED,
    Node,
    Params,
    Registry,
    RpcError,
    chosen,
    signature,
)
from cockpit.drill.solana.node.views import TRANSACTION_ENCODINGS, transaction
from cockpit.drill.solana.program.ledger import LedgerEntry, parent, produced

PAGE = 1000
MOST_STATUSES = 256
RECENT_SLOTS = 300  # how far back a status is known without a search
YIELD_EVERY = 64  # transactions encoded before other tasks may run


async def _signatures_for_address(node: Node, params: Params) -> Any:
    address, config = params.pubkey(0), params.config(1)
    commitment = params.commitment(1, lowest="confirmed")
    limit = config.get("limit", PAGE)
    if not isinstance(limit, int) or not 1 <= limit <= PAGE:
        raise RpcError(INVALID_PARAMS, f"Invalid limit; max {PAGE}")
    before, until = config.get("before"), config.get("until")
    start, stop = node.slot(commitment), -1
    ledger = node.ledger
    newest: int | None = None
    if before is not None:
        entry = ledger.find(signature(before))
        if entry is None:
            return []
        newest = entry.number
    if until is not None:
        entry = ledger.find(signature(until))
        stop = -1 if entry is None else entry.number
    ours, text = address == node.oracle.keys.program, str(address)
    entries = ledger.entries[: ledger.position(start)]
    found: list[dict[str, Any]] = []
    for number, entry in enumerate(reversed(entries)):
        if entry.number <= stop or len(found) == limit:
            break
        if entry.forked or (newest is not None and entry.number >= newest) or (ours and not entry.program):
            continue
        if number % YIELD_EVERY == YIELD_EVERY - 1:
            await asyncio.sleep(0)
        if ours or text in ledger.encoded(entry).keys:
            found.append(_listed(node, entry))
    return found


def _listed(node: Node, entry: LedgerEntry) -> dict[str, Any]:
    return {
        "blockTime": node.ledger.time_of(entry.slot),
        "confirmationStatus": node.status(entry),
        "err": node.ledger.encoded(entry).err,
        "memo": None,
        "signature": node.ledger.signature(entry),
        "slot": entry.slot,
    }


def _version(config: dict[str, Any]) -> int | None:
    found = config.get("maxSupportedTransactionVersion")
    return found if isinstance(found, int) else None


def _options(params: Params, index: int) -> tuple[dict[str, Any], str]:
    """Return (options, commitment); the parameter may be an encoding alone, as it was once."""
    raw = params.items[index] if index < len(params) else None
    if isinstance(raw, str):
        return {"encoding": raw}, "finalized"
    return params.config(index), params.commitment(index, lowest="confirmed")


def _transaction(node: Node, params: Params) -> Any:
    wanted = signature(params.raw(0))
    config, commitment = _options(params, 1)
    encoding = chosen(config.get("encoding"), TRANSACTION_ENCODINGS, "json")
    entry = node.ledger.find(wanted)
    if entry is None or not node.sees(entry, commitment):
        return None
    shown = transaction(node, entry, encoding, _version(config))
    return {"blockTime": node.ledger.time_of(entry.slot), "slot": entry.slot, **shown}


def _statuses(node: Node, params: Params) -> Any:
    wanted = [signature(text) for text in params.texts(0, MOST_STATUSES)]
    search = params.config(1).get("searchTransactionHistory") is True
    oldest = 0 if search else node.slot() - RECENT_SLOTS
    return node.context("processed", [_status(node, text, oldest) for text in wanted])


def _status(node: Node, text: str, oldest: int) -> dict[str, Any] | None:
    entry = node.ledger.find(text)
    status = "" if entry is None or entry.slot < oldest else node.status(entry)
    if entry is None or not status:
        return None
    err = node.ledger.encoded(entry).err
    return {
        "confirmationStatus": status,
        "confirmations": node.confirmations(entry),
        "err": err,
        "slot": entry.slot,
        "status": {"Ok": None} if err is None else {"Err": err},
    }


def _there(node: Node, slot: int, commitment: str) -> None:
    """Check that the slot has a block.

    Raises RpcError when there is none.
    """
    if slot < node.ledger.begin:
        first = node.ledger.begin
        raise RpcError(CLEANED_UP, f"Block {slot} cleaned up, does not exist on node. First available block: {first}")
    if slot > node.slot(commitment):
        raise RpcError(NOT_AVAILABLE, f"Block not available for slot {slot}")
    if produced(slot) != slot:
        raise RpcError(SKIPPED, f"Slot {slot} was skipped, or missing due to ledger jump to recent snapshot")


def _block(node: Node, params: Params) -> Any:
    slot = params.number(0)
    config, commitment = _options(params, 1)
    _there(node, slot, commitment)
    encoding = chosen(config.get("encoding"), TRANSACTION_ENCODINGS, "json")
    details = chosen(config.get("transactionDetails"), ("full", "accounts", "signatures", "none"), "full")
    entries = [entry for entry in node.ledger.in_slot(slot) if not entry.forked]
    shown: dict[str, Any] = {
        "blockHeight": node.ledger.height(slot),
        "blockTime": node.ledger.time_of(slot),
        "blockhash": node.blockhash(slot),
        "parentSlot": parent(slot),
        "previousBlockhash": node.blockhash(parent(slot)),
    }
    if config.get("rewards", True):
        shown["rewards"] = []
    if details in ("full", "accounts"):
        shown["transactions"] = [transaction(node, entry, encoding, _version(config)) for entry in entries]
    elif details == "signatures":
        shown["signatures"] = [node.ledger.signature(entry) for entry in entries]
    return shown


def _blocks(node: Node, params: Params) -> Any:
    first = params.number(0)
    last = params.number(1) if len(params) > 1 and not isinstance(params.items[1], dict) else node.slot("finalized")
    if last - first > 500_000:
        raise RpcError(INVALID_PARAMS, "Slot range too large; max 500000")
    low, high = max(first, node.ledger.begin), min(last, node.slot("finalized"))
    return [slot for slot in range(low, high + 1) if produced(slot) == slot]


def _block_time(node: Node, params: Params) -> Any:
    slot = params.number(0)
    _there(node, slot, "confirmed")
    return node.ledger.time_of(slot)


METHODS: Registry = {
    "getSignaturesForAddress": _signatures_for_address,
    "getTransaction": _transaction,
    "getSignatureStatuses": _statuses,
    "getBlock": _block,
    "getBlocks": _blocks,
    "getBlockTime": _block_time,
}
