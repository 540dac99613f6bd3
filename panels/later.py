"""A module that is imported at its first use."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


class Later:
    """Stands for the module `name`; its names are its attributes. `loaded` tells without loading it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


def loaded(name: str) -> bool:
    return name in sys.modules
