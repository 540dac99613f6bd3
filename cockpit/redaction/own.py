"""Knows the secrets of the cockpit's own configuration, which no answer may repeat.

Services name what they were asked with: a key in a URL, a header, a password. `remember` is called
where a secret is read; every text that is redacted or cleaned afterwards goes without it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from urllib.parse import quote, unquote

from cockpit.redaction import HIDDEN

_MOST = 256
_LEAST = 6
_known: tuple[str, ...] = ()
_LOCK = threading.Lock()


def _tells(secret: str) -> bool:
    """Tell whether it can be hidden wherever it stands: a plain word would be found everywhere."""
    if len(secret) < _LEAST or (secret.isalpha() and secret.islower() and len(secret) < 2 * _LEAST):
        return False
    return not secret.isdigit() or len(secret) >= 2 * _LEAST


def remember(secrets: Iterable[str]) -> None:
    """Add secrets to those that are hidden, in each spelling; the oldest go past 256."""
    global _known
    found: dict[str, None] = {}
    for secret in secrets:
        bare = secret.rpartition(" ")[2]  # of a header with a scheme in front
        for spelling in (secret, bare, quote(secret, safe=""), quote(secret), unquote(secret)):
            if _tells(spelling):
                found[spelling] = None
    with _LOCK:
        kept = [*(known for known in _known if known not in found), *found][-_MOST:]
        _known = tuple(kept)


def forget() -> None:
    """Forget all: a test begins anew."""
    global _known
    _known = ()


def hide_own(text: str) -> str:
    """Hide every secret that is remembered; the longest first where one holds another."""
    found = [secret for secret in _known if secret in text]
    for secret in sorted(found, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text
