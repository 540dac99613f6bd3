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
    from cockpit.model.observed.chain import Governance, ProtocolState, SignerSetState
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
    """Judge 15.monthly.2: who may change program and code, and the multisig's health."""
    state: ProtocolState | None
    state, why = _data(situation, "protocol")
    governance: Governance | None
    governance, unread = _data(situation, "governance")
    found = [Finding("unknown", f"Program authority: {why}")]
    if state is not None:
        paused = Finding("attention", "The program is PAUSED")
        found = [
            _held("Program authority", state.authority, last_authority(records)),
            paused if state.paused else Finding("ok", "The program is not paused"),
            Finding(
                "ok",
                f"Next signer set id {state.next_signer_set_id}, reveal delay {state.default_reveal_delay_slots} slots",
            ),
        ]
    if governance is None:
        return [*found, Finding("unknown", f"Upgrade authority and multisig: {unread}")]
    found += _upgrade(governance, records)
    holders = {"program authority": state.authority if state is not None else None}
    holders["upgrade authority"] = governance.upgrade_authority
    return found + _multisig(governance, {what: key for what, key in holders.items() if key})


def _held(what: str, holder: str, before: str | None) -> Finding:
    if before is None:
        return Finding("ok", f"{what} {holder}; no earlier round to compare it with")
    if before == holder:
        return Finding("ok", f"{what} {holder}, as at the last round")
    return Finding("attention", f"{what} {holder}: it was {clean(before, 60)} at the last round")


def _upgrade(governance: Governance, records: Sequence[Mapping[str, Any]]) -> list[Finding]:
    if governance.code_problem:
        return [Finding("unknown", f"Upgrade authority: {clean(governance.code_problem, 200)}")]
    since = f"code last changed in slot {governance.deployed_slot:,}"
    if governance.upgrade_authority is None:
        return [Finding("ok", f"Upgrade authority: none, nobody can change the code; {since}")]
    held = _held("Upgrade authority", governance.upgrade_authority, _last(records, "upgrade_authority"))
    found = [Finding(held.state, f"{held.words}; {since}")]
    if governance.single_key:
        found.append(Finding("attention", "The upgrade authority is a single key: who has it changes the code alone"))
    return found


def _multisig(governance: Governance, holders: Mapping[str, str]) -> list[Finding]:
    """Judge the configured multisig: how many must approve, how many may be lost, what it holds."""
    squad = governance.multisig
    if squad is None:
        words = governance.problem or "[solana] multisig is not configured"
        return [Finding("unknown", f"Multisig: {clean(words, 200)}")]
    spare = len(squad.voters) - squad.threshold
    words = (
        f"Multisig {squad.address}: {squad.threshold} of {len(squad.voters)} voters approve, {squad.members} members"
    )
    found = [Finding("ok" if squad.threshold > 1 and spare > 0 else "attention", words)]
    if squad.threshold <= 1:
        found.append(Finding("attention", "One member alone approves"))
    if spare <= 0:
        lost = "no voter may be lost" if spare == 0 else "there are fewer voters than it needs: nothing can be approved"
        found.append(Finding("attention", lost[0].upper() + lost[1:]))
    if squad.config_authority:
        found.append(Finding("attention", f"{squad.config_authority} changes its members alone"))
    for what, holder in holders.items():
        its = holder in (squad.vault, squad.address)
        found.append(Finding("ok" if its else "attention", f"It {'holds' if its else 'does not hold'} the {what}"))
    return found


def last_authority(records: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the program's authority as the newest round in the journal had it."""
    return _last(records, "authority")


def _last(records: Sequence[Mapping[str, Any]], key: str) -> str | None:
    for record in reversed(records):
        if record.get("kind") == "maintenance" and record.get(key):
            return str(record[key])
    return None


def authority_now(situation: Situation) -> str:
    """Return the program's authority for the journal; "" while it is not known."""
    state, _ = _data(situation, "protocol")
    return str(state.authority) if state is not None else ""


def upgrade_authority_now(situation: Situation) -> str:
    """Return the upgrade authority for the journal; "" while it is not known."""
    governance, _ = _data(situation, "governance")
    return str(governance.upgrade_authority or "") if governance is not None else ""


def _data(situation: Situation, topic: str) -> tuple[Any, str]:
    if "solana" not in situation.configured:
        return None, NOT_CONFIGURED
    found = believed(situation.solana.get(topic), situation.mono)
    if isinstance(found, Unknown):
        return None, f"not known: {clean(found.reason, 200)}"
    return found.data, ""
