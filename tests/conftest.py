"""What all tests share: a programme that must be there in CI, and is a reason to skip on a laptop."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def need() -> Callable[[str], str]:
    """`need("kubectl")` → its path; without it the test fails in CI and is skipped elsewhere."""

    def find(program: str) -> str:
        path = shutil.which(program)
        if path is None:
            words = f"{program} is not installed"
            if os.environ.get("CI"):
                pytest.fail(words)
            pytest.skip(words)
        return path

    return find
