"""Answers as one RPC node.

Its view of the ledger (it may lag, or follow a fork) and the errors and parameters of its methods.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from solders.pubkey import Pubkey
from solders.signature import Signature

from cockpit.drill.solana.node.network import Endpoint
from cockpit.drill.solana.program.ledger import COMMITMENTS, FINALIZED, FORK_SLOTS, Ledger, LedgerEntry, produced
from cockpit.drill.solana.program.oracle import Oracle

VERSION = "2.2.14"
FEATURE_SET = 3294202862
HEALTHY_SLOTS = 128  # a node that is further behind says that it is not healthy

PARSE, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
CLEANED_UP, PREFLIGHT, SIGNATURE, NOT_AVAILABLE, UNHEALTHY, SKIPPED = -32001, -32002, -32003, -32004, -32005, -32007
VERSION_UNSUPPORTED, CONTEXT_SLOT = -32015, -32016


class RpcError(Exception):
    """Carries a JSON-RPC error object.

    `data` is left out when it is `...`.
    """

    def __init__(self, code: int, message: str, data: Any = ...) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def json(self) -> dict[str, Any]:
        body = {"code": self.code, "message": self.message}
        return body if self.data is ... else {**body, "data": self.data}


class Node:
    """Shows the ledger as one endpoint sees it.

    `endpoint` is what the world says of it (`behind`, `failing`, `confirm_ms`), with its chaos.
    """

    def __init__(self, oracle: Oracle, endpoint: Endpoint) -> None:
        self.oracle = oracle
        self.ledger: Ledger = oracle.ledger
        self.accounts = oracle.accounts
        self.endpoint = endpoint
        self.chaos = endpoint.chaos
        self.rng = Random(f"{oracle.keys.seed}/{endpoint.name}")
        self.requests: Counter[str] = Counter()
        self.subscribed = 0  # subscriptions ever made
        self._fork_from: int | None = None

    @property
    def name(self) -> str:
        return self.endpoint.name

    @property
    def behind(self) -> int:
        return self.endpoint.behind + self.chaos.lag

    def slot(self, commitment: str = "processed") -> int:
        """Return its newest slot at that commitment."""
        head = produced(self.ledger.slot() - self.behind)
        if not self.chaos.forked:
            self._fork_from = None
        elif self._fork_from is None:
            self._fork_from = head
        if commitment == "processed":
            return head
        start = head if self._fork_from is None else self._fork_from
        return self.ledger.at_commitment(min(head, start), commitment)

    def sees(self, entry: LedgerEntry, commitment: str) -> bool:
        slot = self.slot(commitment)
        if entry.forked:
            return commitment == "processed" and entry.slot <= slot <= entry.slot + FORK_SLOTS
        return entry.slot <= slot

    def status(self, entry: LedgerEntry) -> str:
        """Return the highest commitment that it has reached here; "" when it is not seen at all."""
        return next((c for c in reversed(COMMITMENTS) if self.sees(entry, c)), "")

    def confirmations(self, entry: LedgerEntry) -> int | None:
        """Return the blocks on top of it; None once finalised."""
        if self.status(entry) == "finalized":
            return None
        return min(FINALIZED, max(0, self.ledger.height(self.slot()) - self.ledger.height(entry.slot)))

    def blockhash(self, slot: int) -> str:
        fork = self.name if self._fork_from is not None and slot > self._fork_from else ""
        return str(self.ledger.blockhash(slot, fork))

    def context(self, commitment: str, value: Any) -> dict[str, Any]:
        return {"context": {"apiVersion": VERSION, "slot": self.slot(commitment)}, "value": value}

    def unhealthy(self) -> RpcError | None:
        """Return the error that getHealth gives."""
        words = self.chaos.health or ""
        if words == "bare":
            return RpcError(UNHEALTHY, "Node is unhealthy")
        if words == "unknown":
            return RpcError(UNHEALTHY, "Node is unhealthy", {"numSlotsBehind": None})
        number = int(words.removeprefix("behind ")) if words.startswith("behind ") else self.behind
        if words or number > HEALTHY_SLOTS:
            return RpcError(UNHEALTHY, f"Node is behind by {number} slots", {"numSlotsBehind": number})
        return None


class Params:
    """Reads positional parameters, checked as they are taken.

    Every method raises RpcError −32602 with a node's words.
    """

    def __init__(self, node: Node, params: Any) -> None:
        if isinstance(params, dict):
            raise RpcError(INVALID_PARAMS, "Invalid params: named parameters are not supported")
        if params is not None and not isinstance(params, list):
            raise RpcError(INVALID_PARAMS, "Invalid params: expected a list of parameters")
        self.node = node
        self.items: list[Any] = params or []

    def __len__(self) -> int:
        return len(self.items)

    def raw(self, index: int) -> Any:
        if index >= len(self.items):
            raise RpcError(INVALID_PARAMS, f"`params` should have at least {index + 1} argument(s)")
        return self.items[index]

    def text(self, index: int) -> str:
        value = self.raw(index)
        if not isinstance(value, str):
            raise RpcError(INVALID_PARAMS, f"Invalid params: invalid type: {_kind(value)}, expected a string.")
        return value

    def number(self, index: int) -> int:
        value = self.raw(index)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise RpcError(INVALID_PARAMS, f"Invalid params: invalid type: {_kind(value)}, expected u64.")
        return value

    def texts(self, index: int, most: int) -> list[str]:
        value = self.raw(index)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise RpcError(INVALID_PARAMS, f"Invalid params: invalid type: {_kind(value)}, expected a sequence.")
        if len(value) > most:
            raise RpcError(INVALID_PARAMS, f"Too many inputs provided; max {most}")
        return value

    def pubkey(self, index: int) -> Pubkey:
        return pubkey(self.text(index))

    def config(self, index: int) -> dict[str, Any]:
        value = self.items[index] if index < len(self.items) else None
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise RpcError(INVALID_PARAMS, f"Invalid params: invalid type: {_kind(value)}, expected an options object.")
        return value

    def commitment(self, index: int, *, lowest: str = "processed", default: str = "finalized") -> str:
        """Return the commitment of the options at `index`; checks `minContextSlot` too."""
        config = self.config(index)
        found = commitment_of(config, default)
        if COMMITMENTS.index(found) < COMMITMENTS.index(lowest):
            raise RpcError(INVALID_PARAMS, f"Method does not support commitment below `{lowest}`")
        least = config.get("minContextSlot")
        slot = self.node.slot(found)
        if isinstance(least, int) and least > slot:
            raise RpcError(CONTEXT_SLOT, "Minimum context slot has not been reached", {"contextSlot": slot})
        return found


def commitment_of(config: dict[str, Any], default: str = "finalized") -> str:
    found = config.get("commitment")
    if found is None:
        return default
    old = {
        "recent": "processed",
        "single": "confirmed",
        "singleGossip": "confirmed",
        "root": "finalized",
        "max": "finalized",
    }
    name = old.get(found, found) if isinstance(found, str) else found
    if name not in COMMITMENTS:
        raise RpcError(
            INVALID_PARAMS,
            f"Invalid params: unknown variant `{found}`, expected one of `processed`, `confirmed`, `finalized`.",
        )
    return str(name)


def pubkey(text: Any) -> Pubkey:
    try:
        return Pubkey.from_string(text)
    except (ValueError, TypeError) as error:
        raise RpcError(INVALID_PARAMS, f"Invalid param: {_why(str(error))}") from None


def signature(text: Any) -> str:
    try:
        return str(Signature.from_string(text))
    except (ValueError, TypeError) as error:
        raise RpcError(INVALID_PARAMS, f"Invalid param: {_why(str(error))}") from None


def _why(words: str) -> str:
    return "WrongSize" if "wrong size" in words.lower() else "Invalid"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int | float):
        return f"number `{value}`"
    if isinstance(value, str):
        return f'string "{value[:40]}"'
    return "sequence" if isinstance(value, list) else "map"


Method = Callable[[Node, Params], Any]
Registry = dict[str, Method]


def chosen(value: Any, allowed: Sequence[str], default: str) -> str:
    """Return one of the allowed words of an option.

    Raises RpcError.
    """
    if value is None:
        return default
    if value not in allowed:
        words = ", ".join(f"`{word}`" for word in allowed)
        raise RpcError(INVALID_PARAMS, f"Invalid params: unknown variant `{value}`, expected one of {words}.")
    return str(value)
