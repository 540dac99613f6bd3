"""The journal at its limits: large, cut off, on disks and file systems that refuse."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from cockpit.journal import hash_chain, locking, state_files
from cockpit.journal.entries import debts_from, entries_of, lines_from, unfinished_of
from cockpit.journal.hash_chain import GENESIS, hashed_line
from cockpit.journal.incidents import incidents_of
from cockpit.journal.journal import Journal, JournalProblem


def note(words: str) -> dict[str, object]:
    return {"kind": "note", "words": words}


def chain(path: Path, records: int, words: str) -> None:
    """Write a whole journal at once."""
    previous, lines = GENESIS, []
    for seq in range(1, records + 1):
        line, previous = hashed_line({"seq": seq, "at": 1.79e9 + seq, "intents": 0, **note(words)}, previous)
        lines.append(line)
    path.write_bytes(b"".join(lines))
    path.with_name(path.name + ".head").write_text(f"{records} {previous}".ljust(95) + "\n")


def test_a_hundred_thousand_records_open_and_are_not_read_again_for_each_that_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H14: another cockpit's record costs its own line, not the whole file."""
    path = tmp_path / "journal.jsonl"
    chain(path, 100_000, "w")
    began = time.monotonic()
    journal = Journal.open(path)
    assert time.monotonic() - began < 60 and len(journal.records()) == 100_000
    other = Journal.open(path)
    read: list[int] = []
    taken = hash_chain._take

    def counted(result: Any, line: Any) -> None:
        read.append(1)
        taken(result, line)

    monkeypatch.setattr(hash_chain, "_take", counted)
    other.append(note("from another cockpit"))
    assert journal.records()[-1]["words"] == "from another cockpit" and len(read) == 1
    assert journal.append(note("on")) == 0 and len(read) == 1


def test_a_large_journal_is_read_line_by_line(tmp_path: Path) -> None:
    """H14: beside its records no more than a line is held (the file is of 64 MB; so of 200)."""
    path = tmp_path / "journal.jsonl"
    chain(path, 64, "x" * 1_000_000)
    tracemalloc.start()
    try:
        journal = Journal.open(path)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(journal.records()) == 64 and journal.notices == []
    assert peak - held < 16_000_000


def test_a_line_beyond_the_bound_is_named_and_passed_over(tmp_path: Path) -> None:
    """H14: a record longer than any that is written costs no memory and is named."""
    path = tmp_path / "journal.jsonl"
    Journal.open(path).append(note("before"))
    with path.open("ab") as file:
        for _ in range(40):
            file.write(b"\0" * 1_000_000)
        file.write(b"\n")
    tracemalloc.start()
    try:
        found = Journal(path).verify()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == ["line 2: longer than 8 MB"] and peak < 40_000_000
    with pytest.raises(JournalProblem, match="takes no record of"):
        Journal.open(path).append(note("x" * hash_chain.LINE_LIMIT))


@pytest.mark.parametrize(
    "rest", [b"\0" * 4096, b"\0" * 9_000_000, b'{"at":1\0\0\0', b"\xff\xfe{", b'{"at":' + b"1" * 9000]
)
def test_what_a_power_cut_left_at_the_end_is_survived(tmp_path: Path, rest: bytes) -> None:
    """H14: NUL bytes, half a line, no text at all: the records before stand."""
    path = tmp_path / "journal.jsonl"
    Journal.open(path).append(note("before"))
    with path.open("ab") as file:
        file.write(rest)
    journal = Journal.open(path)
    assert any("cut off by a crash" in line for line in journal.notices)
    journal.append(note("after"))
    assert journal.verify() == [] and [r["words"] for r in Journal.open(path).records()] == ["before", "after"]


def test_numbers_and_nesting_without_end_are_problems_of_their_line(tmp_path: Path) -> None:
    """H14: JSON that costs more to read than it says is refused, not raised."""
    path = tmp_path / "journal.jsonl"
    Journal.open(path).append(note("before"))
    path.write_bytes(path.read_bytes() + b"[" * 100_000 + b"\n" + b"1" * 100_000 + b"\n")
    assert [line.split(":")[0] for line in Journal(path).verify()] == ["line 2", "line 3"]


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.EINVAL])
def test_a_file_system_without_locks_is_said_and_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """H13: NFS without locks: the intent cannot be written, and why is said."""
    journal = Journal.open(tmp_path / "journal.jsonl")

    def refuse(fd: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(JournalProblem, match="its file system has no locks") as caught:
        journal.append(note("x"))
    assert "local disk" in caught.value.remedy
    monkeypatch.undo()
    journal.append(note("x"))
    assert len(journal.records()) == 1


def test_what_was_mended_needs_no_new_start(tmp_path: Path) -> None:
    """H13: a directory that could not be written at the start is tried again at each step."""
    path = tmp_path / "state" / "journal.jsonl"
    path.parent.write_text("in the way")
    journal = Journal.open(path)
    with pytest.raises(JournalProblem, match="the state directory is a plain file"):
        journal.append(note("x"))
    path.parent.unlink()
    assert journal.append(note("x")) == 0 and journal.read_only_reason == "" and journal.notices == []


def test_two_cockpits_of_one_user_and_a_clock_set_back(tmp_path: Path) -> None:
    """H13: the order is that of writing, in both, whatever the clock says."""
    path = tmp_path / "journal.jsonl"
    one, two = Journal.open(path, wall=lambda: 2000.0), Journal.open(path, wall=lambda: 1000.0)
    for index, journal in enumerate((one, two, one, two)):
        journal.append(note(str(index)))
    assert [r["words"] for r in one.records()] == [r["words"] for r in two.records()] == ["0", "1", "2", "3"]
    assert one.verify() == []


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    """H13: a cockpit that is killed while it holds the lock keeps nobody out."""
    path = tmp_path / "journal.jsonl"
    journal = Journal.open(path)
    script = "import fcntl,sys,time; f=open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True); time.sleep(60)"
    holder = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert journal.append(note("x")) == 0


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "intent"},
        {"kind": "intent", "title": "t", "target": {"name": 5}},
        {"kind": "outcome", "of": [1]},
        {"kind": "proof", "of": "1"},
        {"kind": ["note"]},
        {"kind": "note", "words": 7, "operator": "x"},
        {"kind": "incident-opened", "incident": True},
        {"kind": "evidence", "incident": None, "parts": 5},
    ],
    ids=lambda r: str(r["kind"]),
)
def test_a_record_without_its_fields_breaks_nothing_that_is_read_of_it(tmp_path: Path, bad: dict[str, Any]) -> None:
    """H14: a whole chain may hold any record: what does not fit its kind is left out."""
    journal = Journal.open(tmp_path / "journal.jsonl")
    journal.append(bad)
    journal.append(note("after"))
    records = journal.records()
    assert lines_from(records)[0].title == "after"
    assert (entries_of(records), debts_from(records), unfinished_of(records), incidents_of(records)) == ({}, (), (), {})


def test_the_lock_of_a_shared_directory_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H13: a neighbour who holds the directory's lock does not keep the kill switch back."""
    monkeypatch.setattr(locking, "_NUMBERING_WAIT_S", 0.05)
    tmp_path.chmod(0o2770)
    held = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert Journal.open(Journal.path_in(tmp_path)).append(note("x")) == 0
    finally:
        os.close(held)
    assert state_files.find_directory(tmp_path).shared
