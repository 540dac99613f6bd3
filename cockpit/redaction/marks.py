"""Holds what the redaction's parts share: what is random, a count, a reference."""

from __future__ import annotations

import re
from urllib.parse import unquote


def listed(words: str) -> frozenset[str]:
    """Return the words of a text, as a set."""
    return frozenset(words.split())


#: Said of a secret, or in its place; never one.
_SAID = listed(
    "null nil none undefined unset true false yes no redacted hidden masked xxx n/a required missing invalid "
    "expired revoked rotated not must is are was were has have cannot can't could should will denied allowed "
    "allow failed failure disabled enabled ok okay changed wrong incorrect expected unexpected error rejected "
    "accepted refused unauthorized forbidden empty blank present absent found loaded updated created deleted "
    "and or the a an to for from in of with webhook rbac unknown default optional string secret sol eth usdc "
    "usdt usd btc token password signature certificate"
)
_REFERENCE = re.compile(
    r"""\$\{ | \$\( | \$[A-Z_][A-Z0-9_]*(?![\w&#%!.-]) | \$\d{1,2}(?!\w) | \{\{ | %[sdvqr](?!\w) | %\( | \?(?=\W|$)
    | <[^<>\n]{0,200}> | \[REDACTED | \[redacted | \*{2,}(?!\w) | \.\.\.(?!\w) | …""",
    re.X,
)
_COUNT = re.compile(r"[-+]?\d[\d.,:_]*(?:%|[a-zA-Zµ]{1,3})?$")
_LOCAL_PATH = re.compile(r"[~.]?(?:/[a-z0-9._@+-]+){2,}/?$")
_WORDY = re.compile(r"[a-z]{2,}(?:[._/:@+-][a-z0-9]{1,12})*$|(?:[a-z0-9]{1,12}[._/:-])+[a-z]{3,12}$")
#: A name of the cluster: m0-signer-agent-0, m0-submitter-5f9645fd77-2v8wf.
_NAMED = re.compile(r"(?:[a-z0-9]{1,12}[._/:-])+[a-z0-9]{1,5}$")
_WORD_IN = re.compile(r"(?:^|[._/:-])[a-z]{3,12}(?:[._/:-]|$)")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")


def is_reference(text: str, at: int = 0) -> bool:
    """Tell whether a place-holder stands here: a variable, a template, what is hidden already."""
    return _REFERENCE.match(text, at) is not None


def is_said(value: str) -> bool:
    """Tell whether it is a word that is said of a secret ("expired"), or in its place ("null")."""
    return value.strip("\"'`.,;:!)(]}").lower() in _SAID


def is_count(value: str) -> bool:
    """Tell whether it is a number, with or without a unit."""
    return _COUNT.match(value) is not None


def is_local_path(value: str) -> bool:
    """Tell whether it is a path on a disk in small letters."""
    return _LOCAL_PATH.match(value) is not None


def is_uuid(value: str) -> bool:
    """Tell whether it is a UUID."""
    return _UUID.match(value) is not None


def looks_random(value: str) -> bool:
    """Tell whether nobody would have written it by hand: long, of letters and digits, no words."""
    if len(value) < 16 or any(char.isspace() for char in value) or _WORDY.match(value):
        return False
    if _NAMED.match(value) and _WORD_IN.search(value):
        return False
    if not (any(char.isdigit() for char in value) and any(char.isalpha() for char in value)):
        return len(value) >= 24 and not value.islower() and not value.isupper() and value.isalpha()
    return True


def decoded(text: str) -> str:
    """Take percent-encoding away, three layers at most."""
    for _ in range(3):
        plain = unquote(text, errors="replace")
        if plain == text:
            break
        text = plain
    return text
