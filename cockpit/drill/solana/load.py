"""Loads the chain for benchmarks, at a steady real rate, with the exact number known.

Commits and reveals of the program.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from cockpit.drill.solana.program.encoder import DELAY_SLOTS
from cockpit.drill.solana.program.ledger import SLOT_S
from cockpit.drill.solana.program.oracle import Landed, Oracle

BEAT_S = 0.02
FAIL_EVERY = 50  # one reveal in so many fails with a replayed sequence


@dataclass
class TransactionLoad:
    """Counts what was put on the chain."""

    commits: int = 0
    reveals: int = 0
    failed: int = 0  # reveals that the program refused
    finalised: int = 0  # epochs, on top of `total`
    seconds: float = 0.0  # real ones it took
    last_slot: int = 0

    @property
    def total(self) -> int:
        return self.commits + self.reveals + self.failed


async def load(oracle: Oracle, per_second: float, seconds: float) -> TransactionLoad:
    """Send `per_second × seconds` transactions.

    Half of them are commits, each with its reveal after the delay.

    Needs a clock that moves (the last reveals wait for it).
    """
    done = TransactionLoad()
    wanted = round(per_second * seconds) // 2
    ledger, markets = oracle.ledger, [key[1] for key in oracle.accounts.program_keys() if key[0] == "market"]
    sequence = max(market.last_sequence for market in map(oracle.accounts.market, markets) if market is not None)
    waiting: deque[Landed] = deque()
    before = oracle.counts["FinalizeEpoch", ""]
    began = time.perf_counter()
    turn = 0
    while done.reveals + done.failed < wanted:
        owed = int((time.perf_counter() - began) * per_second) - done.total
        for _ in range(owed):
            now, turn = ledger.now(), turn + 1
            due = bool(waiting) and waiting[0].slot + DELAY_SLOTS + 1 <= ledger.slot(now)
            if due and (turn % 2 or done.commits == wanted):
                replayed = (done.reveals + done.failed) % FAIL_EVERY == FAIL_EVERY - 1
                error = oracle.reveal(waiting.popleft(), now, "ReplayViolation" if replayed else "")
                if error:
                    done.failed += 1
                else:
                    done.reveals += 1
            elif done.commits < wanted:
                sequence += 1
                waiting.append(oracle.commit(markets[done.commits % len(markets)], sequence, now, now))
                done.commits += 1
            else:
                break
        await asyncio.sleep(BEAT_S if done.commits < wanted else min(BEAT_S, SLOT_S / 4))
    done.finalised = oracle.counts["FinalizeEpoch", ""] - before
    done.seconds = time.perf_counter() - began
    done.last_slot = ledger.entries[-1].slot if ledger.entries else 0
    return done
