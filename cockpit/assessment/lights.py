"""Makes one light a source: how far it can be believed just now, and since when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.assessment.board import Board
from cockpit.model.reading import NOTHING_READ, Reading, SourceState, light_of, spell
from cockpit.model.situation import SourceLight
from cockpit.sources.registry import sources

_ORDER = {state: rank for rank, state in enumerate(SourceState)}


def lights(board: Board, mono: float, configured: frozenset[str]) -> tuple[SourceLight, ...]:
    """Return one light a source, in the order of the sources.

    Not configured is a state, not an error.
    """
    out: list[SourceLight] = []
    for name, source in sources().items():
        if name not in configured:
            out.append(SourceLight(source.light, SourceState.OFF, None, "not configured", source.remedy))
        else:
            out.append(_light(source.light, board.under(f"{name}/"), mono, partly=source.partly))
    return tuple(out)


def _light(name: str, readings: Mapping[str, Reading[Any]], mono: float, *, partly: bool) -> SourceLight:
    """Return the light of the worst topic.

    With `partly`, single failures among live topics make a source stale, not down: one query or one
    kind that fails says nothing of the rest. What is refused for want of rights stays so called.
    """
    every = {topic: reading.believed(mono) for topic, reading in readings.items()}
    wanted = {topic: found for topic, found in every.items() if not found.off}
    found = wanted or every  # what is not configured says nothing of the rest
    if not found:
        return SourceLight(name, SourceState.STARTING, None, NOTHING_READ)
    parts = tuple((t.partition("/")[2], light_of(one), one.reason) for t, one in found.items() if not one.live)
    age = max((one.age_s for one in found.values() if one.age_s is not None), default=None)
    asked = max((one.asked_s for one in found.values() if one.asked_s is not None), default=None)
    if not parts:
        return SourceLight(name, SourceState.LIVE, age, asked_s=asked)
    topic, worst = max(found.items(), key=lambda pair: _ORDER[light_of(pair[1])])
    state, reason = light_of(worst), worst.reason
    if state.stale and worst.age_s is not None and worst.asked_s is not None and worst.asked_s < worst.age_s:
        reason = f"asked {spell(worst.asked_s)} ago, newest sample {spell(worst.age_s)} ago"
    if partly and len(parts) < len(found) and (state.down or state.stale):
        state, reason = (
            SourceState.STALE,
            f"{len(parts)} of {len(found)} {'stale' if state.stale else 'failed'}: {reason}",
        )
    elif len(parts) < len(found):
        reason = f"{topic.partition('/')[2]}: {reason}"
    return SourceLight(
        name=name, state=state, age_s=age, reason=reason, remedy=worst.remedy, asked_s=asked, parts=parts
    )
