"""Answers for the node itself, slots, blockhashes and fees."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from solders.message import from_bytes_versioned

from cockpit.drill.solana.node.endpoint import FEATURE_SET, INVALID_PARAMS, VERSION, Node, Params, Registry, RpcError
from cockpit.drill.solana.program.accounts import rent_exempt
from cockpit.drill.solana.program.keys import ED25519
from cockpit.drill.solana.program.ledger import BLOCKHASH_BLOCKS, EPOCH_SLOTS, SLOT_S, produced
from cockpit.drill.solana.program.signing import fee_of

SAMPLE_S = 60
FEE_SLOTS = 150


def _health(node: Node, params: Params) -> Any:
    error = node.unhealthy()
    if error is not None:
        raise error
    return "ok"


def _version(node: Node, params: Params) -> Any:
    return {"feature-set": FEATURE_SET, "solana-core": VERSION}


def _genesis(node: Node, params: Params) -> Any:
    return node.chaos.genesis or node.ledger.genesis


def _identity(node: Node, params: Params) -> Any:
    return {"identity": str(node.oracle.keys.named(f"node-{node.name}").key)}


def _slot(node: Node, params: Params) -> Any:
    return node.slot(params.commitment(0))


def _height(node: Node, params: Params) -> Any:
    return node.ledger.height(node.slot(params.commitment(0)))


def _transaction_count(node: Node, params: Params) -> Any:
    return node.slot(params.commitment(0)) * 1_800 + node.ledger.count


def _epoch_info(node: Node, params: Params) -> Any:
    slot = node.slot(params.commitment(0))
    return {
        "absoluteSlot": slot,
        "blockHeight": node.ledger.height(slot),
        "epoch": slot // EPOCH_SLOTS,
        "slotIndex": slot % EPOCH_SLOTS,
        "slotsInEpoch": EPOCH_SLOTS,
        "transactionCount": slot * 1_800 + node.ledger.count,
    }


def _epoch_schedule(node: Node, params: Params) -> Any:
    return {
        "firstNormalEpoch": 0,
        "firstNormalSlot": 0,
        "leaderScheduleSlotOffset": EPOCH_SLOTS,
        "slotsPerEpoch": EPOCH_SLOTS,
        "warmup": False,
    }


def _first_block(node: Node, params: Params) -> Any:
    return node.ledger.begin


def _latest_blockhash(node: Node, params: Params) -> Any:
    commitment = params.commitment(0)
    slot = node.slot(commitment)
    last = node.ledger.height(slot) + BLOCKHASH_BLOCKS
    return node.context(commitment, {"blockhash": node.blockhash(slot), "lastValidBlockHeight": last})


def _blockhash_valid(node: Node, params: Params) -> Any:
    commitment = params.commitment(1)
    valid = node.ledger.blockhash_valid(params.text(0), node.slot(commitment))
    return node.context(commitment, valid)


def _fee_for_message(node: Node, params: Params) -> Any:
    commitment = params.commitment(1)
    try:
        message = from_bytes_versioned(base64.b64decode(params.text(0), validate=True))
    except (ValueError, binascii.Error) as error:
        raise RpcError(INVALID_PARAMS, f"invalid transaction message: {error}") from None
    if not node.ledger.blockhash_valid(str(message.recent_blockhash), node.slot(commitment)):
        return node.context(commitment, None)
    programs = [message.account_keys[call.program_id_index] for call in message.instructions]
    verified = sum(
        bytes(call.data)[0]
        for program, call in zip(programs, message.instructions, strict=True)
        if program == ED25519 and call.data
    )
    return node.context(commitment, fee_of(message.header.num_required_signatures, verified))


def _prioritization_fees(node: Node, params: Params) -> Any:
    """Return what the program's commits paid per compute unit.

    Nothing in slots without one.
    """
    head = node.slot("confirmed")
    fees = []
    for slot in range(head - FEE_SLOTS + 1, head + 1):
        if produced(slot) != slot:
            continue
        busy = bool(node.ledger.in_slot(slot))
        wobble = 80 + node.oracle.keys.digest("fee", str(slot))[0] % 41  # per cent
        fees.append({"prioritizationFee": node.oracle.price * wobble // 100 if busy else 0, "slot": slot})
    return fees


def _performance(node: Node, params: Params) -> Any:
    limit = params.number(0) if len(params) else 720
    if limit > 720:
        raise RpcError(INVALID_PARAMS, "Invalid limit; max 720")
    slots = int(SAMPLE_S / SLOT_S)
    head, samples = node.slot("confirmed"), []
    for number in range(limit):
        end = head - number * slots
        if end - slots < node.ledger.begin:
            break
        ours = node.ledger.position(end) - node.ledger.position(end - slots)
        blocks = node.ledger.height(end) - node.ledger.height(end - slots)
        samples.append(
            {
                "numNonVoteTransactions": 600 * slots + ours,
                "numSlots": blocks,
                "numTransactions": 1_800 * slots + ours,
                "samplePeriodSecs": SAMPLE_S,
                "slot": end,
            }
        )
    return samples


def _rent(node: Node, params: Params) -> Any:
    return rent_exempt(params.number(0))


METHODS: Registry = {
    "getHealth": _health,
    "getVersion": _version,
    "getGenesisHash": _genesis,
    "getIdentity": _identity,
    "getSlot": _slot,
    "getBlockHeight": _height,
    "getTransactionCount": _transaction_count,
    "getEpochInfo": _epoch_info,
    "getEpochSchedule": _epoch_schedule,
    "getFirstAvailableBlock": _first_block,
    "minimumLedgerSlot": _first_block,
    "getLatestBlockhash": _latest_blockhash,
    "isBlockhashValid": _blockhash_valid,
    "getFeeForMessage": _fee_for_message,
    "getRecentPrioritizationFees": _prioritization_fees,
    "getRecentPerformanceSamples": _performance,
    "getMinimumBalanceForRentExemption": _rent,
}
