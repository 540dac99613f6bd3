"""One light a source: how far it can be believed just now, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.assessment.board import Board
from cockpit.model.reading import Reading, SourceState
from cockpit.model.situation import SourceLight

_ORDER = {state: rank for rank, state in enumerate(SourceState)}


#: Light → (topics' prefix, what configures it, whether single failures leave the rest standing).
_LIGHTS = {
    "k8s": ("kubernetes", "give a kubeconfig", False),
    "prom": ("prometheus", "give --prometheus URL", True),
    "rpc": ("solana", "name [[rpc-endpoints]] in the configuration", True),
    "pg": ("postgres", "give [postgres] url in the configuration", True),
    "probes": ("probes", "name [probes] services in the configuration", True),
}


def lights(board: Board, mono: float, configured: frozenset[str]) -> tuple[SourceLight, ...]:
    """`k8s`, `prom`, `rpc`, `pg`, `probes`.

    Not configured is a state, not an error.
    """
    out: list[SourceLight] = []
    for name, (source, remedy, partly) in _LIGHTS.items():
        if source not in configured:
            out.append(SourceLight(name, SourceState.OFF, None, "not configured", remedy))
        else:
            out.append(_light(name, board.under(f"{source}/"), mono, partly=partly))
    return tuple(out)


def _light(name: str, readings: Mapping[str, Reading[Any]], mono: float, *, partly: bool) -> SourceLight:
    """The worst topic.

    With `partly`, single failures among live topics make a source stale, not down: one query that
    is rejected says nothing of the server.
    """
    asked = {topic: reading for topic, reading in readings.items() if reading.state(mono) is not SourceState.OFF}
    readings = asked or readings  # what is not configured says nothing of the rest
    if not readings:
        return SourceLight(name, SourceState.STARTING, None, "nothing read yet")
    states = {topic: reading.state(mono) for topic, reading in readings.items()}
    parts = tuple(
        (topic.partition("/")[2], state, readings[topic].reason(mono))
        for topic, state in states.items()
        if state is not SourceState.LIVE
    )
    known = (reading.age_s(mono) for reading in readings.values())
    age = max((age for age in known if age is not None), default=None)
    if not parts:
        return SourceLight(name, SourceState.LIVE, age)
    worst = max(states, key=lambda topic: _ORDER[states[topic]])
    fault = readings[worst].fault
    reason, remedy = readings[worst].reason(mono), fault.remedy if fault is not None else ""
    live = len(readings) - len(parts)
    state = states[worst]
    if partly and live and state is not SourceState.STARTING:
        state, reason = SourceState.STALE, f"{len(parts)} of {len(readings)} failed: {reason}"
    elif len(parts) < len(readings):
        reason = f"{parts[[p[0] for p in parts].index(worst.partition('/')[2])][0]}: {reason}"
    return SourceLight(name=name, state=state, age_s=age, reason=reason, remedy=remedy, parts=parts)
