"""Holds a round of routine maintenance (runbook 15) or a checklist: measured, asked, unknown.

`state` is "ok", "attention" (something was out of bounds, or is not done), "unknown" (with the
reason), "ask" (only people know, and nobody has answered within the round's time) or "answered".
"""

from __future__ import annotations

import msgspec

#: The worst of a line's findings decides; in this order.
STATES = ("attention", "unknown", "ask", "answered", "ok")


class Finding(msgspec.Struct, frozen=True):
    """Describes one thing that was examined, in words that hold the numbers."""

    state: str
    words: str


class Question(msgspec.Struct, frozen=True):
    """Holds a question that no machine can answer.

    `runbook` and `step`: the manual step that it is answered by. `answered` is unix seconds.
    """

    runbook: str
    step: str
    text: str
    answer: str = ""  # the newest one, however old
    who: str = ""
    answered: float | None = None
    fresh: bool = False  # it was answered recently enough for this round


class RoundLine(msgspec.Struct, frozen=True):
    item: str  # of the operational runbooks
    text: str
    findings: tuple[Finding, ...] = ()
    question: Question | None = None

    @property
    def state(self) -> str:
        states = [finding.state for finding in self.findings]
        if self.question is not None:
            states.append("answered" if self.question.fresh else "ask")
        return min(states, key=STATES.index, default="unknown")


class Round(msgspec.Struct, frozen=True):
    """Describes one round.

    `at` and `since` are unix seconds on the cluster's clock: what was measured lies between.
    `wall`: when the round was made.
    """

    name: str  # "weekly", "monthly", "deploy", "incident"
    title: str
    place: str  # "prod-eu/m0-prod"
    operator: str
    wall: float
    at: float
    since: float | None  # None: only now was looked at
    lines: tuple[RoundLine, ...]
    notes: tuple[str, ...] = ()

    def count(self, *states: str) -> int:
        return sum(1 for line in self.lines if line.state in states)
