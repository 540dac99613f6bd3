"""Finds what people answered to manual steps in the journal: the newest answer counts.

Its age is said with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cockpit.journal.incidents import Record
from cockpit.model.maintenance import Question
from cockpit.model.runbook import Runbooks


def question(
    records: Sequence[Record], runbooks: Runbooks, runbook: str, step: str, *, now: float, fresh_s: float
) -> Question | None:
    """Return the question of a manual step with its newest answer.

    None when the runbooks have no such step (an operator's own file may not).
    """
    try:
        found, asked = runbooks.step(runbook, step)
    except KeyError:
        return None
    text = asked.question or asked.title
    head = f"runbook {found.id}, {asked.id}: "
    for record in reversed(records):
        if record.get("kind") != "note" or record.get("step") != asked.id or record.get("runbook") != found.id:
            continue
        try:
            at = float(record["at"])
        except (KeyError, TypeError, ValueError):
            continue
        operator = record.get("operator")
        who = str(operator.get("name", "")) if isinstance(operator, Mapping) else ""
        words = str(record.get("words", "")).removeprefix(head)
        fresh = now - at <= fresh_s and record.get("answer") != "no"
        return Question(runbook=found.id, step=asked.id, text=text, answer=words, who=who, answered=at, fresh=fresh)
    return Question(found.id, asked.id, text)
