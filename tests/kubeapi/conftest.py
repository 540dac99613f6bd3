from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cockpit.kubeapi.access import Access, load_access
from tests.support.api_double import ApiDouble, kubeconfig, serving


@pytest.fixture
async def api() -> AsyncIterator[ApiDouble]:
    async with serving(ApiDouble()) as double:
        yield double


@pytest.fixture
def access(api: ApiDouble, tmp_path: Path) -> Access:
    return load_access(str(kubeconfig(tmp_path / "config", api.url)))
