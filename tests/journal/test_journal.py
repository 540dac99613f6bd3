"""The journal keeps what was done, and says when someone else touched it."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cockpit.journal.hash_chain import CheckedJournal
from cockpit.journal.journal import Journal, JournalProblem


def note(words: str) -> dict[str, object]:
    return {"kind": "note", "words": words}


def filled(directory: Path, count: int = 5) -> Path:
    path = directory / "journal.jsonl"
    journal = Journal.open(path, wall=lambda: 1_790_000_000.25)
    for index in range(count):
        journal.append({"kind": "intent", "plan": f"p{index}"} if index % 2 == 0 else note(f"words {index} → é"))
    journal.close()
    return path


@pytest.fixture(scope="module")
def written() -> tuple[bytes, bytes]:
    """Write a good journal and its head, and return their bytes: copied for every example."""
    with tempfile.TemporaryDirectory() as directory:
        path = filled(Path(directory))
        return path.read_bytes(), path.with_name("journal.jsonl.head").read_bytes()


def problems(data: bytes, head: bytes) -> list[str]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "journal.jsonl"
        path.write_bytes(data)
        path.with_name("journal.jsonl.head").write_bytes(head)
        return Journal.open(path).verify()


def test_it_is_private_and_intact(tmp_path: Path) -> None:
    path = filled(tmp_path / "state")
    for file in (path, path.with_name("journal.jsonl.head")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    journal = Journal.open(path)
    assert journal.verify() == []
    assert [r["seq"] for r in journal.records()] == [1, 2, 3, 4, 5]
    assert [r.get("number") for r in journal.records()] == [1, None, 2, None, 3]


def test_a_wider_mode_is_narrowed(tmp_path: Path) -> None:
    path = filled(tmp_path)
    path.chmod(0o644)
    Journal.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_changed_byte_is_found(written: tuple[bytes, bytes], data: st.DataObject) -> None:
    journal, head = written
    at = data.draw(st.integers(0, len(journal) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda b: b != journal[at]))
    assert problems(journal[:at] + bytes([byte]) + journal[at + 1 :], head)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_cut_is_found(written: tuple[bytes, bytes], data: st.DataObject) -> None:
    journal, head = written
    start = data.draw(st.integers(0, len(journal) - 1))
    end = data.draw(st.integers(start + 1, len(journal)))
    assert problems(journal[:start] + journal[end:], head)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_other_order_or_repeat_of_lines_is_found(written: tuple[bytes, bytes], data: st.DataObject) -> None:
    journal, head = written
    lines = journal.splitlines(keepends=True)
    picked = data.draw(
        st.lists(st.sampled_from(range(len(lines))), max_size=7).filter(lambda p: p != list(range(len(lines))))
    )
    assert problems(b"".join(lines[i] for i in picked), head)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_anything_put_in_is_found(written: tuple[bytes, bytes], data: st.DataObject) -> None:
    journal, head = written
    at = data.draw(st.integers(0, len(journal)))
    assert problems(journal[:at] + data.draw(st.binary(min_size=1, max_size=20)) + journal[at:], head)


def test_the_line_is_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:2], lines[2].replace("p2", "p9"), *lines[3:]]))
    (found,) = Journal.open(path).verify()
    assert found.startswith("line 3: does not follow")
    path.write_text("".join([*lines[:3], "not json\n", *lines[3:]]))
    assert Journal.open(path).verify() == ["line 4: not JSON"]


def test_a_cut_end_is_found_and_stays_found(tmp_path: Path) -> None:
    path = filled(tmp_path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]))
    journal = Journal.open(path)
    assert journal.verify() == ["end of the journal: 5 records were written, 3 are left"]
    journal.append(note("more"))
    assert journal.verify() == [
        "line 4: records before it were missing when it was written: 5 records were written, 3 are left"
    ]


def cut_at_the_end(path: Path) -> None:
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def edited(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"kind":"note"', b'"kind":"nose"', 1))


def gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (cut_at_the_end, "end of the journal: 5 records were written, 4 are left"),
        (edited, "line "),
        (gone, "end of the journal: 5 records were written, 0 are left"),
    ],
)
def test_the_next_start_says_what_was_done_to_it_and_where(
    tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    path = filled(tmp_path)
    assert Journal.open(path).notices == []
    harm(path)
    (notice,) = Journal.open(path).notices
    assert notice.startswith(f"the journal was changed by something else: {said}")


def test_a_line_that_comes_while_it_is_read_is_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another cockpit appends between the reading of the journal and of its head."""
    path = filled(tmp_path)
    journal, other, read = Journal.open(path), Journal.open(path), Journal._read_anew
    late = [note("one"), note("two")]

    def anew(of: Journal) -> CheckedJournal:
        found = read(of)
        if of is journal and late:
            other.append(late.pop())
        return found

    monkeypatch.setattr(Journal, "_read_anew", anew)
    assert journal.verify() == [] and not late


