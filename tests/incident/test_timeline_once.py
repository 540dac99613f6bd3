"""The timeline tells once what goes to and fro; the report names what matched; an incident may be
backdated; leaving asks while one is open.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit.clock import ManualClock
from cockpit.errors import UsageProblem
from cockpit.incident import actions
from cockpit.incident.checklist import checklist
from cockpit.incident.flight_recorder import RecordedChange
from cockpit.incident.report.markdown import report
from cockpit.incident.report.timeline import timeline
from cockpit.journal.incidents import incidents_of, open_incident
from panels.dialogs.quit import QuitDialog
from tests.support.samples.records import OPS1, RUNBOOKS, START, journal


def change(after_s: float, kind: str, name: str, was: str, now: str, words: str = "") -> RecordedChange:
    return RecordedChange(START + after_s, kind, name=name, was=was, now=now, words=words)


def lines_of(tmp_path: Path, changes: list[RecordedChange]) -> list[str]:
    record = journal(tmp_path, ManualClock(START, 1000.0))
    actions.open_(record, OPS1, title="x", severity="SEV2")
    incident = incidents_of(record.records())[1]
    return [f"{entry.kind} {entry.level}: {entry.words}" for entry in timeline(incident, record.records(), changes)]


@pytest.mark.parametrize("kind", ["signal", "source", "service"])
def test_what_flaps_is_one_entry_with_a_count(tmp_path: Path, kind: str) -> None:
    """U16: 46 entries in two minutes of one signal."""
    states = ("ok", "warn") if kind != "source" else ("live", "stale")
    flaps = [change(2.6 * i, kind, "rpc-p95", states[i % 2], states[(i + 1) % 2]) for i in range(46)]
    other = [change(5, "signal", "reveal-rate", "ok", "crit"), change(300, "signal", "reveal-rate", "crit", "ok")]
    lines = lines_of(tmp_path, sorted([*flaps, *other], key=lambda each: each.at))
    of_it = [line for line in lines if "rpc-p95" in line]
    assert len(of_it) == 1 and "flaps: 46 changes in 1:57" in of_it[0], lines
    assert len([line for line in lines if "reveal-rate" in line]) == 2


def test_a_match_that_comes_and_goes_is_one_entry(tmp_path: Path) -> None:
    """U16: the match is a line of the timeline too."""
    names = ("reveal-fails", "")
    lines = lines_of(
        tmp_path, [change(3.0 * i, "runbook", names[i % 2], names[i % 2 - 1], names[i % 2]) for i in range(20)]
    )
    assert [line for line in lines if "matches" in line or "best match" in line] == [
        "runbook : best match flaps: 20 changes in 0:57 (reveal-fails ↔ none), last none"
    ]


def test_what_gets_worse_step_by_step_and_what_comes_back_once_is_shown_whole(tmp_path: Path) -> None:
    steps = [("ok", "warn"), ("warn", "crit"), ("crit", "ok")]
    lines = lines_of(tmp_path, [change(10.0 * i, "signal", "lag", was, now) for i, (was, now) in enumerate(steps)])
    assert len([line for line in lines if "lag" in line]) == 3


def test_the_report_names_the_runbooks_that_its_timeline_names(tmp_path: Path) -> None:
    """U16: it said "none matched"."""
    clock = ManualClock(START, 1000.0)
    record = journal(tmp_path, clock)
    actions.open_(record, OPS1, title="x", severity="SEV2")
    changes = [
        change(-20, "runbook", "publishing-stops", "", "publishing-stops", "1 Publishing stops"),
        change(30, "runbook", "reveal-fails", "publishing-stops", "reveal-fails", "4 Commit succeeds, reveal fails"),
    ]
    incident = open_incident(record.records())
    assert incident is not None
    lines = checklist(incident, record.records(), None, RUNBOOKS)
    text = report(incident, record.records(), changes, RUNBOOKS, lines, now=START + 600)
    names = {runbook.id: f"{runbook.number} {runbook.title}" for runbook in RUNBOOKS.runbooks}
    head = next(line for line in text.splitlines() if line.startswith("- Runbook: "))
    assert names["reveal-fails"] in head.split("also")[0] and names["publishing-stops"] in head.split("also")[1]
    assert "none matched" in report(incident, record.records(), [], RUNBOOKS, lines, now=START + 600)


def test_an_incident_is_backdated(tmp_path: Path) -> None:
    """U16."""
    record = journal(tmp_path, ManualClock(START, 1000.0))
    since = actions.moment("25m", START)
    actions.open_(record, OPS1, title="x", severity="SEV1", since=since)
    incident = open_incident(record.records())
    assert incident is not None and incident.opened == START - 1500
    early = [change(-1400, "signal", "reveal-rate", "ok", "crit")]
    assert any("reveal-rate" in entry.words for entry in timeline(incident, record.records(), early))


NOON = 1_790_000_000 - 1_790_000_000 % 86400 + 43_200


@pytest.mark.parametrize(
    ("said", "seconds_ago"),
    [("25m", 1500), ("1h30m", 5400), ("2h", 7200), ("1d", 86400), ("11:45", 900), ("11:45Z", 900), ("13:00", 82_800)],
)
def test_when_it_began_is_read_as_it_is_said(said: str, seconds_ago: float) -> None:
    """U16."""
    assert actions.moment(said, NOON) == NOON - seconds_ago
    assert actions.moment("", NOON) is None is actions.moment("now", NOON)


@pytest.mark.parametrize("said", ["soon", "25:99", "8d", "2999-01-01T00:00", "-5m", "m", "1e9"])
def test_a_time_that_cannot_be_is_refused(said: str) -> None:
    with pytest.raises(UsageProblem):
        actions.moment(said, NOON)


def test_leaving_says_that_an_incident_is_open(tmp_path: Path) -> None:
    """U16: `q` did not ask."""
    record = journal(tmp_path, ManualClock(START, 1000.0))
    actions.open_(record, OPS1, title="Reveals fail", severity="SEV1")
    dialog = QuitDialog((), open_incident(record.records()))
    words = " ".join(
        "".join(str(part) for part in line.spans) if hasattr(line, "spans") else str(line) for line in dialog.words()
    )
    assert "incident #1 SEV1 is open" in words and "under way" not in words
