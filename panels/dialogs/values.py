"""Judges whether the operator's words are a value for a parameter.

The form says so at once; the planner checks again on its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cockpit.model.runbook import Param
from cockpit.patterns import PatternRefused, compiled
from cockpit.text import HIDDEN, clean, url_hint

_DIGEST = re.compile(r"^[a-z0-9][a-zA-Z0-9._:/-]*@sha256:[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class Choice:
    """Holds a value on offer, with what is known of it now.

    `shown` hides what may be secret in `value`.
    """

    value: str
    note: str = ""
    shown: str = ""


def offer(param: Param, pairs: Sequence[tuple[str, str]]) -> list[Choice]:
    """Return live (value, note) pairs, or the runbook's fixed choices, as they are shown."""
    given = list(pairs) or [(choice, "") for choice in param.choices]
    return [Choice(value, note, shown(param, value)) for value, note in given]


def shown(param: Param, value: str) -> str:
    """Return the value as it may be shown: endpoints as scheme and host, secrets not at all."""
    if param.secret:
        return HIDDEN
    if param.type == "image" and _DIGEST.match(value):  # as people compare them: the digest's beginning
        return clean(value[: value.index("@sha256:") + 20].rpartition("/")[2])
    return url_hint(value) if param.type == "url" else clean(value)


def problem(param: Param, text: str, choices: Sequence[Choice] = ()) -> str | None:
    """Say what is wrong with `text`, in words; None when it is a value.

    An empty text is none: use the default first.
    """
    if not text:
        return "needs a value"
    if param.type == "int":
        return _whole_number(param, text)
    if param.type == "choice":
        allowed = [choice.value for choice in choices] or list(param.choices)
        if allowed and text not in allowed:
            return "choose one of the list"
    if param.type == "url":
        return _url(text)
    if param.type == "image" and not _DIGEST.match(text):
        return "an image by digest: name@sha256: and 64 hex digits"
    if param.pattern is not None and not _matches(param.pattern, text):
        return f"must match {clean(param.pattern)}"
    return None


def _whole_number(param: Param, text: str) -> str | None:
    if not re.fullmatch(r"-?[0-9]{1,12}", text):
        return "a whole number"
    number = int(text)
    if param.minimum is not None and number < param.minimum:
        return f"at least {param.minimum}"
    if param.maximum is not None and number > param.maximum:
        return f"at most {param.maximum}"
    return None


def _url(text: str) -> str | None:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https", "ws", "wss") or not host or " " in text:
        return "an address: https://host/…"
    return None


def _matches(pattern: str, text: str) -> bool:
    try:
        return compiled(pattern).is_whole(text)
    except PatternRefused:
        return True  # the runbook's own mistake; `runbooks check` reports it, the planner decides


def bounds(param: Param) -> str:
    """Return "1 to 32", "at least 1", or what kind of value is asked for."""
    low, high = param.minimum, param.maximum
    if param.type == "int" and (low is not None or high is not None):
        return (
            f"{low} to {high}"
            if low is not None and high is not None
            else f"at least {low}"
            if low is not None
            else f"at most {high}"
        )
    return {"int": "a whole number", "url": "an address", "image": "an image by digest"}.get(param.type, "")
