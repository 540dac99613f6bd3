"""What is usual is not learned from an outage, whenever the cockpit was started, and says of when
it is (B5).
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cockpit.assessment.board import Board
from cockpit.assessment.signals import Evaluator
from cockpit.assessment.usual.kept import FILE, KEEP_S, MOST_ENTRIES, KeptBaselines, world_of
from cockpit.assessment.usual.windows import Usual
from cockpit.clock import ManualClock
from cockpit.journal import state_files
from cockpit.model.observed.cluster import Cluster
from cockpit.model.observed.metrics import History, QueryResult, Sample
from cockpit.model.reading import Fault, Reading, SourceState
from cockpit.model.runbook import Runbooks, SignalDef
from cockpit.model.signal import Level, SignalStatus

HOUR, DAY = 3600.0, 86400.0
COMMITS = SignalDef(
    title="Commits",
    promql="commits",
    unit="/min",
    direction="below",
    baseline=7 * DAY,
    warn=0.7,
    crit=0.3,
    history=HOUR,
    max_age=30.0,
)
#: (from, to, value) in seconds before now.
Stretch = tuple[float, float, float]
OUTAGE = [(45 * 60.0, 0.0, 5.5)]


class Cockpit:
    """One cockpit that reads commits on a Prometheus with a given past."""

    def __init__(self, clock: ManualClock | None = None, state_dir: Path | None = None) -> None:
        self.clock = clock or ManualClock()
        self.kept = KeptBaselines(state_dir, self.clock, world="prod") if state_dir is not None else None
        if self.kept is not None:
            self.kept.load()
        self.board = Board()
        signals = Runbooks(queries={}, signals={"x": COMMITS}, stages=(), services={}, toggles={}, runbooks=())
        self.evaluator = Evaluator(signals, self.clock, kept=self.kept)

    def past(self, *stretches: Stretch, step: float = 30.0, at_most: float = 7 * DAY) -> QueryResult:
        now = self.clock.wall()
        points = [
            (now - since + step * i, value)
            for since, until, value in stretches
            for i in range(int((since - until) // step))
            if since - step * i <= at_most
        ]
        return QueryResult((Sample({}, stretches[-1][2]),), (), (History({}, tuple(points)),), now)

    def read(self, *stretches: Stretch, long: bool = True, fault: str = "") -> SignalStatus:
        mono = self.clock.mono()
        hour = self.past(*stretches, at_most=HOUR)
        self.board.put(Reading("prometheus/signals/x", hour, mono, max_age_s=30.0))
        if fault:
            self.board.put(Reading("baselines/x", fault=Fault(SourceState.DOWN, fault)))
        elif long:
            self.board.put(Reading("baselines/x", self.past(*stretches, step=60.0), mono, max_age_s=2400.0))
        return self.evaluator.evaluate(self.board, Cluster(), self.clock.wall())["x"]


def test_one_status_45_minutes_into_an_outage_is_never_ok() -> None:
    """The last hour is the outage: until the week is read nothing is well, and it is waited for."""
    cockpit = Cockpit()
    before = cockpit.read((HOUR, 45 * 60.0, 118.0), *OUTAGE, long=False)
    assert (before.level, before.starting, before.baseline) == (Level.UNKNOWN, True, None)
    assert before.reason == "what is usual is not read yet"
    found = cockpit.read((3 * DAY, 45 * 60.0, 118.0), *OUTAGE)
    assert (found.level, found.baseline) == (Level.CRIT, 118.0)


def test_a_week_that_cannot_be_read_is_said_and_nothing_is_well() -> None:
    found = Cockpit().read((HOUR, 45 * 60.0, 118.0), *OUTAGE, long=False, fault="no history: HTTP 422")
    assert found.level is Level.UNKNOWN and not found.starting
    assert found.reason.startswith("what is usual is known of 5") and found.reason.endswith(" min only")


def test_the_last_hour_alone_can_say_that_it_is_bad() -> None:
    found = Cockpit().read((HOUR, 10 * 60.0, 118.0), (600.0, 0.0, 5.5), long=False, fault="no history")
    assert found.level is Level.CRIT and "usual 118/min" in found.reason


@pytest.mark.parametrize("minutes", [10, 20, 40])
def test_of_ten_minutes_nothing_can_be_called_well(minutes: int) -> None:
    """A Prometheus that was started in the outage knows nothing else."""
    found = Cockpit().read((minutes * 60.0, 0.0, 5.5))
    assert (found.level, found.baseline) == (Level.UNKNOWN, None)
    assert "what is usual is known of" in found.reason and "min only" in found.reason


def test_a_prometheus_that_began_in_the_outage_is_judged_by_what_was_kept(tmp_path: Path) -> None:
    clock = ManualClock()
    first = Cockpit(clock, tmp_path)
    assert first.read((2 * DAY, 0.0, 118.0)).level is Level.OK
    assert first.kept is not None
    first.kept.save()
    clock.advance(5 * HOUR)
    second = Cockpit(clock, tmp_path)
    for stretch in (OUTAGE, [(3 * HOUR, 0.0, 5.5)]):
        found = second.read(*stretch)
        assert (found.level, found.baseline) == (Level.CRIT, 118.0)
        assert found.baseline_from.startswith("kept, of ") and "(kept, of " in found.reason
    third = Cockpit(clock)
    assert third.read(*OUTAGE).level is not Level.OK, "and without it nothing is well"


def test_what_is_bad_now_is_learned_by_nobody(tmp_path: Path) -> None:
    """An outage that ebbs: each window is little worse than the one before; none is normal."""
    clock = ManualClock()
    cockpit = Cockpit(clock, tmp_path)
    cockpit.read((2 * DAY, 0.0, 118.0))
    for value in (80.0, 60.0, 45.0, 30.0):
        clock.advance(12 * HOUR)
        found = cockpit.read((2 * DAY, 0.0, value / 0.75), (2 * HOUR, 0.0, value))
        assert found.baseline == 118.0 and found.level in (Level.WARN, Level.CRIT)
    assert cockpit.kept is not None
    kept = cockpit.kept.get("commits", clock.wall())
    assert kept is not None and kept.value == 118.0


def test_what_stays_changed_is_taken_up_when_the_old_is_forgotten(tmp_path: Path) -> None:
    clock = ManualClock()
    cockpit = Cockpit(clock, tmp_path)
    cockpit.read((2 * DAY, 0.0, 118.0))
    clock.advance(KEEP_S + DAY)
    assert cockpit.read((7 * DAY, 0.0, 40.0)).level is Level.OK


def test_another_cluster_and_another_question_have_their_own(tmp_path: Path) -> None:
    clock = ManualClock()
    store = KeptBaselines(tmp_path, clock, world=world_of("prod", "https://user:hunter2@p.example.com/x?key=1"))
    store.put("commits", Usual(118.0, clock.wall() - DAY, clock.wall()))
    store.save()
    text = (tmp_path / FILE).read_text()
    assert not any(word in text for word in ("prod", "example", "hunter2", "key", "commits"))
    for world, promql in (("staging", "commits"), ("prod", "reveals")):
        other = KeptBaselines(tmp_path, clock, world=world_of(world, "https://p.example.com"))
        other.load()
        assert other.get(promql, clock.wall()) is None
    same = KeptBaselines(tmp_path, clock, world=world_of("prod", "https://p.example.com/x"))
    same.load()
    assert same.get("commits", clock.wall()) == Usual(118.0, clock.wall() - DAY, clock.wall(), kept=True)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_several_cockpits_keep_what_each_has_learned(tmp_path: Path) -> None:
    clock = ManualClock()
    stores = [KeptBaselines(tmp_path, clock, world="prod") for _ in range(8)]
    for number, store in enumerate(stores):
        store.load()
        store.put(f"query {number}", Usual(float(number), clock.wall() - DAY, clock.wall()))
    threads = [threading.Thread(target=store.save) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.put("one more", Usual(1.0, clock.wall() - DAY, clock.wall()))
        store.save()
    last = KeptBaselines(tmp_path, clock, world="prod")
    last.load()
    assert all(last.get(f"query {number}", clock.wall()) for number in range(8))
    assert not list(tmp_path.glob("*.part")) and not any(store.trouble for store in stores)


def test_the_file_stays_small(tmp_path: Path) -> None:
    clock = ManualClock()
    store = KeptBaselines(tmp_path, clock)
    for number in range(3 * MOST_ENTRIES):
        store.put(f"query {number}", Usual(1.0, clock.wall() - DAY, clock.wall() + number))
    store.save()
    found = json.loads((tmp_path / FILE).read_text())
    assert len(found["usual"]) == MOST_ENTRIES and (tmp_path / FILE).stat().st_size < 64 * 1024
    assert store.get(f"query {3 * MOST_ENTRIES - 1}", clock.wall()) is not None


def _damage(path: Path, what: str) -> None:
    whole = path.read_bytes()
    path.unlink()
    if what == "torn":
        path.write_bytes(whole[: len(whole) // 2])
    elif what == "a link":
        path.symlink_to("/etc/passwd")
    elif what == "a pipe":
        os.mkfifo(path)
    elif what == "a directory":
        path.mkdir()
    else:
        path.write_text(what)


@pytest.mark.parametrize(
    "what",
    [
        "torn",
        "a link",
        "a pipe",
        "a directory",
        "",
        "null",
        "[]",
        "[" * 100_000,
        '{"version": 1, "usual": {"' + "0" * 32 + '": {"value": 1e400, "since": 1, "until": 2}}}',
        '{"version": 1, "usual": {"' + "0" * 32 + '": {"value": "118", "since": 1, "until": 2}}}',
        '{"version": 1, "usual": {"../../x": {"value": 1, "since": 1, "until": 2}}}',
        '{"version": 1, "usual": {"' + "0" * 32 + '": {"value": 1, "since": 9e9, "until": 1}}}',
        "\x1b[2J" * 1000,
        "x" * 10_000_000,
    ],
)
def test_a_file_that_is_none_is_as_none(tmp_path: Path, what: str) -> None:
    clock = ManualClock()
    store = KeptBaselines(tmp_path, clock)
    usual = Usual(118.0, clock.wall() - DAY, clock.wall())
    store.put("commits", usual)
    store.save()
    _damage(tmp_path / FILE, what)
    other = KeptBaselines(tmp_path, clock)
    other.load()
    assert other.get("commits", clock.wall()) is None
    other.put("commits", usual)
    other.save()
    assert "\x1b" not in other.trouble and len(other.trouble) < 300
    assert other.get("commits", clock.wall()) is not None, "and in memory it stays"


@given(st.binary(max_size=2000) | st.recursive(st.none() | st.floats() | st.text(), st.lists, max_leaves=9).map(repr))
def test_whatever_lies_there_raises_nothing(tmp_path_factory: pytest.TempPathFactory, content: bytes | str) -> None:
    directory = tmp_path_factory.getbasetemp() / "usual"
    directory.mkdir(exist_ok=True)
    (directory / FILE).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "replace"))
    store = KeptBaselines(directory, ManualClock())
    store.load()
    assert store.get("commits", 0.0) is None


def test_a_file_of_a_newer_cockpit_is_left_to_it(tmp_path: Path) -> None:
    newer = '{"version": 2, "usual": {}, "more": 1}'
    (tmp_path / FILE).write_text(newer)
    store = KeptBaselines(tmp_path, ManualClock())
    store.load()
    store.put("commits", Usual(118.0, 1.0, 2.0))
    store.save()
    assert (tmp_path / FILE).read_text() == newer and "newer m0-cockpit" in store.trouble


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_home_stops_nothing_and_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        store = KeptBaselines(tmp_path / "state", ManualClock())
        store.load()
        store.put("commits", Usual(118.0, 1.0, 2.0))
        store.save()
        assert store.trouble == "what is usual is not kept on disk: Permission denied"
    finally:
        tmp_path.chmod(0o700)


def test_another_users_directory_is_neither_read_nor_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    first = KeptBaselines(tmp_path, clock)
    first.put("commits", Usual(118.0, clock.wall() - DAY, clock.wall()))
    first.save()
    monkeypatch.setattr(state_files, "me", lambda: os.geteuid() + 1)
    other = KeptBaselines(tmp_path, clock)
    other.load()
    assert other.get("commits", clock.wall()) is None
    other.put("commits", Usual(1.0, clock.wall() - DAY, clock.wall()))
    before = (tmp_path / FILE).read_bytes()
    other.save()
    assert (tmp_path / FILE).read_bytes() == before and "is not shared" in other.trouble


def test_in_a_shared_directory_each_user_has_their_own(tmp_path: Path) -> None:
    tmp_path.chmod(0o770)
    store = KeptBaselines(tmp_path, ManualClock())
    store.put("commits", Usual(118.0, 1.0, 2.0))
    store.save()
    assert (tmp_path / f"user-{os.geteuid()}" / FILE).exists() and not (tmp_path / FILE).exists()


def test_it_is_written_soon_and_once(tmp_path: Path) -> None:
    clock = ManualClock()
    store = KeptBaselines(tmp_path, clock)
    usual = Usual(118.0, clock.wall() - DAY, clock.wall())
    assert not store.due() and not store.due(closing=True)
    store.put("commits", usual)
    assert not store.due() and store.due(closing=True)
    clock.advance(6)
    assert store.due()
    store.save()
    store.put("commits", usual)
    assert not store.due(closing=True), "what is known already is not written again"
