"""Shows accounts and transactions as JSON, in the encodings that clients ask for."""

from __future__ import annotations

import base64
from typing import Any

from solders.message import MessageV0
from solders.pubkey import Pubkey
from solders.transaction import VersionedTransaction

from cockpit.drill.solana import base58
from cockpit.drill.solana.node.endpoint import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    VERSION_UNSUPPORTED,
    Node,
    RpcError,
    chosen,
)
from cockpit.drill.solana.program import keys
from cockpit.drill.solana.program.accounts import Key, Value, rent_exempt
from cockpit.drill.solana.program.ledger import Encoded, LedgerEntry
from cockpit.drill.solana.program.signing import PROGRAM_LAMPORTS

RENT_EPOCH = 2**64 - 1
DEPLOYED_SLOT = 1000  # when the program's code was last changed
BASE58_MOST = 128  # bytes
ACCOUNT_ENCODINGS = ("base58", "base64", "base64+zstd", "jsonParsed")
TRANSACTION_ENCODINGS = ("json", "jsonParsed", "base58", "base64")


def account_data(node: Node, value: Value) -> bytes:
    return b"" if isinstance(value, int) else value.encode(node.oracle.keys)


def account(node: Node, key: Key, value: Value, config: dict[str, Any]) -> dict[str, Any]:
    """Show an account.

    Raises RpcError when it does not fit the encoding.
    """
    data = account_data(node, value)
    owner = keys.SYSTEM if key[0] == "wallet" else node.oracle.keys.program
    lamports = value if isinstance(value, int) else rent_exempt(len(data))
    return _account(data, owner, lamports, False, config)


def special(node: Node, address: Pubkey, config: dict[str, Any]) -> dict[str, Any] | None:
    """Return a program's account: ours (its data names where the code would be) or a built-in."""
    if address == node.oracle.keys.program:
        code = (2).to_bytes(4, "little") + node.oracle.keys.digest("code")
        return _account(code, keys.UPGRADEABLE_LOADER, PROGRAM_LAMPORTS, True, config)
    if bytes(address) == node.oracle.keys.digest("code"):
        head = (3).to_bytes(4, "little") + DEPLOYED_SLOT.to_bytes(8, "little") + b"\1"
        code = head + bytes(node.oracle.keys.authority.key)
        return _account(code, keys.UPGRADEABLE_LOADER, PROGRAM_LAMPORTS, False, config)
    names = {
        keys.SYSTEM: b"system_program",
        keys.ED25519: b"ed25519_program",
        keys.COMPUTE_BUDGET: b"compute_budget_program",
    }
    if address in names:
        return _account(names[address], keys.NATIVE_LOADER, 1, True, config)
    return None


def _account(data: bytes, owner: Pubkey, lamports: int, executable: bool, config: dict[str, Any]) -> dict[str, Any]:
    space = len(data)
    cut = config.get("dataSlice")
    if isinstance(cut, dict):
        data = data[int(cut.get("offset", 0)) :][: int(cut.get("length", 0))]
    return {
        "data": _encoded(data, config.get("encoding")),
        "executable": executable,
        "lamports": lamports,
        "owner": str(owner),
        "rentEpoch": RENT_EPOCH,
        "space": space,
    }


def _encoded(data: bytes, encoding: Any) -> Any:
    if encoding is None:  # the old way: a plain string
        return base58.encode(data) if len(data) <= BASE58_MOST else "error: data too large for bs58 encoding"
    name = chosen(encoding, ACCOUNT_ENCODINGS, "base64")
    if name == "base58":
        if len(data) > BASE58_MOST:
            raise RpcError(
                INVALID_REQUEST,
                "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.",
            )
        return [base58.encode(data), "base58"]
    if name == "base64+zstd":
        raise RpcError(INVALID_PARAMS, "Invalid params: base64+zstd is not served here")
    return [base64.b64encode(data).decode(), "base64"]


