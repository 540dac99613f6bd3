"""Makes values of any shape safe to keep: texts cleaned and redacted, secrets hidden by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from cockpit.redaction.names import Secrecy, secrecy
from cockpit.text import HIDDEN, redact, safe

_DEPTH = 40
_TEXT = 8192


def redacted(value: Any, depth: int = _DEPTH) -> Any:
    """Return JSON values of structs, mappings and sequences; never raises.

    Numbers that JSON cannot say become words.
    """
    if depth <= 0:
        return "…"
    if isinstance(value, msgspec.Struct):
        value = {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {safe(key, 300): _under(safe(key, 300), each, depth - 1) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        if len(value) == 64 and all(type(each) is int and 0 <= each < 256 for each in value):
            return f"[key pair {HIDDEN}]"  # as Solana keeps one in a file
        return [redacted(each, depth - 1) for each in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    return safe(value, _TEXT)


def _under(name: str, value: Any, depth: int) -> Any:
    """Return the value of a key: under a secret's name it is hidden whole, whatever its shape."""
    kind = secrecy(name)
    if isinstance(value, str) and len(value) >= 3:
        if kind is not Secrecy.NONE and redact(f"{name}={value}") != f"{name}={value}":
            return HIDDEN
        return redacted(value, depth)
    if kind in (Secrecy.NONE, Secrecy.MAYBE) or value is None or isinstance(value, bool | int | float) or not value:
        return redacted(value, depth)
    return redacted(value, depth) if isinstance(value, Mapping) and _REFERS & value.keys() else HIDDEN


#: Keys of what names a secret of the cluster, and holds none.
_REFERS = frozenset(("secretName", "name", "key", "secretRef", "secretKeyRef", "defaultMode", "audience"))
