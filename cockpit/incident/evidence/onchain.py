"""Collects the parts of evidence that come from the chain: last bundle, commits, signer set.

The last bundle's content hash is in the program's event of its reveal, nowhere else: where the
cockpit began to watch after reveals had stopped, it is looked for on the chain
(`cockpit.sources.solana.last_reveal`), beside everything else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from cockpit.clock import Clock
from cockpit.incident.evidence.bundle import Collect, Missing
from cockpit.model.observed.chain import MarketState, ProgramActivity, Reveal
from cockpit.model.reading import Fault, Known, Reading, Unknown, believed, last_known, light_of
from cockpit.model.situation import Situation
from cockpit.sources.solana.settings import RpcEndpoint
from cockpit.text import safe

if TYPE_CHECKING:
    from cockpit.sources.solana.search import LookedBack

_UNSEEN = "no reveal was seen since the cockpit began to watch"

#: Looks for the newest reveal on the chain, in bounded time. Never raises for what endpoints say.
FindLast = Callable[[Situation], Awaitable["LookedBack"]]


def find_last(endpoints: Sequence[RpcEndpoint], program_id: str | None, clock: Clock) -> FindLast | None:
    """Return a search for the last reveal, by requests of its own, for the loop that collects.

    None where no endpoint is configured.
    """
    if not endpoints or not program_id:
        return None

    async def find(situation: Situation) -> LookedBack:
        from cockpit.sources.solana.last_reveal import last_reveal

        endpoints_read = {t.partition("/")[2]: r for t, r in situation.solana.items() if t.startswith("endpoint/")}
        found = {name: each.believed(situation.mono) for name, each in endpoints_read.items()}
        faulty = {name for name, each in found.items() if not each.live}
        known = {name: last_known(each) for name, each in found.items()}
        statuses = {name: status for name, status in known.items() if status is not None}
        order = sorted(endpoints, key=lambda each: safe(each.name, 60) in faulty)
        return await last_reveal(order, program_id, clock, statuses=statuses, known=_known(situation))

    return find


def _known(situation: Situation) -> tuple[int, int] | None:
    """Return the slots (after, up to) whose transactions the cockpit has all counted and read.

    No reveal is among them.
    """
    found = believed(situation.solana.get("program"), situation.mono, ProgramActivity)
    if isinstance(found, Unknown):
        return None
    program = found.data
    if (
        not program.complete
        or program.doubtful_until is not None
        or program.undecodable
        or program.last_reveal is not None
    ):
        return None
    if program.covered_slot is None or program.slot is None:
        return None
    return program.covered_slot, program.slot


def chain_parts() -> dict[str, Callable[[Situation], Any]]:
    """Return part → what it holds, of a situation.

    Raises Missing.
    """
    return {
        "commits.json": _commits,
        "signer-set.json": _signer_set,
        "failed-transactions.json": _failures,
        "refused-reveals.json": _refusals,
        "chain-accounts.json": _accounts,
    }


def last_bundle(situation: Situation | None, find: FindLast | None) -> Collect:
    """Collect `bundle.json`: of the newest reveal seen, else of the newest on the chain."""

    async def collect() -> Any:
        if situation is None:
            raise Missing("no live look at the cluster")
        try:
            program, read = _chain(situation, "program")
        except Missing as missing:
            if find is None or "solana" not in situation.configured:
                raise
            program, read, unseen = None, None, str(missing)
        else:
            if program.last_reveal is not None:
                return _bundle(program, program.last_reveal, read)
            unseen = _UNSEEN
            if find is None:
                raise Missing(unseen)
        found = await find(situation)
        if found.reveal is None:
            raise Missing(f"{unseen}; {found.why}")
        return _bundle(program, _named(situation, found.reveal), read) | {
            "found": f"on the chain at {found.endpoint}: {unseen}",
            "looked_back": {f: getattr(found, f) for f in found.__struct_fields__ if f not in ("reveal", "why")},
            "market_account": _by_account(situation, found.reveal),
        }

    return collect


def _bundle(program: ProgramActivity | None, newest: Reveal, read: dict[str, Any] | None) -> dict[str, Any]:
    counted = (
        {
            "by_market": dict(program.reveals_by_market),
            "program_id": program.program_id,
            "counting_since": program.counting_since,
            "complete": program.complete,
            "gap": program.gap,
            "reading": read,
        }
        if program is not None
        else {}
    )
    return {"bundle_content_hash": newest.bundle_hash, "last_reveal": newest, **counted}


def _market(situation: Situation, address: str) -> MarketState | None:
    accounts = last_known(believed(situation.solana.get("markets"), situation.mono)) or {}
    market: MarketState | None = accounts.get(address)
    return market


def _named(situation: Situation, reveal: Reveal) -> Reveal:
    market = _market(situation, reveal.market)
    return reveal if market is None else Reveal(market.market_id, *_rest(reveal))


def _rest(reveal: Reveal) -> tuple[str, str, int, int, str]:
    return reveal.epoch, reveal.bundle_hash, reveal.sequence, reveal.slot, reveal.signature


def _by_account(situation: Situation, reveal: Reveal) -> str:
    """Say whether the market's own account knows of a later reveal.

    It keeps the last sequence that was accepted.
    """
    market = _market(situation, reveal.market)
    if market is None:
        return "not read"
    if market.last_sequence == reveal.sequence:
        return f"agrees: its last sequence is {reveal.sequence}, this reveal's"
    newer = (
        "there is a newer reveal of this market"
        if market.last_sequence > reveal.sequence
        else "it was read before this reveal"
    )
    return f"its last sequence is {market.last_sequence}, this reveal's is {reveal.sequence}: {newer}"


def _chain(situation: Situation, topic: str) -> tuple[Any, dict[str, Any]]:
    """Return the data of a topic below `solana/`, and how far it can be believed.

    Raises Missing.
    """
    if "solana" not in situation.configured:
        raise Missing("no Solana endpoints are configured ([[rpc-endpoints]])")
    reading = situation.solana.get(topic)
    found = believed(reading, situation.mono)
    data = last_known(found)
    if reading is None or data is None:
        raise Missing(trouble_words(found) or f"solana/{topic} was never read")
    return data, standing(reading, situation.mono)


def _commits(situation: Situation) -> Any:
    """List the commits that wait for their reveal.

    Where no reveal gets through, their hashes are all that the chain holds of the bundles.
    """
    program, read = _chain(situation, "program")
    return {
        "waiting_for_reveal": list(program.pending),
        "waiting": program.pending_total,
        "overdue": program.overdue_total,
        "program_id": program.program_id,
        "counting_since": program.counting_since,
        "reading": read,
    }


def _signer_set(situation: Situation) -> Any:
    signers, read = _chain(situation, "signer-set")
    protocol = last_known(believed(situation.solana.get("protocol"), situation.mono))
    return {
        "signer_set_id": signers.signer_set_id,
        "pubkeys": list(signers.pubkeys),
        "account": signers,
        "protocol": protocol if protocol is not None else "never read",
        "reading": read,
    }


def _failures(situation: Situation) -> Any:
    program, read = _chain(situation, "program")
    return {
        "failed": program.failed,
        "by_class": list(program.failures),
        "complete": program.complete,
        "gap": program.gap,
        "signatures": list(
            dict.fromkeys(
                [f.last_signature for f in program.failures] + [f.signature for f in reversed(program.recent_failed)]
            )
        ),
        "recent": list(reversed(program.recent_failed)),
        "reading": read,
        "note": "the newest signature of every class, then the newest transactions; logs/ may name more",
    }


def _refusals(situation: Situation) -> Any:
    """List what refused reveals turned out to be, with the keys that signed them."""
    found, read = _chain(situation, "refusals")
    keys = dict.fromkeys(key for each in found for key in each.keys)
    strangers = dict.fromkeys(key for each in found for key in each.strangers)
    return {
        "signed_by": list(keys),
        "not_in_the_set": list(strangers),
        "refused": list(found),
        "reading": read,
    }


def _accounts(situation: Situation) -> Any:
    """Return the program's own accounts, and what each endpoint says of itself, as last read.

    The signer set has a part of its own.
    """
    if "solana" not in situation.configured:
        raise Missing("no Solana endpoints are configured ([[rpc-endpoints]])")
    topics = ("protocol", "markets", *sorted(t for t in situation.solana if t.startswith("endpoint/")))
    found: dict[str, Any] = {}
    for topic in topics:
        reading = situation.solana.get(topic)
        data = last_known(believed(reading, situation.mono))
        if reading is not None and data is not None:
            found[topic] = {"data": data, "reading": standing(reading, situation.mono)}
    if not found:
        raise Missing("no account was read yet")
    return found


def standing(reading: Reading[Any], mono: float) -> dict[str, Any]:
    """Say how far a reading can be believed."""
    found = reading.believed(mono)
    return {
        "state": light_of(found).value,
        "age_s": found.age_s,
        "fault": trouble_words(found),
    }


def fault_words(fault: Fault) -> str:
    return f"{fault.state.value}: {fault.reason}"


def trouble_words(found: Known[Any] | Unknown[Any]) -> str:
    """Say what is wrong; "" while it is known or was only never read."""
    return "" if found.live or found.starting else f"{light_of(found).value}: {found.reason}"
