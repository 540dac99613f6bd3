"""Reads the long windows that say what is normal, now and then, onto the board as `baselines/NAME`.

The last two hours finely, what lies before them coarsely.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cockpit.clock import Clock
from cockpit.model.observed.metrics import History, QueryResult
from cockpit.model.reading import Fault, Reading, SourceState

EVERY_S = 600.0
_FINE_S, _FINE_STEP_S, _COARSE_STEP_S = 7200.0, 60.0, 600.0

#: (PromQL, from, to, step) → the series, None when it failed; and warnings.
Range = Callable[[str, float, float, float], Awaitable[tuple[Any, tuple[str, ...]]]]


class Baselines:
    """Asks each long window once in ten minutes; one that fails is asked again soon.

    `wanted`: by signal, the PromQL and the seconds of the window.
    """

    def __init__(self, wanted: Mapping[str, tuple[str, float]], clock: Clock, again_s: float) -> None:
        self._wanted = dict(wanted)
        self._clock = clock
        self._again_s = again_s
        self._asked: float | None = None

    async def due(self, at: float | None, ask: Range) -> list[Reading[Any]]:
        """Return what is due, by the server's time `at`; nothing while nothing is."""
        now = self._clock.mono()
        if not self._wanted or at is None or (self._asked is not None and now - self._asked < EVERY_S):
            return []
        self._asked = now
        found: list[Reading[Any]] = []
        for name, (promql, span) in self._wanted.items():
            parts: list[History] = []
            for start, end, step in stretches(at, span):
                ranged, why = await ask(promql, start, end, step)
                if ranged is None:
                    self._asked = now - EVERY_S + self._again_s
                    fault = Fault(SourceState.DOWN, "; ".join(why) or "no history")
                    found.append(Reading(f"baselines/{name}", fault=fault))
                    break
                parts += ranged
            else:
                result = QueryResult(history=tuple(parts), evaluated_at=at)
                found.append(Reading(f"baselines/{name}", result, now, max_age_s=4 * EVERY_S, server_time=at))
        return found


def stretches(at: float, span: float) -> list[tuple[float, float, float]]:
    """Return (from, to, step) of the parts in which a long window is asked, older first."""
    fine = min(span, _FINE_S)
    coarse = [(at - span, at - fine - _COARSE_STEP_S, _COARSE_STEP_S)] if span > fine + _COARSE_STEP_S else []
    return [*coarse, (at - fine, at, _FINE_STEP_S)]
