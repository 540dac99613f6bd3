"""A drill says what it needs before it starts, starts where it can write, and keeps its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cockpit import cli, terminal
from cockpit.commands import drill
from cockpit.config import ENV_PREFIX


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(f"{ENV_PREFIX}STATE_DIR", raising=False)


@pytest.mark.parametrize("words", ["drill vacuum-debt", "drill rpc-outage+slow-query", "drill --scenario slow-query"])
def test_a_scenario_that_needs_a_database_says_so_and_starts_nothing(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """U12: it could not be solved without PostgreSQL, and did not say so."""
    monkeypatch.setattr(drill, "has_database", lambda: False)
    monkeypatch.setattr(drill, "start_world", lambda *_, **__: pytest.fail("it has started something"))
    assert cli.main(words.split()) != 0
    said = capsys.readouterr().err
    assert "needs PostgreSQL, which is not installed here" in said
    assert "pip install 'm0-cockpit[drill]'" in said and "--no-postgres starts it all the same" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("words", ["drill vacuum-debt --no-postgres", "drill rpc-outage"])
def test_one_that_needs_none_or_is_wanted_without_goes_on(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """U12: it asks for no more than it needs."""

    class Started(Exception):
        pass

    def start(*_: object, **__: object) -> None:
        raise Started

    monkeypatch.setattr(drill, "has_database", lambda: False)
    monkeypatch.setattr(terminal, "problem", lambda: None)
    monkeypatch.setattr(drill, "start_world", start)
    with pytest.raises(Started):
        drill.run(cli.build_parser("drill").parse_args(words.split()))


def test_a_read_only_home_keeps_its_state_elsewhere_and_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """U18: a drill did not start with a read-only home."""
    blocked = tmp_path / "home"
    blocked.write_text("no directory can be made below a file")  # root may write a read-only directory
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked / "state"))
    monkeypatch.setattr(drill, "gettempdir", lambda: str(tmp_path))
    found = drill.state_dir()
    assert found.parent == tmp_path and found.stat().st_mode & 0o777 == 0o700
    assert f"this drill keeps its state in {found}" in capsys.readouterr().err
    assert os.environ[f"{ENV_PREFIX}STATE_DIR"] == str(found)
    assert drill.state_dir() == found, "the next one asks no more"


def test_a_directory_of_somebody_else_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """U18: in a directory that all may write, one with our name may be a trap."""
    blocked = tmp_path / "home"
    blocked.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked / "state"))
    monkeypatch.setattr(drill, "gettempdir", lambda: str(tmp_path))
    (tmp_path / f"m0-cockpit-{os.getuid()}").mkdir(mode=0o777)
    (tmp_path / f"m0-cockpit-{os.getuid()}").chmod(0o777)
    assert drill.state_dir().name != f"m0-cockpit-{os.getuid()}"


def test_what_a_drill_wrote_is_kept_and_what_holds_nothing_is_not(tmp_path: Path) -> None:
    """U20: its report and evidence were deleted at its end, though a toast named their path."""
    kept = tmp_path / "drills"
    for number in range(drill.MOST_KEPT + 2):
        made = kept / f"2026010{number:02d}-x"
        made.mkdir(parents=True)
        (made / f"report{sorted(drill.KEPT_FOR)[0]}").write_text("x")
        assert drill._keep(made)
    empty = kept / "29990101-calm"
    empty.mkdir()
    (empty / "journal.jsonl").write_text("{}")
    assert not drill._keep(empty) and not empty.exists()
    assert len(list(kept.iterdir())) == drill.MOST_KEPT
