"""Compares the active signer set on the chain, as agents report it, and as it is configured."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.model.observed.chain import SignerSetState
from cockpit.model.observed.crosscheck import SetDifference
from cockpit.model.observed.probe import SignerReport

TOGGLE = "M0_ACTIVE_SIGNER_SET_ID"


def compare(
    chain: SignerSetState | None, reports: Mapping[str, SignerReport] | None, configured: Mapping[str, str]
) -> tuple[SetDifference, ...]:
    """Return every difference.

    `configured`: deployment → set id in its environment.

    None: that side is not known, and nothing is said of it.
    """
    found: list[SetDifference] = []
    ids = set(configured.values())
    if len(ids) > 1:
        values = ", ".join(f"{name} has {value}" for name, value in configured.items())
        found.append(SetDifference("id", ", ".join(configured), f"the deployments differ: {values}"))
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


def short(key: str) -> str:
    """Shorten a key as people compare it: its beginning and its end."""
    return key if len(key) <= 12 else f"{key[:4]}…{key[-4:]}"
