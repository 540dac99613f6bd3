"""Reads answers: JSON pointers into foreign JSON, numbers and times in whatever form they come."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cockpit.model.observed.probe import MarketOutput, ProbeStatus, ServedBundle, SignerReport
from cockpit.oracle.bundle import content_hash, signature_holds, signed_message
from cockpit.oracle.bundle_file import BundleProblem, read_bundle
from cockpit.sources.probes.http import HttpAnswer, ProbeProblem
from cockpit.sources.probes.settings import OutputProbe, ProbesSettings
from cockpit.text import safe

_MISSING = object()
FUTURE_S = 2.0  # the Date header has whole seconds; more than that in the future is a clock that is wrong
_EXTRA = 8  # other plain values of a signer agent's report that are kept to be shown


def pointed(document: Any, pointer: str) -> Any:
    """Return the value at a JSON pointer (RFC 6901), or None when there is none."""
    found = _at(document, pointer)
    return None if found is _MISSING else found


def _at(document: Any, pointer: str) -> Any:
    if pointer in ("", "/"):
        return document if pointer == "" else _MISSING
    here = document
    for part in pointer.lstrip("/").split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict) and key in here:
            here = here[key]
        elif isinstance(here, list) and key.isascii() and key.isdigit() and len(key) < 7 and int(key) < len(here):
            here = here[int(key)]
        else:
            return _MISSING
    return here


def whole(value: Any) -> int | None:
    """Return a whole number, written as a number or as digits; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 2**64 else None
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    return None


def moment(value: Any) -> float | None:
    """Return unix seconds of RFC 3339 text, seconds, milliseconds, micro- or nanoseconds.

    By size: none is before 2001.
    """
    if isinstance(value, str):
        text = value.strip()
        if text.isascii() and text.isdigit() and len(text) <= 20:
            return moment(int(text))
        try:
            at = datetime.fromisoformat(text[:64].replace("Z", "+00:00").replace("z", "+00:00"))
        except ValueError:
            return None
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    for limit, divisor in ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9)):
        if 1e9 * divisor <= value < limit:
            return value / divisor
    return None


def health(service: str, check: str, answer: HttpAnswer) -> ProbeStatus:
    """Take 2xx with anything but a page of HTML as well; say why not, otherwise."""
    ok, words = 200 <= answer.status < 300, answer.line
    if 300 <= answer.status < 400:
        words = answer.redirect
    elif answer.html:
        ok, words = False, f"HTTP {answer.status} with HTML instead of a health answer: a proxy's page?"
    elif not ok:
        words = f"HTTP {answer.status}" + (f": {answer.line}" if answer.line else "")
    return ProbeStatus(
        service=service,
        check=check,
        ok=ok,
        status=answer.status,
        took_ms=answer.took_s * 1000.0,
        words=words,
        certificate=answer.certificate,
    )


def output(
    market: str, answer: HttpAnswer, spec: OutputProbe, wall: float, mono: float, before: MarketOutput | None
) -> MarketOutput:
    """Read a market's output.

    Raises ProbeProblem when there is neither epoch nor tick: then it says nothing of progress.
    """
    if answer.status >= 500:
        return _refused(market, answer, before)
    document = answer.json()
    if not isinstance(document, dict | list):
        raise ProbeProblem(f"the answer is no JSON object: {answer.line!r}")
    epoch, tick = whole(pointed(document, spec.epoch)), whole(pointed(document, spec.tick))
    if epoch is None and tick is None:
        raise ProbeProblem(
            f"neither an epoch at {safe(spec.epoch, 60)} nor a tick at {safe(spec.tick, 60)} in the answer",
            "set epoch and tick of [probes.output] to where they are",
        )
    as_of = moment(pointed(document, spec.as_of))
    age_s, words = _age(as_of, answer.now - answer.stored_s if answer.now is not None else wall, spec)
    missing = [name for name, value in (("epoch", epoch), ("tick", tick)) if value is None]
    troubles = [*([f"no {missing[0]} in the answer"] if missing else []), *([words] if words else [])]
    advanced_at = _advanced(epoch, tick, age_s, mono, before)
    return MarketOutput(
        market=market,
        epoch=epoch,
        tick=tick,
        as_of=as_of,
        age_s=age_s,
        status=answer.status,
        took_ms=answer.took_s * 1000.0,
        advanced_at=advanced_at,
        words="; ".join(troubles),
    )


