"""What the documents show is true: their links lead somewhere, their examples load, every command
and key is named.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from bench.commands_page import page as commands_page
from bench.configuration_page import page as configuration_page
from bench.keys_page import page as keys_page
from bench.runbooks_page import page as runbooks_page
from cockpit.cli import build_parser
from cockpit.config import load_settings
from cockpit.drill.scenarios import find
from cockpit.runbooks import schema
from cockpit.sources.registry import configured
from panels import keys
from tests.support.paths import ROOT

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "deploy").glob("*.md"))]


def examples(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_runbook_examples_load() -> None:
    for example in examples(ROOT / "docs" / "runbooks.md", "toml"):
        runbooks, problems = schema.check(example, "example.toml")
        assert [str(p) for p in problems] == []
        assert runbooks is not None


def test_the_configuration_example_loads(tmp_path: Path) -> None:
    (example,) = examples(ROOT / "docs" / "configuration.md", "toml")
    path = tmp_path / "config.toml"
    path.write_text(example, "utf-8")
    settings = load_settings(config=str(path), env={})
    assert settings.namespaces == ("m0-prod", "m0-signers")


def test_the_table_of_commands_is_current() -> None:
    page = (ROOT / "docs" / "commands.md").read_text("utf-8")
    assert page == commands_page(page), "make it anew: make generated"


def test_the_tables_of_configuration_keys_are_current() -> None:
    """Each key is there with its type, its default and what the comment beside it says."""
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    assert page == configuration_page(page), "make it anew: make generated"
    for key in ("kubeconfig", "admin-url-file", "ws-url", "reveal-delay-slots", "insecure", "as-of", "hyperlinks"):
        assert f"\n| `{key}` | " in page


def test_every_key_is_explained_by_help() -> None:
    shown = " ".join(key for rows in keys.HELP.values() for key, _ in rows)
    names = {"colon": ":", "slash": "/", "question_mark": "?", "escape": "esc"}
    for binding in keys.APP:
        if binding.show:
            for key in binding.key.split(","):
                assert names.get(key, key) in shown, key


def test_the_page_of_keys_is_current() -> None:
    assert (ROOT / "docs" / "keys.md").read_text("utf-8") == keys_page(), "make it anew: make generated"


def command_lines() -> list[tuple[str, list[str]]]:
    """Every `$ m0-cockpit …` of the consoles, as words: up to a pipe, a comment or an ampersand."""
    found = []
    for page in PAGES:
        for block in examples(page, "console"):
            for line in re.findall(r"^\$ (?:\S+/)?m0-cockpit\b(.*)$", block, re.M):
                words = shlex.split(re.split(r"[|&>]", line)[0], comments=True)
                found.append((f"{page.name}:{line}", words))
            for line in re.findall(r"\$\(m0-cockpit ([^)]*)\)", block):
                found.append((f"{page.name}: {line}", shlex.split(line)))
    return found


@pytest.mark.parametrize(("where", "words"), command_lines(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_that_is_shown_is_one(where: str, words: list[str]) -> None:
    args = build_parser().parse_args(words)
    runbooks = schema.load()
    if args.command == "run":
        runbooks.step(args.runbook, args.step)
    if args.command == "drill" and (args.scenario or args.scenario_flag):
        find(args.scenario or args.scenario_flag)


def test_the_start_shows_a_configuration_that_loads(tmp_path: Path) -> None:
    (example,) = examples(ROOT / "docs" / "start.md", "toml")
    path = tmp_path / "config.toml"
    path.write_text(example, "utf-8")
    settings = load_settings(config=str(path), env={})
    assert configured(settings) == {"kubernetes", "prometheus", "solana"} and settings.links.trace is not None


def test_the_configuration_example_has_every_link(tmp_path: Path) -> None:
    (example,) = examples(ROOT / "docs" / "configuration.md", "toml")
    path = tmp_path / "config.toml"
    path.write_text(example, "utf-8")
    links = load_settings(config=str(path), env={}).links
    assert None not in (links.trace, links.signal, links.transaction, links.dashboard)


def test_the_tables_of_values_kinds_of_step_and_views_are_current() -> None:
    page = (ROOT / "docs" / "runbooks.md").read_text("utf-8")
    assert page == runbooks_page(page), "make it anew: make generated"


def test_a_page_without_one_of_its_tables_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected this table once: \| source \| values \|"):
        runbooks_page("# Runbooks\n")


@pytest.mark.parametrize(
    "page", ["docs/architecture.md", "docs/glossary.md", "CONTRIBUTING.md", "SECURITY.md", "RELEASE.md"]
)
def test_every_file_and_folder_that_a_page_names_is_there(page: str) -> None:
    """A page that leads a newcomer through the rooms names none that is gone."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.S).partition("<!-- recipes -->")[0]
    named = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|toml|md))`", text))
    homes = (ROOT, ROOT / "cockpit", ROOT / "docs")
    missing = [
        name
        for name in named
        if name.isascii() and not re.search("[A-Z]{4,}", name) and not any((home / name).exists() for home in homes)
    ]
    assert not missing


def test_a_commit_is_checked_by_the_tools_of_the_gate() -> None:
    """Each command of `make check` is a hook too."""
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\ncheck:")[2].partition("\n\n")[0]
    commands = [line.split("/", 1)[1].split() for line in recipe.splitlines() if line.startswith("\t$(BIN)/")]
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    for program, *words in commands:
        assert f".venv/bin/{' '.join([program, *words[:1]]).removesuffix(' .')}" in hooks
