"""`check`: the signals that a step names, judged now. It changes nothing."""

from __future__ import annotations

from cockpit.model.plan import Proof
from cockpit.model.runbook import Step
from cockpit.model.signal import Level
from cockpit.model.situation import Situation


def evaluate(step: Step, situation: Situation | None) -> tuple[Proof, tuple[tuple[str, Level, str], ...]]:
    """PASS when every signal is OK, FAIL when one is bad, else UNKNOWN; and (signal, level, words) of each."""
    lines: list[tuple[str, Level, str]] = []
    for name in step.signals:
        status = situation.signals.get(name) if situation is not None else None
        if status is None:
            lines.append((name, Level.UNKNOWN, "nothing is known of it"))
        else:
            lines.append((name, status.level, status.reason or status.title))
    levels = {level for _, level, _ in lines}
    if levels & {Level.WARN, Level.CRIT}:
        return Proof.FAIL, tuple(lines)
    return (Proof.PASS if levels == {Level.OK} else Proof.UNKNOWN), tuple(lines)
