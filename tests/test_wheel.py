"""What is installed is whole: the wheel carries both packages and the runbooks, and nothing that
names a machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile

import pytest

from cockpit.commands.files import FILES, text_of
from tests.support.paths import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return zipfile.ZipFile(next(out.glob("*.whl")))


def test_the_runbooks_are_inside(wheel: zipfile.ZipFile) -> None:
    assert wheel.read("cockpit/runbooks.toml") == (ROOT / "runbooks.toml").read_bytes()
    names = wheel.namelist()
    assert "panels/dashboard/dashboard.py" in names
    assert "cockpit/drill/server.py" in names
    assert not [name for name in names if name.startswith(("tests/", "bench/"))]


def test_the_console_script_is_declared(wheel: zipfile.ZipFile) -> None:
    entry = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "m0-cockpit = cockpit.cli:main" in wheel.read(entry).decode()


def test_pins_hold_hashes_and_no_addresses() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text("utf-8")
        assert "--hash=sha256:" in text
        assert not re.search(r"https?://|--(?:extra-)?index-url|--find-links", text), path.name


@pytest.mark.parametrize("name", FILES)
def test_the_files_that_doctor_says_to_apply_are_inside(wheel: zipfile.ZipFile, name: str) -> None:
    """U18: the wheel lacked rbac.yaml and postgres-role.sql."""
    inside = [each for each in wheel.namelist() if each.rpartition("/")[2] == name]
    assert len(inside) == 1, inside
    assert wheel.read(inside[0]).decode() == text_of(name)


def test_the_package_can_be_run_as_a_module(wheel: zipfile.ZipFile) -> None:
    """U18: `python -m cockpit` failed."""
    assert "cockpit/__main__.py" in wheel.namelist()
