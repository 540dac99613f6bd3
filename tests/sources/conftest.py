from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "kubeapi"))
sys.path.insert(0, str(Path(__file__).parents[1] / "chain"))

from api_double import ApiDouble, kubeconfig, serving

from cockpit.kubeapi.access import Access, load_access


@pytest.fixture
async def api() -> AsyncIterator[ApiDouble]:
    async with serving(ApiDouble()) as double:
        yield double


@pytest.fixture
def access(api: ApiDouble, tmp_path: Path) -> Access:
    return load_access(str(kubeconfig(tmp_path / "config", api.url)))
