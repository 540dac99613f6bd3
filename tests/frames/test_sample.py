"""A sample of `make frames`: an outage from its cause to its cure, without a contradiction (U1)."""

from __future__ import annotations

from bench.frames.frame import Frame
from bench.frames.rules import contradictions, over_time
from bench.frames.story import play
from bench.matrix.loop import simulate


def test_no_frame_of_an_outage_contradicts_itself_and_none_is_late() -> None:
    """U1: the strip, the match and the signals follow the world within seconds, both ways."""
    found: list[str] = []

    def heard(frame: Frame) -> None:
        found.extend(f"{frame.at:.0f} s: {words}" for words in contradictions(frame))

    story = simulate(play("state-out-of-sync", 1, cause_s=35.0, after_s=80.0, heard=heard))
    assert not found, "\n".join(found[:20])
    assert over_time(story.frames) == []
    assert story.truth is not None
    assert story.cured_at is not None
    lags = story.truth.lags(story.caused_at, story.cured_at)
    assert lags
    for signal, (cause, cure) in lags.items():
        assert cause is not None and cause <= 25.0, signal
        assert cure is not None and cure <= 25.0, signal
    ended = story.frames[-1]
    assert any(signal.recovering for signal in ended.signals.values())
    assert "it stops at" not in ended.wide[1]
