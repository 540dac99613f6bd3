"""How tests wait: for a condition, and so long that nothing but a hang fails them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: A test that is right waits a moment; on a machine that runs two suites at once, some twenty times
#: as long. This bound tells that from a hang. No test measures anything by it.
HANG_S = 60.0


def wait_for(what: Callable[[], T | None], timeout_s: float = HANG_S) -> T:
    """Return the first true answer of `what`; fail when none comes."""
    deadline = time.monotonic() + timeout_s
    while not (found := what()):
        assert time.monotonic() < deadline, f"it never came true: {found!r}"
        time.sleep(0.02)
    return found
