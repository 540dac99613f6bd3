"""Each thing that operators do to an incident is one record.

What the incident is, is projected from the journal alone.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cockpit.clock import ManualClock
from cockpit.errors import CockpitError, UnknownName
from cockpit.incident import actions
from cockpit.incident.actions import IncidentProblem
from cockpit.incident.checklist import checklist
from cockpit.incident.reminders import reminder
from cockpit.journal.entries import lines_from
from cockpit.journal.incidents import incidents_of, open_incident
from cockpit.journal.journal import Journal, JournalProblem
from cockpit.model.incident import Incident
from cockpit.model.observed.cluster import Cluster
from cockpit.model.reading import Reading
from cockpit.model.signal import Level
from tests.support.samples.records import OPS1, OPS2, RUNBOOKS, START, done, intent, journal, pod, signal, situation


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START, 1000.0)


@pytest.fixture
def record(tmp_path: Path, clock: ManualClock) -> Journal:
    return journal(tmp_path, clock)


def opened(record: Journal, severity: str = "SEV1", **more: str) -> int:
    return actions.open_(record, OPS1, title=more.pop("title", "Publishing stops"), severity=severity, **more)  # type: ignore[arg-type]


def now(record: Journal) -> Incident:
    incident = open_incident(record.records())
    assert incident is not None
    return incident


def test_a_life(record: Journal, clock: ManualClock, tmp_path: Path) -> None:
    assert opened(record, "sev1", commander="ops1", runbook="publishing-stops", place="prod-eu/m0-prod") == 1
    clock.advance(60)
    actions.assign(record, OPS2, "Scribe", "bob")
    actions.assign(record, OPS2, "expert", "eve")
    actions.assign(record, OPS2, "expert", "mallory")
    actions.assign(record, OPS2, "commander", "alice")
    actions.note(record, OPS2, "we saw [/b] it \x1b[2J")
    actions.set_severity(record, OPS1, "0", "halted")
    clock.advance(60)
    again = Journal.open(tmp_path / "journal.jsonl")  # another cockpit, or the same one after a crash
    seen = now(again)
    assert seen == now(record)
    assert (seen.number, seen.severity, seen.opened, seen.place) == (1, "SEV0", START, "prod-eu/m0-prod")
    assert (seen.holder("commander"), seen.holder("scribe"), seen.holder("expert"), seen.holder("on-call")) == (
        "alice",
        "bob",
        "eve, mallory",
        "",
    )
    assert [(c.was, c.severity) for c in seen.severities] == [("", "SEV1"), ("SEV1", "SEV0")]
    assert seen.notes[0].words == "we saw [/b] it \\e[2J"
    assert actions.close(again, OPS2, "") == 1
    assert open_incident(record.records()) is None
    closed = incidents_of(record.records())[1]
    assert (closed.closed, closed.closed_by) == (again.records()[-1]["at"], "ops2")
    assert opened(record) == 2
    assert record.verify() == []


def test_what_cannot_be_done_says_what_to_do(record: Journal) -> None:
    refusals: tuple[Callable[[], object], ...] = (
        lambda: actions.note(record, OPS1, "x"),
        lambda: actions.close(record, OPS1),
        lambda: opened(record, "SEV9"),
        lambda: opened(record, title="  "),
    )
    for refused in refusals:
        with pytest.raises((IncidentProblem, UnknownName)) as caught:
            refused()
        assert isinstance(caught.value, CockpitError) and caught.value.remedy
    opened(record)
    with pytest.raises(IncidentProblem, match="incident #1 is open"):
        opened(record)
    with pytest.raises(IncidentProblem, match="SEV1 already"):
        actions.set_severity(record, OPS1, "SEV1")
    with pytest.raises(UnknownName, match="no role"):
        actions.assign(record, OPS1, "king", "x")
    assert [r["kind"] for r in record.records()] == ["incident-opened"]


def test_two_cockpits_open_one_incident(tmp_path: Path, clock: ManualClock) -> None:
    journals = [journal(tmp_path, clock) for _ in range(8)]
    gate, made, refused = threading.Barrier(8), [], []

    def race(own: Journal) -> None:
        gate.wait()
        try:
            made.append(opened(own))
        except IncidentProblem as problem:
            refused.append(problem.reason)

    threads = [threading.Thread(target=race, args=(own,)) for own in journals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert refused == ["incident #1 is open"] * 7
    assert journals[0].verify() == []


def test_changes_made_while_it_is_open_belong_to_it_and_so_do_those_just_before(
    record: Journal, clock: ManualClock
) -> None:
    record.append(intent("long before"))
    clock.advance(3600)
    record.append(intent("kill switch, then the form"))
    clock.advance(60)
    opened(record)
    record.append(intent("in it"))
    record.append({"kind": "note", "words": "answer", "operator": OPS1.record()})
    assert record.records()[-2]["incident"] == 1
    assert now(record).mitigations == (2, 3)
    assert [n.words for n in now(record).notes] == ["answer"]
    for number in (1, 2, 3):
        for each in done(number):
            record.append(each)
    actions.close(record, OPS1)
    record.append(intent("after"))
    assert record.records()[-1]["incident"] == ""
    assert incidents_of(record.records())[1].mitigations == (2, 3)


def test_it_is_not_closed_over_a_mitigation_under_way_nor_over_a_debt_without_a_word(record: Journal) -> None:
    opened(record)
    record.append(intent("Relax the guardrail", relaxes=True))
    with pytest.raises(IncidentProblem, match="mitigation 1 is under way: Relax"):
        actions.close(record, OPS1, "whatever")
    for each in done(1):
        record.append(each)
    with pytest.raises(IncidentProblem, match=r"debt 1: m0-submitter: SOLANA_RPC_URL") as caught:
        actions.close(record, OPS1)
    assert "--reason" in caught.value.remedy
    actions.close(record, OPS1, "kept until Monday")
    closed = record.records()[-1]
    assert (closed["reason"], closed["debts"]) == ("kept until Monday", [1])


def test_a_change_whose_end_nobody_knows_wants_a_word_too(record: Journal) -> None:
    opened(record)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    record.append(intent(process={"host": "elsewhere", "pid": gone.pid, "started": "1"}))
    with pytest.raises(IncidentProblem, match="no known outcome"):
        actions.close(record, OPS1)
    assert actions.close(record, OPS1, "checked by hand") == 1


def test_a_crash_in_the_middle_of_a_record_loses_only_that_record(
    record: Journal, tmp_path: Path, clock: ManualClock
) -> None:
    opened(record)
    actions.note(record, OPS1, "kept")
    path = tmp_path / "journal.jsonl"
    whole = path.read_bytes()
    actions.note(record, OPS1, "lost")
    cut = len(path.read_bytes()) - 20
    record.close()
    os.truncate(path, cut)
    again = journal(tmp_path, clock)
    assert [n.words for n in now(again).notes] == ["kept"]
    assert path.read_bytes().startswith(whole)
    actions.note(again, OPS1, "later")
    assert [n.words for n in now(again).notes] == ["kept", "later"]


def test_a_full_disk_is_said_and_leaves_the_record_whole(tmp_path: Path, clock: ManualClock) -> None:
    full = False

    def write(fd: int, data: bytes) -> int:
        if full:
            os.write(fd, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(fd, data)

    record = journal(tmp_path, clock, write=write)
    opened(record)
    full = True
    with pytest.raises(JournalProblem, match="No space left"):
        actions.note(record, OPS1, "lost")
    full = False
    actions.note(record, OPS1, "kept")
    assert [n.words for n in now(record).notes] == ["kept"]
    assert record.verify() == []


def test_verify_names_the_line_of_an_edited_incident(record: Journal, tmp_path: Path) -> None:
    opened(record)
    actions.note(record, OPS1, "blame ops1")
    actions.close(record, OPS1)
    path = tmp_path / "journal.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    for damaged, expected in (
        ([lines[0], lines[1].replace("ops1", "ops9"), lines[2]], "line 2: "),
        ([lines[0], lines[2]], "line 2: "),
        ([lines[1], lines[0], lines[2]], "line 1: "),
        (lines[:2], "end of the journal: 3 records were written, 2 are left"),
    ):
        path.write_text("".join(damaged))
        assert any(problem.startswith(expected) for problem in record.verify()), expected
    path.write_text("".join(lines))
    assert record.verify() == []


def test_records_that_do_not_fit_are_passed_over(record: Journal) -> None:
    opened(record)
    for odd in (
        {"kind": "severity-changed", "incident": 1},
        {"kind": "incident-opened", "incident": "two"},
        {"kind": "note", "incident": 99},
        {"kind": "evidence", "incident": 1},
        {"kind": "role-assigned", "incident": 1, "role": 5, "operator": "x"},
    ):
        record.append(odd)
    assert now(record).severity == "SEV1"
    assert set(incidents_of(record.records())) == {1}


def test_the_journal_panel_tells_it(record: Journal) -> None:
    opened(record)
    actions.update(record, OPS1, "we look into it", sending=True)
    actions.sent(
        journal=record, operator=OPS1, number=1, update_id=now(record).updates[0].id, problem="answered 503", tries=5
    )
    lines = [(line.title, line.outcome) for line in lines_from(record.records())]
    assert lines == [
        ("update NOT delivered after 5 tries", "failed: answered 503"),
        ("we look into it", "update"),
        ("incident #1 opened SEV1: Publishing stops", ""),
    ]


# --- reminders ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("severity", "after", "level", "words"),
    [
        ("SEV0", 0, "quiet", "next update within 30 min"),
        ("SEV1", 899, "quiet", "next update within 16 min"),
        ("SEV1", 900, "due", "update due in 15 min"),
        ("SEV1", 27 * 60, "due", "update due in 3 min"),
        ("SEV1", 30 * 60, "overdue", "update OVERDUE 0 min"),
        ("SEV0", 34 * 60, "overdue", "update OVERDUE 4 min"),
        ("SEV2", 44 * 60, "quiet", "next update within 16 min"),
        ("SEV2", 57 * 60, "due", "update due in 3 min"),
        ("SEV2", 185 * 60, "overdue", "update OVERDUE 2 h 5 min"),
        ("SEV3", 10_000, "none", "no update rule for SEV3"),
    ],
)
def test_when_others_are_to_be_informed(record: Journal, severity: str, after: float, level: str, words: str) -> None:
    opened(record, severity)
    found = reminder(now(record), START + after)
    assert (found.level, found.words) == (level, words)


def test_an_update_or_a_worse_severity_starts_the_clock_again(record: Journal, clock: ManualClock) -> None:
    opened(record, "SEV3")
    clock.advance(7200)
    actions.set_severity(record, OPS1, "SEV1")
    assert reminder(now(record), clock.wall()).level == "quiet"
    clock.advance(1500)
    assert reminder(now(record), clock.wall()).level == "due"
    actions.update(record, OPS1, "words", sending=False)
    assert reminder(now(record), clock.wall()).words == "next update within 30 min"
    clock.advance(1000)
    actions.set_severity(record, OPS1, "SEV2")  # lowering it is no reason to wait longer
    assert reminder(now(record), clock.wall()).seconds == 2600.0


def test_an_update_that_did_not_get_out_informed_nobody(record: Journal, clock: ManualClock) -> None:
    opened(record)
    made = actions.update(record, OPS1, "words", sending=True)
    assert now(record).updates[0].delivery == "sending"
    actions.sent(journal=record, operator=OPS1, number=1, update_id=made, problem="answered 500", tries=5)
    found = reminder(now(record), clock.wall())
    assert (found.level, found.words) == ("failed", "update NOT delivered")
    actions.update(record, OPS1, "again", sending=False)
    assert reminder(now(record), clock.wall()).level == "quiet"


def test_an_update_whose_sender_died_is_unknown(record: Journal, clock: ManualClock) -> None:
    opened(record)
    actions.update(record, OPS1, "words", sending=True)
    last = dict(record.records()[-1])
    record.append(
        {
            **{k: v for k, v in last.items() if k not in ("hash", "seq", "at")},
            "process": {"host": "x", "pid": 1, "started": ""},
            "update_id": "b",
        }
    )
    assert now(record).updates[1].delivery == "unknown"
    assert reminder(now(record), clock.wall()).words == "update delivery UNKNOWN"


# --- checklist 16.2 -------------------------------------------------------------------------------


def states(record: Journal, seen: object) -> dict[str, tuple[str, str]]:
    lines = checklist(now(record), record.records(), seen, RUNBOOKS)  # type: ignore[arg-type]
    return {line.item.rpartition(".")[2]: (line.state, line.by) for line in lines}


def test_the_machine_answers_what_it_can(record: Journal, clock: ManualClock) -> None:
    opened(record)
    assert states(record, situation(clock)) == {
        "1": ("done", "machine"),
        "2": ("done", "machine"),
        "3": ("open", ""),
        "4": ("open", ""),
        "5": ("open", ""),
    }
    record.append(intent())
    assert states(record, None)["5"] == ("unknown", "")
    for each in done(1):
        record.append(each)
    record.append(
        {
            "kind": "evidence",
            "incident": 1,
            "file": "a.tar",
            "sha256": "0" * 64,
            "size": 1,
            "parts": ["x"],
            "missing": [],
        }
    )
    actions.sent(
        journal=record,
        operator=OPS1,
        number=1,
        update_id=actions.update(record, OPS1, "w", sending=True),
        problem="",
        tries=1,
    )
    assert {state for state, _ in states(record, situation(clock)).values()} == {"done"}


def test_publishing_with_bad_signatures_is_not_safe_whoever_ticked_it(record: Journal, clock: ManualClock) -> None:
    opened(record)
    bad = situation(clock, signal("invalid-signatures", Level.CRIT, 3.0, "3: crit from 1"))
    assert states(record, bad)["2"] == ("open", "")
    actions.check(record, OPS2, "16.incident.2", "publish safety ensured")
    assert states(record, bad)["2"] == ("contradicted", "ops2")
    stopped = Cluster(pods={p.uid: p for p in [pod("m0-signer-agent", "s")]}, workloads=bad.cluster.workloads)
    assert states(record, situation(clock, *bad.signals.values(), cluster=stopped))["2"] == ("done", "machine")
    terminating = Cluster(pods={"x": pod("m0-submitter", "x", deleted_at=START)}, workloads=bad.cluster.workloads)
    assert states(record, situation(clock, *bad.signals.values(), cluster=terminating))["2"] == ("contradicted", "ops2")


def test_what_cannot_be_seen_is_unknown_and_never_done(record: Journal, clock: ManualClock) -> None:
    opened(record)
    blind = situation(clock, signal("invalid-signatures", Level.UNKNOWN, None, "no samples"))
    assert states(record, blind)["2"] == ("unknown", "")
    assert states(record, None)["2"] == ("unknown", "")
    empty = Cluster(workloads=blind.cluster.workloads)
    stale: dict[str, Reading[Any]] = {"pods/m0-prod": Reading("kubernetes/pods/m0-prod", {}, clock.mono() - 999)}
    assert states(record, situation(clock, *blind.signals.values(), cluster=empty, kinds=stale))["2"] == ("unknown", "")
    actions.check(record, OPS1, "16.incident.2", "publish safety ensured", words="looked at the explorer")
    assert states(record, blind)["2"] == ("done", "ops1")
    actions.check(record, OPS1, "16.incident.2", "publish safety ensured", done=False)
    assert states(record, blind)["2"] == ("unknown", "")


def test_the_answer_to_13_step_3_is_communication(record: Journal) -> None:
    opened(record)
    record.append(
        {"kind": "note", "words": "runbook emergency-disable, communicate: channel #inc-1", "operator": OPS1.record()}
    )
    assert states(record, None)["4"] == ("done", "machine")


def test_what_the_cockpit_saw_at_the_closing_is_kept(record: Journal, clock: ManualClock) -> None:
    opened(record)
    lines = checklist(now(record), record.records(), situation(clock), RUNBOOKS)
    actions.close(record, OPS1, "", lines)
    closed = incidents_of(record.records())[1]
    later = {line.item: line.state for line in checklist(closed, record.records(), None, RUNBOOKS)}
    assert later["16.incident.2"] == "done"
