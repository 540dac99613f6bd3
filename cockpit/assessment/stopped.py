"""Says whether publishing is stopped.

Proven only by both: no pod is left, terminating ones included, and the chain has been quiet since.

A scaled-down deployment proves nothing: a terminating pod publishes on, and so does a second
submitter that nobody knows of.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cockpit.model.observed.chain import MarketState, ProgramActivity, ProtocolState
from cockpit.model.reading import Unknown, believed, last_known
from cockpit.model.situation import Situation

#: The chain must be quiet for twice the reveal delay, and at least for so many slots (10 s).
LEAST_SLOTS = 25
USUAL_REVEAL_DELAY_SLOTS = 10
SLOT_S = 0.4


class Stop(StrEnum):
    PROVEN = "proven"
    NOT = "not"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Stopped:
    """Holds the verdict, with its reason in `words`.

    `quiet`: slots without commit or reveal so far, of the `needed`.

    `seen_after`: the slot of one that came after the last pod was gone. `unread`: how many of the
    program's transactions since then could not be read.
    """

    verdict: Stop
    words: str
    needed: int
    quiet: int | None = None
    seen_after: int | None = None
    unread: int = 0


def needed_slots(situation: Situation) -> int:
    """Return for how many slots the chain must be quiet, by the protocol account's reveal delay."""
    found = believed(situation.solana.get("protocol"), situation.mono, ProtocolState)
    account = last_known(found)
    delay = account.default_reveal_delay_slots if account is not None else USUAL_REVEAL_DELAY_SLOTS
    if not found.live:  # what is not known now only asks for more quiet, never for less
        delay = max(delay, USUAL_REVEAL_DELAY_SLOTS)
    return max(LEAST_SLOTS, 2 * min(delay, 10_000))


def chain_asked(situation: Situation) -> str:
    """Return why the chain cannot be asked at all; "" when it is read (well or badly)."""
    if "solana" not in situation.configured:
        return "no RPC endpoint is configured"
    return "" if "program" in situation.solana else "no program id is configured, or nothing is read of it yet"


def chain_slot(situation: Situation) -> int | None:
    """Return the highest confirmed slot that the stream has seen, when it can be believed."""
    found = _activity(situation)
    return found.slot if isinstance(found, ProgramActivity) else None


def stopped(
    situation: Situation,
    namespace: str,
    services: tuple[str, ...],
    *,
    since_slot: int | None = None,
    slots: int | None = None,
    with_pods: bool = True,
) -> Stopped:
    """Judge whether `services` have stopped publishing.

    `since_slot`: from where on the chain must be quiet (the slot when the last pod was gone); None:
    from the last commit or reveal on. `with_pods` False: the pods stay, publishing is switched off
    in them.
    """
    needed = slots if slots is not None else needed_slots(situation)
    if with_pods:
        left = _pods(situation, namespace, services, needed)
        if left is not None:
            return left
    unasked = chain_asked(situation)
    if unasked:
        gone = "no pod is left; " if with_pods else ""
        return Stopped(Stop.UNKNOWN, f"{gone}the chain was not asked: {unasked}", needed)
    activity = _activity(situation)
    if isinstance(activity, str):
        return Stopped(Stop.UNKNOWN, f"the chain: {activity}", needed)
    missed = _missed(situation, activity)
    if missed:
        return Stopped(Stop.UNKNOWN, missed, needed)
    return _quiet(activity, since_slot, needed)


def _pods(situation: Situation, namespace: str, services: tuple[str, ...], needed: int) -> Stopped | None:
    """Return why the pods are in the way; None when there is none, and that is known."""
    pods = believed(situation.kinds.get(f"pods/{namespace}"), situation.mono)
    if isinstance(pods, Unknown):
        return Stopped(Stop.UNKNOWN, f"whether a pod is left is not known: {pods.reason}", needed)
    left = [
        pod
        for service in services
        for pod in situation.cluster.pods_of(namespace, service)
        if pod.phase not in ("Succeeded", "Failed")
    ]
    if not left:
        return None
    ending = sum(pod.terminating for pod in left)
    many = "s" if len(left) > 1 else ""
    return Stopped(Stop.NOT, f"{len(left)} pod{many} left, {ending} terminating: {left[0].name}", needed)


def _activity(situation: Situation) -> ProgramActivity | str:
    """Return the program's activity, or why it cannot be believed."""
    found = believed(situation.solana.get("program"), situation.mono, ProgramActivity)
    if isinstance(found, Unknown):
        return found.reason
    if not found.data.complete:
        return f"its count has a gap: {found.data.gap or 'it is being filled'}"
    return found.data


def _missed(situation: Situation, activity: ProgramActivity) -> str:
    """Say which market's account was revealed to since what was counted; "" for none.

    Accounts do not come out of the index of transactions: where that lags, they tell it.
    """
    if activity.unread_slots:  # one of those may be the reveal that is newer
        return ""
    markets = last_known(believed(situation.solana.get("markets"), situation.mono)) or {}
    for market in (each for each in markets.values() if isinstance(each, MarketState)):
        counted = activity.reveals_by_market.get(market.market_id) or activity.reveals_by_market.get(market.address)
        if counted is not None and market.last_sequence > counted.sequence:
            return (
                f"{market.market_id} is at sequence {market.last_sequence:,} on the chain, the newest reveal that was "
                f"listed has {counted.sequence:,}: transactions are missing"
            )
    return ""


def _quiet(activity: ProgramActivity, since_slot: int | None, needed: int) -> Stopped:
    """Judge the chain by what a listing has shown: a subscription that is silent proves nothing."""
    last = max((s for s in (activity.commits.last_slot, activity.reveals.last_slot) if s is not None), default=None)
    starts = [slot for slot in (since_slot, last) if slot is not None]
    if activity.slot is None or not starts:
        return Stopped(Stop.UNKNOWN, "the chain: no slot is known from which to count", needed)
    begun = max(starts)
    after = last if last is not None and since_slot is not None and last > since_slot else None
    since = since_slot if since_slot is not None else begun
    unread = sum(slot > since for slot in activity.unread_slots)
    if unread and (after is None or activity.slot - begun >= needed):
        many = "s" if unread > 1 else ""
        words = f"{unread:,} transaction{many} of the program since the stop could not be read"
        return Stopped(Stop.UNKNOWN, words, needed, max(0, activity.slot - begun), after, unread)
    listed = activity.listed_slot if activity.listed_slot is not None else -1
    quiet = max(0, min(activity.slot, listed) - begun)
    if quiet < needed <= activity.slot - begun:
        words = (
            f"no commit or reveal was heard of for {activity.slot - begun:,} slots; a listing shows it for {quiet:,}"
        )
        return Stopped(Stop.UNKNOWN, f"{words} of {needed:,} so far", needed, quiet, after)
    if quiet >= needed:
        return Stopped(Stop.PROVEN, f"no commit or reveal on the chain for {quiet:,} slots", needed, quiet, after)
    quiet = max(0, activity.slot - begun)
    words = f"no commit or reveal for {quiet:,} of {needed:,} slots"
    if after is not None and since_slot is not None:
        words = f"a commit or reveal {after - since_slot:,} slots after publishing was stopped here; {words}"
    return Stopped(Stop.NOT, words, needed, quiet, after)
