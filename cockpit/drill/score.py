"""Scores a drill: only what was measured counts.

Times are simulated seconds from the operator's arrival; None: it never happened.

`detected`: the operator opened the right runbook, or sent a step of it. `first_safe`: the first
step sent that cures the incident or holds its harm. `recovered`: from then on, until the end, what
was new in the world showed no symptom of its runbook and met its validation, and no output was
stale or misleading, no client failed (of several incidents: as soon as all seem over); what a
window of minutes still holds of before does not count. A step is what the cockpit's journal says
was sent, or the drill's own tools did; what was done past both is not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from textwrap import wrap
from typing import Any

from cockpit.drill.harm import Harm

#: A kind of harm that comes this much faster after a step than before it is said of the step.
WORSE = 1.5
WIDTH = 79  # of the narrowest screen
#: Seconds before a step that must have been seen, to compare with.
SEEN_S = 10.0
_NAMES = {
    "publishing_gap_s": "seconds without publishing",
    "stale_s": "seconds of stale outputs",
    "misleading_outputs": "misleading outputs",
    "degraded_outputs": "degraded outputs",
    "failed_requests": "failed API requests",
    "replay_violations": "replay violations",
    "threshold_misses": "threshold misses",
    "rate_limited": "refused polls (429)",
}
#: Below so many a minute more, a change is noise.
_NOISE = {"publishing_gap_s": 6.0, "stale_s": 6.0, "threshold_misses": 1.0, "replay_violations": 0.5}


@dataclass(slots=True)
class IncidentScore:
    name: str
    runbook: int | None
    detected_s: float | None = None
    first_safe_s: float | None = None
    recovered_s: float | None = None


@dataclass(slots=True)
class StepScore:
    """Scores one step that was sent.

    `harm`: what was added from it until the next step or the end, `over_s` seconds later. `worse`:
    kinds of harm that came faster than in the time before it, in words; None when that time was too
    short to compare.
    """

    at_s: float
    number: int  # in the journal; 0: by the drill's own tools
    title: str
    step: str  # RUNBOOK/ID
    verdict: str  # "right", "holding", "called for" (changes nothing), "wrong", "undo", "neither"
    harm: str = ""
    over_s: float = 0.0
    worse: list[str] | None = field(default_factory=list)


@dataclass(slots=True)
class Score:
    at: float  # unix seconds, real time, at the end
    scenario: str
    seed: int
    lasted_s: float
    incidents: list[IncidentScore]
    steps: list[StepScore]
    harm: dict[str, float]
    surprise: bool = False
    guided: bool = False
    paused_s: float = 0.0  # real seconds

    @property
    def recovered_s(self) -> float | None:
        """Return when the last incident was over; None while one goes on, or without any."""
        times = [incident.recovered_s for incident in self.incidents]
        known = [time for time in times if time is not None]
        return max(known) if known and len(known) == len(times) else None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Score:
        """Read a score from JSON; unknown keys are left out.

        Raises TypeError, KeyError or ValueError for what is not a score.
        """
        given = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        given["incidents"] = [IncidentScore(**incident) for incident in given["incidents"]]
        given["steps"] = [StepScore(**step) for step in given["steps"]]
        return cls(**given)


def worse(before: Harm, before_s: float, after: Harm, after_s: float) -> list[str] | None:
    """Name, in words, the kinds of harm that came faster after a step than before it."""
    if before_s < SEEN_S or after_s < SEEN_S:
        return None
    faster = []
    for name, words in _NAMES.items():
        was, became = 60.0 * getattr(before, name) / before_s, 60.0 * getattr(after, name) / after_s
        if became > WORSE * was and became - was > _NOISE.get(name, 5.0):
            faster.append(f"{words} {was:.0f} → {became:.0f} a minute")
    return faster


def clock(seconds: float | None) -> str:
    """Format a duration as `4:07`; "never" when it never happened."""
    return "never" if seconds is None else f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def report(score: Score, title: str, story: str, before: Sequence[Score] = ()) -> list[str]:
    """Write what is printed at the end.

    The cause, the times, the steps, the harm, and how it compares with earlier drills.
    """
    lines = [f"DRILL  {title}", *wrap(story, WIDTH, initial_indent="  ", subsequent_indent="  "), ""]
    for incident in score.incidents:
        head = f"  runbook {incident.runbook}" if incident.runbook is not None else f"  {incident.name}"
        lines += _wrapped(
            f"{head}: detected {clock(incident.detected_s)} · first safe action {clock(incident.first_safe_s)} · "
            f"recovered {clock(incident.recovered_s)}"
        )
    lines += _wrapped(f"  harm in {clock(score.lasted_s)}: {Harm(**score.harm).words}")  # type: ignore[arg-type]
    lines.append(f"  steps: {len(score.steps) or 'none'}")
    for step in score.steps:
        number = f"#{step.number}" if step.number else "by hand"
        lines += _wrapped(f"    {clock(step.at_s):>5} {number:<7} {step.title} ({step.step}): {step.verdict}")
        tail = f"          harm in the {step.over_s:.0f} s after it: {step.harm}"
        if step.worse:
            tail += f"; worse than before: {', '.join(step.worse)}"
        elif step.worse is None:
            tail += "; too short to compare with before"
        lines += _wrapped(tail)
    return [*lines, *(part for line in progress(score, before) for part in _wrapped(line))]


def _wrapped(line: str) -> list[str]:
    """Return the line in rows that fit the narrowest screen, the following ones further in."""
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return wrap(line.lstrip(), WIDTH, initial_indent=indent[2:], subsequent_indent=indent)


def progress(score: Score, before: Sequence[Score]) -> list[str]:
    """Compare a score with the earlier drills of the same scenario."""
    same = [old for old in before if old.scenario == score.scenario]
    times = [old.recovered_s for old in same if old.recovered_s is not None]
    if not same:
        return [f"  the first drill of {score.scenario} in the history"]
    now = score.recovered_s
    if not times:
        return [f"  {len(same)} earlier, none recovered" + ("; this one did" if now is not None else "")]
    best, last = min(times), times[-1]
    words = f"  {len(same)} earlier: recovered in {clock(last)} the last time, {clock(best)} at best"
    if now is not None:
        words += f"; now {clock(now)}" + (", the best so far" if now < best else "")
    return [words]
