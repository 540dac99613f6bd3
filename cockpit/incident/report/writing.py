"""Puts the report of one incident together from journal and flight recorder, and writes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cockpit.errors import UsageProblem
from cockpit.host.files import open_to_write
from cockpit.incident.actions import HOW_TO_OPEN, IncidentProblem
from cockpit.incident.checklist import checklist
from cockpit.incident.flight_recorder import read
from cockpit.incident.report.markdown import report
from cockpit.journal.incidents import incidents_of
from cockpit.journal.journal import Journal
from cockpit.model.incident import Incident
from cockpit.model.runbook import Runbooks
from cockpit.model.situation import Situation


def chosen(incidents: dict[int, Incident], number: int | None, unreadable: Sequence[str] = ()) -> Incident:
    """Return the incident of that number; without one the open incident, else the last.

    `unreadable`: the journals that may hold it and cannot be read. Raises IncidentProblem, and
    UsageProblem for a number that there is not.
    """
    if unreadable and (number not in incidents if number is not None else not incidents):
        raise IncidentProblem(f"whether there is such an incident is not known: {unreadable[0]}", "mend its rights")
    if number is not None and number not in incidents:
        remedy = "see `m0-cockpit incident list`" if incidents else HOW_TO_OPEN
        raise UsageProblem(f"there is no incident #{number}", remedy)
    if not incidents:
        raise IncidentProblem("there is no incident yet", HOW_TO_OPEN)
    running = [i.number for i in incidents.values() if i.open]
    return incidents[number if number is not None else running[-1] if running else max(incidents)]


def report_of(
    journal: Journal,
    number: int | None,
    runbooks: Runbooks,
    recording: Path,
    *,
    now: float,
    situation: Situation | None = None,
) -> tuple[int, str]:
    """Return the incident's number and its report in Markdown.

    With a situation, an open incident's checklist is as the machine sees it now. Raises
    IncidentProblem.
    """
    records = journal.records()
    incident = chosen(incidents_of(records), number, journal.unreadable)
    lines = checklist(incident, records, situation if incident.open else None, runbooks)
    text = report(
        incident,
        records,
        read(recording, incident.opened - 3600),
        runbooks,
        lines,
        now=now,
        journal_end=journal.end(),
        journal_problems=journal.verify(),
    )
    return incident.number, text


def write(path: Path, text: str) -> None:
    """Write a file that only its owner can read (0600).

    Raises OSError.
    """
    with os.fdopen(open_to_write(path), "w", encoding="utf-8") as file:
        file.write(text)
