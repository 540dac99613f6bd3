"""Checks a step's parameters, and puts them where the step says "{name}"."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from cockpit.mitigation.problem import PlanProblem
from cockpit.model.runbook import Param, Runbooks, Step
from cockpit.oracle import base58
from cockpit.patterns import compiled
from cockpit.text import clean, split_words

DIGEST = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)\}")
_SCHEMES = ("http", "https", "ws", "wss", "nats", "kafka", "postgres", "postgresql", "redis", "rediss", "tcp", "tls")


def resolve(step: Step, given: Mapping[str, str], runbooks: Runbooks) -> dict[str, str]:
    """Return every parameter's value as text.

    Raises PlanProblem naming the parameter and what was expected.
    """
    known = {param.name for param in step.params}
    for name in given:
        if name not in known:
            expected = ", ".join(sorted(known)) or "none"
            raise PlanProblem(f"step {step.id} has no parameter {name}", f"its parameters: {expected}")
    return {param.name: _checked(step, param, given.get(param.name), runbooks) for param in step.params}


def _checked(step: Step, param: Param, given: str | None, runbooks: Runbooks) -> str:
    value = given if given is not None else None if param.default is None else str(param.default)
    if value is None:
        raise PlanProblem(f"parameter {param.name} of {step.id} is missing", f"give --param {param.name}=…")
    shown = "(secret)" if param.secret or param.type == "url" else clean(value, 80)

    def wrong(expected: str) -> PlanProblem:
        return PlanProblem(f"parameter {param.name}: {shown}: expected {expected}", "correct it and plan again")

    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise wrong("no control characters")
    if param.type == "int":
        if not re.fullmatch(r"-?[0-9]{1,9}", value):
            raise wrong("a whole number")
        value = str(int(value))
        if param.minimum is not None and int(value) < param.minimum:
            raise wrong(f"at least {param.minimum}")
        if param.maximum is not None and int(value) > param.maximum:
            raise wrong(f"at most {param.maximum}")
    elif param.type == "url":
        _check_url(value, wrong)
    elif param.type == "image" and not DIGEST.fullmatch(value):
        raise wrong("an image with its digest, NAME@sha256:… (64 hex digits)")
    if (param.choices_from or "").partition(":")[0] == "signer-keys":
        _check_keys(value, wrong)
    choices = _choices(param, runbooks)
    if choices and value not in choices:
        raise wrong("one of " + ", ".join(choices))
    if param.type == "choice" and not choices and not param.choices_from:
        raise wrong("a choice, but the runbook lists none")
    if param.pattern is not None and not compiled(param.pattern).is_whole(value):
        raise wrong(f"something like {param.pattern}")
    return value


def _check_keys(value: str, wrong: Callable[[str], PlanProblem]) -> None:
    """Refuse what is no public key of Solana, and a key that is there twice."""
    keys = split_words(value)
    odd = next((key for key in keys if base58.pubkey(key) is None), None)
    if odd is not None or not keys:
        raise wrong(f"public keys (base58, 32 bytes each); {clean(odd or '', 60) or 'nothing'} is none")
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise wrong(f"each key once; {clean(twice, 60)} is there twice")


def _check_url(value: str, wrong: Callable[[str], PlanProblem]) -> None:
    try:
        parts = urlsplit(value)
        good = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or any(char.isspace() for char in value):
        raise wrong("a URL with scheme and host")


def _choices(param: Param, runbooks: Runbooks) -> tuple[str, ...]:
    """Return the choices that bind.

    Live ones (endpoints, labels) are suggestions: what is new is not wrong.
    """
    if param.choices:
        return param.choices
    kind, _, name = (param.choices_from or "").partition(":")
    toggle = runbooks.toggles.get(name) if kind == "toggle" else None
    return toggle.values if toggle is not None else ()


def filled(template: str, values: Mapping[str, str], where: str) -> str:
    """Replace every "{name}" of `template`.

    Raises PlanProblem for a name that is no parameter.
    """

    def put(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise PlanProblem(f"{where}: {{{match[1]}}} is not a parameter of the step", "correct runbooks.toml")
        return values[match[1]]

    return _PLACE.sub(put, template)


def placed(template: str) -> frozenset[str]:
    """Return the parameters that `template` names."""
    return frozenset(_PLACE.findall(template))