def test_a_lost_head_is_found(tmp_path: Path) -> None:
    path = filled(tmp_path)
    path.with_name("journal.jsonl.head").unlink()
    assert Journal.open(path).verify()


def test_a_torn_last_line_is_recognised_and_survived(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"at":17900000')
    journal = Journal.open(path)
    assert journal.verify() == ["line 6: cut off in the middle (a crash while writing); the records before it stand"]
    assert any("cut off by a crash" in n for n in journal.notices)
    assert len(journal.records()) == 5
    assert journal.append({"kind": "intent"}) == 4
    assert journal.verify() == []
    assert [r["seq"] for r in Journal.open(path).records()] == [1, 2, 3, 4, 5, 6]
    data = path.read_bytes().replace(b'{"at":17900000\n', b'{"at":17900001\n')
    path.write_bytes(data)
    assert Journal.open(path).verify()


def test_a_whole_line_without_its_newline_counts(tmp_path: Path) -> None:
    path = filled(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    journal = Journal.open(path)
    assert len(journal.records()) == 5
    assert journal.append(note("next")) == 3
    assert Journal.open(path).verify() == []


def test_two_cockpits_append_to_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    one, two = Journal.open(path), Journal.open(path)
    numbers = [j.append({"kind": "intent"}) for j in (one, two, two, one)]
    assert numbers == [1, 2, 3, 4]
    assert len(one.records()) == len(two.records()) == 4
    assert Journal.open(path).verify() == []


def test_processes_at_once_keep_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    script = (
        "import sys; from pathlib import Path; from cockpit.journal.journal import Journal\n"
        "j = Journal.open(Path(sys.argv[1]))\n"
        "for _ in range(20): j.append({'kind': 'intent'})\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", script, str(path)]) for _ in range(3)]
    assert [w.wait(60) for w in workers] == [0, 0, 0]
    journal = Journal.open(path)
    assert journal.verify() == []
    assert [r["number"] for r in journal.records()] == list(range(1, 61))


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    path = filled(tmp_path)
    before = path.read_bytes()
    full = [True]

    def write(fd: int, data: bytes) -> int:
        if not full[0]:
            return os.write(fd, data)
        if len(data) > 10:
            return os.write(fd, data[:10])
        raise OSError(errno.ENOSPC, "No space left on device")

    def torn(fd: int, data: bytes) -> int:
        written = write(fd, data)
        if full[0] and written == 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written

    journal = Journal.open(path, write=torn)
    with pytest.raises(JournalProblem, match="No space left on device") as caught:
        journal.append({"kind": "intent"})
    assert "make room" in caught.value.remedy
    assert path.read_bytes() == before
    assert Journal.open(path).verify() == []
    full[0] = False
    assert journal.append({"kind": "intent"}) == 4
    assert Journal.open(path).verify() == []


def test_a_failing_sync_is_a_failing_write(tmp_path: Path) -> None:
    path = filled(tmp_path)
    bad = [False]

    def sync(fd: int) -> None:
        if bad[0]:
            raise OSError(errno.EIO, "Input/output error")
        os.fsync(fd)

    journal = Journal.open(path, sync=sync)
    bad[0] = True
    with pytest.raises(JournalProblem):
        journal.append(note("x"))
    bad[0] = False
    assert journal.verify() == []
    assert len(journal.records()) == 5


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    journal = Journal.open(blocker / "journal.jsonl")
    assert "the state directory is a plain file" in journal.read_only_reason
    with pytest.raises(JournalProblem):
        journal.append(note("x"))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("")
    (tmp_path / "journal.jsonl").symlink_to(target)
    assert Journal.open(tmp_path / "journal.jsonl").read_only_reason


def test_a_journal_that_was_moved_away_is_missed(tmp_path: Path) -> None:
    path = filled(tmp_path)
    journal = Journal.open(path)
    path.rename(tmp_path / "old")
    journal.append(note("on"))
    assert path.exists()
    assert Journal.open(path).verify()


def test_a_line_is_what_the_chain_says(tmp_path: Path) -> None:
    path = filled(tmp_path, 1)
    record = json.loads(path.read_text())
    assert record["at"] == 1_790_000_000.25
    assert record["intents"] == 1
    assert len(record["hash"]) == 64
