from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kube_rig import Rig
from tests.support.kube_rig import rig as make_rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with make_rig(tmp_path) as made:
        yield made
