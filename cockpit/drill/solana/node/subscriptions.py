"""Tracks subscriptions of a WebSocket: what each has seen, and what has come since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from solders.pubkey import Pubkey

from cockpit.drill.solana.node.endpoint import INVALID_PARAMS, VERSION, Node, Params, RpcError, pubkey, signature
from cockpit.drill.solana.node.methods.accounts import Filter, filters, matches, one
from cockpit.drill.solana.node.views import account, account_data
from cockpit.drill.solana.program.accounts import Key
from cockpit.drill.solana.program.ledger import LedgerEntry, parent, produced

MOST_SLOTS = 100  # slot notifications at once; a node that jumped further says only the newest


@dataclass(slots=True)
class Subscription:
    """Holds one subscription.

    `cursor`: what comes next, in entries, slots or changes; `poll` gives the results since, and
    moves it.
    """

    number: int
    method: str  # of its notifications
    commitment: str
    poll: Callable[[Node, Subscription], Iterator[Any]]
    cursor: int = 0
    target: Any = None
    config: dict[str, Any] = field(default_factory=dict)
    wanted: list[Filter] = field(default_factory=list)
    last: Any = None
    done: bool = False  # it ends with what it has just said


def make(node: Node, method: str, params: Params, number: int) -> Subscription:
    """Make a subscription.

    Raises RpcError.
    """
    if method == "slotSubscribe":
        return Subscription(number, "slotNotification", "processed", _slots, cursor=node.slot())
    if method == "rootSubscribe":
        return Subscription(number, "rootNotification", "finalized", _roots, cursor=node.slot("finalized"))
    config, commitment = params.config(1), params.commitment(1)
    if method == "logsSubscribe":
        made = Subscription(number, "logsNotification", commitment, _logs, target=_mentions(params))
        made.cursor = node.ledger.first + node.ledger.position(node.slot(commitment))
        return made
    if method == "signatureSubscribe":
        wanted = signature(params.raw(0))
        return Subscription(number, "signatureNotification", commitment, _signature, target=wanted, config=config)
    address = params.pubkey(0)
    if method == "accountSubscribe":
        made = Subscription(number, "accountNotification", commitment, _account, target=address, config=config)
        made.last = _value(node, address, commitment)
        return made
    made = Subscription(number, "programNotification", commitment, _program, target=address, config=config)
    made.wanted = filters(config)
    made.cursor = node.accounts.changed
    return made


KINDS = ("logs", "slot", "root", "signature", "account", "program")


def _mentions(params: Params) -> str:
    """Return "" for all transactions, else the one address."""
    raw = params.raw(0)
    if raw in ("all", "allWithVotes"):
        return ""
    listed = raw.get("mentions") if isinstance(raw, dict) else None
    if not isinstance(listed, list):
        raise RpcError(
            INVALID_PARAMS, "Invalid params: unknown variant, expected one of `all`, `allWithVotes`, `mentions`."
        )
    if len(listed) != 1:
        raise RpcError(INVALID_PARAMS, "Invalid Request: Only 1 address supported")
    return str(pubkey(listed[0]))


def _context(slot: int, value: Any) -> dict[str, Any]:
    return {"context": {"apiVersion": VERSION, "slot": slot}, "value": value}


def _logs(node: Node, sub: Subscription) -> Iterator[Any]:
    ledger = node.ledger
    for entry in ledger.since(sub.cursor, node.slot(sub.commitment)):
        sub.cursor = entry.number + 1
        if (entry.forked and sub.commitment != "processed") or not _mentioned(node, entry, sub.target):
            continue
        encoded = ledger.encoded(entry)
        value = {"err": encoded.err, "logs": encoded.logs, "signature": encoded.signature}
        yield _context(entry.slot, value)


def _mentioned(node: Node, entry: LedgerEntry, target: str) -> bool:
    if not target:
        return True
    if target == node.oracle.program_id:
        return entry.program
    return target in node.ledger.encoded(entry).keys


def _slots(node: Node, sub: Subscription) -> Iterator[Any]:
    head = node.slot()
    for slot in range(max(sub.cursor + 1, head - MOST_SLOTS), head + 1):
        if produced(slot) == slot:
            yield {"parent": parent(slot), "root": node.ledger.at_commitment(slot, "finalized"), "slot": slot}
    sub.cursor = max(sub.cursor, head)


def _roots(node: Node, sub: Subscription) -> Iterator[Any]:
    root = node.slot("finalized")
    for slot in range(max(sub.cursor + 1, root - MOST_SLOTS), root + 1):
        if produced(slot) == slot:
            yield slot
    sub.cursor = max(sub.cursor, root)


def _signature(node: Node, sub: Subscription) -> Iterator[Any]:
    entry = node.ledger.find(sub.target)
    if entry is None:
        return
    if sub.config.get("enableReceivedNotification") and sub.last is None:
        sub.last = "received"
        yield _context(node.slot(), "receivedSignature")
    if node.sees(entry, sub.commitment):
        sub.done = True
        yield _context(node.slot(sub.commitment), {"err": node.ledger.encoded(entry).err})


def _value(node: Node, address: Pubkey, commitment: str) -> Any:
    key = node.accounts.find(address)
    return None if key is None else node.accounts.at(key, node.slot(commitment))


def _account(node: Node, sub: Subscription) -> Iterator[Any]:
    value = _value(node, sub.target, sub.commitment)
    if value != sub.last:
        sub.last = value
        shown = one(node, sub.target, sub.commitment, {"encoding": "base64", **sub.config})
        if shown is not None:
            yield _context(node.slot(sub.commitment), shown)


def _program(node: Node, sub: Subscription) -> Iterator[Any]:
    accounts = node.accounts
    if sub.target != node.oracle.keys.program:
        return
    slot = node.slot(sub.commitment)
    oldest = accounts.changed - len(accounts.changes)
    fresh: dict[tuple[int, Key], None] = {}
    for at, key in islice(accounts.changes, max(0, sub.cursor - oldest), None):
        if at > slot:
            break
        fresh[at, key] = None
        sub.cursor = max(sub.cursor, oldest) + 1
    for at, key in fresh:
        value = accounts.at(key, at)
        if key[0] == "wallet" or value is None or not matches(account_data(node, value), sub.wanted):
            continue
        shown = account(node, key, value, {"encoding": "base64", **sub.config})
        yield _context(at, {"account": shown, "pubkey": str(accounts.address(key))})
