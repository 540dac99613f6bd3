"""Compares this machine's clock with those of what it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cockpit.assessment.board import Board
from cockpit.model.reading import Reading, spell

#: The network bears so much, and an HTTP Date has whole seconds.
OFF_S = 15.0
#: A clock that runs at another pace (a drill's, sped up) is not wrong: told apart after so long.
SURE_S, DRIFT_S = 4.0, 2.0
#: Family of topics → whose clock its readings tell.
WHOSE: Mapping[str, str] = {"kubernetes/": "the API server's", "prometheus/": "Prometheus'", "probes/": "the services'"}


@dataclass(frozen=True, slots=True)
class ClockCheck:
    """Says how many seconds this machine's clock is behind, and in words; "" is well."""

    behind_s: float | None = None
    words: str = ""


class Clocks:
    """Remembers how far each clock was off, to tell a wrong one from one that runs differently."""

    def __init__(self) -> None:
        self._first: dict[str, tuple[float, float]] = {}  # family → when first seen (monotonic), and how far off then
        self._said = ClockCheck()

    def update(self, board: Board, wall: float, mono: float) -> ClockCheck:
        """Return the newest verdict; `wall` and `mono` are this machine's, of the same moment."""
        off: dict[str, float] = {}
        well: list[str] = []
        for family, whose in WHOSE.items():
            server = newest_clock(board.under(family), mono)
            if server is None:
                continue
            ahead = server - wall
            since, then = self._first.setdefault(family, (mono, ahead))
            if abs(ahead - then) > DRIFT_S:
                self._first[family] = (mono, ahead)
            elif mono - since >= SURE_S:
                if abs(ahead) > OFF_S:
                    off[whose] = ahead
                else:
                    well.append(whose)
        self._said = self._steady(_verdict(off, well))
        return self._said

    def _steady(self, found: ClockCheck) -> ClockCheck:
        """Keep what was said while it differs by a moment only: words that flicker are not read."""
        before = self._said
        if found.behind_s is None or before.behind_s is None or abs(found.behind_s - before.behind_s) > DRIFT_S:
            return found
        return before


def newest_clock(readings: Mapping[str, Reading[Any]], mono: float) -> float | None:
    """Return the server's clock now, by the newest of these readings that tells it."""
    clocks = [clock for reading in readings.values() if (clock := reading.server_clock(mono)) is not None]
    return min(clocks, key=lambda clock: clock[1])[0] if clocks else None


def _verdict(off: Mapping[str, float], well: list[str]) -> ClockCheck:
    if not off:
        return ClockCheck()
    names = " and ".join(off)
    ahead = next(iter(off.values()))
    side = "behind" if ahead > 0 else "ahead of"
    if well:  # some agree with us: the others are wrong
        other = "ahead of" if ahead > 0 else "behind"
        words = f"{names} clock is {spell(abs(ahead))} {other} this machine's and {' and '.join(well)}: ages are wrong"
        return ClockCheck(None, words)
    words = f"this machine's clock is {spell(abs(ahead))} {side} {names}: the journal's times are off; set it (chrony)"
    return ClockCheck(ahead, words)