def bundle(market: str, answer: HttpAnswer) -> ServedBundle:
    """Verify a served bundle as far as it can be without the signer set.

    Raises ProbeProblem when there is none to be read.
    """
    if not 200 <= answer.status < 300:
        raise ProbeProblem(f"no bundle: HTTP {answer.status}")
    try:
        found = read_bundle(answer.body)
    except BundleProblem as problem:
        raise ProbeProblem(f"the bundle cannot be read: {problem.reason}") from None
    message = signed_message(found.content_hash, found.signer_set_id, found.publish_epoch_id, found.sequence)
    keys = [one.pubkey for one in found.signatures if signature_holds(one.pubkey, one.signature, message)[0]]
    bad = len(found.signatures) - len(keys)
    wrong = ""
    if content_hash(found.payload) != found.content_hash:
        wrong = "its payload has another content hash than it says"
    elif bad:
        wrong = f"{bad} of {len(found.signatures)} signatures do not hold"
    return ServedBundle(
        market=market,
        raw=answer.body,
        sequence=found.sequence,
        epoch=found.publish_epoch_id,
        signer_set_id=found.signer_set_id,
        keys=tuple(dict.fromkeys(keys)),
        wrong=wrong,
    )


def _refused(market: str, answer: HttpAnswer, before: MarketOutput | None) -> MarketOutput:
    """Read a 5xx: the gateway answers, and what it says is no. Progress is what it was."""
    return MarketOutput(
        market=market,
        epoch=before.epoch if before is not None else None,
        tick=before.tick if before is not None else None,
        as_of=None,
        age_s=None,
        status=answer.status,
        took_ms=answer.took_s * 1000.0,
        advanced_at=before.advanced_at if before is not None else None,
        words=f"HTTP {answer.status}" + (f": {answer.line}" if answer.line and not answer.html else ""),
    )


def _age(as_of: float | None, now: float, spec: OutputProbe) -> tuple[float | None, str]:
    if as_of is None:
        return None, f"no time at {safe(spec.as_of, 60)}"
    if as_of > now + FUTURE_S:
        return None, f"its time lies {as_of - now:,.0f} s in the future: a clock is wrong"
    return max(0.0, now - as_of), ""


def _advanced(
    epoch: int | None, tick: int | None, age_s: float | None, mono: float, before: MarketOutput | None
) -> float:
    """Return when progress was last seen.

    The first look knows only the output's own age.
    """
    if before is None or before.advanced_at is None:
        return mono - (age_s or 0.0)
    grew = _above(epoch, before.epoch) or (not _above(before.epoch, epoch) and _above(tick, before.tick))
    return mono if grew else before.advanced_at


def _above(now: int | None, then: int | None) -> bool:
    return now is not None and then is not None and now > then


def report(agent: str, answer: HttpAnswer, settings: ProbesSettings) -> SignerReport:
    """Read what an agent says of itself; not well when it cannot be read or names no key.

    Never raises.
    """
    try:
        document = answer.json()
    except ProbeProblem as problem:
        return SignerReport(agent, None, None, False, problem.fault.reason)
    pubkey, set_id = (
        _plain(pointed(document, settings.signer_pubkey)),
        _plain(pointed(document, settings.signer_set_id)),
    )
    if pubkey is None:
        return SignerReport(
            agent, None, set_id, False, f"no pubkey at {safe(settings.signer_pubkey, 60)} in its answer"
        )
    extra: dict[str, str] = {}
    for key, value in document.items() if isinstance(document, Mapping) else ():
        text = _plain(value)
        if text is not None and len(extra) < _EXTRA and text not in (pubkey, set_id):
            extra[safe(str(key), 40)] = text
    return SignerReport(agent=agent, pubkey=pubkey, signer_set_id=set_id, ok=True, words="", extra=extra)


def _plain(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return safe(str(value), 64) if isinstance(value, str | int | float) and str(value) else None
