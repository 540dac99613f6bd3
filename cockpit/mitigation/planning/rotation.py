"""Guards what makes or uses a signer set, by what the chain and the agents say."""

from __future__ import annotations

from collections.abc import Mapping

from cockpit.mitigation.choices.signing import Signers, signers
from cockpit.mitigation.planning.result import result
from cockpit.model.held import judged_by
from cockpit.model.plan import GuardResult, Verdict
from cockpit.model.runbook import Step
from cockpit.model.situation import Situation
from cockpit.sources.probes.signer_set import TOGGLE
from cockpit.text import clean, split_words

#: The live lists by which a step says that a parameter is of a signer set.
ID, KEYS, NEW_KEYS, THRESHOLD = "next-signer-set", "signer-keys", "signer-keys:new", "signer-threshold"


def rotation(
    step: Step | None, values: Mapping[str, str], situation: Situation | None, mono: float
) -> tuple[GuardResult, ...]:
    """Judge a step that makes a set (by what its parameters are of), or uses one."""
    if step is None:
        return ()
    now = judged_by(situation, mono)
    known = signers(now) if now is not None else Signers(None, None, None, {})
    named = {param.choices_from: values.get(param.name, "") for param in step.params if param.choices_from}
    keys = named.get(KEYS, named.get(NEW_KEYS))
    found: list[GuardResult] = []
    if keys is not None:
        words = split_words(keys)
        if ID in named:
            found.append(_id(int(named[ID]), words, known))
        if THRESHOLD in named:
            found.append(_threshold(int(named[THRESHOLD]), words, known))
        if NEW_KEYS in named:
            found.append(_old_keys(words, known))
        found.append(_authority(known))
    if TOGGLE in step.env:
        text = step.env[TOGGLE]
        for param in step.params:
            text = text.replace("{" + param.name + "}", values.get(param.name, ""))
        found.append(_used(text, known))
    return tuple(found)


def _id(number: int, keys: list[str], known: Signers) -> GuardResult:
    if known.protocol is None:
        return result("signer-set", Verdict.UNKNOWN, f"not known whether set {number} is on the chain already")
    following = known.protocol.next_signer_set_id
    held = known.account
    if held is not None and held.signer_set_id == number:
        if set(held.pubkeys) == set(keys):
            return result("signer-set", Verdict.CONFIRM, f"set {number} is on the chain with these keys already")
        return result(
            "signer-set", Verdict.BLOCK, f"set {number} is on the chain with OTHER keys: the next id is {following}"
        )
    if number < following:
        reason = f"set {number} may be on the chain already, and is not read: the next id is {following}"
        return result("signer-set", Verdict.UNKNOWN, reason)
    if number > following:
        return result("signer-set", Verdict.CONFIRM, f"the chain's next id is {following}, not {number}")
    return result("signer-set", Verdict.PASS, f"{number} is the chain's next id")


def _threshold(threshold: int, keys: list[str], known: Signers) -> GuardResult:
    if threshold > len(set(keys)):
        return result("threshold", Verdict.BLOCK, f"{threshold} of {len(set(keys))} keys can never sign")
    if known.reports is None:
        return result("threshold", Verdict.UNKNOWN, "not known which of these keys answer: no agent is asked")
    answer = [key for key in set(keys) if key in known.healthy.values()]
    if len(answer) < threshold:
        reason = f"{len(answer)} of these keys have a healthy agent now, {threshold} are needed"
        return result("threshold", Verdict.CONFIRM, reason)
    if known.account is not None and threshold < known.account.threshold:
        reason = f"{threshold} instead of {known.account.threshold} signatures will be enough"
        return result("threshold", Verdict.NOTE, reason)
    return result("threshold", Verdict.PASS, f"{len(answer)} of {len(set(keys))} keys answer, {threshold} are needed")


def _old_keys(keys: list[str], known: Signers) -> GuardResult:
    if known.account is None:
        return result("old-keys", Verdict.UNKNOWN, "not known which keys the present set has")
    old = [key for key in keys if key in known.account.pubkeys]
    if old:
        reason = f"{len(old)} of {len(keys)} keys are in the present set: who has them still can sign"
        return result("old-keys", Verdict.CONFIRM, reason)
    return result("old-keys", Verdict.PASS, "none of these keys is in the present set")


def _authority(known: Signers) -> GuardResult:
    if known.protocol is None:
        return result("authority", Verdict.NOTE, "the program's authority must sign it; which one it is is not known")
    return result("authority", Verdict.NOTE, f"the program's authority must sign it: {known.protocol.authority}")


def _used(text: str, known: Signers) -> GuardResult:
    """Judge that the submitter uses a set: on the chain, active, and with enough live agents."""
    if not text.isdecimal():
        return result("signer-set", Verdict.BLOCK, f"{clean(text, 40)} is no id of a signer set")
    number = int(text)
    if known.protocol is not None and number >= known.protocol.next_signer_set_id:
        following = known.protocol.next_signer_set_id
        return result("signer-set", Verdict.BLOCK, f"set {number} is not on the chain: its next id is {following}")
    account = known.account
    if account is None or account.signer_set_id != number:
        return result("signer-set", Verdict.UNKNOWN, f"set {number} is not read: its keys and whether it is active")
    if not account.active:
        return result("signer-set", Verdict.CONFIRM, f"set {number} is not active on the chain")
    if known.reports is None:
        return result("signer-set", Verdict.UNKNOWN, f"not known which agents sign for set {number}")
    able = [key for key in known.healthy.values() if key in account.pubkeys]
    if len(able) < account.threshold:
        reason = f"{len(able)} healthy agents sign for set {number}, {account.threshold} are needed"
        return result("signer-set", Verdict.CONFIRM, reason)
    return result("signer-set", Verdict.PASS, f"set {number} is active, {len(able)} agents sign for it")
