"""Knows which signers can be relied on now, and what a new set could be made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cockpit.model.observed.chain import ProtocolState, SignerSetState
from cockpit.model.observed.probe import SignerReport
from cockpit.model.reading import believed, if_known
from cockpit.text import counted

if TYPE_CHECKING:
    from cockpit.model.situation import Situation

Choices = list[tuple[str, str]]
ERRORS = "signer-errors"
#: A signer with more errors a minute than this is not healthy.
FEW_ERRORS = 1.0


@dataclass(frozen=True, slots=True)
class Signers:
    """Holds what is known of the signers; None: not known (what was read too long ago is not)."""

    account: SignerSetState | None
    protocol: ProtocolState | None
    reports: Mapping[str, SignerReport] | None
    errors: Mapping[str, float]

    @property
    def healthy(self) -> dict[str, str]:
        """Return agent → its key, of those that answer well and fail no more than a little."""
        return {
            agent: report.pubkey
            for agent, report in sorted((self.reports or {}).items())
            if report.ok and report.pubkey and self.errors.get(agent, 0.0) <= FEW_ERRORS
        }


def signers(situation: Situation) -> Signers:
    mono = situation.mono
    account = if_known(believed(situation.solana.get("signer-set"), mono, SignerSetState))
    protocol = if_known(believed(situation.solana.get("protocol"), mono, ProtocolState))
    errors = situation.answer(ERRORS)
    reports = if_known(believed(situation.probes.get("signers"), mono))
    return Signers(account, protocol, reports, errors.by("signer") if errors is not None else {})


def keys_on_offer(situation: Situation, new: bool) -> Choices:
    """Return lists of keys, one value each: the healthy ones first.

    `new`: none that is in the present set, for the case that a key of it is known to others.
    """
    known = signers(situation)
    held = known.account.pubkeys if known.account is not None else ()
    healthy = known.healthy
    if new:
        fresh = [key for key in healthy.values() if key not in held]
        return [(" ".join(fresh), f"{counted(len(fresh), 'healthy key')} not in the present set")] if fresh else []
    offers = []
    if healthy:
        offers.append((" ".join(healthy.values()), f"the {len(healthy)} healthy: {', '.join(healthy)}"))
    answer = [report.pubkey for report in (known.reports or {}).values() if report.pubkey]
    if answer and len(answer) != len(healthy):
        offers.append((" ".join(answer), f"all {len(answer)} that agents report now"))
    if held and set(held) != set(answer):
        offers.append((" ".join(held), f"{counted(len(held), 'key')} of the set on the chain"))
    return offers


def next_set(situation: Situation) -> Choices:
    """Return the id that the chain gives to the next set."""
    protocol = signers(situation).protocol
    return [] if protocol is None else [(str(protocol.next_signer_set_id), "the next one on the chain")]


def sets_to_use(situation: Situation) -> Choices:
    """Return the newest set of the chain, and the configured one."""
    known = signers(situation)
    offers = []
    if known.protocol is not None and known.protocol.next_signer_set_id > 0:
        newest = known.protocol.next_signer_set_id - 1
        if known.account is None or known.account.signer_set_id != newest:
            offers.append((str(newest), "the newest on the chain"))
    if known.account is not None:
        words = "active" if known.account.active else "not active"
        offers.append((str(known.account.signer_set_id), f"as now, {words} on the chain"))
    return offers


def thresholds(situation: Situation) -> Choices:
    """Return thresholds that the healthy keys can reach, the present one first where it is one."""
    known = signers(situation)
    count = len(known.healthy)
    present = known.account.threshold if known.account is not None else None
    if not count:
        return [] if present is None else [(str(present), "as now")]
    reachable = [present] if present is not None and present <= count else []
    reachable += [one for one in range(count, count // 2, -1) if one not in reachable]
    return [(str(one), "as now" if one == present else f"{one} of the {count} healthy") for one in reachable]