def meta(encoded: Encoded, *, versioned: bool, detailed: bool) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "computeUnitsConsumed": encoded.units,
        "err": encoded.err,
        "fee": encoded.fee,
        "innerInstructions": [_inner(encoded, call, detailed) for call in encoded.inner],
        "logMessages": list(encoded.logs),
        "postBalances": list(encoded.post),
        "postTokenBalances": [],
        "preBalances": list(encoded.pre),
        "preTokenBalances": [],
        "rewards": [],
        "status": {"Ok": None} if encoded.err is None else {"Err": encoded.err},
    }
    if versioned:
        shown["loadedAddresses"] = {"readonly": [], "writable": []}
    return shown


def _inner(encoded: Encoded, made: dict[str, Any], detailed: bool) -> dict[str, Any]:
    """Show inner instructions.

    `detailed`: with addresses in place of indices, as `jsonParsed` has what it cannot parse.
    """
    if not detailed:
        return made
    named = [
        {
            "accounts": [encoded.keys[n] for n in call["accounts"]],
            "data": call["data"],
            "programId": encoded.keys[call["programIdIndex"]],
            "stackHeight": call["stackHeight"],
        }
        for call in made["instructions"]
    ]
    return {"index": made["index"], "instructions": named}


def transaction(node: Node, entry: LedgerEntry, encoding: str, most_version: int | None) -> dict[str, Any]:
    """Show one transaction as {"transaction", "meta", "version"}.

    Raises RpcError for a version that the client does not take.
    """
    encoded = node.ledger.encoded(entry)
    parsed = VersionedTransaction.from_bytes(encoded.wire)
    version: str | int = 0 if isinstance(parsed.message, MessageV0) else "legacy"
    if version != "legacy" and most_version is None:
        raise RpcError(
            VERSION_UNSUPPORTED,
            f"Transaction version ({version}) is not supported by the requesting client. "
            "Please try the request again with the following configuration parameter: "
            '"maxSupportedTransactionVersion": 0',
        )
    detailed = encoding == "jsonParsed"
    shown: dict[str, Any] = {"meta": meta(encoded, versioned=most_version is not None, detailed=detailed)}
    if encoding in ("base64", "base58"):
        text = base64.b64encode(encoded.wire).decode() if encoding == "base64" else base58.encode(encoded.wire)
        shown["transaction"] = [text, encoding]
    else:
        signatures = [str(signature) for signature in parsed.signatures]
        shown["transaction"] = {"message": _message(parsed, detailed), "signatures": signatures}
    if most_version is not None:
        shown["version"] = version
    return shown


def _message(parsed: VersionedTransaction, detailed: bool) -> dict[str, Any]:
    message = parsed.message
    accounts = [str(key) for key in message.account_keys]
    header = message.header
    calls: list[dict[str, Any]] = []
    for call in message.instructions:
        data, places = base58.encode(bytes(call.data)), list(bytes(call.accounts))
        if detailed:
            named = {
                "accounts": [accounts[n] for n in places],
                "data": data,
                "programId": accounts[call.program_id_index],
            }
            calls.append({**named, "stackHeight": None})
        else:
            calls.append(
                {"accounts": places, "data": data, "programIdIndex": call.program_id_index, "stackHeight": None}
            )
    shown: dict[str, Any] = {"instructions": calls, "recentBlockhash": str(message.recent_blockhash)}
    if detailed:
        signed, unsigned = header.num_readonly_signed_accounts, header.num_readonly_unsigned_accounts
        first, last = header.num_required_signatures, len(accounts) - unsigned
        shown["accountKeys"] = [
            {
                "pubkey": key,
                "signer": n < first,
                "source": "transaction",
                "writable": n < first - signed or first <= n < last,
            }
            for n, key in enumerate(accounts)
        ]
    else:
        shown["accountKeys"] = accounts
        shown["header"] = {
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
            "numRequiredSignatures": header.num_required_signatures,
        }
    if isinstance(message, MessageV0):
        shown["addressTableLookups"] = []
    return shown
