"""Gives one spelling of a JSON value, for what is hashed, signed or compared as text."""

from __future__ import annotations

import json
from typing import Any


def canonical(value: Any) -> str:
    """Spell a value with sorted keys, no spaces and ASCII alone.

    Raises ValueError for NaN and infinity, which JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
