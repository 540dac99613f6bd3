"""What the documents show is true: their links lead somewhere, their examples load, every command and key is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cockpit.cli import COMMANDS
from cockpit.config import load_settings
from cockpit.runbooks import schema
from panels import keys

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "deploy").glob("*.md"))]


def examples(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_runbook_examples_load() -> None:
    for example in examples(ROOT / "docs" / "runbooks.md", "toml"):
        books, problems = schema.check(example, "example.toml")
        assert [str(p) for p in problems] == []
        assert books is not None


def test_the_configuration_example_loads(tmp_path: Path) -> None:
    (example,) = examples(ROOT / "docs" / "configuration.md", "toml")
    path = tmp_path / "config.toml"
    path.write_text(example, "utf-8")
    settings = load_settings(config=str(path), env={})
    assert settings.namespaces == ("m0-prod", "m0-signers")


def test_every_command_is_documented() -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    for name in COMMANDS:
        assert f"{name}" in page


def test_every_key_is_explained_by_help() -> None:
    told = " ".join(key for rows in keys.HELP.values() for key, _ in rows)
    names = {"colon": ":", "slash": "/", "question_mark": "?", "escape": "esc"}
    for binding in keys.APP:
        if binding.show:
            for key in binding.key.split(","):
                assert names.get(key, key) in told, key
