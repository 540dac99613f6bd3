"""The report fills in everything known and leaves nothing hostile standing as markup.

`golden.md` is what an incident looks like.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cockpit.clock import ManualClock
from cockpit.errors import UsageProblem
from cockpit.incident import actions
from cockpit.incident.checklist import checklist
from cockpit.incident.flight_recorder import RecordedChange
from cockpit.incident.report.markdown import md, report
from cockpit.incident.report.writing import chosen
from cockpit.journal.incidents import incidents_of, open_incident
from cockpit.journal.journal import Journal
from cockpit.model.signal import Level
from tests.support.samples.records import OPS1, OPS2, RUNBOOKS, START, done, intent, journal, signal, situation

GOLDEN = Path(__file__).parent / "golden.md"
HOSTILE = (
    "a|b <script>alert(1)</script> [x](http://evil) `rm -rf` **bold** # h\n| injected | row |\x1b[2J ![i](u) ~~s~~ &lt;"
)


def story(tmp_path: Path, clock: ManualClock) -> tuple[Journal, list[RecordedChange]]:
    record = journal(tmp_path, clock)
    changes = [
        RecordedChange(START - 300, "start", words="the cockpit begins to watch", by="bastion:1"),
        RecordedChange(
            at=START - 300,
            kind="signal",
            name="commit-rate",
            was=None,
            now="ok",
            words="",
            value=118.0,
            worst=None,
            unit="/min",
            title="Commits confirmed",
            by="bastion:1",
        ),
        RecordedChange(
            at=START - 90,
            kind="signal",
            name="commit-rate",
            was="ok",
            now="crit",
            words="31/min: crit down to 35/min",
            value=31.0,
            worst=None,
            unit="/min",
            title="Commits confirmed",
            by="bastion:1",
        ),
        RecordedChange(
            at=START - 60,
            kind="runbook",
            name="publishing-stops",
            was="",
            now="publishing-stops",
            words="1 Publishing stops, 3 of 3 symptoms",
            by="bastion:1",
        ),
    ]
    actions.open_(
        record,
        OPS1,
        title="Publishing stops",
        severity="SEV1",
        runbook="publishing-stops",
        runbook_number=1,
        commander="ops1",
        place="prod-eu/m0-prod",
    )
    clock.advance(30)
    actions.sent(
        journal=record,
        operator=OPS1,
        number=1,
        update_id=actions.update(record, OPS1, "We are looking into stalled publishing.", sending=True),
        problem="",
        tries=1,
    )
    clock.advance(30)
    record.append(
        {
            "kind": "evidence",
            "incident": 1,
            "file": "incident-1.tar",
            "sha256": "ab" * 32,
            "size": 1234,
            "parts": ["pods.json"],
            "missing": ["bundle.json: no reveal was seen"],
            "reason": "on demand",
            "operator": OPS1.record(),
        }
    )
    record.append(intent(overrides=[{"guard": "fresh", "reason": "rpc-errors is 40 s old"}]))
    for each in done(1, "fail"):
        clock.advance(10)
        record.append(each)
    changes.append(
        RecordedChange(
            at=clock.wall(),
            kind="signal",
            name="api-5xx",
            was="ok",
            now="warn",
            words="2 %",
            value=2.0,
            worst=None,
            unit="%",
            title="API answers 5xx",
            by="bastion:1",
        )
    )
    clock.advance(10)
    record.append(
        intent(
            "Relax the guardrail",
            relaxes=True,
            changes=[{"field": "LEVEL", "before": "STRICT", "after": "NORMAL"}],
            operator=OPS2.record(),
        )
    )
    for each in done(2):
        clock.advance(10)
        record.append(each)
    changes.append(
        RecordedChange(
            at=clock.wall(),
            kind="signal",
            name="commit-rate",
            was="crit",
            now="ok",
            words="",
            value=117.0,
            worst=3.0,
            unit="/min",
            title="Commits confirmed",
            by="bastion:1",
        )
    )
    actions.note(record, OPS2, "reveals are back")
    incident = open_incident(record.records())
    assert incident is not None
    lines = checklist(incident, record.records(), situation(clock, signal("invalid-signatures", Level.OK)), RUNBOOKS)
    clock.advance(60)
    actions.close(record, OPS1, "guardrail stays NORMAL until the release of Monday", lines)
    return record, changes


def written(record: Journal, changes: list[RecordedChange], clock: ManualClock) -> str:
    incident = incidents_of(record.records())[1]
    lines = checklist(incident, record.records(), None, RUNBOOKS)
    return report(
        incident,
        record.records(),
        changes,
        RUNBOOKS,
        lines,
        now=clock.wall(),
        journal_end=(len(record.records()), "cd" * 32),
    )


def test_the_whole_of_it(tmp_path: Path) -> None:
    clock = ManualClock(START, 1000.0)
    text = written(*story(tmp_path, clock), clock)
    if os.environ.get("COCKPIT_GOLDEN"):  # makes it anew: look at it before it is committed
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    clock = ManualClock(START, 1000.0)
    record = journal(tmp_path, clock)
    actions.open_(record, OPS1, title=HOSTILE, severity="SEV0", commander=HOSTILE[:70])
    actions.note(record, OPS1, HOSTILE)
    actions.update(record, OPS1, HOSTILE, sending=False, why_not=HOSTILE)
    actions.check(record, OPS1, "16.incident.4", HOSTILE, words=HOSTILE)
    record.append(intent(HOSTILE, changes=[{"field": HOSTILE, "before": None, "after": HOSTILE}]))
    record.append({"kind": "outcome", "of": 1, "result": "rejected", "words": HOSTILE})
    changes = [
        RecordedChange(
            at=START + 1,
            kind="signal",
            name="x",
            was="ok",
            now="crit",
            words=HOSTILE,
            value=1.0,
            worst=None,
            unit=HOSTILE,
            title=HOSTILE,
        ),
        RecordedChange(at=START + 2, kind="event", name=HOSTILE, was=None, now="x", words=HOSTILE),
    ]
    text = written(record, changes, clock)
    assert "\x1b" not in text and "<script" not in text.replace("\\<script", "")
    for line in text.splitlines():
        bare = re.sub(r"\\[\\`*_{}\[\]<>#|!~&:]", "", line)
        assert "](" not in bare and "<" not in bare and "http://" not in bare
        if line.startswith("| "):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 5, 8), line
    assert "injected | row" not in text
    assert [line for line in text.splitlines() if line.startswith("# ")] == [text.splitlines()[0]]


@pytest.mark.parametrize(
    ("raw", "plain"),
    [("- x", "\\- x"), ("1. x", "1\\. x"), ("+ x", "\\+ x"), ("=====", "\\====="), ("a_b", "a\\_b"), ("", "")],
)
def test_no_word_starts_a_block(raw: str, plain: str) -> None:
    assert md(raw) == plain


def test_an_incident_that_nobody_watched(tmp_path: Path) -> None:
    clock = ManualClock(START, 1000.0)
    record = journal(tmp_path, clock)
    actions.open_(record, OPS1, title="t", severity="SEV3")
    text = written(record, [], clock)
    assert "No cockpit watched: nothing is known." in text
    assert "Nothing was changed through the cockpit." in text
    assert "**None was captured.**" in text
    assert "None: nothing relaxed" in text
    assert "still open" in text


def test_which_one_is_meant(tmp_path: Path) -> None:
    clock = ManualClock(START, 1000.0)
    record = journal(tmp_path, clock)
    with pytest.raises(actions.IncidentProblem, match="no incident yet"):
        chosen({}, None)
    for number in (1, 2):
        actions.open_(record, OPS1, title=f"t{number}", severity="SEV3")
        if number == 1:
            actions.close(record, OPS1)
    found = incidents_of(record.records())
    assert chosen(found, None).number == 2
    assert chosen(found, 1).title == "t1"
    actions.close(record, OPS1)
    assert chosen(incidents_of(record.records()), None).number == 2
    with pytest.raises(UsageProblem, match="no incident #9"):
        chosen(found, 9)
