"""A row whose file is missing ends every start with one line that names the row."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cockpit import cli
from cockpit.commands import startup
from cockpit.model import step_kinds, views
from cockpit.model.registry import RegistryError, need_file
from cockpit.sources import registry as sources
from tests.support.paths import ROOT

PANEL = views.PanelSpec(name="spare", title="Spare", key="~", slot=(3, 34))
VIEW = views.ViewSpec(name="spare", title="Spare", offer="View spare", words="the newest", file="spare")
JUMP = replace(step_kinds.STEP_KINDS["restart"], kind="jump")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    startup.check_rows.cache_clear()
    yield
    startup.check_rows.cache_clear()


def test_the_first_frame_is_drawn_before_all_that_can_wait() -> None:
    later = (
        "re2 cockpit.redaction.passes cockpit.model.situation cockpit.engine cockpit.mitigation.executor "
        "cockpit.journal.journal panels.dashboard.dashboard aiohttp httpx psycopg secrets"
    )
    code = (
        "import sys; from cockpit.cli import build_parser; build_parser('live').parse_args(['live']); "
        "from cockpit.commands.startup import check_rows; check_rows(); from cockpit.settings import Settings; "
        "from cockpit.session import Session; from cockpit.app.main import CockpitApp; "
        "CockpitApp(Session(Settings()), ascii_only=False); "
        f"print([m for m in '{later}'.split() if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_all_files_are_there() -> None:
    startup.check_rows()


@pytest.mark.parametrize(
    ("module", "rows", "added", "words"),
    [
        (views, "BY_NAME", PANEL, "cockpit/model/views.py: row 'spare' has no file panels/dashboard/spare.py"),
        (views, "BY_NAME", VIEW, "cockpit/model/views.py: row 'spare' has no file panels/screens/spare.py"),
        (
            views,
            "BY_NAME",
            replace(VIEW, file="alerts", source="nope"),
            "cockpit/model/views.py: row 'spare': source: there is no source 'nope'",
        ),
        (
            step_kinds,
            "STEP_KINDS",
            JUMP,
            "cockpit/model/step_kinds.py: row 'jump' has no file cockpit/mitigation/steps/workload/jump.py",
        ),
    ],
)
@pytest.mark.parametrize("command", [["status"], ["runbooks", "list"], ["doctor", "local"]])
def test_a_missing_file_is_one_line_at_the_start(
    command: list[str],
    module: Any,
    rows: str,
    added: Any,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = getattr(added, "name", None) or added.kind
    monkeypatch.setattr(module, rows, {**getattr(module, rows), name: added})
    assert cli.main(command) == 70
    out = capsys.readouterr()
    assert out.err.startswith(f"m0-cockpit: {words} (") and out.err.count("\n") == 1 and out.out == ""


@pytest.mark.parametrize("part", ["doctor", "values"])
def test_a_source_that_lacks_a_file_is_named(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, *, where: str, row: str) -> None:
        need_file(module.replace(f"solana.{part}", "solana.nothing"), where=where, row=row)

    monkeypatch.setattr(startup, "need_file", missing)
    with pytest.raises(RegistryError, match=rf"{sources.WHERE}: row 'solana' has no file .*/solana/nothing.py"):
        startup.check_rows()
