"""A state directory of several users: one journal a user, read by all.

Each test that becomes another user does so in a child process; without root it is skipped, loudly.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cockpit import cli
from cockpit.journal import state_files
from cockpit.journal.entries import debts_from, entries_of, lines_from
from cockpit.journal.incidents import open_incident
from cockpit.journal.journal import Journal
from tests.journal.other_users import ANNA, BERT, GROUP, as_user, needs_root

OPEN = (
    "from pathlib import Path; from cockpit.journal.journal import Journal\n"
    "def journal():\n"
    "    return Journal.open(Journal.path_in(Path(sys.argv[1])))\n"
    "who = {'name': 'user-' + str(os.getuid())}\n"
    "intent = {'kind': 'intent', 'title': 'Stop publishing', 'step_kind': 'set-env', 'operator': who,\n"
    "          'relaxes': True, 'inverse': {'env': {}}, 'target': {'context': 'c', 'namespace': 'n',\n"
    "          'kind': 'Deployment', 'name': 'm0-submitter', 'uid': 'u'},\n"
    "          'changes': [{'field': 'M0_PUBLISH_ENABLED', 'before': 'true', 'after': 'false'}]}\n"
)
CLI = "sys.exit(cockpit.cli.main(sys.argv[1:]))"


@pytest.fixture
def shared() -> Iterator[Path]:
    """Make a directory of a group that both are in, where they can reach it."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o755)
        directory = Path(above) / "state"
        directory.mkdir()
        os.chown(directory, 0, GROUP)
        directory.chmod(0o2770)
        yield directory


