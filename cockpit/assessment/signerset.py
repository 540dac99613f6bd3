"""Checks the active signer set three ways: on the chain, as agents report it, as it is configured.

Runbook 2 begins with "is the active set the one that signs?": every difference is named, and what
could not be compared is too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.model.observed.chain import SignerSetState
from cockpit.model.observed.crosscheck import SignerSetCheck
from cockpit.model.observed.probe import SignerReport
from cockpit.model.reading import Known, Reading, Unknown, believed
from cockpit.model.situation import ToggleStatus
from cockpit.sources.probes.signer_set import TOGGLE, compare


def check(
    solana: Mapping[str, Reading[Any]],
    probes: Mapping[str, Reading[Any]],
    toggles: tuple[ToggleStatus, ...],
    configured: frozenset[str],
    mono: float,
) -> SignerSetCheck:
    """Compare what can be believed; `unknown` names what is configured but not known."""
    unknown: list[str] = []
    account = believed(solana.get("signer-set"), mono, SignerSetState)
    if isinstance(account, Unknown) and not account.off and "solana" in configured:
        unknown.append(f"the set on the chain: {account.reason}")
    chain = account.data if isinstance(account, Known) else None
    disagreement = disagreement_over_set(solana, mono)
    if disagreement and chain is not None:
        unknown.append(f"the set on the chain: endpoints disagree: {disagreement}")
        chain = None
    said = believed(probes.get("signers"), mono)
    if isinstance(said, Unknown) and not said.off and "probes" in configured and "signers" in probes:
        unknown.append(f"what agents report: {said.reason}")
    reports: Mapping[str, SignerReport] | None = said.data if isinstance(said, Known) else None
    silent = [agent for agent, report in (reports or {}).items() if report.pubkey is None]
    if silent:
        unknown.append(f"{', '.join(silent[:3])}{' …' if len(silent) > 3 else ''}: no key reported")
    known, lost = {}, []
    for toggle in toggles:
        if toggle.name == TOGGLE and toggle.level == "unknown":
            lost.append(toggle.reason or "unknown")
        elif toggle.name == TOGGLE and toggle.value:
            known[toggle.deployment] = toggle.value
    unknown += [f"what the deployments are configured with: {reason}" for reason in lost[:1]]
    sides = tuple(
        name
        for name, there in (("chain", chain is not None), ("agents", reports is not None), ("cluster", bool(known)))
        if there
    )
    own = next(iter(known.values()), None)
    return SignerSetCheck(
        signer_set_id=own if own is not None else str(chain.signer_set_id) if chain is not None else None,
        threshold=chain.threshold if chain is not None else None,
        keys=len(chain.pubkeys) if chain is not None else None,
        sides=sides,
        differences=compare(chain, reports, known),
        unknown=tuple(unknown),
    )


def disagreement_over_set(solana: Mapping[str, Reading[Any]], mono: float) -> str:
    """Return what endpoints say of the set's account that cannot all be true, or ""."""
    found = believed(solana.get("disagreements"), mono)
    if isinstance(found, Unknown):
        return ""
    return next((one.words for one in found.data if one.what == "signer set"), "")
