"""Ages a situation by the reader's own clock, while whatever makes it is held up.

Ages are part of a situation: one that is no longer made anew would say "0 s" for ever.
"""

from __future__ import annotations

from msgspec.structs import replace

from cockpit.model.reading import SourceState
from cockpit.model.signal import Level, SignalStatus, StageStatus
from cockpit.model.situation import Situation, SourceLight

#: A new situation is made every second; later than this, it is said.
HELD_S = 3.0
#: Then nothing in it is judged any more.
BLIND_S = 15.0


def judged_by(situation: Situation | None, mono: float) -> Situation | None:
    """Return the situation while it may be judged by; None where it is too old, or missing."""
    return None if situation is None or mono - situation.mono > BLIND_S else situation


def aged(situation: Situation, mono: float) -> Situation:
    """Return the situation as it must be shown at `mono`, with every age as it is then."""
    by = mono - situation.mono
    words = f"nothing new from the sources for {by:.0f} s: what stands here is from then"
    return replace(
        situation,
        mono=mono,
        wall=situation.wall + by,
        cluster_now=situation.cluster_now + by,
        sources=tuple(_light(light, by, words) for light in situation.sources),
        signals={name: _signal(signal, by, words) for name, signal in situation.signals.items()},
        stages=tuple(_stage(stage, by, words) for stage in situation.stages),
        notices=(words, *situation.notices),
    )


def _light(light: SourceLight, by: float, words: str) -> SourceLight:
    age = light.age_s + by if light.age_s is not None else None
    asked = light.asked_s + by if light.asked_s is not None else None
    if not light.state.live:
        return replace(light, age_s=age, asked_s=asked)
    return replace(light, state=SourceState.STALE, age_s=age, asked_s=asked, reason=words)


def _signal(signal: SignalStatus, by: float, words: str) -> SignalStatus:
    age = signal.age_s + by if signal.age_s is not None else None
    if by <= BLIND_S or signal.level is Level.UNKNOWN:
        return replace(signal, age_s=age)
    why = f"{words}; it was {signal.level.value}"
    return replace(signal, age_s=age, level=Level.UNKNOWN, pending=None, recovering=None, reason=why)


def _stage(stage: StageStatus, by: float, words: str) -> StageStatus:
    return replace(
        stage,
        level=stage.level if by <= BLIND_S else Level.UNKNOWN,
        headline=_signal(stage.headline, by, words) if stage.headline is not None else None,
        signals=tuple(_signal(signal, by, words) for signal in stage.signals),
    )
