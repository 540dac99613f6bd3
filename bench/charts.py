"""Times a chart: from its key to its last byte, beyond Prometheus'; what it sends then."""

from __future__ import annotations

import statistics
import time
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

from bench.pane import Pane

_QUIET_S = 0.12  # no byte for so long: the picture is whole
_ROUNDS = 7


def charted(shown: Pane, where: dict[str, Any]) -> tuple[float, float, float]:
    """Return (seconds from the key to the last byte, those of the bare query, bytes/s after)."""
    shown.when("m0-submitter")
    time.sleep(8)
    shown.type("0")
    time.sleep(2)
    took = []
    for _ in range(_ROUNDS):
        mark, pressed = len(shown.chunks), time.perf_counter()
        shown.type("c")
        shown.when("Prometheus: ", since=mark)
        took.append(_last_byte(shown, mark) - pressed)
        shown.type("\x1b")
        time.sleep(1.5)
    answers = [_answer(where["prometheus"]) for _ in range(_ROUNDS)]
    shown.type("c")
    time.sleep(1)
    shown.type("--")
    time.sleep(4)
    return statistics.median(took), statistics.median(answers), shown.written(30) / 30


def _last_byte(shown: Pane, mark: int) -> float:
    time.sleep(3 * _QUIET_S)
    times = [at for at, _ in shown.chunks[mark:]]
    for before, after in pairwise(times):
        if after - before > _QUIET_S:
            return before
    return times[-1]


def _answer(url: str) -> float:
    now = time.time()
    query = "max by (market) (m0_output_age_ms) / 1000"
    form = urlencode({"query": query, "start": now - 3600, "end": now, "step": 15})
    began = time.perf_counter()
    with urlopen(f"{url}/api/v1/query_range?{form}") as answer:
        answer.read()
    return time.perf_counter() - began
