"""Reads what the chain tells a monthly round: the signer set, who of it answers, the authority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cockpit.maintenance.findings import now
from cockpit.maintenance.words import span
from cockpit.model.maintenance import Finding
from cockpit.model.reading import Unknown, believed
from cockpit.text import clean

if TYPE_CHECKING:
    from cockpit.model.observed.chain import ProtocolState, SignerSetState
    from cockpit.model.situation import Situation

SLOT_S = 0.4  # what a slot is meant to take; an age in slots is told as about so long
NOT_CONFIGURED = "not known: [solana] and [[rpc-endpoints]] are not configured"


def rotation(situation: Situation) -> list[Finding]:
    """Judge 15.monthly.1: the set, its age, whether chain, agents and cluster agree."""
    held: SignerSetState | None
    held, why = _data(situation, "signer-set")
    if held is None:
        found = [Finding("unknown", f"Active signer set: {why}")]
    else:
        age = span((held.slot - held.created_at_slot) * SLOT_S)
        keys = f"{held.threshold} of {len(held.pubkeys)} keys"
        words = f"Signer set {held.signer_set_id}: {keys}, made about {age} ago (slot {held.created_at_slot:,})"
        found = [Finding("ok" if held.active else "attention", words + ("" if held.active else ", NOT ACTIVE"))]
    check = situation.signer_set
    found += [Finding("attention", clean(difference.words, 200)) for difference in check.differences]
    found += [Finding("unknown", clean(words, 200)) for words in check.unknown]
    if check.agrees:
        found.append(Finding("ok", f"{', '.join(check.sides)} agree on it"))
    if "probes" in situation.configured:
        found.append(now("signer-agents-down", situation))
    return found


def authority(situation: Situation, records: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Judge 15.monthly.2: who may change the program, and whether that is as at the last round."""
    state: ProtocolState | None
    state, why = _data(situation, "protocol")
    if state is None:
        return [Finding("unknown", f"Program authority: {why}")]
    paused = (
        Finding("attention", "The program is PAUSED") if state.paused else Finding("ok", "The program is not paused")
    )
    before = last_authority(records)
    if before is None:
        holder = Finding("ok", f"Program authority {state.authority}; no earlier round to compare it with")
    elif before == state.authority:
        holder = Finding("ok", f"Program authority {state.authority}, as at the last round")
    else:
        holder = Finding(
            "attention", f"Program authority {state.authority}: it was {clean(before, 60)} at the last round"
        )
    return [
        holder,
        paused,
        Finding(
            "ok",
            f"Next signer set id {state.next_signer_set_id}, reveal delay {state.default_reveal_delay_slots} slots",
        ),
    ]


def last_authority(records: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the program's authority as the newest round in the journal had it."""
    for record in reversed(records):
        if record.get("kind") == "maintenance" and record.get("authority"):
            return str(record["authority"])
    return None


def authority_now(situation: Situation) -> str:
    """Return the program's authority for the journal; "" while it is not known."""
    state, _ = _data(situation, "protocol")
    return str(state.authority) if state is not None else ""


def _data(situation: Situation, topic: str) -> tuple[Any, str]:
    if "solana" not in situation.configured:
        return None, NOT_CONFIGURED
    found = believed(situation.solana.get(topic), situation.mono)
    if isinstance(found, Unknown):
        return None, f"not known: {clean(found.reason, 200)}"
    return found.data, ""