def run(uid: int, source: str, directory: Path, *more: str) -> str:
    done = as_user(uid, OPEN + source, str(directory), *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def command(uid: int, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return as_user(uid, CLI, *arguments, env={"M0_COCKPIT_STATE_DIR": str(directory)})


@needs_root
def test_the_second_user_can_act_and_reads_what_the_first_did(shared: Path) -> None:
    """H13: one journal a user, read by all; the numbers of steps and incidents are one series."""
    opened = command(ANNA, shared, "incident", "open", "--title", "Bad prices", "--severity", "SEV1")
    assert opened.returncode == 0, opened.stderr
    assert run(ANNA, "print(journal().append(intent))", shared) == "1"
    run(ANNA, "journal().append({'kind': 'outcome', 'of': 1, 'result': 'sent', 'words': 'sent'})", shared)
    assert run(BERT, "print(journal().append(intent))", shared) == "2"
    listed = command(BERT, shared, "incident", "list")
    assert listed.returncode == 0 and "Bad prices" in listed.stdout and "OPEN" in listed.stdout, listed
    second = command(BERT, shared, "incident", "open", "--title", "Again", "--severity", "SEV2")
    assert second.returncode == 1 and "incident #1 is open" in second.stderr
    assert command(BERT, shared, "incident", "note", "I see it too").returncode == 0
    shown = command(ANNA, shared, "journal", "show").stdout
    assert shown.count("Stop publishing") == 2 and "I see it too" in shown
    assert f"user-{ANNA}" in shown and f"user-{BERT}" in shown
    noted = json.loads(command(ANNA, shared, "incident", "show", "1", "--json").stdout)
    assert [n["words"] for n in noted["notes"]] == ["I see it too"]
    files = {path.name: path.stat() for path in shared.glob("journal*")}
    assert set(files) == {f"journal-{uid}.jsonl{end}" for uid in (ANNA, BERT) for end in ("", ".head")}
    assert {(stat.S_IMODE(found.st_mode), found.st_gid) for found in files.values()} == {(0o640, GROUP)}
    assert command(BERT, shared, "journal", "verify").returncode == 0


@needs_root
def test_the_others_journal_is_never_appended_to_and_its_edits_are_found(shared: Path) -> None:
    """H13: read and verified, never appended to; an edit in it is said with whose it is."""
    run(ANNA, "journal().append(intent)", shared)
    path = shared / f"journal-{ANNA}.jsonl"
    before = path.read_bytes()
    source = "journal().append({'kind': 'judged', 'of': 1, 'judgement': 'applied', 'words': 'it stands'})"
    run(BERT, source, shared)
    assert path.read_bytes() == before
    merged = run(ANNA, "from cockpit.journal.entries import *; print(entries_of(journal().records())[1].words)", shared)
    assert merged == "unfinished: applied"
    path.write_bytes(before.replace(b"Stop", b"Stay"))
    found = command(BERT, shared, "journal", "verify")
    assert found.returncode == 1 and f"journal-{ANNA}.jsonl of uid {ANNA}: line 1: " in found.stderr


@needs_root
def test_a_journal_that_cannot_be_read_is_never_none(shared: Path) -> None:
    """H13: unreadable is not "no incident yet": `incident` and `journal` say whose it is."""
    command(ANNA, shared, "incident", "open", "--title", "Bad prices", "--severity", "SEV1")
    path = shared / f"journal-{ANNA}.jsonl"
    path.chmod(0o600)
    whose = f"journal-{ANNA}.jsonl of uid {ANNA} cannot be read: Permission denied"
    for arguments in (("incident", "list"), ("incident", "show"), ("journal", "show"), ("journal", "verify")):
        said = command(BERT, shared, *arguments)
        assert said.returncode == 1 and whose in said.stderr, (arguments, said)
        assert "no incident yet" not in said.stdout + said.stderr
        assert "no journal yet" not in said.stdout
    assert run(BERT, "print(journal().append(intent))", shared) == "1"  # the kill switch works all the same
    path.chmod(0o640)
    both = "from cockpit.journal.entries import *; print(len(entries_of(journal().records())))"
    run(ANNA, "journal().append(intent)", shared)
    assert run(ANNA, both, shared) == run(BERT, both, shared) == "2"


@needs_root
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_directory_of_another_that_is_not_shared_is_refused_in_one_line(tmp_path: Path, mode: int) -> None:
    """H13: a foreign directory is neither written nor read, by root neither."""
    directory = tmp_path / "state"
    directory.mkdir()
    os.chown(directory, ANNA, ANNA)
    directory.chmod(mode)
    journal = Journal.open(Journal.path_in(directory))
    assert journal.read_only_reason == f"the state directory belongs to uid {ANNA} and is not shared: {directory}"
    assert list(directory.iterdir()) == [] and journal.unreadable
    os.chown(directory, 0, 0)
    assert Journal.open(Journal.path_in(directory)).append({"kind": "note", "words": "w"}) == 0


@needs_root
def test_a_file_of_another_is_refused(tmp_path: Path) -> None:
    """H13: the journal, its head and the flight recorder, each owned by somebody else."""
    for name in ("journal.jsonl", "journal.jsonl.head"):
        directory = tmp_path / name.replace(".", "-")
        directory.mkdir(mode=0o700)
        Journal.open(directory / "journal.jsonl").append({"kind": "note", "words": "w"})
        os.chown(directory / name, ANNA, ANNA)
        journal = Journal.open(directory / "journal.jsonl")
        assert f"it belongs to uid {ANNA}, not to root" in journal.read_only_reason


@needs_root
def test_a_journal_forged_in_anothers_name_is_not_read(shared: Path) -> None:
    """H13: `journal-ANNA.jsonl` that Bert made is not Anna's, neither to Anna nor to others."""
    run(BERT, "Journal.open(Path(sys.argv[1]) / sys.argv[2]).append(intent)", shared, f"journal-{ANNA}.jsonl")
    assert (shared / f"journal-{ANNA}.jsonl").stat().st_uid == BERT
    third = run(4103, "made = journal(); print(made.unreadable[0]); print(len(made.records()))", shared)
    assert f"it belongs to uid {BERT}, not to uid {ANNA}" in third and third.endswith("0")
    mine = run(ANNA, "print(journal().read_only_reason)", shared)
    assert f"it belongs to uid {BERT}, not to uid {ANNA}" in mine


@needs_root
def test_a_hostile_journal_of_another_breaks_nobody(shared: Path) -> None:
    """H13: records without their fields are left out, controls in them are made visible."""
    bad = [
        "{'kind': 'intent'}",
        "{'kind': 'intent', **intent, 'target': None}",
        "{'kind': 'outcome', 'of': 'x'}",
        "{'kind': ['note']}",
        "{'kind': 'note', 'words': '\\x1b[2Jgone', 'operator': who}",
        "{'kind': 'incident-opened', 'incident': 10**30, 'title': 5}",
        "{'kind': 'proof', 'of': 1, 'proof': 7}",
    ]
    for one in bad:
        run(ANNA, f"journal().append({one})", shared)
    source = (
        "from cockpit.journal.entries import *; from cockpit.journal.incidents import *\n"
        "from cockpit.incident.report.timeline import timeline\n"
        "made = journal(); found = made.records()\n"
        "print([line.title for line in lines_from(found)], debts_from(found), incidents_of(found), made.unfinished())"
    )
    assert run(BERT, source, shared) == r"['\\e[2Jgone'] () {} ()"


@needs_root
def test_a_clock_behind_the_others_keeps_the_order(shared: Path) -> None:
    """H13: a note stands after the incident's opening, whatever its writer's clock says."""
    command(ANNA, shared, "incident", "open", "--title", "Bad prices", "--severity", "SEV1")
    late = (
        "Journal.open(Journal.path_in(Path(sys.argv[1])), wall=lambda: 1e9).append({'kind': 'note', 'words': 'late'})"
    )
    run(BERT, late, shared)
    shown = json.loads(command(ANNA, shared, "incident", "show", "1", "--json").stdout)
    assert [n["words"] for n in shown["notes"]] == ["late"]


@needs_root
def test_what_only_its_owner_needs_lies_in_a_directory_of_ones_own(shared: Path) -> None:
    """H13: flight recorder, evidence and reports do not meet; no link is followed."""
    own = run(
        ANNA, "from cockpit.journal import state_files; print(state_files.own_directory(Path(sys.argv[1])))", shared
    )
    assert own == str(shared / f"user-{ANNA}")
    (shared / f"user-{BERT}").symlink_to("/tmp")
    refused = as_user(
        BERT,
        "from pathlib import Path; from cockpit.journal import state_files\n"
        "state_files.make_own(Path(sys.argv[1]) / f'user-{os.getuid()}')",
        str(shared),
    )
    assert refused.returncode == 1 and "is a symbolic link, not a directory" in refused.stderr


def test_ones_own_plain_journal_is_gone_on_with_where_the_directory_is_shared_later(tmp_path: Path) -> None:
    """H13: a 0.1.0 directory that becomes a group's: the same file, now 0640."""
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    Journal.open(directory / "journal.jsonl").append({"kind": "note", "words": "before"})
    directory.chmod(0o2770)
    path = Journal.path_in(directory)
    journal = Journal.open(path)
    journal.append({"kind": "note", "words": "after"})
    assert path == directory / "journal.jsonl" and len(journal.records()) == 2 and journal.verify() == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    directory.chmod(0o700)
    Journal.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_directory_listed_as_shared_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """H13: `state-dir-shared` says it where the mode does not (an access control list)."""
    directory = tmp_path / "state"
    config = tmp_path / "config.toml"
    config.write_text(f'state-dir = "{directory}"\nstate-dir-shared = true\n')
    monkeypatch.delenv("M0_COCKPIT_STATE_DIR", raising=False)
    done = cli.main(["--config", str(config), "incident", "open", "--title", "t", "--severity", "SEV2"])
    assert done == 0 and (directory / f"journal-{os.geteuid()}.jsonl").exists()


def put_link(path: Path) -> None:
    path.symlink_to(path.with_name("elsewhere"))


def put_hard_link(path: Path) -> None:
    path.write_text("")
    os.link(path, path.with_name("elsewhere"))


def put_pipe(path: Path) -> None:
    os.mkfifo(path)


def put_directory(path: Path) -> None:
    path.mkdir()


def put_device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("NOT TRIED: only root makes devices")
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))


