from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from cockpit.drill.server import DrillThread


@pytest.fixture(scope="module")
def drill() -> Iterator[DrillThread]:
    """A calm world: whoever spoils it puts it back."""
    with DrillThread("calm", history_s=400.0) as made:
        for node in made.drill.solana.nodes.values():
            node.endpoint.failing = 0.0  # one request in 500 fails otherwise, as on a good day
        # a busy machine takes seconds to live through the past, and the drill's clock is late by
        # them
        made.advance(max(0.0, time.time() - made.drill.world.clock.now()))
        yield made
