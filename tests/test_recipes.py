"""Carry out each recipe of CONTRIBUTING.md, word for word, in a copy of the tree.

A plug-in is one new file (or folder) and one row, and nothing else is touched. A recipe is
Markdown:

    New file `path`:             and a code block: the whole file
    One row in `path`, below `an existing line`:   and a code block: the row
    Check: `a command`           which must succeed in the copy

Files under `tests/` prove the plug-in; every other new file must lie in one place.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from tests.support.paths import ROOT

RECIPES = sorted((ROOT / "tests" / "recipes").glob("*.md"))
NAMES = {"panel", "step", "source", "runbook"}
#: The test that walks the registry of a recipe.
WALKS = {"panel": "test_views.py", "step": "test_step_kinds.py", "source": "test_sources.py"}
_NEW = re.compile(r"^New file `(?P<path>[^`]+)`:\n+```\w*\n(?P<text>.*?)^```$", re.M | re.S)
_ROW = re.compile(r"^One row in `(?P<path>[^`]+)`, below `(?P<below>[^`]+)`:\n+```\w*\n(?P<row>.*?)^```$", re.M | re.S)
_CHECK = re.compile(r"^Check: `(?P<command>[^`]+)`$", re.M)


@dataclass(frozen=True)
class Recipe:
    """Holds a recipe's parts: new files by path, rows as (path, existing line, row), checks."""

    files: dict[str, str]
    rows: list[tuple[str, str, str]]
    checks: list[str]

    @property
    def product_files(self) -> list[str]:
        return [path for path in self.files if not path.startswith("tests/")]


def recipe_of(text: str) -> Recipe:
    return Recipe(
        files={found["path"]: found["text"] for found in _NEW.finditer(text)},
        rows=[(found["path"], found["below"], found["row"]) for found in _ROW.finditer(text)],
        checks=[found["command"] for found in _CHECK.finditer(text)],
    )


def copy_of_the_tree(directory: Path) -> Path:
    """Copy what git tracks, with uncommitted changes and without the environment."""
    copy = directory / "copy"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


def carry_out(recipe: Recipe, copy: Path) -> None:
    for name, text in recipe.files.items():
        assert not (copy / name).exists(), f"{name} exists already: a recipe adds"
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text, "utf-8")
    for name, below, row in recipe.rows:
        lines = (copy / name).read_text("utf-8").splitlines(keepends=True)
        places = [number for number, line in enumerate(lines) if line.strip() == below.strip()]
        assert len(places) == 1, f"`{below}` stands {len(places)} times in {name}"
        lines.insert(places[0] + 1, row)
        (copy / name).write_text("".join(lines), "utf-8")


def run_in(copy: Path, command: list[str]) -> None:
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


def command_of(check: str) -> list[str]:
    """Use this environment's programs: `python`, `pytest` and `m0-cockpit` of the copy."""
    words = shlex.split(check)
    known = {
        "python": [sys.executable],
        "pytest": [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        "m0-cockpit": [sys.executable, "-c", "import sys; from cockpit.cli import main; sys.exit(main())"],
    }
    return [*known.get(words[0], [words[0]]), *words[1:]]


def test_the_four_recipes_are_there() -> None:
    assert {path.stem for path in RECIPES} == NAMES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_contributing_says_it_word_for_word(path: Path) -> None:
    text = path.read_text("utf-8").strip()
    assert text in (ROOT / "CONTRIBUTING.md").read_text("utf-8"), "copy the recipe into CONTRIBUTING.md"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_is_one_place_and_one_row(path: Path) -> None:
    recipe = recipe_of(path.read_text("utf-8"))
    assert recipe.checks, "a recipe proves itself"
    if path.stem == "runbook":  # TOML only, in a file of one's own
        assert not recipe.rows
        assert [PurePosixPath(name).suffix for name in recipe.product_files] == [".toml"]
        return
    (row,) = recipe.rows
    assert len([line for line in row[2].splitlines() if line.strip()]) >= 1
    places = {str(PurePosixPath(name).parent) for name in recipe.product_files}
    assert len(recipe.product_files) == 1 or len(places) == 1, f"more than one place: {sorted(places)}"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_works_as_it_is_written(path: Path, tmp_path: Path) -> None:
    recipe = recipe_of(path.read_text("utf-8"))
    copy = copy_of_the_tree(tmp_path)
    carry_out(recipe, copy)
    for check in recipe.checks:
        run_in(copy, command_of(check))


@pytest.mark.parametrize("path", [path for path in RECIPES if path.stem != "runbook"], ids=lambda path: path.stem)
def test_a_file_without_its_row_and_a_row_without_its_file_are_refused(path: Path, tmp_path: Path) -> None:
    """Leave out each half of a recipe: the tests of the registries notice."""
    recipe = recipe_of(path.read_text("utf-8"))
    walk = ["pytest", "-x", "-q", f"tests/house/{WALKS[path.stem]}"]
    for kept in (
        Recipe(files={name: recipe.files[name] for name in recipe.product_files}, rows=[], checks=[]),
        Recipe(files={}, rows=recipe.rows, checks=[]),
    ):
        copy = copy_of_the_tree(tmp_path / ("file" if kept.files else "row"))
        carry_out(kept, copy)
        with pytest.raises(AssertionError):
            run_in(copy, command_of(shlex.join(walk)))
