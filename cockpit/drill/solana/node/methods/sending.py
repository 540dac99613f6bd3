"""Simulates and sends clients' transactions, and answers as a node would for this program."""

from __future__ import annotations

from typing import Any

from solders.instruction import AccountMeta, Instruction
from solders.transaction import VersionedTransaction

from cockpit.drill.solana.node.endpoint import (
    INVALID_PARAMS,
    PREFLIGHT,
    SIGNATURE,
    Node,
    Params,
    Registry,
    RpcError,
    chosen,
    commitment_of,
    pubkey,
)
from cockpit.drill.solana.node.methods.accounts import one
from cockpit.drill.solana.program import instructions, keys, runtime
from cockpit.drill.solana.program.borsh import u64
from cockpit.drill.solana.program.ledger import BLOCKHASH_BLOCKS
from cockpit.drill.solana.program.runtime import Outcome


def _decoded(params: Params, config: dict[str, Any]) -> VersionedTransaction:
    encoding = chosen(config.get("encoding"), ("base58", "base64"), "base58")
    try:
        return runtime.decode(params.text(0), encoding)
    except runtime.BadTransaction as error:
        raise RpcError(INVALID_PARAMS, str(error)) from None


def _result(outcome: Outcome) -> dict[str, Any]:
    return {
        "accounts": None,
        "err": outcome.err,
        "innerInstructions": None,
        "logs": list(outcome.logs),
        "returnData": None,
        "unitsConsumed": outcome.units,
    }


def _simulate(node: Node, params: Params) -> Any:
    config, commitment = params.config(1), params.commitment(1)
    transaction = _decoded(params, config)
    fresh = config.get("replaceRecentBlockhash") is True
    if config.get("sigVerify") is True:
        if fresh:
            raise RpcError(INVALID_PARAMS, "sigVerify may not be used with replaceRecentBlockhash")
        if not runtime.verified(transaction):
            raise RpcError(SIGNATURE, "Transaction signature verification failure")
    head = node.slot(commitment)
    outcome, bank = node.oracle.runtime.execute(transaction, head, head=head, any_blockhash=fresh)
    result = _result(outcome)
    if fresh:
        last = node.ledger.height(head) + BLOCKHASH_BLOCKS
        result["replacementBlockhash"] = {"blockhash": node.blockhash(head), "lastValidBlockHeight": last}
    if config.get("innerInstructions") is True:
        result["innerInstructions"] = list(outcome.inner)
    wanted = config.get("accounts")
    if isinstance(wanted, dict):
        shown = {"encoding": wanted.get("encoding") or "base64"}
        addresses = [pubkey(text) for text in wanted.get("addresses", [])]
        before = [one(node, address, commitment, shown) for address in addresses]
        for account, address in zip(before, addresses, strict=True):
            changed = bank.find(address)
            if account is not None and isinstance(changed, int):
                account["lamports"] = changed
        result["accounts"] = before
    return node.context(commitment, result)


def _send(node: Node, params: Params) -> Any:
    config = params.config(1)
    transaction = _decoded(params, config)
    signature = str(transaction.signatures[0])
    if config.get("skipPreflight") is not True:
        if not runtime.verified(transaction):
            raise RpcError(SIGNATURE, "Transaction signature verification failure")
        unhealthy = node.unhealthy()
        if unhealthy is not None:
            raise unhealthy
        head = node.slot(commitment_of({"commitment": config.get("preflightCommitment")}))
        outcome, _ = node.oracle.runtime.execute(transaction, max(head, node.slot()), head=head)
        if outcome.err is not None:
            words = f"Transaction simulation failed: {runtime.words(outcome.err)}"
            raise RpcError(PREFLIGHT, words, _result(outcome))
    if not node.chaos.take("lost_sends") and runtime.verified(transaction):
        node.oracle.send(transaction)  # what cannot be included is lost, as on the real chain, without an error
    return signature


def _airdrop(node: Node, params: Params) -> Any:
    to, lamports = params.pubkey(0), params.number(1)
    own = node.oracle.keys
    accounts = [AccountMeta(own.faucet.key, True, True), AccountMeta(to, False, True)]
    transfer = Instruction(keys.SYSTEM, (2).to_bytes(4, "little") + u64(lamports), accounts)
    price = instructions.compute_unit_price(node.ledger.count)  # two alike in a slot would be one transaction
    _, signature = node.oracle.send(node.oracle.transaction([price, transfer], own.faucet))
    return signature


METHODS: Registry = {"simulateTransaction": _simulate, "sendTransaction": _send, "requestAirdrop": _airdrop}
