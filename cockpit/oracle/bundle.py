"""Says whether a bundle is what the signers signed.

Recomputed hashes, every ed25519 signature, the threshold; in words what is wrong.

Formulas: docs/oracle-program.md. Nothing here reads a file or a network: `bundle_file` reads, the
caller brings the signer set.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from itertools import product

from cockpit.model.observed.bundle import BundleCheck, BundleVerdict, CheckAnswer
from cockpit.model.observed.chain import MarketState, SignerSetState
from cockpit.oracle.bundle_file import Bundle
from cockpit.text import safe

_NEAR = 5  # how far from what the bundle says an epoch and a sequence are looked for that was signed instead
_TRIED = 3  # signatures tried for it: some may be rubbish, hardly all
CONTENT_TAG, MESSAGE_TAG, COMMIT_TAG = b"M0_BUNDLE_CONTENT_V1", b"M0_SIGMSG_V1", b"M0_COMMIT_V1"


@dataclass(frozen=True, slots=True)
class Expected:
    """Holds what the bundle should say, where known: by the operator, or the market's account.

    `market_why`: why that was looked for and is not known; `no_set`, `no_market`: the chain has
    none that the bundle names.
    """

    signer_set_id: int | None = None
    publish_epoch_id: int | None = None
    sequence: int | None = None
    market: MarketState | None = None
    market_why: str = ""
    no_set: bool = False
    no_market: bool = False


def content_hash(payload: bytes) -> bytes:
    return sha256(CONTENT_TAG + payload).digest()


def signed_message(bundle_hash: bytes, signer_set_id: int, publish_epoch_id: int, sequence: int) -> bytes:
    """Return the 32 bytes that each signer signs.

    sha256 over tag, hash and the three numbers as u64, little-endian.
    """
    numbers = b"".join(number.to_bytes(8, "little") for number in (signer_set_id, publish_epoch_id, sequence))
    return sha256(MESSAGE_TAG + bundle_hash + numbers).digest()


def commit_hash(bundle_hash: bytes, salt: bytes) -> bytes:
    return sha256(COMMIT_TAG + bundle_hash + salt).digest()


def verify_bundle(
    bundle: Bundle, signer_set: SignerSetState | None, expected: Expected | None = None, why_unknown: str = ""
) -> BundleVerdict:
    """Check a bundle against the signer set and what is expected of it.

    `signer_set` None: it could not be read (`why_unknown`), and what depends on it is unknown,
    never valid.
    """
    expected = expected or Expected()
    actual = content_hash(bundle.payload)
    message = signed_message(bundle.content_hash, bundle.signer_set_id, bundle.publish_epoch_id, bundle.sequence)
    findings = [_content(bundle, actual), *_header(bundle, signer_set, expected, why_unknown)]
    good, checks = _signatures(bundle, signer_set, message)
    findings += checks
    if checks and not good:
        findings += _signed_instead(bundle, signer_set, expected, actual)
    findings.append(_threshold(good, signer_set, why_unknown))
    if bundle.commit_hash is not None or bundle.salt is not None:
        findings.append(_commit(bundle))
    return BundleVerdict(
        content_hash=actual.hex(),
        message=message.hex(),
        signer_set_id=bundle.signer_set_id,
        publish_epoch_id=bundle.publish_epoch_id,
        sequence=bundle.sequence,
        market=safe(bundle.market, 128),
        authorised=len(good),
        threshold=signer_set.threshold if signer_set is not None else None,
        findings=tuple(findings),
    )


def _content(bundle: Bundle, actual: bytes) -> BundleCheck:
    if actual == bundle.content_hash:
        return BundleCheck("content hash", CheckAnswer.PASS, f"the payload has the content hash {_short(actual.hex())}")
    says = _short(bundle.content_hash.hex())
    words = f"payload altered: its content hash is {_short(actual.hex())}, the bundle says {says}"
    return BundleCheck("content hash", CheckAnswer.FAIL, words)


def _header(
    bundle: Bundle, signer_set: SignerSetState | None, expected: Expected, why_unknown: str
) -> list[BundleCheck]:
    """Compare set, epoch and sequence with what is known of them."""
    found: list[BundleCheck] = []
    if signer_set is None and expected.no_set:
        asked = bundle.signer_set_id if expected.signer_set_id is None else expected.signer_set_id
        found.append(
            BundleCheck("signer set", CheckAnswer.FAIL, f"wrong signer set: there is no set {asked} on the chain")
        )
    elif signer_set is None:
        found.append(
            BundleCheck("signer set", CheckAnswer.UNKNOWN, f"signer set not known: {why_unknown or 'nobody was asked'}")
        )
    elif bundle.signer_set_id != signer_set.signer_set_id:
        words = (
            f"wrong signer set: the bundle names {bundle.signer_set_id}, the active one is {signer_set.signer_set_id}"
        )
        found.append(BundleCheck("signer set", CheckAnswer.FAIL, words))
    elif not signer_set.active:
        found.append(
            BundleCheck("signer set", CheckAnswer.FAIL, f"signer set {signer_set.signer_set_id} is not active")
        )
    else:
        found.append(BundleCheck("signer set", CheckAnswer.PASS, f"signer set {signer_set.signer_set_id} is active"))
    for name, is_, should in (
        ("signer set", bundle.signer_set_id, expected.signer_set_id),
        ("epoch", bundle.publish_epoch_id, expected.publish_epoch_id),
        ("sequence", bundle.sequence, expected.sequence),
    ):
        if should is None:
            continue
        words = (
            f"{name} {is_}, as expected" if is_ == should else f"wrong {name}: the bundle says {is_}, expected {should}"
        )
        found.append(BundleCheck(name, CheckAnswer.PASS if is_ == should else CheckAnswer.FAIL, words))
    if expected.market is not None:
        found += _against_market(bundle, expected, expected.market)
    elif expected.no_market:
        words = f"wrong market: there is no market {safe(bundle.market, 80)} on the chain"
        found.append(BundleCheck("market", CheckAnswer.FAIL, words))
    elif expected.market_why and None in (expected.publish_epoch_id, expected.sequence):
        words = f"epoch and sequence not compared: market {safe(bundle.market, 80)}: {expected.market_why}"
        found.append(BundleCheck("market", CheckAnswer.UNKNOWN, words))
    return found


def _against_market(bundle: Bundle, expected: Expected, market: MarketState) -> list[BundleCheck]:
    """Compare sequence and epoch with the market's account.

    What was published before is past, not wrong; wrong is what the program would refuse: a used
    sequence in the current epoch (ReplayViolation, 6013), a new sequence in a past one, an epoch
    that is not open yet.
    """
    found: list[BundleCheck] = []
    name = safe(market.market_id, 80)
    if bundle.market and bundle.market != market.market_id:
        words = f"wrong market: the bundle says {safe(bundle.market, 80)}, the account is {name}"
        found.append(BundleCheck("market", CheckAnswer.FAIL, words))
    epoch, current, last = bundle.publish_epoch_id, market.current_epoch_id, market.last_sequence
    if expected.publish_epoch_id is None:
        if epoch > current:
            words = f"wrong epoch: the bundle says {epoch}, market {name} is in {current}"
        else:
            words = f"epoch {epoch} is " + (
                "the market's current one" if epoch == current else f"past, the market is in {current}"
            )
        found.append(BundleCheck("epoch", CheckAnswer.FAIL if epoch > current else CheckAnswer.PASS, words))
    if expected.sequence is None:
        past = epoch < current
        if bundle.sequence < last and not past:
            newest = f"{last}, the newest of market {name} on the chain"
            words = f"wrong sequence: {bundle.sequence} is below {newest} (a replay)"
        elif bundle.sequence > last and past:
            words = (
                f"wrong sequence: {bundle.sequence} is above {last}, the newest of market {name}, but its epoch is past"
            )
        else:
            which = {-1: f"is past, {last} is", 0: "is", 1: f"is above {last},"}[
                (bundle.sequence > last) - (bundle.sequence < last)
            ]
            found.append(
                BundleCheck("sequence", CheckAnswer.PASS, f"sequence {bundle.sequence} {which} the newest on the chain")
            )
            return found
        found.append(BundleCheck("sequence", CheckAnswer.FAIL, words))
    return found


def _signatures(
    bundle: Bundle, signer_set: SignerSetState | None, message: bytes
) -> tuple[set[str], list[BundleCheck]]:
    """Return the authorised keys whose signature holds, and a finding for each entry."""
    good: set[str] = set()
    seen: set[str] = set()
    found: list[BundleCheck] = []
    for index, entry in enumerate(bundle.signatures, 1):
        check = f"signature {index}"
        name = _short(safe(entry.pubkey, 64))
        holds, why = signature_holds(entry.pubkey, entry.signature, message)
        if holds is None:
            found.append(BundleCheck(check, CheckAnswer.UNKNOWN, f"signature {index} of {name}: {why}"))
        elif not holds:
            found.append(BundleCheck(check, CheckAnswer.FAIL, f"bad signature {index} of {name}: {why}"))
        elif entry.pubkey in seen:
            found.append(
                BundleCheck(
                    check, CheckAnswer.FAIL, f"duplicate: {name} signs again as signature {index}; it counts once"
                )
            )
        elif signer_set is None:
            found.append(BundleCheck(check, CheckAnswer.PASS, f"{name} signed it"))
        elif entry.pubkey not in signer_set.pubkeys:
            words = f"unknown key: {name} (signature {index}) is not in signer set {signer_set.signer_set_id}"
            found.append(BundleCheck(check, CheckAnswer.FAIL, words))
        else:
            good.add(entry.pubkey)
            found.append(BundleCheck(check, CheckAnswer.PASS, f"{name} of the set signed it"))
        if holds:  # a bad signature does not use its key up: a good one of it still counts
            seen.add(entry.pubkey)
    return good, found


def _threshold(good: set[str], signer_set: SignerSetState | None, why_unknown: str) -> BundleCheck:
    if signer_set is None:
        return BundleCheck(
            "threshold", CheckAnswer.UNKNOWN, f"threshold not known: {why_unknown or 'nobody was asked'}"
        )
    words = (
        f"{len(good)} distinct authorised signatures, {signer_set.threshold} needed of {len(signer_set.pubkeys)} keys"
    )
    if signer_set.threshold >= 1 and len(good) >= signer_set.threshold:
        return BundleCheck("threshold", CheckAnswer.PASS, words)
    return BundleCheck("threshold", CheckAnswer.FAIL, f"too few signatures: {words}")


def _commit(bundle: Bundle) -> BundleCheck:
    if bundle.commit_hash is None or bundle.salt is None:
        missing = "commit_hash" if bundle.commit_hash is None else "salt"
        return BundleCheck("commit hash", CheckAnswer.UNKNOWN, f"commit hash not checked: {missing} is missing")
    made = commit_hash(bundle.content_hash, bundle.salt)
    if made == bundle.commit_hash:
        return BundleCheck("commit hash", CheckAnswer.PASS, f"the commit hash is {_short(made.hex())}")
    says = _short(bundle.commit_hash.hex())
    words = f"wrong commit hash: hash and salt give {_short(made.hex())}, the bundle says {says}"
    return BundleCheck("commit hash", CheckAnswer.FAIL, words)


def _signed_instead(
    bundle: Bundle, signer_set: SignerSetState | None, expected: Expected, actual: bytes
) -> list[BundleCheck]:
    """Say what the signatures are of, when none of the set holds and something near fits."""
    market = expected.market
    sets = _values(bundle.signer_set_id, expected.signer_set_id, signer_set.signer_set_id if signer_set else None)
    epochs = _values(
        bundle.publish_epoch_id,
        expected.publish_epoch_id,
        market.current_epoch_id if market else None,
        *_around(bundle.publish_epoch_id),
    )
    sequences = _values(
        bundle.sequence, expected.sequence, market.last_sequence if market else None, *_around(bundle.sequence)
    )
    hashes = tuple(dict.fromkeys((bundle.content_hash, actual)))
    for bundle_hash, set_id, epoch, sequence in product(hashes, sets, epochs, sequences):
        message = signed_message(bundle_hash, set_id, epoch, sequence)
        if not any(signature_holds(one.pubkey, one.signature, message)[0] for one in bundle.signatures[:_TRIED]):
            continue
        signed = [
            f"{name} {signed}, not {said}"
            for name, signed, said in (
                ("signer set", set_id, bundle.signer_set_id),
                ("epoch", epoch, bundle.publish_epoch_id),
                ("sequence", sequence, bundle.sequence),
            )
            if signed != said
        ]
        if bundle_hash != bundle.content_hash:
            signed.append("the payload that is here, not the content hash that is claimed")
        if signed:
            return [BundleCheck("signed", CheckAnswer.FAIL, f"the signatures were made for {', '.join(signed)}")]
    return []


def _around(number: int) -> tuple[int, ...]:
    """Return what is a step or a few from it, the nearest first."""
    return tuple(number + step for away in range(1, _NEAR + 1) for step in (away, -away))


def _values(*numbers: int | None) -> tuple[int, ...]:
    return tuple(dict.fromkeys(n for n in numbers if n is not None and 0 <= n < 2**64))


def signature_holds(pubkey: str, signature: str, message: bytes) -> tuple[bool | None, str]:
    """Verify strictly, as the chain's own ed25519 program does.

    None: it could not be checked here; and why not.

    solders is Rust: what it does not expect is a panic, which is no `Exception`.
    """
    try:
        from solders.pubkey import Pubkey
        from solders.signature import Signature
    except ImportError as error:
        return None, f"the library that checks signatures is missing: {error.name}"
    try:
        key = Pubkey.from_string(pubkey)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        return False, "the pubkey is not 32 bytes in base58"
    try:
        signed = Signature.from_string(signature)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        return False, "the signature is not 64 bytes in base58"
    try:
        return (True, "") if signed.verify(key, message) else (False, "it is not this key's signature of this bundle")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return None, f"the check broke: {safe(error, 120)}"


def _short(text: str) -> str:
    return text if len(text) <= 16 else f"{text[:8]}…{text[-4:]}"
