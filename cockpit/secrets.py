"""Decides what may be shown or kept of a value, and compares values without keeping them.

A value that is shown whole may be kept raw; of one that is not, only a keyed fingerprint is kept,
by which the same value is recognised later (in the cluster, or in an older ReplicaSet).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from secrets import token_hex
from typing import Any

from cockpit.canonical_json import canonical
from cockpit.errors import CockpitError
from cockpit.model.runbook import Runbooks, Toggle
from cockpit.redaction.names import Secrecy, secrecy, secret_variable
from cockpit.text import HIDDEN, clean, redact, url_hint

#: By name: those of the state directories that this process works in.
_KEYS: dict[str, bytes] = {}
_KEYED = "k1"
#: Flags that take NAME:PASSWORD; two numbers are a user and a group, or a port.
_WITH_NAME = frozenset(
    ("u", "user", "auth", "basic-auth", "proxy-user", "userpwd", "login", "credentials", "creds", "userpass")
)
_NAME_AND_PASSWORD = re.compile(r"(?!\d+:\d+$)[^\s:/]+:([^\s/]\S*)")
_URL = re.compile(r"\s*[a-zA-Z][a-zA-Z0-9+.-]*://")


def toggle_of(runbooks: Runbooks, name: str) -> tuple[str, Toggle] | None:
    """Find the toggle that a variable is; `*` in a toggle's name stands for any suffix."""
    exact = runbooks.toggles.get(name)
    if exact is not None:
        return name, exact
    return next(((k, t) for k, t in runbooks.toggles.items() if "*" in k and fnmatchcase(name, k)), None)


def display_value(runbooks: Runbooks, name: str, value: str, *, secret: bool = False) -> str:
    """Return a variable's value as it may reach a screen, the journal or a kubectl line.

    URLs keep scheme and host only.
    """
    found = toggle_of(runbooks, name)
    toggle = found[1] if found else None
    if value == "":
        return ""
    if secret or (toggle is not None and toggle.secret) or secret_variable(name):
        return HIDDEN
    if (toggle is not None and toggle.url) or _URL.match(value):
        return url_hint(value)
    prefix = f"{name}="
    redacted = redact(prefix + value)
    return clean(redacted[len(prefix) :] if redacted.startswith(prefix) else HIDDEN, 500)


def env_value(entry: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return an entry of a container's `env` without its name, in one spelling.

    {"value": …} or {"valueFrom": …}; None: absent.

    The API server leaves `value` out when it is empty.
    """
    if entry is None:
        return None
    reference = entry.get("valueFrom")
    return {"valueFrom": reference} if reference else {"value": str(entry.get("value") or "")}


def display_env(runbooks: Runbooks, name: str, value: Mapping[str, Any] | None, *, secret: bool = False) -> str | None:
    """Display what `env_value` gives; a reference is named: "secret postgres/url"."""
    if value is None:
        return None
    reference = value.get("valueFrom")
    if not reference:
        return display_value(runbooks, name, value["value"], secret=secret)
    for key, word in (("secretKeyRef", "secret"), ("configMapKeyRef", "configmap")):
        if key in reference:
            return clean(f"{word} {reference[key].get('name', '')}/{reference[key].get('key', '')}")
    for key in ("fieldRef", "resourceFieldRef"):
        if key in reference:
            return clean(f"field {reference[key].get('fieldPath') or reference[key].get('resource', '')}")
    return clean("reference " + ", ".join(reference))


def safe_to_journal(runbooks: Runbooks, name: str, value: Mapping[str, Any] | None, *, secret: bool = False) -> bool:
    """Tell whether the value is shown whole, so that it may be journalled as it is."""
    if value is None or value.get("valueFrom"):
        return True
    return display_env(runbooks, name, value, secret=secret) == str(value["value"])


class KeyMissing(CockpitError):
    """A fingerprint was made with a key that is not here: nothing can be compared with it."""

    usual_remedy = "work in the state directory, and as the user, that it was made in; or look at it by kubectl"


def learn_key(key: bytes) -> str:
    """Take a state directory's key into this process; return the name that salts bear of it."""
    name = hashlib.sha256(b"name of a key" + key).hexdigest()[:12]
    _KEYS[name] = key
    return name


def new_salt(key: str) -> str:
    """Return a salt whose fingerprints need the key of that name."""
    return f"{_KEYED}:{key}:{token_hex(16)}"


def fingerprint(salt: str, value: Any) -> str:
    """Return a salted digest of any JSON value.

    A salt lies beside it, so that whoever reads both could try every short secret: so it takes a
    key too, which never leaves the state directory. Salts without one are of version 0.1.0. Raises
    KeyMissing.
    """
    text = f"{salt}\0{canonical(value)}".encode()
    kind, _, rest = salt.partition(":")
    if kind != _KEYED:
        return "sha256:" + hashlib.sha256(text).hexdigest()
    key = _KEYS.get(rest.partition(":")[0])
    if key is None:
        raise KeyMissing("what it was made from cannot be compared: its key is not in this state directory")
    return "hmac:" + hmac.digest(key, text, "sha256").hex()


def secret_arguments(words: Sequence[str]) -> tuple[str, ...]:
    """Return the values of a command line's flags with secret names: `--token S`, `--token=S`.

    And the passwords of those that take both: `-u NAME:PASSWORD`.
    """
    found: list[str] = []
    for at, word in enumerate(words):
        flag, equals, value = word.partition("=")
        following = words[at + 1] if at + 1 < len(words) else ""
        both = _NAME_AND_PASSWORD.fullmatch(value if equals else following)
        if word.startswith("-") and both is not None and flag.lstrip("-").lower() in _WITH_NAME:
            found.append(both[1])
            continue
        if secrecy(flag.lstrip("-")) in (Secrecy.NONE, Secrecy.MAYBE):
            continue
        if equals or (word.startswith("-") and not following.startswith("-")):
            found.append(value if equals else following)
    return tuple(value for value in found if value)


def hide_arguments(value: Any) -> Any:
    """Hide the secret arguments in every list of words of a JSON value."""
    if isinstance(value, Mapping):
        return {key: hide_arguments(each) for key, each in value.items()}
    if not isinstance(value, list):
        return value
    if not all(isinstance(each, str) for each in value):
        return [hide_arguments(each) for each in value]
    hidden = secret_arguments(value)
    return [next((word[: -len(one)] + HIDDEN for one in hidden if word.endswith(one)), word) for word in value]


def mask_secrets(value: Any, hidden: Collection[str]) -> Any:
    """Take the hidden texts out of every string: servers and pods repeat what they were given.

    Very short ones are left: they would be found everywhere.
    """
    if isinstance(value, str):
        for secret in hidden:
            if len(secret) >= 6:
                value = value.replace(secret, HIDDEN)
        return value
    if isinstance(value, Mapping):
        return {key: mask_secrets(item, hidden) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(mask_secrets(item, hidden) for item in value)
    return value
