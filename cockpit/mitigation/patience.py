"""How long the answer to a write is waited for, and when what happened is read after one that did not come."""

from __future__ import annotations

from collections.abc import Sequence

SEND_TIMEOUT_S = 15.0
#: The request may still be on its way through the server: several looks before "not done" is said.
SETTLE_S: Sequence[float] = (0.2, 0.8, 2.0, 3.0)