PUT = {
    "a symbolic link": put_link,
    "2 names (hard links)": put_hard_link,
    "a named pipe": put_pipe,
    "a directory": put_directory,
    "a device": put_device,
}


@pytest.mark.parametrize("name", ["journal.jsonl", "journal.jsonl.head"])
@pytest.mark.parametrize("words", PUT, ids=lambda w: w.split()[-1])
def test_what_is_no_plain_file_is_refused_and_never_waited_for(tmp_path: Path, name: str, words: str) -> None:
    """H13: links, pipes and devices in the journal's place: nothing is read, written or hung on."""
    PUT[words](tmp_path / name)
    journal = Journal.open(tmp_path / "journal.jsonl")
    assert words in journal.read_only_reason
    if name == "journal.jsonl":
        assert words in journal.unreadable[0] and words in journal.verify()[0]


@pytest.mark.parametrize("name", ["flight.jsonl", "flight.jsonl.1", "drills.jsonl"])
@pytest.mark.parametrize("words", PUT, ids=lambda w: w.split()[-1])
def test_so_are_the_other_files_of_the_directory(tmp_path: Path, name: str, words: str) -> None:
    """H13: the flight recorder's file and the drills' scores."""
    from cockpit.drill.school import history
    from cockpit.incident import flight_recorder

    PUT[words](tmp_path / name)
    if name.startswith("flight"):
        assert flight_recorder.read(tmp_path / "flight.jsonl") == []
        if name == "flight.jsonl":
            with pytest.raises(OSError, match=r"it (is|has)"):
                flight_recorder.append(tmp_path / name, b"{}\n", 1000)
    else:
        with pytest.raises(state_files.Refused):
            history.read(tmp_path / name)


