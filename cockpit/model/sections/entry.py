"""Refuses unknown keys in every table of runbooks.toml."""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """Refuses unknown keys: a misspelt threshold must not pass for an absent one."""
