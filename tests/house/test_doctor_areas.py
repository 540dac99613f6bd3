"""Each area of the doctor is one row and one file, and what a source brings is an area too."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

import pytest

from cockpit.doctor import AREAS, HERE, areas
from cockpit.model.registry import RegistryError
from cockpit.sources import SOURCES
from tests.support.paths import ROOT


@pytest.mark.parametrize("name", AREAS)
def test_an_area_can_be_examined(name: str) -> None:
    assert inspect.iscoroutinefunction(import_module(AREAS[name]).examine)


def test_each_file_has_its_row() -> None:
    files = {path.stem for path in (ROOT / "cockpit" / "doctor").glob("*.py")} - {"__init__"}
    assert files == set(HERE)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (("local", ""), "row 2 has no name"),
        (("local", None), "row 2 has no name"),
        (("local", 7), "row 2: expected a name of lower-case words joined by -, got 7"),
        (("local", "strange"), "row 'strange' has no file cockpit/doctor/strange.py"),
        (("local", "local"), "two rows are named 'local'"),
        ((SOURCES[0],), f"two rows are named '{SOURCES[0]}'"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_by_name(rows: tuple[Any, ...], words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        areas(rows)
