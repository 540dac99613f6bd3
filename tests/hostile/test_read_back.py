"""What is read back from disk, or pasted, is cleaned where it comes in (H6, H8)."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.app import ComposeResult
from textual.command import CommandPalette
from textual.widgets import Input

from cockpit.config import load_settings
from cockpit.incident.flight_recorder import RecordedChange, read
from cockpit.journal import hash_chain
from cockpit.journal.entries import lines_from
from cockpit.kubeapi.access import load_access
from cockpit.settings import ConfigProblem
from cockpit.text import clean, typed
from panels.kit.terminal_app import TerminalApp
from panels.kit.theme import Appearance

HOSTILE = "a\x1b[2Jb\x9b31mc\u202ed\x0ee\u200bf\u2800g\u3164h\U000e0041"
SHOWN = "\\e[2J"


def test_a_record_that_somebody_wrote_drives_no_terminal() -> None:
    """H6: titles, notes and names of the journal reached the terminal raw."""
    record = {
        "seq": 1,
        "at": 0.0,
        "kind": "note",
        "words": HOSTILE,
        "operator": {"name": HOSTILE, HOSTILE: HOSTILE},
        "inverse": {"value": "two\nlines\x1b"},
    }
    line, _ = hash_chain.hashed_line(record, hash_chain.GENESIS)
    found = hash_chain.read(line)
    assert found.problems == []  # the chain is that of the bytes, not of what is shown
    (kept,) = found.records
    assert kept["inverse"] == {"value": "two\nlines\x1b"}  # what an undo sends again stays as it was
    (shown,) = lines_from(found.records)
    for text in (shown.title, shown.operator):
        assert text.isprintable() and SHOWN in text


def test_what_the_flight_recorder_kept_is_cleaned(tmp_path: Path) -> None:
    """H6: so are changes of the situation."""
    change = RecordedChange(at=1.0, kind="signal", name=HOSTILE, was=HOSTILE, now=HOSTILE, words=HOSTILE)
    (tmp_path / "flight.jsonl").write_bytes(msgspec.json.encode(change) + b"\n")
    (found,) = read(tmp_path / "flight.jsonl")
    for text in (found.name, found.was or "", found.now, found.words):
        assert text.isprintable() and SHOWN in text


def test_a_context_s_name_is_shown_clean_and_found_by_its_own(tmp_path: Path) -> None:
    """H6: a kubeconfig's context name reached the terminal raw."""
    hostile = "a\x1b[2Jb\u202ec"
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": hostile, "user": {"token": "tok-En-123456"}}],
        "contexts": [{"name": hostile, "context": {"cluster": "c", "user": hostile, "namespace": hostile}}],
        "current-context": hostile,
    }
    file = tmp_path / "config"
    file.write_text(json.dumps(config))
    access = load_access(str(file))
    for text in (access.context, access.user, access.namespace or ""):
        assert text.isprintable() and SHOWN in text
    assert access.reload().context == access.context


@pytest.mark.parametrize(
    "line",
    ['context = "prod\\u001b[2J"', 'namespaces = ["m0", "m0\\u202e"]', '[probes.services]\n"m0\\u200b" = "http://x"'],
)
def test_a_configuration_with_characters_that_cannot_be_seen_is_refused(tmp_path: Path, line: str) -> None:
    """H6: names and values of the configuration stand on every screen."""
    file = tmp_path / "config.toml"
    file.write_text(line)
    with pytest.raises(ConfigProblem) as caught:
        load_settings(config=str(file), env={})
    assert "cannot be seen" in str(caught.value) and str(caught.value).isprintable()


@given(st.text())
def test_what_is_pasted_has_nothing_unseen_in_it(text: str) -> None:
    """H8: C1, SO, bidi, fillers and piles of marks."""
    kept = typed(text)
    assert typed(kept) == kept
    assert all(char == "\n" or (char.isprintable() and clean(f"x{char}") == f"x{char}") for char in kept)


class Fields(TerminalApp):
    """One plain field, as Textual has it."""

    def compose(self) -> ComposeResult:
        yield Input()


@pytest.mark.parametrize("palette", [False, True])
async def test_a_field_takes_nothing_unseen(palette: bool) -> None:
    """H8: the palette's input passed C1, SO and bidi when pasted."""
    app = Fields(Appearance())
    async with app.run_test() as pilot:
        if palette:
            app.action_command_palette()
            await pilot.pause()
            assert isinstance(app.screen, CommandPalette)
        app.post_message(events.Paste(HOSTILE))
        await pilot.pause()
        assert app.screen.query_one(Input).value == "a[2Jb31mcdefgh"
