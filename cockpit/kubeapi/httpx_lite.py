"""Imports httpx without its command line and HTTP/2 support.

These (click, pygments, progress bars, h2) take longer to import than all the rest of it, between
the operator and the first pods.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _absent(*names: str) -> Iterator[None]:
    """Hide these modules as if they were not installed, but for those in use."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _absent("click", "h2"):
    import httpcore  # noqa: F401  httpx imports it when the first client is made
    import httpx

__all__ = ["httpx"]
