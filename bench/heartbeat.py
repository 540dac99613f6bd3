"""Runs the cockpit with a pulse: `python -m bench.heartbeat CONFIG OUT`.

At its end it writes to OUT how long its loop was ever held.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from cockpit import terminal

terminal.prepare()

from cockpit.app.main import CockpitApp  # noqa: E402
from cockpit.commands.settings import runbooks_of  # noqa: E402
from cockpit.config import load_settings  # noqa: E402
from cockpit.session import Session  # noqa: E402

BEAT_S = 0.005
SETTLED_S = 8.0  # start-up is not "live"
#: What is asked now and then only: long windows.
SLOW = ("baselines/", "newest/")


class Pulse(CockpitApp):
    """Records (seconds since start, lateness) of every beat that came late."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.late: list[tuple[float, float]] = []
        self.oldest = 0.0

    def on_ready(self) -> None:
        self._pulse = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        began = time.monotonic()
        while not self._exit:  # its end, when textual waits for its threads, is not "live" either
            before = time.monotonic()
            await asyncio.sleep(BEAT_S)
            now = time.monotonic()
            if self._exit:
                return
            if now - began > SETTLED_S:
                self.late.append((now - began, now - before - BEAT_S))
                board = self.session.engine.board
                every = board.under("").items()
                round_ = [r for topic, r in every if not topic.endswith("/source") and not topic.startswith(SLOW)]
                ages = [r.believed(now).age_s or 0.0 for r in round_]
                self.oldest = max(self.oldest, max(ages, default=0.0))


def main(config: str, out: str) -> None:
    settings = load_settings(config=config)
    app = Pulse(Session(settings, runbooks_of(settings)))
    app.run()
    held = sorted(late for _, late in app.late)
    Path(out).write_text(
        json.dumps(
            {
                "beats": len(held),
                "longest_s": held[-1],
                "p99_s": held[int(len(held) * 0.99)],
                "oldest_reading_s": app.oldest,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
