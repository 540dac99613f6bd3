"""The active signer set, three ways: the account on the chain, what agents report, what the
deployments are configured with.

Runbook 2 begins with "is the active set the one that signs?": every difference is named, and what
could not be compared is too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.model.observed.chain import SignerSetState
from cockpit.model.observed.crosscheck import SetDifference, SignerSetCheck
from cockpit.model.observed.probe import SignerReport
from cockpit.model.reading import Known, Reading, Unknown, believed
from cockpit.model.situation import ToggleStatus

TOGGLE = "M0_ACTIVE_SIGNER_SET_ID"


def compare(
    chain: SignerSetState | None, reports: Mapping[str, SignerReport] | None, configured: Mapping[str, str]
) -> tuple[SetDifference, ...]:
    """`configured`: deployment → set id in its environment.

    None: that side is not known, and nothing is said of it.
    """
    found: list[SetDifference] = []
    ids = set(configured.values())
    if len(ids) > 1:
        told = ", ".join(f"{name} has {value}" for name, value in configured.items())
        found.append(SetDifference("id", ", ".join(configured), f"the deployments differ: {told}"))
    if chain is not None:
        if not chain.active:
            words = f"signer set {chain.signer_set_id} is not active on the chain"
            found.append(SetDifference("inactive", str(chain.signer_set_id), words))
        for name, value in configured.items():
            if value != str(chain.signer_set_id):
                words = f"{name} is configured with set {value}, the chain has {chain.signer_set_id}"
                found.append(SetDifference("id", name, words))
    if reports is not None:
        found += _agents(chain, reports, ids)
    return tuple(found)


def _agents(chain: SignerSetState | None, reports: Mapping[str, SignerReport], ids: set[str]) -> list[SetDifference]:
    found: list[SetDifference] = []
    active = ids or ({str(chain.signer_set_id)} if chain is not None else set())
    holders: dict[str, list[str]] = {}
    for agent, report in reports.items():
        if report.pubkey is not None:
            holders.setdefault(report.pubkey, []).append(agent)
        if report.signer_set_id is not None and active and report.signer_set_id not in active:
            words = f"{agent} reports set {report.signer_set_id}, active is {' or '.join(sorted(active))}"
            found.append(SetDifference("agent set", agent, words))
    for key, agents in holders.items():
        if len(agents) > 1:
            words = f"{' and '.join(agents)} report the same key {short(key)}: together they count once"
            found.append(SetDifference("duplicate key", short(key), words))
        if chain is not None and key not in chain.pubkeys:
            words = f"{' and '.join(agents)} signs with {short(key)}, which is not in set {chain.signer_set_id}"
            found.append(SetDifference("unknown key", agents[0], words))
    if chain is None:
        return found
    absent = [key for key in chain.pubkeys if key not in holders]
    for key in absent:
        words = f"key {short(key)} of set {chain.signer_set_id} is reported by no agent"
        found.append(SetDifference("missing key", short(key), words))
    held = len(chain.pubkeys) - len(absent)
    if held < chain.threshold:
        words = f"only {held} of {len(chain.pubkeys)} keys are reported by agents, the threshold is {chain.threshold}"
        found.append(SetDifference("too few", str(chain.signer_set_id), words))
    return found


def check(
    solana: Mapping[str, Reading[Any]],
    probes: Mapping[str, Reading[Any]],
    toggles: tuple[ToggleStatus, ...],
    configured: frozenset[str],
    mono: float,
) -> SignerSetCheck:
    """The comparison as far as the readings are live; what is configured but not known is said in
    `unknown`.
    """
    unknown: list[str] = []
    account = believed(solana.get("signer-set"), mono, SignerSetState)
    if isinstance(account, Unknown) and not account.state.off and "solana" in configured:
        unknown.append(f"the set on the chain: {account.reason}")
    chain = account.data if isinstance(account, Known) else None
    quarrel = quarrel_over_set(solana, mono)
    if quarrel and chain is not None:
        unknown.append(f"the set on the chain: endpoints disagree: {quarrel}")
        chain = None
    said = believed(probes.get("signers"), mono)
    if isinstance(said, Unknown) and not said.state.off and "probes" in configured and "signers" in probes:
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


def quarrel_over_set(solana: Mapping[str, Reading[Any]], mono: float) -> str:
    """What endpoints say of the set's account that cannot all be true, in words; "" when nothing is
    said.
    """
    found = believed(solana.get("disagreements"), mono)
    if isinstance(found, Unknown):
        return ""
    return next((one.words for one in found.data if one.what == "signer set"), "")


def short(key: str) -> str:
    """A key as people compare it: its beginning and its end."""
    return key if len(key) <= 12 else f"{key[:4]}…{key[-4:]}"
