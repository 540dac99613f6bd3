"""Gives values of who signs: what refused reveals turned out to be, and how many agents answer."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.model.observed.chain import MarketState, ProgramActivity, Refusal, SignerSetState
from cockpit.model.observed.variables import SUBMITTER
from cockpit.model.reading import Known, Unknown, believed, spell
from cockpit.oracle.errors import INVALID_SIGNATURES, REPLAY_PROTECTION
from cockpit.oracle.rates import SLOT_S
from cockpit.sources.releases import releases
from cockpit.sources.values import Snapshot, Value, unknown

#: What was examined of refused reveals counts for so long (five minutes).
REFUSED_SLOTS = 750
#: Refusals so soon after the first slot that is known of may have begun before it.
EDGE_SLOTS = 25
#: The first refusal after a start comes within this time of it; clocks and slots are so exact.
SOON_S, EARLY_S = 120.0, 15.0
#: So far behind the chain a submitter is by a state that was lost, not by what it forgot.
FAR = 1000
#: Who makes a bundle and who signs it: both must hash and encode alike.
BUNDLERS = ("m0-submitter", "m0-signer-agent")


def refused(snapshot: Snapshot, finding: str) -> Value:
    """Count the refused reveals of the last minutes that turned out to be so when examined.

    Unknown, not zero, while some are refused and of none it is known why.
    """
    found = believed(snapshot.board.get("solana/refusals"), snapshot.mono)
    activity = believed(snapshot.board.get("solana/program"), snapshot.mono, ProgramActivity)
    if isinstance(found, Unknown):
        return unknown(found, "solana refusals")
    if isinstance(activity, Unknown):
        return unknown(activity, "solana program")
    since = (activity.data.slot or 0) - REFUSED_SLOTS
    recent: tuple[Refusal, ...] = tuple(each for each in found.data if each.slot >= since)
    own = [each for each in recent if each.finding == finding]
    if own:
        return Value(float(len(own)), "", found.age_s, {"found": own[-1].words} | _released(snapshot))
    refusing = any(each.per_minute for each in activity.data.failures if each.runbook == INVALID_SIGNATURES)
    own_kind = [each for each in recent if each.finding != "replay"]
    if refusing and not any(each.finding for each in own_kind):
        why = own_kind[-1].words if own_kind else "reveals are refused, and none was examined yet"
        return Value(None, f"solana refusals: {why}", found.age_s)
    return Value(0.0, "", found.age_s)


def _released(snapshot: Snapshot) -> dict[str, str]:
    """Name the newest release of those that make and sign bundles."""
    found = releases(snapshot.cluster, snapshot.cluster_now, BUNDLERS)
    return {"released": found[0].words} if found else {}


def signers_spare(snapshot: Snapshot) -> Value:
    """Return how many more agents of the set answer than its threshold asks for."""
    found = believed(snapshot.board.get("solana/signer-set"), snapshot.mono, SignerSetState)
    reports = believed(snapshot.board.get("probes/signers"), snapshot.mono)
    if isinstance(found, Unknown):
        return unknown(found, "solana signer-set")
    if isinstance(reports, Unknown):
        return unknown(reports, "what signer agents report")
    own = {each.pubkey for each in reports.data.values() if each.ok and each.pubkey in found.data.pubkeys}
    words = f"{len(own)} of {len(found.data.pubkeys)}, {found.data.threshold} needed"
    return Value(float(len(own) - found.data.threshold), "", found.age_s, {"answer": words})


def sequence_behind(snapshot: Snapshot) -> Value:
    """Return how far behind its market's last sequence the newest refused reveal is.

    What a submitter takes from its state is that much behind the chain: two at once are apart by a
    few, a state that was lost by thousands.
    """
    found = believed(snapshot.board.get("solana/refusals"), snapshot.mono)
    activity = believed(snapshot.board.get("solana/program"), snapshot.mono, ProgramActivity)
    accounts = believed(snapshot.board.get("solana/markets"), snapshot.mono)
    for each, what in ((found, "refusals"), (activity, "program"), (accounts, "markets")):
        if isinstance(each, Unknown):
            return unknown(each, f"solana {what}")
    assert isinstance(found, Known)
    assert isinstance(activity, Known)
    assert isinstance(accounts, Known)
    since = (activity.data.slot or 0) - REFUSED_SLOTS
    markets: Mapping[str, MarketState] = accounts.data
    replays = [each for each in found.data if each.finding == "replay" and each.slot >= since]
    known = [each for each in replays if each.market in markets and each.sequence is not None]
    if not known:
        if any(each.per_minute for each in activity.data.failures if each.runbook == REPLAY_PROTECTION):
            return Value(None, "solana refusals: sequences are refused, and none was examined yet", found.age_s)
        return Value(0.0, "", found.age_s)
    newest = known[-1]
    market = markets[newest.market]
    labels = {
        "market": market.market_id,
        "chain": f"the chain has {market.last_sequence:,}",
        "submitter": f"refused was {newest.sequence or 0:,}",
    }
    return Value(float(max(0, market.last_sequence - (newest.sequence or 0))), "", found.age_s, labels)


def rejects_after_restart(snapshot: Snapshot) -> Value:
    """Return 1 where sequences have been refused since the one submitter started, and not before.

    Two submitters, or a state far behind the chain, explain refusals without a bug.
    """
    activity = believed(snapshot.board.get("solana/program"), snapshot.mono, ProgramActivity)
    if isinstance(activity, Unknown):
        return unknown(activity, "solana program")
    own = [each for each in activity.data.failures if each.runbook == REPLAY_PROTECTION and each.per_minute]
    if not own:
        return Value(0.0, "", activity.age_s)
    pods = [pod for pod in snapshot.cluster.pods.values() if pod.service == SUBMITTER]
    starts = [c.started_at for pod in pods for c in pod.containers if c.started_at is not None]
    if len(pods) != 1 or not starts:
        return Value(0.0, "", activity.age_s)
    first = min(each.first_slot for each in own)
    covered = activity.data.covered_slot
    if covered is not None and first <= covered + EDGE_SLOTS:
        return Value(None, "solana program: they began before the cockpit looked", activity.age_s)
    began_s = max(0.0, ((activity.data.slot or first) - first) * SLOT_S)
    restart_s = max(0.0, snapshot.cluster_now - max(starts))
    behind = sequence_behind(snapshot)
    if not -EARLY_S <= restart_s - began_s <= SOON_S or (behind.number or 0.0) >= FAR:
        return Value(0.0, "", activity.age_s)
    words = f"{max(0.0, restart_s - began_s):.0f} s after {SUBMITTER} started, {spell(restart_s)} ago"
    return Value(1.0, "", activity.age_s, {"first": f"first refused {words}"})