def test_a_report_takes_the_place_of_a_link_and_leaves_what_it_leads_to(tmp_path: Path) -> None:
    """H13: nothing is written through a link that somebody put there."""
    other = tmp_path / "precious"
    other.write_text("precious")
    (tmp_path / "incident-1.md").symlink_to(other)
    state_files.write_whole(tmp_path / "incident-1.md", "report")
    assert other.read_text() == "precious" and (tmp_path / "incident-1.md").read_text() == "report"
    assert not (tmp_path / "incident-1.md").is_symlink()


def test_numbers_that_met_are_kept_apart(tmp_path: Path) -> None:
    """H13: two journals have the same number, as one could not be read: both stand."""
    if os.geteuid() != 0:
        pytest.skip("NOT TRIED: only root gives a file away")
    source = {
        "kind": "intent",
        "title": "t",
        "step_kind": "set-env",
        "target": dict.fromkeys(("context", "namespace", "kind", "name", "uid"), "x"),
        "relaxes": True,
        "changes": [{"field": "F", "before": "a", "after": "b"}],
    }
    theirs = tmp_path / "journal-4101.jsonl"
    other = Journal.open(theirs)
    other.append(source)
    other.append({"kind": "outcome", "of": 1, "result": "sent", "words": "sent"})
    other.close()
    mine = Journal.open(tmp_path / "journal.jsonl")
    mine.append(source)
    os.chown(theirs, ANNA, GROUP)
    tmp_path.chmod(0o2770)
    records = mine.records()
    assert sorted(entries_of(records)) == [1, ANNA * 100_000 + 1]
    assert [d.number for d in debts_from(records)] == [ANNA * 100_000 + 1]
    assert len(lines_from(records)) == 2 and open_incident(records) is None
