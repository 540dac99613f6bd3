"""The flight recorder and the journal make the timeline, and say how bad it was for how long."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from cockpit.clock import ManualClock
from cockpit.incident import actions
from cockpit.incident.flight_recorder import RecordedChange, Recorder, append, read
from cockpit.incident.report.impact import impacts
from cockpit.incident.report.timeline import timeline
from cockpit.journal.incidents import open_incident
from cockpit.model.incident import Incident
from cockpit.model.observed.changes import ChangesNow, Onset, Ranked
from cockpit.model.observed.cluster import Cluster, KubeEvent
from cockpit.model.reading import SourceState
from cockpit.model.runbook import Match
from cockpit.model.signal import Level, SignalStatus
from cockpit.model.situation import Situation, SourceLight
from tests.support.samples.changes import batch
from tests.support.samples.records import OPS1, RUNBOOKS, START, done, intent, journal, service, signal, situation


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START, 1000.0)


def lag(level: Level, value: float | None, reason: str = "") -> SignalStatus:
    return signal("lag", level, value, reason, title="Watermark lag", unit="s")


def kinds(recorder: Recorder) -> list[tuple[str, str, str | None, str]]:
    return [(f.kind, f.name, f.was, f.now) for f in recorder.changes if f.kind not in ("start", "stop")]


def seen(clock: ManualClock, *signals: SignalStatus, **changes: object) -> Situation:
    return replace(situation(clock, **changes), signals={s.name: s for s in signals})


def test_only_changes_are_recorded_and_another_cockpit_reads_them(tmp_path: Path, clock: ManualClock) -> None:
    recorder = Recorder(tmp_path / "flight.jsonl", clock)
    for level, value in ((Level.OK, 1.0), (Level.OK, 2.0), (Level.CRIT, 70.0), (Level.CRIT, 90.0), (Level.OK, 1.0)):
        recorder.observe(seen(clock, lag(level, value)))
        clock.advance(1)
    assert kinds(recorder) == [
        ("signal", "lag", None, "ok"),
        ("signal", "lag", "ok", "crit"),
        ("signal", "lag", "crit", "ok"),
    ]
    assert recorder.changes[-1].worst == 90.0
    recorder.close()
    there = read(tmp_path / "flight.jsonl")
    assert [f.kind for f in there] == ["start", "signal", "signal", "signal", "stop"]
    assert (tmp_path / "flight.jsonl").stat().st_mode & 0o777 == 0o600
    assert Recorder(tmp_path / "flight.jsonl", clock).changes[:5] == tuple(there)


def test_a_first_value_is_no_change_and_a_source_that_comes_up_is_none(tmp_path: Path, clock: ManualClock) -> None:
    recorder = Recorder(tmp_path / "flight.jsonl", clock)
    starting = (SourceLight("prom", SourceState.STARTING, None),)
    live, gone = (
        (SourceLight("prom", SourceState.LIVE, 0.0),),
        (SourceLight("prom", SourceState.DOWN, 9.0, "refused token=abcdef"),),
    )
    recorder.observe(seen(clock, lag(Level.UNKNOWN, None), sources=starting))
    recorder.observe(seen(clock, lag(Level.CRIT, 70.0), sources=live))
    assert kinds(recorder) == [("signal", "lag", None, "crit")]
    recorder.observe(seen(clock, lag(Level.UNKNOWN, None), sources=gone))
    recorder.observe(seen(clock, lag(Level.UNKNOWN, None), sources=live))
    assert kinds(recorder)[1:] == [
        ("signal", "lag", "crit", "unknown"),
        ("source", "prom", "live", "down"),
        ("source", "prom", "down", "live"),
    ]
    assert "abcdef" not in repr(recorder.changes)


def test_services_runbooks_and_warnings_of_the_cluster(tmp_path: Path, clock: ManualClock) -> None:
    recorder = Recorder(tmp_path / "flight.jsonl", clock)
    runbook = RUNBOOKS.runbook("1")
    event = KubeEvent(
        uid="e",
        namespace="m0-prod",
        type="Warning",
        reason="BackOff",
        message="restarting \x1b[2J",
        object_kind="Pod",
        object_name="m0-quant-1",
        count=1,
        last_seen=clock.wall(),
    )
    recorder.observe(seen(clock, services=(service("m0-submitter", 1, 1),)))
    for count in (1, 2, 9, 10):
        recorder.observe(
            seen(
                clock,
                services=(service("m0-submitter", 0, 0, "scaled to 0", "warn"),),
                matches=(Match(runbook=runbook, symptoms=(), held=2, unknown=0, total=3, score=0.6),),
                cluster=Cluster(events={"e": replace(event, count=count)}),
            )
        )
    found = [(f.kind, f.words) for f in recorder.changes if f.kind in ("service", "runbook", "event")]
    assert found == [
        ("service", "scaled 1 → 0; 0/0 ready: scaled to 0"),
        ("runbook", "1 Publishing stops, 2 of 3 symptoms"),
        ("event", "BackOff: restarting \\e[2J"),
        ("event", "BackOff: restarting \\e[2J (10 times)"),
    ]


def test_the_file_is_bounded_and_broken_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "flight.jsonl"
    for number in range(40):
        append(path, b'{"at":%d,"kind":"signal","name":"x"}\n' % number, limit=500)
    assert path.with_name("flight.jsonl.1").exists()
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) < 1200
    with path.open("ab") as file:
        file.write(b'\xff\xfe\n{"at":"x"}\n{"at":99,"kind":"signal"}\n{"at":100,"ki')
    assert [f.at for f in read(path)][-2:] == [39.0, 99.0]
    assert [f.at for f in read(path, since=50)] == [99.0]


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "flight.jsonl").mkdir()
    recorder = Recorder(tmp_path / "flight.jsonl", clock)
    recorder.close()
    assert "cannot be written" in recorder.problem


def incident(tmp_path: Path, clock: ManualClock) -> tuple[Incident, tuple[dict[str, object], ...]]:
    record = journal(tmp_path, clock)
    actions.open_(record, OPS1, title="t", severity="SEV1")
    clock.advance(10)
    record.append(intent())
    for each in done(1):
        clock.advance(5)
        record.append(each)
    actions.note(record, OPS1, "a note")
    found = open_incident(record.records())
    assert found is not None
    return found, record.records()


def test_all_in_the_order_of_time(tmp_path: Path, clock: ManualClock) -> None:
    found, records = incident(tmp_path, clock)
    changes = [
        RecordedChange(START - 2000, "signal", "old", "ok", "crit"),
        RecordedChange(
            at=START - 60, kind="signal", name="lag", was="ok", now="crit", words="70: crit from 60", value=70.0
        ),
        RecordedChange(at=START + 12, kind="source", name="prom", was="live", now="down", words="refused"),
        RecordedChange(at=START + 12.5, kind="source", name="prom", was="live", now="down", words="refused", by="b"),
        RecordedChange(at=START + 13, kind="worst", name="lag", was=None, now="crit", words="", value=80.0),
        RecordedChange(START + 20, "signal", "lag", "crit", "ok"),
        RecordedChange(START, "signal", "fine", None, "ok"),
    ]
    entries = timeline(found, records, changes)
    assert [e.wall for e in entries] == sorted(e.wall for e in entries)
    assert [(e.kind, e.words, e.who, e.level) for e in entries] == [
        ("signal", "lag OK → CRIT: 70: crit from 60", "", "crit"),
        ("incident", "incident #1 opened SEV1: t", "ops1", ""),
        (
            "mitigation",
            "Switch RPC endpoint on m0-submitter: SOLANA_RPC_URL https://rpc-a/*** → https://rpc-b/***",
            "ops1",
            "",
        ),
        ("source", "source prom DOWN: refused", "", "unknown"),
        ("mitigation", "Switch RPC endpoint: sent", "", ""),
        ("mitigation", "Switch RPC endpoint: rolled out in 14 s", "", ""),
        ("signal", "lag CRIT → OK", "", "ok"),
        ("mitigation", "Switch RPC endpoint: proof PASS: 1 of 1 hold", "", "ok"),
        ("note", "a note", "ops1", ""),
    ]
    assert timeline(found, records, changes, limit=2) == entries[-2:]


def test_many_that_change_alike_are_one_line(tmp_path: Path, clock: ManualClock) -> None:
    found, records = incident(tmp_path, clock)
    changes = [RecordedChange(START + 40.1, "signal", f"s{n}", "ok", "unknown", title=f"S{n}") for n in range(12)]
    (line,) = [e for e in timeline(found, records, changes) if e.kind == "signal"]
    assert line.words == "12 signals UNKNOWN: S0, S1, S2, S3, S4, S5, S6, S7 and 4 more"


def test_impact_counts_watched_time_once() -> None:
    def change(
        at: float, was: str | None, now: str, value: float | None = None, worst: float | None = None, by: str = "a"
    ) -> RecordedChange:
        return RecordedChange(
            at=at,
            kind="signal",
            name="lag",
            was=was,
            now=now,
            words="",
            value=value,
            worst=worst,
            unit="s",
            title="Lag",
            by=by,
        )

    changes = [
        RecordedChange(0, "start", by="a"),
        change(0, None, "ok", 1.0),
        change(100, "ok", "warn", 20.0),
        change(110, "warn", "crit", 61.0, 40.0),
        RecordedChange(
            at=130,
            kind="worst",
            name="lag",
            was=None,
            now="crit",
            words="",
            value=88.0,
            worst=88.0,
            unit="s",
            title="Lag",
            by="a",
        ),
        RecordedChange(140, "start", by="b"),
        change(141, None, "crit", 90.0, None, "b"),
        RecordedChange(160, "stop", by="a"),
        change(170, "crit", "ok", 3.0, 95.0, "b"),
        RecordedChange(200, "start", by="c"),
        change(201, None, "crit", 70.0, None, "c"),
    ]
    (found,) = impacts(changes, 50.0, 260.0)
    assert (found.warn_s, found.crit_s, found.unknown_s) == (10.0, 60.0 + 59.0, 0.0)
    assert (found.worst, found.first, found.last, found.still, found.title) == (95.0, 100.0, 260.0, "crit", "Lag")
    assert impacts(changes, 50.0, 90.0) == []


def test_the_worst_of_what_must_not_fall_is_the_lowest() -> None:
    changes = [
        RecordedChange(at=0, kind="signal", name="rate", was=None, now="ok", words="", value=118.0),
        RecordedChange(at=10, kind="signal", name="rate", was="ok", now="crit", words="", value=31.0),
        RecordedChange(at=50, kind="worst", name="rate", was=None, now="crit", words="", value=3.0),
        RecordedChange(at=60, kind="signal", name="rate", was="crit", now="ok", words="", value=110.0, worst=2.0),
    ]
    assert impacts(changes, 0.0, 100.0)[0].worst == 2.0


def test_when_it_began_and_what_explains_it_are_in_the_timeline_and_the_impact(
    tmp_path: Path, clock: ManualClock
) -> None:
    recorder = Recorder(tmp_path / "flight.jsonl", clock)
    change = batch(START - 1500.0, name="c", field="batch", by="kubectl-edit")
    onset = Onset(START - 1490.0, 5.0, "lag", "Watermark lag", "14 s")
    changes = ChangesNow((Ranked(change, 0.9, 10.0),), onset, {"lag": onset})
    now = seen(clock, lag(Level.CRIT, 70.0))
    now = replace(now, changes=changes, cluster_now=now.wall)
    recorder.observe(now)
    recorder.observe(now)
    assert [(f.kind, f.at) for f in recorder.changes if f.kind in ("onset", "change")] == [
        ("onset", START - 1490.0),
        ("change", START - 1500.0),
    ], "each once, at its own time"
    clock.advance(60)
    (impact,) = impacts(recorder.changes, START - 900.0, START + 60.0)
    assert impact.first == START - 1490.0
    incident = Incident(number=1, title="t", severity="SEV1", opened=START, opened_by="ops1")
    words = [entry.words for entry in timeline(incident, (), recorder.changes)]
    assert "changed: configmap c: batch 16 → 512 by kubectl-edit" in words[0] and "left its normal band" in words[1]
    recorder.close()
