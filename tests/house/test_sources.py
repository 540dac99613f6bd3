"""Each source's row carries all that is asked of a source; one that lacks a part is refused."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

from cockpit.cli import main
from cockpit.config import file_type
from cockpit.doctor import AREAS
from cockpit.model.registry import LEFT_OUT, RegistryError
from cockpit.settings import Section, Settings
from cockpit.sources import SOURCES, registry
from cockpit.sources.families import FAMILIES
from cockpit.sources.registry import configured, sources
from cockpit.sources.spec import SourceSpec
from tests.support.paths import ROOT


@pytest.fixture
def fresh() -> Iterator[None]:
    """The registry is read anew, before and after."""
    sources.cache_clear()
    file_type.cache_clear()
    yield
    sources.cache_clear()
    file_type.cache_clear()


@pytest.mark.parametrize("name", SOURCES)
def test_a_sources_folder_holds_all_of_it(name: str) -> None:
    source = sources()[name]
    folder = ROOT / "cockpit" / "sources" / name
    assert (folder / "source.py").is_file()
    assert inspect.iscoroutinefunction(import_module(AREAS[name]).examine)
    assert (folder / "values.py").is_file() == source.has_values == (name in FAMILIES)
    if source.has_values:
        assert FAMILIES[name].spelt and all(value.startswith(f"{name}.") for value in FAMILIES[name].spelt)
    for key in source.sections:
        kind = get_args(key.type)[0] if get_args(key.type) else key.type
        assert issubclass(kind, Section) and kind.__module__ == f"cockpit.sources.{name}.settings"
    assert source.light and source.remedy and source.title.split()[-1] in ("is", "are")


def test_each_folder_has_its_row() -> None:
    folders = {path.parent.name for path in (ROOT / "cockpit" / "sources").glob("*/__init__.py")}
    assert folders == set(SOURCES), "a row in cockpit/sources/__init__.py for each folder, and a folder for each row"


def test_the_rows_keep_their_order_and_without_settings_only_the_cluster_is_asked() -> None:
    assert tuple(sources()) == SOURCES and configured(Settings()) == {"kubernetes"}
    assert list(AREAS) == ["local", "terminal", *SOURCES]


def test_descriptors_import_no_client(fresh: None) -> None:
    """They are read at every start; what is heavy comes after the first paint."""
    import subprocess

    heavy = "aiohttp httpx kubernetes psycopg solders websockets ssl asyncio"
    code = f"import sys, cockpit.config; cockpit.config.file_type(); print([m for m in '{heavy}'.split() if m in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def with_row(monkeypatch: pytest.MonkeyPatch, spec: Any, name: str = "strange") -> None:
    module = ModuleType(f"cockpit.sources.{name}")
    if spec is not None:
        vars(module)["SOURCE"] = spec
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "SOURCES", (*SOURCES, name))


def strange(**changes: Any) -> SourceSpec:
    return dataclasses.replace(sources()["probes"], **{"name": "strange", "light": "odd", "sections": (), **changes})


@pytest.mark.parametrize("part", [field.name for field in dataclasses.fields(SourceSpec)])
def test_a_row_that_lacks_a_part_is_refused(fresh: None, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    with_row(monkeypatch, strange(**{part: LEFT_OUT}))
    sources.cache_clear()
    with pytest.raises(RegistryError, match="'strange'.*" + ("left out" if part == "name" else f"lacks {part}")):
        sources()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (None, "row 'strange': cockpit/sources/strange/__init__.py has no SOURCE"),
        ({"name": "probes"}, "row 'strange': its SOURCE is named 'probes'"),
        ({"light": "rpc"}, "rows 'solana' and 'strange' have the same light 'rpc'"),
        ({"sections": "solana"}, "rows 'solana' and 'strange' have the same key 'solana'"),
    ],
)
def test_a_row_that_takes_anothers_place_is_refused(
    fresh: None, monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any] | None, said: str
) -> None:
    if spec is not None and "sections" in spec:
        spec = {"sections": sources()[spec["sections"]].sections}
    with_row(monkeypatch, strange(**spec) if spec is not None else None)
    sources.cache_clear()
    with pytest.raises(RegistryError, match=said):
        sources()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((*SOURCES, "nowhere"), "row 'nowhere': there is no cockpit.sources.nowhere"),
        ((*SOURCES, "solana"), "two rows are named 'solana'"),
        ((*SOURCES, ""), f"row {len(SOURCES) + 1} has no name"),
        ((*SOURCES, None), f"row {len(SOURCES) + 1} has no name"),
        ((*SOURCES, 7), f"row {len(SOURCES) + 1}: expected a name of lower-case words joined by -, got 7"),
        ((*SOURCES, "za p"), f"row {len(SOURCES) + 1}: expected a name of lower-case words joined by -, got 'za p'"),
    ],
)
def test_a_row_without_a_folder_or_a_name_of_its_own_is_one_line_at_the_start(
    fresh: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    rows: tuple[Any, ...],
    said: str,
) -> None:
    monkeypatch.setattr(registry, "SOURCES", rows)
    config = tmp_path / "config.toml"
    config.write_text("read-only = true\n")
    assert main(["--config", str(config), "status"]) != 0
    line = capsys.readouterr().err.strip()
    assert said in line and "cockpit/sources/__init__.py" in line and "\n" not in line
